//! Auth: V2-160 to V2-168.

use crate::{Request, Response, Subject, assert_body, assert_error, get, put, rules};

const DENIED: &str = "{\"message\":\"Insufficient credentials\"}";

fn user(s: &mut dyn Subject, name: &str, rest: &str) -> Response {
    let json = format!("{{\"user\":\"{name}\"{rest}}}");
    s.ask(&Request::new("PUT", &format!("/v2/auth/users/{name}")).json(&json))
}

fn role(s: &mut dyn Subject, name: &str, rest: &str) -> Response {
    let json = format!("{{\"role\":\"{name}\"{rest}}}");
    s.ask(&Request::new("PUT", &format!("/v2/auth/roles/{name}")).json(&json))
}

fn enable(s: &mut dyn Subject) {
    user(s, "root", ",\"password\":\"pw\"");
    assert_eq!(s.ask(&Request::new("PUT", "/v2/auth/enable")).status, 200);
}

fn as_root(request: Request) -> Request {
    request.basic("root", "pw")
}

fn message(text: &str) -> String {
    format!("{{\"message\":\"{text}\"}}")
}

rules! {
    fn v2_160_without_sufficient_credentials_all_is_401(s) {
        enable(s);
        let no = as_root(Request::new("DELETE", "/v2/auth/roles/guest"));
        assert_eq!(s.ask(&no).status, 200);
        let key = || Request::new("GET", "/v2/keys/a");
        for request in [
            key(),
            key().basic("root", "wrong"),
            key().basic("nobody", "pw"),
            key().header("Authorization", "Bearer x"),
            key().header("Authorization", "Basic ?"),
        ] {
            assert_error(&s.ask(&request), 401, 110, Some("Insufficient credentials"), 0);
        }
        let reply = s.ask(&Request::new("GET", "/v2/auth/users"));
        assert_body(&reply, 401, DENIED);
        assert_eq!(reply.header("x-etcd-cluster-id"), None);
        let reply = s.ask(&Request::new("POST", "/v2/members").json("{}"));
        assert_body(&reply, 401, DENIED);
        assert_eq!(s.ask(&Request::new("GET", "/v2/members")).status, 200);
        assert_eq!(s.ask(&as_root(key())).status, 404);
        // Parsing comes first.
        assert_eq!(get(s, "/a?wait=x").status, 400);
    }

    fn v2_161_a_request_without_credentials_is_the_guests(s) {
        enable(s);
        let reply = s.ask(&as_root(Request::new("GET", "/v2/auth/roles/guest")));
        assert_body(&reply, 200, "{\"role\":\"guest\",\"permissions\":{\"kv\":{\"read\":[\"/*\"],\"write\":[\"/*\"]}}}\n");
        assert_eq!(put(s, "/a", "value=x").status, 201);
        let reply = role(s, "guest", "");
        assert_eq!(reply.status, 401, "the guest is not root");
        let reply = s.ask(&as_root(Request::new("PUT", "/v2/auth/roles/guest")
            .json(r#"{"role":"guest","revoke":{"kv":{"read":[],"write":["/*"]}}}"#)));
        assert_eq!(reply.status, 200);
        assert_eq!((put(s, "/a", "value=x").status, get(s, "/a").status), (401, 200));
    }

    fn v2_162_auth_is_enabled_and_disabled(s) {
        let request = |method: &str| Request::new(method, "/v2/auth/enable");
        let reply = s.ask(&request("PUT"));
        assert_body(&reply, 409, &message("auth: No root user available, please create one"));
        assert_body(&s.ask(&request("GET")), 200, "{\"enabled\":false}\n");
        assert_body(&s.ask(&request("DELETE")), 409, &message("auth: already disabled"));
        enable(s);
        assert_body(&s.ask(&request("GET")), 200, "{\"enabled\":true}\n");
        assert_body(&s.ask(&request("PUT")), 401, DENIED);
        assert_body(&s.ask(&as_root(request("PUT"))), 409, &message("auth: already enabled"));
        assert_body(&s.ask(&as_root(request("DELETE"))), 200, "");
        assert_body(&s.ask(&request("GET")), 200, "{\"enabled\":false}\n");
    }

    fn v2_163_users(s) {
        let reply = user(s, "bob", "");
        assert_body(&reply, 400, &message("auth: Cannot create user bob with an empty password"));
        assert_body(&user(s, "bob", ",\"password\":\"x\""), 201, "{\"user\":\"bob\",\"roles\":null}\n");
        assert_body(&user(s, "bob", ",\"password\":\"y\""), 200, "{\"user\":\"bob\",\"roles\":[]}\n");
        let reply = user(s, "bob", "");
        let text = "auth: User not updated. Use grant/revoke/password to update the user.";
        assert_body(&reply, 400, &message(text));
        let reply = user(s, "bob", ",\"password\":\"x\",\"roles\":[\"r\"]");
        assert_body(&reply, 409, &message("auth: User bob already exists."));
        let reply = user(s, "eve", ",\"password\":\"x\",\"roles\":[\"r\"]");
        assert_body(&reply, 200, "{\"user\":\"eve\",\"roles\":[\"r\"]}\n");
        let grant = ",\"grant\":[\"r2\",\"r1\"]";
        assert_body(&user(s, "bob", grant), 200, "{\"user\":\"bob\",\"roles\":[\"r1\",\"r2\"]}\n");
        assert_body(&user(s, "bob", grant), 409, &message("auth: Granting duplicate role r2 for user bob"));
        let reply = user(s, "bob", ",\"revoke\":[\"r3\"]");
        assert_body(&reply, 409, &message("auth: Revoking ungranted role r3 for user bob"));
        let reply = user(s, "bob", ",\"roles\":[\"r\"],\"grant\":[\"s\"]");
        assert_body(&reply, 400, &message("User JSON contains both roles and grant/revoke"));
        let reply = user(s, "none", ",\"grant\":[\"r\"]");
        assert_body(&reply, 404, &message("auth: User none does not exist."));
        let other = Request::new("PUT", "/v2/auth/users/bob").json("{\"user\":\"eve\"}");
        assert_body(&s.ask(&other), 400, &message("User JSON name does not match the name in the URL"));
        let bad = Request::new("PUT", "/v2/auth/users/bob").json("{");
        assert_body(&s.ask(&bad), 400, &message("Invalid JSON in request body."));
        let gone = Request::new("DELETE", "/v2/auth/users/bob");
        assert_body(&s.ask(&gone), 200, "");
        assert_body(&s.ask(&gone), 404, &message("auth: User bob does not exist"));
    }

    fn v2_164_a_user_is_shown_with_its_roles(s) {
        assert_body(&s.ask(&Request::new("GET", "/v2/auth/users")), 200, "{\"users\":null}\n");
        role(s, "r1", ",\"permissions\":{\"kv\":{\"read\":[\"/a\"],\"write\":[]}}");
        user(s, "bob", ",\"password\":\"x\",\"roles\":[\"r1\"]");
        let bob = "{\"user\":\"bob\",\"roles\":[{\"role\":\"r1\",\"permissions\":{\"kv\":{\"read\":[\"/a\"],\
            \"write\":[]}}}]}";
        assert_body(&s.ask(&Request::new("GET", "/v2/auth/users/bob")), 200, &format!("{bob}\n"));
        let reply = s.ask(&Request::new("GET", "/v2/auth/users"));
        assert_body(&reply, 200, &format!("{{\"users\":[{bob}]}}\n"));
        user(s, "bob", ",\"grant\":[\"none\"]");
        let reply = s.ask(&Request::new("GET", "/v2/auth/users/bob"));
        assert_body(&reply, 404, &message("auth: Role none does not exist."));
    }

    fn v2_165_roles(s) {
        let root = "{\"role\":\"root\",\"permissions\":{\"kv\":{\"read\":[\"/*\"],\"write\":[\"/*\"]}}}";
        let reply = s.ask(&Request::new("GET", "/v2/auth/roles"));
        assert_body(&reply, 200, &format!("{{\"roles\":[{root}]}}\n"));
        let empty = "{\"role\":\"r\",\"permissions\":{\"kv\":{\"read\":null,\"write\":null}}}\n";
        assert_body(&role(s, "r", ""), 201, empty);
        assert_body(&role(s, "r", ""), 409, &message("auth: Role r already exists."));
        let grant = ",\"grant\":{\"kv\":{\"read\":[\"/a\"],\"write\":[\"/b\"]}}";
        let granted = "{\"role\":\"r\",\"permissions\":{\"kv\":{\"read\":[\"/a\"],\"write\":[\"/b\"]}}}\n";
        assert_body(&role(s, "r", grant), 200, granted);
        assert_body(&role(s, "r", grant), 409, &message("auth: Granting duplicate read permission /a"));
        let reply = role(s, "r", ",\"revoke\":{\"kv\":{\"read\":[\"/x\"]}}");
        let text = "auth: Role not updated. Use grant/revoke to update the role.";
        assert_body(&reply, 400, &message(text));
        let reply = role(s, "root", grant);
        assert_body(&reply, 403, &message("auth: Cannot modify role root: is root role."));
        assert_body(&s.ask(&Request::new("DELETE", "/v2/auth/roles/r")), 200, "");
        let reply = s.ask(&Request::new("DELETE", "/v2/auth/roles/r"));
        assert_body(&reply, 404, &message("auth: Role r doesn't exist."));
        let reply = s.ask(&Request::new("HEAD", "/v2/auth/roles/r"));
        assert_eq!((reply.status, reply.header("allow")), (405, Some("GET,PUT,DELETE")));
    }

    fn v2_166_a_recursive_access_needs_a_pattern_for_the_path_as_written(s) {
        role(s, "r", ",\"permissions\":{\"kv\":{\"read\":[\"/rr/*\",\"/exact\"],\"write\":[\"/exact\"]}}");
        user(s, "bob", ",\"password\":\"x\",\"roles\":[\"r\"]");
        enable(s);
        let mut status = |method: &str, target: &str| {
            let request = Request::new(method, &format!("/v2/keys{target}"));
            s.ask(&request.basic("bob", "x")).status
        };
        assert_eq!(status("GET", "/rr/?recursive=true"), 404);
        assert_eq!(status("GET", "/rr?recursive=true"), 401);
        assert_eq!(status("GET", "/rr/a"), 404);
        assert_eq!(status("PUT", "/rr/a"), 401);
        assert_eq!(status("PUT", "/exact"), 201);
        assert_eq!(status("GET", "/exact?recursive=true"), 401);
        assert_eq!(status("GET", "/exact/"), 401);
    }

    fn v2_167_the_first_write_of_auth_takes_five_indexes(s) {
        user(s, "bob", ",\"password\":\"x\"");
        assert_eq!(get(s, "").index(), 8);
        role(s, "r", "");
        assert_eq!(get(s, "").index(), 9);
        assert_eq!(get(s, "/?recursive=true").text(), "{\"action\":\"get\",\"node\":{\"dir\":true}}\n");
    }

    fn v2_168_root_cannot_be_deleted_while_auth_is_on(s) {
        enable(s);
        let reply = s.ask(&as_root(Request::new("DELETE", "/v2/auth/users/root")));
        assert_body(&reply, 403, &message("auth: Cannot delete root user while auth is enabled."));
    }
}
