//! Leases: V3-92 to V3-100.

use std::time::Duration;

use crate::{Request, assert_refused, call, post, rules};

rules! {
    fn v3_92_a_grant_keeps_its_id_and_raises_a_short_time(s) {
        assert_eq!(call(s, "lease/grant", r#"{"ID":-4,"TTL":-5}"#).to_string(), r#"{"ID":"-4","TTL":"2","header":{"revision":"1"}}"#);
        assert_refused(&post(s, "lease/grant", r#"{"ID":"-4","TTL":9}"#), 9, "etcdserver: lease already exists");
        assert_refused(&post(s, "lease/grant", r#"{"TTL":9000000001}"#), 11, "etcdserver: too large lease TTL");
        let id = call(s, "lease/grant", r#"{"TTL":100}"#)["ID"].as_str().unwrap().to_owned();
        assert!(id.parse::<i64>().unwrap() > 0);
    }

    fn v3_94_each_request_renews_a_lease_and_an_unknown_one_has_no_time(s) {
        call(s, "lease/grant", r#"{"ID":7,"TTL":100}"#);
        let reply = s.ask(&Request::new("POST", "/v3/lease/keepalive").json(r#"{"ID":7}"#));
        assert!(reply.text().ends_with("\"ID\":\"7\",\"TTL\":\"100\"}}\n"), "{}", reply.text());
        let reply = s.ask(&Request::new("POST", "/v3/lease/keepalive").json(r#"{"ID":8}"#));
        assert!(reply.text().ends_with("\"ID\":\"8\"}}\n"), "{}", reply.text());
        let reply = s.ask(&Request::new("POST", "/v3/lease/keepalive"));
        assert_eq!((reply.status, reply.text()), (200, String::new()));
    }

    fn v3_96_the_time_to_live_comes_with_the_keys_if_wanted(s) {
        let before = s.now();
        call(s, "lease/grant", r#"{"ID":7,"TTL":100}"#);
        call(s, "kv/put", r#"{"key":"YQ==","lease":7}"#);
        let answer = call(s, "lease/timetolive", r#"{"ID":7,"keys":true}"#);
        assert_eq!((&answer["grantedTTL"], answer["keys"].to_string()), (&"100".into(), "[\"YQ==\"]".to_owned()));
        let passed = (s.now() - before).as_secs();
        let left: u64 = answer["TTL"].as_str().unwrap().parse().unwrap();
        assert!((99 - passed..=100).contains(&left), "{left} after {passed} s");
        assert_eq!(call(s, "lease/timetolive", r#"{"ID":8}"#).to_string(), r#"{"ID":"8","TTL":"-1","header":{"revision":"2"}}"#);
    }

    fn v3_97_a_revocation_deletes_the_keys_in_one_revision(s) {
        call(s, "lease/grant", r#"{"ID":7,"TTL":100}"#);
        for key in ["YQ==", "Yg=="] {
            call(s, "kv/put", &format!(r#"{{"key":"{key}","lease":7}}"#));
        }
        assert_eq!(call(s, "lease/revoke", r#"{"ID":7}"#)["header"]["revision"], "4");
        assert_eq!(call(s, "kv/range", r#"{"key":"AA==","range_end":"AA=="}"#).get("count"), None);
        assert_refused(&post(s, "lease/revoke", r#"{"ID":7}"#), 5, "etcdserver: requested lease not found");
    }

    fn v3_97_the_end_of_a_lease_deletes_its_keys(s) {
        let before = s.now();
        call(s, "lease/grant", r#"{"ID":7,"TTL":3}"#);
        call(s, "kv/put", r#"{"key":"YQ==","lease":7}"#);
        while call(s, "kv/range", r#"{"key":"YQ=="}"#)["count"] == "1" {
            s.pass(Duration::from_millis(50));
        }
        assert!(s.now() - before >= Duration::from_secs(3));
        assert_eq!(call(s, "kv/range", r#"{"key":"YQ=="}"#).to_string(), r#"{"header":{"revision":"3"}}"#);
    }

    fn v3_100_leases_are_listed_by_their_end(s) {
        assert_eq!(call(s, "lease/leases", "{}").get("leases"), None);
        for (id, ttl) in [(1, 300), (2, 100), (3, 200)] {
            call(s, "lease/grant", &format!(r#"{{"ID":{id},"TTL":{ttl}}}"#));
        }
        assert_eq!(call(s, "lease/leases", "{}")["leases"].to_string(), r#"[{"ID":"2"},{"ID":"3"},{"ID":"1"}]"#);
    }
}
