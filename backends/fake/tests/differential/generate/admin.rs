//! Members, statistics, and auth.

use fake_harness::{Request, random::Random};

use super::Generator;

impl Generator {
    pub(super) fn other(&mut self) -> Request {
        let method = [
            "GET", "GET", "GET", "HEAD", "PUT", "POST", "DELETE", "PATCH",
        ][self.below(8)];
        const PATHS: [&str; 17] = [
            "/v2/stats/store",
            "/v2/stats/store",
            "/v2/stats/store",
            "/version",
            "/health",
            "/v2/machines",
            "/v2/machines/",
            "/v2/members",
            "/v2/members/",
            "/v2/members/leader",
            "/v2/members/zz",
            "/v2/members/12",
            "/v2/stats/store",
            "/v2/stats/nope",
            "/v2/stats/store/",
            "/v2/members/a/b",
            "/v2/members/ffffffffffffffffff",
        ];
        let request = Request::new(method, PATHS[self.below(17)]);
        if method == "GET" || method == "HEAD" {
            return request;
        }
        match self.below(5) {
            0 => request.json("{\"peerURLs\":[\"ftp://a:1\"]}"),
            1 => request.json(""),
            2 => request.json("{\"peerURLs\":[]}"),
            3 => request.form("a=b"),
            _ => request,
        }
    }

    pub(super) fn enable_auth(&mut self) -> Vec<Request> {
        let user = |name: &str, body: &str| {
            Request::new("PUT", &format!("/v2/auth/users/{name}")).json(body)
        };
        let role = |name: &str, body: &str| {
            Request::new("PUT", &format!("/v2/auth/roles/{name}")).json(body)
        };
        vec![
            user("root", r#"{"user":"root","password":"pw"}"#),
            user("u1", r#"{"user":"u1","password":"pw","roles":["r1"]}"#),
            role(
                "r1",
                r#"{"role":"r1","permissions":{"kv":{"read":["/a*"],"write":["/a/*","/b"]}}}"#,
            ),
            Request::new("PUT", "/v2/auth/enable"),
        ]
    }

    /// Names are few, so that requests meet; the password is always the same.
    pub(super) fn auth_request(&mut self) -> Request {
        let name = ["root", "u1", "u2", "r1", "r2", "guest", "_h"][self.below(7)];
        let other = ["root", "r1", "r2", "none"][self.below(4)];
        let kind = ["users", "roles"][self.below(2)];
        let pattern = ["/*", "/a*", "/a/b", "/b"][self.below(4)];
        let path = format!("/v2/auth/{kind}/{name}");
        let request = match self.below(16) {
            0 => Request::new("GET", &format!("/v2/auth/{kind}")),
            1..4 => Request::new("GET", &path),
            4 => Request::new("DELETE", &path),
            5 if !self.auth => Request::new("GET", "/v2/auth/enable"),
            5 => {
                let method = ["GET", "PUT", "DELETE", "POST", "HEAD"][self.below(5)];
                Request::new(method, "/v2/auth/enable")
            }
            6 => Request::new(["PATCH", "POST", "HEAD"][self.below(3)], &path),
            7 => Request::new("PUT", &path)
                .json(["{", "[]", "null", "{\"user\":1}", ""][self.below(5)]),
            8 => Request::new("GET", &format!("{path}/more")),
            _ if kind == "users" => {
                let mut fields = vec![format!("\"user\":\"{name}\"")];
                if self.chance(2) {
                    fields.push("\"password\":\"pw\"".to_owned());
                }
                if self.chance(3) {
                    fields.push(format!("\"roles\":[\"{other}\"]"));
                }
                if self.chance(3) {
                    fields.push(format!("\"grant\":[\"{other}\"]"));
                }
                if self.chance(4) {
                    fields.push(format!("\"revoke\":[\"{other}\"]"));
                }
                Request::new("PUT", &path).json(&format!("{{{}}}", fields.join(",")))
            }
            _ => {
                let kv = format!("{{\"kv\":{{\"read\":[\"{pattern}\"],\"write\":[]}}}}");
                let mut fields = vec![format!("\"role\":\"{name}\"")];
                for field in ["permissions", "grant", "revoke"] {
                    if self.chance(3) {
                        fields.push(format!("\"{field}\":{kv}"));
                    }
                }
                Request::new("PUT", &path).json(&format!("{{{}}}", fields.join(",")))
            }
        };
        self.maybe_credentials(request)
    }
}
