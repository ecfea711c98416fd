use std::{pin::pin, time::Duration};

use etcd_transport::{Transport, TransportError};
use futures::future::{BoxFuture, Either, select};

use crate::{
    endpoints::{set::EndpointSet, state::EndpointState},
    error::{Refusal, Result},
    pipeline::{
        Pipeline,
        answer::{Answer, Verdict},
        exchange::{Exchange, Prepared, call_of},
        failure::Failure,
    },
};

/// What is asked while a member lets a call wait: whether the member is alive, and whether there is still something to wait
/// for.
pub struct Probe {
    /// How long to wait before each question to the member.
    pub(crate) interval: Duration,
    /// The question to the member.
    pub(crate) exchange: Box<dyn Exchange>,
    /// Returns what a response to it means for the waiting call.
    pub(crate) finding: Box<Find<Finding>>,
    /// What to ask the other members once this one does not respond, if they can know.
    pub(crate) queue: Option<Queue>,
}

/// What a response to a question means.
pub(crate) type Find<F> = dyn Fn(&Answer) -> F + Send + Sync;

/// What a member says about a call that waits there.
pub(crate) enum Finding {
    /// It may go on waiting.
    Waiting,
    /// It waits for nothing: this is its refusal.
    Refused(Box<Refusal>),
    /// What it waits with is gone, for this reason. What the member makes of it is unknown.
    Gone(String),
}

/// The queue in which a call waits, as far as every member knows it.
pub(crate) struct Queue {
    /// Asks for the position of the call.
    pub(crate) exchange: Box<dyn Exchange>,
    /// Returns the position that a response shows, if it shows one.
    pub(crate) position: Box<Find<Option<QueuePosition>>>,
    /// Why the call ends when it is first and its member does not respond, and what to do.
    pub(crate) first_reason: &'static str,
}

/// The position of a call in a queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum QueuePosition {
    First,
    Behind,
    /// It is not in the queue.
    Absent,
}

/// So many times in a row a member may say that it cannot serve, as during the election of a leader.
const MAX_UNAVAILABLE: u32 = 3;

/// How often the other members are asked for the position in the queue.
const QUEUE_INTERVAL: Duration = Duration::from_secs(1);

impl<T: Transport> Pipeline<T> {
    /// Makes an attempt at a call that waits at a member, and probes the member meanwhile.
    ///
    /// A member that does not respond is no longer asked. As long as others say that the call is behind in its queue, the
    /// attempt goes on, for the member may return. It ends when the call is first there, or absent. Whether the member
    /// carries the call out is unknown then: once the attempt is dropped, the member removes the call from the queue when it
    /// returns, so that what the others say is no success. It ends as well when the client is closed.
    pub(crate) async fn attempt_probed(
        &self,
        prepared: &Prepared,
        endpoint: &EndpointState,
        set: &EndpointSet,
        limit: Duration,
        probe: &Probe,
    ) -> Result<Box<Answer>, Failure> {
        let attempt = pin!(self.attempt(prepared, endpoint, set, limit));
        let watch = pin!(self.watch(prepared, endpoint, set, probe));
        let closed = pin!(self.lifecycle.ended(true));
        match select(select(attempt, watch), closed).await {
            Either::Left((Either::Left((result, _)) | Either::Right((result, _)), _)) => result,
            Either::Right(_) => Err(Failure::Closed { is_unsent: false }),
        }
    }

    /// Probes a member, and then the others, until there is nothing to wait for.
    async fn watch(
        &self,
        prepared: &Prepared,
        endpoint: &EndpointState,
        set: &EndpointSet,
        probe: &Probe,
    ) -> Result<Box<Answer>, Failure> {
        let failure = match self.watch_member(prepared, endpoint, set, probe).await {
            Ok(answer) => return Ok(answer),
            Err(Lost::Wait(failure)) => return Err(failure),
            Err(Lost::Member(failure)) => failure,
        };
        endpoint.failed(self.transport.now());
        match &probe.queue {
            Some(queue) if set.len() > 1 => self.watch_queue(probe, queue, failure).await,
            _ => Err(failure),
        }
    }

