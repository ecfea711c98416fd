use etcd_transport::Transport;

use crate::{
    auth::token::Granted,
    client::Client,
    error::Result,
    pipeline::{Pipeline, exchange::Prepared},
};

/// The credentials of a watch's polls, if they are provided.
#[derive(Default)]
pub(super) struct PollCredentials {
    last: Granted,
    /// Others were asked for, as the last ones were refused.
    is_renewed: bool,
}

impl PollCredentials {
    /// Adds them to a poll.
    pub(super) async fn add_to<T: Transport>(
        &mut self,
        prepared: &mut Prepared,
        client: &Client<T>,
    ) -> Result<()> {
        let pipeline = client.pipeline();
        if pipeline.needs_token(&prepared.call) {
            let limit = prepared.call.deadline.overall(&pipeline.retry);
            self.last = pipeline.token(&prepared.call, None, limit).await?;
            prepared.token.clone_from(&self.last);
        }
        Ok(())
    }

    /// Whether there are others than those of this poll, which etcd has refused. They are asked for once.
    pub(super) async fn have_changed<T: Transport>(
        &mut self,
        refused: &Prepared,
        pipeline: &Pipeline<T>,
    ) -> Result<bool> {
        let call = &refused.call;
        if self.is_renewed || !pipeline.needs_token(call) {
            return Ok(false);
        }
        let limit = call.deadline.overall(&pipeline.retry);
        // Where the provider fails, the poll is refused again, and it is asked again.
        let provided = pipeline.token(call, Some(&self.last), limit).await?;
        self.is_renewed = true;
        Ok(provided != self.last)
    }

    /// etcd has accepted them.
    pub(super) fn accepted(&mut self) {
        self.is_renewed = false;
    }
}
