mod constructors;

use std::{borrow::Cow, error::Error as StdError, fmt, sync::Arc, time::Duration};

use etcd_transport::{TransportError, TransportErrorKind};
use http::StatusCode;

use crate::{
    base::endpoint::Endpoint,
    error::{ErrorContext, EtcdErrorKind, Outcome, unsent},
};

/// A status of 400 or more whose body is not an etcd error: a proxy, usually, or a path that etcd does not have.
#[derive(Clone)]
pub struct HttpError {
    pub(super) context: ErrorContext,
    status: StatusCode,
    excerpt: Arc<String>,
}

impl HttpError {
    pub(crate) fn of(context: ErrorContext, status: StatusCode, body: &[u8]) -> Self {
        Self {
            context,
            status,
            excerpt: excerpt(body).into(),
        }
    }

    /// The status.
    pub fn status(&self) -> StatusCode {
        self.status
    }

    /// The beginning of the body, at most 256 characters.
    pub fn excerpt(&self) -> &str {
        &self.excerpt
    }
}

impl fmt::Display for HttpError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            context,
            status,
            excerpt,
        } = self;
        write!(
            f,
            "{context}: HTTP status {status}, not an etcd error response"
        )?;
        quote(f, excerpt)?;
        if let Some(advice) = advice(*status) {
            write!(f, ": {advice}")?;
        }
        context.write_others(f)
    }
}

impl StdError for HttpError {}

/// What to do about a status that shows that something keeps requests from etcd.
fn advice(status: StatusCode) -> Option<&'static str> {
    Some(match status.as_u16() {
        401 | 403 => "a proxy before etcd does not let this client through",
        404 => "is the path of this endpoint wrong, or is this a peer port?",
        413 => "the request is larger than a proxy before etcd takes",
        421 => "this host name is not accepted: see etcd's --host-whitelist",
        429 => "a proxy before etcd limits requests",
        431 => "a token or a password is longer than a proxy before etcd takes",
        _ => return None,
    })
}

/// No endpoint responded; the [`source`](StdError::source) is what the last attempt's [`TransportError`] came from.
#[derive(Clone)]
pub struct TransportFailure {
    pub(super) context: ErrorContext,
    pub(super) error: Arc<TransportError>,
}

impl TransportFailure {
    pub(crate) fn of(context: ErrorContext, error: TransportError) -> Self {
        let error = Arc::new(error);
        Self { context, error }
    }

    /// Returns the number of attempts.
    pub fn attempts(&self) -> u32 {
        self.context.attempts
    }

    /// Returns the endpoint of the last attempt.
    pub fn endpoint(&self) -> &Endpoint {
        &self.context.endpoint
    }
}

impl fmt::Display for TransportFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.context, with_cause(&self.error))?;
        if self.error.kind() == TransportErrorKind::Connect {
            self.context.write_port_hint(f)?;
        }
        self.context.write_others(f)
    }
}

impl StdError for TransportFailure {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        // The transport error's text is part of this error's, so the source is its cause.
        self.error.source()
    }
}

/// No response within the time limit.
#[derive(Clone)]
pub struct TimeoutError {
    pub(super) context: ErrorContext,
    limit: Duration,
}

impl TimeoutError {
    pub(crate) fn of(context: ErrorContext, limit: Duration) -> Self {
        Self { context, limit }
    }

    /// Returns the time limit of the last attempt.
    pub fn limit(&self) -> Duration {
        self.limit
    }

    /// Returns the number of requests that were sent.
    pub fn attempts(&self) -> u32 {
        self.context.attempts
    }

    /// Returns the endpoint of the last attempt.
    pub fn endpoint(&self) -> &Endpoint {
        &self.context.endpoint
    }
}

impl fmt::Display for TimeoutError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: no response within {:?}", self.context, self.limit)?;
        if self.context.is_withheld {
            write!(f, ", {WITHHELD}")?;
        }
        self.context.write_others(f)
    }
}

impl StdError for TimeoutError {}

