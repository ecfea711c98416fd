//! Calls that the client does not send because of its own state.

use std::{error::Error as StdError, time::Duration};

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

    /// The provider has no credentials at present.
    pub(crate) fn without_credentials(reason: String) -> Self {
        Self::Invalid(InvalidInput::without_credentials(reason))
    }

    /// The provider has not returned credentials within this time.
    pub(crate) fn provider_timed_out(limit: Duration) -> Self {
        Self::Invalid(InvalidInput::refused(
            "credentials",
            format!("the provider has not returned any within {limit:?}"),
            InvalidCause::ProviderTimedOut,
        ))
    }

    /// Returns this error of a token for the call that needs it. That was not sent, whatever the request for the token has done.
    pub(crate) fn before_call(mut self) -> Self {
        if let Some(context) = self.context_mut() {
            context.in_doubt = false;
            context.is_unsent = true;
        }
        self
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

    /// Returns whether nothing was sent since the [`CredentialsProvider`](crate::CredentialsProvider) failed, or has not returned in
    /// time. It may be sent later: see [`is_retryable`](Self::is_retryable).
    pub fn is_without_credentials(&self) -> bool {
        self.is_invalid_by(InvalidCause::WithoutCredentials) || self.is_provider_timeout()
    }

    /// Whether the provider has not returned in time.
    pub(crate) fn is_provider_timeout(&self) -> bool {
        self.is_invalid_by(InvalidCause::ProviderTimedOut)
    }

    fn is_invalid_by(&self, cause: InvalidCause) -> bool {
        matches!(self, Self::Invalid(error) if error.parts.cause == cause)
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

    /// The [`CredentialsProvider`](crate::CredentialsProvider) failed, and why. For your own tests.
    ///
    /// ```
    /// use etcd_http::{Error, InvalidInput};
    ///
    /// let error = Error::Invalid(InvalidInput::without_credentials("the vault is sealed"));
    /// assert!(error.is_without_credentials() && error.is_retryable());
    /// ```
    pub fn without_credentials(reason: impl AsRef<str>) -> Self {
        let reason = reason.as_ref().to_owned();
        Self::refused("credentials", reason, InvalidCause::WithoutCredentials)
    }

    fn refused(operation: &'static str, reason: String, cause: InvalidCause) -> Self {
        Self::of_parts(InvalidParts {
            operation,
            reason,
            kind: None,
            cause,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Outcome;

    /// As for a recipe that sends a write again, when the client is closed meanwhile.
    #[test]
    fn a_write_that_may_have_been_applied_stays_unknown_when_it_is_not_sent_again() {
        let closed = Error::closed("v3.kv.put").in_call("v3.kv.put", true, None);
        assert_eq!(closed.outcome(), Outcome::NotSent);
        let closed = closed.after_doubt(true);
        assert!(closed.is_closed());
        assert_eq!(closed.outcome(), Outcome::Unknown);
        let text = closed.to_string();
        assert!(
            text.ends_with("(the write may have been applied)"),
            "{text}"
        );
    }
}
