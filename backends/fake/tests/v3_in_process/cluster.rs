//! Members without a leader, and learners: V3-90, V3-98, V3-127 and V3-148.

use std::time::Duration;

use etcd_http_fake::{Clock, FakeEtcd, Profile};
use futures::executor::block_on;

use crate::{ask, assert_end, call, line, metrics, open, poll, poll_line, reply, send_to};

const HAS_LEADER: &[(&str, &str)] = &[("Grpc-Metadata-hasleader", "true")];
const LOCAL: &str = r#"{"key":"YQ==","serializable":true}"#;

fn trio(profile: Profile) -> FakeEtcd {
    let builder = FakeEtcd::builder().profile(profile).members(3);
    builder.clock(Clock::auto()).build()
}

#[test]
fn v3_90_a_watch_that_needs_a_leader_is_refused_without_one() {
    for profile in [Profile::V3_4, Profile::V3_5] {
        let etcd = trio(profile);
        let (status, _) = ask(&etcd, 0, "kv/range", LOCAL, HAS_LEADER);
        assert_eq!(status, 200);
        etcd.begin_election();
        for (path, body) in [
            ("kv/range", LOCAL),
            ("lock/lock", r#"{"name":"YQ=="}"#),
            ("watch", r#"{"create_request":{"key":"YQ=="}}"#),
            ("lease/keepalive", r#"{"ID":1}"#),
            ("election/observe", r#"{"name":"YQ=="}"#),
        ] {
            let (status, text) = ask(&etcd, 0, path, body, HAS_LEADER);
            assert!(
                status == 503 && text.contains("etcdserver: no leader"),
                "{path} {text}"
            );
        }
        assert_eq!(ask(&etcd, 0, "kv/range", LOCAL, &[]).0, 200);
    }
}

#[test]
fn v3_90_a_watch_that_needs_a_leader_ends_after_three_election_timeouts_without_one() {
    let second = Duration::from_secs(1);
    let etcd = FakeEtcd::builder().members(3).build();
    let create = r#"{"create_request":{"key":"YQ=="}}"#;
    let mut watch = open(&etcd, "watch", create, HAS_LEADER);
    let mut patient = open(&etcd, "watch", create, &[]);
    line(&mut watch);
    line(&mut patient);
    // A short election goes unnoticed.
    etcd.begin_election();
    assert_eq!(poll_line(&mut watch), None);
    etcd.advance(second * 2);
    etcd.endpoint(1).lead();
    assert_eq!(poll_line(&mut watch), None);
    etcd.advance(second * 5);
    assert_eq!(poll_line(&mut watch), None);
    etcd.begin_election();
    assert_eq!(poll_line(&mut watch), None);
    etcd.advance(second * 3);
    let end = "{\"error\":{\"code\":14,\"message\":\"etcdserver: no leader\"}}\n";
    assert_eq!(line(&mut watch), end);
    assert_end(&mut watch);
    assert_eq!(poll_line(&mut patient), None);
}

#[test]
fn v3_90_an_observation_that_waits_for_a_leader_ends_likewise() {
    let second = Duration::from_secs(1);
    let [old, new] = [Profile::V3_4, Profile::V3_5];
    let ends = [
        (
            old,
            r#"{"error":{"grpc_code":14,"http_code":503,"message":"etcdserver: no leader","http_status":"Service Unavailable"}}"#,
        ),
        (
            new,
            "{\"error\":{\"code\":14,\"message\":\"etcdserver: no leader\"}}\n",
        ),
    ];
    for (profile, end) in ends {
        let etcd = FakeEtcd::builder().profile(profile).build();
        let observe =
            |headers| send_to(&etcd, 0, "election/observe", r#"{"name":"YQ=="}"#, headers);
        let (mut waiting, mut patient) = (observe(HAS_LEADER), observe(&[]));
        assert!(poll(&mut waiting).is_pending() && poll(&mut patient).is_pending());
        etcd.begin_election();
        assert!(poll(&mut waiting).is_pending());
        etcd.advance(second * 2);
        assert!(poll(&mut waiting).is_pending());
        etcd.advance(second);
        assert_eq!(reply(block_on(waiting).unwrap()), (503, end.to_owned()));
        etcd.advance(second * 60);
        assert!(poll(&mut patient).is_pending());
    }
}

#[test]
fn v3_106_an_observation_that_cannot_read_the_leader_ends_without_a_reason() {
    for profile in [Profile::V3_4, Profile::V3_5] {
        let etcd = FakeEtcd::builder().profile(profile).build();
        etcd.lose_quorum();
        let mut observe = send_to(&etcd, 0, "election/observe", r#"{"name":"YQ=="}"#, &[]);
        assert!(poll(&mut observe).is_pending());
        etcd.advance(FakeEtcd::QUORUM_TIMEOUT - Duration::from_nanos(1));
        assert!(poll(&mut observe).is_pending());
        etcd.advance(Duration::from_nanos(1));
        assert_eq!(reply(block_on(observe).unwrap()), (200, String::new()));
        let metrics = metrics(&etcd);
        let ended = r#"grpc_server_handled_total{grpc_code="OK",grpc_method="Observe",grpc_service="v3electionpb.Election",grpc_type="server_stream"} 1"#;
        assert!(metrics.contains(ended), "{metrics}");
    }
}

#[test]
fn v3_127_a_minority_answers_local_reads_from_its_past_and_nothing_else() {
    let etcd = trio(Profile::V3_5);
    let mut watch = open(&etcd, "watch", r#"{"create_request":{"key":"YQ=="}}"#, &[]);
    line(&mut watch);
    let term = |endpoint: usize| {
        let (_, text) = ask(&etcd, endpoint, "maintenance/status", "{}", &[]);
        let json: serde_json::Value = serde_json::from_str(&text).unwrap();
        (json["raftTerm"].clone(), json.get("leader").cloned())
    };
    let before = term(0);
    etcd.partition(&[0]);
    // The others elect a leader, and write.
    assert!(etcd.endpoint(1).is_leader() && !etcd.endpoint(0).is_leader());
    let put = r#"{"key":"YQ==","value":"MQ=="}"#;
    assert_eq!(ask(&etcd, 1, "kv/put", put, &[]).0, 200);
    assert!(ask(&etcd, 2, "kv/range", LOCAL, &[]).1.contains("MQ=="));
    assert!(!ask(&etcd, 0, "kv/range", LOCAL, &[]).1.contains("MQ=="));
    assert_eq!(term(0), (before.0.clone(), None));
    assert_eq!(poll_line(&mut watch), None);
    for (path, body) in [
        ("kv/range", r#"{"key":"YQ=="}"#),
        ("kv/put", r#"{"key":"YQ==","value":"Mg=="}"#),
    ] {
        let (status, text) = ask(&etcd, 0, path, body, &[]);
        assert!(
            status == 503 && text.contains("etcdserver: request timed out"),
            "{text}"
        );
    }
    etcd.heal();
    assert!(line(&mut watch).contains("\"value\":\"MQ==\""));
    // What the minority took is lost.
    let kv = call(&etcd, "kv/range", r#"{"key":"YQ=="}"#)["kvs"][0].take();
    assert_eq!(
        (&kv["value"], &kv["version"]),
        (&"MQ==".into(), &"1".into())
    );
    assert_eq!(term(0), term(1));
    assert_ne!(term(0).0, before.0);
}

#[test]
fn a_cluster_that_is_cut_in_two_without_a_majority_does_not_write() {
    let etcd = trio(Profile::V3_5);
    etcd.partition(&[0, 1]);
    let (status, _) = ask(&etcd, 2, "kv/put", r#"{"key":"YQ=="}"#, &[]);
    assert_eq!(status, 503);
    assert_eq!(ask(&etcd, 2, "kv/range", LOCAL, &[]).0, 200);
    etcd.heal();
    call(&etcd, "kv/put", r#"{"key":"YQ=="}"#);
}

#[test]
fn v3_98_a_new_leader_lets_leases_live_for_their_whole_time() {
    let etcd = FakeEtcd::builder().members(3).build();
    call(&etcd, "lease/grant", r#"{"ID":7,"TTL":10}"#);
    etcd.advance(Duration::from_secs(9));
    etcd.endpoint(1).lead();
    let left = call(&etcd, "lease/timetolive", r#"{"ID":7}"#);
    assert_eq!(
        (&left["TTL"], &left["grantedTTL"]),
        (&"11".into(), &"10".into())
    );
    etcd.advance(Duration::from_secs(10));
    call(&etcd, "kv/put", r#"{"key":"YQ==","lease":7}"#);
}

#[test]
fn v3_148_a_learner_serves_local_reads_and_its_status() {
    for profile in [Profile::V3_4, Profile::V3_5] {
        let etcd = FakeEtcd::builder()
            .profile(profile)
            .member("voter", "http://127.0.0.1:2379")
            .learner("learner", "http://127.0.0.1:12379")
            .build();
        call(&etcd, "kv/put", r#"{"key":"YQ==","value":"MQ=="}"#);
        assert!(ask(&etcd, 1, "kv/range", LOCAL, &[]).1.contains("MQ=="));
        assert!(
            ask(&etcd, 1, "maintenance/status", "{}", &[])
                .1
                .contains("isLearner")
        );
        for (path, body) in [
            ("kv/range", r#"{"key":"YQ=="}"#),
            ("kv/put", r#"{"key":"YQ=="}"#),
            ("cluster/member/list", "{}"),
            ("watch", r#"{"create_request":{"key":"YQ=="}}"#),
            ("lease/keepalive", r#"{"ID":1}"#),
            ("lock/lock", r#"{"name":"YQ=="}"#),
        ] {
            let (status, text) = ask(&etcd, 1, path, body, &[]);
            assert!(
                status == 503 && text.contains("etcdserver: rpc not supported for learner"),
                "{text}"
            );
        }
        etcd.endpoint(1).lead();
        assert!(etcd.endpoint(0).is_leader());
        let members = call(&etcd, "cluster/member/list", "{}")["members"].take();
        let members = members.as_array().unwrap();
        let learner = members.iter().find(|member| member["isLearner"] == true);
        let promote = format!(r#"{{"ID":{}}}"#, learner.unwrap()["ID"]);
        // It is behind, and then it is not.
        etcd.endpoint(1).lag();
        call(&etcd, "kv/put", r#"{"key":"YQ=="}"#);
        let (_, text) = ask(&etcd, 0, "cluster/member/promote", &promote, &[]);
        assert!(text.contains("in sync with leader"), "{text}");
        etcd.endpoint(1).catch_up();
        call(&etcd, "cluster/member/promote", &promote);
        assert_eq!(ask(&etcd, 1, "kv/put", r#"{"key":"YQ=="}"#, &[]).0, 200);
        drop(send_to(&etcd, 1, "watch", "{}", &[]));
    }
}
