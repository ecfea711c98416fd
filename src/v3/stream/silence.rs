use std::time::{Duration, Instant};

use etcd_transport::IdleLimit;

use crate::{
    error::{Error, Result},
    pipeline::lifetime::Lifetime,
};

/// After this many silences in a row, each with a successful probe, the connection is stale: the server is alive, but
/// the connection may be dead.
const MAX_PROBES: u32 = 4;

/// What to do about a silent server.
#[derive(Clone, Copy, Debug)]
pub(in crate::v3) enum SilenceLimit {
    /// After this time without a message the server is probed.
    Probe(Duration),
    /// Each message must arrive within this time.
    Fail(Duration),
}

/// Checks a silence limit.
///
/// # Errors
/// [`Error::Invalid`] for zero: the server would be probed without a pause.
pub(in crate::v3) fn check_limit(operation: &'static str, limit: Duration) -> Result<()> {
    if limit.is_zero() {
        let reason = "a silence limit must be longer than zero: it is the interval of probes";
        return Err(Error::invalid(operation, reason));
    }
    Ok(())
}

impl SilenceLimit {
    /// Returns the lifetime for the transport: by when the caller has dropped a silent exchange.
    pub(super) fn lifetime(self) -> Lifetime {
        match self {
            Self::Probe(limit) => {
                Lifetime::LongLived(IdleLimit(limit.saturating_mul(MAX_PROBES + 2)))
            }
            Self::Fail(limit) => {
                Lifetime::Busy(IdleLimit(limit.saturating_add(Duration::from_secs(1))))
            }
        }
    }
}

/// How long a connection has been silent while the caller waited. Time in which the caller does not wait does not
/// count.
#[derive(Debug)]
pub(super) struct Silence {
    limit: SilenceLimit,
    expected: Option<Expected>,
    /// When the wait for the next message began.
    since: Option<Instant>,
    /// Successful probes since the last message.
    probes: u32,
}

/// A response that must arrive, however many other messages come before it.
#[derive(Debug)]
struct Expected {
    limit: Duration,
    /// How long it was waited for before the last message.
    waited: Duration,
}

/// What follows when the time is up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum TimeUp {
    /// Nothing arrived within this time.
    Failed(Duration),
    /// Probe the server.
    Probe,
    /// The server has answered enough probes.
    Stale,
}

impl Silence {
    pub(super) fn new(limit: SilenceLimit) -> Self {
        Self {
            limit,
            expected: None,
            since: None,
            probes: 0,
        }
    }

    /// From now on something must arrive within this time of waiting, until it is [`settled`](Self::settled).
    pub(super) fn expect(&mut self, limit: Duration) {
        let waited = Duration::ZERO;
        self.expected = Some(Expected { limit, waited });
        self.since = None;
    }

    /// What had to arrive has arrived.
    pub(super) fn settled(&mut self) {
        self.expected = None;
    }

    /// How much longer to wait, from `now`.
    pub(super) fn left(&mut self, now: Instant) -> Duration {
        let limit = match (&self.expected, self.limit) {
            (Some(expected), _) => expected.limit.saturating_sub(expected.waited),
            (None, SilenceLimit::Probe(limit) | SilenceLimit::Fail(limit)) => limit,
        };
        let since = *self.since.get_or_insert(now);
        limit.saturating_sub(now.saturating_duration_since(since))
    }

    /// What to do when no time is left.
    pub(super) fn time_up(&self) -> TimeUp {
        match (&self.expected, self.limit) {
            (Some(Expected { limit, .. }), _) => TimeUp::Failed(*limit),
            (None, SilenceLimit::Fail(limit)) => TimeUp::Failed(limit),
            (None, SilenceLimit::Probe(_)) if self.probes >= MAX_PROBES => TimeUp::Stale,
            (None, SilenceLimit::Probe(_)) => TimeUp::Probe,
        }
    }

    /// A message arrived.
    pub(super) fn message(&mut self, now: Instant) {
        let since = self.since.take();
        if let (Some(expected), Some(since)) = (&mut self.expected, since) {
            expected.waited += now.saturating_duration_since(since);
        }
        self.probes = 0;
    }

    /// The server answered a probe.
    pub(super) fn alive(&mut self) {
        self.since = None;
        self.probes += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMIT: Duration = Duration::from_secs(30);
    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn only_the_time_of_waiting_counts() {
        let start = Instant::now();
        let mut silence = Silence::new(SilenceLimit::Probe(LIMIT));
        assert_eq!(silence.left(start), LIMIT);
        assert_eq!(silence.left(start + SECOND), LIMIT - SECOND);
        silence.message(start + SECOND);
        assert_eq!(silence.left(start + LIMIT * 2), LIMIT);
    }

    #[test]
    fn messages_do_not_extend_the_time_of_what_is_expected() {
        let start = Instant::now();
        let mut silence = Silence::new(SilenceLimit::Probe(LIMIT));
        silence.expect(SECOND * 5);
        assert_eq!(silence.left(start), SECOND * 5);
        silence.message(start + SECOND * 2);
        assert_eq!(silence.left(start + LIMIT), SECOND * 3);
        assert_eq!(silence.time_up(), TimeUp::Failed(SECOND * 5));
        silence.settled();
        assert_eq!(silence.time_up(), TimeUp::Probe);
    }

    #[test]
    fn the_connection_is_stale_after_four_probes_in_a_row() {
        let mut silence = Silence::new(SilenceLimit::Probe(LIMIT));
        for _ in 0..MAX_PROBES {
            assert_eq!(silence.time_up(), TimeUp::Probe);
            silence.alive();
        }
        assert_eq!(silence.time_up(), TimeUp::Stale);
        silence.message(Instant::now());
        assert_eq!(silence.time_up(), TimeUp::Probe);
    }

    #[test]
    fn without_probes_a_silence_is_a_failure() {
        let silence = Silence::new(SilenceLimit::Fail(LIMIT));
        assert_eq!(silence.time_up(), TimeUp::Failed(LIMIT));
        let lifetime = SilenceLimit::Fail(Duration::MAX).lifetime();
        assert_eq!(lifetime, Lifetime::Busy(IdleLimit(Duration::MAX)));
    }
}
