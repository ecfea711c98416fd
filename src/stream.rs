use std::{pin::pin, time::Duration};

use bytes::{Bytes, BytesMut};
use etcd_transport::{IdleLimit, Transport};
use futures::future::{Either, select};
use http::HeaderMap;

use crate::{
    Attempt, AttemptOutcome, Call, Reply,
    endpoints::Place,
    exchange::{Failure, Road},
};

/// How long a poll is silent after its head before its silence means something: an event that was on its way then has
/// arrived, even if a packet had to be sent again.
const SETTLED: Duration = Duration::from_secs(1);

/// What came of a long poll.
pub(crate) enum Polled {
    /// An answer, whole.
    Answer(Reply),
    /// Nothing within the time; the head's headers, if at least the head came.
    Quiet(Option<HeaderMap>),
}

impl<T: Transport> Road<T> {
    /// Sends a call to one endpoint, once, and lets the server take its time, `age` at most. No time limit but this one
    /// applies before the first byte of the body; then the rest is to come within the usual one.
    ///
    /// Some transports cannot tell the head before the body's first byte; a missing head proves nothing.
    pub(crate) async fn poll(
        &self,
        call: &Call,
        place: &Place,
        age: Duration,
    ) -> Result<Polled, Failure> {
        let started = self.transport.now();
        let polled = self.poll_once(call, place, age).await;
        self.observer.tell(|| {
            let (outcome, status) = AttemptOutcome::of_poll(&polled);
            Attempt {
                operation: call.operation,
                endpoint: place.endpoint().clone(),
                number: 1,
                status,
                elapsed: self.transport.now().saturating_duration_since(started),
                outcome,
            }
        });
        polled
    }

    async fn poll_once(
        &self,
        call: &Call,
        place: &Place,
        age: Duration,
    ) -> Result<Polled, Failure> {
        let started = self.transport.now();
        let head = pin!(self.head(call, &call.target, place, Some(IdleLimit(age + SETTLED))));
        let (head, mut body) = match select(head, self.transport.sleep(age)).await {
            Either::Left((head, _)) => head?,
            Either::Right(((), _)) => return Ok(Polled::Quiet(None)),
        };
        let left = age.saturating_sub(self.transport.now().saturating_duration_since(started));
        let first = {
            let first = pin!(body.frame());
            match select(first, self.transport.sleep(left.max(SETTLED))).await {
                Either::Left((first, _)) => first.transpose().map_err(Failure::Transport)?,
                Either::Right(((), _)) => return Ok(Polled::Quiet(Some(head.headers))),
            }
        };
        let first = first
            .and_then(|frame| frame.into_data().ok())
            .unwrap_or_default();
        let Some(room) = self.answer_limit.checked_sub(first.len()) else {
            return Err(Failure::TooLarge(self.answer_limit));
        };
        let rest = async { Ok(body.collect(room).await?) };
        let rest = self
            .within(self.timeout, rest)
            .await
            .map_err(|failure| match failure {
                Failure::TooLarge(_) => Failure::TooLarge(self.answer_limit),
                other => other,
            })?;
        Ok(Polled::Answer(Reply {
            status: head.status,
            headers: head.headers,
            body: join(first, rest),
            site: self.site(call, place, 1),
            place: place.clone(),
            in_doubt: false,
        }))
    }
}

fn join(first: Bytes, rest: Bytes) -> Bytes {
    if rest.is_empty() {
        return first;
    }
    let mut both = BytesMut::with_capacity(first.len() + rest.len());
    both.extend_from_slice(&first);
    both.extend_from_slice(&rest);
    both.freeze()
}
