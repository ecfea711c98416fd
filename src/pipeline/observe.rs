use std::{fmt, sync::Arc, time::Duration};

use http::StatusCode;

use crate::{
    base::{endpoint::Endpoint, trace},
    endpoints::state::EndpointState,
    error::{Error, Outcome},
    pipeline::{answer::Answer, failure::Failure, stats::Collector},
};

/// The result of one attempt: one request to one endpoint. It contains no key, no value and no credentials.
///
/// [`ClientBuilder::observe`](crate::ClientBuilder::observe) passes each attempt to a function, for metrics. With the
/// feature `tracing`, each attempt is a span and an event of the level DEBUG, too; and an endpoint that fails, a lease that is lost,
/// and a watch or a mirror that has lost changes are events of the level WARN; the [protocol](crate::Protocol) that was found
/// out for an endpoint, an endpoint that responds again, and a stream that is interrupted are ones of the level INFO. An attempt that was dropped before its end is not
/// reported. A request of a stream is reported when its response begins, and again if it fails later.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Attempt {
    /// The operation's name, such as `"v2.keys.set"`.
    pub operation: &'static str,
    /// Where the request was sent.
    pub endpoint: Endpoint,
    /// Which attempt of the operation it was, from 1. Each poll of a watch is a first attempt.
    pub number: u32,
    /// The status of the response, if there was one.
    pub status: Option<StatusCode>,
    /// The time from the first byte sent to the last byte received, or to the failure, by the transport's clock.
    pub elapsed: Duration,
    /// The outcome of the attempt.
    pub outcome: AttemptOutcome,
    /// Why it failed, or what etcd refused it with, without keys and values; `None` after a success.
    pub reason: Option<String>,
}

impl Attempt {
    /// A first attempt without a status that took no time. For your own tests.
    pub fn new(operation: &'static str, endpoint: Endpoint, outcome: AttemptOutcome) -> Self {
        Self {
            operation,
            endpoint,
            number: 1,
            status: None,
            elapsed: Duration::ZERO,
            outcome,
            reason: None,
        }
    }
}

/// The outcome of an attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum AttemptOutcome {
    /// A response, possibly an error.
    Answered,
    /// A long poll without an event. On a busy store it stays open while the next one is sent, and is reported again if
    /// it delivers an event.
    Quiet,
    /// A status of 500, 502, 503 or 504, or an equivalent error of the v3 API.
    Unavailable,
    /// A response that the client does not accept: too large, encoded, stale, from another cluster, or a redirect to
    /// another host.
    Refused,
    /// No response within the time limit of an attempt.
    TimedOut,
    /// The exchange broke off; the server may have processed the request.
    Interrupted,
    /// The server received nothing.
    NotSent,
}

impl AttemptOutcome {
    /// Returns one word in lower case, for a label.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Answered => "answered",
            Self::Quiet => "quiet",
            Self::Unavailable => "unavailable",
            Self::Refused => "refused",
            Self::TimedOut => "timed_out",
            Self::Interrupted => "interrupted",
            Self::NotSent => "not_sent",
        }
    }
}

impl fmt::Display for AttemptOutcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Calls a function after every attempt, and counts it.
#[derive(Clone, Default)]
pub(crate) struct Observer {
    observe: Option<Arc<Observe>>,
    stats: Option<Arc<Collector>>,
}

type Observe = dyn Fn(&Attempt) + Send + Sync;

impl Observer {
    pub(crate) fn new(observe: impl Fn(&Attempt) + Send + Sync + 'static) -> Self {
        Self {
            observe: Some(Arc::new(observe)),
            stats: None,
        }
    }

    /// Counts the attempts, too.
    pub(crate) fn counting(self, stats: Option<Arc<Collector>>) -> Self {
        Self { stats, ..self }
    }

    /// Reports an attempt. `attempt` is called only if there is an observer.
    pub(crate) fn report(&self, attempt: impl FnOnce() -> Attempt) {
        if self.observe.is_none() && self.stats.is_none() && !trace::is_enabled() {
            return;
        }
        let attempt = attempt();
        #[cfg(feature = "tracing")]
        event(&attempt);
        if let Some(stats) = &self.stats {
            stats.attempted(&attempt);
        }
        if let Some(observe) = &self.observe {
            observe(&attempt);
        }
    }
}

#[cfg(feature = "tracing")]
fn event(attempt: &Attempt) {
    tracing::debug!(
        target: "etcd_http",
        operation = attempt.operation,
        endpoint = %attempt.endpoint,
        attempt = attempt.number,
        status = attempt.status.map(|status| status.as_u16()),
        elapsed = attempt.elapsed.as_secs_f64(),
        outcome = attempt.outcome.as_str(),
        reason = attempt.reason.as_deref(),
    );
}

