//! The pictures of `docs/pictures`, which are drawn here. `ETCD_HTTP_DRAW=1 cargo test --test documentation pictures` writes them.

mod drawing;

use std::{env, fs, path::Path};

use drawing::{Drawing, Side};

/// If it is set, the pictures are written.
const DRAW: &str = "ETCD_HTTP_DRAW";

#[test]
fn the_pictures_are_those_that_are_drawn_here() {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/pictures");
    for (name, drawing) in [
        ("architecture", architecture()),
        ("retry", retry()),
        ("lease", lease()),
    ] {
        let path = directory.join(format!("{name}.svg"));
        let drawn = drawing.to_svg();
        if env::var_os(DRAW).is_some() {
            fs::write(&path, &drawn).unwrap();
        }
        let shown = fs::read_to_string(&path).unwrap_or_default();
        assert!(
            shown == drawn,
            "{name}.svg differs: set {DRAW}=1 to draw it"
        );
    }
}

/// From a program down to etcd.
fn architecture() -> Drawing {
    let mut it = Drawing::new(720, 470, "From your code to etcd");
    let code = it.place(260, 15, 200, "your code", "client.send(…), client.open(…)");
    let recipes = it.place(20, 105, 190, "recipes", "locks, elections, caches");
    let v2 = it.place(270, 105, 180, "v2, v3", "an operation is a value");
    let streams = it.place(510, 105, 190, "v3/stream", "one connection: resumes");
    let pipeline = it.place(
        220,
        210,
        280,
        "pipeline",
        "endpoint, wire, deadline, again?",
    );
    let endpoints = it.place(20, 210, 150, "endpoints", "health, gRPC or not");
    let auth = it.place(550, 210, 150, "auth", "tokens");
    let transport = it.place(220, 300, 280, "Transport", "send, sleep, now");
    it.arrow(&code, Side::Left, &recipes, Side::Top, "");
    it.arrow(&code, Side::Bottom, &v2, Side::Top, "");
    it.arrow(&code, Side::Right, &streams, Side::Top, "");
    it.arrow(&recipes, Side::Right, &v2, Side::Left, "");
    it.arrow(&v2, Side::Bottom, &pipeline, Side::Top, "");
    it.arrow(&streams, Side::Bottom, &pipeline, Side::Top, "");
    it.arrow(&pipeline, Side::Left, &endpoints, Side::Right, "");
    it.arrow(&pipeline, Side::Right, &auth, Side::Left, "");
    it.arrow(&pipeline, Side::Bottom, &transport, Side::Top, "");
    for (index, (name, what)) in [
        ("hyper", "tokio"),
        ("reqwest", "tokio"),
        ("isahc", "any executor"),
        ("tower", "any service"),
        ("fake", "in memory"),
        ("yours", "three methods"),
    ]
    .into_iter()
    .enumerate()
    {
        let x = 20 + 115 * i32::try_from(index).unwrap();
        let backend = it.place(x, 400, 105, name, what);
        it.arrow(&transport, Side::Bottom, &backend, Side::Top, "");
    }
    it
}

/// Which results of an attempt end a call, and after which it is sent again.
fn retry() -> Drawing {
    let mut it = Drawing::new(760, 470, "A call, and when it is sent again");
    let call = it.place(20, 30, 190, "a call", "a deadline, 60 s in all");
    let choose = it.place(285, 30, 190, "choose", "an endpoint, and its wire");
    let attempt = it.place(550, 30, 190, "attempt", "one request, at most 10 s");
    let done = it.place(550, 160, 190, "response of etcd", "a success, or a refusal");
    let unsent = it.place(
        20,
        160,
        210,
        "not applied",
        "no connection, or refused for now",
    );
    let lost = it.place(290, 160, 190, "unknown", "no response, or half of one");
    let again = it.place(20, 290, 210, "pause", "50 ms, doubled, up to 10 s");
    let write = it.place(290, 290, 190, "a write?", "which must not be sent twice");
    let decoded = it.place(550, 290, 190, "Ok, or Error::Etcd", "Outcome::Rejected");
    let error = it.place(290, 400, 190, "Error", "Outcome::Unknown");
    let over = it.place(20, 400, 210, "Error", "the outcome of all attempts");
    it.arrow(&call, Side::Right, &choose, Side::Left, "");
    it.arrow(&choose, Side::Right, &attempt, Side::Left, "");
    it.arrow(&attempt, Side::Bottom, &done, Side::Top, "");
    it.arrow(&attempt, Side::Bottom, &lost, Side::Top, "");
    it.arrow(&attempt, Side::Bottom, &unsent, Side::Top, "");
    it.arrow(&done, Side::Bottom, &decoded, Side::Top, "");
    it.arrow(&unsent, Side::Bottom, &again, Side::Top, "");
    it.arrow(&lost, Side::Bottom, &write, Side::Top, "");
    it.arrow(&write, Side::Left, &again, Side::Right, "no");
    it.arrow(&write, Side::Bottom, &error, Side::Top, "yes");
    it.arrow(
        &again,
        Side::Bottom,
        &over,
        Side::Top,
        "no time or attempt left",
    );
    it.line(&[(20, 315), (8, 315), (8, 105), (380, 105), (380, 82)]);
    it.note(120, 98, "again, at the next endpoint");
    it
}

/// The deadline that the client keeps, and the end that etcd keeps.
fn lease() -> Drawing {
    let mut it = Drawing::new(760, 250, "A lease of 9 s, kept alive until etcd is silent");
    let x = |seconds: i32| 40 + seconds * 40;
    let (client, etcd) = (90, 190);
    it.note(40, client - 34, "client");
    it.note(40, etcd + 24, "etcd");
    it.line(&[(x(0), client), (x(17), client)]);
    it.line(&[(x(0), etcd), (x(17), etcd)]);
    for (second, what) in [(0, "grant"), (3, "renew"), (6, "renew")] {
        it.line(&[(x(second), client), (x(second) + 12, etcd)]);
        it.line(&[(x(second) + 12, etcd), (x(second) + 24, client)]);
        it.note(x(second), client - 12, what);
    }
    for second in [9, 11, 13] {
        it.dashed(&[(x(second), client), (x(second) + 8, client + 50)]);
        it.note(x(second), client - 12, "no response");
    }
    it.mark(x(15), client, "lost() resolves");
    it.note(x(12), client - 34, "9 s after the last renewal was sent");
    it.mark(x(15) + 12, etcd, "");
    it.note(
        x(15) - 130,
        etcd + 24,
        "etcd ends the lease: 9 s after it came",
    );
    it.note(
        x(3),
        client - 34,
        "each a third of the time to live after the one before",
    );
    it
}
