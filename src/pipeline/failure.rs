use std::time::Duration;

use etcd_transport::{CollectError, TransportError, TransportErrorKind};

use crate::{
    base::budget,
    endpoints::examination::is_unanswered,
    error::{
        CLOSED, Error, ErrorContext, Outcome, TimeoutError, TransportFailure, UnexpectedKind,
        UnexpectedResponse, with_cause,
    },
    pipeline::{answer::Answer, response_check::Refused, retry_after::retry_after},
};

/// Why an attempt failed.
#[derive(Debug)]
pub(crate) enum Failure {
    Transport(TransportError),
    TimedOut(Duration),
    /// The server currently cannot serve, or does not support this call.
    Answer(Box<Answer>),
    /// The response is larger than this, in bytes.
    TooLarge(usize),
    /// A redirect that is not followed, and why.
    Redirect(String),
    /// A response that is not accepted.
    Refused(Refused),
    /// The client is closed, before anything was sent or while a response was waited for.
    Closed {
        is_unsent: bool,
    },
}

impl Failure {
    /// Returns whether the server definitely did nothing: it did not receive the request, or refused it.
    pub(crate) fn is_unsent(&self) -> bool {
        match self {
            Self::Transport(error) => error.is_unsent(),
            Self::Answer(answer) => answer.is_rejected(),
            Self::Redirect(_) => true,
            Self::Closed { is_unsent } => *is_unsent,
            _ => false,
        }
    }

    /// Whether no connection was made: no server has had work with it.
    pub(crate) fn is_unconnected(&self) -> bool {
        match self {
            Self::Transport(error) => {
                error.kind() == TransportErrorKind::Connect && !is_unanswered(error)
            }
            _ => false,
        }
    }

    /// Whether the server has declared that it did not process the request.
    pub(crate) fn is_unprocessed(&self) -> bool {
        matches!(self, Self::Transport(error) if error.kind() == TransportErrorKind::Unprocessed)
    }

    /// Whether it shows that nothing was done at this endpoint, and that another one may serve the call.
    pub(crate) fn is_not_served(&self) -> bool {
        match self {
            Self::Transport(error) => error.kind() == TransportErrorKind::Untrusted,
            Self::Answer(answer) => answer.is_not_served(),
            Self::Redirect(_) => true,
            _ => false,
        }
    }

    /// Whether the call does not come to this endpoint again. One that requests a pause serves it afterwards.
    pub(crate) fn is_passed_over(&self) -> bool {
        self.is_not_served() && self.retry_after().is_none()
    }

    /// Returns whether another attempt would fail in the same way.
    pub(crate) fn is_final(&self) -> bool {
        match self {
            Self::Transport(error) => error.kind() == TransportErrorKind::Rejected,
            Self::TimedOut(_) | Self::Answer(_) | Self::Redirect(_) => false,
            Self::TooLarge(_) | Self::Closed { .. } => true,
            Self::Refused(refused) => refused.is_final(),
        }
    }

    /// Returns whether another endpoint may succeed.
    pub(crate) fn is_endpoint_fault(&self) -> bool {
        match self {
            unprocessed if unprocessed.is_unprocessed() => false,
            Self::Answer(answer) => answer.is_endpoint_fault(),
            Self::Redirect(_) => false,
            Self::Refused(refused) => refused.is_endpoint_fault(),
            other => !other.is_final(),
        }
    }

    /// Why the attempt failed, without keys and values.
    pub(crate) fn reason(&self) -> Option<String> {
        Some(match self {
            Self::Transport(error) => with_cause(error),
            Self::TimedOut(limit) => format!("no response within {limit:?}"),
            Self::Answer(answer) => return answer.reason(),
            Self::TooLarge(limit) => format!("the response is larger than {limit} bytes"),
            // Its text has the location, which has a key.
            Self::Redirect(_) => "a redirect that is not followed".to_owned(),
            Self::Refused(refused) => refused.what(),
            Self::Closed { .. } => CLOSED.to_owned(),
        })
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
            Self::Transport(error) => Error::Transport(TransportFailure::of(context, error)),
            Self::TimedOut(limit) => Error::Timeout(TimeoutError::of(context, limit)),
            Self::Answer(mut answer) => {
                answer.context = context;
                answer.into_error()
            }
            Self::TooLarge(limit) => {
                let what = format!(
                    "the response is larger than the client's limit of {limit} bytes: \
                     raise `max_response_size`, or ask for less"
                );
                let answer = UnexpectedResponse::of(context, what, Outcome::Unknown);
                Error::Unexpected(answer.with_kind(UnexpectedKind::TooLarge))
            }
            Self::Redirect(what) => {
                let answer = UnexpectedResponse::of(context, what, Outcome::Rejected);
                Error::Unexpected(answer.with_kind(UnexpectedKind::Foreign))
            }
            Self::Refused(refused) => Error::Unexpected(refused.into_error(context)),
            Self::Closed { is_unsent } => Error::closed_at(context).after_doubt(!is_unsent),
        }
    }
}

/// The error for a response that takes more memory than the client allows, by the budget for responses of `limit` bytes.
pub(crate) fn too_large_decoded(context: ErrorContext, limit: usize) -> Error {
    let what = format!(
        "decoded, the response takes more than {} times the client's limit of {limit} bytes: \
         raise `max_response_size`, or ask for less",
        budget::TIMES
    );
    let answer = UnexpectedResponse::of(context, what, Outcome::Unknown);
    Error::Unexpected(answer.with_kind(UnexpectedKind::TooLarge))
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
