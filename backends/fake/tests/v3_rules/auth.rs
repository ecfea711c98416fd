//! Users, roles, permissions and tokens: V3-110 to V3-121.

use std::time::Duration;

use fake_harness::Subject;

use crate::{Request, Response, assert_refused, call, post, rules};

const READ_A: &str =
    r#"{"name":"reader","perm":{"permType":"READ","key":"YQ==","range_end":"Yw=="}}"#;

/// How often a server may be too slow for what it does for 100 ms at most.
const TRIES: u32 = 10;

/// Makes root, and a user who may read `a` and `b`; enables auth, and returns their tokens.
fn enable(s: &mut dyn Subject) -> (String, String) {
    call(s, "auth/user/add", r#"{"name":"root","password":"secret"}"#);
    call(s, "auth/user/grant", r#"{"user":"root","role":"root"}"#);
    call(s, "auth/user/add", r#"{"name":"ann","password":"word"}"#);
    call(s, "auth/role/add", r#"{"name":"reader"}"#);
    call(s, "auth/role/grant", READ_A);
    call(s, "auth/user/grant", r#"{"user":"ann","role":"reader"}"#);
    call(s, "auth/enable", "{}");
    (token(s, "root", "secret"), token(s, "ann", "word"))
}

fn token(s: &mut dyn Subject, name: &str, password: &str) -> String {
    let body = format!(r#"{{"name":"{name}","password":"{password}"}}"#);
    call(s, "auth/authenticate", &body)["token"]
        .as_str()
        .unwrap()
        .to_owned()
}

/// Makes a call with a token.
fn post_as(s: &mut dyn Subject, token: &str, path: &str, body: &str) -> Response {
    let request = Request::new("POST", &format!("/v3/{path}")).json(body);
    s.ask(&request.header("Authorization", token))
}

rules! {
    fn v3_110_a_password_is_right_or_wrong(s) {
        assert_refused(&post(s, "auth/authenticate", "{}"), 9, "etcdserver: authentication is not enabled");
        enable(s);
        let failed = "etcdserver: authentication failed, invalid user ID or password";
        for body in [r#"{"name":"ann","password":"x"}"#, r#"{"name":"bob","password":"word"}"#, "{}"] {
            assert_refused(&post(s, "auth/authenticate", body), 3, failed);
        }
    }

    fn v3_111_112_a_token_is_sixteen_letters_and_an_index(s) {
        let (root, ann) = enable(s);
        let (letters, index) = root.split_once('.').unwrap();
        assert!(letters.len() == 16 && letters.bytes().all(|byte| byte.is_ascii_alphabetic()), "{root}");
        assert!(index.parse::<u64>().unwrap() < ann.split_once('.').unwrap().1.parse().unwrap());
        let range = r#"{"key":"YQ=="}"#;
        assert_eq!(post_as(s, &ann, "kv/range", range).status, 200);
        let request = Request::new("POST", "/v3/kv/range").json(range).header("Grpc-Metadata-Token", &ann);
        assert_eq!(s.ask(&request).status, 200);
        assert_refused(&post_as(s, &format!("Bearer {ann}"), "kv/range", range), 16, "etcdserver: invalid auth token");
        assert_refused(&post(s, "kv/range", range), 3, "etcdserver: user name is empty");
    }

    fn v3_113_a_change_of_the_password_ends_the_tokens_of_its_user_alone(s) {
        let (root, ann) = enable(s);
        assert_eq!(post_as(s, &root, "auth/user/changepw", r#"{"name":"ann","password":"new"}"#).status, 200);
        let range = r#"{"key":"YQ=="}"#;
        assert_refused(&post_as(s, &ann, "kv/range", range), 16, "etcdserver: invalid auth token");
        let ann = token(s, "ann", "new");
        assert_eq!(post_as(s, &root, "auth/role/add", r#"{"name":"other"}"#).status, 200);
        assert_eq!(post_as(s, &ann, "kv/range", range).status, 200);
    }

    fn v3_116_auth_needs_root_and_can_be_enabled_twice(s) {
        assert_refused(&post(s, "auth/enable", "{}"), 9, "etcdserver: root user does not exist");
        call(s, "auth/user/add", r#"{"name":"root","password":"x"}"#);
        assert_refused(&post(s, "auth/enable", "{}"), 9, "etcdserver: root user does not have root role");
        call(s, "auth/user/grant", r#"{"user":"root","role":"root"}"#);
        call(s, "auth/enable", "{}");
        let root = token(s, "root", "x");
        assert_eq!(post_as(s, &root, "auth/enable", "{}").status, 200);
        assert_refused(&post(s, "auth/disable", "{}"), 3, "etcdserver: user name is empty");
        assert_eq!(post_as(s, &root, "auth/disable", "{}").status, 200);
        assert_eq!(call(s, "auth/disable", "{}")["header"]["revision"], "1");
    }

    fn v3_117_users_and_roles_have_unique_names(s) {
        let (root, _) = enable(s);
        for (path, body, code, message) in [
            ("user/add", r#"{"name":"ann"}"#, 9, "etcdserver: user name already exists"),
            ("user/add", "{}", 3, "etcdserver: user name is empty"),
            ("user/delete", r#"{"name":"bob"}"#, 9, "etcdserver: user name not found"),
            ("user/delete", r#"{"name":"root"}"#, 3, "etcdserver: invalid auth management"),
            ("user/grant", r#"{"user":"ann","role":"none"}"#, 9, "etcdserver: role name not found"),
            ("user/revoke", r#"{"name":"ann","role":"none"}"#, 9, "etcdserver: role is not granted to the user"),
            ("role/add", r#"{"name":"reader"}"#, 9, "etcdserver: role name already exists"),
            ("role/revoke", r#"{"role":"reader","key":"eA=="}"#, 9, "etcdserver: permission is not granted to the role"),
        ] {
            assert_refused(&post_as(s, &root, &format!("auth/{path}"), body), code, message);
        }
        assert_eq!(post_as(s, &root, "auth/user/list", "{}").json()["users"].to_string(), r#"["ann","root"]"#);
        assert_eq!(post_as(s, &root, "auth/user/get", r#"{"name":"ann"}"#).json()["roles"].to_string(), r#"["reader"]"#);
    }

    fn v3_118_a_permission_must_be_given(s) {
        // 3.4 ends with a panic.
        if !s.is_3_4() {
            call(s, "auth/role/add", r#"{"name":"r"}"#);
            assert_refused(&post(s, "auth/role/grant", r#"{"name":"r"}"#), 3, "etcdserver: permission not given");
        }
    }

    fn v3_118_an_inverted_permission_is_refused_by_3_5(s) {
        call(s, "auth/role/add", r#"{"name":"r"}"#);
        let reply = post(s, "auth/role/grant", r#"{"name":"r","perm":{"key":"Yg==","range_end":"YQ=="}}"#);
        assert_eq!(reply.status, if s.is_3_4() { 200 } else { 400 });
    }

    fn v3_119_permissions_cover_ranges_together(s) {
        let (root, ann) = enable(s);
        let more = r#"{"name":"reader","perm":{"permType":"READWRITE","key":"Yw==","range_end":"ZQ=="}}"#;
        assert_eq!(post_as(s, &root, "auth/role/grant", more).status, 200);
        for (path, body, status) in [
            ("range", r#"{"key":"YQ==","range_end":"ZQ=="}"#, 200),
            ("range", r#"{"key":"YQ==","range_end":"Zg=="}"#, 403),
            ("range", r#"{"key":"YQ==","range_end":"AA=="}"#, 403),
            ("put", r#"{"key":"Yw=="}"#, 200),
            ("put", r#"{"key":"YQ=="}"#, 403),
            ("deleterange", r#"{"key":"Yw==","range_end":"ZA=="}"#, 200),
            ("deleterange", r#"{"key":"Yg==","range_end":"ZA=="}"#, 403),
            ("txn", r#"{"compare":[{"key":"YQ=="}],"failure":[{"request_put":{"key":"Yw=="}}]}"#, 200),
            ("txn", r#"{"compare":[{"key":"eA=="}]}"#, 403),
            ("txn", r#"{"failure":[{"request_put":{"key":"eA=="}}]}"#, 403),
        ] {
            assert_eq!(post_as(s, &ann, &format!("kv/{path}"), body).status, status, "{path} {body}");
        }
    }

    /// The results of etcd's tree of permissions depend on its shape.
    fn v3_119_a_range_that_ends_before_it_begins_may_be_covered(s) {
        let (root, ann) = enable(s);
        for (key, end) in [("YQ==", "ZA=="), ("ZQ==", "Zw=="), ("Yg==", "Yw=="), ("aA==", "AA==")] {
            let grant = format!(r#"{{"name":"reader","perm":{{"key":"{key}","range_end":"{end}"}}}}"#);
            assert_eq!(post_as(s, &root, "auth/role/grant", &grant).status, 200);
        }
        let keys = ["YQ==", "Yg==", "Yw==", "ZA==", "ZQ==", "Zg==", "Zw==", "aA==", "aQ=="];
        let mut seen = String::new();
        for (place, key) in keys.iter().enumerate() {
            for end in &keys[..=place] {
                let range = format!(r#"{{"key":"{key}","range_end":"{end}"}}"#);
                let status = post_as(s, &ann, "kv/range", &range).status;
                seen.push(if status == 200 { 'y' } else { 'n' });
            }
            seen.push(' ');
        }
        assert_eq!(seen, "y yy yyy nnnn nyyyy nyyyyy nnnnnnn nnnnnyyy nnnnnyyyy ");
    }

    fn v3_151_3_5_may_take_a_user_for_what_he_was(s) {
        let (root, ann) = enable(s);
        let call = |s: &mut dyn Subject, path: &str, body: &str| {
            assert_eq!(post_as(s, &root, path, body).status, 200, "{path} {body}");
        };
        call(s, "auth/user/add", r#"{"name":"abe","password":"word"}"#);
        // The one before `ann` in the buffer.
        let change_abe = |s: &mut dyn Subject| call(s, "auth/user/changepw", r#"{"name":"abe","password":"word"}"#);
        let written = Duration::from_millis(250);
        let put = r#"{"key":"YQ=="}"#;
        let is_etcd_3_5 = s.name().starts_with("etcd") && !s.is_3_4();
        let mut has_read_former = false;
        for _ in 0..if is_etcd_3_5 { TRIES } else { 1 } {
            change_abe(s);
            call(s, "auth/user/grant", r#"{"user":"ann","role":"root"}"#);
            s.pass(written);
            call(s, "auth/user/revoke", r#"{"name":"ann","role":"root"}"#);
            s.pass(written);
            assert_refused(&post_as(s, &ann, "kv/put", put), 7, "etcdserver: permission denied");
            change_abe(s);
            has_read_former = post_as(s, &ann, "kv/put", put).status == 200;
            s.pass(written);
            assert_refused(&post_as(s, &ann, "kv/put", put), 7, "etcdserver: permission denied");
            if has_read_former {
                break;
            }
        }
        assert_eq!(has_read_former, is_etcd_3_5);
    }

    /// The transaction that enters the queue of a lock reads its owner as well.
    fn v3_101_a_lock_that_is_refused_leaves_no_key(s) {
        let (root, ann) = enable(s);
        let own_key = r#"{"name":"reader","perm":{"permType":"READWRITE","key":"bC8xZjQ="}}"#;
        assert_eq!(post_as(s, &root, "auth/role/grant", own_key).status, 200);
        call(s, "lease/grant", r#"{"ID":500,"TTL":100}"#);
        let refused = post_as(s, &ann, "lock/lock", r#"{"name":"bA==","lease":500}"#);
        assert_eq!(refused.status, 500);
        assert_refused(&refused, 2, "etcdserver: permission denied");
        let range = post_as(s, &ann, "kv/range", r#"{"key":"bC8xZjQ="}"#).json();
        assert_eq!((range.get("kvs"), &range["header"]["revision"]), (None, &"1".into()));
    }

    /// It enters the queue by a transaction of its key alone.
    fn v3_101_a_campaign_that_may_not_look_for_older_keys_has_no_code_of_its_own(s) {
        let (root, ann) = enable(s);
        let own_key = r#"{"name":"reader","perm":{"permType":"READWRITE","key":"bC8xZjQ="}}"#;
        assert_eq!(post_as(s, &root, "auth/role/grant", own_key).status, 200);
        call(s, "lease/grant", r#"{"ID":500,"TTL":100}"#);
        let refused = post_as(s, &ann, "election/campaign", r#"{"name":"bA==","lease":500}"#);
        assert_eq!(refused.status, 500);
        assert_refused(&refused, 2, "etcdserver: permission denied");
        let range = post_as(s, &ann, "kv/range", r#"{"key":"bC8xZjQ="}"#).json();
        assert_eq!(range["header"]["revision"], "2");
    }

    fn v3_120_leases_and_the_members_are_open(s) {
        enable(s);
        call(s, "lease/grant", r#"{"ID":7,"TTL":100}"#);
        call(s, "lease/leases", "{}");
        call(s, "cluster/member/list", "{}");
        call(s, "maintenance/status", "{}");
        assert_eq!(post(s, "maintenance/alarm", "{}").status, 200);
    }

    fn v3_121_maintenance_is_for_root(s) {
        let (root, ann) = enable(s);
        assert_refused(&post(s, "maintenance/defragment", "{}"), 2, "auth: user name is empty");
        assert_refused(&post_as(s, &ann, "maintenance/defragment", "{}"), 2, "auth: permission denied");
        assert_eq!(post_as(s, &root, "maintenance/defragment", "{}").status, 200);
    }
}
