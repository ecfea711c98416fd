//! Doubt is a property of a call: once an attempt may have been applied, no later failure makes it certain that nothing
//! was.

use std::{fmt::Debug, time::Duration};

use etcd_http::{
    Client, Error, Operation, Outcome, RetryPolicy,
    transport::http::Method,
    v2::Set,
    v3::{
        AlarmKind, Compact, ExactlyOnce, GrantLease, KeepAliveOnce, LeaderKey, Put, Range, Resign,
        RevokeLease, SetAlarm, TransferLeadership, Txn, Unlock,
    },
};
use harness::{
    clock::block_on,
    scripted_transport::{Ending, ScriptedTransport, Step},
};

/// The failures of a first attempt that has reached a server.
fn lost() -> Vec<Step> {
    vec![
        Step::Break,
        Step::Silence,
        Step::Respond(200, vec![], Ending::Cut("{\"hea")),
        page(502),
        json(503, 14, "etcdserver: request timed out"),
        json(503, 14, "etcdserver: leader changed"),
    ]
}

/// The failures of the last attempt, each as the rest of a script.
fn last() -> Vec<Vec<Step>> {
    let token_refused = || json(401, 16, "etcdserver: invalid auth token");
    vec![
        vec![Step::Refuse],
        vec![Step::Reject],
        vec![json(403, 7, "etcdserver: permission denied")],
        vec![json(503, 14, "etcdserver: no leader")],
        vec![page(404)],
        vec![Step::Respond(
            307,
            vec![("location", "http://elsewhere/".to_owned())],
            Ending::Whole(String::new()),
        )],
        vec![json(501, 12, "Not Implemented")],
        // Another token is requested, and there is none; or it is refused as well.
        vec![token_refused(), Step::Refuse, Step::Refuse],
        vec![
            token_refused(),
            json(
                400,
                3,
                "etcdserver: authentication failed, invalid user ID or password",
            ),
        ],
        vec![token_refused(), token("two"), token_refused()],
        vec![token_refused(), token("two"), Step::Refuse, Step::Refuse],
    ]
}

fn page(status: u16) -> Step {
    let headers = vec![("content-type", "text/html".to_owned())];
    Step::Respond(status, headers, Ending::Whole("<html>".to_owned()))
}