/// Why the response to a stream may not arrive, although other calls get responses, and what to do.
const WITHHELD: &str = "although other calls get a response: a proxy on the way may buffer responses (in nginx, set `proxy_buffering off`)";

/// A response that is not from this API: from a captive portal or another program, truncated, or too large.
#[derive(Clone)]
pub struct UnexpectedResponse {
    pub(super) context: ErrorContext,
    pub(super) parts: Arc<UnexpectedParts>,
}

#[derive(Clone)]
pub(super) struct UnexpectedParts {
    what: String,
    excerpt: String,
    pub(super) outcome: Outcome,
    pub(super) kind: UnexpectedKind,
    source: Option<Arc<dyn StdError + Send + Sync>>,
}

/// The predicates of a response that was not accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum UnexpectedKind {
    ClusterChanged,
    Stale,
    /// Larger than the client's limit.
    TooLarge,
    /// Without etcd's words: from a proxy, or from another program.
    Foreign,
    Other,
}

impl UnexpectedResponse {
    pub(crate) fn of(context: ErrorContext, what: impl Into<String>, outcome: Outcome) -> Self {
        let parts = Arc::new(UnexpectedParts {
            what: what.into(),
            excerpt: String::new(),
            outcome,
            kind: UnexpectedKind::Other,
            source: None,
        });
        Self { context, parts }
    }

    pub(crate) fn with_body(mut self, body: &[u8]) -> Self {
        self.parts().excerpt = excerpt(body);
        self
    }

    pub(crate) fn with_kind(mut self, kind: UnexpectedKind) -> Self {
        self.parts().kind = kind;
        self
    }

    pub(crate) fn with_source(
        mut self,
        source: impl Into<Box<dyn StdError + Send + Sync>>,
    ) -> Self {
        self.parts().source = Some(source.into().into());
        self
    }

    /// The error's own fields, as long as it has no clone.
    fn parts(&mut self) -> &mut UnexpectedParts {
        Arc::make_mut(&mut self.parts)
    }

    /// The beginning of the body, at most 256 characters.
    pub fn excerpt(&self) -> &str {
        &self.parts.excerpt
    }
}

impl fmt::Display for UnexpectedResponse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.context, self.parts.what)?;
        quote(f, &self.parts.excerpt)?;
        self.context.write_others(f)
    }
}

impl StdError for UnexpectedResponse {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.parts.source.as_deref().map(|source| source as _)
    }
}

/// An etcd server does not have this operation, or has it disabled.
#[derive(Clone)]
pub struct Unsupported {
    pub(super) context: ErrorContext,
    parts: Arc<UnsupportedParts>,
    /// The response may be from a proxy, or from another program.
    pub(super) is_foreign: bool,
}

#[derive(Clone)]
struct UnsupportedParts {
    reason: Cow<'static, str>,
    /// The server's own words.
    excerpt: String,
    outcome: Outcome,
}

impl Unsupported {
    pub(crate) fn of(
        context: ErrorContext,
        reason: impl Into<Cow<'static, str>>,
        words: &[u8],
        is_foreign: bool,
    ) -> Self {
        Self {
            context,
            parts: Arc::new(UnsupportedParts {
                reason: reason.into(),
                excerpt: excerpt(words),
                outcome: Outcome::Rejected,
            }),
            is_foreign,
        }
    }

    /// etcd itself says that this server does not have the call, for this reason, unless the path of the endpoint is one.
    pub(crate) fn by_member(context: ErrorContext, reason: &'static str, words: &[u8]) -> Self {
        let reason = Self::reason_at(&context.endpoint, reason);
        Self::of(context, reason, words, false)
    }

