//! Watches: V3-70 to V3-84.

use crate::{call, message, open, put, rules};

rules! {
    fn v3_70_to_73_a_body_has_several_requests_and_each_creation_a_response(s) {
        let mut stream = open(s, concat!(
            r#"{"create_request":{"key":"YQ=="}} {"create_request":{"key":"YQ==","watch_id":1}}"#,
            r#"{"create_request":{"key":"YQ=="}}{"create_request":{"key":"YQ==","watch_id":1}}"#,
            r#"{"create_request":{"key":"Yg==","range_end":"YQ=="}}"#,
        ));
        for expected in [
            r#"{"created":true,"header":{"revision":"1"}}"#,
            r#"{"created":true,"header":{"revision":"1"},"watch_id":"1"}"#,
            r#"{"created":true,"header":{"revision":"1"},"watch_id":"2"}"#,
            r#"{"cancel_reason":"mvcc: duplicate watch ID provided on the WatchStream","canceled":true,"created":true,"header":{"revision":"1"},"watch_id":"-1"}"#,
            r#"{"cancel_reason":"mvcc: watcher range is empty","canceled":true,"created":true,"header":{"revision":"1"},"watch_id":"-1"}"#,
        ] {
            assert_eq!(message(&mut *stream).to_string(), expected);
        }
    }

    fn v3_74_a_future_revision_is_waited_for(s) {
        let mut stream = open(s, r#"{"create_request":{"key":"YQ==","start_revision":3}}"#);
        message(&mut *stream);
        put(s, "YQ==", "MQ==");
        put(s, "YQ==", "Mg==");
        assert_eq!(message(&mut *stream)["events"][0]["kv"]["value"], "Mg==");
    }

    fn v3_75_a_compacted_revision_cancels(s) {
        for _ in 0..3 {
            put(s, "YQ==", "MQ==");
        }
        call(s, "kv/compaction", r#"{"revision":3}"#);
        let mut stream = open(s, r#"{"create_request":{"key":"YQ==","start_revision":2}}"#);
        message(&mut *stream);
        assert_eq!(message(&mut *stream).to_string(), r#"{"canceled":true,"compact_revision":"3","header":{}}"#);
        let mut stream = open(s, r#"{"create_request":{"key":"YQ==","start_revision":3}}"#);
        message(&mut *stream);
        assert_eq!(message(&mut *stream)["events"].as_array().unwrap().len(), 2);
    }

    fn v3_76_a_watch_from_below_a_history_that_was_compacted_at_zero_ends_silently(s) {
        call(s, "kv/compaction", r#"{"revision":0}"#);
        let mut stream = open(s, r#"{"create_request":{"key":"YQ==","start_revision":-3}}"#);
        assert_eq!(message(&mut *stream)["created"], true);
        assert_eq!(message(&mut *stream).to_string(), r#"{"header":{}}"#);
    }

    fn v3_77_78_the_events_of_a_revision_come_together(s) {
        let mut stream = open(s, r#"{"create_request":{"key":"AA==","range_end":"AA=="}}"#);
        message(&mut *stream);
        call(s, "kv/txn", r#"{"success":[{"request_put":{"key":"Yg=="}},{"request_put":{"key":"YQ=="}}]}"#);
        let events = message(&mut *stream)["events"].clone();
        assert_eq!((&events[0]["kv"]["key"], &events[1]["kv"]["key"]), (&"Yg==".into(), &"YQ==".into()));
        call(s, "kv/deleterange", r#"{"key":"YQ=="}"#);
        let expected = r#"{"events":[{"kv":{"key":"YQ==","mod_revision":"3"},"type":"DELETE"}],"header":{"revision":"3"}}"#;
        assert_eq!(message(&mut *stream).to_string(), expected);
    }

    fn v3_79_the_past_comes_under_the_current_revision(s) {
        for value in ["MQ==", "Mg==", "Mw=="] {
            put(s, "YQ==", value);
        }
        let mut stream = open(s, r#"{"create_request":{"key":"YQ==","start_revision":2}}"#);
        message(&mut *stream);
        let past = message(&mut *stream);
        assert_eq!((past["events"].as_array().unwrap().len(), &past["header"]["revision"]), (3, &"4".into()));
        put(s, "YQ==", "NA==");
        assert_eq!(message(&mut *stream)["header"]["revision"], "5");
    }

    fn v3_80_81_events_have_the_former_key_and_can_be_filtered(s) {
        let mut both = open(s, r#"{"create_request":{"key":"YQ==","prev_kv":true}}"#);
        let mut deletions = open(s, r#"{"create_request":{"key":"YQ==","filters":["NOPUT"]}}"#);
        message(&mut *both);
        message(&mut *deletions);
        put(s, "YQ==", "MQ==");
        put(s, "YQ==", "Mg==");
        call(s, "kv/deleterange", r#"{"key":"YQ=="}"#);
        assert_eq!(message(&mut *both)["events"][0].get("prev_kv"), None);
        assert_eq!(message(&mut *both)["events"][0]["prev_kv"]["value"], "MQ==");
        assert_eq!(message(&mut *both)["events"][0]["prev_kv"]["value"], "Mg==");
        assert_eq!(message(&mut *deletions)["events"][0]["type"], "DELETE");
    }

    fn v3_82_large_messages_are_split_if_that_is_wanted(s) {
        let value = "eHh4".repeat(300_000);
        let mut whole = open(s, r#"{"create_request":{"key":"AA==","range_end":"AA==","start_revision":2}}"#);
        message(&mut *whole);
        for key in ["YQ==", "Yg==", "Yw=="] {
            put(s, key, &value);
        }
        let mut parts = open(s, r#"{"create_request":{"key":"AA==","range_end":"AA==","start_revision":2,"fragment":true}}"#);
        message(&mut *parts);
        let sizes: Vec<(usize, bool)> = (0..2)
            .map(|_| message(&mut *parts))
            .map(|part| (part["events"].as_array().unwrap().len(), part["fragment"] == true))
            .collect();
        assert_eq!(sizes, [(2, true), (1, false)]);
    }

    fn v3_83_a_cancellation_is_confirmed_unless_nothing_is_canceled(s) {
        let mut stream = open(s, concat!(
            r#"{"create_request":{"key":"YQ=="}}{"cancel_request":{"watch_id":5}}{"cancel_request":{}}"#,
            r#"{"create_request":{"key":"YQ=="}}"#,
        ));
        message(&mut *stream);
        assert_eq!(message(&mut *stream).to_string(), r#"{"canceled":true,"header":{"revision":"1"}}"#);
        assert_eq!(message(&mut *stream)["created"], true);
    }

    fn v3_84_progress_is_reported_under_no_watch(s) {
        let mut stream = open(s, r#"{"create_request":{"key":"YQ=="}}{"progress_request":{}}"#);
        let mut messages = [message(&mut *stream).to_string(), message(&mut *stream).to_string()];
        messages.sort();
        assert_eq!(messages, [
            r#"{"created":true,"header":{"revision":"1"}}"#,
            r#"{"header":{"revision":"1"},"watch_id":"-1"}"#,
        ]);
    }
}
