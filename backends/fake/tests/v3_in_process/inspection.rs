//! Looking at requests, keys, leases and watches.

use std::time::Duration;

use etcd_http_fake::{FakeEtcd, KeyChange, Outcome, Profile, When};
use etcd_transport::{Transport, http};
use futures::executor::block_on;

use crate::{ask, call, line, metrics, open, poll, send_to, token_of_root};

#[test]
fn requests_are_logged_with_their_fields_as_text() {
    let etcd = FakeEtcd::new();
    call(&etcd, "kv/put", r#"{"key":"YQ==","value":"MSAy"}"#);
    call(
        &etcd,
        "kv/range",
        r#"{"key":"YQ==","range_end":"/w==","limit":"7"}"#,
    );
    call(
        &etcd,
        "kv/txn",
        r#"{"compare":[{"key":"YQ==","target":"VALUE","value":"MQ=="}],"success":[{"request_put":{"key":"Yg=="}}]}"#,
    );
    ask(
        &etcd,
        0,
        "auth/user/add",
        r#"{"name":"ann","password":"secret"}"#,
        &[],
    );
    etcd.assert_lines(&[
        "POST /v3/kv/put key=a value=1 2",
        "POST /v3/kv/range key=a limit=7 range_end=\\xff",
        "POST /v3/kv/txn compare.0.key=a compare.0.target=VALUE compare.0.value=1 success.0.request_put.key=b",
        "POST /v3/auth/user/add name=ann password=…",
    ]);
    let log = etcd.log();
    assert_eq!(
        (log[0].parameter("value").as_deref(), log[0].outcome()),
        (Some("1 2"), Outcome::Answered(200))
    );
    assert!(!etcd.log_text().contains("secret"));
    let puts_of_a = When::any()
        .path("/v3/kv/put")
        .matching(|put| put.parameter("key").as_deref() == Some("a"));
    etcd.assert_count(&puts_of_a, 1);
}

#[test]
fn keys_and_their_history_are_read_without_a_request() {
    let etcd = FakeEtcd::new();
    assert_eq!(
        (etcd.get("a"), etcd.revision(), etcd.history()),
        (None, 1, vec![])
    );
    call(&etcd, "kv/put", r#"{"key":"YQ==","value":"MQ=="}"#);
    call(&etcd, "kv/put", r#"{"key":"YWI=","value":"Mg=="}"#);
    call(&etcd, "kv/put", r#"{"key":"YQ==","value":"Mw=="}"#);
    call(&etcd, "kv/deleterange", r#"{"key":"YWI="}"#);
    etcd.clear_log();
    let a = etcd.get("a").unwrap();
    assert_eq!(
        (&a.value[..], a.create_revision, a.mod_revision, a.version),
        (&b"3"[..], 2, 4, 2)
    );
    assert_eq!(
        format!("{a:?}"),
        r#""a" = "3" (revision 4, created 2, version 2)"#
    );
    assert_eq!(etcd.get_prefix("a"), std::slice::from_ref(&a));
    let history = etcd.history();
    let revisions: Vec<i64> = history.iter().map(KeyChange::revision).collect();
    assert_eq!(revisions, [2, 3, 4, 5]);
    assert!(matches!(&history[3], KeyChange::Delete { key, .. } if key == "ab"));
    assert_eq!(etcd.history_of("a").last(), Some(&KeyChange::Put(a)));
    assert_eq!(etcd.revision(), 5);
    etcd.assert_lines(&[]);
}

#[test]
fn leases_show_the_time_that_is_left_and_their_keys() {
    let etcd = FakeEtcd::new();
    call(&etcd, "lease/grant", r#"{"ID":7,"TTL":60}"#);
    call(&etcd, "lease/grant", r#"{"ID":8,"TTL":30}"#);
    call(&etcd, "kv/put", r#"{"key":"YQ==","lease":7}"#);
    etcd.advance(Duration::from_millis(10_250));
    let [first, second] = &etcd.leases()[..] else {
        panic!("{:?}", etcd.leases())
    };
    assert_eq!(
        (first.id, first.remaining),
        (8, Duration::from_millis(19_750))
    );
    assert_eq!(
        (second.id, second.ttl, &second.keys[..]),
        (7, Duration::from_secs(60), &[b"a"[..].into()][..])
    );
}

#[test]
fn open_watches_show_what_they_watch() {
    let etcd = FakeEtcd::new();
    let mut body = open(
        &etcd,
        "watch",
        r#"{"create_request":{"key":"YQ=="}}{"create_request":{"key":"Yg==","range_end":"AA==","watch_id":"7"}}"#,
        &[],
    );
    line(&mut body);
    call(&etcd, "kv/put", r#"{"key":"YQ=="}"#);
    let shown: Vec<String> = etcd
        .watches()
        .iter()
        .map(|watch| format!("{watch:?}"))
        .collect();
    assert_eq!(
        shown,
        [
            r#"watch 0 at #0 of "a" from revision 3 on"#,
            r#"watch 7 at #0 of "b" to "\x00" from revision 3 on"#
        ]
    );
    assert_eq!(etcd.open_watches(), 2);
    drop(body);
    assert_eq!((etcd.watches(), etcd.open_watches()), (vec![], 0));
}

#[test]
fn metrics_count_calls_by_their_result() {
    let etcd = FakeEtcd::new();
    call(&etcd, "kv/put", r#"{"key":"YQ=="}"#);
    call(&etcd, "kv/put", r#"{"key":"YQ=="}"#);
    ask(&etcd, 0, "kv/put", "{}", &[]);
    // What the gateway cannot read never becomes a call.
    ask(&etcd, 0, "kv/put", "{", &[]);
    let text = metrics(&etcd);
    for line in [
        r#"grpc_server_handled_total{grpc_code="OK",grpc_method="Put",grpc_service="etcdserverpb.KV",grpc_type="unary"} 2"#,
        r#"grpc_server_handled_total{grpc_code="InvalidArgument",grpc_method="Put",grpc_service="etcdserverpb.KV",grpc_type="unary"} 1"#,
        "etcd_server_has_leader 1",
        "etcd_debugging_mvcc_current_revision 3",
        "etcd_debugging_mvcc_keys_total 1",
        r#"etcd_server_version{server_version="3.5.16"} 1"#,
    ] {
        assert!(text.lines().any(|other| other == line), "{line}\n{text}");
    }
}

#[test]
fn metrics_count_streams_when_they_end_with_the_codes_of_etcd() {
    let handled = |etcd: &FakeEtcd| {
        let text = metrics(etcd);
        let lines = text.lines().filter_map(|line| {
            let (labels, count) = line
                .strip_prefix("grpc_server_handled_total{")?
                .split_once("} ")?;
            let label = |name: &str| labels.split(name).nth(1)?.split('"').nth(1);
            Some(format!(
                "{} {} {count}",
                label("grpc_method=")?,
                label("grpc_code=")?
            ))
        });
        lines.collect::<Vec<_>>()
    };
    for (profile, late) in [(Profile::V3_4, "Unknown"), (Profile::V3_5, "Canceled")] {
        let etcd = FakeEtcd::builder().profile(profile).build();
        let create = r#"{"create_request":{"key":"YQ=="}}"#;
        let watch = open(&etcd, "watch", create, &[]);
        assert!(handled(&etcd).is_empty());
        drop(watch);
        assert_eq!(handled(&etcd), ["Watch Canceled 1"]);
        // One whose client goes before there is a message.
        let mut observe = send_to(&etcd, 0, "election/observe", "{\"name\":\"YQ==\"}", &[]);
        assert!(poll(&mut observe).is_pending());
        drop(observe);
        let ended = ["Watch Canceled 1", "Observe Unknown 1"];
        assert_eq!(handled(&etcd), ended);
        let mut watch = open(&etcd, "watch", create, &[("Grpc-Timeout", "1S")]);
        line(&mut watch);
        etcd.advance(Duration::from_secs(1));
        assert!(line(&mut watch).contains("context deadline exceeded"));
        drop(watch);
        let mut all = handled(&etcd);
        all.retain(|line| line.starts_with("Watch"));
        let mut expected = vec!["Watch Canceled 1".to_owned()];
        match late {
            "Canceled" => expected[0] = "Watch Canceled 2".to_owned(),
            _ => expected.push(format!("Watch {late} 1")),
        }
        assert_eq!(all, expected);
        // A snapshot is refused, and a keep-alive whose requests have ended is over.
        ask(&etcd, 0, "maintenance/snapshot", "{}", &[]);
        ask(&etcd, 0, "lease/keepalive", "{\"ID\":\"1\"}", &[]);
        let all = handled(&etcd);
        for line in ["Snapshot Unimplemented 1", "LeaseKeepAlive OK 1"] {
            assert!(all.iter().any(|other| other == line), "{all:?}");
        }
        etcd.wipe();
    }
}

#[test]
fn the_sizes_of_requests_and_the_time_of_tokens_can_be_set() {
    let builder = FakeEtcd::builder().max_txn_ops(1).max_request_bytes(1000);
    let etcd = builder.token_ttl(Duration::from_secs(1)).build();
    let two = r#"{"success":[{"request_range":{"key":"YQ=="}},{"request_range":{"key":"YQ=="}}]}"#;
    assert!(
        ask(&etcd, 0, "kv/txn", two, &[])
            .1
            .contains("too many operations")
    );
    let large = format!(r#"{{"key":"YQ==","value":"{}"}}"#, "YWFh".repeat(400));
    assert!(
        ask(&etcd, 0, "kv/put", &large, &[])
            .1
            .contains("request is too large")
    );
    let token = token_of_root(&etcd);
    let headers = &[("Authorization", &*token)];
    assert_eq!(
        ask(&etcd, 0, "kv/range", r#"{"key":"YQ=="}"#, headers).0,
        200
    );
    etcd.advance(Duration::from_secs(1));
    assert_eq!(
        ask(&etcd, 0, "kv/range", r#"{"key":"YQ=="}"#, headers).0,
        401
    );
}

#[test]
fn a_dump_has_the_v3_store_with_its_history_and_its_leases() {
    let etcd = FakeEtcd::new();
    call(&etcd, "lease/grant", r#"{"ID":7,"TTL":60}"#);
    call(
        &etcd,
        "kv/put",
        r#"{"key":"YQ==","value":"MQ==","lease":7}"#,
    );
    call(&etcd, "kv/put", r#"{"key":"/w==","value":"/w=="}"#);
    call(
        &etcd,
        "kv/put",
        r#"{"key":"YQ==","value":"Mg==","lease":7}"#,
    );
    call(&etcd, "kv/deleterange", r#"{"key":"/w=="}"#);
    let dump = etcd.dump();
    let copy = FakeEtcd::new();
    call(&copy, "kv/put", r#"{"key":"eA=="}"#);
    copy.load(&dump).unwrap();
    assert_eq!((copy.history(), copy.revision()), (etcd.history(), 5));
    assert_eq!(
        (copy.leases(), copy.get("a"), copy.get("x")),
        (etcd.leases(), etcd.get("a"), None)
    );
    assert_eq!(copy.dump(), dump);
    // In another order, too.
    let (first, rest) = dump.split_once('\n').unwrap();
    let reversed: Vec<&str> = [first].into_iter().chain(rest.lines().rev()).collect();
    let edited = FakeEtcd::new();
    edited.load(&reversed.join("\n")).unwrap();
    assert_eq!(edited.dump(), dump);
    let before = r#"{"key":"YQ==","revision":2}"#;
    assert_eq!(
        call(&edited, "kv/range", before)["kvs"],
        call(&etcd, "kv/range", before)["kvs"]
    );
    assert_eq!(
        call(&copy, "kv/range", before)["kvs"],
        call(&etcd, "kv/range", before)["kvs"]
    );
    copy.advance(Duration::from_secs(61));
    assert_eq!(copy.get("a"), None);
    let error = copy.load("{\"index\":1}\n{\"put\":7}").unwrap_err();
    assert_eq!(
        error.to_string(),
        "line 2 of the dump: not a key, a lease or a change"
    );
}

#[test]
fn requests_by_grpc_are_logged_with_their_fields_as_text() {
    let etcd = FakeEtcd::new();
    for (path, message) in [
        ("etcdserverpb.KV/Put", &b"\x0a\x01a\x12\x011"[..]),
        ("v3lockpb.Lock/Lock", b"\x0a\x01l"),
        ("etcdserverpb.Auth/UserAdd", b"\x0a\x03ann\x12\x06secret"),
    ] {
        let length = u8::try_from(message.len()).unwrap();
        let body = [&[0, 0, 0, 0, length], message].concat();
        let request = http::Request::post(format!("http://localhost:2379/{path}"));
        let request = request.version(http::Version::HTTP_2);
        let request = request.header("content-type", "application/grpc");
        block_on(etcd.send(request.body(body.into()).unwrap())).unwrap();
    }
    etcd.assert_lines(&[
        "POST /etcdserverpb.KV/Put key=a value=1",
        "POST /v3lockpb.Lock/Lock name=l",
        "POST /etcdserverpb.Auth/UserAdd name=ann password=…",
    ]);
    assert_eq!(etcd.get("a").unwrap().value, "1");
}