    /// Why etcd does not have a call at this endpoint. By gRPC, the path is a part of the call's name.
    pub(crate) fn reason_at(endpoint: &Endpoint, reason: &'static str) -> &'static str {
        if endpoint.has_path() {
            WRONG_PATH
        } else {
            reason
        }
    }

    /// The beginning of what the server said, at most 256 characters. Empty if nothing was sent.
    pub fn excerpt(&self) -> &str {
        &self.parts.excerpt
    }

    pub(super) fn outcome(&self) -> Outcome {
        self.parts.outcome
    }

    /// Nothing was sent: every endpoint has recently said so.
    pub(crate) fn known(context: ErrorContext) -> Self {
        Self {
            context,
            parts: Arc::new(UnsupportedParts {
                reason: "this cluster does not support this call, as its endpoints have reported within the last \
                         minute: nothing was sent"
                    .into(),
                excerpt: String::new(),
                outcome: Outcome::NotSent,
            }),
            is_foreign: false,
        }
    }
}

impl fmt::Display for Unsupported {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.context, self.parts.reason)?;
        quote(f, &self.parts.excerpt)?;
        if self.is_foreign {
            self.context.write_port_hint(f)?;
        }
        self.context.write_others(f)
    }
}

impl StdError for Unsupported {}

const WRONG_PATH: &str = "this server does not have this call: the path of the endpoint is likely wrong, since etcd itself has none; \
     or its etcd is too old for the call";

/// The client rejected the request before anything was sent. The text says what is wrong and what to do.
#[derive(Clone)]
pub struct InvalidInput {
    pub(super) parts: Arc<InvalidParts>,
    /// An earlier attempt may have been applied.
    pub(super) in_doubt: bool,
    /// The call may change something.
    pub(super) is_write: bool,
}

pub(super) struct InvalidParts {
    pub(super) operation: &'static str,
    pub(super) reason: String,
    pub(super) kind: Option<EtcdErrorKind>,
    pub(super) cause: InvalidCause,
}

/// Why nothing was sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum InvalidCause {
    /// The request, or a setting.
    Input,
    /// The client is closed.
    Closed,
    /// The most calls are under way.
    Overloaded,
    /// The provider has no credentials at present.
    WithoutCredentials,
    /// The provider has not returned in time.
    ProviderTimedOut,
}

impl InvalidInput {
    pub(super) fn of(operation: &'static str, reason: String, kind: Option<EtcdErrorKind>) -> Self {
        Self::of_parts(InvalidParts {
            operation,
            reason,
            kind,
            cause: InvalidCause::Input,
        })
    }

    pub(super) fn of_parts(parts: InvalidParts) -> Self {
        Self {
            parts: Arc::new(parts),
            in_doubt: false,
            is_write: false,
        }
    }

    /// Returns the kind of error that etcd would have refused the request with, where the client knows it:
    /// [`TooManyOperations`](EtcdErrorKind::TooManyOperations), [`DuplicateKey`](EtcdErrorKind::DuplicateKey).
    pub fn kind(&self) -> Option<EtcdErrorKind> {
        self.parts.kind
    }
}

impl fmt::Display for InvalidInput {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.parts.operation, self.parts.reason)
    }
}

impl StdError for InvalidInput {}

/// The text of an error, and of its innermost cause, which is the useful one: "connection refused".
pub(crate) fn with_cause(error: &TransportError) -> String {
    match error.source() {
        Some(_) if unsent::is_closed(error) => root_cause(error).to_string(),
        Some(_) => format!("{error}: {}", root_cause(error)),
        None => error.to_string(),
    }
}

/// Returns the cause of all others, which is the error itself where it has none.
pub(crate) fn root_cause(error: &TransportError) -> &(dyn StdError + 'static) {
    let mut cause: &(dyn StdError + 'static) = error;
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    cause
}

fn excerpt(body: &[u8]) -> String {
    const CHARACTERS: usize = 256;
    // A character takes at most four bytes, so the end of a long body need not be decoded.
    let start = body.get(..4 * CHARACTERS).unwrap_or(body);
    String::from_utf8_lossy(start)
        .chars()
        .take(CHARACTERS)
        .collect()
}

fn quote(f: &mut fmt::Formatter<'_>, excerpt: &str) -> fmt::Result {
    if excerpt.is_empty() {
        Ok(())
    } else {
        write!(f, ": {excerpt:?}")
    }
}
