//! The shape of JSON, and reads: V2-30 to V2-42.

use crate::{assert_body, assert_error, delete, get, put, rules};

rules! {
    fn v2_30_an_event_has_action_node_and_prev_node(s) {
        let reply = put(s, "/a", "value=x");
        assert_body(&reply, 201, "{\"action\":\"set\",\"node\":{\"key\":\"/a\",\"value\":\"x\",\
            \"modifiedIndex\":4,\"createdIndex\":4}}\n");
        let reply = put(s, "/a", "value=y");
        assert_body(&reply, 200, "{\"action\":\"set\",\"node\":{\"key\":\"/a\",\"value\":\"y\",\
            \"modifiedIndex\":5,\"createdIndex\":5},\"prevNode\":{\"key\":\"/a\",\"value\":\"x\",\
            \"modifiedIndex\":4,\"createdIndex\":4}}\n");
    }

    fn v2_31_the_fields_of_a_node_are_in_order(s) {
        put(s, "/d/a", "value=x");
        put(s, "/t", "dir=true&ttl=100");
        let reply = get(s, "/t").text();
        let places = ["\"key\"", "\"dir\"", "\"expiration\"", "\"ttl\"", "\"modifiedIndex\"", "\"createdIndex\""]
            .map(|field| reply.find(field).unwrap_or_else(|| panic!("{field}: {reply}")));
        assert!(places.is_sorted(), "{reply}");
        assert_body(&get(s, "/d"), 200, "{\"action\":\"get\",\"node\":{\"key\":\"/d\",\"dir\":true,\"nodes\":[\
            {\"key\":\"/d/a\",\"value\":\"x\",\"modifiedIndex\":4,\"createdIndex\":4}],\
            \"modifiedIndex\":4,\"createdIndex\":4}}\n");
    }

    fn v2_32_files_have_a_value_even_an_empty_one_and_deleted_ones_have_none(s) {
        assert!(put(s, "/a", "").text().contains("\"value\":\"\""));
        let reply = delete(s, "/a").text();
        assert!(reply.starts_with("{\"action\":\"delete\",\"node\":{\"key\":\"/a\",\"modifiedIndex\":5,"), "{reply}");
        assert!(reply.contains("\"prevNode\":{\"key\":\"/a\",\"value\":\"\","), "{reply}");
    }

    fn v2_33_what_is_nothing_is_left_out(s) {
        assert_body(&get(s, "/"), 200, "{\"action\":\"get\",\"node\":{\"dir\":true}}\n");
        put(s, "/d", "dir=true");
        assert_body(&get(s, "/d"), 200, "{\"action\":\"get\",\"node\":{\"key\":\"/d\",\"dir\":true,\
            \"modifiedIndex\":4,\"createdIndex\":4}}\n");
    }

    fn v2_34_an_error_has_code_message_cause_and_index(s) {
        assert_body(&get(s, "/a"), 404,
            "{\"errorCode\":100,\"message\":\"Key not found\",\"cause\":\"/a\",\"index\":3}\n");
        // The one error without a cause.
        assert_body(&delete(s, "/?prevValue=x"), 403,
            "{\"errorCode\":102,\"message\":\"Not a file\",\"index\":3}\n");
    }

    fn v2_35_strings_are_escaped_as_go_does(s) {
        let is_3_4 = s.is_3_4();
        put(s, "/a", "value=%3Ca%26%3E%e2%80%a8%e2%80%a9%01%08%0c%0a%0d%09%7f%22%5c%ff%c3%a9/");
        let short = if is_3_4 { "\\u0008\\u000c" } else { "\\b\\f" };
        let expected = format!("\"value\":\"\\u003ca\\u0026\\u003e\\u2028\\u2029\\u0001{short}\\n\\r\\t\u{7f}\\\"\\\\\\ufffdé/\"");
        let reply = get(s, "/a").text();
        assert!(reply.contains(&expected), "{reply}\n{expected}");
    }

    fn v2_36_sorted_listings_are_in_the_order_of_bytes_at_every_level(s) {
        for key in ["b", "B", "a/2", "a/10", "%c3%a9", "a/1"] {
            put(s, &format!("/{key}"), "value=x");
        }
        let reply = get(s, "/?sorted=true&recursive=true").text();
        let keys: Vec<&str> = reply.split("\"key\":\"").skip(1).map(|rest| rest.split('"').next().unwrap()).collect();
        assert_eq!(keys, ["/B", "/a", "/a/1", "/a/10", "/a/2", "/b", "/é"]);
    }

    fn v2_37_a_file_is_read(s) {
        put(s, "/a", "value=x");
        assert_body(&get(s, "/a"), 200, "{\"action\":\"get\",\"node\":{\"key\":\"/a\",\"value\":\"x\",\
            \"modifiedIndex\":4,\"createdIndex\":4}}\n");
    }

    fn v2_38_a_directory_shows_its_children_and_deeper_ones_when_recursive(s) {
        put(s, "/d/e/f", "value=x");
        let reply = get(s, "/d").text();
        assert!(reply.contains("{\"key\":\"/d/e\",\"dir\":true,\"modifiedIndex\":4"), "{reply}");
        assert!(!reply.contains("/d/e/f"));
        assert!(get(s, "/d?recursive=true").text().contains("\"key\":\"/d/e/f\""));
    }

    fn v2_39_hidden_keys_are_left_out_of_listings(s) {
        put(s, "/d/_h/x", "value=1");
        put(s, "/d/v", "value=1");
        assert!(!get(s, "/d?recursive=true").text().contains("_h"));
        assert!(get(s, "/d/_h").text().contains("\"key\":\"/d/_h/x\""));
        assert_eq!(get(s, "/d/_h/x").status, 200);
    }

    fn v2_42_what_is_missing_is_named_by_the_first_part_that_is(s) {
        assert_error(&get(s, "/no/such/key"), 404, 100, Some("/no"), 3);
        put(s, "/f", "value=x");
        assert_error(&get(s, "/f/g/h"), 400, 104, Some("/f"), 4);
    }
}
