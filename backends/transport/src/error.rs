use std::{error::Error, fmt};

type Source = Box<dyn Error + Send + Sync>;

/// Why there is no response, or why its body broke off.
///
/// `Display` describes the [`kind`](Self::kind); [`source`](Error::source) is the HTTP stack's own error.
pub struct TransportError(Box<Inner>);

struct Inner {
    kind: TransportErrorKind,
    source: Source,
}

/// What the server may have seen of a request that got no response, and so what the caller may do next.
///
/// A kind is a promise: a transport that cannot prove one of the others returns [`Interrupted`](Self::Interrupted).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum TransportErrorKind {
    /// No connection could be made (name resolution, TCP, TLS): **the server saw nothing** of the request.
    Connect,
    /// The server is not trusted: its certificate is of an unknown authority, has another name, or is not valid now. **It saw
    /// nothing** of the request, and another attempt at this endpoint does not help.
    Untrusted,
    /// The server, or a proxy before it, declared by HTTP/2 that it did not process the request: **nothing was applied**,
    /// and the endpoint is healthy. The request may be sent again, to the same endpoint too.
    ///
    /// Proofs are a stream reset with `REFUSED_STREAM`, a `GOAWAY` whose last stream id is lower than the request's, and a
    /// request that was held back because the server's `SETTINGS` never arrived.
    Unprocessed,
    /// The exchange broke off after a connection was made: the server may have acted on the request.
    Interrupted,
    /// The HTTP stack refused the request as it stands: **it was never sent**, and sending it again does not help.
    Rejected,
    /// Anything else. Callers treat it as [`Interrupted`](Self::Interrupted).
    Other,
}

impl TransportError {
    /// Creates an error of this kind; `source` is the HTTP stack's own error.
    pub fn new(kind: TransportErrorKind, source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self(Box::new(Inner {
            kind,
            source: source.into(),
        }))
    }

    /// Creates a [`Connect`](TransportErrorKind::Connect) error.
    pub fn connect(source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self::new(TransportErrorKind::Connect, source)
    }

    /// Creates an [`Untrusted`](TransportErrorKind::Untrusted) error.
    pub fn untrusted(source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self::new(TransportErrorKind::Untrusted, source)
    }

    /// Creates an [`Unprocessed`](TransportErrorKind::Unprocessed) error.
    pub fn unprocessed(source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self::new(TransportErrorKind::Unprocessed, source)
    }

    /// Creates an [`Interrupted`](TransportErrorKind::Interrupted) error.
    pub fn interrupted(source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self::new(TransportErrorKind::Interrupted, source)
    }

    /// Creates a [`Rejected`](TransportErrorKind::Rejected) error.
    pub fn rejected(source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self::new(TransportErrorKind::Rejected, source)
    }

    /// Returns what the server may have seen.
    pub fn kind(&self) -> TransportErrorKind {
        self.0.kind
    }

    /// Returns whether the server definitely did nothing: the request was not sent, or was declared unprocessed.
    ///
    /// ```
    /// use etcd_transport::TransportError;
    ///
    /// assert!(TransportError::connect("connection refused").is_unsent());
    /// assert!(TransportError::unprocessed("REFUSED_STREAM").is_unsent());
    /// assert!(!TransportError::interrupted("connection reset").is_unsent());
    /// ```
    pub fn is_unsent(&self) -> bool {
        matches!(
            self.0.kind,
            TransportErrorKind::Connect
                | TransportErrorKind::Untrusted
                | TransportErrorKind::Unprocessed
                | TransportErrorKind::Rejected
        )
    }
}

impl fmt::Display for TransportError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.0.kind {
            TransportErrorKind::Connect | TransportErrorKind::Untrusted => "could not connect",
            TransportErrorKind::Unprocessed => "the server did not process the request",
            TransportErrorKind::Interrupted => "the exchange broke off",
            TransportErrorKind::Rejected => "the HTTP stack refused the request",
            TransportErrorKind::Other => "the transport failed",
        })
    }
}

impl fmt::Debug for TransportError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TransportError")
            .field("kind", &self.0.kind)
            .field("source", &self.0.source)
            .finish()
    }
}

impl Error for TransportError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(&*self.0.source)
    }
}
