//! Calls that the client does not send because of its own state.

use std::{error::Error as StdError, sync::Arc};

use etcd_transport::TransportError;

use crate::error::{
    Error, ErrorContext,
    failures::{InvalidCause, InvalidInput, InvalidParts, TransportFailure},
};

impl Error {
    /// The client is closed.
    pub(crate) fn closed(operation: &'static str) -> Self {
        Self::Invalid(InvalidInput::closed(operation))
    }

    /// The client is closed, and a call of it that was under way has ended.
    pub(crate) fn closed_at(context: ErrorContext) -> Self {
        let error = TransportError::rejected(Closed);
        Self::Transport(TransportFailure::of(context, error))
    }

    /// The most calls are under way, and the most wait.
    pub(crate) fn overloaded(operation: &'static str, reason: String) -> Self {
        Self::Invalid(InvalidInput::refused(
            operation,
            reason,
            InvalidCause::Overloaded,
        ))
    }

    /// Returns whether the client is [closed](crate::Client::close), so that nothing is sent. A call that was under way may have been
    /// sent before: see [`outcome`](Self::outcome).
    pub fn is_closed(&self) -> bool {
        match self {
            Self::Transport(failure) => is_closed(&failure.error),
            other => other.is_invalid_by(InvalidCause::Closed),
        }
    }

    /// Returns whether nothing was sent since the [most calls](crate::ClientBuilder::max_concurrent_calls) are under way. It may
    /// be sent later: see [`is_retryable`](Self::is_retryable).
    pub fn is_overloaded(&self) -> bool {
        self.is_invalid_by(InvalidCause::Overloaded)
    }

    fn is_invalid_by(&self, cause: InvalidCause) -> bool {
        matches!(self, Self::Invalid(error) if error.0.cause == cause)
    }
}

/// Why a call has ended that was under way.
#[derive(Debug, thiserror::Error)]
#[error("{CLOSED}")]
struct Closed;

pub(crate) const CLOSED: &str = "the client is closed";

/// Whether the client is the reason, and not the transport.
pub(super) fn is_closed(error: &TransportError) -> bool {
    error.source().is_some_and(<dyn StdError>::is::<Closed>)
}

impl InvalidInput {
    /// The client is closed. For your own tests.
    ///
    /// ```
    /// use etcd_http::{Error, InvalidInput, Outcome};
    ///
    /// let error = Error::Invalid(InvalidInput::closed("v3.kv.put"));
    /// assert!(error.is_closed());
    /// assert_eq!(error.outcome(), Outcome::NotSent);
    /// ```
    pub fn closed(operation: &'static str) -> Self {
        let reason = format!("{CLOSED}: nothing was sent");
        Self::refused(operation, reason, InvalidCause::Closed)
    }

    /// The most calls are under way. For your own tests.
    ///
    /// ```
    /// use etcd_http::{Error, InvalidInput};
    ///
    /// let error = Error::Invalid(InvalidInput::overloaded("v3.kv.put"));
    /// assert!(error.is_overloaded() && error.is_retryable());
    /// ```
    pub fn overloaded(operation: &'static str) -> Self {
        let reason = "the most calls are under way: nothing was sent".to_owned();
        Self::refused(operation, reason, InvalidCause::Overloaded)
    }

    fn refused(operation: &'static str, reason: String, cause: InvalidCause) -> Self {
        Self(Arc::new(InvalidParts {
            operation,
            reason,
            kind: None,
            cause,
        }))
    }
}
