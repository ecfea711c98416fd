//! Watches through a proxy that withholds each response until its end.

use std::{
    future::pending,
    pin::Pin,
    sync::{Arc, Mutex},
    task::{Context, Poll},
    time::{Duration, Instant},
};

use etcd_http::{
    AttemptOutcome, Client, Error,
    transport::{
        Body, Request, Response, Transport, TransportError, async_trait,
        bytes::Bytes,
        http_body::{self, Frame},
    },
    v3::{Changes, KeyRange, Observe, Watch, WatchSet},
};
use futures::{
    StreamExt,
    future::{Either, join, select},
    stream::BoxStream,
};
use harness::{clock::VirtualClock, scripted_transport::without_grpc};
use serde_json::json;

use crate::{v3_streams::leader, v3_watch_server::WatchServer};

const SECOND: Duration = Duration::from_secs(1);

/// What was reported of attempts: the outcome and the reason.
type Reported = Arc<Mutex<Vec<(AttemptOutcome, String)>>>;

/// A client whose requests pass through the proxy.
fn behind_a_proxy(endpoints: &[&str]) -> (Client<WatchServer>, Reported) {
    let server = WatchServer::at(4).with(|state| state.buffers = true);
    let reported = Reported::default();
    let seen = Arc::clone(&reported);
    let client = Client::builder(server)
        .endpoints(endpoints)
        .observe(move |attempt| {
            let reason = attempt.reason.clone().unwrap_or_default();
            seen.lock().unwrap().push((attempt.outcome, reason));
        });
    (client.build().unwrap(), reported)
}

fn watch(client: &Client<WatchServer>) -> BoxStream<'static, Result<Changes, Error>> {
    client.open(Watch::new(KeyRange::prefix("k")).from_revision(5))
}

#[test]
fn a_watch_through_a_proxy_that_buffers_delivers_everything_with_default_settings() {
    for endpoints in [&["http://a"][..], &["http://a", "http://b", "http://c"]] {
        let (client, reported) = behind_a_proxy(endpoints);
        let (store, mut changes) = (client.transport(), watch(&client));
        let writes = async {
            for number in 0..60 {
                store.clock.sleep(SECOND * 7 / 10).await;
                store.write(["k", "k2", "other"][number % 3]);
            }
        };
        let mut first = None;
        let follow = async {
            let mut revisions = Vec::new();
            while revisions.len() < 40 {
                revisions.push(changes.next().await.unwrap().unwrap().revision);
                first.get_or_insert(store.clock.elapsed());
            }
            revisions
        };
        let (revisions, ()) = store.clock.run(join(follow, writes));
        let expected = (5..65).filter(|revision| (revision - 5) % 3 != 2);
        assert!(revisions.iter().copied().eq(expected), "{revisions:?}");
        assert!(first.unwrap() <= SECOND * 15, "{first:?}");
        // No event waits longer than one of the short requests lasts.
        assert!(
            store.clock.elapsed() <= SECOND * 46,
            "{:?}",
            store.clock.elapsed()
        );
        let reported = reported.lock().unwrap();
        let reason = reported
            .iter()
            .find(|(_, reason)| reason.contains("buffer"));
        let (outcome, reason) = reason.unwrap();
        assert_eq!(*outcome, AttemptOutcome::TimedOut);
        assert!(reason.contains("nginx"), "{reason}");
    }
}

#[test]
fn a_proxy_that_no_longer_buffers_is_noticed() {
    let (client, _) = behind_a_proxy(&["http://a"]);
    let (store, mut changes) = (client.transport(), watch(&client));
    store.write("k");
    let mut next = || store.clock.run(changes.next()).unwrap().unwrap().revision;
    assert_eq!(next(), 5);
    store.change(|state| state.buffers = false);
    store.write("k");
    assert_eq!(next(), 6);
    // The last of the short requests ends, and a plain one stays open.
    let mut idle = |seconds| {
        let sleep = store.clock.sleep(SECOND * seconds);
        let next = select(changes.next(), Box::pin(sleep));
        assert!(matches!(store.clock.run(next), Either::Right(_)));
        store.log().matches("h1").count()
    };
    let requests = idle(10);
    assert_eq!(idle(60), requests);
}

