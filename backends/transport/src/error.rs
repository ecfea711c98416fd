use std::{error::Error, fmt};

/// Why there is no response, or why its body broke off.
///
/// Its `Display` says the kind; [`source`](Error::source) has the HTTP stack's own words.
pub struct TransportError(Box<Inner>);

struct Inner {
    kind: TransportErrorKind,
    source: Box<dyn Error + Send + Sync>,
}

/// What the server may have seen of a request that got no response.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum TransportErrorKind {
    /// No connection came about (name, address, TLS): **the server saw nothing** of the request.
    Connect,
    /// The exchange broke off after a connection was there: the server may have acted on the request.
    Interrupted,
    /// The HTTP stack refused the request as it stands; **it was never sent**, and sending it again will not help.
    Rejected,
    /// Anything else; to be treated as [`Interrupted`](Self::Interrupted).
    Other,
}

impl TransportError {
    /// An error of this kind; `source` is what the HTTP stack said.
    pub fn new(kind: TransportErrorKind, source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self(Box::new(Inner {
            kind,
            source: source.into(),
        }))
    }

    /// Short for [`new`](Self::new) with [`TransportErrorKind::Connect`].
    pub fn connect(source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self::new(TransportErrorKind::Connect, source)
    }

    /// Short for [`new`](Self::new) with [`TransportErrorKind::Interrupted`].
    pub fn interrupted(source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self::new(TransportErrorKind::Interrupted, source)
    }

    /// Short for [`new`](Self::new) with [`TransportErrorKind::Rejected`].
    pub fn rejected(source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self::new(TransportErrorKind::Rejected, source)
    }

    /// What the server may have seen.
    pub fn kind(&self) -> TransportErrorKind {
        self.0.kind
    }

    /// Whether the server surely saw nothing of the request: nothing can have come of it.
    pub fn is_unsent(&self) -> bool {
        matches!(
            self.0.kind,
            TransportErrorKind::Connect | TransportErrorKind::Rejected
        )
    }
}

impl fmt::Display for TransportError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.0.kind {
            TransportErrorKind::Connect => "could not connect",
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
