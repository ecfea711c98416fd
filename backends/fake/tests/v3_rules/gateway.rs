//! HTTP and JSON: V3-1 to V3-19, and V3-147.

use crate::{Request, Subject, assert_refused, call, post, put, rules};

rules! {
    fn v3_1_the_beta_path_is_the_same_and_the_alpha_path_is_gone(s) {
        let beta = s.ask(&Request::new("POST", "/v3beta/kv/range").json("{\"key\":\"YQ==\"}"));
        assert_eq!(beta.status, 200);
        let alpha = s.ask(&Request::new("POST", "/v3alpha/kv/range").json("{\"key\":\"YQ==\"}"));
        assert_eq!(alpha.status, 404);
    }

    fn v3_147_a_call_has_a_time_limit(s) {
        let range = r#"{"key":"YQ=="}"#;
        let post_within = |s: &mut dyn Subject, timeout: &str, path: &str, body: &str| {
            s.ask(&Request::new("POST", &format!("/v3/{path}")).json(body).header("Grpc-Timeout", timeout))
        };
        for timeout in ["0S", "1H", "5M", "7S", "900m", "", "-0n"] {
            assert_eq!(post_within(s, timeout, "kv/range", range).status, 200, "{timeout}");
        }
        for timeout in ["x", "1x", "aS", "S", "1.5S"] {
            let message = format!("invalid grpc-timeout: {timeout}");
            assert_refused(&post_within(s, timeout, "kv/range", range), 3, &message);
        }
        let exceeded = "context deadline exceeded";
        let reply = post_within(s, "-1S", "kv/range", range);
        assert_refused(&reply, 4, exceeded);
        // The gateway says so, not etcd: there is no trailer, even in 3.4.
        assert_eq!((reply.status, reply.header("content-length").is_some()), (504, true));
        let reply = post_within(s, "-1S", "kv/range", r#"{"key":1"#);
        assert_eq!(reply.status, 400);
        for path in ["watch", "election/observe"] {
            assert_eq!(post_within(s, "-1S", path, "{}").status, 504, "{path}");
        }
        // Before etcd is called, the time is up.
        assert_refused(&post_within(s, "1n", "kv/put", range), 4, exceeded);
        assert_eq!(call(s, "kv/range", range)["header"]["revision"], "1");
    }

    fn v3_2_a_wrong_method_or_path_is_refused(s) {
        let is_3_4 = s.is_3_4();
        for (method, path, old, new) in [
            ("GET", "/v3/kv/range", (405, "Method Not Allowed\n"), (501, r#"{"code":12, "message":"Method Not Allowed"}"#)),
            ("POST", "/v3/nothing", (404, "Not Found\n"), (404, r#"{"code":5, "message":"Not Found"}"#)),
            ("POST", "/v3/kv/range/", (404, "Not Found\n"), (404, r#"{"code":5, "message":"Not Found"}"#)),
        ] {
            let reply = s.ask(&Request::new(method, path).json("{}"));
            let expected = if is_3_4 { old } else { new };
            assert_eq!((reply.status, &*reply.text()), expected, "{method} {path}");
        }
        let empty_verb = s.ask(&Request::new("POST", "/v3/kv/range:").json(r#"{"key":"YQ=="}"#));
        assert_eq!(empty_verb.status, if is_3_4 { 200 } else { 404 });
        let reply = s.ask(&Request::new("POST", "/v3//kv/range").json("{}"));
        assert_eq!((reply.status, reply.header("location")), (301, Some("/v3/kv/range")));
    }

    fn v3_3_the_calls_of_leases_have_two_paths(s) {
        call(s, "lease/grant", r#"{"ID":7,"TTL":100}"#);
        for path in ["lease/leases", "kv/lease/leases"] {
            assert_eq!(call(s, path, "{}")["leases"][0]["ID"], "7");
        }
        assert_eq!(call(s, "kv/lease/timetolive", r#"{"ID":7}"#)["grantedTTL"], "100");
        call(s, "kv/lease/revoke", r#"{"ID":7}"#);
    }

    fn v3_4_fields_with_their_default_are_absent(s) {
        assert_eq!(call(s, "kv/range", r#"{"key":"YQ=="}"#).to_string(), r#"{"header":{"revision":"1"}}"#);
        assert_eq!(call(s, "kv/txn", r#"{"compare":[{"key":"YQ==","version":1}]}"#).to_string(), r#"{"header":{"revision":"1"}}"#);
    }

    fn v3_5_names_and_numbers_are_read_in_both_spellings(s) {
        put(s, "YQ==", "");
        put(s, "Yg==", "");
        for body in [
            r#"{"key":"YQ==","range_end":"AA==","limit":1,"sort_order":"DESCEND"} and more"#,
            r#"{"key":"YQ==","rangeEnd":"AA==","limit":"1","sortOrder":2,"unknown":[{}]}"#,
        ] {
            assert_eq!(call(s, "kv/range", body)["kvs"][0]["key"], "Yg==", "{body}");
        }
        assert_refused(&post(s, "kv/range", ""), 3, "etcdserver: key is not provided");
    }

    fn v3_6_base64_enumerations_and_null_depend_on_the_release(s) {
        let is_3_4 = s.is_3_4();
        let reply = post(s, "kv/range", r#"{"key":"_-8"}"#);
        assert_eq!(reply.status, if is_3_4 { 400 } else { 200 });
        let reply = post(s, "kv/range", r#"{"key":"YQ==","sort_order":"UP"}"#);
        assert_eq!(reply.status, if is_3_4 { 400 } else { 200 });
        let message = if is_3_4 { "etcdserver: key is not provided" } else { "proto:\u{a0}syntax error (line 1:1): unexpected token null" };
        assert_refused(&post(s, "kv/range", "null"), 3, message);
        let message = if is_3_4 {
            "json: cannot unmarshal bool into Go value of type int64"
        } else {
            "proto:\u{a0}(line 1:23): invalid value for int64 field limit: true"
        };
        assert_refused(&post(s, "kv/range", r#"{"key":"YQ==","limit":true}"#), 3, message);
        assert_refused(&post(s, "kv/range", "{\"key\""), 3, "unexpected EOF");
    }

    fn v3_6_a_number_in_quotes_is_followed_by_nothing_or_in_3_5_by_what_ends_it(s) {
        let is_3_4 = s.is_3_4();
        for (text, is_number) in [("1l", false), ("1-", false), ("1.", false), ("01", false), ("1,", true), ("1 x", true), ("1]", true)] {
            let reply = post(s, "kv/range", &format!(r#"{{"key":"YQ==","limit":"{text}"}}"#));
            assert_eq!(reply.status, if is_number && !is_3_4 { 200 } else { 400 }, "{text}");
        }
        if is_3_4 {
            let message = "invalid character ' ' in numeric literal";
            assert_refused(&post(s, "kv/range", r#"{"key":"YQ==","limit":"-"}"#), 3, message);
        } else {
            let message = "proto:\u{a0}(line 1:23): invalid value for int64 field limit: \"1l\"";
            assert_refused(&post(s, "kv/range", r#"{"key":"YQ==","limit":"1l"}"#), 3, message);
        }
    }

    fn v3_7_only_3_5_writes_a_space_after_a_comma(s) {
        let text = post(s, "kv/range", r#"{"key":"YQ=="}"#).text();
        assert_eq!(text.contains(", "), !s.is_3_4());
    }

    fn v3_8_an_error_of_etcd_has_trailers_on_3_4(s) {
        let is_3_4 = s.is_3_4();
        let reply = post(s, "kv/range", "{}");
        assert_eq!(reply.header("trailer").is_some(), is_3_4);
        assert_eq!(reply.header("trailing grpc-trailer-content-type"), is_3_4.then_some("application/grpc"));
        let reply = post(s, "kv/range", "x");
        assert_eq!(reply.header("trailer"), None);
        let reply = post(s, "kv/range", r#"{"key":"YQ=="}"#);
        assert_eq!(reply.header("grpc-metadata-content-type"), Some("application/grpc"));
        assert_eq!(reply.header("content-type"), Some("application/json"));
    }

    fn v3_9_the_body_of_an_error_depends_on_the_release(s) {
        let expected = if s.is_3_4() {
            r#"{"error":"etcdserver: key is not provided","message":"etcdserver: key is not provided","code":3}"#
        } else {
            r#"{"code":3, "message":"etcdserver: key is not provided"}"#
        };
        assert_eq!(post(s, "kv/put", "{}").text(), expected);
    }

    fn v3_16_a_failed_precondition_is_412_on_3_4_and_400_on_3_5(s) {
        call(s, "lease/grant", r#"{"ID":7,"TTL":100}"#);
        let reply = post(s, "lease/grant", r#"{"ID":7,"TTL":100}"#);
        assert_eq!(reply.status, if s.is_3_4() { 412 } else { 400 });
        assert_refused(&reply, 9, "etcdserver: lease already exists");
    }

    fn v3_18_large_requests_are_refused_by_their_size(s) {
        let put = |s: &mut dyn fake_harness::Subject, length: usize| {
            let value = "eHh4".repeat(length / 3);
            post(s, "kv/put", &format!("{{\"key\":\"YQ==\",\"value\":\"{value}\"}}"))
        };
        assert_eq!(put(s, 1_572_000).status, 200);
        assert_refused(&put(s, 1_572_864), 3, "etcdserver: request is too large");
        let reply = put(s, 2_097_153);
        assert_eq!(reply.status, 429);
        assert_refused(&reply, 8, "grpc: received message larger than max (2097161 vs. 2097152)");
    }

    fn v3_19_headers_depend_on_the_call(s) {
        let put = r#"{"request_put":{"key":"YQ=="}}"#;
        let txn = format!(r#"{{"success":[{put},{{"request_txn":{{}}}}]}}"#);
        let answer = call(s, "kv/txn", &txn);
        assert_eq!(answer["responses"][0]["response_put"].to_string(), r#"{"header":{"revision":"2"}}"#);
        assert_eq!(answer["responses"][1]["response_txn"].to_string(), r#"{"header":{},"succeeded":true}"#);
        assert_eq!(call(s, "cluster/member/list", "{}")["header"].to_string(), "{}");
        assert_eq!(call(s, "maintenance/defragment", "{}").to_string(), "{}");
    }

    fn v3_115_only_3_4_looks_at_a_token_when_there_is_no_auth(s) {
        let is_3_4 = s.is_3_4();
        for (path, body) in [("kv/range", r#"{"key":"YQ=="}"#), ("kv/put", r#"{"key":"YQ=="}"#), ("lease/grant", r#"{"TTL":9}"#)] {
            let reply = s.ask(&Request::new("POST", &format!("/v3/{path}")).json(body).header("Authorization", "x"));
            assert_eq!(reply.status, if is_3_4 { 401 } else { 200 }, "{path}");
        }
        let request = Request::new("POST", "/v3/lease/leases").json("{}").header("Authorization", "x");
        assert_eq!(s.ask(&request).status, 200);
        let request = Request::new("POST", "/v3/watch").json(r#"{"create_request":{"key":"YQ=="}}"#).header("Authorization", "x");
        let (_, mut stream) = s.watch(&request);
        assert_eq!(crate::message(&mut *stream)["canceled"] == true, is_3_4);
    }

    fn v3_116_the_state_of_auth_can_be_asked_on_3_5(s) {
        let reply = post(s, "auth/status", "{}");
        if s.is_3_4() {
            assert_eq!(reply.status, 404);
        } else {
            assert_eq!(call(s, "auth/status", "{}").to_string(), r#"{"authRevision":"1","header":{"revision":"1"}}"#);
        }
    }
}