fn json(status: u16, code: u8, message: &str) -> Step {
    let body = format!(r#"{{"code":{code},"message":"{message}"}}"#);
    let headers = vec![("content-type", "application/json".to_owned())];
    Step::Respond(status, headers, Ending::Whole(body))
}

fn token(token: &str) -> Step {
    let body = format!(r#"{{"header":{{"cluster_id":"7","revision":"1"}},"token":"{token}"}}"#);
    Step::Respond(200, vec![], Ending::Whole(body))
}

fn client(steps: Vec<Step>) -> Client<ScriptedTransport> {
    let client = Client::builder(ScriptedTransport::new(steps)).endpoints(["https://a"]);
    let client = client.retry(RetryPolicy::default().attempts(2));
    client.v3_auth("root", "secret").build().unwrap()
}

fn assert_in_doubt<O>(operation: O)
where
    O: Operation + Clone,
    O::Output: Debug,
{
    for first in 0..lost().len() {
        for second in 0..last().len() {
            let mut steps = vec![token("one"), lost().swap_remove(first)];
            let shown = format!("{:?}, then {:?}", lost()[first], last()[second]);
            steps.extend(last().swap_remove(second));
            let client = client(steps);
            let error = block_on(client.send(operation.clone())).unwrap_err();
            assert_eq!(
                error.outcome(),
                Outcome::Unknown,
                "{}: {shown}: {error}",
                O::NAME
            );
        }
    }
}

#[test]
fn a_repeatable_call_that_may_have_been_applied_stays_unknown_whatever_the_last_attempt_meets() {
    assert_in_doubt(RevokeLease::new(7));
    assert_in_doubt(KeepAliveOnce::new(7));
    assert_in_doubt(Unlock::new("lock/1"));
    assert_in_doubt(Compact::new(7));
    assert_in_doubt(Resign::new(LeaderKey::new("e", "e/7", 7, 7)));
    assert_in_doubt(TransferLeadership::new(7_u64));
    assert_in_doubt(SetAlarm::lift(AlarmKind::NoSpace).member(7));
    assert_in_doubt(GrantLease::new(Duration::from_secs(9)));
    assert_in_doubt(GrantLease::new(Duration::from_secs(9)).id(7));
    assert_in_doubt(ExactlyOnce::new(
        "marker",
        Txn::new().then(Put::new("k", "v")),
    ));
    // A read reports it as well, although it does not matter.
    assert_in_doubt(Range::new("k"));
}

#[test]
fn a_raw_request_that_is_repeatable_is_no_exception() {
    for last in [Step::Refuse, json(403, 7, "etcdserver: permission denied")] {
        let client = client(vec![token("one"), Step::Break, last]);
        let put = client.request(Method::POST, "/v3/kv/put").repeatable(true);
        let error = block_on(client.send(put)).unwrap_err();
        assert_eq!(error.outcome(), Outcome::Unknown, "{error}");
    }
}

#[test]
fn what_was_refused_or_not_sent_in_every_attempt_is_certain() {
    for (steps, outcome) in [
        (vec![Step::Refuse, Step::Refuse], Outcome::NotSent),
        (
            vec![Step::Refuse, json(403, 7, "etcdserver: permission denied")],
            Outcome::Rejected,
        ),
        (
            vec![json(503, 14, "etcdserver: no leader"), Step::Refuse],
            Outcome::NotSent,
        ),
    ] {
        let client = client([vec![token("one")], steps].into_iter().flatten().collect());
        let error = block_on(client.send(RevokeLease::new(7))).unwrap_err();
        assert_eq!(error.outcome(), outcome, "{error}");
    }
}

#[test]
fn a_write_that_is_not_repeatable_is_sent_once_and_unknown() {
    for first in lost() {
        let client = Client::new(ScriptedTransport::new([first]), ["http://a"]).unwrap();
        let error = block_on(client.send(Set::new("x", "y"))).unwrap_err();
        assert_eq!(error.outcome(), Outcome::Unknown, "{error}");
        assert_eq!(client.transport().seen().len(), 1);
    }
}

#[test]
fn a_success_after_doubt_is_a_success() {
    let done = Step::Respond(
        200,
        vec![],
        Ending::Whole(r#"{"header":{"cluster_id":"7","revision":"7"}}"#.to_owned()),
    );
    let revoked = client(vec![token("one"), Step::Break, done]);
    block_on(revoked.send(RevokeLease::new(7))).unwrap();
    // So is a refusal that only the first attempt can have caused.
    let gone = json(404, 5, "etcdserver: requested lease not found");
    let revoked = client(vec![token("one"), Step::Break, gone]);
    block_on(revoked.send(RevokeLease::new(7))).unwrap();
}

#[test]
fn a_lease_with_a_chosen_id_that_exists_may_be_another_clients() {
    let exists = || json(412, 9, "etcdserver: lease already exists");
    let grant = || GrantLease::new(Duration::from_secs(9));
    let chosen = client(vec![token("one"), Step::Break, exists()]);
    let error = block_on(chosen.send(grant().id(7))).unwrap_err();
    assert_eq!(error.outcome(), Outcome::Unknown, "{error}");
    let random = client(vec![token("one"), Step::Break, exists()]);
    block_on(random.send(grant())).unwrap();
}

#[test]
fn an_unlock_that_may_have_been_applied_is_not_repeated() {
    // Another task of the same lease may hold the lock by then, with the same key.
    for first in lost() {
        let client = client(vec![token("one"), first]);
        let error = block_on(client.send(Unlock::new("lock/7"))).unwrap_err();
        assert_eq!(error.outcome(), Outcome::Unknown, "{error}");
    }
}

#[test]
fn one_deadline_is_for_tokens_attempts_and_renewals_together() {
    let limit = Duration::from_secs(12);
    let scripts = [
        // No token comes.
        vec![Step::Silence, Step::Silence],
        // The token takes 10 s, and then there is no response.
        vec![Step::Silence, token("one"), Step::Silence, Step::Silence],
        // The call takes 10 s; then its token is refused, and the call with another one takes the rest.
        vec![
            token("one"),
            Step::Silence,
            json(401, 16, "etcdserver: invalid auth token"),
            token("two"),
            Step::Silence,
            Step::Silence,
        ],
    ];
    for steps in scripts {
        let shown = format!("{steps:?}");
        let client = client(steps).with_retry(RetryPolicy::default().overall(limit));
        let error = block_on(client.send(Range::new("k"))).unwrap_err();
        assert!(matches!(error, Error::Timeout(_)), "{shown}: {error}");
        let elapsed = client.transport().elapsed();
        assert!(elapsed <= limit, "{shown}: {elapsed:?}");
    }
}
