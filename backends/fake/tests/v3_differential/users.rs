//! Users that 3.5 may find as they were.

use std::collections::HashSet;

use fake_harness::{Request, Response, pair::Divergence};
use serde_json::Value;

/// The users that 3.5 may find in a former state.
///
/// It looks for a user first in what it has not yet written to its file. It empties this buffer ten times a second, but looks at
/// the first place behind its end, too: there it finds a user as he was, or one who is deleted, until something else is written.
/// That depends on time alone.
pub(crate) struct Users {
    reads_behind_its_buffer: bool,
    without_password: HashSet<String>,
    /// Users without a password that were deleted. Only to them is the response to a password another one.
    deleted: HashSet<String>,
    /// The users that have, or had, the role `root`. What another role permits is not read from the user.
    roots: HashSet<String>,
}

impl Users {
    pub(crate) fn new(reads_behind_its_buffer: bool) -> Self {
        Self {
            reads_behind_its_buffer,
            without_password: HashSet::new(),
            deleted: HashSet::new(),
            roots: HashSet::new(),
        }
    }

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
            "/v3/auth/user/grant" if body["role"] == "root" => {
                let name = body["user"].as_str().unwrap_or_default();
                self.roots.insert(name.to_owned());
            }
            _ => {}
        }
    }

    /// Whether one of the two servers permits, and the other one does not, what is asked by a user who is or was a root.
    pub(crate) fn may_be_former(&self, divergence: &Divergence) -> bool {
        let mut headers = divergence.request().headers.iter();
        self.reads_behind_its_buffer
            && divergence.one_says("permission denied")
            && headers.any(|(_, value)| {
                value
                    .strip_prefix('$')
                    .is_some_and(|user| self.roots.contains(user))
            })
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
        self.reads_behind_its_buffer
            && request.target == "/v3/auth/authenticate"
            && self.deleted.contains(name)
            && real.text().contains(no_password)
            && fake.text().contains(no_user)
    }
}
