//! Users that 3.5 may find although they are deleted.

use std::collections::HashSet;

use fake_harness::{Request, Response};
use serde_json::Value;

/// The users without a password that were deleted.
///
/// etcd 3.5 checks a password with what it has not yet written to its file. It empties this buffer after a deletion, but looks
/// at the first place behind its end, too: a deleted user is found there until something else is written, which depends on
/// time alone. Only to a user without a password is the response another one there.
#[derive(Default)]
pub(crate) struct Users {
    without_password: HashSet<String>,
    deleted: HashSet<String>,
}

impl Users {
    /// Learns from a response that both servers have given.
    pub(crate) fn record(&mut self, request: &Request, reply: &Response) {
        if reply.status != 200 {
            return;
        }
        let body: Value = serde_json::from_slice(&request.body).unwrap_or_default();
        let name = body["name"].as_str().unwrap_or_default();
        match &*request.target {
            "/v3/auth/user/add" => {
                self.deleted.remove(name);
                if body["options"]["no_password"] == true {
                    self.without_password.insert(name.to_owned());
                }
            }
            "/v3/auth/user/delete" if self.without_password.remove(name) => {
                self.deleted.insert(name.to_owned());
            }
            _ => {}
        }
    }

    /// Whether the real server has found a user who is deleted, and the fake has not.
    pub(crate) fn is_found_deleted(
        &self,
        request: &Request,
        real: &Response,
        fake: &Response,
    ) -> bool {
        let body: Value = serde_json::from_slice(&request.body).unwrap_or_default();
        let name = body["name"].as_str().unwrap_or_default();
        let no_password = "auth: authentication failed, password was given for no password user";
        let no_user = "etcdserver: authentication failed, invalid user ID or password";
        request.target == "/v3/auth/authenticate"
            && self.deleted.contains(name)
            && real.text().contains(no_password)
            && fake.text().contains(no_user)
    }
}
