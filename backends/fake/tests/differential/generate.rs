use crate::support::Ask;

/// One step of a history.
#[derive(Clone, Debug)]
pub(crate) enum Step {
    Ask(Ask),
    /// The same, with `LATEST` and the like replaced by indexes.
    AskAtLatest(Ask),
    /// As above.
    Watch(Ask),
    Close(usize),
    /// Keys with a second to live, and the time it takes for them to go.
    Expire(Vec<Ask>),
}

impl Step {
    pub(crate) fn requests(&self) -> u64 {
        match self {
            Self::Ask(_) | Self::Watch(_) => 1,
            // One to learn the index.
            Self::AskAtLatest(_) => 2,
            Self::Close(_) => 0,
            Self::Expire(asks) => asks.len() as u64,
        }
    }
}

/// Makes histories from a seed.
pub(crate) struct Generator {
    state: u64,
    auth: bool,
}

impl Generator {
    pub(crate) fn new(seed: u64) -> Self {
        Self {
            state: seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ 0x6469_6666,
            // A password costs a real server a twentieth of a second.
            auth: seed.is_multiple_of(25),
        }
    }

    pub(crate) fn episode(&mut self, length: usize) -> Vec<Step> {
        let mut steps = Vec::with_capacity(length);
        let length = if self.auth { length / 4 } else { length };
        if self.auth {
            steps.extend(self.enable_auth().into_iter().map(Step::Ask));
        }
        while steps.len() < length {
            let step = self.step();
            steps.push(step);
        }
        // Waiting is dear: once in a while.
        if self.chance(8) {
            let at = self.below(steps.len());
            let asks = (0..2 + self.below(6)).map(|_| self.short_lived()).collect();
            steps.insert(at, Step::Expire(asks));
        }
        steps
    }

    fn step(&mut self) -> Step {
        match self.below(100) {
            0..22 => Step::Ask(self.read()),
            22..70 => {
                let write = self.write();
                self.maybe_indexed(write)
            }
            70..78 => Step::Watch(self.watch()),
            78..82 => Step::Close(self.below(8)),
            82..88 => Step::Ask(self.malformed()),
            88..92 => Step::Ask(self.strange_path()),
            92..95 => Step::Ask(self.other()),
            _ if self.auth || self.chance(8) => Step::Ask(self.auth_request()),
            _ => Step::Ask(self.read()),
        }
    }

    fn maybe_indexed(&mut self, ask: Ask) -> Step {
        if ask.target.contains("LATEST") || ask.target.contains("RECENT") {
            Step::AskAtLatest(ask)
        } else {
            Step::Ask(ask)
        }
    }

    fn read(&mut self) -> Ask {
        let method = if self.chance(8) { "HEAD" } else { "GET" };
        let mut query = Vec::new();
        if self.chance(3) {
            query.push(format!("recursive={}", self.truth()));
        }
        if !self.chance(4) {
            query.push("sorted=true".to_owned());
        }
        if self.chance(10) {
            query.push(format!("quorum={}", self.truth()));
        }
        if self.chance(30) {
            query.push("unknown=1".to_owned());
        }
        if self.chance(40) {
            query.push("waitIndex=3".to_owned());
        }
        let path = if self.chance(12) {
            "/".to_owned()
        } else {
            self.path()
        };
        let ask = Ask::new(method, &with_query(&path, &query));
        self.maybe_credentials(ask)
    }

    fn write(&mut self) -> Ask {
        let method = match self.below(10) {
            0..6 => "PUT",
            6..7 => "POST",
            _ => "DELETE",
        };
        let mut parameters = Vec::new();
        if method != "DELETE" {
            if self.below(10) < 8 {
                let value = self.value();
                parameters.push(format!("value={value}"));
            }
            self.push_ttl(&mut parameters);
        }
        if self.chance(5) {
            parameters.push(format!("dir={}", self.truth()));
        }
        if self.chance(4) {
            parameters.push(format!("prevExist={}", self.truth()));
        }
        if self.chance(6) {
            let value = self.value();
            let value = if value.is_empty() {
                "v1".to_owned()
            } else {
                value
            };
            parameters.push(format!("prevValue={value}"));
        }
        if self.chance(10) {
            parameters.push(format!("recursive={}", self.truth()));
        }
        if self.chance(12) {
            parameters.push(format!("noValueOnSuccess={}", self.truth()));
        }
        if self.chance(25) {
            parameters.push("value=second".to_owned());
        }
        let mut query = Vec::new();
        if self.chance(8) {
            let index = ["LATEST", "LATEST", "RECENT", "0", "1"][self.below(5)];
            query.push(format!("prevIndex={index}"));
        }
        let (path, form) = (self.path(), parameters.join("&"));
        let ask = if method == "DELETE" || self.chance(4) {
            query.extend(parameters);
            let ask = Ask::new(method, &with_query(&path, &query));
            if self.chance(6) {
                ask.form("prevValue=unread")
            } else {
                ask
            }
        } else {
            let ask = Ask::new(method, &with_query(&path, &query));
            match self.below(30) {
                0 => ask.json(&form),
                1 => {
                    let mut ask = ask;
                    ask.body = form.into_bytes();
                    ask
                }
                2 => {
                    let kind = "Application/x-www-form-URLencoded ; charset=utf-8";
                    let mut ask = ask.header("Content-Type", kind);
                    ask.body = form.into_bytes();
                    ask
                }
                _ => ask.form(&form),
            }
        };
        self.maybe_credentials(ask)
    }

