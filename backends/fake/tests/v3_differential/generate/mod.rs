//! Random histories of requests.

mod auth;
mod spelling;

use std::collections::HashMap;

use fake_harness::{
    Request,
    random::{Random, state_of},
};

/// One step of a history. `@n@` in a body is the last revision less n.
#[derive(Clone, Debug)]
pub(crate) enum Step {
    Request(Request),
    Watch(Request),
    Close(usize),
    /// The time after which the shortest leases have ended.
    Expire,
    /// Removes all that is left, but not the history.
    CleanUp,
}

/// Makes histories from a seed.
pub(crate) struct Generator {
    state: u64,
    /// Whether JSON is spelled in every way that etcd knows.
    is_odd: bool,
    /// Whether a range may have no end.
    has_open_ends: bool,
    /// Whether there are users.
    has_auth: bool,
    /// How many permissions each role was granted.
    grants: HashMap<String, usize>,
}

impl Generator {
    pub(crate) fn new(seed: u64) -> Self {
        Self {
            state: state_of(seed, 0x7633_6469),
            is_odd: seed.is_multiple_of(3),
            has_open_ends: true,
            has_auth: seed.is_multiple_of(2),
            grants: HashMap::new(),
        }
    }

    pub(crate) fn episode(&mut self, length: usize) -> Vec<Step> {
        let mut steps: Vec<Step> = (0..length).map(|_| self.step()).collect();
        // Waiting is dear: once in a while.
        let mut expiry = Vec::new();
        let mut expiry_at = 0;
        if self.chance(12) {
            expiry_at = self.below(length);
            expiry.push(post("/v3/lease/grant", "{\"ID\":90,\"TTL\":1}"));
            // One lease: the order in which leases with equal ends are revoked is not fixed.
            for _ in 0..3 {
                let key = self.key();
                let put = format!("{{\"key\":{key},\"lease\":90}}");
                expiry.push(post("/v3/kv/put", &put));
            }
            expiry.push(Step::Expire);
        }
        if self.has_auth {
            let body = std::mem::take(&mut steps);
            steps = self.begin_auth();
            expiry_at += steps.len();
            for step in body {
                let step = match self.below(12) {
                    0..3 => self.auth(),
                    3 if self.chance(3) => self.maintenance(),
                    _ => step,
                };
                steps.push(self.with_some_token(step));
            }
            steps.extend(Self::end_auth());
            expiry = (expiry.into_iter())
                .map(|step| self.with_some_token(step))
                .collect();
        }
        // Nothing comes between the grant of a short lease and its end.
        steps.splice(expiry_at..expiry_at, expiry);
        let alarm = r#"{"action":"DEACTIVATE","alarm":"NOSPACE"}"#;
        steps.push(post("/v3/maintenance/alarm", alarm));
        steps.push(Step::CleanUp);
        steps
    }

    fn step(&mut self) -> Step {
        let (path, body) = match self.below(100) {
            0..22 => ("/v3/kv/range", self.range(true)),
            22..46 => ("/v3/kv/put", self.put(true)),
            46..54 => ("/v3/kv/deleterange", self.delete()),
            54..74 => ("/v3/kv/txn", self.txn(0)),
            74..76 => ("/v3/kv/compaction", self.compaction()),
            76..86 => self.lease(),
            86..90 => {
                // 3.5 never responds to a watch that it cannot read.
                let is_odd = std::mem::replace(&mut self.is_odd, false);
                let create = self.watch_create();
                self.is_odd = is_odd;
                return Step::Watch(watch(&create));
            }
            90..92 => return Step::Close(self.below(6)),
            92..94 => return self.strange(),
            94..96 => ("/v3/maintenance/hashkv", self.hash()),
            _ => {
                let (path, body) = match self.below(3) {
                    0 => ("/v3/kv/put", self.put(true)),
                    1 => ("/v3/kv/txn", self.txn(0)),
                    _ => ("/v3/kv/deleterange", self.delete()),
                };
                (path, self.mutate(&body))
            }
        };
        post(path, &body)
    }

