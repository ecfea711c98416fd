//! Reads, writes and watches of keys, as clients send them.

use fake_harness::{Request, random::Random};

use super::{Generator, with_query};

impl Generator {
    pub(super) fn read(&mut self) -> Request {
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
        let request = Request::new(method, &with_query(&path, &query));
        self.maybe_credentials(request)
    }

    pub(super) fn write(&mut self) -> Request {
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
        let request = if method == "DELETE" || self.chance(4) {
            query.extend(parameters);
            let request = Request::new(method, &with_query(&path, &query));
            if self.chance(6) {
                request.form("prevValue=unread")
            } else {
                request
            }
        } else {
            let request = Request::new(method, &with_query(&path, &query));
            match self.below(30) {
                0 => request.json(&form),
                1 => {
                    let mut request = request;
                    request.body = form.into_bytes();
                    request
                }
                2 => {
                    let kind = "Application/x-www-form-URLencoded ; charset=utf-8";
                    let mut request = request.header("Content-Type", kind);
                    request.body = form.into_bytes();
                    request
                }
                _ => request.form(&form),
            }
        };
        self.maybe_credentials(request)
    }

    /// Long times to live, and times that overflow, the latter only where they mean "forever".
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
                // `prevExist=false` comes first and makes it a create, whatever the other parameters are.
                parameters.push("prevExist=false".to_owned());
                let seconds = ["9300000000", "99999999999"][self.below(2)];
                parameters.push(format!("ttl={seconds}"));
            }
            _ => {}
        }
    }

    pub(super) fn short_lived(&mut self) -> Request {
        let mut parameters = vec!["ttl=1".to_owned()];
        if self.chance(3) {
            parameters.push("dir=true".to_owned());
        } else {
            let value = self.value();
            parameters.push(format!("value={value}"));
        }
        let path = self.path();
        Request::new("PUT", &format!("/v2/keys{path}")).form(&parameters.join("&"))
    }

    pub(super) fn watch(&mut self) -> Request {
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
        Request::new("GET", &with_query(&path, &query))
    }
}
