use std::mem;

use etcd_transport::{Transport, TransportErrorKind};

use super::Execution;
use crate::{
    endpoints::{state::EndpointState, wire::Wire},
    pipeline::{attempt::Attempted, failure::Failure, observe::Report, wire::WireLesson},
};

/// The wires of a call that is being executed.
impl<T: Transport> Execution<'_, T> {
    /// Finds out the endpoint's wire. If that fails, so has the attempt: nothing of the call was sent. Returns `None` if another
    /// endpoint is chosen by what is known now.
    pub(super) async fn find_wire(
        &mut self,
        endpoint: &EndpointState,
    ) -> Result<Option<Wire>, Attempted> {
        let (pipeline, call, came) = (self.pipeline, self.call, self.started);
        let must_examine = mem::take(&mut self.must_examine);
        loop {
            let (began, limit) = (self.now, self.left());
            let found = pipeline.find_wire(call, endpoint, must_examine, came, limit);
            // Boxed, since it is needed once for each endpoint.
            let found = Box::pin(found).await;
            self.now = pipeline.transport.now();
            match found {
                Ok(None) if self.choose().0.is(endpoint) => {}
                Ok(found) => return Ok(found),
                Err(failure) => {
                    self.attempts += 1;
                    return Err(Attempted::without_wire(endpoint.clone(), began, failure));
                }
            }
        }
    }

    /// Takes in what an attempt shows about the endpoint's wire. Returns whether the call is sent again because of that,
    /// which is not a retry.
    pub(super) fn changes_wire(&mut self, attempted: &Attempted) -> bool {
        let Attempted {
            endpoint,
            wire,
            began,
            result,
        } = attempted;
        let lesson = self.pipeline.learn(self.call, *wire, endpoint, result);
        if lesson == WireLesson::None || self.rewired == MAX_REWIRED {
            self.rewired = 0;
            return false;
        }
        match result {
            Ok(answer) => self.report(endpoint, *began, || Report::of_answer(answer)),
            // A request that the transport rejects was none.
            Err(Failure::Transport(error)) if error.kind() == TransportErrorKind::Rejected => {}
            Err(failure) => self.report(endpoint, *began, || Report::of_failure(failure)),
        }
        self.rewired += 1;
        self.attempts = self.attempts.saturating_sub(1);
        self.must_examine = lesson == WireLesson::Examine;
        self.now = self.pipeline.transport.now();
        true
    }
}

/// How often in a row the wire may turn out to be another one.
const MAX_REWIRED: u32 = 3;