    fn range(&mut self, may_fail: bool) -> String {
        let mut fields = self.key_and_end();
        if may_fail && self.chance(60) {
            fields.clear();
        }
        if self.chance(3) {
            let limit = self.number(&["0", "1", "2", "3", "5", "-1", "100"]);
            fields.push(("limit", limit));
        }
        if self.chance(3) {
            let revisions = [
                "@0@", "@1@", "@2@", "@5@", "@20@", "0", "1", "-1", "-7", "@-1@",
            ];
            let choice = if may_fail { revisions.len() } else { 4 };
            let revision = self.number(&revisions[..choice]);
            fields.push(("revision", revision));
        }
        if self.chance(3) {
            let order = self.enumeration(&["NONE", "ASCEND", "DESCEND"]);
            fields.push((self.name("sort_order", "sortOrder"), order));
        }
        if self.chance(3) {
            let target = self.enumeration(&["KEY", "VERSION", "CREATE", "MOD", "VALUE"]);
            fields.push((self.name("sort_target", "sortTarget"), target));
        }
        for (name, camel) in [
            ("serializable", "serializable"),
            ("keys_only", "keysOnly"),
            ("count_only", "countOnly"),
        ] {
            if self.chance(6) {
                let truth = ["true", "false", "null"][self.below(if self.is_odd { 3 } else { 2 })];
                fields.push((self.name(name, camel), truth.to_owned()));
            }
        }
        for name in [
            "min_mod_revision",
            "max_mod_revision",
            "min_create_revision",
            "max_create_revision",
        ] {
            if self.chance(10) {
                let bound = self.number(&["@0@", "@1@", "@3@", "@8@", "@15@", "0"]);
                fields.push((name, bound));
            }
        }
        self.object(fields)
    }

    fn put(&mut self, may_ignore: bool) -> String {
        let mut fields = vec![("key", self.key())];
        if may_ignore && self.chance(80) {
            fields.clear();
        }
        if !self.chance(8) {
            fields.push(("value", self.value()));
        }
        if self.chance(4) {
            let lease = self.number(&["1", "2", "3", "-4", "5", "0", "999"]);
            fields.push(("lease", lease));
        }
        if self.chance(4) {
            fields.push((self.name("prev_kv", "prevKv"), "true".to_owned()));
        }
        if may_ignore && self.chance(10) {
            fields.push(("ignore_value", "true".to_owned()));
        }
        if may_ignore && self.chance(10) {
            fields.push(("ignore_lease", "true".to_owned()));
        }
        self.object(fields)
    }

    fn delete(&mut self) -> String {
        let mut fields = self.key_and_end();
        if self.chance(60) {
            fields.remove(0);
        }
        if self.chance(2) {
            fields.push(("prev_kv", "true".to_owned()));
        }
        self.object(fields)
    }

    fn txn(&mut self, depth: usize) -> String {
        let mut fields = Vec::new();
        let compares: Vec<String> = (0..self.below(3)).map(|_| self.compare()).collect();
        fields.push(("compare", format!("[{}]", compares.join(","))));
        for branch in ["success", "failure"] {
            if !self.chance(6) {
                let mut ops: Vec<String> = (0..self.below(4)).map(|_| self.op(depth)).collect();
                if self.chance(80) {
                    ops = vec![self.op(2); 129];
                }
                fields.push((branch, format!("[{}]", ops.join(","))));
            }
        }
        self.object(fields)
    }

    fn op(&mut self, depth: usize) -> String {
        let (name, camel, request) = match self.below(12) {
            0..3 => ("request_range", "requestRange", self.range(true)),
            3..8 => ("request_put", "requestPut", self.put(false)),
            8..10 => {
                // In a transaction, etcd does not see that a deletion up to the end conflicts with a put. The two in one
                // revision, and then a compaction at that revision, are nothing for a real server.
                self.has_open_ends = false;
                let delete = self.delete();
                self.has_open_ends = true;
                ("request_delete_range", "requestDeleteRange", delete)
            }
            10 if depth < 2 => ("request_txn", "requestTxn", self.txn(depth + 1)),
            11 if self.chance(20) => return "{}".to_owned(),
            _ => ("request_range", "requestRange", self.range(false)),
        };
        format!("{{\"{}\":{request}}}", self.name(name, camel))
    }

    fn compare(&mut self) -> String {
        let mut fields = vec![("key", self.key())];
        if self.chance(5) {
            fields.push((self.name("range_end", "rangeEnd"), self.end()));
        }
        if self.chance(40) {
            fields.clear();
        }
        if !self.chance(4) {
            let result = self.enumeration(&["EQUAL", "GREATER", "LESS", "NOT_EQUAL"]);
            fields.push(("result", result));
        }
        let number = |this: &mut Self| this.number(&["0", "1", "2", "3", "@0@", "@2@", "@5@"]);
        let (target, field, value) = match self.below(5) {
            0 => ("VERSION", "version", number(self)),
            1 => ("CREATE", "create_revision", number(self)),
            2 => ("MOD", "mod_revision", number(self)),
            3 => ("VALUE", "value", self.value()),
            _ => ("LEASE", "lease", number(self)),
        };
        if !self.chance(20) {
            fields.push(("target", format!("\"{target}\"")));
        }
        if !self.chance(10) {
            fields.push((field, value));
        }
        self.object(fields)
    }

    fn compaction(&mut self) -> String {
        let revision = self.number(&["@0@", "@3@", "@10@", "@10@", "@30@", "@-1@", "0", "-5"]);
        let mut fields = vec![("revision", revision)];
        // A compaction that is not finished when the next one comes would be seen in the hash.
        fields.push(("physical", "true".to_owned()));
        self.object(fields)
    }

