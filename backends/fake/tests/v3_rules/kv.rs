//! Ranges, puts, deletions and compactions: V3-30 to V3-47, V3-63 and V3-64.

use crate::{assert_refused, call, keys, post, put, rules};

const COMPACTED: &str = "etcdserver: mvcc: required revision has been compacted";
const FUTURE: &str = "etcdserver: mvcc: required revision is a future revision";

rules! {
    fn v3_30_a_range_needs_a_key(s) {
        assert_refused(&post(s, "kv/range", "{}"), 3, "etcdserver: key is not provided");
    }

    fn v3_31_the_end_of_a_range_may_be_absent_open_or_before_its_start(s) {
        for key in ["YQ==", "YWE=", "Yg==", "/w=="] {
            put(s, key, "");
        }
        for (end, expected) in [
            ("", &["YWE="][..]),
            ("AA==", &["YWE=", "Yg==", "/w=="]),
            ("Yg==", &["YWE="]),
            ("YQ==", &[]),
            ("YWE=", &[]),
        ] {
            let (found, count) = keys(s, &format!(r#"{{"key":"YWE=","range_end":"{end}"}}"#));
            assert_eq!(found, expected, "{end}");
            assert_eq!(count, expected.len().to_string());
        }
        assert_eq!(keys(s, r#"{"key":"AA==","range_end":"AA=="}"#).0.len(), 4);
    }

    fn v3_32_33_a_past_revision_is_read_under_the_current_one(s) {
        put(s, "YQ==", "MQ==");
        put(s, "YQ==", "Mg==");
        let old = call(s, "kv/range", r#"{"key":"YQ==","revision":2}"#);
        assert_eq!((&old["kvs"][0]["value"], &old["header"]["revision"]), (&"MQ==".into(), &"3".into()));
        assert_eq!(call(s, "kv/range", r#"{"key":"YQ==","revision":-5}"#)["kvs"][0]["value"], "Mg==");
        assert_refused(&post(s, "kv/range", r#"{"key":"YQ==","revision":4}"#), 11, FUTURE);
    }

    fn v3_34_to_36_filters_come_before_the_limit_and_neither_changes_the_count(s) {
        for key in ["YQ==", "Yg==", "Yw==", "ZA=="] {
            put(s, key, "");
        }
        let all = r#""key":"AA==","range_end":"AA==""#;
        let answer = call(s, "kv/range", &format!("{{{all},\"limit\":2}}"));
        assert_eq!((&answer["more"], &answer["count"]), (&true.into(), &"4".into()));
        let found = keys(s, &format!("{{{all},\"limit\":2,\"min_mod_revision\":3,\"max_mod_revision\":4}}"));
        assert_eq!(found, (vec!["Yg==".to_owned(), "Yw==".to_owned()], "4".to_owned()));
        let found = keys(s, &format!("{{{all},\"max_create_revision\":2}}"));
        assert_eq!(found, (vec!["YQ==".to_owned()], "4".to_owned()));
    }

    fn v3_37_without_an_order_only_what_the_limit_fetched_is_sorted(s) {
        for key in ["Yw==", "Yg==", "YQ=="] {
            put(s, key, "");
        }
        let all = r#""key":"AA==","range_end":"AA==","limit":1,"sort_target":"CREATE""#;
        assert_eq!(keys(s, &format!("{{{all}}}")).0, ["Yg=="]);
        assert_eq!(keys(s, &format!("{{{all},\"sort_order\":\"ASCEND\"}}")).0, ["Yw=="]);
        assert_eq!(keys(s, &format!("{{{all},\"sort_order\":\"DESCEND\"}}")).0, ["YQ=="]);
    }

    fn v3_39_values_or_all_keys_can_be_left_out(s) {
        put(s, "YQ==", "MQ==");
        let answer = call(s, "kv/range", r#"{"key":"YQ==","keys_only":true}"#);
        assert_eq!(answer["kvs"][0].get("value"), None);
        let answer = call(s, "kv/range", r#"{"key":"YQ==","range_end":"AA==","count_only":true,"limit":1}"#);
        assert_eq!(answer.to_string(), r#"{"count":"1","header":{"revision":"2"}}"#);
    }

    fn v3_40_the_fields_of_a_key_are_in_order(s) {
        call(s, "lease/grant", r#"{"ID":7,"TTL":100}"#);
        call(s, "kv/put", r#"{"key":"YQ==","value":"MQ==","lease":7}"#);
        let text = post(s, "kv/range", r#"{"key":"YQ=="}"#).text().replace(", ", ",");
        let kv = r#"{"key":"YQ==","create_revision":"2","mod_revision":"2","version":"1","value":"MQ==","lease":"7"}"#;
        assert!(text.contains(kv), "{text}");
    }

    fn v3_41_a_put_is_checked_in_order(s) {
        for (body, code, message) in [
            (r#"{"ignore_value":true,"value":"MQ=="}"#, 3, "etcdserver: key is not provided"),
            (r#"{"key":"YQ==","ignore_value":true,"value":"MQ==","ignore_lease":true,"lease":5}"#, 3, "etcdserver: value is provided"),
            (r#"{"key":"YQ==","ignore_lease":true,"lease":5}"#, 3, "etcdserver: lease is provided"),
            (r#"{"key":"YQ==","ignore_value":true,"lease":5}"#, 5, "etcdserver: requested lease not found"),
            (r#"{"key":"YQ==","ignore_value":true}"#, 3, "etcdserver: key not found"),
        ] {
            assert_refused(&post(s, "kv/put", body), code, message);
        }
    }

    fn v3_42_to_45_a_put_counts_versions_and_returns_the_former(s) {
        assert_eq!(put(s, "YQ==", "MQ==")["header"]["revision"], "2");
        let answer = call(s, "kv/put", r#"{"key":"YQ==","value":"MQ==","prev_kv":true}"#);
        assert_eq!(answer["prev_kv"]["version"], "1");
        assert_eq!(answer["header"]["revision"], "3");
        let kv = call(s, "kv/range", r#"{"key":"YQ=="}"#)["kvs"][0].clone();
        assert_eq!((&kv["create_revision"], &kv["version"]), (&"2".into(), &"2".into()));
        call(s, "kv/deleterange", r#"{"key":"YQ=="}"#);
        put(s, "YQ==", "MQ==");
        let kv = call(s, "kv/range", r#"{"key":"YQ=="}"#)["kvs"][0].clone();
        assert_eq!((&kv["create_revision"], &kv["version"]), (&"5".into(), &"1".into()));
    }

    fn v3_46_47_a_deletion_of_nothing_changes_nothing(s) {
        put(s, "YQ==", "MQ==");
        put(s, "Yg==", "MQ==");
        let answer = call(s, "kv/deleterange", r#"{"key":"eA=="}"#);
        assert_eq!(answer.to_string(), r#"{"header":{"revision":"3"}}"#);
        let answer = call(s, "kv/deleterange", r#"{"key":"YQ==","range_end":"AA==","prev_kv":true}"#);
        assert_eq!((&answer["deleted"], &answer["header"]["revision"]), (&"2".into(), &"4".into()));
        assert_eq!(answer["prev_kvs"][1]["key"], "Yg==");
    }

    fn v3_63_64_a_compaction_moves_forward_only_and_hides_what_is_older(s) {
        for value in ["MQ==", "Mg==", "Mw=="] {
            put(s, "YQ==", value);
        }
        call(s, "kv/compaction", r#"{"revision":0}"#);
        assert_refused(&post(s, "kv/compaction", r#"{"revision":0}"#), 11, COMPACTED);
        assert_refused(&post(s, "kv/compaction", r#"{"revision":5}"#), 11, FUTURE);
        assert_eq!(call(s, "kv/compaction", r#"{"revision":3}"#)["header"]["revision"], "4");
        assert_refused(&post(s, "kv/range", r#"{"key":"YQ==","revision":2}"#), 11, COMPACTED);
        assert_eq!(call(s, "kv/range", r#"{"key":"YQ==","revision":3}"#)["kvs"][0]["value"], "Mg==");
    }
}
