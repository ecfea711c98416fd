//! Sets of watches that change while they are open: on one stream, if the stack supports it.

use std::sync::{Arc, Mutex};

use etcd_http::{
    AttemptOutcome, Client, Protocol,
    server::Server,
    v3::{Put, Watch, WatchSet},
};
use futures::StreamExt;
use harness::{certificates::Authority, watch_set_churn::churn};

use crate::{
    servers::server,
    stacks::{Stack, Tls},
};

/// A server, a client of it, and how its requests for watches ended.
struct Watched<S> {
    /// Its files are read with each connection.
    _authority: Authority,
    server: Server,
    client: Client<S>,
    requests: Arc<Mutex<Vec<AttemptOutcome>>>,
}

impl<S: Stack> Watched<S> {
    fn new() -> Self {
        Self::with(Tls::default())
    }

    fn with(tls: Tls) -> Self {
        let mut authority = Authority::new();
        let server = server(&authority.issue("127.0.0.1"));
        let tls = Tls {
            authority: Some(authority.certificate()),
            ..tls
        };
        let requests = Arc::new(Mutex::new(Vec::new()));
        let all = Arc::clone(&requests);
        let client = Client::builder(S::with(&tls))
            .endpoints([server.client_url()])
            .protocol(Protocol::Gateway)
            .observe(move |attempt| {
                if attempt.operation == "v3.watch" {
                    all.lock().unwrap().push(attempt.outcome);
                }
            })
            .build()
            .unwrap();
        Self {
            _authority: authority,
            server,
            client,
            requests,
        }
    }

    fn requests(&self) -> Vec<AttemptOutcome> {
        self.requests.lock().unwrap().clone()
    }

    /// A duplex request was rejected, and not tried again. The others were complete.
    fn was_refused_once(&self) {
        let requests = self.requests();
        let refused = requests
            .iter()
            .filter(|&&outcome| outcome == AttemptOutcome::NotSent);
        assert_eq!(refused.count(), 1, "{requests:?}");
        assert!(requests.len() > 2, "{requests:?}");
    }
}

pub(crate) async fn v3_134_a_set_that_changes_goes_on_in_one_stream<S: Stack>() {
    let watched = Watched::<S>::new();
    churn(&watched.client, "churn", 100).await;
    if S::IS_DUPLEX {
        let requests = watched.requests();
        assert_eq!(requests, [AttemptOutcome::Answered], "one stream");
    } else {
        watched.was_refused_once();
    }
}

/// With TLS the version of HTTP is negotiated, and the transport reports it before anything is sent.
pub(crate) async fn a_set_changes_over_http_1<S: Stack>() {
    let watched = Watched::<S>::with(Tls {
        is_http1: true,
        ..Tls::default()
    });
    churn(&watched.client, "churn", 20).await;
    watched.was_refused_once();
}

/// The server buffers what is not read. Requests made meanwhile wait, too, and block nothing.
pub(crate) async fn changes_and_a_slow_reader_do_not_wait_for_one_another<S: Stack>() {
    let watched = Watched::<S>::new();
    let value = "x".repeat(1_000_000);
    let first = watched.client.send(Put::new("big", value.as_str())).await;
    let first = first.unwrap().header.revision;
    let (set, control) = WatchSet::new([Watch::new("big").from_revision(first)]).controlled();
    let mut items = watched.client.open(set);
    let mut next = async || {
        let item = items.next().await.unwrap().unwrap();
        (item.watch, item.changes.unwrap().revision)
    };
    assert_eq!(next().await, (0, first));
    // More than all windows and buffers on the way.
    for _ in 0..30 {
        let put = Put::new("big", value.as_str());
        watched.client.send(put).await.unwrap();
    }
    for number in 0..500 {
        let watch = control.add(Watch::new(format!("small/{number}")));
        if number % 2 == 0 {
            control.cancel(watch.unwrap());
        }
    }
    for revision in first + 1..=first + 30 {
        assert_eq!(next().await, (0, revision));
    }
    let small = control.add(Watch::new("small").from_revision(first + 31));
    watched.client.send(Put::new("small", "")).await.unwrap();
    assert_eq!(next().await, (small.unwrap(), first + 31));
}

pub(crate) async fn a_set_survives_its_server<S: Stack>() {
    let watched = Watched::<S>::new();
    let put = async |key: &str| {
        // A write must not use a connection that died with the server.
        let put = loop {
            match watched.client.send(Put::new(key, "")).await {
                Ok(put) => break put,
                Err(error) => println!("{error}"),
            }
        };
        put.header.revision
    };
    let first = put("a").await;
    let (set, control) = WatchSet::new([Watch::new("a").from_revision(first)]).controlled();
    let mut items = watched.client.open(set);
    let mut next = async || {
        let item = items.next().await.unwrap().unwrap();
        (item.watch, item.changes.unwrap().revision)
    };
    assert_eq!(next().await, (0, first));
    control.add(Watch::new("b").from_revision(first)).unwrap();
    control.add(Watch::new("c").from_revision(first)).unwrap();
    let second = put("b").await;
    assert_eq!(next().await, (1, second));
    control.cancel(2);
    for kill in [true, false] {
        if kill {
            watched.server.kill().unwrap();
        }
        watched.server.restart().unwrap();
        control.add(Watch::new("d")).unwrap();
        for (watch, key) in [(0, "a"), (1, "b")] {
            put("c").await;
            let revision = put(key).await;
            assert_eq!(next().await, (watch, revision));
        }
    }
}
