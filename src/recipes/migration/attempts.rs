use std::time::Duration;

use etcd_transport::Transport;

use crate::{
    error::{Error, Outcome, Result},
    recipes::wait::Pauses,
};

/// How requests that are safe to repeat are repeated.
#[derive(Clone, Copy, Debug)]
pub(super) struct Attempts {
    limit: Duration,
    is_final: fn(&Error) -> bool,
}

impl Attempts {
    /// Repeats a request for as long as this, while another attempt may succeed.
    pub(super) fn new(limit: Duration) -> Self {
        Self {
            limit,
            is_final: |_| false,
        }
    }

    /// Sets which errors are not tried again, besides those that cannot be resolved by that.
    pub(super) fn but_for(mut self, is_final: fn(&Error) -> bool) -> Self {
        self.is_final = is_final;
        self
    }

    /// Sends a request until its outcome is definite, or the limit has passed. A failure says so if any attempt may have been
    /// applied.
    pub(super) async fn repeat<T: Transport, O, F: Future<Output = Result<O>>>(
        self,
        transport: &T,
        mut attempt: impl FnMut() -> F,
    ) -> Result<O> {
        let begun = transport.now();
        let mut pauses = Pauses::default();
        let mut doubt: Option<Error> = None;
        loop {
            // On the heap, as all that is large here: futures of recipes are nested deeply.
            let error = match Box::pin(attempt()).await {
                Ok(output) => return Ok(output),
                Err(error) => error,
            };
            let elapsed = transport.now().saturating_duration_since(begun);
            let is_last =
                pauses.is_final(&error) || (self.is_final)(&error) || elapsed >= self.limit;
            if is_last {
                let is_unknown = error.outcome() == Outcome::Unknown;
                return Err(doubt.filter(|_| !is_unknown).unwrap_or(error));
            }
            if error.outcome() == Outcome::Unknown {
                doubt = Some(error);
            }
            pauses.pause(transport).await;
        }
    }
}
