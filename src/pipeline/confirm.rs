use std::time::{Duration, Instant};

use etcd_transport::Transport;

use crate::{
    error::{Error, Outcome, Refusal, Result, UnexpectedResponse},
    pipeline::{
        Pipeline,
        answer::Answer,
        exchange::Exchange,
        probe::{Find, refused},
    },
};

/// What to ask after a success that etcd may report although what was acquired is gone.
pub struct Confirmation {
    /// Reads what was acquired.
    pub(crate) exchange: Box<dyn Exchange>,
    /// Returns whether a success of that shows that it is still there.
    pub(crate) is_there: Box<Find<Result<bool>>>,
    /// Asks why it is gone.
    pub(crate) reason: Box<dyn Exchange>,
    /// Returns the refusal that a response to that stands for, if it tells the reason.
    pub(crate) refusal: Box<Find<Option<Refusal>>>,
    /// What is gone, for the error without a reason.
    pub(crate) gone: String,
}

impl<T: Transport> Pipeline<T> {
    /// Returns a success once it is confirmed, within the time that is `left`.
    ///
    /// # Errors
    /// The refusal that tells why what was acquired is gone. Otherwise the outcome is unknown.
    pub(crate) async fn confirm(
        &self,
        confirmation: Confirmation,
        success: Box<Answer>,
        left: Duration,
    ) -> Result<Box<Answer>> {
        let Confirmation {
            exchange,
            is_there,
            reason,
            refusal,
            gone,
        } = confirmation;
        let unknown = |error: Error| error.after_doubt(true);
        let end = self.transport.now() + left;
        let found = self.ask_until(end, &*exchange).await;
        let found = found.and_then(|found| found.success()).map_err(unknown)?;
        if is_there(&found).map_err(unknown)? {
            return Ok(success);
        }
        let answer = self.ask_until(end, &*reason).await.map_err(unknown)?;
        Err(match refusal(&answer) {
            Some(refusal) => {
                let error = refused(answer, Box::new(refusal)).into_error();
                error.after_doubt(success.is_in_doubt())
            }
            None => Error::Unexpected(UnexpectedResponse::of(
                found.context,
                gone,
                Outcome::Unknown,
            )),
        })
    }

    /// Executes another call, by this time at the latest.
    async fn ask_until(&self, end: Instant, exchange: &dyn Exchange) -> Result<Box<Answer>> {
        let left = end.saturating_duration_since(self.transport.now());
        let limited = Self {
            retry: self.retry.clone().overall(left.min(self.retry.overall)),
            ..self.clone()
        };
        limited.ask(exchange).await
    }
}
