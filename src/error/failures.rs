use std::{error::Error as StdError, fmt, sync::Arc, time::Duration};

use etcd_transport::TransportError;
use http::StatusCode;

use crate::endpoints::endpoint::Endpoint;
use crate::error::{ErrorContext, Outcome};

/// A status of 400 or more whose body is not one of etcd's errors: a proxy, mostly, or a path that etcd does not have.
#[derive(Clone, Debug)]
pub struct HttpError(Arc<(ErrorContext, StatusCode, String)>);

impl HttpError {
    pub(crate) fn new(context: ErrorContext, status: StatusCode, body: &[u8]) -> Self {
        Self(Arc::new((context, status, excerpt(body))))
    }

    /// The status.
    pub fn status(&self) -> StatusCode {
        self.0.1
    }

    /// The beginning of the body, at most 256 characters.
    pub fn excerpt(&self) -> &str {
        &self.0.2
    }
}

impl fmt::Display for HttpError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (context, status, excerpt) = &*self.0;
        write!(f, "{context}: HTTP status {status}, and no error of etcd's")?;
        quote(f, excerpt)
    }
}

impl StdError for HttpError {}

/// No endpoint answered; the [`source`](StdError::source) is the last attempt's [`TransportError`].
#[derive(Clone, Debug)]
pub struct TransportFailure(pub(super) Arc<TransportFailureParts>);

#[derive(Debug)]
pub(super) struct TransportFailureParts {
    context: ErrorContext,
    pub(super) source: TransportError,
}

impl TransportFailure {
    pub(crate) fn new(context: ErrorContext, source: TransportError) -> Self {
        Self(Arc::new(TransportFailureParts { context, source }))
    }

    /// How many requests were sent, or tried to be.
    pub fn attempts(&self) -> u32 {
        self.0.context.attempts
    }

    /// The endpoint of the last attempt.
    pub fn endpoint(&self) -> &Endpoint {
        &self.0.context.endpoint
    }
}

impl fmt::Display for TransportFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.0.context, self.0.source)
    }
}

impl StdError for TransportFailure {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        // The transport's own line is part of ours; what comes next is its cause.
        self.0.source.source()
    }
}

/// No answer within the time allowed.
#[derive(Clone, Debug)]
pub struct TimeoutError(Arc<(ErrorContext, Duration)>);

impl TimeoutError {
    pub(crate) fn new(context: ErrorContext, limit: Duration) -> Self {
        Self(Arc::new((context, limit)))
    }

    /// How long the last attempt was given.
    pub fn limit(&self) -> Duration {
        self.0.1
    }

    /// How many requests were sent.
    pub fn attempts(&self) -> u32 {
        self.0.0.attempts
    }

    /// The endpoint of the last attempt.
    pub fn endpoint(&self) -> &Endpoint {
        &self.0.0.endpoint
    }
}

impl fmt::Display for TimeoutError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (context, limit) = &*self.0;
        write!(f, "{context}: no answer within {limit:?}")
    }
}

impl StdError for TimeoutError {}

/// Something answered that does not speak this API: a captive portal, another program, a truncated or oversized answer.
#[derive(Clone, Debug)]
pub struct UnexpectedAnswer(pub(super) Arc<UnexpectedParts>);

#[derive(Clone, Debug)]
pub(super) struct UnexpectedParts {
    context: ErrorContext,
    what: String,
    excerpt: String,
    pub(super) outcome: Outcome,
    pub(super) kind: UnexpectedKind,
    source: Option<Arc<dyn StdError + Send + Sync>>,
}

/// What programs ask of an answer that was not accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum UnexpectedKind {
    ClusterChanged,
    Stale,
    Other,
}

impl UnexpectedAnswer {
    pub(crate) fn new(context: ErrorContext, what: impl Into<String>, outcome: Outcome) -> Self {
        Self(Arc::new(UnexpectedParts {
            context,
            what: what.into(),
            excerpt: String::new(),
            outcome,
            kind: UnexpectedKind::Other,
            source: None,
        }))
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

    /// Its own, as long as there is no clone.
    fn parts(&mut self) -> &mut UnexpectedParts {
        Arc::make_mut(&mut self.0)
    }

    /// The beginning of the body, at most 256 characters.
    pub fn excerpt(&self) -> &str {
        &self.0.excerpt
    }
}

impl fmt::Display for UnexpectedAnswer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.0.context, self.0.what)?;
        quote(f, &self.0.excerpt)
    }
}

impl StdError for UnexpectedAnswer {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.0.source.as_deref().map(|source| source as _)
    }
}

/// The server is an etcd that does not have this operation, or has it switched off.
#[derive(Clone, Debug)]
pub struct Unsupported(pub(super) Arc<(ErrorContext, &'static str, Outcome)>);

impl Unsupported {
    pub(crate) fn new(context: ErrorContext, what: &'static str) -> Self {
        Self(Arc::new((context, what, Outcome::Rejected)))
    }

    /// Every endpoint has said so before, and is not asked again so soon.
    pub(crate) fn known(context: ErrorContext) -> Self {
        let what = "this cluster does not have this call, as its endpoints have said within the last minute: nothing was sent";
        Self(Arc::new((context, what, Outcome::NotSent)))
    }
}

impl fmt::Display for Unsupported {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.0.0, self.0.1)
    }
}

impl StdError for Unsupported {}

/// Refused by this client before anything was sent: says what was wrong, and what to do.
#[derive(Clone, Debug)]
pub struct InvalidInput(pub(super) Arc<(&'static str, String)>);

impl fmt::Display for InvalidInput {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.0.0, self.0.1)
    }
}

impl StdError for InvalidInput {}

fn excerpt(body: &[u8]) -> String {
    const CHARACTERS: usize = 256;
    // At most four bytes a character: no need to look at a long body's end.
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
