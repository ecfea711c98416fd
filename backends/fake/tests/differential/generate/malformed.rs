//! Requests that etcd refuses, redirects or reads in its own way.

use fake_harness::{Request, random::Random};

use super::{Generator, with_query};

impl Generator {
    pub(super) fn malformed(&mut self) -> Request {
        const NAMES: [&str; 14] = [
            "prevIndex",
            "waitIndex",
            "recursive",
            "sorted",
            "wait",
            "dir",
            "quorum",
            "stream",
            "prevValue",
            "noValueOnSuccess",
            "ttl",
            "prevExist",
            "refresh",
            "value",
        ];
        const VALUES: [&str; 16] = [
            "",
            "x",
            "-1",
            "+1",
            "1.5",
            "yes",
            "TRUE",
            "tRue",
            "18446744073709551616",
            "%zz",
            "%4",
            "1;2",
            "1_0",
            "%20",
            "0x1",
            "%22%5c%0a%e2%82",
        ];
        let method = ["GET", "PUT", "POST", "DELETE", "HEAD"][self.below(5)];
        let count = 1 + self.below(3);
        let mut parameters: Vec<String> = (0..count)
            .map(|_| {
                let (name, value) = (NAMES[self.below(14)], VALUES[self.below(16)]);
                if self.chance(12) {
                    name.to_owned()
                } else {
                    format!("{name}={value}")
                }
            })
            .collect();
        // A watch that is opened by mistake would never respond.
        if method == "GET" {
            parameters.push("quorum=1".to_owned());
            parameters.retain(|parameter| !parameter.starts_with("wait=T"));
        }
        let path = self.path();
        if self.chance(2) || matches!(method, "GET" | "HEAD" | "DELETE") {
            return Request::new(method, &with_query(&path, &parameters));
        }
        let kinds = [
            "application/x-www-form-urlencoded",
            "application/x-www-form-urlencoded; charset",
            "application/x-www-form-urlencoded;",
            "application/x-www-form-urlencoded; a=b; a=c",
            "text",
            "te xt/plain",
            "/plain",
            "text/",
            "a/b c",
            ";",
        ];
        let choice = if self.chance(3) { kinds.len() } else { 1 };
        let kind = kinds[self.below(choice)];
        let mut request =
            Request::new(method, &format!("/v2/keys{path}")).header("Content-Type", kind);
        request.body = parameters.join("&").into_bytes();
        request
    }

    pub(super) fn strange_path(&mut self) -> Request {
        const PATHS: [&str; 34] = [
            "/v2/keys//a",
            "/v2/keys/a//b",
            "/v2/keys/a/./b",
            "/v2/keys/a/../b",
            "/v2/keys/%2e%2e/members",
            "/v2/keys/a%2f%2fb",
            "/v2/keys/a%2Fb",
            "/v2/keys/%zz",
            "/v2/keys/%",
            "/v2/keys/a/",
            "/v2/keys/a/b/",
            "/v2/keysfoo",
            "/v2/keys",
            "/v2",
            "/v2/",
            "/",
            "/nope",
            "/v2/keys/...",
            "/v2/keys/a+b",
            "/v2/keys/a%20b",
            "/v2/keys/%00",
            "/v2/keys/a%0d%0ab",
            "/v2/keys/%ff%fe",
            "/v2/keys/%e2%82%ac",
            "/v2/keys/a;b",
            "/v2/keys/a&b=c",
            "/v2/keys/%2520",
            "/v2/keys/a%3fb",
            "/v2/keys/a//b?x=%zz&y='z'&&",
            "/v2/keys//%3c%26%27!*()",
            "/v2/keys/%c3%a9//x",
            "/v3",
            "/v2/auth/",
            "/v2/keys/%E2%80%A8",
        ];
        const METHODS: [&str; 8] = [
            "GET", "PUT", "POST", "DELETE", "HEAD", "OPTIONS", "PATCH", "TRACE",
        ];
        let method = METHODS[self.below(8)];
        let request = Request::new(method, PATHS[self.below(34)]);
        if method == "PUT" {
            request.form("value=x")
        } else {
            request
        }
    }
}