    /// Probes a member until it is lost, or says that there is nothing to wait for.
    async fn watch_member(
        &self,
        prepared: &Prepared,
        endpoint: &EndpointState,
        set: &EndpointSet,
        probe: &Probe,
    ) -> Result<Box<Answer>, Lost> {
        let exchange = &*probe.exchange;
        let call = call_of(exchange, self.apis);
        let mut unavailable = 0;
        loop {
            self.transport.sleep(probe.interval).await;
            // An exchange that is not encoded is a probe of nothing, and says nothing about the member.
            let Ok(question) = Prepared::new(exchange, call, call.wire_to(endpoint)) else {
                continue;
            };
            let question = Prepared {
                token: prepared.token.clone(),
                ..question
            };
            let answer = match self.attempt(&question, endpoint, set, self.timeout).await {
                Ok(answer) => answer,
                Err(Failure::TimedOut(limit)) => {
                    return Err(Lost::Member(Failure::TimedOut(limit)));
                }
                Err(failure) => {
                    let error = failure.into_error(self.context(&call, endpoint));
                    return Err(Lost::Member(broken(error)));
                }
            };
            match (probe.finding)(&answer) {
                Finding::Waiting => {}
                Finding::Refused(refusal) => return Ok(refused(answer, refusal)),
                Finding::Gone(reason) => return Err(Lost::Wait(broken(reason))),
            }
            unavailable = if answer.is_unavailable() {
                unavailable + 1
            } else {
                0
            };
            if unavailable == MAX_UNAVAILABLE {
                return Err(Lost::Member(broken(answer.into_error())));
            }
        }
    }

    /// Asks the other members for the position in the queue, until it is the first, or absent. `failure` is that of the
    /// member where the call waits.
    async fn watch_queue(
        &self,
        probe: &Probe,
        queue: &Queue,
        failure: Failure,
    ) -> Result<Box<Answer>, Failure> {
        let mut was_first = false;
        loop {
            let Ok(answer) = self.ask(&*queue.exchange).await else {
                return Err(failure);
            };
            match (queue.position)(&answer) {
                Some(QueuePosition::Behind) => was_first = false,
                // The member may have returned, and be about to say so.
                Some(QueuePosition::First) if !was_first => was_first = true,
                Some(QueuePosition::First) => return Err(broken(queue.first_reason)),
                Some(QueuePosition::Absent) => break,
                None => return Err(failure),
            }
            self.transport.sleep(QUEUE_INTERVAL).await;
        }
        let Ok(answer) = self.ask(&*probe.exchange).await else {
            return Err(failure);
        };
        match (probe.finding)(&answer) {
            Finding::Refused(refusal) => Ok(refused(answer, refusal)),
            Finding::Gone(reason) => Err(broken(reason)),
            Finding::Waiting => Err(failure),
        }
    }

    /// Executes another call. Boxed, for it is executed within a call.
    pub(super) fn ask<'a>(
        &'a self,
        exchange: &'a dyn Exchange,
    ) -> BoxFuture<'a, Result<Box<Answer>>> {
        Box::pin(self.execute(exchange))
    }
}

/// Why a wait is over.
enum Lost {
    /// The member no longer responds.
    Member(Failure),
    /// There is nothing to wait for.
    Wait(Failure),
}

/// The response of a call that waits for nothing.
pub(super) fn refused(mut answer: Box<Answer>, refusal: Box<Refusal>) -> Box<Answer> {
    answer.verdict = Verdict::Refused(refusal);
    answer
}

/// The call was sent before, whatever became of the probe.
fn broken(reason: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Failure {
    Failure::Transport(TransportError::interrupted(reason))
}
