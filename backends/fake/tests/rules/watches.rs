//! History and watches: V2-80 to V2-89 and V2-142 to V2-146.

use fake_harness::Watching;

use crate::{Request, Subject, assert_error, delete, get, put, rules};

fn watch(s: &mut dyn Subject, target: &str) -> Box<dyn Watching> {
    s.watch(&Request::new("GET", &format!("/v2/keys{target}")))
        .1
}

/// Asserts that the next line has this key and action.
#[track_caller]
fn assert_next(watch: &mut Box<dyn Watching>, action: &str, key: &str) {
    let line = watch.line().expect("the end");
    let json: serde_json::Value = serde_json::from_str(&line).unwrap();
    assert_eq!(
        (&json["action"], &json["node"]["key"]),
        (&action.into(), &key.into()),
        "{line}"
    );
}

rules! {
    fn v2_80_history_is_the_last_thousand_events(s) {
        for number in 0..1000 {
            put(s, "/a", &format!("value={number}"));
        }
        // Three of the cluster's own came before; the oldest of a thousand is the first write.
        assert!(get(s, "/a?wait=true&waitIndex=4").text().contains("\"value\":\"0\""));
        assert_eq!(get(s, "/a?wait=true&waitIndex=3").status, 400);
        put(s, "/a", "refresh=true&ttl=100");
        assert_eq!(get(s, "/a?wait=true&waitIndex=4").status, 400, "a refresh takes a place");
    }

    fn v2_81_an_index_that_is_cleared_is_401(s) {
        for number in 0..1010 {
            put(s, "/a", &format!("value={number}"));
        }
        let reply = get(s, "/a?wait=true&waitIndex=5");
        let cause = "the requested history has been cleared [14/5]";
        assert_error(&reply, 400, 401, Some(cause), 1013);
        assert_eq!(reply.json()["message"], "The event in requested index is outdated and cleared");
    }

    fn v2_82_an_index_in_the_future_is_waited_for(s) {
        put(s, "/a", "value=1");
        put(s, "/b", "value=2");
        assert!(get(s, "/b?wait=true&waitIndex=4").text().contains("\"value\":\"2\""), "the first that matches");
        let mut later = watch(s, "/a?wait=true&waitIndex=7");
        put(s, "/a", "value=3");
        assert!(later.is_silent());
        put(s, "/a", "value=4");
        assert!(later.line().unwrap().contains("\"modifiedIndex\":7"));
    }

    fn v2_83_the_head_comes_at_once_and_one_line_for_an_event(s) {
        let (reply, mut watch) = s.watch(&Request::new("GET", "/v2/keys/a?wait=true"));
        assert_eq!((reply.status, reply.index()), (200, 3));
        assert_eq!(reply.header("transfer-encoding"), Some("chunked"));
        assert_eq!(reply.header("content-type"), Some("application/json"));
        assert!(watch.is_silent());
        put(s, "/a", "value=x");
        assert_eq!(watch.line().unwrap(), "{\"action\":\"set\",\"node\":{\"key\":\"/a\",\"value\":\"x\",\
            \"modifiedIndex\":4,\"createdIndex\":4}}\n");
        assert_eq!(watch.line(), None);
    }

    fn v2_84_recursive_watches_of_ancestors_receive_an_event(s) {
        let mut receiving = ["/a/b?wait=true", "/a?wait=true&recursive=true", "?wait=true&recursive=true"]
            .map(|target| watch(s, target));
        let mut silent = ["/a?wait=true", "?wait=true", "/a/bc?wait=true&recursive=true", "/a/b/c?wait=true"]
            .map(|target| watch(s, target));
        put(s, "/a/b", "value=x");
        for watch in &mut receiving {
            assert_next(watch, "set", "/a/b");
        }
        for watch in &mut silent {
            assert!(watch.is_silent());
        }
    }

    fn v2_85_hidden_keys_are_hidden_from_watches_above(s) {
        let mut above = watch(s, "/d?wait=true&recursive=true");
        let mut inside = watch(s, "/d/_h?wait=true&recursive=true");
        let mut exact = watch(s, "/d/_h/x?wait=true");
        put(s, "/d/_h/x", "value=1");
        assert!(above.is_silent());
        assert_next(&mut inside, "set", "/d/_h/x");
        assert_next(&mut exact, "set", "/d/_h/x");
    }

    fn v2_86_history_does_not_hide(s) {
        put(s, "/d/_h/x", "value=1");
        let mut above = watch(s, "/d?wait=true&recursive=true&waitIndex=4");
        assert_next(&mut above, "set", "/d/_h/x");
    }

    fn v2_87_the_removal_of_a_directory_reaches_watches_of_what_was_in_it(s) {
        put(s, "/d/a", "value=1");
        put(s, "/d/_h", "value=1");
        let mut receiving = ["/d?wait=true", "/d/a?wait=true", "/d/_h?wait=true", "?wait=true&recursive=true"]
            .map(|target| watch(s, target));
        let mut none = watch(s, "/d/none?wait=true");
        delete(s, "/d?recursive=true");
        for watch in &mut receiving {
            assert_next(watch, "delete", "/d");
        }
        assert!(none.is_silent());
    }

    fn v2_88_in_history_a_removed_directory_matches_whatever_begins_like_it(s) {
        put(s, "/dd/x", "value=1");
        delete(s, "/dd?recursive=true");
        for target in ["/ddd", "/dd/none", "/dd"] {
            let mut watch = watch(s, &format!("{target}?wait=true&waitIndex=5"));
            assert_next(&mut watch, "delete", "/dd");
        }
    }

    fn v2_89_a_file_that_becomes_a_directory_is_a_set(s) {
        put(s, "/a", "value=1");
        let mut watch = watch(s, "/a?wait=true&stream=true");
        put(s, "/a", "dir=true");
        let line = watch.line().unwrap();
        assert!(line.starts_with("{\"action\":\"set\",\"node\":{\"key\":\"/a\",\"dir\":true"), "{line}");
        assert!(watch.is_silent());
    }

    fn v2_142_a_stream_goes_on(s) {
        let mut watch = watch(s, "/a?wait=true&stream=true&recursive=true");
        for key in ["/a", "/a"] {
            put(s, key, "value=1");
            assert_next(&mut watch, "set", key);
        }
        assert!(watch.is_silent());
    }

    fn v2_143_a_stream_tells_twice_of_its_own_key_going(s) {
        let mut watch = watch(s, "/a?wait=true&stream=true");
        put(s, "/a", "value=1");
        delete(s, "/a");
        assert_next(&mut watch, "set", "/a");
        assert_next(&mut watch, "delete", "/a");
        assert_next(&mut watch, "delete", "/a");
        assert!(watch.is_silent());
    }

    fn v2_144_a_stream_from_the_past_tells_one_event_and_no_more(s) {
        put(s, "/a", "value=1");
        put(s, "/a", "value=2");
        let mut watch = watch(s, "/a?wait=true&stream=true&waitIndex=4");
        assert!(watch.line().unwrap().contains("\"value\":\"1\""));
        put(s, "/a", "value=3");
        assert!(watch.is_silent());
    }

    fn v2_146_polls_that_go_on_from_the_event_miss_nothing(s) {
        for number in 0..50 {
            put(s, if number % 3 == 0 { "/other" } else { "/a" }, &format!("value={number}"));
        }
        let mut index = 4;
        let mut seen = 0;
        while index <= 53 {
            let reply = get(s, &format!("/a?wait=true&waitIndex={index}")).json();
            let found = reply["node"]["modifiedIndex"].as_u64().unwrap();
            assert!(found >= index);
            (index, seen) = (found + 1, seen + 1);
            if found == 53 || seen == 33 {
                break;
            }
        }
        assert_eq!(seen, 33);
    }
}

/// On a real server this depends on how fast it can send; on the fake it is certain.
#[test]
fn v2_145_a_stream_that_is_not_read_receives_no_more_than_a_hundred_events() {
    let mut fake = fake_harness::rules::fake(etcd_http_fake::Profile::V3_5);
    let mut watch = watch(&mut fake, "/a?wait=true&stream=true");
    for number in 0..150 {
        put(&mut fake, "/a", &format!("value={number}"));
    }
    for number in 0..100 {
        assert!(
            watch
                .line()
                .unwrap()
                .contains(&format!("\"value\":\"{number}\""))
        );
    }
    put(&mut fake, "/a", "value=more");
    assert!(watch.is_silent(), "open and silent");
}
