//! What takes time in the v3 API: heads that wait for a first message, locks that are waited for, leases that end, servers
//! that stop.

use std::{
    future::Future,
    pin::pin,
    task::{Context, Poll, Waker},
    time::Duration,
};

use etcd_http_fake::{Clock, FakeEtcd};
use etcd_transport::{Body, Response, Transport, TransportError, http};
use futures::executor::block_on;

fn send(
    etcd: &FakeEtcd,
    path: &str,
    body: &str,
) -> impl Future<Output = Result<Response, TransportError>> + use<> {
    let etcd = etcd.clone();
    let request = http::Request::post(format!("http://localhost:2379/v3/{path}"));
    let request = request.body(Body::from(body.to_owned())).unwrap();
    async move { etcd.send(request).await }
}

fn call(etcd: &FakeEtcd, path: &str, body: &str) -> serde_json::Value {
    block_on(async {
        let response = send(etcd, path, body).await.unwrap();
        assert_eq!(response.status(), 200);
        let body = response.into_body().collect(1 << 20).await.unwrap();
        serde_json::from_slice(&body).unwrap()
    })
}

/// Whether a future waits.
fn waits<F: Future + Unpin>(future: &mut F) -> bool {
    let mut context = Context::from_waker(Waker::noop());
    matches!(std::pin::Pin::new(future).poll(&mut context), Poll::Pending)
}

fn line(body: &mut Body) -> String {
    let frame = block_on(body.frame()).unwrap().unwrap();
    String::from_utf8(frame.into_data().unwrap().to_vec()).unwrap()
}

#[test]
fn a_stream_has_no_head_before_its_first_message() {
    let etcd = FakeEtcd::new();
    for body in ["", "{}", "{\"cancel_request\":{}}", "{"] {
        let mut response = pin!(send(&etcd, "watch", body));
        assert!(waits(&mut response), "{body}");
    }
    assert!(!waits(&mut pin!(send(
        &etcd,
        "watch",
        "{\"create_request\":{}}"
    ))));
}

