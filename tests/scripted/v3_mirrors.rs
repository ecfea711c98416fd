//! Mirrors and paged reads: what they wait for, how large their pages are, and who may read the copy meanwhile.

use std::{pin::pin, time::Duration};

use etcd_http::{
    Client, Error,
    v3::{KeyRange, KeyValue, Mirror, RangeStream, Watch},
};
use futures::{
    StreamExt,
    future::{Either, select},
};
use harness::{
    clock::block_on,
    scripted_transport::{ScriptedTransport, Step},
};

use crate::{
    v3_store::{Connection, Store, client, items},
    v3_watch_server::WatchServer,
};

const SECOND: Duration = Duration::from_secs(1);

/// A client of endpoints that refuse every connection.
fn down(endpoints: &[&str]) -> Client<ScriptedTransport> {
    let steps = (0..5_000).map(|_| Step::Refuse);
    Client::new(ScriptedTransport::new(steps), endpoints.iter().copied()).unwrap()
}

fn refused(count: usize) -> Vec<Connection> {
    let refused = Connection::refused();
    vec![refused; count]
}

/// At revision 4, with this many keys.
fn with_keys(count: usize) -> Store {
    Store::at(4).with(|state| {
        let keys = (0..count).map(|number| (format!("k{number:03}"), 4));
        state.keys = keys.collect();
    })
}

/// The limits of the pages that were asked for.
fn pages(client: &Client<Store>) -> Vec<u32> {
    let seen = client.transport().seen();
    let limits = seen.iter().filter_map(|line| {
        let (_, rest) = line.split_once("\"limit\":\"")?;
        rest.split_once('"')?.0.parse().ok()
    });
    limits.collect()
}

fn names(found: impl IntoIterator<Item = KeyValue>) -> Vec<String> {
    let names = found.into_iter();
    names.map(|kv| kv.key_str().unwrap().to_owned()).collect()
}

#[test]
fn a_mirror_of_a_server_that_is_down_ends_with_its_outage_limit() {
    let client = down(&["http://a", "http://b"]);
    let mut mirror = client
        .v3()
        .mirror(KeyRange::all())
        .outage_limit(SECOND * 20);
    for turn in 1..=2 {
        let error = block_on(mirror.next()).unwrap_err();
        assert!(matches!(error, Error::Transport(_)), "{error}");
        let elapsed = client.transport().elapsed();
        let outage = SECOND * 20 * turn..SECOND * 31 * turn;
        assert!(outage.contains(&elapsed), "{elapsed:?}");
    }
    assert_eq!((mirror.age(), mirror.revision()), (None, 0));
}

#[test]
fn a_mirror_of_a_server_that_is_silent_ends_with_its_outage_limit() {
    let client = client(with_keys(3).with(|state| {
        state.mute.insert("/v3/kv/range", 1_000);
    }));
    let mut mirror = client
        .v3()
        .mirror(KeyRange::all())
        .outage_limit(SECOND * 20)
        .page(1);
    let clock = &client.transport().clock;
    let error = clock.run(mirror.next()).unwrap_err();
    assert!(matches!(error, Error::Timeout(_)), "{error}");
    assert!(clock.elapsed() < SECOND * 45, "{:?}", clock.elapsed());
}

#[test]
fn the_copy_of_a_mirror_is_read_while_it_waits_and_says_how_old_it_is() {
    let client = client(with_keys(3).with(|state| {
        state.connections = [Connection {
            cut: Some(1_000_000),
            ..Connection::default()
        }]
        .into();
        state.connections.extend(refused(10_000));
        state.after_read = Some(|state| state.write(["new".to_owned()]));
    }));
    let mut mirror = client.v3().mirror(KeyRange::all());
    let reader = mirror.reader();
    assert_eq!((reader.age(), reader.len()), (None, 0));
    let clock = &client.transport().clock;
    clock.run(mirror.next()).unwrap();
    assert_eq!(names(reader.iter()), ["k000", "k001", "k002"]);
    assert_eq!((reader.revision(), reader.age()), (4, Some(Duration::ZERO)));
    clock.run(mirror.next()).unwrap();
    assert_eq!(reader.get("new").unwrap().mod_revision, 5);
    assert_eq!((reader.revision(), reader.is_empty()), (5, false));
    // The server is gone.
    let wait = async {
        let next = pin!(mirror.next());
        let sleep = client.transport().clock.sleep(SECOND * 100);
        match select(next, pin!(sleep)).await {
            Either::Left((update, _)) => panic!("{update:?}"),
            Either::Right(_) => reader.age(),
        }
    };
    assert_eq!(clock.run(wait), Some(SECOND * 100));
    drop(mirror);
    assert_eq!(reader.len(), 4);
}

