//! Error codes, counters, members, stats, version, health, limits: V2-90 to V2-112 and V2-170.

use crate::{
    Request, Response, Subject, assert_body, assert_error, delete, get, post, put, rules, stat,
};

rules! {
    fn v2_90_each_error_has_its_message_and_status(s) {
        put(s, "/f", "value=x");
        put(s, "/d/x", "value=x");
        for (reply, status, code, message) in [
            (get(s, "/none"), 404, 100, "Key not found"),
            (put(s, "/f", "prevValue=y"), 412, 101, "Compare failed"),
            (put(s, "/d", "value=x"), 403, 102, "Not a file"),
            (get(s, "/f/g"), 400, 104, "Not a directory"),
            (put(s, "/f", "prevExist=false"), 412, 105, "Key already exists"),
            (put(s, "/", "value=x"), 400, 107, "Root is read only"),
            (delete(s, "/d?dir=true"), 403, 108, "Directory not empty"),
            (put(s, "/f", "prevValue="), 400, 201, "PrevValue is Required in POST form"),
            (put(s, "/f", "ttl=x"), 400, 202, "The given TTL in POST form is not a number"),
            (put(s, "/f", "prevIndex=x"), 400, 203, "The given index in POST form is not a number"),
            (put(s, "/f", "dir=x"), 400, 209, "Invalid field"),
            (put(s, "/f", "a;b"), 400, 210, "Invalid POST form"),
            (put(s, "/f", "refresh=true&value=x"), 400, 211, "Value provided on refresh"),
            (put(s, "/f", "refresh=true"), 400, 212, "A TTL must be provided on refresh"),
        ] {
            let json = reply.json();
            assert_eq!((reply.status, &json["errorCode"], &json["message"]), (status, &code.into(), &message.into()));
        }
    }

    fn v2_100_the_counters_are_in_order(s) {
        let reply = s.ask(&Request::new("GET", "/v2/stats/store")).text();
        let names: Vec<&str> = reply.split('"').skip(1).step_by(2).collect();
        assert_eq!(names, [
            "getsSuccess", "getsFail", "setsSuccess", "setsFail", "deleteSuccess", "deleteFail", "updateSuccess",
            "updateFail", "createSuccess", "createFail", "compareAndSwapSuccess", "compareAndSwapFail",
            "compareAndDeleteSuccess", "compareAndDeleteFail", "expireCount", "watchers",
        ]);
        assert!(reply.starts_with("{\"getsSuccess\":0,\"getsFail\":1,\"setsSuccess\":2,"), "{reply}");
    }

    fn v2_101_each_request_for_keys_reads_whether_auth_is_enabled(s) {
        let before = (stat(s, "getsSuccess"), stat(s, "getsFail"));
        put(s, "/a", "value=x");
        get(s, "/a");
        get(s, "/a?sorted=x");
        assert_eq!((stat(s, "getsSuccess"), stat(s, "getsFail")), (before.0 + 1, before.1 + 2));
        s.ask(&Request::new("PUT", "/v2/auth/users/u").json(r#"{"user":"u","password":"p"}"#));
        let before = (stat(s, "getsSuccess"), stat(s, "getsFail"));
        put(s, "/a", "value=x");
        assert_eq!((stat(s, "getsSuccess"), stat(s, "getsFail")), (before.0 + 1, before.1));
    }

    fn v2_102_some_failures_count_as_successes(s) {
        put(s, "/d", "dir=true");
        put(s, "/f", "value=x");
        put(s, "/", "prevExist=true");
        put(s, "/d", "prevExist=true&value=x");
        assert_eq!((stat(s, "updateSuccess"), stat(s, "updateFail")), (2, 0));
        put(s, "/", "value=x&prevValue=y");
        put(s, "/d", "value=x&prevValue=y");
        assert_eq!((stat(s, "compareAndSwapSuccess"), stat(s, "compareAndSwapFail")), (1, 1));
        delete(s, "/");
        delete(s, "/d");
        assert_eq!((stat(s, "deleteSuccess"), stat(s, "deleteFail")), (1, 1));
        delete(s, "/d?prevValue=x");
        delete(s, "/f?prevValue=y");
        delete(s, "/none?prevValue=y");
        assert_eq!((stat(s, "compareAndDeleteSuccess"), stat(s, "compareAndDeleteFail")), (2, 1));
    }

    fn v2_103_a_create_through_a_file_counts_twice(s) {
        put(s, "/f", "value=x");
        put(s, "/f/a", "prevExist=false");
        post(s, "/f", "value=x");
        assert_eq!((stat(s, "createFail"), stat(s, "setsFail")), (2, 2));
        put(s, "/f/a", "value=x");
        assert_eq!((stat(s, "createFail"), stat(s, "setsFail")), (2, 3));
    }

    fn v2_104_watchers_are_counted(s) {
        let (_, one) = s.watch(&Request::new("GET", "/v2/keys/a?wait=true"));
        let (_, two) = s.watch(&Request::new("GET", "/v2/keys/b?wait=true"));
        assert_eq!(stat(s, "watchers"), 2);
        put(s, "/a", "value=x");
        assert_eq!(stat(s, "watchers"), 1);
        drop((one, two));
    }

    fn v2_110_members_can_be_read(s) {
        let reply = s.ask(&Request::new("GET", "/v2/members"));
        let member = &reply.json()["members"][0];
        assert_eq!(member["name"], "default");
        let (id, peer) = (member["id"].as_str().unwrap(), &member["peerURLs"]);
        let expected = format!("{{\"members\":[{{\"id\":\"{id}\",\"name\":\"default\",\"peerURLs\":{peer},\
            \"clientURLs\":{}}}]}}\n", member["clientURLs"]);
        assert_body(&reply, 200, &expected);
        let leader = s.ask(&Request::new("GET", "/v2/members/leader"));
        assert_eq!(leader.json(), *member);
        assert_body(&s.ask(&Request::new("GET", "/v2/members/x")), 404, "{\"message\":\"Not found\"}");
        assert_eq!(s.ask(&Request::new("GET", "/v2/members/")).text(), reply.text());
    }

    fn v2_111_a_body_that_is_no_member_is_refused_in_the_words_of_go(s) {
        let cannot = |kind: &str, what: &str| format!("json: cannot unmarshal {kind} into Go {what}");
        let whole = r#"value of type struct { PeerURLs []string "json:\"peerURLs\"" }"#;
        let list = "struct field .peerURLs of type []string";
        let element = "struct field .peerURLs of type string";
        for (body, message) in [
            ("-", "invalid character ' ' in numeric literal".to_owned()),
            ("{", "unexpected end of JSON input".to_owned()),
            ("nope", "invalid character 'o' in literal null (expecting 'u')".to_owned()),
            (r#"{"peerURLs":["http://a:1"]} x"#, "invalid character 'x' after top-level value".to_owned()),
            ("[]", cannot("array", whole)),
            (r#"{"peerURLs":1}"#, cannot("number", list)),
            (r#"{"peerURLs":["x"],"peerURLs":{}}"#, cannot("object", list)),
            (r#"{"peerURLs":[true,{}]}"#, cannot("bool", element)),
            ("null", "no valid URLs given".to_owned()),
            (r#"{"PEERURLS":["http://a:1/x"]}"#, "URL must not contain a path: http://a:1/x".to_owned()),
            (r#"{"peerURLs":[null]}"#, "URL scheme must be http, https, unix, or unixs: ".to_owned()),
        ] {
            let reply = s.ask(&Request::new("POST", "/v2/members").json(body));
            let expected = serde_json::json!({ "message": message }).to_string();
            assert_body(&reply, 400, &expected);
        }
    }

    fn v2_111_bad_changes_of_members_are_refused(s) {
        let change = |method: &str, target: &str| Request::new(method, &format!("/v2/members{target}"));
        let reply = s.ask(&change("POST", "").form("x=y"));
        assert_body(&reply, 415,
            "{\"message\":\"Bad Content-Type application/x-www-form-urlencoded, accept application/json\"}");
        for (json, message) in [
            ("{}", "no valid URLs given"),
            ("{", "unexpected end of JSON input"),
            ("{\"peerURLs\":[\"ftp://a:1\"]}", "URL scheme must be http, https, unix, or unixs: ftp://a:1"),
            ("{\"peerURLs\":[\"http://a:1/\"]}", "URL must not contain a path: http://a:1/"),
        ] {
            let reply = s.ask(&change("POST", "").json(json));
            assert_body(&reply, 400, &format!("{{\"message\":\"{message}\"}}"));
        }
        let urls = "{\"peerURLs\":[\"http://a:1\"]}";
        for (method, id) in [("DELETE", "12"), ("DELETE", "zz"), ("PUT", "12")] {
            let reply = change_members(s, &change(method, &format!("/{id}")).json(urls));
            assert_body(&reply, 404, &format!("{{\"message\":\"No such member: {id}\"}}"));
        }
        for method in ["DELETE", "PUT"] {
            let reply = s.ask(&change(method, ""));
            assert_body(&reply, 405, "Method Not Allowed\n");
            assert_eq!(reply.header("allow"), None);
        }
        let own = s.ask(&Request::new("GET", "/v2/members")).json()["members"][0].clone();
        let own_urls = format!("{{\"peerURLs\":{}}}", own["peerURLs"]);
        let reply = change_members(s, &change("POST", "").json(&own_urls));
        assert_body(&reply, 409, "{\"message\":\"membership: peerURL exists\"}");
        let reply = change_members(s, &change("DELETE", &format!("/{}", own["id"].as_str().unwrap())));
        assert_body(&reply, 500, "{\"message\":\"Internal Server Error\"}");
        let reply = change_members(s, &change("PUT", &format!("/{}", own["id"].as_str().unwrap())).json(&own_urls));
        assert_body(&reply, 204, "");
        assert_eq!(get(s, "").index(), 4, "an update is a write");
    }

    fn v2_112_machines_stats_version_and_health(s) {
        let is_3_4 = s.is_3_4();
        let member = s.ask(&Request::new("GET", "/v2/members")).json()["members"][0].clone();
        let reply = s.ask(&Request::new("GET", "/v2/machines"));
        assert_body(&reply, 200, member["clientURLs"][0].as_str().unwrap());
        assert_eq!(reply.header("content-type"), Some("text/plain; charset=utf-8"));
        let id = member["id"].as_str().unwrap();
        let reply = s.ask(&Request::new("GET", "/v2/stats/leader"));
        assert_body(&reply, 200, &format!("{{\"leader\":\"{id}\",\"followers\":{{}}}}"));
        let reply = s.ask(&Request::new("GET", "/v2/stats/self")).text();
        let start = format!("{{\"name\":\"default\",\"id\":\"{id}\",\"state\":\"StateLeader\",\"startTime\":\"");
        assert!(reply.starts_with(&start), "{reply}");
        assert!(reply.contains(&format!("\"leaderInfo\":{{\"leader\":\"{id}\",\"uptime\":\"")), "{reply}");
        assert!(reply.ends_with("\"},\"recvAppendRequestCnt\":0,\"sendAppendRequestCnt\":0}"), "{reply}");
        let version = s.ask(&Request::new("GET", "/version"));
        let (server, cluster) = if is_3_4 { ("3.4.", "3.4.0") } else { ("3.5.", "3.5.0") };
        assert!(version.text().starts_with(&format!("{{\"etcdserver\":\"{server}")));
        assert!(version.text().ends_with(&format!("\",\"etcdcluster\":\"{cluster}\"}}")));
        let health = if is_3_4 { "{\"health\":\"true\"}" } else { "{\"health\":\"true\",\"reason\":\"\"}" };
        assert_body(&s.ask(&Request::new("GET", "/health")), 200, health);
        let alarm = |action: &str| {
            let change = format!("{{\"action\":\"{action}\",\"alarm\":\"NOSPACE\"}}");
            Request::new("POST", "/v3/maintenance/alarm").json(&change)
        };
        assert_eq!(s.ask(&alarm("ACTIVATE")).status, 200);
        let unhealthy = if is_3_4 { "{\"health\":\"false\"}" } else { "{\"health\":\"false\",\"reason\":\"ALARM NOSPACE\"}" };
        for query in ["", "exclude=", "exclude=nospace", "exclude=CORRUPT", "exclude=%4", "alarm=NOSPACE"] {
            assert_body(&s.ask(&Request::new("GET", &format!("/health?{query}"))), 503, &format!("{unhealthy}\n"));
        }
        for query in ["exclude=NOSPACE", "%zz&exclude=CORRUPT&exclude=NOSPACE", "exclude=NO%53PACE"] {
            assert_body(&s.ask(&Request::new("GET", &format!("/health?{query}"))), 200, health);
        }
        assert_eq!(s.ask(&alarm("DEACTIVATE")).status, 200);
        for target in ["/version", "/health", "/v2/stats/self"] {
            let reply = s.ask(&Request::new("POST", target));
            assert_eq!((reply.status, reply.header("allow")), (405, Some("GET")));
        }
    }

    fn v2_170_a_form_may_have_ten_mebibytes(s) {
        let fits = (10 << 20) - "value=".len();
        assert_eq!(put(s, "/a", &format!("value={}", "x".repeat(fits))).status, 201);
        let reply = get(s, "/a");
        assert_eq!(reply.header("transfer-encoding"), Some("chunked"));
        assert!(reply.body.len() > fits);
        let reply = put(s, "/a", &format!("value={}", "x".repeat(fits + 1)));
        assert_error(&reply, 400, 210, Some("http: POST too large"), 0);
    }
}

/// Changes the members, after what is before in the log: etcd drops a change that comes while it has not finished the one before,
/// and responds when its time is up, with 500.
fn change_members(s: &mut dyn Subject, change: &Request) -> Response {
    get(s, "/?quorum=true");
    s.ask(change)
}
