//! Alarms, the leader and downgrades: V3-124, V3-125 and V3-149.

use fake_harness::Subject;

use crate::{assert_refused, call, post, put, rules};

rules! {
    fn v3_124_without_space_only_what_grows_is_refused(s) {
        put(s, "YQ==", "");
        let alarm = r#"{"action":"ACTIVATE","alarm":"NOSPACE"}"#;
        let raised = r#"[{"alarm":"NOSPACE"}]"#;
        let reply = post(s, "maintenance/alarm", alarm).json();
        assert_eq!((reply["alarms"].to_string(), reply.get("header").is_some()), (raised.to_owned(), !s.is_3_4()));
        assert_eq!(post(s, "maintenance/alarm", "{}").json()["alarms"].to_string(), raised);
        assert_eq!(call(s, "maintenance/status", "{}")["errors"].to_string(), r#"["alarm:NOSPACE "]"#);
        let message = "etcdserver: mvcc: database space exceeded";
        for (path, body) in [
            ("kv/put", r#"{"key":"YQ=="}"#),
            ("kv/txn", r#"{"success":[{"request_put":{"key":"YQ=="}}]}"#),
            ("lease/grant", r#"{"TTL":9}"#),
        ] {
            assert_refused(&post(s, path, body), 8, message);
        }
        call(s, "kv/range", r#"{"key":"YQ=="}"#);
        call(s, "kv/deleterange", r#"{"key":"YQ=="}"#);
        call(s, "kv/compaction", r#"{"revision":2}"#);
        let reply = post(s, "maintenance/alarm", r#"{"action":"DEACTIVATE","alarm":"NOSPACE"}"#);
        assert_eq!(reply.json()["alarms"].to_string(), raised);
        put(s, "YQ==", "");
    }

    fn v3_124_data_that_differ_cannot_be_written(s) {
        let reply = post(s, "maintenance/alarm", r#"{"action":"ACTIVATE","alarm":"CORRUPT","memberID":7}"#);
        assert_eq!(reply.json()["alarms"].to_string(), r#"[{"alarm":"CORRUPT","memberID":"7"}]"#);
        for (path, body) in [
            ("kv/put", r#"{"key":"YQ=="}"#),
            ("kv/deleterange", r#"{"key":"YQ=="}"#),
            ("lease/revoke", r#"{"ID":7}"#),
        ] {
            assert_refused(&post(s, path, body), 15, "etcdserver: corrupt cluster");
        }
    }

    /// 3.5 stores none without a kind, and ends with a panic at a kind that it does not know.
    fn v3_124_an_alarm_of_no_kind_forbids_nothing(s) {
        let raise = |kind: &str| format!(r#"{{"action":"ACTIVATE","memberID":7{kind}}}"#);
        let clear = |kind: &str| format!(r#"{{"action":"DEACTIVATE","memberID":7{kind}}}"#);
        let alarms = |s: &mut dyn Subject, body: &str| post(s, "maintenance/alarm", body).json()["alarms"].to_string();
        if !s.is_3_4() {
            assert_eq!(alarms(s, &raise("")), "null");
            assert_eq!(alarms(s, "{}"), "null");
            return;
        }
        for (kind, listed, shown) in [
            ("", r#"[{"memberID":"7"}]"#, r#"["memberID:7 "]"#),
            (r#","alarm":5"#, r#"[{"alarm":5,"memberID":"7"}]"#, r#"["memberID:7 alarm:5 "]"#),
        ] {
            assert_eq!(alarms(s, &raise(kind)), listed);
            assert_eq!(alarms(s, "{}"), listed);
            assert_eq!(call(s, "maintenance/status", "{}")["errors"].to_string(), shown);
            put(s, "YQ==", "");
            if kind.is_empty() {
                alarms(s, &clear(kind));
                continue;
            }
            alarms(s, &raise(r#","alarm":"NOSPACE""#));
            assert_eq!(alarms(s, &clear(kind)), listed);
            assert_eq!(post(s, "kv/put", r#"{"key":"YQ=="}"#).status, 429);
        }
    }

    fn v3_149_a_downgrade_goes_one_release_back(s) {
        let path = "maintenance/downgrade";
        if s.is_3_4() {
            assert_eq!(post(s, path, "{}").status, 404);
            return;
        }
        let ask = |action: &str, version: &str| format!(r#"{{"action":"{action}","version":"{version}"}}"#);
        let wrong = "etcdserver: wrong downgrade target version format";
        for version in ["", "x", "3", "3.4.0.1"] {
            assert_refused(&post(s, path, &ask("VALIDATE", version)), 3, wrong);
        }
        let invalid = "etcdserver: invalid downgrade target version";
        for version in ["3.3", "3.5", "3.5.0"] {
            assert_refused(&post(s, path, &ask("ENABLE", version)), 3, invalid);
        }
        for version in ["3.4", "3.4.0", "3.4.9"] {
            assert_eq!(call(s, path, &ask("VALIDATE", version))["version"], "3.5.0", "{version}");
        }
        assert_refused(&post(s, path, r#"{"action":7}"#), 2, "etcdserver: unknown method");
        assert_refused(&post(s, path, &ask("CANCEL", "")), 9, "etcdserver: no inflight downgrade job");
        assert_refused(&post(s, path, &ask("ENABLE", "3.4")), 14, "etcdserver: request timed out");
        let running = "etcdserver: cluster has a downgrade job in progress";
        assert_refused(&post(s, path, &ask("VALIDATE", "3.4")), 9, running);
        assert_refused(&post(s, path, &ask("CANCEL", "")), 14, "etcdserver: request timed out");
        assert_eq!(call(s, path, &ask("VALIDATE", "3.4"))["version"], "3.5.0");
    }

    fn v3_125_only_a_member_can_lead(s) {
        let reply = post(s, "maintenance/transfer-leadership", r#"{"targetID":5}"#);
        assert_refused(&reply, 9, "etcdserver: bad leader transferee");
    }
}
