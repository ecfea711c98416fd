use etcd_transport::Transport;

use crate::{
    endpoints::state::EndpointState,
    error::{Error, Result, Unsupported},
    pipeline::{
        Pipeline,
        answer::Answer,
        call::Call,
        exchange::{Exchange, Prepared, call_of},
    },
};

/// Chooses endpoints for calls that do not try others by themselves.
impl<T: Transport> Pipeline<T> {
    /// Prepares an exchange for one attempt at this endpoint.
    pub(crate) async fn prepare(
        &self,
        exchange: &dyn Exchange,
        endpoint: &EndpointState,
    ) -> Result<Prepared> {
        let call = call_of(exchange, self.apis);
        let mut prepared = Prepared::new(exchange, call, call.wire_to(endpoint))?;
        if self.needs_token(&call) {
            let limit = call.deadline.overall(&self.retry);
            prepared.token = self.token(&call, None, limit).await?;
        }
        Ok(prepared)
    }

    /// Chooses the endpoint of a call that does not try other endpoints by itself.
    ///
    /// # Errors
    /// [`Error::Unsupported`] if no endpoint supports it, as far as is known.
    pub(crate) fn endpoint_for(&self, call: &Call) -> Result<EndpointState> {
        let now = self.transport.now();
        let set = self.endpoints.current();
        let avoided = self.endpoints.avoided(&set, call.feature, now);
        if avoided.len() == set.len() {
            return Err(self.unsupported(call));
        }
        Ok(set.pick(&avoided, now))
    }

    /// Remembers that an endpoint does not serve a call, and chooses another one that is not known for that.
    pub(crate) fn endpoint_after(&self, answer: &Answer, call: &Call) -> Option<EndpointState> {
        self.pass_over(call, &answer.endpoint, answer.is_unsupported_by_etcd());
        self.other_endpoint(call)
    }

    /// Remembers that an endpoint does not serve a call; `is_certain` if etcd itself says so.
    pub(crate) fn pass_over(&self, call: &Call, endpoint: &EndpointState, is_certain: bool) {
        let now = self.transport.now();
        self.endpoints
            .add_unsupported(endpoint, call.feature, is_certain, now);
    }

    /// Chooses an endpoint that is not known for not serving a call.
    pub(crate) fn other_endpoint(&self, call: &Call) -> Option<EndpointState> {
        let now = self.transport.now();
        let set = self.endpoints.current();
        let passed_over = self.endpoints.passed_over(&set, call.feature, now);
        (passed_over.len() < set.len()).then(|| set.pick(&passed_over, now))
    }

    /// Returns the error for a call that is not sent because every endpoint has said that it does not support it.
    pub(super) fn unsupported(&self, call: &Call) -> Error {
        Error::Unsupported(Unsupported::known(self.next_context(call.operation)))
    }
}
