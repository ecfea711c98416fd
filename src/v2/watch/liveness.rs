use std::{future::pending, time::Duration};

use etcd_transport::Transport;

use crate::{
    client::Client,
    endpoints::{
        liveness::{LivenessCheck, PROBE_LIMIT},
        state::EndpointState,
        wire::Wire,
    },
    error::{Error, EtcdErrorKind, Result},
    operation::StreamOperation,
    pipeline::{
        answer::Answer,
        call::Call,
        exchange::{Encoded, Exchange, Prepared},
        failure::Failure,
    },
    v2::{keys::Exists, members::GetLeader, protocol, watch::request::Watch},
};

/// After this time without a sign of life the server is asked whether it is alive.
const SILENCE: Duration = Duration::from_secs(5);

/// Resolves when the server of an open poll no longer responds. It is asked from time to time, once for all watches of a
/// client. Without another endpoint it is not: the end of each poll shows it soon enough.
pub(super) async fn lost<T: Transport>(
    client: &Client<T>,
    question: Ask,
    endpoint: EndpointState,
) -> Error {
    let pipeline = client.pipeline();
    let clock = &pipeline.transport;
    // The poll before was the last sign of life, and may have lasted for most of this time.
    let last_alive = endpoint.last_alive();
    let silent = last_alive.map_or(SILENCE, |at| clock.now().saturating_duration_since(at));
    let mut wait = match SILENCE.saturating_sub(silent) {
        Duration::ZERO => SILENCE,
        left => left,
    };
    if pipeline.endpoints.current().len() == 1 {
        return pending().await;
    }
    loop {
        clock.sleep(wait).await;
        let now = clock.now();
        wait = match endpoint.check_liveness(now, SILENCE) {
            LivenessCheck::Alive(at) => SILENCE.saturating_sub(now.saturating_duration_since(at)),
            LivenessCheck::Wait(time) => time,
            LivenessCheck::Lost => {
                let context = pipeline.context(&question.call(), &endpoint);
                return Failure::TimedOut(PROBE_LIMIT).into_error(context);
            }
            LivenessCheck::Ask => {
                let call = question.call();
                let Ok(prepared) = Prepared::new(&question, call, Wire::Http) else {
                    wait = SILENCE;
                    continue;
                };
                let limit = pipeline.timeout.min(PROBE_LIMIT);
                let set = pipeline.endpoints.current();
                let answer = pipeline.attempt(&prepared, &endpoint, &set, limit).await;
                if let Err(failure @ (Failure::Transport(_) | Failure::TimedOut(_))) = answer {
                    endpoint.mark_unresponsive(clock.now());
                    pipeline.note(&failure, &endpoint, clock.now());
                    return failure.into_error(pipeline.context(&call, &endpoint));
                }
                // Whatever it says, it is alive.
                endpoint.mark_alive(clock.now());
                SILENCE
            }
        };
    }
}

/// How often a member is asked for the leader.
const LEADER_INTERVAL: Duration = Duration::from_secs(10);

/// Leaves a member that has no leader where there is another one: it is cut off, and polls of its own data are silent for as long.
/// It is asked from time to time, once for all watches of a client.
pub(super) async fn leave_if_cut_off<T: Transport>(client: &Client<T>, endpoint: &EndpointState) {
    let pipeline = client.pipeline();
    let set = pipeline.endpoints.current();
    let now = pipeline.transport.now();
    if set.len() == 1 || !endpoint.asks_for_leader(now, LEADER_INTERVAL) {
        return;
    }
    let Ok(prepared) = Prepared::new(&GetLeader::new(), GetLeader::new().call(), Wire::Http) else {
        return;
    };
    let limit = pipeline.timeout.min(PROBE_LIMIT);
    let answer = pipeline.attempt(&prepared, endpoint, &set, limit).await;
    // Whether it responds is seen elsewhere.
    let Ok(Err(error)) = answer.map(Answer::success) else {
        return;
    };
    if error.etcd_kind() == Some(EtcdErrorKind::DuringLeaderElection) {
        endpoint.failed(pipeline.transport.now());
    }
}

/// Requests a key in the name of a watch.
pub(super) struct Ask(pub(super) Exists);

impl Exchange for Ask {
    fn call(&self) -> Call {
        protocol::KEYS.read(Watch::NAME)
    }

    fn encode(&self, wire: Wire) -> Result<Encoded> {
        self.0.encode(wire)
    }
}
