//! Reads that are sent to another endpoint as well, after some silence.

use std::time::Duration;

use etcd_http::{
    Client, Error, Outcome, RetryBudget, RetryPolicy,
    v3::{
        Compare, ExactlyOnce, GetLeader, GetTimeToLive, ListLeases, ListMembers, ListUsers, Put,
        Range, Txn,
    },
};
use harness::scripted_transport::{Ending, Step, file, keys};

use crate::{
    timed::{self, Timed},
    v3_store::{Store, clients},
};

const SECOND: Duration = Duration::from_secs(1);

/// A server of which so many of the next requests to a path get no response.
fn muted(path: &'static str, times: u32) -> Store {
    Store::at(4).with(|state| {
        state.mute.insert(path, times);
    })
}

/// The endpoints that were asked, one letter each.
fn asked(client: &Client<Store>) -> String {
    let seen = client.transport().seen();
    seen.iter().map(|line| &line[..1]).collect()
}

#[test]
fn a_read_goes_to_another_endpoint_after_two_seconds_and_stays_there() {
    let client = clients(muted("/v3/kv/range", 1));
    let clock = &client.transport().clock;
    let reads = [Range::new("k"), Range::new("k").serializable(true)];
    for read in reads {
        clock.run(client.send(read)).unwrap();
        assert_eq!(clock.elapsed(), SECOND * 2);
    }
    assert_eq!(asked(&client), "abb");
}

/// Of two requests under way, the first success counts, and neither failure keeps the other from it.
#[test]
fn the_first_success_is_the_result() {
    let found = || keys(200, 9, file("get", "/k", 9));
    for (first, second, seconds) in [
        ((3, found()), (9, found()), 3),
        ((9, found()), (2, found()), 4),
        // The first fails while the second is under way, and the other way round.
        ((3, Step::Break), (4, found()), 6),
        ((6, found()), (1, Step::Break), 6),
        ((6, found()), (1, Step::Refuse), 6),
    ] {
        let what = format!("{first:?} {second:?}");
        let steps = [first, second].map(|(seconds, step)| (SECOND * seconds, step));
        let client = timed::client(Timed::new(steps), ["a", "b"]);
        let clock = &client.transport().clock;
        clock.run(client.v2().get("/k")).unwrap();
        assert_eq!(clock.elapsed(), SECOND * seconds, "{what}");
        assert_eq!(client.transport().hosts(), "ab", "{what}");
    }
}

#[test]
fn each_of_two_requests_that_fail_takes_a_token_of_the_retry_budget() {
    let busy = || keys(503, 0, "busy");
    for (first, second) in [(3, 4), (4, 1)] {
        let steps = [first, second].map(|seconds| (SECOND * seconds, busy()));
        let builder = Client::builder(Timed::new(steps)).endpoints(["http://a", "http://b"]);
        let builder = builder.retry_budget(RetryBudget::new(2, 0.001));
        let client = builder.build().unwrap();
        let clock = &client.transport().clock;
        clock.run(client.v2().get("/k")).unwrap_err();
        assert_eq!(client.transport().hosts(), "ab");
        assert_eq!(client.retry_tokens(), Some(0.0));
    }
}

/// The other endpoint may not be asked by gRPC, as the first one is.
#[test]
fn each_of_two_requests_is_sent_by_the_protocol_of_its_endpoint() {
    let page = Step::Respond(404, vec![], Ending::Whole("<html>".to_owned()));
    let json = vec![("content-type", "application/json".to_owned())];
    let body = r#"{"header":{"cluster_id":"7","revision":"9"}}"#.to_owned();
    let found = Step::Respond(200, json, Ending::Whole(body));
    let steps = [Step::Silence, page, found].map(|step| (Duration::ZERO, step));
    let client = timed::client(Timed::new(steps).with_grpc(), ["a", "b"]);
    let clock = &client.transport().clock;
    let read = clock.run(client.send(Range::new("k"))).unwrap();
    assert_eq!(read.header.revision, 9);
    assert_eq!(clock.elapsed(), SECOND * 2);
    let expected = [
        "POST a/etcdserverpb.KV/Range",
        "POST b/etcdserverpb.Maintenance/Status",
        "POST b/v3/kv/range",
    ];
    assert_eq!(client.transport().lines(), expected);
}

