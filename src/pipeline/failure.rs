use std::time::Duration;

use etcd_transport::{CollectError, TransportError, TransportErrorKind};

use crate::{
    error::{Error, ErrorContext, Outcome, TimeoutError, TransportFailure, UnexpectedAnswer},
    pipeline::{answer::Answer, response_check::Refused, retry_after::retry_after},
};

/// Why an attempt failed.
#[derive(Debug)]
pub(crate) enum Failure {
    Transport(TransportError),
    TimedOut(Duration),
    /// The server cannot serve at the moment, or does not serve this call.
    Answer(Box<Answer>),
    /// Larger than this, in bytes.
    TooLarge(usize),
    /// A redirect that is not followed, and why.
    Redirect(String),
    /// An answer that is not accepted.
    Refused(Refused),
}

impl Failure {
    /// Whether the server definitely did nothing: it saw nothing of the request, or refused it.
    pub(crate) fn is_unsent(&self) -> bool {
        match self {
            Self::Transport(error) => error.is_unsent(),
            Self::Answer(answer) => answer.is_rejected(),
            Self::Redirect(_) => true,
            _ => false,
        }
    }

    /// Whether it shows that nothing was done at this endpoint, and that another one may serve the call.
    pub(crate) fn is_not_served(&self) -> bool {
        match self {
            Self::Answer(answer) => answer.is_not_served(),
            Self::Redirect(_) => true,
            _ => false,
        }
    }

    /// Whether another attempt would only bring the same.
    pub(crate) fn is_final(&self) -> bool {
        match self {
            Self::Transport(error) => error.kind() == TransportErrorKind::Rejected,
            Self::TimedOut(_) | Self::Answer(_) | Self::Redirect(_) => false,
            Self::TooLarge(_) => true,
            Self::Refused(refused) => refused.is_final(),
        }
    }

    /// Whether another endpoint might do better.
    pub(crate) fn is_endpoint_fault(&self) -> bool {
        match self {
            Self::Transport(error) if error.kind() == TransportErrorKind::Unprocessed => false,
            Self::Answer(answer) => answer.is_endpoint_fault(),
            Self::Redirect(_) => false,
            Self::Refused(refused) => refused.is_endpoint_fault(),
            other => !other.is_final(),
        }
    }

    /// How long the server asks to wait before the next request.
    pub(crate) fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Answer(answer) => retry_after(&answer.reply.headers),
            _ => None,
        }
    }

    pub(crate) fn into_error(self, context: ErrorContext) -> Error {
        match self {
            Self::Transport(error) => Error::Transport(TransportFailure::new(context, error)),
            Self::TimedOut(limit) => Error::Timeout(TimeoutError::new(context, limit)),
            Self::Answer(answer) => Answer { context, ..*answer }.into_error(),
            Self::TooLarge(limit) => {
                let what = format!(
                    "the answer is larger than the client's limit of {limit} bytes: \
                     raise `max_response_size`, or ask for less"
                );
                Error::Unexpected(UnexpectedAnswer::new(context, what, Outcome::Unknown))
            }
            Self::Redirect(what) => {
                Error::Unexpected(UnexpectedAnswer::new(context, what, Outcome::Rejected))
            }
            Self::Refused(refused) => Error::Unexpected(refused.into_error(context)),
        }
    }
}

impl From<CollectError> for Failure {
    fn from(error: CollectError) -> Self {
        match error {
            CollectError::Transport(error) => Self::Transport(error),
            CollectError::TooLarge { limit } => Self::TooLarge(limit),
            other => Self::Transport(TransportError::interrupted(other)),
        }
    }
}
