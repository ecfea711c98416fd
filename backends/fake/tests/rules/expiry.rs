//! Times to live: V2-70 to V2-79.

use std::time::Duration;

use crate::{Request, Subject, assert_error, delete, get, put, rules, stat};

/// How often a key is looked for.
const POLL_INTERVAL: Duration = Duration::from_millis(20);

/// Waits until a key is gone.
fn wait_until_gone(s: &mut dyn Subject, key: &str) {
    while get(s, key).status != 404 {
        s.pass(POLL_INTERVAL);
    }
}

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
        let before = s.now();
        assert_eq!(put(s, "/a", "value=x&ttl=20").json()["node"]["ttl"], 20);
        let after = s.now();
        s.pass(Duration::from_millis(1_200));
        let least = (s.now() - after).as_secs();
        let ttl = get(s, "/a").json()["node"]["ttl"].as_u64().unwrap();
        let most = (s.now() - before).as_secs();
        // 19, unless the machine stalls.
        assert!((20 - most..=20 - least).contains(&ttl), "{ttl} after {least} to {most} s");
    }

    fn v2_73_a_ttl_of_zero_is_gone_at_the_next_sweep(s) {
        let reply = put(s, "/a", "value=x&ttl=0").text();
        assert!(reply.contains("expiration") && !reply.contains("\"ttl\""), "{reply}");
        wait_until_gone(s, "/a");
        assert_error(&get(s, "/a"), 404, 100, Some("/a"), 5);
    }

    fn v2_74_a_huge_ttl_is_no_ttl_or_a_past_one(s) {
        let reply = put(s, "/a", "value=x&ttl=9300000000").text();
        assert!(!reply.contains("expiration"), "permanent: {reply}");
        put(s, "/b", "value=x");
        let reply = put(s, "/b", "value=x&prevExist=true&ttl=9300000000").json();
        assert!(reply["node"]["ttl"].as_i64().unwrap() < 0, "{reply}");
        assert!(reply["node"]["expiration"].as_str().unwrap().starts_with("17"), "{reply}");
        wait_until_gone(s, "/b");
        assert_eq!(get(s, "/a").status, 200);
        // A second ago.
        put(s, "/c", "value=x&ttl=18446744073709551615");
        wait_until_gone(s, "/c");
    }

    fn v2_75_an_expiry_is_an_event(s) {
        put(s, "/a", "value=x&ttl=1");
        let (_, mut watch) = s.watch(&Request::new("GET", "/v2/keys/a?wait=true&waitIndex=5"));
        wait_until_gone(s, "/a");
        let line = watch.line().unwrap();
        let start = "{\"action\":\"expire\",\"node\":{\"key\":\"/a\",\"modifiedIndex\":5,\"createdIndex\":4},\
            \"prevNode\":{\"key\":\"/a\",\"value\":\"x\",\"expiration\":\"";
        assert!(line.starts_with(start), "{line}");
        assert!(line.ends_with("\"modifiedIndex\":4,\"createdIndex\":4}}\n"), "{line}");
    }

    fn v2_76_each_key_takes_an_index_and_a_directory_takes_one(s) {
        // None ends before all are there, even if the machine stalls for two seconds.
        put(s, "/b", "value=x&ttl=3");
        s.pass(Duration::from_millis(5));
        put(s, "/a", "value=x&ttl=3");
        s.pass(Duration::from_millis(5));
        put(s, "/d", "dir=true&ttl=3");
        put(s, "/d/x", "value=x");
        put(s, "/d/y", "value=x&ttl=100");
        wait_until_gone(s, "/d");
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
        wait_until_gone(s, "/d/a");
        assert_eq!(get(s, "/d/b").status, 200);
        assert!(!get(s, "/d/b").text().contains("ttl"));
    }

    fn v2_78_expiry_is_half_a_second_late_at_most(s) {
        let before = s.now();
        put(s, "/a", "value=x&ttl=1");
        let after = s.now();
        let mut stalled = Duration::ZERO;
        let late = loop {
            let asked = s.now();
            let status = get(s, "/a").status;
            if status == 404 {
                assert!(s.now() - before >= Duration::from_secs(1), "too early");
                break asked - after;
            }
            s.pass(POLL_INTERVAL);
            stalled += s.now() - asked - POLL_INTERVAL;
        };
        // And the time to the next look at it.
        let limit = Duration::from_millis(1_500) + 2 * POLL_INTERVAL + stalled;
        assert!(late <= limit + Duration::from_millis(200), "{late:?}, of which {stalled:?} were a stall");
    }

    fn v2_79_an_expiry_counts_as_one_and_as_no_read(s) {
        put(s, "/a", "value=x&ttl=1");
        let gets = stat(s, "getsSuccess");
        while stat(s, "expireCount") == 0 {
            s.pass(POLL_INTERVAL);
        }
        assert_eq!((stat(s, "expireCount"), stat(s, "getsSuccess")), (1, gets));
        delete(s, "/none");
        assert_eq!(stat(s, "expireCount"), 1);
    }
}