    fn hash(&mut self) -> String {
        let revision = self.number(&["0", "0", "@0@", "@2@", "@9@", "@-1@", "1"]);
        self.object(vec![("revision", revision)])
    }

    fn lease(&mut self) -> (&'static str, String) {
        let id = self.number(&["1", "2", "3", "-4", "5"]);
        match self.below(8) {
            0..3 => {
                // Without an id, each server would choose its own.
                let id = ["1", "2", "\"3\"", "-4", "5"][self.below(5)].to_owned();
                let ttl = self.number(&["60", "100", "1000", "9000000001", "9000000000"]);
                let body = self.object(vec![("ID", id), ("TTL", ttl)]);
                ("/v3/lease/grant", body)
            }
            3 => ("/v3/lease/revoke", self.object(vec![("ID", id)])),
            4 => ("/v3/kv/lease/revoke", self.object(vec![("ID", id)])),
            5 => {
                let keys = ("keys", "true".to_owned());
                ("/v3/lease/timetolive", self.object(vec![("ID", id), keys]))
            }
            6 => ("/v3/lease/leases", "{}".to_owned()),
            _ => {
                let one = self.object(vec![("ID", id)]);
                let end = ["", "{\"ID\":\"3\"}", "{", " x", "null"][self.below(5)];
                ("/v3/lease/keepalive", format!("{one}{end}"))
            }
        }
    }

    fn watch_create(&mut self) -> String {
        let mut fields = self.key_and_end();
        if self.chance(2) {
            let revision = self.number(&["@0@", "@2@", "@6@", "@15@", "@-2@", "@-4@", "1", "-3"]);
            fields.push(("start_revision", revision));
        }
        if self.chance(2) {
            fields.push(("prev_kv", "true".to_owned()));
        }
        if self.chance(4) {
            let filters = ["[\"NOPUT\"]", "[\"NODELETE\"]", "[0,1]", "[]"][self.below(4)];
            fields.push(("filters", filters.to_owned()));
        }
        if self.chance(6) {
            let id = self.number(&["7", "-3", "0"]);
            fields.push(("watch_id", id));
        }
        if self.chance(6) {
            fields.push(("fragment", "true".to_owned()));
        }
        let create = self.object(fields);
        format!("{{\"create_request\":{create}}}")
    }

    /// Paths and methods that etcd does not serve, and bodies that are no requests.
    fn strange(&mut self) -> Step {
        const BODIES: [&str; 12] = [
            "",
            " ",
            "{}",
            "null",
            "[]",
            "5",
            "\"x\"",
            "{\"key\":",
            "{\"key\":\"YQ==\"}x",
            "nul",
            "{\"a\":[{}]}",
            "{\"key\":\"YQ==\",\"key\":\"Yg==\"}",
        ];
        const PATHS: [&str; 9] = [
            "/v3/kv/range",
            "/v3/kv/put",
            "/v3/kv/txn",
            "/v3beta/kv/range",
            "/v3/kv/range/",
            "/v3/kv",
            "/v3/",
            "/v3//kv/range",
            "/v3/nothing",
        ];
        let method = ["POST", "POST", "POST", "GET", "PUT", "OPTIONS"][self.below(6)];
        let body = BODIES[self.below(BODIES.len())];
        let path = PATHS[self.below(PATHS.len())];
        Step::Request(Request::new(method, path).json(body))
    }

    /// Changes a few bytes of a body, but leaves the names of fields that a real server must not find broken alone.
    fn mutate(&mut self, body: &str) -> String {
        const BYTES: &[u8] = b"{}[]\":,0123456789-+.eEtfnul \\/xYQ=_";
        if body.contains("ort_") || body.contains("ortT") || body.contains("ortO") {
            return body.to_owned();
        }
        let mut bytes = body.as_bytes().to_vec();
        for _ in 0..=self.below(3) {
            if bytes.is_empty() {
                break;
            }
            let at = self.below(bytes.len());
            let new = BYTES[self.below(BYTES.len())];
            match self.below(4) {
                0 => drop(bytes.remove(at)),
                1 => bytes.insert(at, new),
                2 => bytes.truncate(at),
                _ => bytes[at] = new,
            }
        }
        String::from_utf8_lossy(&bytes).into_owned()
    }
}

impl Random for Generator {
    fn state(&mut self) -> &mut u64 {
        &mut self.state
    }
}

fn post(path: &str, body: &str) -> Step {
    let request = Request::new("POST", path).json(body);
    if path.ends_with("/keepalive") {
        // On a connection that is kept, Go throws away what it has not read of the body once it responds.
        return Step::Request(request.header("Connection", "close"));
    }
    Step::Request(request)
}

fn watch(body: &str) -> Request {
    Request::new("POST", "/v3/watch").json(body)
}
