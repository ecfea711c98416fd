//! Servers whose certificate is not accepted: nothing is sent, and another attempt at such an endpoint does not help.

use std::{
    sync::atomic::{AtomicUsize, Ordering::Relaxed},
    time::{Duration, Instant},
};

use etcd_http::{
    Client, ClientBuilder, Error, Outcome, Protocol,
    transport::{Request, Response, Transport, TransportError, TransportErrorKind, async_trait},
    v2,
    v3::{self, KeyRange, Mirror},
};
use futures::StreamExt;
use harness::{
    clock::block_on,
    scripted_transport::{ScriptedTransport, file, keys},
};

use crate::v3_store::{Connection, Store};

/// A transport that does not trust some servers.
#[derive(Debug)]
struct Distrustful<T> {
    inner: T,
    /// Whether the server is not trusted, by its host and the number of the request, from 1.
    distrusts: fn(&str, usize) -> bool,
    requests: AtomicUsize,
    refused: AtomicUsize,
}

impl<T: Transport> Distrustful<T> {
    fn new(inner: T, distrusts: fn(&str, usize) -> bool) -> Self {
        Self {
            inner,
            distrusts,
            requests: AtomicUsize::new(0),
            refused: AtomicUsize::new(0),
        }
    }

    fn refused(&self) -> usize {
        self.refused.load(Relaxed)
    }
}

#[async_trait]
impl<T: Transport> Transport for Distrustful<T> {
    async fn send(&self, request: Request) -> Result<Response, TransportError> {
        let number = self.requests.fetch_add(1, Relaxed) + 1;
        if (self.distrusts)(request.uri().host().unwrap(), number) {
            self.refused.fetch_add(1, Relaxed);
            let reason = "invalid peer certificate: UnknownIssuer";
            return Err(TransportError::untrusted(reason));
        }
        self.inner.send(request).await
    }

    async fn sleep(&self, duration: Duration) {
        self.inner.sleep(duration).await;
    }

    fn now(&self) -> Instant {
        self.inner.now()
    }
}

type Scripted = Distrustful<ScriptedTransport>;

/// A client of a v2 store with so many responses, and of `bad` servers.
fn v2(endpoints: &[&str], responses: usize) -> Client<Scripted> {
    let event = |_| keys(200, 7, file("set", "/x", 7));
    let transport = ScriptedTransport::new((0..responses).map(event));
    let transport = Distrustful::new(transport, is_bad);
    Client::new(transport, endpoints.iter().copied()).unwrap()
}

fn is_bad(host: &str, _: usize) -> bool {
    host.starts_with("bad")
}

/// A client of a v3 store at revision 5, and of `bad` servers.
fn v3(endpoints: &[&str]) -> Client<Distrustful<Store>> {
    builder(is_bad)
        .endpoints(endpoints.iter().copied())
        .build()
        .unwrap()
}

fn builder(distrusts: fn(&str, usize) -> bool) -> ClientBuilder<Distrustful<Store>> {
    let store = Store::at(4).with(|state| state.write(["k".to_owned()]));
    Client::builder(Distrustful::new(store, distrusts))
}

fn assert_untrusted(error: &Error) {
    assert_eq!(error.outcome(), Outcome::NotSent);
    let text = error.to_string();
    let reason = "could not connect: invalid peer certificate: UnknownIssuer";
    assert!(text.contains(reason), "{text}");
}

#[test]
fn a_certificate_that_is_not_accepted_is_asked_for_once() {
    for endpoints in [&["https://bad"][..], &["https://bad1", "https://bad2"]] {
        let client = || v2(endpoints, 0);
        let (read, write) = (client(), client());
        assert_untrusted(&block_on(read.send(v2::Get::new("x"))).unwrap_err());
        assert_untrusted(&block_on(write.send(v2::Set::new("x", "y"))).unwrap_err());
        for client in [read, write] {
            assert_eq!(client.transport().refused(), endpoints.len());
            assert_eq!(client.transport().inner.elapsed(), Duration::ZERO);
        }
        let client = || v3(endpoints);
        let (read, write) = (client(), client());
        let clock = |client: &Client<Distrustful<Store>>| client.transport().inner.clock.elapsed();
        assert_untrusted(&block_on(read.send(v3::Range::new("k"))).unwrap_err());
        assert_untrusted(&block_on(write.send(v3::Put::new("k", "v"))).unwrap_err());
        for client in [read, write] {
            assert_eq!(client.transport().refused(), endpoints.len());
            assert_eq!(clock(&client), Duration::ZERO);
        }
    }
}

#[test]
fn the_other_endpoints_are_asked_and_the_bad_one_is_left_alone_for_a_while() {
    let endpoints = ["https://bad", "https://good"];
    let client = v2(&endpoints, 2);
    for _ in 0..2 {
        block_on(client.send(v2::Set::new("x", "y"))).unwrap();
    }
    assert_eq!(client.transport().refused(), 1);
    let client = v3(&endpoints);
    for _ in 0..2 {
        block_on(client.send(v3::Range::new("k"))).unwrap();
    }
    assert_eq!(client.transport().refused(), 1);
}

#[test]
fn a_stream_that_has_not_worked_ends_at_once_unless_another_endpoint_serves_it() {
    for (endpoints, is_served) in [
        (&["https://bad"][..], false),
        (&["https://bad1", "https://bad2"], false),
        (&["https://bad", "https://good"], true),
    ] {
        let client = v2(endpoints, 1);
        let mut watch = client.open(v2::Watch::new("x").from_index(7));
        let event = block_on(watch.next()).unwrap();
        assert_eq!(event.is_ok(), is_served, "{event:?}");
        assert_eq!(client.transport().inner.elapsed(), Duration::ZERO);

        let client = v3(endpoints);
        let mut watch = client.open(v3::Watch::new("k").from_revision(5));
        let clock = &client.transport().inner.clock;
        let changes = clock.run(watch.next()).unwrap();
        assert_eq!(changes.is_ok(), is_served, "{changes:?}");
        assert_eq!(clock.elapsed(), Duration::ZERO);

        let client = v3(endpoints);
        let mut mirror = Mirror::new(&client, KeyRange::all());
        let clock = &client.transport().inner.clock;
        let listing = clock.run(mirror.next());
        assert_eq!(listing.is_ok(), is_served, "{listing:?}");
        assert_eq!(clock.elapsed(), Duration::ZERO);
        assert!(client.transport().refused() <= endpoints.len());
    }
}

/// A certificate may be replaced a moment too late.
#[test]
fn a_stream_that_has_worked_waits_for_a_better_certificate() {
    let client = builder(|_, number| (2..=4).contains(&number)).endpoints(["https://a"]);
    let client = client.protocol(Protocol::Gateway).build().unwrap();
    client.transport().inner.state.lock().unwrap().connections = [Connection {
        cut: Some(1_000_000),
        then: Some(|state| state.write(["new".to_owned()])),
        ..Connection::default()
    }]
    .into();
    let watch = client.open(v3::Watch::new(KeyRange::all()).from_revision(5));
    let clock = &client.transport().inner.clock;
    let changes = clock.run(watch.take(2).collect::<Vec<_>>());
    let revisions = changes.into_iter().map(|changes| changes.unwrap().revision);
    assert_eq!(revisions.collect::<Vec<_>>(), [5, 6]);
    assert_eq!(client.transport().refused(), 3);
}

#[test]
fn an_untrusted_server_has_received_nothing() {
    let error = TransportError::untrusted("UnknownIssuer");
    assert_eq!(error.kind(), TransportErrorKind::Untrusted);
    assert!(error.is_unsent());
}
