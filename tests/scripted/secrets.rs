//! Passwords and tokens are never printed.

use std::{
    error::Error as StdError,
    fmt::Debug,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Arc, Mutex},
};

use etcd_http::{
    Client, ClientBuilder, Error, Operation, Result,
    transport::http::Method,
    v2::{
        AddUser, ChangePassword, CompareAndSwap, Condition, Create, Get, ListMembers, Set, Watch,
    },
    v3,
};
use futures::StreamExt;
use harness::{
    clock::block_on,
    scripted_transport::{
        Ending, ScriptedTransport, Step, etcd_error, file, keys, members, open, with_headers,
    },
};

const PASSWORD: &str = "hunter2-s3cret";

const TOKEN: &str = "EKEmhCuzMoqbbNdd.9";

/// The token; the password as it is, as base64 of `root:password` and of itself, and percent-encoded as a form would
/// have it.
const TRACES: [&str; 5] = [
    TOKEN,
    PASSWORD,
    "cm9vdDpodW50ZXIyLXMzY3JldA",
    "aHVudGVyMi1zM2NyZXQ",
    "hunter2%2Ds3cret",
];

/// Everything that was printed.
#[derive(Clone, Default)]
struct Paper(Arc<Mutex<String>>);

impl Paper {
    fn print(&self, text: impl AsRef<str>) {
        let mut paper = self.0.lock().unwrap();
        paper.push_str(text.as_ref());
        paper.push('\n');
    }

    fn print_debug(&self, what: &impl Debug) {
        self.print(format!("{what:?}\n{what:#?}"));
    }

    /// An error with all its sources.
    fn print_error(&self, error: &Error) {
        self.print_debug(error);
        self.print(error.to_string());
        let mut source = error.source();
        while let Some(error) = source {
            self.print(format!("{error} {error:?}"));
            source = error.source();
        }
        if let Error::Http(error) = error {
            self.print(error.excerpt());
        }
    }

    fn check(&self) {
        let paper = self.0.lock().unwrap();
        assert!(paper.len() > 10_000, "hardly anything was printed");
        for trace in TRACES {
            if let Some(at) = paper.find(trace) {
                let from = at.saturating_sub(200);
                panic!("{trace} is in: …{}", &paper[from..at + trace.len()]);
            }
        }
    }
}

fn builder(steps: impl IntoIterator<Item = Step>) -> ClientBuilder<ScriptedTransport> {
    Client::builder(ScriptedTransport::new(steps))
        .endpoints(["http://a", "http://b"])
        .basic_auth("root", PASSWORD)
        .allow_insecure_auth(true)
}

/// Each way in which an attempt can end, often enough for all attempts.
fn endings() -> Vec<fn() -> Step> {
    vec![
        || Step::Refuse,
        || Step::Break,
        || Step::Reject,
        || Step::Silence,
        || etcd_error(401, 110, 0),
        || etcd_error(404, 100, 5),
        || etcd_error(412, 101, 5),
        || etcd_error(500, 300, 0),
        || Step::Respond(502, vec![], Ending::Whole("<h1>Bad gateway</h1>".into())),
        || Step::Respond(200, vec![], Ending::Cut("{\"action\":")),
        || Step::Respond(200, vec![], Ending::Open),
        || keys(200, 5, "<html>"),
        || keys(200, 5, "x".repeat(2000)),
        || keys(200, 5, file("get", "/x", 5)),
        || members(&[&["http://c"]]),
        || with_headers(open(5), &[("content-encoding", "gzip")]),
        || with_headers(keys(200, 5, "{}"), &[("x-etcd-cluster-id", "beef")]),
        || {
            Step::Respond(
                307,
                vec![("location", "http://evil/v2".into())],
                Ending::Whole(String::new()),
            )
        },
    ]
}

fn tell<O>(paper: &Paper, client: &Client<ScriptedTransport>, operation: O)
where
    O: Operation + Debug,
    O::Output: Debug,
{
    paper.print_debug(&operation);
    paper.print(client.to_curl(&operation).unwrap());
    let result: Result<O::Output> = block_on(client.send(operation));
    match result {
        Ok(answer) => paper.print_debug(&answer),
        Err(error) => paper.print_error(&error),
    }
    paper.print_debug(client);
}

