//! Writes and refreshes: V2-43 to V2-62.

use crate::{Request, assert_body, assert_error, delete, get, post, put, rules};

rules! {
    fn v2_43_a_write_adds_one_and_a_failure_nothing(s) {
        assert_eq!(put(s, "/a/b/c", "value=x").index(), 4, "the first of a new cluster");
        assert!(get(s, "/a").text().contains("\"modifiedIndex\":4,\"createdIndex\":4}}"), "parents have it too");
        put(s, "/a", "value=x");
        delete(s, "/none");
        assert_eq!(get(s, "").index(), 4);
        assert_eq!(put(s, "/b", "value=x").index(), 5);
    }

    fn v2_44_set_creates_or_replaces(s) {
        let reply = put(s, "/a", "value=x");
        assert_eq!((reply.status, reply.text().contains("prevNode")), (201, false));
        let reply = put(s, "/a", "value=y");
        assert_eq!((reply.status, reply.text().contains("prevNode")), (200, true));
        assert!(reply.text().contains("\"modifiedIndex\":5,\"createdIndex\":5}"));
    }

    fn v2_45_set_of_a_directory_is_102_and_of_a_file_as_a_directory_replaces_it(s) {
        put(s, "/d", "dir=true");
        assert_error(&put(s, "/d", "value=x"), 403, 102, Some("/d"), 4);
        assert_error(&put(s, "/d", "dir=true"), 403, 102, Some("/d"), 4);
        put(s, "/f", "value=x");
        let reply = put(s, "/f", "dir=true&value=ignored");
        assert_body(&reply, 200, "{\"action\":\"set\",\"node\":{\"key\":\"/f\",\"dir\":true,\"modifiedIndex\":6,\
            \"createdIndex\":6},\"prevNode\":{\"key\":\"/f\",\"value\":\"x\",\"modifiedIndex\":5,\
            \"createdIndex\":5}}\n");
    }

    fn v2_46_create_of_an_existing_key_is_105(s) {
        assert_eq!(put(s, "/a", "value=x&prevExist=false").status, 201);
        assert_error(&put(s, "/a", "value=y&prevExist=false"), 412, 105, Some("/a"), 4);
        put(s, "/d", "dir=true");
        assert_error(&put(s, "/d", "prevExist=false"), 412, 105, Some("/d"), 5);
    }

    fn v2_47_through_a_file_nothing_is_made(s) {
        put(s, "/f", "value=x");
        assert_error(&put(s, "/f/a/b", "value=x"), 400, 104, Some("/f"), 4);
        assert_error(&put(s, "/f/a/b", "value=x&prevExist=false"), 400, 104, Some("/f"), 4);
        assert_eq!(get(s, "/f").status, 200);
    }

    fn v2_48_keys_in_order_have_twenty_digits(s) {
        let reply = post(s, "/q/r", "value=x");
        assert_eq!(reply.status, 201);
        assert!(reply.text().contains("\"key\":\"/q/r/00000000000000000004\""));
        assert!(post(s, "/", "value=x").text().contains("\"key\":\"/00000000000000000005\""));
        assert!(post(s, "/q", "dir=true").text().contains("\"key\":\"/q/00000000000000000006\",\"dir\":true"));
        put(s, "/f", "value=x");
        assert_error(&post(s, "/f", "value=x"), 400, 104, Some("/f"), 7);
    }

    fn v2_49_update_keeps_the_creation_and_drops_the_ttl(s) {
        assert_error(&put(s, "/a/b", "value=x&prevExist=true"), 404, 100, Some("/a"), 3);
        put(s, "/a", "value=x&ttl=100");
        let reply = put(s, "/a", "prevExist=true");
        assert_eq!(reply.status, 200);
        let node = "{\"action\":\"update\",\"node\":{\"key\":\"/a\",\"value\":\"\",\"modifiedIndex\":5,\
            \"createdIndex\":4},\"prevNode\":{\"key\":\"/a\",\"value\":\"x\",\"expiration\":\"";
        assert!(reply.text().starts_with(node), "{}", reply.text());
        assert!(put(s, "/a", "prevExist=true&ttl=50").text().contains("\"ttl\":50"));
    }

    fn v2_50_update_of_a_directory_depends_on_the_version(s) {
        let is_3_4 = s.is_3_4();
        put(s, "/d", "dir=true");
        assert_error(&put(s, "/d", "prevExist=true&value=x"), 403, 102, Some("/d"), 4);
        let reply = put(s, "/d", "prevExist=true&ttl=100");
        if is_3_4 {
            assert_eq!((reply.status, reply.index()), (200, 5));
            assert!(reply.text().contains("\"modifiedIndex\":5,\"createdIndex\":4}"), "{}", reply.text());
            let reply = get(s, "/d").text();
            assert!(reply.contains("\"ttl\":100,\"modifiedIndex\":4,"), "{reply}");
        } else {
            assert_error(&reply, 500, 300, Some("nodePath /1/d : Not a file ()"), 0);
            assert!(!get(s, "/d").text().contains("ttl"));
            assert_eq!(get(s, "/d").index(), 4);
        }
    }

    fn v2_51_compare_and_swap(s) {
        assert_error(&put(s, "/a", "value=y&prevValue=x"), 404, 100, Some("/a"), 3);
        put(s, "/d", "dir=true");
        assert_error(&put(s, "/d", "value=y&prevValue=x"), 403, 102, Some("/d"), 4);
        put(s, "/a", "value=x");
        let reply = put(s, "/a", "value=y&prevValue=x&prevIndex=5");
        assert_body(&reply, 200, "{\"action\":\"compareAndSwap\",\"node\":{\"key\":\"/a\",\"value\":\"y\",\
            \"modifiedIndex\":6,\"createdIndex\":5},\"prevNode\":{\"key\":\"/a\",\"value\":\"x\",\
            \"modifiedIndex\":5,\"createdIndex\":5}}\n");
    }

    fn v2_52_a_mismatch_says_what_differs(s) {
        put(s, "/a", "value=x");
        for (condition, cause) in [
            ("prevValue=z", "[z != x]"),
            ("prevIndex=9", "[9 != 4]"),
            ("prevValue=x&prevIndex=9", "[9 != 4]"),
            ("prevValue=z&prevIndex=4", "[z != x]"),
            ("prevValue=z&prevIndex=9", "[z != x] [9 != 4]"),
        ] {
            let reply = put(s, "/a", &format!("value=y&{condition}"));
            assert_error(&reply, 412, 101, Some(cause), 4);
        }
    }

    fn v2_53_compare_and_delete(s) {
        put(s, "/a", "value=x");
        assert_error(&delete(s, "/b?prevValue=x"), 404, 100, Some("/b"), 4);
        assert_error(&delete(s, "/a?prevValue=z"), 412, 101, Some("[z != x]"), 4);
        let reply = delete(s, "/a?prevIndex=4");
        assert_body(&reply, 200, "{\"action\":\"compareAndDelete\",\"node\":{\"key\":\"/a\",\"modifiedIndex\":5,\
            \"createdIndex\":4},\"prevNode\":{\"key\":\"/a\",\"value\":\"x\",\"modifiedIndex\":4,\
            \"createdIndex\":4}}\n");
    }

    fn v2_54_delete_and_directories(s) {
        put(s, "/a", "value=x");
        assert_eq!(delete(s, "/a?recursive=true&dir=true").status, 200, "a file");
        put(s, "/d/_hidden", "value=x");
        assert_error(&delete(s, "/d"), 403, 102, Some("/d"), 6);
        assert_error(&delete(s, "/d?dir=true"), 403, 108, Some("/d"), 6);
        let reply = delete(s, "/d?recursive=true");
        assert_body(&reply, 200, "{\"action\":\"delete\",\"node\":{\"key\":\"/d\",\"dir\":true,\
            \"modifiedIndex\":7,\"createdIndex\":6},\"prevNode\":{\"key\":\"/d\",\"dir\":true,\
            \"modifiedIndex\":6,\"createdIndex\":6}}\n");
        put(s, "/e", "dir=true");
        assert_eq!(delete(s, "/e?dir=true").index(), 9);
    }

    fn v2_55_the_root_is_read_only(s) {
        for form in ["value=x", "dir=true", "prevExist=false", "prevExist=true", "value=x&prevValue=y"] {
            assert_error(&put(s, "/", form), 400, 107, Some("/"), 3);
        }
        assert_error(&delete(s, "/?recursive=true"), 400, 107, Some("/"), 3);
        assert_error(&delete(s, "/?prevIndex=1"), 403, 102, None, 3);
    }

    fn v2_56_no_value_on_success_leaves_only_the_action(s) {
        let brief = "noValueOnSuccess=true";
        assert_body(&put(s, "/a", &format!("value=x&{brief}")), 201, "{\"action\":\"set\"}\n");
        assert_body(&put(s, "/a", &format!("value=x&{brief}")), 200, "{\"action\":\"set\"}\n");
        assert_body(&put(s, "/a", &format!("prevExist=true&{brief}")), 200, "{\"action\":\"update\"}\n");
        assert_body(&put(s, "/b", &format!("prevExist=false&{brief}")), 201, "{\"action\":\"create\"}\n");
        let reply = put(s, "/a", &format!("value=y&prevIndex=6&{brief}"));
        assert_body(&reply, 200, "{\"action\":\"compareAndSwap\"}\n");
        assert_body(&post(s, "/q", &format!("value=x&{brief}")), 201, "{\"action\":\"create\"}\n");
        assert!(delete(s, &format!("/a?{brief}")).text().contains("prevNode"));
        assert!(get(s, &format!("/b?{brief}")).text().contains("\"value\""));
    }

    fn v2_57_created_is_201(s) {
        assert_eq!(put(s, "/a", "value=x").status, 201);
        assert_eq!(put(s, "/a", "value=x").status, 200);
        assert_eq!(post(s, "/q", "value=x").status, 201);
        assert_eq!(put(s, "/b", "prevExist=false").status, 201);
        assert_eq!(put(s, "/b", "prevExist=true").status, 200);
    }

    fn v2_58_root_then_path_then_type_then_compare(s) {
        put(s, "/d", "dir=true");
        put(s, "/f", "value=x");
        let form = "value=y&prevValue=z";
        assert_error(&put(s, "/", form), 400, 107, Some("/"), 5);
        assert_error(&put(s, "/none", form), 404, 100, Some("/none"), 5);
        assert_error(&put(s, "/f/g", form), 400, 104, Some("/f"), 5);
        assert_error(&put(s, "/d", form), 403, 102, Some("/d"), 5);
        assert_error(&put(s, "/f", form), 412, 101, Some("[z != x]"), 5);
    }

    fn v2_59_the_same_write_twice_is_two_writes(s) {
        assert_eq!(put(s, "/a", "value=x").index(), 4);
        assert_eq!(put(s, "/a", "value=x").index(), 5);
    }

    fn v2_60_refresh_with_set(s) {
        let refresh = "refresh=true&ttl=100";
        assert_error(&put(s, "/a", refresh), 404, 100, Some("/a"), 3);
        put(s, "/a", "value=x");
        let reply = put(s, "/a", refresh).text();
        assert!(reply.starts_with("{\"action\":\"set\",\"node\":{\"key\":\"/a\",\"value\":\"x\",\"expiration\""));
        assert!(reply.contains("\"ttl\":100,\"modifiedIndex\":5,\"createdIndex\":5}"), "{reply}");
        put(s, "/d", "dir=true");
        assert_error(&put(s, "/d", refresh), 403, 102, Some("/d"), 6);
        let reply = put(s, "/a", "refresh=true&ttl=100&dir=true").text();
        assert!(reply.starts_with("{\"action\":\"set\",\"node\":{\"key\":\"/a\",\"dir\":true,"), "{reply}");
    }

    fn v2_61_refresh_with_update_swap_and_create(s) {
        put(s, "/a", "value=x");
        let reply = put(s, "/a", "refresh=true&ttl=100&prevExist=true").text();
        assert!(reply.starts_with("{\"action\":\"update\",\"node\":{\"key\":\"/a\",\"value\":\"x\",\"expiration\""));
        assert!(reply.contains("\"ttl\":100,\"modifiedIndex\":5,\"createdIndex\":4}"), "{reply}");
        let reply = put(s, "/a", "refresh=true&ttl=200&prevIndex=5").text();
        assert!(reply.contains("\"value\":\"x\"") && reply.contains("\"ttl\":200"), "{reply}");
        let reply = put(s, "/b", "refresh=true&ttl=100&prevExist=false").text();
        assert!(reply.contains("\"key\":\"/b\",\"value\":\"\""), "{reply}");
    }

    fn v2_62_no_watch_receives_a_refresh(s) {
        put(s, "/a", "value=x");
        let (_, mut live) = s.watch(&Request::new("GET", "/v2/keys/a?wait=true"));
        put(s, "/a", "refresh=true&ttl=100");
        assert!(live.is_silent());
        let (_, mut past) = s.watch(&Request::new("GET", "/v2/keys/a?wait=true&waitIndex=5"));
        assert!(past.is_silent());
        put(s, "/a", "value=y");
        for watch in [&mut live, &mut past] {
            assert!(watch.line().unwrap().contains("\"modifiedIndex\":6"), "a gap");
        }
    }
}
