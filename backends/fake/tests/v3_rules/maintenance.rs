//! Alarms and the leader: V3-124 and V3-125.

use crate::{assert_refused, call, post, put, rules};

rules! {
    fn v3_124_without_space_only_what_grows_is_refused(s) {
        put(s, "YQ==", "");
        let alarm = r#"{"action":"ACTIVATE","alarm":"NOSPACE"}"#;
        let raised = r#"[{"alarm":"NOSPACE"}]"#;
        let told = post(s, "maintenance/alarm", alarm).json();
        assert_eq!((told["alarms"].to_string(), told.get("header").is_some()), (raised.to_owned(), !s.is_3_4()));
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
        let told = post(s, "maintenance/alarm", r#"{"action":"DEACTIVATE","alarm":"NOSPACE"}"#);
        assert_eq!(told.json()["alarms"].to_string(), raised);
        put(s, "YQ==", "");
    }

    fn v3_124_data_that_differ_cannot_be_written(s) {
        let told = post(s, "maintenance/alarm", r#"{"action":"ACTIVATE","alarm":"CORRUPT","memberID":7}"#);
        assert_eq!(told.json()["alarms"].to_string(), r#"[{"alarm":"CORRUPT","memberID":"7"}]"#);
        for (path, body) in [
            ("kv/put", r#"{"key":"YQ=="}"#),
            ("kv/deleterange", r#"{"key":"YQ=="}"#),
            ("lease/revoke", r#"{"ID":7}"#),
        ] {
            assert_refused(&post(s, path, body), 15, "etcdserver: corrupt cluster");
        }
    }

    fn v3_125_nobody_but_a_member_can_lead(s) {
        let told = post(s, "maintenance/transfer-leadership", r#"{"targetID":5}"#);
        assert_refused(&told, 9, "etcdserver: bad leader transferee");
    }
}
