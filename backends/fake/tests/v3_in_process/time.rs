//! Time limits and reports of progress: V3-85, V3-106 and V3-147.

use std::time::Duration;

use etcd_http_fake::{Clock, FakeEtcd, Profile};
use futures::executor::block_on;

use crate::{ask, assert_end, call, line, open, poll, poll_line, reply, send_to};

const SECOND: Duration = Duration::from_secs(1);
const TIMEOUT: &[(&str, &str)] = &[("Grpc-Timeout", "1S")];

fn fakes() -> [FakeEtcd; 2] {
    [Profile::V3_4, Profile::V3_5].map(|profile| FakeEtcd::builder().profile(profile).build())
}

#[test]
fn v3_147_a_lock_that_is_waited_for_too_long_leaves_the_queue() {
    for etcd in fakes() {
        call(&etcd, "lock/lock", r#"{"name":"YQ=="}"#);
        let mut waiter = send_to(&etcd, 0, "lock/lock", r#"{"name":"YQ=="}"#, TIMEOUT);
        assert!(poll(&mut waiter).is_pending());
        etcd.advance(SECOND - Duration::from_nanos(1));
        assert!(poll(&mut waiter).is_pending());
        let queue = r#"{"key":"YS8=","range_end":"YTA="}"#;
        assert_eq!(call(&etcd, "kv/range", queue)["count"], "2");
        etcd.advance(Duration::from_nanos(1));
        let (status, text) = reply(block_on(waiter).unwrap());
        assert!(
            status == 504 && text.contains("context deadline exceeded"),
            "{text}"
        );
        assert_eq!(call(&etcd, "kv/range", queue)["count"], "1");
    }
}

#[test]
fn v3_147_a_stream_ends_with_an_error_when_its_time_is_up() {
    let [old, new] = fakes();
    let ends = [
        (
            old,
            r#"{"error":{"grpc_code":4,"http_code":504,"message":"context deadline exceeded","http_status":"Gateway Timeout"}}"#,
        ),
        (
            new,
            "{\"error\":{\"code\":4,\"message\":\"context deadline exceeded\"}}\n",
        ),
    ];
    for (etcd, end) in ends {
        let mut watch = open(
            &etcd,
            "watch",
            r#"{"create_request":{"key":"YQ=="}}"#,
            TIMEOUT,
        );
        assert!(line(&mut watch).contains("created"));
        call(&etcd, "kv/put", r#"{"key":"YQ=="}"#);
        assert!(line(&mut watch).contains("events"));
        assert_eq!(poll_line(&mut watch), None);
        etcd.advance(SECOND);
        assert_eq!(line(&mut watch), end);
        assert_end(&mut watch);
    }
}

/// 3.5 has one shape for the errors of streams, whether they have begun or not.
#[test]
fn v3_147_a_stream_without_a_message_has_the_status_of_its_error() {
    let [old, new] = fakes();
    let ends = [
        (
            old,
            r#"{"error":"context deadline exceeded","message":"context deadline exceeded","code":4}"#,
        ),
        (
            new,
            "{\"error\":{\"code\":4,\"message\":\"context deadline exceeded\"}}\n",
        ),
    ];
    for (etcd, end) in ends {
        for (path, body) in [("watch", "{}"), ("election/observe", r#"{"name":"YQ=="}"#)] {
            let mut waiter = send_to(&etcd, 0, path, body, TIMEOUT);
            assert!(poll(&mut waiter).is_pending());
            etcd.advance(SECOND);
            assert_eq!(
                reply(block_on(waiter).unwrap()),
                (504, end.to_owned()),
                "{path}"
            );
        }
    }
}

#[test]
fn v3_147_a_call_that_waits_for_a_quorum_ends_with_its_time_limit() {
    let etcd = FakeEtcd::builder().clock(Clock::auto()).build();
    etcd.lose_quorum();
    let body = r#"{"key":"YQ=="}"#;
    let (status, text) = ask(&etcd, 0, "kv/put", body, TIMEOUT);
    assert_eq!((status, etcd.elapsed()), (504, SECOND), "{text}");
    let (status, text) = ask(&etcd, 0, "kv/put", body, &[("Grpc-Timeout", "1H")]);
    assert_eq!((status, etcd.elapsed()), (503, SECOND * 8), "{text}");
}

#[test]
fn v3_85_a_quiet_watch_reports_its_progress_every_ten_minutes() {
    for etcd in fakes() {
        let requests = r#"{"create_request":{"key":"YQ==","progress_notify":true,"watch_id":"7"}}{"create_request":{"key":"YQ=="}}"#;
        let mut watch = open(&etcd, "watch", requests, &[]);
        line(&mut watch);
        line(&mut watch);
        call(&etcd, "kv/put", r#"{"key":"Yg=="}"#);
        etcd.advance(SECOND * 599);
        assert_eq!(poll_line(&mut watch), None);
        etcd.advance(SECOND);
        let report: serde_json::Value = serde_json::from_str(&line(&mut watch)).unwrap();
        let report = &report["result"];
        assert_eq!(
            (&report["watch_id"], &report["header"]["revision"]),
            (&"7".into(), &"2".into())
        );
        assert_eq!(report.get("events"), None);
        // An event takes the place of the next report.
        call(&etcd, "kv/put", r#"{"key":"YQ=="}"#);
        assert!(line(&mut watch).contains("events"));
        line(&mut watch);
        etcd.advance(SECOND * 600);
        assert_eq!(poll_line(&mut watch), None);
        etcd.advance(SECOND * 600);
        assert!(line(&mut watch).contains("\"watch_id\":\"7\""));
        assert_eq!(poll_line(&mut watch), None);
    }
}

#[test]
fn v3_85_the_interval_of_reports_can_be_set() {
    let builder = FakeEtcd::builder().clock(Clock::auto());
    let etcd = builder.progress_interval(SECOND).build();
    let create = r#"{"create_request":{"key":"YQ==","progress_notify":true}}"#;
    let mut watch = open(&etcd, "watch", create, &[]);
    line(&mut watch);
    etcd.advance(SECOND * 3);
    for _ in 0..3 {
        line(&mut watch);
    }
    assert_eq!(poll_line(&mut watch), None);
}

#[test]
fn v3_149_a_downgrade_is_begun_at_once_and_answered_when_etcd_has_waited_for_its_result() {
    let etcd = FakeEtcd::new();
    let enable = r#"{"action":"ENABLE","version":"3.4"}"#;
    let mut enabled = send_to(&etcd, 0, "maintenance/downgrade", enable, &[]);
    let mut hurried = send_to(
        &etcd,
        0,
        "maintenance/downgrade",
        r#"{"action":"CANCEL"}"#,
        TIMEOUT,
    );
    assert!(poll(&mut enabled).is_pending());
    let (status, text) = ask(&etcd, 0, "maintenance/downgrade", enable, &[]);
    assert!(status == 400 && text.contains("in progress"), "{text}");
    assert!(poll(&mut hurried).is_pending());
    etcd.advance(SECOND);
    let (status, text) = reply(block_on(hurried).unwrap());
    assert!(
        status == 504 && text.contains("context deadline exceeded"),
        "{text}"
    );
    etcd.advance(SECOND * 6 - Duration::from_nanos(1));
    assert!(poll(&mut enabled).is_pending());
    etcd.advance(Duration::from_nanos(1));
    let (status, text) = reply(block_on(enabled).unwrap());
    assert!(
        status == 503 && text.contains("etcdserver: request timed out"),
        "{text}"
    );
    assert_eq!(etcd.open_exchanges(), 0);
}

#[test]
fn v3_106_an_observation_is_not_answered_before_there_is_a_leader() {
    let etcd = FakeEtcd::new();
    let mut waiter = send_to(&etcd, 0, "election/observe", r#"{"name":"YQ=="}"#, &[]);
    assert!(poll(&mut waiter).is_pending());
    call(
        &etcd,
        "election/campaign",
        r#"{"name":"Yg==","value":"MQ=="}"#,
    );
    assert!(poll(&mut waiter).is_pending());
    call(
        &etcd,
        "election/campaign",
        r#"{"name":"YQ==","value":"MQ=="}"#,
    );
    let mut body = block_on(waiter).unwrap().into_body();
    assert!(line(&mut body).contains("\"value\":\"MQ==\""));
    assert_eq!(poll_line(&mut body), None);
    drop(body);
    assert_eq!(etcd.open_exchanges(), 0);
}
