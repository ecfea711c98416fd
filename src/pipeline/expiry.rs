use std::{
    pin::pin,
    time::{Duration, Instant},
};

use etcd_transport::Transport;
use futures::future::{Either, select};

use crate::pipeline::Pipeline;

/// The limits of one attempt: a server that is alive responds sooner, however much time is left.
const LONGEST_ATTEMPT: Duration = Duration::from_secs(5);
const SHORTEST_ATTEMPT: Duration = Duration::from_millis(100);

/// The limits of a pause.
const LONGEST_PAUSE: Duration = Duration::from_millis(500);
const SHORTEST_PAUSE: Duration = Duration::from_millis(20);

/// Attempts at what must succeed before it expires, as the renewal of a lease must. Unlike those of a call, they go on until
/// then, whatever they fail with.
impl<T: Transport> Pipeline<T> {
    /// Repeats attempts until one succeeds, or until no time is `left`. An attempt that is under way then is dropped.
    pub(crate) async fn repeat_until_expiry<O, F>(
        &self,
        left: impl Fn(Instant) -> Duration,
        mut attempt: impl FnMut() -> F,
    ) -> Option<O>
    where
        F: Future<Output = Option<O>>,
    {
        let transport = &self.transport;
        loop {
            let expiry = transport.sleep(left(transport.now()));
            if let Either::Left((Some(output), _)) = select(pin!(attempt()), expiry).await {
                return Some(output);
            }
            let left = left(transport.now());
            if left.is_zero() {
                return None;
            }
            transport.sleep(pause_before_expiry(left).min(left)).await;
        }
    }
}

/// Returns the time limit of an attempt, when this much time is left: two other endpoints can be asked in the rest. It is not
/// longer than the usual one.
pub(crate) fn attempt_limit_before_expiry(left: Duration, usual: Duration) -> Duration {
    (left / 3)
        .clamp(SHORTEST_ATTEMPT, LONGEST_ATTEMPT)
        .min(usual)
}

/// Returns how long to wait after a failed attempt, when this much time is left.
pub(crate) fn pause_before_expiry(left: Duration) -> Duration {
    (left / 4).clamp(SHORTEST_PAUSE, LONGEST_PAUSE)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_attempt_leaves_time_for_two_others_and_is_not_longer_than_usual() {
        let limit = |left, usual| {
            let [left, usual] = [left, usual].map(Duration::from_millis);
            attempt_limit_before_expiry(left, usual).as_millis()
        };
        let usual = 10_000;
        assert_eq!(
            [60_000, 9000, 300, 30, 0].map(|left| limit(left, usual)),
            [5000, 3000, 100, 100, 100]
        );
        assert_eq!([limit(60_000, 2000), limit(0, 20)], [2000, 20]);
    }

    #[test]
    fn pauses_get_shorter_as_the_end_comes_nearer() {
        let pause = |millis| pause_before_expiry(Duration::from_millis(millis)).as_millis();
        assert_eq!(
            [10_000, 2000, 1000, 80, 10, 0].map(pause),
            [500, 500, 250, 20, 20, 20]
        );
    }
}
