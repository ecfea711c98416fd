use std::fmt;

use bytes::Bytes;
use futures::stream::BoxStream;
use http::{HeaderMap, HeaderValue, Method, StatusCode, header::CONTENT_TYPE, uri::PathAndQuery};
use serde::de::DeserializeOwned;

use crate::{
    client::Client,
    curl::{self, Login},
    endpoints::{endpoint::Endpoint, set::EndpointState},
    error::{
        Api, Error, ErrorContext, EtcdError, EtcdErrorParts, HttpError, Outcome, Result,
        UnexpectedAnswer,
    },
    pipeline::deadline::Deadline,
    transport::Transport,
};

/// One etcd operation as a value: its options, its wire form, its answer. [`Client::send`] carries it out.
///
/// Sealed for now: this crate implements it, and anybody may name it.
pub trait Operation: sealed::Sealed + Send + Sync {
    /// What the operation answers.
    type Output: Send;

    /// The operation's name in errors: `"v2.keys.set"`.
    const NAME: &'static str;

    /// The request to make.
    ///
    /// # Errors
    /// [`Error::Invalid`](crate::Error::Invalid) where the options do not make a request that etcd could carry out.
    fn encode(&self) -> Result<Call>;

    /// The meaning of what came back.
    ///
    /// # Errors
    /// What etcd said no with; or [`Error::Unexpected`](crate::Error::Unexpected) where the answer has no meaning.
    fn decode(&self, reply: Reply) -> Result<Self::Output>;
}

/// An operation whose answers keep coming. [`Client::open`] starts it; dropping the stream ends it.
///
/// Sealed for now: this crate implements it, and anybody may name it.
pub trait StreamOperation: sealed::Sealed + Send + 'static {
    /// What arrives.
    type Item: Send + 'static;

    /// The operation's name in errors: `"v2.keys.watch"`.
    const NAME: &'static str;

    /// Makes the stream. Nothing is sent before it is first polled.
    fn open<T: Transport>(self, client: &Client<T>) -> BoxStream<'static, Result<Self::Item>>;
}

pub(crate) mod sealed {
    pub trait Sealed {}
}

/// Whether a request may be sent again after an attempt that failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Repeat {
    /// It changes nothing, or twice is as good as once: again as often as the [`RetryPolicy`](crate::RetryPolicy)
    /// allows.
    Always,
    /// It writes: again only when the server surely saw nothing of the attempt before, or refused it.
    IfUnsent,
}

/// A request to an etcd, without endpoint and credentials.
#[derive(Clone)]
pub struct Call {
    pub(crate) operation: &'static str,
    pub(crate) method: Method,
    pub(crate) target: PathAndQuery,
    pub(crate) content_type: Option<&'static str>,
    pub(crate) body: Bytes,
    pub(crate) repeat: Repeat,
    /// A member without a leader is to refuse it (v3).
    pub(crate) require_leader: bool,
    /// Its body is one message after the other, and the answer may begin before the last of them was read (v3).
    pub(crate) is_sequence: bool,
    pub(crate) deadline: Deadline,
    /// The path of the v3 API by which it is kept in mind that a server does not have this call. `None` for
    /// those of v2, and for requests to any path.
    pub(crate) capability: Option<&'static str>,
    /// The v3 API's, put here by the pipeline.
    pub(crate) token: Option<HeaderValue>,
}

impl Call {
    /// A request without a body. `target` is the path and query from etcd's root, percent-encoded.
    pub(crate) fn new(
        operation: &'static str,
        method: Method,
        target: String,
        repeat: Repeat,
    ) -> Result<Self> {
        Ok(Self {
            operation,
            method,
            target: parse_target(operation, target)?,
            content_type: None,
            body: Bytes::new(),
            repeat,
            require_leader: false,
            is_sequence: false,
            deadline: Deadline::Usual,
            capability: None,
            token: None,
        })
    }

    /// With one more parameter, of unreserved characters alone.
    pub(crate) fn and_query(mut self, name: &str, value: &str) -> Result<Self> {
        let separator = if self.target.query().is_some() {
            '&'
        } else {
            '?'
        };
        let target = format!("{}{separator}{name}={value}", self.target);
        self.target = parse_target(self.operation, target)?;
        Ok(self)
    }

    /// With this body.
    pub(crate) fn body(mut self, content_type: &'static str, body: impl Into<Bytes>) -> Self {
        self.content_type = Some(content_type);
        self.body = body.into();
        self
    }

    /// With the demand that a member without a leader refuses it.
    pub(crate) fn require_leader(mut self, require: bool) -> Self {
        self.require_leader = require;
        self
    }

    /// With a body that is one message after the other.
    pub(crate) fn sequence(mut self, is_sequence: bool) -> Self {
        self.is_sequence = is_sequence;
        self
    }

    /// As a call of the v3 API that a server may not have.
    pub(crate) fn capability(mut self, path: &'static str) -> Self {
        self.capability = Some(path);
        self
    }

