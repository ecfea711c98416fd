use http::{Method, StatusCode};

use crate::{
    error::Result,
    form::Query,
    pipeline::{answer::Answer, exchange::Encoded},
    v2::{
        operation::operation,
        protocol,
        watch::event::{self, Event},
    },
};

/// Reads a key, or lists a directory: `GET /v2/keys/KEY`.
///
/// The contacted member responds from its own data, which may be stale; with [`quorum`](Self::quorum) the read is
/// linearizable. A directory lists its direct children, without hidden ones.
///
/// # Errors
/// [`is_key_not_found`](crate::Error::is_key_not_found), [`is_not_a_directory`](crate::Error::is_not_a_directory).
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use = "an operation does nothing before `Client::send`"]
pub struct Get {
    key: String,
    recursive: bool,
    sorted: bool,
    quorum: bool,
}

impl Get {
    /// Reads this key.
    pub fn new(key: impl AsRef<str>) -> Self {
        Self {
            key: key.as_ref().to_owned(),
            recursive: false,
            sorted: false,
            quorum: false,
        }
    }

    /// Lists the complete tree below a directory.
    pub fn recursive(mut self, recursive: bool) -> Self {
        self.recursive = recursive;
        self
    }

    /// Sorts children by key, at every level. Without this they are in random order.
    pub fn sorted(mut self, sorted: bool) -> Self {
        self.sorted = sorted;
        self
    }

    /// Reads through the majority of the cluster: the response reflects every write that was acknowledged before.
    #[doc(alias = "linearizable")]
    pub fn quorum(mut self, quorum: bool) -> Self {
        self.quorum = quorum;
        self
    }

    fn encoded(&self, operation: &'static str) -> Result<Encoded> {
        let mut query = Query::new();
        query.flag("recursive", self.recursive);
        query.flag("sorted", self.sorted);
        query.flag("quorum", self.quorum);
        protocol::at_key(operation, Method::GET, &self.key, &query)
    }
}

operation!(Get => Event, "v2.keys.get", KEYS.read_by(quorum), event::decode);

/// Returns whether a key exists, file or directory: `HEAD /v2/keys/KEY`.
///
/// A path through a file does not exist.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use = "an operation does nothing before `Client::send`"]
pub struct Exists {
    key: String,
    quorum: bool,
}

impl Exists {
    /// Checks this key.
    pub fn new(key: impl AsRef<str>) -> Self {
        Self {
            key: key.as_ref().to_owned(),
            quorum: false,
        }
    }

    /// Reads through the majority, by `GET`: etcd answers `HEAD` of the member's own data in any case. A directory lists its direct
    /// children for it. See [`Get::quorum`].
    pub fn quorum(mut self, quorum: bool) -> Self {
        self.quorum = quorum;
        self
    }

    fn encoded(&self, operation: &'static str) -> Result<Encoded> {
        let mut query = Query::new();
        query.flag("quorum", self.quorum);
        let method = if self.quorum {
            Method::GET
        } else {
            Method::HEAD
        };
        protocol::at_key(operation, method, &self.key, &query)
    }

    fn decoded(answer: Box<Answer>) -> Result<bool> {
        // 404 is code 100, and the only 400 for a well-formed request without a body is code 104.
        let absent = matches!(
            answer.reply.status,
            StatusCode::NOT_FOUND | StatusCode::BAD_REQUEST
        );
        if absent && answer.reply.is_json() {
            return Ok(false);
        }
        answer.success().map(|_| true)
    }
}

operation!(Exists => bool, "v2.keys.exists", KEYS.read_by(quorum), Self::decoded);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{pipeline::call::Repeat, testing::AsRequest};

    #[test]
    fn the_request_is_as_documented() {
        let plain = Get::new("/message").request().unwrap();
        assert_eq!(
            (plain.method(), plain.target()),
            (&Method::GET, "/v2/keys/message")
        );
        assert_eq!(plain.repeat(), Repeat::Always);
        let all = Get::new("/").recursive(true).sorted(true).quorum(true);
        assert_eq!(
            all.request().unwrap().target(),
            "/v2/keys?recursive=true&sorted=true&quorum=true"
        );
        let head = Exists::new("a").request().unwrap();
        assert_eq!(
            (head.method(), head.target()),
            (&Method::HEAD, "/v2/keys/a")
        );
        let by_quorum = Exists::new("a").quorum(true).request().unwrap();
        assert_eq!(
            (by_quorum.method(), by_quorum.target()),
            (&Method::GET, "/v2/keys/a?quorum=true")
        );
    }
}