#[test]
fn a_write_is_not_sent_twice() {
    let client = clients(muted("/v3/kv/put", 9));
    let error = client
        .transport()
        .clock
        .run(client.send(Put::new("k", "v")));
    assert_eq!(error.unwrap_err().outcome(), Outcome::Unknown);
    assert_eq!(asked(&client), "a");
    assert_eq!(client.transport().clock.elapsed(), SECOND * 10);

    // It is repeated after a time limit, and never meanwhile.
    let client = clients(muted("/v3/kv/txn", 9));
    let once = ExactlyOnce::new("done/1", Txn::new().then(Put::new("k", "v")));
    let clock = &client.transport().clock;
    clock.run(client.send(once)).unwrap_err();
    assert_eq!(asked(&client), "ababa");
    assert!(clock.elapsed() >= SECOND * 50, "{:?}", clock.elapsed());
}

#[test]
fn every_kind_of_read_is_hedged() {
    let only_reads = Txn::new().when(Compare::exists("k")).then(Range::new("k"));
    macro_rules! assert_hedged {
        ($($path:literal $read:expr;)+) => {$(
            let client = clients(muted($path, 9));
            client.transport().clock.run(client.send($read)).unwrap_err();
            assert_eq!(asked(&client)[..2], *"ab", "{}", $path);
            // Two rounds of two, and one more.
            assert!(client.transport().clock.elapsed() < SECOND * 40, "{}", $path);
        )+};
    }
    assert_hedged! {
        "/v3/kv/range" Range::new("k");
        "/v3/kv/txn" only_reads;
        "/v3/lease/timetolive" GetTimeToLive::new(7);
        "/v3/lease/leases" ListLeases::new();
        "/v3/cluster/member/list" ListMembers::new();
        "/v3/election/leader" GetLeader::new("e");
        "/v3/auth/user/list" ListUsers::new();
    }
}

#[test]
fn when_both_endpoints_fail_the_error_names_both() {
    let client = clients(muted("/v3/kv/range", 9));
    let once = client.with_retry(RetryPolicy::default().attempts(2));
    let error = client.transport().clock.run(once.send(Range::new("k")));
    let error = error.unwrap_err();
    assert!(matches!(error, Error::Timeout(_)), "{error}");
    let text = error.to_string();
    assert!(
        text.contains("http://a") && text.contains("http://b"),
        "{text}"
    );
    assert_eq!(asked(&client), "ab");
    assert_eq!(client.transport().clock.elapsed(), SECOND * 12);
}

#[test]
fn the_time_can_be_set_and_hedging_can_be_disabled() {
    let builder = |after: Option<Duration>| {
        Client::builder(muted("/v3/kv/range", 1))
            .endpoints(["http://a", "http://b"])
            .hedge_reads(after)
    };
    for (after, seconds) in [(Some(SECOND * 5), 5), (None, 10), (Some(SECOND * 60), 10)] {
        let client = builder(after).build().unwrap();
        let clock = &client.transport().clock;
        clock.run(client.send(Range::new("k"))).unwrap();
        assert_eq!(clock.elapsed(), SECOND * seconds);
        assert_eq!(asked(&client), "ab");
    }
    let error = builder(Some(Duration::ZERO)).build().unwrap_err();
    assert!(matches!(error, Error::Invalid(_)), "{error}");
    // One endpoint has no other.
    let client = crate::v3_store::client(muted("/v3/kv/range", 1));
    client
        .transport()
        .clock
        .run(client.send(Range::new("k")))
        .unwrap();
    assert_eq!(asked(&client), "aa");
}
