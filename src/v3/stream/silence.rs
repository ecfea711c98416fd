use std::time::{Duration, Instant};

use etcd_transport::IdleLimit;

use crate::{
    endpoints::idle::Silences,
    error::{Error, Result},
    pipeline::lifetime::Lifetime,
};

/// After this many silences in a row, each with a successful probe, the connection is stale: the server is alive, but
/// the connection may be dead.
const MAX_PROBES: u32 = 4;

/// The default. A halted member is left after this time and that of a probe. Many silences make a connection stale, for
/// opening another one is not free.
const DEFAULT: Duration = Duration::from_secs(5);
const DEFAULT_MAX_PROBES: u32 = 29;

/// What to do about a silent server.
#[derive(Clone, Copy, Debug)]
pub(in crate::v3) enum SilenceLimit {
    /// After this time without a message the server is probed, and so many times before the connection is stale.
    Probe(Duration, u32),
    /// Each message must arrive within this time.
    Fail(Duration),
}

/// Checks a silence limit.
///
/// # Errors
/// [`Error::Invalid`] for zero: the server would be probed without a pause.
pub(in crate::v3) fn check_limit(
    operation: &'static str,
    limit: impl Into<Option<Duration>>,
) -> Result<()> {
    if limit.into().is_some_and(|limit| limit.is_zero()) {
        let reason = "a silence limit must be longer than zero: it is the interval of probes";
        return Err(Error::invalid(operation, reason));
    }
    Ok(())
}

impl SilenceLimit {
    /// Probes a silent server after this time, or after the usual one.
    pub(in crate::v3) fn probe(limit: Option<Duration>) -> Self {
        match limit {
            Some(limit) => Self::Probe(limit, MAX_PROBES),
            None => Self::Probe(DEFAULT, DEFAULT_MAX_PROBES),
        }
    }

    /// Returns the lifetime for the transport: by when the caller has dropped a silent exchange.
    pub(super) fn lifetime(self) -> Lifetime {
        match self {
            Self::Probe(limit, probes) => {
                let idle = limit.saturating_mul(probes.saturating_add(2));
                Lifetime::LongLived(IdleLimit(idle))
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
    /// Probe the server, unless it is known to be alive within this time.
    Probe(Duration),
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
            (None, SilenceLimit::Probe(limit, _) | SilenceLimit::Fail(limit)) => limit,
        };
        let since = *self.since.get_or_insert(now);
        limit.saturating_sub(now.saturating_duration_since(since))
    }

    /// Returns the limit and how many more silences of it there may be, if the server is asked after it.
    pub(super) fn probing(&self) -> Option<(Duration, u32)> {
        match (&self.expected, self.limit) {
            (None, SilenceLimit::Probe(limit, max)) => {
                Some((limit, max.saturating_sub(self.probes)))
            }
            _ => None,
        }
    }

    /// The server was alive in so many silences, in which the stream was not woken.
    pub(super) fn passed(&mut self, silences: Silences) {
        self.probes = self.probes.saturating_add(silences.count);
        if silences.alive.is_some() {
            self.since = silences.alive;
        }
    }

    /// What to do when no time is left.
    pub(super) fn time_up(&self) -> TimeUp {
        match (&self.expected, self.limit) {
            (Some(Expected { limit, .. }), _) => TimeUp::Failed(*limit),
            (None, SilenceLimit::Fail(limit)) => TimeUp::Failed(limit),
            (None, SilenceLimit::Probe(_, max)) if self.probes >= max => TimeUp::Stale,
            (None, SilenceLimit::Probe(limit, _)) => TimeUp::Probe(limit),
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

    /// The server was alive at this time.
    pub(super) fn alive(&mut self, at: Instant) {
        self.since = Some(at);
        self.probes += 1;
    }

    /// The limit.
    pub(super) fn limit(&self) -> Duration {
        match self.limit {
            SilenceLimit::Probe(limit, _) | SilenceLimit::Fail(limit) => limit,
        }
    }

    /// How many silences in a row there were, in which the server was alive.
    pub(super) fn probes(&self) -> u32 {
        self.probes
    }

    /// The time is up after this duration from now on.
    pub(super) fn wait(&mut self, duration: Duration, now: Instant) {
        if let SilenceLimit::Probe(limit, _) = self.limit {
            // A shorter limit is checked again when it is over.
            let elapsed = limit.saturating_sub(duration);
            self.since = now.checked_sub(elapsed);
        }
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
        let mut silence = Silence::new(SilenceLimit::probe(Some(LIMIT)));
        assert_eq!(silence.left(start), LIMIT);
        assert_eq!(silence.left(start + SECOND), LIMIT - SECOND);
        silence.message(start + SECOND);
        assert_eq!(silence.left(start + LIMIT * 2), LIMIT);
    }

    #[test]
    fn messages_do_not_extend_the_time_of_what_is_expected() {
        let start = Instant::now();
        let mut silence = Silence::new(SilenceLimit::probe(Some(LIMIT)));
        silence.expect(SECOND * 5);
        assert_eq!(silence.left(start), SECOND * 5);
        silence.message(start + SECOND * 2);
        assert_eq!(silence.left(start + LIMIT), SECOND * 3);
        assert_eq!(silence.time_up(), TimeUp::Failed(SECOND * 5));
        silence.settled();
        assert_eq!(silence.time_up(), TimeUp::Probe(LIMIT));
    }

    #[test]
    fn the_connection_is_stale_after_some_probes_in_a_row() {
        for (limit, after) in [(Some(LIMIT), LIMIT * 5), (None, LIMIT * 5)] {
            let mut silence = Silence::new(SilenceLimit::probe(limit));
            let start = Instant::now();
            let mut now = start;
            now += silence.left(now);
            while let TimeUp::Probe(_) = silence.time_up() {
                silence.alive(now);
                now += silence.left(now);
            }
            assert_eq!(silence.time_up(), TimeUp::Stale);
            assert_eq!(now, start + after);
            silence.message(now);
            assert!(matches!(silence.time_up(), TimeUp::Probe(_)));
        }
    }

    #[test]
    fn what_another_stream_has_asked_is_waited_for() {
        let start = Instant::now();
        let mut silence = Silence::new(SilenceLimit::probe(Some(LIMIT)));
        assert_eq!(silence.left(start), LIMIT);
        silence.wait(SECOND, start + LIMIT);
        assert_eq!(silence.left(start + LIMIT), SECOND);
        assert_eq!(silence.time_up(), TimeUp::Probe(LIMIT));
    }

    #[test]
    fn without_probes_a_silence_is_a_failure() {
        let silence = Silence::new(SilenceLimit::Fail(LIMIT));
        assert_eq!(silence.time_up(), TimeUp::Failed(LIMIT));
        let lifetime = SilenceLimit::Fail(Duration::MAX).lifetime();
        assert_eq!(lifetime, Lifetime::Busy(IdleLimit(Duration::MAX)));
    }
}