    /// Long times to live, and times so long that they mean something else: those only where they mean «for ever».
    fn push_ttl(&mut self, parameters: &mut Vec<String>) {
        match self.below(24) {
            0..3 => parameters.push(format!("ttl={}", [5_000, 10_000, 86_400][self.below(3)])),
            3 => parameters.push("ttl=".to_owned()),
            4..6 => {
                parameters.retain(|parameter| !parameter.starts_with("value"));
                parameters.push("ttl=7000".to_owned());
                parameters.push(format!("refresh={}", self.truth()));
            }
            6 => {
                parameters.push("refresh=true".to_owned());
            }
            7 => {
                // `prevExist=false` comes first and makes it a create, whatever else is said.
                parameters.push("prevExist=false".to_owned());
                let seconds = ["9300000000", "99999999999"][self.below(2)];
                parameters.push(format!("ttl={seconds}"));
            }
            _ => {}
        }
    }

    fn short_lived(&mut self) -> Ask {
        let mut parameters = vec!["ttl=1".to_owned()];
        if self.chance(3) {
            parameters.push("dir=true".to_owned());
        } else {
            let value = self.value();
            parameters.push(format!("value={value}"));
        }
        let path = self.path();
        Ask::new("PUT", &format!("/v2/keys{path}")).form(&parameters.join("&"))
    }

    fn watch(&mut self) -> Ask {
        let mut query = vec!["wait=true".to_owned()];
        if self.chance(2) {
            query.push(format!("recursive={}", self.truth()));
        }
        if self.chance(5) {
            query.push(format!("stream={}", self.truth()));
        }
        if self.chance(4) {
            let index = ["LATEST", "RECENT", "RECENT", "DISTANT", "5"][self.below(5)];
            query.push(format!("waitIndex={index}"));
        }
        if self.chance(20) {
            query.push("quorum=true".to_owned());
        }
        let path = if self.chance(6) {
            "/".to_owned()
        } else {
            self.path()
        };
        Ask::new("GET", &with_query(&path, &query))
    }

