//! Examinations of an endpoint: no write finds out the protocol, and calls that need it share one.

use std::{
    sync::Mutex,
    time::{Duration, Instant},
};

use etcd_http::{
    Client, Operation, Outcome, Result, RetryPolicy,
    transport::{
        Body, Request, Response, Transport, TransportError, async_trait, bytes::Bytes,
        http::HeaderMap, http_body::Frame,
    },
    v3::{self, Put},
};
use futures::future::join_all;
use harness::{
    clock::VirtualClock,
    scripted_transport::{ScriptedTransport, Step},
};

use crate::protocol::{self, MESSAGE, SECOND};

#[test]
fn the_time_of_the_examination_is_part_of_the_calls() {
    let client = Client::new(Slow::default(), ["http://a"]).unwrap();
    let policy = RetryPolicy::default().overall(SECOND / 2);
    let clock = &client.transport().clock;
    let put = clock.run(client.with_retry(policy).send(Put::new("k", "v")));
    let error = put.unwrap_err();
    assert_eq!(error.outcome(), Outcome::NotSent, "{error}");
    assert_eq!(clock.elapsed(), SECOND / 2);
    assert!(
        client.endpoints()[0].is_up,
        "the caller had no time: the endpoint has shown nothing"
    );
}

/// A server that takes a second for each request, and its requests.
#[derive(Debug, Default)]
struct Slow {
    clock: VirtualClock,
    /// Whether it responds to gRPC with a page.
    is_gateway: bool,
    seen: Mutex<Vec<String>>,
}

#[async_trait]
impl Transport for Slow {
    async fn send(&self, request: Request) -> Result<Response, TransportError> {
        let path = request.uri().path().to_owned();
        self.seen.lock().unwrap().push(path.clone());
        self.clock.sleep(SECOND).await;
        if path.starts_with("/v3/") {
            let body = r#"{"header":{"cluster_id":"7"},"ID":"5","TTL":"9","key":"aw=="}"#;
            return Ok(Response::new(body.into()));
        }
        if self.is_gateway {
            let mut page = Response::new("404 page not found".into());
            *page.status_mut() = 404.try_into().unwrap();
            return Ok(page);
        }
        let trailers = HeaderMap::from_iter([("grpc-status".parse().unwrap(), 0.into())]);
        let message = Bytes::from_static(MESSAGE.as_bytes());
        Ok(Response::new(Body::from_frames([
            Ok(Frame::data(message)),
            Ok(Frame::trailers(trailers)),
        ])))
    }

    async fn sleep(&self, duration: Duration) {
        self.clock.sleep(duration).await;
    }

    fn now(&self) -> Instant {
        self.clock.now()
    }
}

/// What was asked by gRPC.
fn by_grpc(client: &Client<Slow>) -> Vec<String> {
    let seen = client.transport().seen.lock().unwrap();
    let grpc = seen.iter().filter(|path| !path.starts_with("/v3/"));
    grpc.cloned().collect()
}

#[test]
fn writes_that_come_first_share_one_examination() {
    for is_gateway in [false, true] {
        let transport = Slow {
            is_gateway,
            ..Slow::default()
        };
        let client = Client::new(transport, ["http://a"]).unwrap();
        let clock = &client.transport().clock;
        let puts = (0..20).map(|_| client.send(Put::new("k", "v")));
        for put in clock.run(join_all(puts)) {
            put.unwrap();
        }
        assert_eq!(clock.elapsed(), SECOND * 2);
        assert_eq!(client.transport().seen.lock().unwrap().len(), 21);
        assert_eq!(by_grpc(&client).len(), if is_gateway { 1 } else { 21 });
    }
}

#[test]
fn an_examination_that_was_dropped_does_not_block_others() {
    let client = Client::new(Slow::default(), ["http://a"]).unwrap();
    let clock = &client.transport().clock;
    let dropped = async {
        let put = Box::pin(client.send(Put::new("k", "v")));
        let sleep = Box::pin(clock.sleep(SECOND / 2));
        futures::future::select(put, sleep).await;
    };
    clock.run(dropped);
    clock.run(client.send(Put::new("k", "v"))).unwrap();
    assert_eq!(clock.elapsed(), SECOND * 5 / 2);
}

