use std::time::Duration;

use crate::pipeline::call::Repeat;

/// Decides how often and how soon a request is retried.
///
/// A read is retried after any of these failures: no connection, a broken exchange, a timeout, a status of 500, 502,
/// 503 or 504. A write is retried only if the failed attempt definitely was not applied. Other responses are never
/// retried: 404 and 412 are results.
///
/// Every endpoint is tried once before the first pause. The pauses double from [`first_pause`](Self::first_pause) up to
/// [`max_pause`](Self::max_pause). Each is shortened by up to a random half, so that clients that failed at the same
/// time do not retry at the same time.
///
/// ```
/// use etcd_http::RetryPolicy;
/// use std::time::Duration;
///
/// let policy = RetryPolicy::default().attempts(10).overall(Duration::from_secs(120));
/// # assert_ne!(policy, RetryPolicy::default());
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct RetryPolicy {
    /// The maximum number of attempts. Defaults to 5; with more than 5 endpoints, to one for each.
    pub attempts: u32,
    /// The pause after the first round of all endpoints. Defaults to 50 ms.
    pub first_pause: Duration,
    /// The longest pause. Defaults to 10 s.
    pub max_pause: Duration,
    /// The time limit of a call: all attempts, pauses, and fetching the token that it needs. Defaults to 60 s.
    pub overall: Duration,
}

impl RetryPolicy {
    /// Returns a policy that sends every request once.
    pub fn never() -> Self {
        Self::default().attempts(1)
    }

    /// Sets the maximum number of attempts.
    pub fn attempts(mut self, attempts: u32) -> Self {
        self.attempts = attempts;
        self
    }

    /// Sets the first pause.
    pub fn first_pause(mut self, pause: Duration) -> Self {
        self.first_pause = pause;
        self
    }

    /// Sets the longest pause.
    pub fn max_pause(mut self, pause: Duration) -> Self {
        self.max_pause = pause;
        self
    }

    /// Sets the time limit of all attempts and pauses together.
    pub fn overall(mut self, overall: Duration) -> Self {
        self.overall = overall;
        self
    }

    /// Returns how long to wait before the next attempt; `None` to stop.
    pub(crate) fn decide(&self, failed: &Failed) -> Option<Duration> {
        let attempts = if self.attempts > 1 {
            self.attempts.max(failed.endpoints)
        } else {
            self.attempts
        };
        let may_repeat = failed.unsent || failed.repeat == Repeat::Always;
        if !may_repeat || failed.attempt >= attempts {
            return None;
        }
        let round = failed.endpoints.max(1);
        let pause = if failed.attempt.is_multiple_of(round) {
            let own = self.pause(failed.attempt / round, failed.jitter);
            own.max(failed.retry_after)
        } else {
            Duration::ZERO
        };
        (failed.elapsed.saturating_add(pause) < self.overall).then_some(pause)
    }

    /// Returns the pause after this many complete rounds of endpoints (from 1), with `jitter` from 0 to 1.
    pub(crate) fn pause(&self, rounds: u32, jitter: f64) -> Duration {
        let doublings = rounds.saturating_sub(1).min(31);
        let full = self
            .first_pause
            .saturating_mul(1 << doublings)
            .min(self.max_pause);
        full.mul_f64(1.0 - jitter.clamp(0.0, 1.0) / 2.0)
    }
}

impl Default for RetryPolicy {
    fn default() -> Self {
        Self {
            attempts: 5,
            first_pause: Duration::from_millis(50),
            max_pause: Duration::from_secs(10),
            overall: Duration::from_secs(60),
        }
    }
}

/// The inputs of the decision.
pub(crate) struct Failed {
    /// The number of attempts, including this one.
    pub(crate) attempt: u32,
    /// The number of endpoints to try.
    pub(crate) endpoints: u32,
    /// The attempt definitely was not applied.
    pub(crate) unsent: bool,
    pub(crate) repeat: Repeat,
    /// How long the server asks to wait.
    pub(crate) retry_after: Duration,
    /// Since the first attempt began.
    pub(crate) elapsed: Duration,
    /// From 0 to 1.
    pub(crate) jitter: f64,
}

