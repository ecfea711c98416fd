use std::time::Duration;

use etcd_transport::Transport;

use super::Execution;
use crate::pipeline::failure::Failure;

/// The retry budget of the client.
impl<T: Transport> Execution<'_, T> {
    /// Takes a token for a failed attempt, unless it costs nothing. `pause` is how long the retry policy would wait before the next
    /// one, if it allows one. Returns whether the budget does.
    pub(super) fn take_token(&self, failure: &Failure, pause: Option<Duration>) -> bool {
        let Some(tokens) = &self.pipeline.retry_tokens else {
            return true;
        };
        let is_free = match failure {
            // A server may close a connection at any time, but not one after the other.
            unprocessed if unprocessed.is_unprocessed() => self.attempts == 1,
            // It moves on to another endpoint, and no server has had work with it.
            unconnected if unconnected.is_unconnected() => pause == Some(Duration::ZERO),
            // The caller had no more time.
            late if pause.is_none() && self.is_call_deadline(late) => true,
            // The endpoint is healthy, except for this call.
            other => other.is_final() || other.is_passed_over() && !other.is_endpoint_fault(),
        };
        is_free || tokens.failed()
    }
}
