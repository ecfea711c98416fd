//! Users, roles and tokens.

use fake_harness::{Request, random::Random};

use super::{Generator, Step, post};

const USERS: [&str; 4] = ["u1", "u2", "u3", "nobody"];
/// How many permissions a role is granted in an episode: etcd sorts up to twelve in a stable order.
const PERMISSIONS: usize = 12;
const ROLES: [&str; 4] = ["r1", "r2", "root", "nothing"];

impl Generator {
    /// Users, roles and their first tokens, at the beginning of an episode.
    pub(super) fn begin_auth(&mut self) -> Vec<Step> {
        let mut steps = vec![
            post(
                "/v3/auth/user/add",
                r#"{"name":"root","password":"secret"}"#,
            ),
            post("/v3/auth/user/grant", r#"{"user":"root","role":"root"}"#),
        ];
        for user in ["u1", "u2"] {
            let add = format!(r#"{{"name":"{user}","password":"{user}"}}"#);
            steps.push(post("/v3/auth/user/add", &add));
        }
        for (role, user) in [("r1", "u1"), ("r2", "u2")] {
            steps.push(post(
                "/v3/auth/role/add",
                &format!(r#"{{"name":"{role}"}}"#),
            ));
            let grant = format!(r#"{{"user":"{user}","role":"{role}"}}"#);
            steps.push(post("/v3/auth/user/grant", &grant));
            for _ in 0..6 {
                let grant = self.permission(role);
                steps.push(post("/v3/auth/role/grant", &grant));
            }
        }
        steps.push(post("/v3/auth/enable", "{}"));
        for (user, password) in [("root", "secret"), ("u1", "u1"), ("u2", "u2")] {
            steps.push(authenticate(user, password));
        }
        steps
    }

    /// Disables auth, and removes all users and roles.
    pub(super) fn end_auth() -> Vec<Step> {
        let mut steps = vec![
            authenticate("root", "secret"),
            with_token(post("/v3/auth/disable", "{}"), "root"),
        ];
        for user in ["root", "u1", "u2", "u3"] {
            let delete = format!(r#"{{"name":"{user}"}}"#);
            steps.push(post("/v3/auth/user/delete", &delete));
        }
        for role in ["r1", "r2", "root", "nothing"] {
            let delete = format!(r#"{{"role":"{role}"}}"#);
            steps.push(post("/v3/auth/role/delete", &delete));
        }
        steps
    }

    /// A call of auth.
    pub(super) fn auth(&mut self) -> Step {
        let user = USERS[self.below(USERS.len())];
        let role = ROLES[self.below(ROLES.len())];
        let (path, body) = match self.below(20) {
            0..4 => {
                let right = if user == "nobody" { "x" } else { user };
                let password = [right, right, right, "wrong", ""][self.below(5)];
                return authenticate(user, password);
            }
            4 => return authenticate("root", ["secret", "wrong"][self.below(2)]),
            5 => {
                let options = ["", r#","options":{"no_password":true}"#][self.below(2)];
                (
                    "user/add",
                    format!(r#"{{"name":"{user}","password":"{user}"{options}}}"#),
                )
            }
            6 => ("user/get", format!(r#"{{"name":"{user}"}}"#)),
            7 if self.chance(2) => ("user/delete", format!(r#"{{"name":"{user}"}}"#)),
            8 => (
                "user/changepw",
                format!(r#"{{"name":"{user}","password":"{user}"}}"#),
            ),
            9 | 10 => (
                "user/grant",
                format!(r#"{{"user":"{user}","role":"{role}"}}"#),
            ),
            11 => (
                "user/revoke",
                format!(r#"{{"name":"{user}","role":"{role}"}}"#),
            ),
            12 => ("role/add", format!(r#"{{"name":"{role}"}}"#)),
            13 => ("role/get", format!(r#"{{"role":"{role}"}}"#)),
            14 if self.chance(3) => ("role/delete", format!(r#"{{"role":"{role}"}}"#)),
            15 | 16 if self.may_grant(role) => ("role/grant", self.permission(role)),
            17 => (
                "role/revoke",
                format!(r#"{{"role":"{role}","key":{}}}"#, self.key()),
            ),
            18 => {
                let path = ["user/list", "role/list", "status", "user/add", "role/add"];
                (path[self.below(5)], "{}".to_owned())
            }
            _ => {
                let path = ["enable", "enable", "disable"];
                (path[self.below(3)], "{}".to_owned())
            }
        };
        post(&format!("/v3/auth/{path}"), &body)
    }

    /// Maintenance that auth has to permit.
    pub(super) fn maintenance(&mut self) -> Step {
        let alarm = ["", r#","alarm":"NOSPACE""#][self.below(2)];
        let (path, body) = match self.below(5) {
            0 => ("defragment", "{}".to_owned()),
            1 => ("alarm", "{}".to_owned()),
            2 => ("alarm", r#"{"alarm":"NOSPACE"}"#.to_owned()),
            3 => (
                "alarm",
                r#"{"action":"ACTIVATE","alarm":"NOSPACE"}"#.to_owned(),
            ),
            _ => ("alarm", format!(r#"{{"action":"DEACTIVATE"{alarm}}}"#)),
        };
        post(&format!("/v3/maintenance/{path}"), &body)
    }

    pub(super) fn with_some_token(&mut self, step: Step) -> Step {
        match self.below(12) {
            0..4 => with_token(step, "root"),
            4..7 => with_token(step, "u1"),
            7..10 => with_token(step, "u2"),
            10 => with_token(step, "invalid"),
            _ => step,
        }
    }

    /// A grant. Real servers are asked for ranges that are not empty alone.
    fn may_grant(&self, role: &str) -> bool {
        let grants = self.grants.get(role).copied();
        grants.unwrap_or_default() < PERMISSIONS
    }

    /// A grant, now and then of a range that ends before it begins: only 3.4 takes it.
    fn permission(&mut self, role: &str) -> String {
        const KEYS: [&str; 8] = [
            "YQ==", "YWE=", "YWI=", "Yg==", "Yw==", "ZA==", "ZQ==", "w6k=",
        ];
        *self.grants.entry(role.to_owned()).or_default() += 1;
        let first = self.below(7);
        let key = KEYS[first];
        let end = match self.below(8) {
            0 | 1 => String::new(),
            2 => r#","range_end":"AA==""#.to_owned(),
            3 => format!(r#","range_end":"{}""#, KEYS[self.below(first + 1)]),
            _ => {
                let end = KEYS[first + 1 + self.below(7 - first)];
                format!(r#","range_end":"{end}""#)
            }
        };
        let kind = ["READ", "WRITE", "READWRITE"][self.below(3)];
        format!(r#"{{"name":"{role}","perm":{{"permType":"{kind}","key":"{key}"{end}}}}}"#)
    }
}

fn authenticate(user: &str, password: &str) -> Step {
    let body = format!(r#"{{"name":"{user}","password":"{password}"}}"#);
    post("/v3/auth/authenticate", &body)
}

/// Adds the last token of a user, which differs between the two.
fn with_token(step: Step, user: &str) -> Step {
    let add = |request: Request| request.header("Authorization", &format!("${user}"));
    match step {
        Step::Request(request) => Step::Request(add(request)),
        Step::Watch(request) => Step::Watch(add(request)),
        other => other,
    }
}