impl fmt::Debug for Observer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.observe.is_some() {
            "Observer"
        } else {
            "None"
        })
    }
}

/// How an attempt ended.
pub(crate) struct Report {
    pub(crate) outcome: AttemptOutcome,
    pub(crate) status: Option<StatusCode>,
    pub(crate) reason: Option<String>,
}

impl Report {
    /// Returns the attempt that ended so.
    pub(crate) fn attempt(
        self,
        operation: &'static str,
        endpoint: &EndpointState,
        number: u32,
        elapsed: Duration,
    ) -> Attempt {
        Attempt {
            operation,
            endpoint: endpoint.endpoint().clone(),
            number,
            status: self.status,
            elapsed,
            outcome: self.outcome,
            reason: self.reason,
        }
    }

    /// There was a response with this status.
    pub(crate) fn answered(status: StatusCode) -> Self {
        Self {
            outcome: AttemptOutcome::Answered,
            status: Some(status),
            reason: None,
        }
    }

    /// A long poll without an event.
    pub(crate) fn quiet() -> Self {
        Self {
            outcome: AttemptOutcome::Quiet,
            status: None,
            reason: None,
        }
    }

    /// There was this response.
    pub(crate) fn of_answer(answer: &Answer) -> Self {
        Self {
            reason: answer.reason(),
            ..Self::answered(answer.reply.status)
        }
    }

    /// The request of a stream ended in this error, after its head.
    pub(crate) fn of_error(error: &Error) -> Self {
        use AttemptOutcome::{Answered, Interrupted, NotSent, Refused, TimedOut, Unavailable};
        let outcome = match error {
            Error::Transport(_) if error.outcome() == Outcome::NotSent => NotSent,
            Error::Transport(_) => Interrupted,
            Error::Timeout(_) => TimedOut,
            Error::Etcd(_) | Error::Http(_) if error.is_retryable() => Unavailable,
            Error::Etcd(_) | Error::Http(_) | Error::Unsupported(_) => Answered,
            Error::Unexpected(_) | Error::Invalid(_) => Refused,
        };
        let status = match error {
            Error::Etcd(error) => error.http_status(),
            Error::Http(error) => Some(error.status()),
            _ => None,
        };
        Self {
            outcome,
            status,
            reason: Some(error.reason()),
        }
    }

    /// It failed.
    pub(crate) fn of_failure(failure: &Failure) -> Self {
        use AttemptOutcome::{Answered, Interrupted, NotSent, Refused, TimedOut, Unavailable};
        let (outcome, status) = match failure {
            Failure::Transport(error) if error.is_unsent() => (NotSent, None),
            Failure::Closed { is_unsent: true } => (NotSent, None),
            Failure::Transport(_) | Failure::Closed { .. } => (Interrupted, None),
            Failure::TimedOut(_) => (TimedOut, None),
            Failure::Answer(answer) => {
                let is_unavailable = answer.is_unavailable();
                let outcome = if is_unavailable {
                    Unavailable
                } else {
                    Answered
                };
                (outcome, Some(answer.reply.status))
            }
            Failure::Refused(refused) => (Refused, Some(refused.status())),
            Failure::TooLarge(_) | Failure::Redirect(_) => (Refused, None),
        };
        Self {
            outcome,
            status,
            reason: failure.reason(),
        }
    }
}

#[cfg(test)]
mod tests {
    use etcd_transport::TransportError;

    use super::*;
    use crate::error::{EtcdError, TimeoutError, TransportFailure};

    #[test]
    fn the_outcome_of_a_stream_is_that_of_its_error() {
        let endpoint: Endpoint = "http://a".parse().unwrap();
        let name = "test";
        let transport =
            |error| Error::Transport(TransportFailure::new(name, endpoint.clone(), error));
        let etcd =
            |code, message| Error::Etcd(EtcdError::v3(name, endpoint.clone(), code, message));
        let timeout = TimeoutError::new(name, endpoint.clone(), Duration::from_secs(1));
        for (error, outcome) in [
            (
                transport(TransportError::unprocessed("GOAWAY")),
                AttemptOutcome::NotSent,
            ),
            (
                transport(TransportError::interrupted("reset")),
                AttemptOutcome::Interrupted,
            ),
            (Error::Timeout(timeout), AttemptOutcome::TimedOut),
            (
                etcd(14, "etcdserver: no leader"),
                AttemptOutcome::Unavailable,
            ),
            (
                etcd(7, "etcdserver: permission denied"),
                AttemptOutcome::Answered,
            ),
            (Error::invalid(name, "x"), AttemptOutcome::Refused),
        ] {
            assert_eq!(Report::of_error(&error).outcome, outcome, "{error}");
        }
    }
}