#[test]
fn an_outage_limit_ends_in_what_to_do() {
    let (client, _) = behind_a_proxy(&["http://a"]);
    let watch = Watch::new("k").from_revision(5).outage_limit(SECOND * 4);
    let store = client.transport();
    let error = store.clock.run(client.open(watch).next());
    let error = error.unwrap().unwrap_err().to_string();
    assert!(error.contains("proxy_buffering off"), "{error}");
}

#[test]
fn a_set_of_watches_that_changes_goes_through_as_well() {
    let (client, _) = behind_a_proxy(&["http://a"]);
    let store = client.transport();
    let prefix = |prefix: &str| Watch::new(KeyRange::prefix(prefix)).from_revision(5);
    let (set, control) = WatchSet::new([prefix("a")]).controlled();
    let mut items = client.open(set);
    let mut next = || {
        let item = store.clock.run(items.next()).unwrap().unwrap();
        (item.watch, item.changes.unwrap().revision)
    };
    store.write("a");
    assert_eq!(next(), (0, 5));
    control.add(prefix("b")).unwrap();
    store.write("b");
    assert_eq!(next(), (1, 6));
    assert!(
        store.clock.elapsed() < SECOND * 25,
        "{:?}",
        store.clock.elapsed()
    );
}

/// An election behind the proxy: its leader, and how often it is observed.
#[derive(Debug, Default)]
struct Election {
    clock: VirtualClock,
    leader: Mutex<Option<&'static str>>,
    observed: Mutex<u32>,
}

