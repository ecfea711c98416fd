//! Times to live: V2-70 to V2-79.

use std::time::Duration;

use crate::{Request, assert_error, delete, get, put, rules, stat};

/// Longer than a key with `ttl=1` stays.
const GONE: Duration = Duration::from_millis(2_300);

rules! {
    fn v2_70_a_write_without_a_ttl_makes_the_key_permanent(s) {
        for form in ["value=x", "value=x&ttl=", "prevExist=true", "value=x&prevValue=x"] {
            put(s, "/a", "value=x&ttl=100");
            let reply = put(s, "/a", form);
            let node = reply.text().split("prevNode").next().unwrap().to_owned();
            assert!(!node.contains("ttl"), "{form}: {node}");
            assert!(!get(s, "/a").text().contains("expiration"), "{form}");
        }
    }

    fn v2_71_expiration_is_in_utc_with_up_to_nine_digits(s) {
        let reply = put(s, "/a", "value=x&ttl=100").json();
        let expiration = reply["node"]["expiration"].as_str().unwrap();
        let (day, time) = expiration.split_once('T').unwrap();
        assert_eq!((day.len(), time.ends_with('Z')), (10, true), "{expiration}");
        let fraction = time.trim_end_matches('Z').split_once('.').map_or("", |(_, digits)| digits);
        assert!(fraction.len() <= 9 && !fraction.ends_with('0'), "{expiration}");
    }

    fn v2_72_the_ttl_is_rounded_up(s) {
        assert_eq!(put(s, "/a", "value=x&ttl=20").json()["node"]["ttl"], 20);
        s.pass(Duration::from_millis(1_200));
        assert_eq!(get(s, "/a").json()["node"]["ttl"], 19);
    }

    fn v2_73_a_ttl_of_zero_is_gone_at_the_next_sweep(s) {
        let reply = put(s, "/a", "value=x&ttl=0").text();
        assert!(reply.contains("expiration") && !reply.contains("\"ttl\""), "{reply}");
        s.pass(Duration::from_millis(900));
        assert_error(&get(s, "/a"), 404, 100, Some("/a"), 5);
    }

    fn v2_74_a_huge_ttl_is_no_ttl_or_a_past_one(s) {
        let reply = put(s, "/a", "value=x&ttl=9300000000").text();
        assert!(!reply.contains("expiration"), "permanent: {reply}");
        put(s, "/b", "value=x");
        let reply = put(s, "/b", "value=x&prevExist=true&ttl=9300000000").json();
        assert!(reply["node"]["ttl"].as_i64().unwrap() < 0, "{reply}");
        assert!(reply["node"]["expiration"].as_str().unwrap().starts_with("17"), "{reply}");
        s.pass(Duration::from_millis(900));
        assert_eq!((get(s, "/a").status, get(s, "/b").status), (200, 404));
        put(s, "/c", "value=x&ttl=18446744073709551615");
        s.pass(Duration::from_millis(900));
        assert_eq!(get(s, "/c").status, 404, "a second ago");
    }

    fn v2_75_an_expiry_is_an_event(s) {
        put(s, "/a", "value=x&ttl=1");
        let (_, mut watch) = s.watch(&Request::new("GET", "/v2/keys/a?wait=true"));
        s.pass(GONE);
        let line = watch.line().unwrap();
        let start = "{\"action\":\"expire\",\"node\":{\"key\":\"/a\",\"modifiedIndex\":5,\"createdIndex\":4},\
            \"prevNode\":{\"key\":\"/a\",\"value\":\"x\",\"expiration\":\"";
        assert!(line.starts_with(start), "{line}");
        assert!(line.ends_with("\"modifiedIndex\":4,\"createdIndex\":4}}\n"), "{line}");
    }

    fn v2_76_each_key_takes_an_index_and_a_directory_takes_one(s) {
        put(s, "/b", "value=x&ttl=1");
        s.pass(Duration::from_millis(5));
        put(s, "/a", "value=x&ttl=1");
        s.pass(Duration::from_millis(5));
        put(s, "/d", "dir=true&ttl=1");
        put(s, "/d/x", "value=x");
        put(s, "/d/y", "value=x&ttl=100");
        s.pass(GONE);
        assert_eq!(get(s, "").index(), 11);
        for (index, key) in [(9, "/b"), (10, "/a"), (11, "/d")] {
            let reply = get(s, &format!("?wait=true&recursive=true&waitIndex={index}")).json();
            assert_eq!((&reply["action"], &reply["node"]["key"]), (&"expire".into(), &key.into()));
        }
        assert_eq!(get(s, "/d").status, 404);
    }

    fn v2_77_children_have_their_own_time(s) {
        put(s, "/d", "dir=true&ttl=100");
        put(s, "/d/a", "value=x&ttl=1");
        put(s, "/d/b", "value=x");
        s.pass(GONE);
        assert_eq!((get(s, "/d/a").status, get(s, "/d/b").status), (404, 200));
        assert!(!get(s, "/d/b").text().contains("ttl"));
    }

    fn v2_78_expiry_is_half_a_second_late_at_most(s) {
        put(s, "/a", "value=x&ttl=1");
        s.pass(Duration::from_millis(950));
        assert_eq!(get(s, "/a").status, 200);
        s.pass(Duration::from_millis(700));
        assert_eq!(get(s, "/a").status, 404);
    }

    fn v2_79_an_expiry_counts_as_one_and_as_no_read(s) {
        put(s, "/a", "value=x&ttl=1");
        let gets = stat(s, "getsSuccess");
        s.pass(GONE);
        assert_eq!((stat(s, "expireCount"), stat(s, "getsSuccess")), (1, gets));
        delete(s, "/none");
        assert_eq!(stat(s, "expireCount"), 1);
    }
}
