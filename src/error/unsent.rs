//! Calls that the client does not send because of its own state.

use std::sync::Arc;

use crate::error::{
    Error,
    failures::{InvalidCause, InvalidInput, InvalidParts},
};

impl Error {
    /// The client is closed.
    pub(crate) fn closed(operation: &'static str) -> Self {
        Self::Invalid(InvalidInput::closed(operation))
    }

    /// The most calls are under way, and the most wait.
    pub(crate) fn overloaded(operation: &'static str, reason: String) -> Self {
        Self::Invalid(InvalidInput::refused(
            operation,
            reason,
            InvalidCause::Overloaded,
        ))
    }

    /// Returns whether nothing was sent since the client is [closed](crate::Client::close).
    pub fn is_closed(&self) -> bool {
        self.is_invalid_by(InvalidCause::Closed)
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
        let reason = "the client is closed: nothing was sent".to_owned();
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