fn everything(paper: &Paper) {
    for ending in endings() {
        let client = || {
            let ours = with_headers(
                keys(200, 5, file("get", "/x", 5)),
                &[("x-etcd-cluster-id", "1")],
            );
            let observer = paper.clone();
            let builder = builder([ours].into_iter().chain((0..12).map(|_| ending())))
                .max_response_size(1000)
                .reject_stale_reads(true)
                .observe(move |attempt| observer.print_debug(attempt));
            paper.print_debug(&builder);
            let client = builder.build().unwrap();
            block_on(client.v2().get("x")).unwrap();
            client
        };
        tell(paper, &client(), Get::new("x"));
        tell(paper, &client(), Set::new("x", "y"));
        tell(paper, &client(), Create::new("x", "y"));
        tell(
            paper,
            &client(),
            CompareAndSwap::new("x", "y", Condition::index_is(3)),
        );
        tell(paper, &client(), ListMembers::new());
        tell(paper, &client(), AddUser::new("a", PASSWORD));
        tell(paper, &client(), ChangePassword::new("a", PASSWORD));
        let raw = client()
            .request(Method::POST, "/v2/auth/x")
            .form("password", PASSWORD);
        tell(paper, &client(), raw);
        let syncing = client();
        match block_on(syncing.sync()) {
            Ok(sync) => paper.print_debug(&sync),
            Err(error) => paper.print_error(&error),
        }
        // The token is as secret as the password.
        for v3 in [true, false] {
            let grant = keys(200, 0, format!(r#"{{"token":"{TOKEN}"}}"#));
            let granted = v3.then_some(grant).into_iter();
            let client = builder(granted.chain((0..24).map(|_| ending())))
                .v3_auth("root", PASSWORD)
                .build()
                .unwrap();
            tell(paper, &client, v3::Put::new("x", "y"));
            tell(paper, &client, v3::Authenticate::new("root", PASSWORD));
            tell(paper, &client, v3::AddUser::new("a", PASSWORD));
        }
        let watching = client();
        let watch = Watch::new("x")
            .from_index(6)
            .outage_limit(std::time::Duration::ZERO);
        // A script that has ended panics; its message is part of what can be printed.
        let watched = catch_unwind(AssertUnwindSafe(|| {
            block_on(watching.open(watch).take(2).collect::<Vec<_>>())
        }));
        match watched {
            Ok(updates) => {
                for error in updates.into_iter().filter_map(Result::err) {
                    paper.print_error(&error);
                }
            }
            Err(panic) => paper.print(panic.downcast_ref::<String>().unwrap()),
        }
    }
    for refused in [
        builder([]).allow_insecure_auth(false).build(),
        builder([])
            .endpoints(["http://root:hunter2-s3cret@c"])
            .build(),
        builder([]).basic_auth("a:b", PASSWORD).build(),
        builder([]).basic_auth("", PASSWORD).build(),
    ] {
        paper.print_error(&refused.unwrap_err());
    }
}

#[test]
fn nothing_that_can_be_printed_has_the_password_in_it() {
    let paper = Paper::default();
    #[cfg(feature = "tracing")]
    {
        let spans = crate::spans::Spans::default();
        tracing::subscriber::with_default(spans.clone(), || everything(&paper));
        let lines = spans.lines();
        assert!(lines.len() > 100);
        paper.print(lines.join("\n"));
    }
    #[cfg(not(feature = "tracing"))]
    everything(&paper);
    paper.check();
}

/// Without what is secret, it tells what the client is set to and what it knows.
#[test]
fn the_debug_output_of_a_client_names_its_endpoints_and_settings() {
    let client = builder([Step::Refuse, keys(200, 5, file("get", "/x", 5))])
        .v3_auth("root", PASSWORD)
        .observe(|_| {})
        .build()
        .unwrap();
    let before = format!("{client:?}");
    block_on(client.v2().get("x")).unwrap();
    let after = format!("{client:?}");
    for part in [
        "EndpointState { endpoint: Endpoint(http://a), failures: 0, .. }",
        "Some(Tokens(***))",
        "sync: SyncPolicy { rewrite: false, allow: false, only_secure: false }",
        "observer: Observer",
    ] {
        assert!(before.contains(part), "{part} is not in {before}");
    }
    let failed = "EndpointState { endpoint: Endpoint(http://a), failures: 1, .. }";
    assert!(after.contains(failed), "{after}");
}

#[test]
fn a_refusal_that_quotes_the_request_does_not_show_the_password() {
    use etcd_http::v3::{AddUser, Authenticate, ChangePassword};

    let quoting = |status: u16| {
        let echo = r#"{"name":"root","password":"hunter2"}"#;
        let json = format!(
            r#"{{"code":3,"message":"cannot parse {}"}}"#,
            echo.replace('"', "'")
        );
        [
            json,
            format!("<h1>Bad request: {echo}</h1>"),
            echo.to_owned(),
        ]
        .map(|body| {
            let headers = vec![("content-type", "application/json".to_owned())];
            let step = || Step::Respond(status, headers.clone(), Ending::Whole(body.clone()));
            (0..5).map(|_| step()).collect::<Vec<_>>()
        })
    };
    for status in [400, 403, 500, 200] {
        for steps in quoting(status) {
            let client = Client::new(ScriptedTransport::new(steps), ["http://a"]).unwrap();
            let error = block_on(client.send(Authenticate::new("root", "hunter2"))).unwrap_err();
            let shown = format!("{error} {error:?}");
            assert!(!shown.contains("hunter2"), "{status}: {shown}");
        }
        for steps in quoting(status) {
            let client = Client::new(ScriptedTransport::new(steps), ["http://a"]).unwrap();
            let error = block_on(client.send(AddUser::new("root", "hunter2"))).unwrap_err();
            assert!(!format!("{error} {error:?}").contains("hunter2"), "{error}");
            let error = block_on(client.send(ChangePassword::new("root", "hunter2")));
            assert!(!format!("{error:?}").contains("hunter2"), "{error:?}");
        }
    }
}
