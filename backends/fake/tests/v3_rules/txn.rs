//! Transactions: V3-50 to V3-62.

use crate::{assert_refused, call, post, put, rules};

const DUPLICATE: &str = "etcdserver: duplicate key given in txn request";

fn put_op(key: &str) -> String {
    format!(r#"{{"request_put":{{"key":"{key}"}}}}"#)
}

rules! {
    fn v3_51_52_a_missing_key_compares_as_zero_except_by_its_value(s) {
        put(s, "YQ==", "MQ==");
        for (compare, holds) in [
            (r#"{"key":"YQ==","target":"VALUE","value":"MQ=="}"#, true),
            (r#"{"key":"YQ==","target":"VALUE","result":"GREATER","value":"MA=="}"#, true),
            (r#"{"key":"YQ==","result":"LESS","version":2}"#, true),
            (r#"{"key":"YQ==","target":"CREATE","result":"NOT_EQUAL","create_revision":2}"#, false),
            (r#"{"key":"eA=="}"#, true),
            (r#"{"key":"eA==","target":"MOD","result":"GREATER","mod_revision":-1}"#, true),
            (r#"{"key":"eA==","target":"VALUE"}"#, false),
            (r#"{"key":"eA==","target":"VALUE","result":"NOT_EQUAL","value":"MQ=="}"#, false),
        ] {
            let answer = call(s, "kv/txn", &format!(r#"{{"compare":[{compare}]}}"#));
            assert_eq!(answer["succeeded"] == true, holds, "{compare}");
        }
    }

    fn v3_53_a_comparison_of_a_range_must_hold_for_every_key(s) {
        put(s, "YQ==", "MQ==");
        put(s, "Yg==", "Mg==");
        for (result, value, holds) in [("GREATER", "MA==", true), ("GREATER", "MQ==", false)] {
            let compare = format!(r#"{{"key":"YQ==","range_end":"AA==","target":"VALUE","result":"{result}","value":"{value}"}}"#);
            let answer = call(s, "kv/txn", &format!(r#"{{"compare":[{compare}]}}"#));
            assert_eq!(answer["succeeded"] == true, holds, "{value}");
        }
    }

    fn v3_54_there_are_at_most_128_operations_less_those_around(s) {
        let reads = |count: usize| vec![r#"{"request_range":{"key":"YQ=="}}"#; count].join(",");
        let message = "etcdserver: too many operations in txn request";
        call(s, "kv/txn", &format!(r#"{{"success":[{}]}}"#, reads(128)));
        assert_refused(&post(s, "kv/txn", &format!(r#"{{"success":[{}]}}"#, reads(129))), 3, message);
        let nested = |count: usize| format!(r#"{{"success":[{{"request_txn":{{"success":[{}]}}}}]}}"#, reads(count));
        call(s, "kv/txn", &nested(127));
        assert_refused(&post(s, "kv/txn", &nested(128)), 3, message);
    }

    fn v3_55_a_transaction_is_checked_in_order(s) {
        let (a, empty) = (put_op("YQ=="), put_op(""));
        for (body, message) in [
            (format!(r#"{{"compare":[{{}}],"success":[{a},{a}]}}"#), "etcdserver: key is not provided"),
            (format!(r#"{{"success":[{a},{a}],"failure":[{empty}]}}"#), "etcdserver: key is not provided"),
            (format!(r#"{{"success":[{a},{a}],"failure":[{{}}]}}"#), "etcdserver: key not found"),
            (format!(r#"{{"failure":[{a},{a}]}}"#), DUPLICATE),
        ] {
            assert_refused(&post(s, "kv/txn", &body), 3, message);
        }
    }

    fn v3_56_57_a_key_is_put_once_and_not_deleted_as_well(s) {
        let a = put_op("YQ==");
        let delete = |end: &str| format!(r#"{{"request_delete_range":{{"key":"YQ==","range_end":"{end}"}}}}"#);
        let both = format!(r#"{{"request_txn":{{"success":[{a}],"failure":[{a}]}}}}"#);
        for (ops, is_allowed) in [
            (format!("{a},{a}"), false),
            (format!("{},{a}", delete("Yg==")), false),
            (format!("{both},{a}"), false),
            (both, true),
            (format!("{0},{0}", delete("Yg==")), true),
            // An open end is treated as a key before all others.
            (format!("{},{a}", delete("AA==")), true),
        ] {
            let reply = post(s, "kv/txn", &format!(r#"{{"success":[{ops}]}}"#));
            assert_eq!(reply.status == 200, is_allowed, "{ops}: {}", reply.text());
        }
    }

    fn v3_58_a_transaction_is_applied_as_a_whole_or_not_at_all(s) {
        let body = format!(r#"{{"success":[{},{{"request_put":{{"key":"Yg==","lease":5}}}}]}}"#, put_op("YQ=="));
        assert_refused(&post(s, "kv/txn", &body), 5, "etcdserver: requested lease not found");
        let body = format!(r#"{{"success":[{},{{"request_range":{{"key":"Yg==","revision":9}}}}]}}"#, put_op("YQ=="));
        assert_refused(&post(s, "kv/txn", &body), 11, "etcdserver: mvcc: required revision is a future revision");
        assert_eq!(call(s, "kv/range", r#"{"key":"YQ=="}"#).to_string(), r#"{"header":{"revision":"1"}}"#);
    }

    fn v3_60_61_reads_see_earlier_writes_and_all_share_one_revision(s) {
        let read = r#"{"request_range":{"key":"YQ=="}}"#;
        let answer = call(s, "kv/txn", &format!(r#"{{"success":[{read},{},{read},{}]}}"#, put_op("YQ=="), put_op("Yg==")));
        let revision = |at: usize, kind: &str| answer["responses"][at][kind]["header"]["revision"].clone();
        assert_eq!(revision(0, "response_range"), "1");
        assert_eq!(revision(2, "response_range"), "2");
        assert_eq!(revision(3, "response_put"), "2");
        assert_eq!(answer["responses"][2]["response_range"]["count"], "1");
        assert_eq!(call(s, "kv/txn", &format!(r#"{{"success":[{read}]}}"#))["header"]["revision"], "2");
    }

    fn v3_62_all_branches_are_chosen_before_anything_is_done(s) {
        let nested = r#"{"request_txn":{"compare":[{"key":"YQ==","version":1}],"success":[{"request_put":{"key":"eA=="}}]}}"#;
        let answer = call(s, "kv/txn", &format!(r#"{{"success":[{},{nested}]}}"#, put_op("YQ==")));
        assert_eq!(answer["responses"][1]["response_txn"].get("succeeded"), None);
    }
}