#[async_trait]
impl Transport for Election {
    async fn send(&self, request: Request) -> Result<Response, TransportError> {
        without_grpc(&request)?;
        if request.uri().path() != "/v3/election/observe" {
            return Ok(Response::new(r#"{"header":{"cluster_id":"7"}}"#.into()));
        }
        *self.observed.lock().unwrap() += 1;
        let Some(limit) = request.headers().get("grpc-timeout") else {
            return pending().await;
        };
        assert_eq!(limit, "2000m");
        self.clock.sleep(SECOND * 2).await;
        let leader = self.leader.lock().unwrap().map(|name| leader(name, 5));
        let reported = leader.map(|leader| json!({"result": leader}).to_string());
        let late = r#"{"error":{"grpc_code":4,"message":"context deadline exceeded"}}"#;
        Ok(Response::new((reported.unwrap_or_default() + late).into()))
    }

    async fn sleep(&self, duration: Duration) {
        self.clock.sleep(duration).await;
    }

    fn now(&self) -> Instant {
        self.clock.now()
    }
}

#[test]
fn an_observer_through_a_proxy_that_buffers_receives_the_leader() {
    let client = Client::new(Election::default(), ["http://a"]).unwrap();
    let election = client.transport();
    let mut leaders = client.open(Observe::new("e"));
    // Nobody leads for an hour.
    let hour = Box::pin(election.clock.sleep(SECOND * 3600));
    let nobody = election.clock.run(select(leaders.next(), hour));
    assert!(matches!(nobody, Either::Right(_)));
    let observed = *election.observed.lock().unwrap();
    assert!(observed < 100, "{observed}");
    for name in ["one", "two"] {
        *election.leader.lock().unwrap() = Some(name);
        let began = election.clock.elapsed();
        let leader = election.clock.run(leaders.next()).unwrap().unwrap();
        assert_eq!(leader.key, name);
        let limit = if name == "one" {
            SECOND * 85
        } else {
            SECOND * 4
        };
        assert!(election.clock.elapsed() - began <= limit);
    }
    let mut first = client.open(Observe::new("e"));
    let began = election.clock.elapsed();
    election.clock.run(first.next()).unwrap().unwrap();
    assert!(election.clock.elapsed() - began <= SECOND * 10);
}

/// A server whose plain watch stalls within its second message: a proxy has passed on as much as it buffers.
#[derive(Debug, Default)]
struct Stalled {
    clock: VirtualClock,
    watches: Mutex<Vec<bool>>,
}

#[async_trait]
impl Transport for Stalled {
    async fn send(&self, request: Request) -> Result<Response, TransportError> {
        without_grpc(&request)?;
        const HEADER: &str = r#""header":{"cluster_id":"7","revision":"5"},"watch_id":"1""#;
        if request.uri().path() != "/v3/watch" {
            return Ok(Response::new(r#"{"header":{"cluster_id":"7"}}"#.into()));
        }
        let is_poll = request.headers().contains_key("grpc-timeout");
        self.watches.lock().unwrap().push(is_poll);
        let created = format!(r#"{{"result":{{{HEADER},"created":true}}}}"#);
        let event = format!(
            r#"{{"result":{{{HEADER},"events":[{{"kv":{{"key":"aw==","mod_revision":"5"}}}}]}}}}"#
        );
        if is_poll {
            self.clock.sleep(SECOND * 2).await;
            let late = r#"{"error":{"grpc_code":4,"message":"context deadline exceeded"}}"#;
            return Ok(Response::new((created + &event + late).into()));
        }
        let begun = created + &event[..event.len() / 2];
        Ok(Response::new(Body::stream(Begun(Some(begun.into())))))
    }

    async fn sleep(&self, duration: Duration) {
        self.clock.sleep(duration).await;
    }

    fn now(&self) -> Instant {
        self.clock.now()
    }
}

/// Some data, and no end.
struct Begun(Option<Bytes>);

impl http_body::Body for Begun {
    type Data = Bytes;
    type Error = TransportError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, TransportError>>> {
        match self.0.take() {
            Some(data) => Poll::Ready(Some(Ok(Frame::data(data)))),
            None => Poll::Pending,
        }
    }
}

#[test]
fn a_message_that_does_not_go_on_for_two_silences_is_withheld() {
    let client = Client::new(Stalled::default(), ["http://a"]).unwrap();
    let server = client.transport();
    let mut changes = client.open(Watch::new("k").from_revision(5));
    let first = server.clock.run(changes.next()).unwrap().unwrap();
    assert_eq!(first.revision, 5);
    assert_eq!(*server.watches.lock().unwrap(), [false, true]);
    let elapsed = server.clock.elapsed();
    assert!(
        elapsed >= SECOND * 12 && elapsed < SECOND * 13,
        "{elapsed:?}"
    );
}

/// A server that does not respond to the first watch, and the second one only while it is asked why.
#[derive(Debug, Default)]
struct Late {
    clock: VirtualClock,
    watches: Mutex<Vec<bool>>,
}

#[async_trait]
impl Transport for Late {
    async fn send(&self, request: Request) -> Result<Response, TransportError> {
        without_grpc(&request)?;
        if request.uri().path() != "/v3/watch" {
            self.clock.sleep(SECOND).await;
            return Ok(Response::new(r#"{"header":{"cluster_id":"7"}}"#.into()));
        }
        let number = {
            let mut watches = self.watches.lock().unwrap();
            watches.push(request.headers().contains_key("grpc-timeout"));
            watches.len()
        };
        if number == 1 {
            return pending().await;
        }
        self.clock.sleep(CREATE_LIMIT + SECOND / 2).await;
        let header = json!({"cluster_id": "7", "revision": "4"});
        let created = json!({"result": {"header": header, "watch_id": "1", "created": true}});
        let created = Bytes::from(created.to_string());
        Ok(Response::new(Body::stream(Begun(Some(created)))))
    }

    async fn sleep(&self, duration: Duration) {
        self.clock.sleep(duration).await;
    }

    fn now(&self) -> Instant {
        self.clock.now()
    }
}

/// How long a watch waits for its creation.
const CREATE_LIMIT: Duration = Duration::from_secs(5);

#[test]
fn a_first_message_that_comes_while_the_server_is_asked_is_not_withheld_later() {
    let client = Client::new(Late::default(), ["http://a"]).unwrap();
    let server = client.transport();
    let mut changes = client.open(Watch::new("k").from_revision(5));
    let minute = Box::pin(server.clock.sleep(SECOND * 60));
    let nothing = server.clock.run(select(changes.next(), minute));
    assert!(matches!(nothing, Either::Right(_)));
    // The server is alive, and the watch stays open.
    assert_eq!(*server.watches.lock().unwrap(), [false, false]);
}