/// Each of them may be a server without HTTP/2, which only its gateway shows.
#[test]
fn a_call_to_endpoints_that_break_every_connection_asks_each_of_them_four_times_at_most() {
    const ENDPOINTS: [&str; 5] = ["http://a", "http://b", "http://c", "http://d", "http://e"];
    for broken in [|| Step::Break, || Step::Unprocessed] {
        let steps = std::iter::repeat_with(broken).take(1000);
        let transport = ScriptedTransport::new(steps).with_grpc();
        let client = Client::new(transport, ENDPOINTS).unwrap();
        let asked = || client.transport().seen().len();
        // Also when each of them has failed before.
        for round in 0..3 {
            let before = asked();
            protocol::read(&client).unwrap_err();
            assert_eq!(
                asked() - before,
                20,
                "a read: request, status, status, gateway; {round}"
            );
            let before = asked();
            assert_eq!(
                protocol::put(&client).unwrap_err().outcome(),
                Outcome::NotSent
            );
            assert_eq!(
                asked() - before,
                15,
                "a write, the same without the first; {round}"
            );
        }
    }
}

/// What a proxy makes of the first request by gRPC is unknown: it must change nothing.
#[test]
fn no_write_finds_out_the_protocol() {
    fn check<O: Operation>(operation: O) {
        let transport = Slow {
            is_gateway: true,
            ..Slow::default()
        };
        let client = Client::new(transport, ["http://a"]).unwrap();
        // Some responses do not fit.
        let _ = client.transport().clock.run(client.send(operation));
        let status = "/etcdserverpb.Maintenance/Status";
        assert_eq!(by_grpc(&client), [status], "{}", O::NAME);
        let seen = client.transport().seen.lock().unwrap();
        assert!(seen.len() > 1 && seen[0] == status, "{seen:?}");
    }
    check(Put::new("k", "v"));
    check(v3::DeleteRange::new("k"));
    let txn = v3::Txn::new().then(Put::new("k", "v"));
    check(txn.clone());
    check(v3::ExactlyOnce::new("m", txn));
    check(v3::Compact::new(5));
    check(v3::GrantLease::new(SECOND * 60));
    check(v3::RevokeLease::new(5));
    check(v3::KeepAliveOnce::new(5));
    check(v3::Lock::new("l", 5));
    check(v3::Unlock::new("l/5"));
    check(v3::Campaign::new("e", 5, "v"));
    let mut leader = v3::LeaderKey::default();
    leader.key = "e/5".into();
    check(v3::Proclaim::new(leader.clone(), "v"));
    check(v3::Resign::new(leader));
    check(v3::AddMember::new(["http://10.0.0.1:2380"]));
    check(v3::RemoveMember::new(5));
    check(v3::UpdateMember::new(5, ["http://10.0.0.1:2380"]));
    check(v3::PromoteMember::new(5));
    check(v3::Defragment::new());
    check(v3::TransferLeadership::new(5));
    check(v3::SetAlarm::raise(v3::AlarmKind::NoSpace));
    check(v3::SetAlarm::lift(v3::AlarmKind::NoSpace));
    check(v3::Downgrade::enable("3.4.0"));
    check(v3::Downgrade::cancel());
    check(v3::EnableAuth::new());
    check(v3::DisableAuth::new());
    check(v3::Authenticate::new("u", "p"));
    check(v3::AddUser::new("u", "p"));
    check(v3::DeleteUser::new("u"));
    check(v3::ChangePassword::new("u", "p"));
    check(v3::GrantRole::new("u", "r"));
    check(v3::RevokeRole::new("u", "r"));
    check(v3::AddRole::new("r"));
    check(v3::DeleteRole::new("r"));
    let permission = v3::Permission::read("k");
    check(v3::GrantPermission::new("r", permission));
    check(v3::RevokePermission::new("r", "k"));
}
