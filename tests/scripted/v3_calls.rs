//! Calls of the v3 API: what is retried, at which endpoint, and with which token.

use std::time::Duration;

use etcd_http::{
    Client, EtcdErrorKind, Operation, Outcome, Result,
    v3::{
        Campaign, Compact, Compare, ExactlyOnce, GrantLease, KeyRange, Lock, Put, Range,
        RangeStream, RevokeLease, Txn,
    },
};
use futures::StreamExt;
use harness::{
    clock::block_on,
    scripted_transport::{Ending, ScriptedTransport, Step},
};

fn client(endpoints: &[&str], steps: impl IntoIterator<Item = Step>) -> Client<ScriptedTransport> {
    let endpoints = endpoints.iter().map(|host| format!("http://{host}"));
    Client::new(ScriptedTransport::new(steps), endpoints).unwrap()
}

fn with_user(steps: impl IntoIterator<Item = Step>) -> Client<ScriptedTransport> {
    let client = Client::builder(ScriptedTransport::new(steps)).endpoints(["http://a"]);
    let client = client.v3_auth("root", "s3cret").allow_insecure_auth(true);
    client.build().unwrap()
}

fn send<O: Operation>(client: &Client<ScriptedTransport>, operation: O) -> Result<O::Output> {
    block_on(client.send(operation))
}

fn json(status: u16, body: impl Into<String>) -> Step {
    let headers = vec![("content-type", "application/json".to_owned())];
    Step::Respond(status, headers, Ending::Whole(body.into()))
}