#[test]
fn the_copy_of_a_mirror_stays_fresh_while_its_server_lives() {
    let client = client(with_keys(1));
    let mut mirror = client
        .v3()
        .mirror(KeyRange::all())
        .silence_limit(SECOND * 5);
    let reader = mirror.reader();
    let clock = &client.transport().clock;
    clock.run(mirror.next()).unwrap();
    let wait = async {
        let mut oldest = Duration::ZERO;
        let mut next = pin!(mirror.next());
        for _ in 0..60 {
            let sleep = client.transport().clock.sleep(SECOND);
            if let Either::Left((update, _)) = select(&mut next, pin!(sleep)).await {
                panic!("{update:?}");
            }
            oldest = oldest.max(reader.age().unwrap());
        }
        oldest
    };
    let oldest = clock.run(wait);
    assert!(oldest <= SECOND * 10, "{oldest:?}");
    let mut zero = client
        .v3()
        .mirror(KeyRange::all())
        .silence_limit(Duration::ZERO);
    let error = clock.run(zero.next()).unwrap_err();
    assert!(matches!(error, Error::Invalid(_)), "{error}");
}

#[test]
fn the_copy_of_a_mirror_is_as_fresh_as_the_last_event() {
    let client = Client::new(WatchServer::at(4), ["http://a"]).unwrap();
    let mut mirror = client.v3().mirror(KeyRange::all());
    let store = client.transport();
    store.clock.run(mirror.next()).unwrap();
    for revision in 5..8 {
        store.clock.run(store.clock.sleep(SECOND * 4));
        assert_eq!(mirror.age(), Some(SECOND * 4));
        store.write("k");
        let update = store.clock.run(mirror.next()).unwrap();
        assert_eq!(
            (update.revision, mirror.age()),
            (revision, Some(Duration::ZERO))
        );
    }
}

#[test]
fn pages_that_are_too_large_are_halved_down_to_one_key() {
    for (limit, smallest) in [(1_500, 15), (800, 7), (200, 1)] {
        let client = Client::builder(with_keys(40))
            .endpoints(["http://a"])
            .max_response_size(limit)
            .build()
            .unwrap();
        let all = RangeStream::new(KeyRange::all()).page(30);
        let found: Result<Vec<_>, _> = items(&client, all, 100).into_iter().collect();
        assert_eq!(found.unwrap().len(), 40);
        assert_eq!(pages(&client).last(), Some(&smallest));

        let mut mirror = client.v3().mirror(KeyRange::all()).page(30);
        client.transport().clock.run(mirror.next()).unwrap();
        assert_eq!(mirror.len(), 40);
    }
    let tiny = Client::builder(with_keys(4))
        .endpoints(["http://a"])
        .max_response_size(50)
        .build()
        .unwrap();
    let found = items(&tiny, RangeStream::new(KeyRange::all()), 10);
    assert!(found.len() == 1 && found[0].is_err(), "{found:?}");
    assert_eq!(pages(&tiny).last(), Some(&1));
}

#[test]
fn a_page_that_times_out_is_asked_for_in_smaller_ones() {
    let client = client(with_keys(40).with(|state| {
        // All attempts at the first page.
        state.mute.insert("/v3/kv/range", 5);
    }));
    let all = RangeStream::new(KeyRange::all()).page(16);
    let found: Result<Vec<_>, _> = items(&client, all, 100).into_iter().collect();
    assert_eq!(found.unwrap().len(), 40);
    let expected = [16, 16, 16, 16, 16, 1, 2, 4, 8, 8, 8, 8, 8];
    assert_eq!(pages(&client)[..10], expected[..10]);
}

#[test]
fn a_watch_on_three_dead_endpoints_backs_off() {
    let client = down(&["http://a", "http://b", "http://c"]);
    let watch = Watch::new("k").outage_limit(SECOND);
    block_on(client.open(watch).next()).unwrap().unwrap_err();
    let attempts = client.transport().seen().len();
    assert!((9..=24).contains(&attempts), "{attempts}");

    let client = down(&["http://a", "http://b", "http://c"]);
    let mut mirror = Mirror::new(&client, KeyRange::all()).outage_limit(SECOND);
    block_on(mirror.next()).unwrap_err();
    let attempts = client.transport().seen().len();
    assert!((9..=36).contains(&attempts), "{attempts}");

    let store = Store::at(4).with(|state| state.connections = refused(1_000).into());
    let client = Client::new(store, ["http://a", "http://b", "http://c"]).unwrap();
    let watch = Watch::new("k").from_revision(5).outage_limit(SECOND);
    items(&client, watch, 1).remove(0).unwrap_err();
    let attempts = client.transport().seen().len();
    assert!((9..=24).contains(&attempts), "{attempts}");
}