    fn malformed(&mut self) -> Ask {
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
        // A watch that is opened by mistake would never answer.
        if method == "GET" {
            parameters.push("quorum=1".to_owned());
            parameters.retain(|parameter| !parameter.starts_with("wait=T"));
        }
        let path = self.path();
        if self.chance(2) || matches!(method, "GET" | "HEAD" | "DELETE") {
            return Ask::new(method, &with_query(&path, &parameters));
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
        let mut ask = Ask::new(method, &format!("/v2/keys{path}")).header("Content-Type", kind);
        ask.body = parameters.join("&").into_bytes();
        ask
    }

    fn strange_path(&mut self) -> Ask {
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
        let ask = Ask::new(method, PATHS[self.below(34)]);
        if method == "PUT" {
            ask.form("value=x")
        } else {
            ask
        }
    }

    fn other(&mut self) -> Ask {
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
        let ask = Ask::new(method, PATHS[self.below(17)]);
        if method == "GET" || method == "HEAD" {
            return ask;
        }
        match self.below(5) {
            0 => ask.json("{\"peerURLs\":[\"ftp://a:1\"]}"),
            1 => ask.json(""),
            2 => ask.json("{\"peerURLs\":[]}"),
            3 => ask.form("a=b"),
            _ => ask,
        }
    }

    fn enable_auth(&mut self) -> Vec<Ask> {
        let user =
            |name: &str, body: &str| Ask::new("PUT", &format!("/v2/auth/users/{name}")).json(body);
        let role =
            |name: &str, body: &str| Ask::new("PUT", &format!("/v2/auth/roles/{name}")).json(body);
        vec![
            user("root", r#"{"user":"root","password":"pw"}"#),
            user("u1", r#"{"user":"u1","password":"pw","roles":["r1"]}"#),
            role(
                "r1",
                r#"{"role":"r1","permissions":{"kv":{"read":["/a*"],"write":["/a/*","/b"]}}}"#,
            ),
            Ask::new("PUT", "/v2/auth/enable"),
        ]
    }

    /// Names are few, so that requests meet; the password is always the same.
    fn auth_request(&mut self) -> Ask {
        let name = ["root", "u1", "u2", "r1", "r2", "guest", "_h"][self.below(7)];
        let other = ["root", "r1", "r2", "none"][self.below(4)];
        let kind = ["users", "roles"][self.below(2)];
        let pattern = ["/*", "/a*", "/a/b", "/b"][self.below(4)];
        let path = format!("/v2/auth/{kind}/{name}");
        let ask = match self.below(16) {
            0 => Ask::new("GET", &format!("/v2/auth/{kind}")),
            1..4 => Ask::new("GET", &path),
            4 => Ask::new("DELETE", &path),
            5 if !self.auth => Ask::new("GET", "/v2/auth/enable"),
            5 => {
                let method = ["GET", "PUT", "DELETE", "POST", "HEAD"][self.below(5)];
                Ask::new(method, "/v2/auth/enable")
            }
            6 => Ask::new(["PATCH", "POST", "HEAD"][self.below(3)], &path),
            7 => {
                Ask::new("PUT", &path).json(["{", "[]", "null", "{\"user\":1}", ""][self.below(5)])
            }
            8 => Ask::new("GET", &format!("{path}/more")),
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
                Ask::new("PUT", &path).json(&format!("{{{}}}", fields.join(",")))
            }
            _ => {
                let kv = format!("{{\"kv\":{{\"read\":[\"{pattern}\"],\"write\":[]}}}}");
                let mut fields = vec![format!("\"role\":\"{name}\"")];
                for field in ["permissions", "grant", "revoke"] {
                    if self.chance(3) {
                        fields.push(format!("\"{field}\":{kv}"));
                    }
                }
                Ask::new("PUT", &path).json(&format!("{{{}}}", fields.join(",")))
            }
        };
        self.maybe_credentials(ask)
    }

    fn maybe_credentials(&mut self, ask: Ask) -> Ask {
        if !self.auth {
            return ask;
        }
        match self.below(12) {
            0..5 => ask.basic("root", "pw"),
            5..8 => ask.basic("u1", "pw"),
            8 => ask.basic("u1", "wrong"),
            9 => ask.header("Authorization", "Bearer x"),
            _ => ask,
        }
    }

    /// Without its namespace, encoded. Few segments, so that keys meet.
    fn path(&mut self) -> String {
        const SEGMENTS: [&str; 8] = ["a", "b", "c", "a", "_h", "%c3%a9", "d%20e", "%3c%26%22%5c"];
        let depth = 1 + self.below(4).min(self.below(4));
        let mut path = String::new();
        for _ in 0..depth {
            path.push('/');
            let choice = if self.chance(3) { 8 } else { 3 };
            path.push_str(SEGMENTS[self.below(choice)]);
        }
        if self.chance(25) {
            path.push('/');
        }
        path
    }

    fn value(&mut self) -> String {
        const VALUES: [&str; 10] = [
            "",
            "v1",
            "v1",
            "v2",
            "%3Ca+href%3D%22x%22%3E%26",
            "%e2%80%a8%08%0c%0a%09%00%7f",
            "%ff%c3%28",
            "%f0%9f%98%80",
            "%5c%22%2f",
            "1",
        ];
        if self.chance(60) {
            return "x".repeat(1500 + self.below(1200));
        }
        VALUES[self.below(10)].to_owned()
    }

    fn truth(&mut self) -> &'static str {
        [
            "true", "true", "true", "1", "t", "T", "TRUE", "True", "false", "0", "F",
        ][self.below(11)]
    }

    fn chance(&mut self, one_in: usize) -> bool {
        self.below(one_in) == 0
    }

    fn below(&mut self, bound: usize) -> usize {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.state;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((u128::from(z ^ (z >> 31)) * bound as u128) >> 64) as usize
    }
}

fn with_query(path: &str, query: &[String]) -> String {
    let mark = if query.is_empty() { "" } else { "?" };
    format!("/v2/keys{path}{mark}{}", query.join("&"))
}