fn ok() -> Step {
    json(200, r#"{"header":{"cluster_id":"7","revision":"7"}}"#)
}

fn refusal(status: u16, code: u32, message: &str) -> Step {
    json(
        status,
        format!(r#"{{"code":{code}, "message":"{message}"}}"#),
    )
}

fn token(token: &str) -> Step {
    json(
        200,
        format!(r#"{{"header":{{"cluster_id":"7"}},"token":"{token}"}}"#),
    )
}

#[test]
fn a_page_without_a_key_in_the_range_is_an_error() {
    let header = r#""header":{"cluster_id":"7","revision":"7"},"more":true"#;
    for kvs in ["", r#","kvs":[{"key":"YQ=="}]"#] {
        let steps = [json(200, format!("{{{header}{kvs}}}"))];
        let client = client(&["a"], steps);
        let mut keys = client.open(RangeStream::new(KeyRange::starting_at("b")));
        let error = block_on(keys.next()).unwrap().unwrap_err();
        assert!(
            error
                .to_string()
                .ends_with("no key of the page is in the requested range"),
            "{error}"
        );
        assert!(block_on(keys.next()).is_none());
    }
}

#[test]
fn a_303_leaves_a_write_in_doubt_whatever_is_wrong_with_it() {
    for headers in [vec![], vec![("content-encoding", "gzip".to_owned())]] {
        let step = Step::Respond(303, headers, Ending::Whole(String::new()));
        let error = send(&client(&["a"], [step]), put()).unwrap_err();
        assert_eq!(error.outcome(), Outcome::Unknown, "{error}");
    }
}

fn put() -> Put {
    Put::new("k", "v")
}

#[test]
fn a_write_that_was_definitely_refused_is_sent_to_another_endpoint() {
    for (status, code, message) in [
        (503, 14, "etcdserver: no leader"),
        (429, 8, "etcdserver: too many requests"),
    ] {
        let client = client(&["a", "b"], [refusal(status, code, message), ok()]);
        assert_eq!(send(&client, put()).unwrap().header.revision, 7);
        let seen = ["POST a/v3/kv/put", "POST b/v3/kv/put"];
        assert_eq!(client.transport().seen(), seen, "{message}");
    }
}

#[test]
fn a_write_that_may_be_applied_yet_is_sent_once() {
    for (status, code, message) in [
        (503, 14, "etcdserver: request timed out"),
        (503, 14, "etcdserver: leader changed"),
        (503, 14, "error reading from server: EOF"),
        (500, 2, "context deadline exceeded"),
        (504, 4, "context deadline exceeded"),
        (503, 14, "something new"),
    ] {
        let client = client(&["a", "b"], [refusal(status, code, message)]);
        let error = send(&client, put()).unwrap_err();
        assert_eq!(error.outcome(), Outcome::Unknown, "{error}");
    }
}

#[test]
fn a_read_is_sent_again_whatever_the_server_does_not_support() {
    for (status, code, message) in [
        (503, 14, "etcdserver: request timed out"),
        (503, 14, "etcdserver: leader changed"),
        (500, 2, "context deadline exceeded"),
        (504, 4, "context deadline exceeded"),
        (502, 0, "a proxy's"),
    ] {
        let client = client(&["a", "b"], [refusal(status, code, message), ok()]);
        assert!(send(&client, Range::new("k")).is_ok(), "{message}");
    }
}

#[test]
fn v3_16_a_response_is_final_whatever_its_status() {
    for (status, code, message, kind) in [
        (
            412,
            9,
            "etcdserver: lease already exists",
            EtcdErrorKind::LeaseExists,
        ),
        (
            400,
            9,
            "etcdserver: lease already exists",
            EtcdErrorKind::LeaseExists,
        ),
        (
            500,
            2,
            "etcdserver: requested lease not found",
            EtcdErrorKind::LeaseNotFound,
        ),
        (
            429,
            8,
            "etcdserver: mvcc: database space exceeded",
            EtcdErrorKind::NoSpace,
        ),
        (
            500,
            2,
            "auth: permission denied",
            EtcdErrorKind::PermissionDenied,
        ),
        (
            500,
            15,
            "etcdserver: corrupt cluster",
            EtcdErrorKind::Corrupt,
        ),
    ] {
        let client = client(&["a", "b"], [refusal(status, code, message)]);
        let error = send(&client, GrantLease::new(Duration::from_secs(9))).unwrap_err();
        assert_eq!(error.etcd_kind(), Some(kind));
        assert_eq!(error.outcome(), Outcome::Rejected);
    }
}

#[test]
fn r_4_a_repeat_that_finds_it_done_is_done_only_after_doubt() {
    let gone = || refusal(404, 5, "etcdserver: requested lease not found");
    let exists = || refusal(400, 9, "etcdserver: lease already exists");
    let compacted = || {
        refusal(
            400,
            11,
            "etcdserver: mvcc: required revision has been compacted",
        )
    };
    // The response was lost: it may have been applied.
    for doubt in [|| Step::Break, || Step::Silence] {
        assert!(send(&client(&["a"], [doubt(), gone()]), RevokeLease::new(7)).is_ok());
        let granted = send(
            &client(&["a"], [doubt(), exists()]),
            GrantLease::new(Duration::from_secs(9)),
        );
        assert!(granted.unwrap().id.get() > 0);
        assert!(send(&client(&["a"], [doubt(), compacted()]), Compact::new(7)).is_ok());
    }
    // It was not sent, or rejected: another client did it.
    for first in [
        || Step::Refuse,
        || refusal(503, 14, "etcdserver: no leader"),
    ] {
        assert!(send(&client(&["a"], [first(), gone()]), RevokeLease::new(7)).is_err());
        assert!(
            send(
                &client(&["a"], [first(), exists()]),
                GrantLease::new(Duration::from_secs(9)).id(7)
            )
            .is_err()
        );
        assert!(send(&client(&["a"], [first(), compacted()]), Compact::new(7)).is_err());
    }
}

#[test]
fn r_6_what_is_done_exactly_once_is_sent_until_it_is_known() {
    let earlier = r#"{"header":{"cluster_id":"7","revision":"9"},"responses":[{"response_range":{"kvs":[{"key":"bQ==","create_revision":"8","value":"c3VjY2VlZGVk"}],"count":"1"}}]}"#;
    let client = client(&["a"], [Step::Break, Step::Silence, json(200, earlier)]);
    let done = send(&client, ExactlyOnce::new("m", Txn::new().then(put()))).unwrap();
    assert_eq!((done.revision, done.is_earlier()), (8, true));
    assert_eq!(client.transport().seen(), ["POST a/v3/kv/txn"; 3]);
}

/// The first server leaves the queue when it notices, possibly after another has reported that the lock is held.
#[test]
fn v3_103_a_wait_for_a_lock_or_to_be_elected_that_broke_off_is_not_asked_for_again() {
    let lost = || [Step::Break, refusal(500, 2, "something new")];
    let held = r#"{"header":{"cluster_id":"7","revision":"9"},"key":"bC83","leader":{"key":"ZS83","rev":"9"}}"#;
    let read = |key: &str| {
        let header = r#""header":{"cluster_id":"7"}"#;
        let kvs = format!(r#"[{{"key":"{key}","create_revision":"9"}}]"#);
        json(200, format!(r#"{{{header},"kvs":{kvs}}}"#))
    };
    let refused = |key| [Step::Refuse, json(200, held), read(key)];
    for step in lost() {
        let client = client(&["a", "b"], [step]);
        let error = send(&client, Lock::new("l", 7)).unwrap_err();
        assert_eq!(error.outcome(), Outcome::Unknown, "{error}");
    }
    for step in lost() {
        let client = client(&["a", "b"], [step]);
        let error = send(&client, Campaign::new("e", 7, "v")).unwrap_err();
        assert_eq!(error.outcome(), Outcome::Unknown, "{error}");
    }
    let lock = client(&["a", "b"], refused("bC83"));
    send(&lock, Lock::new("l", 7)).unwrap();
    let campaign = client(&["a", "b"], refused("ZS83"));
    send(&campaign, Campaign::new("e", 7, "v")).unwrap();
}

#[test]
fn a_transaction_that_writes_is_sent_once_and_one_that_reads_again() {
    let compare = || Txn::new().when(Compare::exists("k"));
    let writes = client(&["a"], [Step::Break]);
    assert!(send(&writes, compare().then(put())).is_err());
    let reads = client(&["a"], [Step::Break, ok()]);
    assert!(send(&reads, compare().then(Range::new("k"))).is_ok());
}

#[test]
fn r_12_a_token_is_fetched_first_and_renewed_when_it_is_refused() {
    for (status, code, message) in [
        (401, 16, "etcdserver: invalid auth token"),
        (400, 3, "etcdserver: revision of auth store is old"),
        (400, 3, "etcdserver: user name is empty"),
    ] {
        let steps = [
            token("one"),
            ok(),
            refusal(status, code, message),
            token("two"),
            ok(),
        ];
        let client = with_user(steps);
        send(&client, put()).unwrap();
        send(&client, put()).unwrap();
        let seen = [
            "POST a/v3/auth/authenticate",
            "POST a/v3/kv/put auth",
            "POST a/v3/kv/put auth",
            "POST a/v3/auth/authenticate",
            "POST a/v3/kv/put auth",
        ];
        assert_eq!(client.transport().seen(), seen, "{message}");
    }
}

#[test]
fn r_60_a_token_is_renewed_once_for_a_call() {
    let invalid = || refusal(401, 16, "etcdserver: invalid auth token");
    let client = with_user([token("one"), invalid(), token("two"), invalid()]);
    let error = send(&client, put()).unwrap_err();
    assert_eq!(error.etcd_kind(), Some(EtcdErrorKind::InvalidAuthToken));
    assert_eq!(client.transport().seen().len(), 4);
}

#[test]
fn t_13_a_wrong_password_is_asked_for_once() {
    let wrong = refusal(
        400,
        3,
        "etcdserver: authentication failed, invalid user ID or password",
    );
    let client = with_user([wrong]);
    let error = send(&client, put()).unwrap_err();
    assert_eq!(error.etcd_kind(), Some(EtcdErrorKind::AuthenticationFailed));
    assert_eq!(error.outcome(), Outcome::Rejected);
}

#[test]
fn a_token_goes_to_v3_and_nowhere_else() {
    let version = json(200, r#"{"etcdserver":"3.5.0","etcdcluster":"3.5.0"}"#);
    let v2 = Step::Respond(404, vec![], Ending::Whole("404 page not found\n".into()));
    let client = with_user([token("one"), ok(), version, v2]);
    send(&client, put()).unwrap();
    block_on(client.version()).unwrap();
    assert!(block_on(client.v2().get("/k")).is_err());
    let seen = client.transport().seen();
    assert_eq!(seen[2..], ["GET a/version", "GET a/v2/keys/k"]);
}

#[test]
fn a_token_and_its_password_are_not_shown() {
    let odd = json(200, r#"{"header":{"cluster_id":"7"},"token":"t0ken\n"}"#);
    let broken = || json(200, r#"{"token":"t0ken"#);
    for answers in [vec![odd], (0..5).map(|_| broken()).collect()] {
        let client = with_user(answers);
        let error = send(&client, put()).unwrap_err();
        for text in [format!("{error} {error:?}"), format!("{client:?}")] {
            assert!(
                !text.contains("t0ken") && !text.contains("s3cret"),
                "{text}"
            );
        }
    }
    let refused = with_user([
        token("t0ken"),
        refusal(403, 7, "etcdserver: permission denied"),
    ]);
    let error = send(&refused, put()).unwrap_err();
    for text in [format!("{error} {error:?}"), format!("{refused:?}")] {
        assert!(
            !text.contains("t0ken") && !text.contains("s3cret"),
            "{text}"
        );
    }
}

#[test]
fn s_15_a_password_is_not_sent_where_it_could_be_intercepted() {
    let client = Client::builder(ScriptedTransport::new([])).endpoints(["http://10.0.0.1:2379"]);
    let error = client.v3_auth("root", "s3cret").build().unwrap_err();
    assert!(error.to_string().contains("allow_insecure_auth"), "{error}");
}

#[test]
fn v3_2_an_unsupported_call_is_not_a_missing_key() {
    let text = || Step::Respond(404, vec![], Ending::Whole("Not Found\n".into()));
    for answer in [
        text(),
        refusal(404, 5, "Not Found"),
        refusal(501, 12, "Method Not Allowed"),
    ] {
        let error = send(&client(&["a"], [answer]), Range::new("k")).unwrap_err();
        assert!(matches!(error, etcd_http::Error::Unsupported(_)), "{error}");
    }
}

#[test]
fn r_22_another_cluster_is_noticed() {
    let of = |cluster: u32| json(200, format!(r#"{{"header":{{"cluster_id":"{cluster}"}}}}"#));
    let client = client(&["a"], [of(1), of(1), of(2)]);
    assert!(send(&client, Range::new("k")).is_ok());
    assert!(send(&client, put()).is_ok());
    assert!(send(&client, put()).unwrap_err().is_cluster_changed());
}

#[test]
fn an_alarm_is_lifted_of_each_member_that_has_it() {
    let alarms = r#"{"alarms":[{"memberID":"7","alarm":"NOSPACE"},{"memberID":"8","alarm":"CORRUPT"},{"memberID":"9","alarm":"NOSPACE"}]}"#;
    let lifted = |id| {
        json(
            200,
            format!(r#"{{"alarms":[{{"memberID":"{id}","alarm":"NOSPACE"}}]}}"#),
        )
    };
    let client = client(&["a"], [json(200, alarms), lifted(7), lifted(9)]);
    let lift = client.v3().maintenance();
    let lifted = block_on(lift.lift_alarm(etcd_http::v3::AlarmKind::NoSpace)).unwrap();
    let members: Vec<_> = lifted.iter().map(|alarm| alarm.member_id).collect();
    assert_eq!(members, [7, 9]);
    assert_eq!(
        client.transport().seen(),
        ["POST a/v3/maintenance/alarm"; 3]
    );
}
