//! Routing, paths, methods: V2-1 to V2-15.

use crate::{Request, assert_body, assert_error, delete, get, put, rules};
use etcd_http_fake::FakeEtcd;

const NOT_FOUND: &str = "404 page not found\n";

rules! {
    fn v2_1_keys_live_under_v2_keys_and_nothing_near_it(s) {
        for target in ["/v2/keysfoo", "/v2", "/", "/v2/machines/", "/v2/auth"] {
            let reply = s.ask(&Request::new("GET", target));
            assert_body(&reply, 404, NOT_FOUND);
            assert_eq!(reply.header("content-type"), Some("text/plain; charset=utf-8"));
            assert_eq!(reply.header("x-content-type-options"), Some("nosniff"));
        }
        assert_eq!(get(s, "").status, 200);
        assert_eq!(get(s, "/").status, 200);
    }

    fn v2_2_a_path_is_decoded_once_and_plus_is_a_plus(s) {
        put(s, "/a%2Fb+c%2520", "value=x");
        let reply = get(s, "/a?recursive=true");
        assert!(reply.text().contains("\"key\":\"/a/b+c%20\""), "{}", reply.text());
        let reply = get(s, "/%zz");
        assert_body(&reply, 400, "400 Bad Request");
        assert_eq!(reply.header("connection"), Some("close"));
    }

    fn v2_3_an_unclean_path_is_a_redirect_and_nothing_is_applied(s) {
        for (target, location) in [
            ("/v2/keys//a", "/v2/keys/a"),
            ("/v2/keys/a/../b?x=y", "/v2/keys/b?x=y"),
            ("/v2/keys/a%2f%2fb/", "/v2/keys/a/b/"),
            ("/v2/keys/%2e%2e/members", "/v2/members"),
            ("/v2/keys/./%c3%a9!", "/v2/keys/%C3%A9%21"),
        ] {
            let reply = s.ask(&Request::new("PUT", target).form("value=x"));
            assert_eq!((reply.status, reply.header("location")), (301, Some(location)));
            assert_eq!(reply.text(), "");
            let reply = s.ask(&Request::new("GET", target));
            assert_body(&reply, 301, &format!("<a href=\"{location}\">Moved Permanently</a>.\n\n"));
        }
        assert_eq!(get(s, "").index(), 3);
    }

    fn v2_4_any_byte_is_a_key_and_two_keys_can_look_the_same(s) {
        for key in ["...", "%5c", ";", "&", "=", "%20", "%00", "%0d%0a", "%e2%82%ac"] {
            assert_eq!(put(s, &format!("/{key}"), "value=x").status, 201, "{key}");
            assert_eq!(get(s, &format!("/{key}")).status, 200, "{key}");
        }
        assert_eq!(put(s, "/%ff", "value=x").status, 201);
        let reply = put(s, "/%fe", "value=x");
        assert_eq!(reply.status, 201, "another key");
        assert!(reply.text().contains("\"key\":\"/\\ufffd\""), "{}", reply.text());
    }

    fn v2_5_one_trailing_slash_is_ignored(s) {
        let reply = put(s, "/a/", "value=x");
        assert!(reply.text().contains("\"key\":\"/a\""));
        assert_eq!(get(s, "/a/").text(), get(s, "/a").text());
    }

    fn v2_6_other_methods_are_not_allowed_and_options_always_is(s) {
        let reply = s.ask(&Request::new("PATCH", "/v2/keys/a"));
        assert_body(&reply, 405, "Method Not Allowed\n");
        assert_eq!(reply.header("allow"), Some("HEAD,GET,PUT,POST,DELETE"));
        let reply = s.ask(&Request::new("OPTIONS", "/any//where"));
        assert_body(&reply, 200, "");
    }

    fn v2_7_every_response_allows_any_origin(s) {
        for target in ["/v2/keys/none", "/nowhere", "/v2/keys//a", "/version"] {
            let reply = s.ask(&Request::new("GET", target));
            assert_eq!(reply.header("access-control-allow-origin"), Some("*"));
            let headers = reply.header("access-control-allow-headers");
            assert_eq!(headers, Some("accept, content-type, authorization"));
            let methods = reply.header("access-control-allow-methods");
            assert_eq!(methods, Some("POST, GET, OPTIONS, PUT, DELETE"));
        }
    }

    fn v2_8_the_cluster_id_is_hex_and_on_some_responses(s) {
        for target in ["/v2/keys/none", "/v2/keys", "/v2/members", "/v2/auth/users"] {
            let reply = s.ask(&Request::new("GET", target));
            let id = reply.header("x-etcd-cluster-id").unwrap();
            assert!(!id.is_empty() && id.len() <= 16, "{id}");
            assert!(id.bytes().all(|byte| b"0123456789abcdef".contains(&byte)), "{id}");
        }
        for target in ["/v2/stats/store", "/v2/machines", "/nowhere", "/version", "/v2/auth/users/a/b"] {
            let reply = s.ask(&Request::new("GET", target));
            assert_eq!(reply.header("x-etcd-cluster-id"), None, "{target}");
        }
        let reply = s.ask(&Request::new("PATCH", "/v2/keys/a"));
        assert_eq!(reply.header("x-etcd-cluster-id"), None);
    }

    fn v2_9_success_has_the_indexes(s) {
        let reply = put(s, "/a", "value=x");
        assert_eq!(reply.header("content-type"), Some("application/json"));
        for name in ["x-etcd-index", "x-raft-index", "x-raft-term"] {
            assert!(reply.header(name).unwrap().parse::<u64>().unwrap() > 0, "{name}");
        }
    }

    fn v2_10_an_error_has_its_own_index_and_none_of_raft(s) {
        let reply = get(s, "/none");
        assert_error(&reply, 404, 100, Some("/none"), 3);
        assert_eq!(reply.header("content-type"), Some("application/json"));
        assert_eq!(reply.header("x-raft-index"), None);
        assert_eq!(get(s, "/none?wait=x").index(), 0);
    }

    fn v2_11_bodies_of_keys_end_with_a_line(s) {
        for reply in [put(s, "/a", "value=x"), get(s, "/a"), get(s, "/b"), delete(s, "/a")] {
            assert!(reply.text().ends_with("}\n") && !reply.text().ends_with("\n\n"));
        }
    }

    fn v2_12_the_index_is_that_of_the_read_or_of_the_write(s) {
        assert_eq!(put(s, "/a", "value=x").index(), 4);
        assert_eq!(put(s, "/b", "value=x").index(), 5);
        assert_eq!(get(s, "/a").index(), 5);
        let (reply, mut watch) = s.watch(&Request::new("GET", "/v2/keys/a?wait=true"));
        put(s, "/a", "value=y");
        assert_eq!(reply.index(), 5, "when the watch began");
        assert!(watch.line().unwrap().contains("\"modifiedIndex\":6"));
    }

    fn v2_13_head_is_get_without_a_body(s) {
        put(s, "/a", "value=x");
        let head = s.ask(&Request::new("HEAD", "/v2/keys/a"));
        let get = get(s, "/a");
        assert_body(&head, 200, "");
        assert_eq!(head.header("content-length"), get.header("content-length"));
        assert_eq!(head.index(), get.index());
    }
}

mod v2_15_with_v2_off_there_are_only_version_and_health {
    use super::*;
    use fake_harness::{Fake, Subject, rules::each_real};

    fn rule(s: &mut dyn Subject) {
        for target in [
            "/v2/keys",
            "/v2/keys/a",
            "/v2/members",
            "/v2/machines",
            "/v2/stats/store",
            "/v2/auth/users",
        ] {
            let reply = s.ask(&Request::new("GET", target));
            assert_body(&reply, 404, NOT_FOUND);
        }
        assert_eq!(s.ask(&Request::new("GET", "/version")).status, 200);
        let health = s.ask(&Request::new("GET", "/health"));
        assert_eq!(health.status, 200);
        assert_eq!(
            health.header("content-type"),
            Some("text/plain; charset=utf-8")
        );
        assert_eq!(health.json()["health"], "true");
    }

    #[test]
    fn fake() {
        rule(&mut Fake(FakeEtcd::builder().v2(false).build()));
    }

    #[test]
    fn real() {
        each_real(&["--enable-v2=false"], rule);
    }
}
