//! Faults of v3 streams and stores.

use std::{task::Poll, time::Duration};

use etcd_http_fake::{FakeEtcd, Fault, When};
use etcd_transport::Body;

use crate::{ask, call, line, open, poll, poll_line, token_of_root};

const SECOND: Duration = Duration::from_secs(1);
const WATCH_A: &str = r#"{"create_request":{"key":"YQ=="}}"#;
const PUT_A: &str = r#"{"key":"YQ==","value":"MQ=="}"#;

/// The error that a stream breaks with.
#[track_caller]
fn assert_broken(body: &mut Body) {
    let frame = poll(&mut std::pin::pin!(body.frame()));
    assert!(matches!(frame, Poll::Ready(Some(Err(_)))), "{frame:?}");
}

#[test]
fn a_stream_breaks_between_two_messages_or_inside_one() {
    let etcd = FakeEtcd::new();
    etcd.inject(
        When::any().path("/v3/watch").once(),
        Fault::break_after_events(2),
    );
    let mut body = open(&etcd, "watch", WATCH_A, &[]);
    call(&etcd, "kv/put", PUT_A);
    call(&etcd, "kv/put", PUT_A);
    line(&mut body);
    assert!(line(&mut body).ends_with("}\n"));
    assert_broken(&mut body);
    etcd.inject(When::any().path("/v3/watch").once(), Fault::break_body(200));
    let mut body = open(&etcd, "watch", WATCH_A, &[]);
    call(&etcd, "kv/put", PUT_A);
    line(&mut body);
    assert!(!line(&mut body).ends_with('\n'));
    assert_broken(&mut body);
}

#[test]
fn one_watch_is_late_and_another_is_not() {
    let etcd = FakeEtcd::new();
    etcd.inject(
        When::any().path("/v3/watch").once(),
        Fault::delay_events(SECOND),
    );
    let mut late = open(&etcd, "watch", WATCH_A, &[]);
    let mut punctual = open(&etcd, "watch", WATCH_A, &[]);
    line(&mut late);
    line(&mut punctual);
    call(&etcd, "kv/put", PUT_A);
    assert_eq!(poll_line(&mut late), None);
    assert!(line(&mut punctual).contains("events"));
    etcd.advance(SECOND);
    assert!(line(&mut late).contains("events"));
}

#[test]
fn a_report_of_progress_is_lost() {
    let etcd = FakeEtcd::builder().progress_interval(SECOND).build();
    let create = r#"{"create_request":{"key":"YQ==","progress_notify":true}}"#;
    let mut body = open(&etcd, "watch", create, &[]);
    line(&mut body);
    etcd.lose_progress(1);
    etcd.advance(SECOND);
    assert_eq!(poll_line(&mut body), None);
    etcd.advance(SECOND);
    line(&mut body);
}

#[test]
fn history_is_compacted_while_a_watch_is_about_to_resume() {
    let etcd = FakeEtcd::new();
    for _ in 0..3 {
        call(&etcd, "kv/put", PUT_A);
    }
    etcd.inject(
        When::any().path("/v3/watch").once(),
        Fault::before(FakeEtcd::compact),
    );
    let resume = r#"{"create_request":{"key":"YQ==","start_revision":"2"}}"#;
    let mut body = open(&etcd, "watch", resume, &[]);
    line(&mut body);
    assert!(line(&mut body).contains(r#""canceled":true,"compact_revision":"4""#));
}

#[test]
fn the_leader_changes_between_a_write_and_its_response() {
    let etcd = FakeEtcd::builder().members(3).build();
    let put = When::any().path("/v3/kv/put").once();
    etcd.inject(put, Fault::after(|etcd| etcd.endpoint(2).lead()));
    call(&etcd, "kv/put", PUT_A);
    assert!(etcd.endpoint(2).is_leader());
}

#[test]
fn without_space_nothing_is_added() {
    let etcd = FakeEtcd::new();
    etcd.exhaust_space();
    assert_eq!(ask(&etcd, 0, "kv/put", PUT_A, &[]).0, 429);
    etcd.free_space();
    call(&etcd, "kv/put", PUT_A);
}

#[test]
fn a_token_is_revoked() {
    let etcd = FakeEtcd::new();
    let token = token_of_root(&etcd);
    let headers = &[("Authorization", &*token)];
    assert_eq!(ask(&etcd, 0, "kv/put", PUT_A, headers).0, 200);
    etcd.revoke_tokens();
    assert_eq!(ask(&etcd, 0, "kv/put", PUT_A, headers).0, 401);
}

#[test]
fn a_store_is_restored_to_an_older_revision_with_or_without_its_cluster_id() {
    let etcd = FakeEtcd::new();
    call(&etcd, "kv/put", PUT_A);
    let backup = etcd.fork();
    let before = call(&etcd, "kv/put", PUT_A);
    let mut body = open(&etcd, "watch", WATCH_A, &[]);
    line(&mut body);
    etcd.restore(&backup);
    assert_broken(&mut body);
    let read = r#"{"key":"YQ=="}"#;
    let after = call(&etcd, "kv/range", read);
    assert_eq!(
        (&after["header"]["revision"], &before["header"]["revision"]),
        (&"2".into(), &"3".into())
    );
    let id = |answer: &serde_json::Value| answer["header"]["cluster_id"].clone();
    assert_eq!(id(&after), id(&before));
    etcd.change_cluster_id();
    let after = call(&etcd, "kv/range", read);
    assert_eq!(after["count"], "1");
    assert_ne!(id(&after), id(&before));
    etcd.wipe();
    assert_eq!(call(&etcd, "kv/range", read)["header"]["revision"], "1");
}