#[test]
fn a_watch_is_woken_by_a_put() {
    let etcd = FakeEtcd::new();
    let create = r#"{"create_request":{"key":"YQ=="}}"#;
    let mut body = block_on(send(&etcd, "watch", create)).unwrap().into_body();
    assert!(line(&mut body).contains("created"));
    let watcher = std::thread::spawn(move || line(&mut body));
    call(&etcd, "kv/put", r#"{"key":"YQ==","value":"MQ=="}"#);
    assert!(watcher.join().unwrap().contains("\"value\":\"MQ==\""));
}

#[test]
fn v3_102_a_lock_waits_for_earlier_ones() {
    let etcd = FakeEtcd::new();
    let lock = |lease: i64| {
        call(
            &etcd,
            "lease/grant",
            &format!("{{\"ID\":{lease},\"TTL\":60}}"),
        );
        send(
            &etcd,
            "lock/lock",
            &format!("{{\"name\":\"YQ==\",\"lease\":{lease}}}"),
        )
    };
    let first = block_on(lock(1)).unwrap();
    assert_eq!(first.status(), 200);
    let (mut second, mut third) = (pin!(lock(2)), pin!(lock(3)));
    assert!(waits(&mut second) && waits(&mut third));
    // The key of the first, which is "a/1".
    call(&etcd, "lock/unlock", r#"{"key":"YS8x"}"#);
    assert!(waits(&mut third));
    assert_eq!(block_on(second).unwrap().status(), 200);
    // The end of its lease is the end of a lock, too.
    assert!(waits(&mut third));
    call(&etcd, "lease/revoke", r#"{"ID":2}"#);
    assert_eq!(block_on(third).unwrap().status(), 200);
}

#[test]
fn v3_105_a_campaign_waits_for_the_leader_to_resign() {
    let etcd = FakeEtcd::new();
    let campaign = |lease: i64| {
        call(
            &etcd,
            "lease/grant",
            &format!("{{\"ID\":{lease},\"TTL\":60}}"),
        );
        let body = format!("{{\"name\":\"YQ==\",\"lease\":{lease},\"value\":\"MQ==\"}}");
        send(&etcd, "election/campaign", &body)
    };
    assert_eq!(block_on(campaign(1)).unwrap().status(), 200);
    let mut second = pin!(campaign(2));
    assert!(waits(&mut second));
    call(
        &etcd,
        "election/resign",
        r#"{"leader":{"key":"YS8x","rev":"2","lease":"1"}}"#,
    );
    let body = block_on(second).unwrap().into_body();
    let body = block_on(body.collect(1 << 10)).unwrap();
    let won: serde_json::Value = serde_json::from_slice(&body).unwrap();
    // The header is that of the entry into the queue.
    assert_eq!(
        (&won["leader"]["rev"], &won["header"]["revision"]),
        (&"3".into(), &"3".into())
    );
}

#[test]
fn v3_103_a_lock_that_is_cancelled_leaves_the_queue() {
    let etcd = FakeEtcd::new();
    call(&etcd, "lock/lock", r#"{"name":"YQ=="}"#);
    {
        let mut waiter = pin!(send(&etcd, "lock/lock", r#"{"name":"YQ=="}"#));
        assert!(waits(&mut waiter));
        let queue = call(&etcd, "kv/range", r#"{"key":"YS8=","range_end":"YTA="}"#);
        assert_eq!(queue["count"], "2");
    }
    let queue = call(&etcd, "kv/range", r#"{"key":"YS8=","range_end":"YTA="}"#);
    assert_eq!(
        (&queue["count"], &queue["header"]["revision"]),
        (&"1".into(), &"4".into())
    );
}

#[test]
fn a_lease_ends_as_the_clock_jumps() {
    let etcd = FakeEtcd::builder().clock(Clock::auto()).build();
    call(&etcd, "lease/grant", r#"{"ID":7,"TTL":3600}"#);
    call(&etcd, "kv/put", r#"{"key":"YQ==","lease":7}"#);
    let create = r#"{"create_request":{"key":"YQ=="}}"#;
    let mut body = block_on(send(&etcd, "watch", create)).unwrap().into_body();
    line(&mut body);
    assert!(line(&mut body).contains("DELETE"));
    assert_eq!(etcd.elapsed(), Duration::from_secs(3600));
}

#[test]
fn a_fork_shares_nothing_that_changes() {
    let etcd = FakeEtcd::new();
    call(&etcd, "kv/put", r#"{"key":"YQ==","value":"MQ=="}"#);
    let fork = etcd.fork();
    call(&etcd, "kv/deleterange", r#"{"key":"YQ=="}"#);
    assert_eq!(call(&fork, "kv/range", r#"{"key":"YQ=="}"#)["count"], "1");
    assert_eq!(
        call(&etcd, "kv/range", r#"{"key":"YQ=="}"#).get("count"),
        None
    );
}

#[test]
fn a_lagging_member_answers_serializable_reads_from_its_past_and_its_watches_wait() {
    let etcd = FakeEtcd::builder().members(2).build();
    let send = |port: u16, path: &str, body: &str| {
        let request = http::Request::post(format!("http://127.0.0.1:{port}/v3/{path}"));
        let request = request.body(Body::from(body.to_owned())).unwrap();
        block_on(etcd.send(request)).unwrap().into_body()
    };
    let text = |body: Body| {
        let body = block_on(body.collect(1 << 20)).unwrap();
        String::from_utf8(body.to_vec()).unwrap()
    };
    let mut watch = send(12379, "watch", r#"{"create_request":{"key":"YQ=="}}"#);
    line(&mut watch);
    etcd.endpoint(1).lag();
    send(2379, "kv/put", r#"{"key":"YQ==","value":"MQ=="}"#);
    let read = r#"{"key":"YQ==","serializable":true}"#;
    assert!(!text(send(12379, "kv/range", read)).contains("kvs"));
    assert!(waits(&mut pin!(watch.frame())));
    // A linearizable read catches up.
    assert!(text(send(12379, "kv/range", r#"{"key":"YQ=="}"#)).contains("kvs"));
    assert!(line(&mut watch).contains("\"value\":\"MQ==\""));
}

#[test]
fn what_is_not_served_says_so() {
    let etcd = FakeEtcd::new();
    let response = block_on(send(&etcd, "maintenance/snapshot", "{}")).unwrap();
    assert_eq!(response.status(), 501);
    let text = block_on(response.into_body().collect(1 << 10)).unwrap();
    assert_eq!(
        text,
        "{\"error\":{\"code\":12,\"message\":\"etcd-fake: maintenance/snapshot is not served\"}}\n"
            .as_bytes()
    );
}

#[test]
fn an_open_watch_breaks_off_when_the_server_stops() {
    let etcd = FakeEtcd::new();
    let create = r#"{"create_request":{"key":"YQ=="}}"#;
    let mut body = block_on(send(&etcd, "watch", create)).unwrap().into_body();
    line(&mut body);
    etcd.restart();
    assert!(block_on(body.frame()).unwrap().is_err());
}
