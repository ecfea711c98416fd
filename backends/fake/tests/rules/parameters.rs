//! Parameters and which operation they make: V2-16 to V2-29.

use crate::{Request, assert_error, delete, get, post, put, rules};

/// Sends parameters in the query.
fn query(s: &mut dyn crate::Subject, method: &str, query: &str) -> crate::Response {
    s.ask(&Request::new(method, &format!("/v2/keys/a?{query}")))
}

rules! {
    fn v2_16_a_body_is_read_only_as_a_form_of_a_put_or_post(s) {
        let mut request = Request::new("PUT", "/v2/keys/a");
        request.body = b"value=x".to_vec();
        assert!(s.ask(&request).text().contains("\"value\":\"\""), "no type");
        let reply = s.ask(&Request::new("PUT", "/v2/keys/a").json("value=x"));
        assert!(reply.text().contains("\"value\":\"\""), "another type");
        let reply = s.ask(&Request::new("PUT", "/v2/keys/a?value=x"));
        assert!(reply.text().contains("\"value\":\"x\""), "the query");
        let reply = s.ask(&Request::new("DELETE", "/v2/keys/a").form("prevValue=other"));
        assert_eq!(reply.status, 200, "the body of a delete is not read");
    }

    fn v2_17_the_body_comes_first_and_of_duplicates_the_first_wins(s) {
        let reply = put(s, "/a?value=query", "value=one&value=two");
        assert!(reply.text().contains("\"value\":\"one\""));
    }

    fn v2_18_a_bad_form_is_210(s) {
        let reply = put(s, "/a", "value=%zz");
        assert_error(&reply, 400, 210, Some("invalid URL escape \"%zz\""), 0);
        let reply = query(s, "PUT", "value=a;b");
        assert_error(&reply, 400, 210, Some("invalid semicolon separator in query"), 0);
        assert_eq!(reply.json()["message"], "Invalid POST form");
        let reply = put(s, "/a", &format!("value={}", "x".repeat(10 << 20)));
        assert_error(&reply, 400, 210, Some("http: POST too large"), 0);
    }

    fn v2_19_the_first_check_that_fails_is_the_error(s) {
        // Each line fails one check earlier than the line before, all later faults included.
        let mut faults = String::new();
        for (fault, code, cause) in [
            ("refresh=true", 212, "No TTL value set"),
            ("refresh=true&value=x", 211, "A value was provided on a refresh"),
            ("refresh=x", 209, "invalid value for refresh"),
            ("prevExist=x", 209, "invalid value for prevExist"),
            ("ttl=x", 202, "invalid value for \"ttl\""),
            ("noValueOnSuccess=x", 209, "invalid value for \"noValueOnSuccess\""),
            ("prevValue=", 201, "\"prevValue\" cannot be empty"),
            ("wait=true", 209, "\"wait\" can only be used with GET requests"),
            ("stream=x", 209, "invalid value for \"stream\""),
            ("quorum=x", 209, "invalid value for \"quorum\""),
            ("dir=x", 209, "invalid value for \"dir\""),
            ("wait=x", 209, "invalid value for \"wait\""),
            ("sorted=x", 209, "invalid value for \"sorted\""),
            ("recursive=x", 209, "invalid value for \"recursive\""),
            ("waitIndex=x", 203, "invalid value for \"waitIndex\""),
            ("prevIndex=x", 203, "invalid value for \"prevIndex\""),
            ("a;b", 210, "invalid semicolon separator in query"),
        ] {
            faults = format!("{fault}&{faults}");
            let reply = query(s, "PUT", &faults);
            assert_error(&reply, 400, code, Some(cause), 0);
        }
        assert_eq!(get(s, "").index(), 3);
    }

    fn v2_20_truth_values_are_those_of_go(s) {
        for value in ["1", "t", "T", "TRUE", "true", "True", "0", "f", "F", "FALSE", "false", "False"] {
            assert_eq!(get(s, &format!("?sorted={value}")).status, 200, "{value}");
        }
        for value in ["", "yes", "tRUE", "2", "%20true"] {
            let reply = get(s, &format!("?sorted={value}"));
            assert_error(&reply, 400, 209, Some("invalid value for \"sorted\""), 0);
        }
    }

    fn v2_21_numbers_are_unsigned_and_decimal(s) {
        for value in ["18446744073709551616", "-1", "%2b1", "1_0", "%201", "0x1", ""] {
            let reply = query(s, "PUT", &format!("prevIndex={value}"));
            assert_error(&reply, 400, 203, Some("invalid value for \"prevIndex\""), 0);
        }
        let reply = query(s, "PUT", "prevIndex=0&value=x");
        assert!(reply.text().starts_with("{\"action\":\"set\""), "no condition");
        let reply = query(s, "PUT", "prevIndex=18446744073709551615");
        assert_error(&reply, 412, 101, Some("[18446744073709551615 != 4]"), 4);
    }

    fn v2_22_unknown_parameters_are_ignored(s) {
        assert_eq!(put(s, "/a?whatever=1", "value=x&more=2").status, 201);
    }

    fn v2_23_a_quorum_read_is_a_read_and_does_not_wait(s) {
        put(s, "/a", "value=x");
        let reply = get(s, "/a?quorum=true&wait=true");
        assert_eq!(reply.text(), get(s, "/a").text());
    }

    fn v2_24_prev_exist_true_is_an_update_or_a_compare_and_swap(s) {
        put(s, "/a", "value=x");
        let reply = put(s, "/a", "prevExist=true&value=y");
        assert!(reply.text().starts_with("{\"action\":\"update\""));
        let reply = put(s, "/a", "prevExist=true&value=z&prevValue=y");
        assert!(reply.text().starts_with("{\"action\":\"compareAndSwap\""));
    }

    fn v2_25_prev_exist_false_is_a_create_whatever_else_is_said(s) {
        let reply = put(s, "/a", "prevExist=false&value=x&prevValue=z&prevIndex=9");
        assert!(reply.text().starts_with("{\"action\":\"create\""));
    }

    fn v2_26_without_prev_exist_a_condition_makes_the_compare_and_swap(s) {
        let reply = put(s, "/a", "value=x");
        assert!(reply.text().starts_with("{\"action\":\"set\""));
        for condition in ["prevValue=x", "prevIndex=5"] {
            let reply = put(s, "/a", &format!("value=y&{condition}"));
            assert!(reply.text().starts_with("{\"action\":\"compareAndSwap\""), "{condition}");
        }
    }

    fn v2_27_post_creates_in_order_and_looks_at_no_condition(s) {
        let reply = post(s, "/a", "value=x&prevExist=true&prevValue=z&prevIndex=9");
        assert!(reply.text().starts_with("{\"action\":\"create\",\"node\":{\"key\":\"/a/00000000000000000004\""));
    }

    fn v2_28_delete_with_a_condition_is_a_compare_and_delete(s) {
        put(s, "/a", "value=x");
        let reply = delete(s, "/a?prevValue=x&recursive=true&dir=true");
        assert!(reply.text().starts_with("{\"action\":\"compareAndDelete\""));
        put(s, "/d", "dir=true");
        assert_error(&delete(s, "/d?prevIndex=6&recursive=true"), 403, 102, Some("/d"), 6);
    }

    fn v2_29_a_swap_of_a_missing_key_is_100_with_or_without_prev_exist(s) {
        for form in ["value=x&prevValue=y", "value=x&prevValue=y&prevExist=true"] {
            assert_error(&put(s, "/a", form), 404, 100, Some("/a"), 3);
        }
    }
}
