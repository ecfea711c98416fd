use std::{pin::pin, time::Duration};

use etcd_transport::{Transport, TransportError};
use futures::future::{Either, select};

use crate::{
    endpoints::{set::EndpointSet, state::EndpointState},
    error::{Error, Refusal},
    pipeline::{
        Pipeline,
        answer::{Answer, Verdict},
        exchange::{Exchange, Prepared},
        failure::Failure,
    },
};

/// What a member is asked while it lets a call wait: whether it is alive, and whether there is still something to wait for.
pub struct Probe {
    /// How long to wait before each question.
    pub(crate) interval: Duration,
    /// The question.
    pub(crate) exchange: Box<dyn Exchange>,
    /// Returns the refusal of the waiting call that a response implies, if any.
    pub(crate) refusal: fn(&Answer) -> Option<Refusal>,
}

/// So many times in a row a member may say that it cannot serve, as during the election of a leader.
const MAX_UNAVAILABLE: u32 = 3;

impl<T: Transport> Pipeline<T> {
    /// Makes an attempt at a call that waits at a member, and probes the member meanwhile.
    ///
    /// A member that does not respond is given up. Whether it carries the call out is unknown then.
    pub(crate) async fn attempt_probed(
        &self,
        prepared: &Prepared,
        endpoint: &EndpointState,
        set: &EndpointSet,
        limit: Duration,
        probe: &Probe,
    ) -> Result<Answer, Failure> {
        let attempt = pin!(self.attempt(prepared, endpoint, set, limit));
        let watch = pin!(self.watch(prepared, endpoint, set, probe));
        match select(attempt, watch).await {
            Either::Left((result, _)) | Either::Right((result, _)) => result,
        }
    }

    /// Probes a member until there is nothing to wait for.
    async fn watch(
        &self,
        prepared: &Prepared,
        endpoint: &EndpointState,
        set: &EndpointSet,
        probe: &Probe,
    ) -> Result<Answer, Failure> {
        let exchange = &*probe.exchange;
        let call = exchange.call();
        let mut unavailable = 0;
        loop {
            self.transport.sleep(probe.interval).await;
            // An exchange that is not encoded is a probe of nothing, and says nothing about the member.
            let Ok(question) = Prepared::new(exchange, call, endpoint.wire_of(&call)) else {
                continue;
            };
            let question = Prepared {
                token: prepared.token.clone(),
                ..question
            };
            let answer = match self.attempt(&question, endpoint, set, self.timeout).await {
                Ok(answer) => answer,
                Err(Failure::TimedOut(limit)) => return Err(Failure::TimedOut(limit)),
                Err(failure) => {
                    return Err(lost(failure.into_error(self.context(&call, endpoint))));
                }
            };
            if let Some(refusal) = (probe.refusal)(&answer) {
                let verdict = Verdict::Refused(Box::new(refusal));
                return Ok(Answer { verdict, ..answer });
            }
            unavailable = if answer.is_unavailable() {
                unavailable + 1
            } else {
                0
            };
            if unavailable == MAX_UNAVAILABLE {
                return Err(lost(answer.into_error()));
            }
        }
    }
}

/// The member is lost. The call was sent to it before, whatever became of the probe.
fn lost(error: Error) -> Failure {
    Failure::Transport(TransportError::interrupted(error))
}
