use std::time::Duration;

use etcd_transport::Transport;

use super::{Execution, is_among};
use crate::{
    endpoints::state::EndpointState,
    pipeline::{attempt::Attempted, exchange::Prepared, hedge::Hedge},
};

/// The second endpoint of a read that is silent for a while.
impl<T: Transport> Execution<'_, T> {
    /// Returns when a read is sent to another endpoint as well.
    pub(super) fn hedge(&self, usual: Duration, limit: Duration) -> Option<Hedge> {
        let after = self.pipeline.hedge.filter(|after| *after < limit)?;
        let tokens = self.pipeline.retry_tokens.as_ref();
        if tokens.is_some_and(|tokens| !tokens.allows()) {
            return None;
        }
        (self.call.is_read && self.set.len() > 1).then(|| Hedge {
            began: self.now,
            after,
            limit,
            second: usual.min(self.left().saturating_sub(after)),
        })
    }

    /// Chooses the other endpoint of a read, and prepares the request for it.
    pub(super) async fn second(
        &self,
        prepared: &Prepared,
        endpoint: &EndpointState,
    ) -> Option<Result<(Prepared, EndpointState), Attempted>> {
        if self.pipeline.lifecycle.is_closed() {
            return None;
        }
        let mut asked = self.tried.clone();
        asked.push(endpoint.clone());
        let began = self.pipeline.transport.now();
        let (other, wire) = loop {
            let now = self.pipeline.transport.now();
            let other = self.set.pick(&asked, now);
            if is_among(&other, &asked) {
                return None;
            }
            if let Some(wire) = self.call.settled_wire_to(&other, now) {
                break (other, wire);
            }
            // It must not fail at once while the first endpoint is silent.
            let limit = self
                .left()
                .saturating_sub(now.saturating_duration_since(began));
            let found = self
                .pipeline
                .find_wire(self.call, &other, true, self.started, limit);
            match found.await {
                Ok(Some(wire)) => break (other, wire),
                // Another one may be chosen by what is known now.
                Ok(None) => {}
                Err(failure) => return Some(Err(Attempted::without_wire(other, began, failure))),
            }
        };
        let prepared = if wire == prepared.wire {
            prepared.clone()
        } else {
            Prepared {
                token: prepared.token.clone(),
                ..Prepared::new(self.exchange, *self.call, wire).ok()?
            }
        };
        Some(Ok((prepared, other)))
    }
}
