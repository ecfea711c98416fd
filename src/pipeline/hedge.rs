use std::{
    pin::pin,
    time::{Duration, Instant},
};

use etcd_transport::Transport;
use futures::future::{Either, select};

use crate::{
    endpoints::{set::EndpointSet, state::EndpointState},
    pipeline::{Pipeline, attempt::Attempted, exchange::Prepared},
};

/// The last attempt of a read, and the one at the other endpoint if that has failed before.
pub(crate) struct Hedged {
    pub(crate) last: Attempted,
    pub(crate) earlier: Option<Attempted>,
    /// Whether another endpoint was asked.
    pub(crate) is_hedged: bool,
}

/// When a read goes to another endpoint as well, and how long both may take.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Hedge {
    /// When the first attempt begins.
    pub(crate) began: Instant,
    pub(crate) after: Duration,
    pub(crate) limit: Duration,
    /// The limit of the second attempt.
    pub(crate) second: Duration,
}

impl<T: Transport> Pipeline<T> {
    /// Makes an attempt at a read, and after some silence another one at the endpoint that `second` chooses. The first
    /// response that is not a failure wins, and the other attempt is dropped.
    pub(crate) async fn attempt_hedged(
        &self,
        prepared: &Prepared,
        endpoint: &EndpointState,
        set: &EndpointSet,
        hedge: Hedge,
        second: impl Future<Output = Option<Result<(Prepared, EndpointState), Attempted>>>,
    ) -> Hedged {
        let mut first =
            pin!(self.attempt_checked(prepared, endpoint, set, hedge.limit, hedge.began));
        let sleep = self.transport.sleep(hedge.after);
        if let Either::Left((last, _)) = select(first.as_mut(), sleep).await {
            return Hedged::alone(last);
        }
        // Boxed, since it is rarely needed.
        let second = Box::pin(async {
            let (prepared, endpoint) = match second.await? {
                Ok(prepared) => prepared,
                Err(failed) => return Some(failed),
            };
            let began = self.transport.now();
            let attempt = self.attempt_checked(&prepared, &endpoint, set, hedge.second, began);
            Some(attempt.await)
        });
        let (last, earlier) = match select(first, second).await {
            Either::Left((failed, second)) if failed.result.is_err() => match second.await {
                Some(last) => (last, Some(failed)),
                None => return Hedged::alone(failed),
            },
            Either::Left((last, _)) => (last, None),
            Either::Right((None, first)) => return Hedged::alone(first.await),
            Either::Right((Some(failed), first)) if failed.result.is_err() => {
                (first.await, Some(failed))
            }
            Either::Right((Some(last), _)) => (last, None),
        };
        Hedged {
            last,
            earlier,
            is_hedged: true,
        }
    }
}

impl Hedged {
    /// No other endpoint was asked.
    pub(crate) fn alone(last: Attempted) -> Self {
        Self {
            last,
            earlier: None,
            is_hedged: false,
        }
    }
}