#[cfg(test)]
mod tests {
    use super::*;

    const FAILED: Failed = Failed {
        attempt: 1,
        endpoints: 1,
        unsent: false,
        repeat: Repeat::Always,
        retry_after: Duration::ZERO,
        elapsed: Duration::ZERO,
        jitter: 0.0,
    };

    fn ms(millis: u64) -> Option<Duration> {
        Some(Duration::from_millis(millis))
    }

    #[test]
    fn a_read_is_sent_five_times_with_doubling_pauses() {
        let policy = RetryPolicy::default();
        let pauses = (1..=5).map(|attempt| policy.decide(&Failed { attempt, ..FAILED }));
        let expected = [ms(50), ms(100), ms(200), ms(400), None];
        assert!(pauses.eq(expected));
    }

    #[test]
    fn a_write_is_sent_again_only_when_the_server_saw_nothing() {
        let policy = RetryPolicy::default();
        let write = Failed {
            repeat: Repeat::IfUnsent,
            ..FAILED
        };
        assert_eq!(policy.decide(&write), None);
        let unsent = Failed {
            unsent: true,
            ..write
        };
        assert_eq!(policy.decide(&unsent), ms(50));
    }

    #[test]
    fn every_endpoint_is_tried_before_the_first_pause() {
        let policy = RetryPolicy::default();
        let of_three = |attempt| {
            policy.decide(&Failed {
                attempt,
                endpoints: 3,
                ..FAILED
            })
        };
        let expected = [ms(0), ms(0), ms(50), ms(0), None];
        assert!((1..=5).map(of_three).eq(expected));
        let of_seven = |attempt| {
            policy.decide(&Failed {
                attempt,
                endpoints: 7,
                ..FAILED
            })
        };
        assert_eq!((of_seven(6), of_seven(7)), (ms(0), None));
    }

    #[test]
    fn pauses_stay_under_ten_seconds_and_lose_half_to_jitter_at_most() {
        let policy = RetryPolicy::default().attempts(u32::MAX);
        assert_eq!(policy.pause(u32::MAX, 0.0), Duration::from_secs(10));
        assert_eq!(policy.pause(1, 1.0), Duration::from_millis(25));
        assert_eq!(policy.pause(1, f64::INFINITY), Duration::from_millis(25));
    }

    #[test]
    fn pauses_double_between_the_first_and_the_longest_that_are_set() {
        let policy = RetryPolicy::default()
            .first_pause(Duration::from_millis(10))
            .max_pause(Duration::from_millis(30));
        let pauses = (1..=4).map(|attempt| policy.decide(&Failed { attempt, ..FAILED }));
        assert!(pauses.eq([ms(10), ms(20), ms(30), ms(30)]));
    }

    #[test]
    fn the_overall_limit_stops_what_the_attempts_would_allow() {
        let policy = RetryPolicy::default().overall(Duration::from_secs(1));
        let at = |millis| {
            policy.decide(&Failed {
                elapsed: Duration::from_millis(millis),
                ..FAILED
            })
        };
        assert_eq!((at(949), at(950)), (ms(50), None));
    }

    #[test]
    fn a_server_that_asks_for_a_pause_gets_it_within_the_overall_limit() {
        let policy = RetryPolicy::default();
        let after = |attempt, endpoints, retry_after| {
            policy.decide(&Failed {
                attempt,
                endpoints,
                retry_after,
                ..FAILED
            })
        };
        let seven = Duration::from_secs(7);
        assert_eq!(after(1, 1, seven), ms(7000));
        // Another endpoint has not asked for it.
        assert_eq!([after(1, 2, seven), after(2, 2, seven)], [ms(0), ms(7000)]);
        assert_eq!(after(1, 1, Duration::from_secs(60)), None);
        assert_eq!(after(1, 1, Duration::MAX), None);
    }

    #[test]
    fn never_is_once() {
        let unsent = Failed {
            unsent: true,
            endpoints: 3,
            ..FAILED
        };
        assert_eq!(RetryPolicy::never().decide(&unsent), None);
    }
}