    /// With another deadline than the client's own.
    pub(crate) fn deadline(mut self, deadline: Deadline) -> Self {
        self.deadline = deadline;
        self
    }

    /// Whether it is one of the v3 API.
    pub(crate) fn is_v3(&self) -> bool {
        is_v3(self.target.path())
    }

    /// The method.
    pub fn method(&self) -> &Method {
        &self.method
    }

    /// Path and query, percent-encoded, from etcd's root.
    pub fn target(&self) -> &str {
        self.target.as_str()
    }

    /// The media type of the body, where there is one.
    pub fn content_type(&self) -> Option<&str> {
        self.content_type
    }

    /// The body.
    pub fn body_bytes(&self) -> &[u8] {
        &self.body
    }

    /// Whether it may be sent again after an attempt that failed.
    pub fn repeat(&self) -> Repeat {
        self.repeat
    }

    /// The request as a command for `sh` with curl, without credentials. See [`Client::to_curl`].
    pub fn to_curl(&self, endpoint: &Endpoint) -> String {
        curl::command(self, endpoint, Login::Nothing)
    }
}

/// Says how long the body is, and not what is in it: it may hold a secret.
impl fmt::Debug for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Call")
            .field("operation", &self.operation)
            .field("method", &self.method)
            .field("target", &self.target)
            .field("body", &format_args!("{} bytes", self.body.len()))
            .field("repeat", &self.repeat)
            .finish_non_exhaustive()
    }
}

/// Whether a path is one of the v3 API.
pub(crate) fn is_v3(path: &str) -> bool {
    path.starts_with("/v3/")
}

fn parse_target(operation: &'static str, target: String) -> Result<PathAndQuery> {
    PathAndQuery::from_maybe_shared(Bytes::from(target))
        .map_err(|error| Error::invalid(operation, format!("this path cannot be sent: {error}")))
}

/// A whole answer: status, headers, body, and where it came from.
#[derive(Debug)]
pub struct Reply {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
    pub(crate) context: ErrorContext,
    /// Which of the client's endpoints answered.
    pub(crate) place: EndpointState,
    /// Whether an attempt before this one may have been carried out.
    pub(crate) in_doubt: bool,
}

impl Reply {
    /// The status.
    pub fn status(&self) -> StatusCode {
        self.status
    }

    /// The headers.
    pub fn headers(&self) -> &HeaderMap {
        &self.headers
    }

    /// The body.
    pub fn body(&self) -> &[u8] {
        &self.body
    }

    /// Whether the body claims to be JSON.
    pub(crate) fn is_json(&self) -> bool {
        self.headers
            .get(CONTENT_TYPE)
            .and_then(|value| value.to_str().ok())
            .is_some_and(|value| value.starts_with("application/json"))
    }

    /// The body of a success, decoded.
    pub(crate) fn json<D: DeserializeOwned>(self) -> Result<D> {
        let reply = self.success()?;
        serde_json::from_slice(&reply.body).map_err(|error| {
            let what = "the answer is not what etcd sends";
            Error::Unexpected(reply.unexpected(what).with_source(error))
        })
    }

    /// This reply, if it is a success; etcd's error, or the status, otherwise.
    pub(crate) fn success(self) -> Result<Self> {
        if self.status.is_success() {
            Ok(self)
        } else {
            Err(self.into_error())
        }
    }

    /// The error that a reply other than a success stands for.
    pub(crate) fn into_error(self) -> Error {
        #[derive(serde::Deserialize)]
        struct Body {
            #[serde(rename = "errorCode")]
            code: Option<u32>,
            message: String,
            #[serde(default)]
            cause: String,
            index: Option<u64>,
        }

        if !self.status.is_client_error() && !self.status.is_server_error() {
            let what = format!("a status that etcd does not send: {}", self.status);
            return Error::Unexpected(self.unexpected(what));
        }
        match serde_json::from_slice(&self.body) {
            Ok(Body {
                code,
                message,
                cause,
                index,
            }) => Error::Etcd(EtcdError::new(EtcdErrorParts {
                context: self.context,
                status: self.status,
                api: Api::V2,
                code,
                message,
                cause,
                index,
                compact_revision: None,
            })),
            Err(_) => Error::Http(HttpError::new(self.context, self.status, &self.body)),
        }
    }

    /// An answer without a meaning: what was wrong with it, and how it begins.
    pub(crate) fn unexpected(&self, what: impl Into<String>) -> UnexpectedAnswer {
        // These redirects were not carried out. A success was, whatever its body says; so may have been what goes on
        // elsewhere with another method (303).
        let outcome = match self.status.as_u16() {
            301 | 302 | 307 | 308 => Outcome::Rejected,
            _ => Outcome::Unknown,
        };
        UnexpectedAnswer::new(self.context.clone(), what, outcome).with_body(&self.body)
    }
}
