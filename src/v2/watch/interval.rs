use std::time::{Duration, Instant};

const SHORTEST: Duration = Duration::from_secs(1);

/// The interval on an idle store. It also limits the delay that a silently dead connection can cause.
pub(super) const LONGEST: Duration = Duration::from_secs(30);

/// How many events of the store may pass between two consecutive polls. A poll may request what the one before the last
/// has not delivered: it needs twice this number of the 1,000 events that etcd keeps, and a margin.
pub(super) const EVENTS: u64 = 300;

/// How long a watch waits on one poll before it polls again. The store's history is short: the busier the store, the
/// sooner a quiet watch must advance in it.
#[derive(Debug)]
pub(super) struct PollInterval {
    age: Duration,
    /// The store's index, and when it was observed.
    last: Option<(u64, Instant)>,
    /// The store changes too fast for sequential polls.
    is_outrun: bool,
}

impl PollInterval {
    pub(super) fn new() -> Self {
        Self {
            age: SHORTEST,
            last: None,
            is_outrun: false,
        }
    }

    pub(super) fn age(&self) -> Duration {
        self.age
    }

    /// Updates the rate of changes after a poll without an event: the store's index was this, then.
    pub(super) fn observe(&mut self, index: u64, then: Instant) {
        let longest = match self.last {
            Some(_) => self.longest(index, then).unwrap_or(LONGEST),
            // One sample is not enough.
            None => self.age,
        };
        self.age = (self.age * 2).min(longest).clamp(SHORTEST, LONGEST);
        self.last = Some((index, then));
    }

    /// Updates whether the store, now at this index, changes too fast for sequential polls. Once it does, this holds
    /// until it is half as fast.
    pub(super) fn gauge(&mut self, index: u64, now: Instant) {
        let least = if self.is_outrun {
            SHORTEST * 2
        } else {
            SHORTEST
        };
        let longest = self.longest(index, now);
        self.is_outrun = longest.is_some_and(|longest| longest < least);
    }

    /// Returns the last result.
    pub(super) fn is_outrun(&self) -> bool {
        self.is_outrun
    }

    /// Returns the time in which as many events pass as may pass between two polls. `None` if none has passed, or if
    /// one sample is not enough.
    fn longest(&self, index: u64, now: Instant) -> Option<Duration> {
        let (before, then) = self.last?;
        let events = index.checked_sub(before).filter(|events| *events > 0)?;
        let elapsed = now.saturating_duration_since(then).as_secs_f64();
        Duration::try_from_secs_f64(elapsed * EVENTS as f64 / events as f64).ok()
    }

    /// Records that the server did not respond in time: the next poll waits longer.
    pub(super) fn give_more(&mut self) {
        self.age = (self.age * 2).min(LONGEST);
    }

    pub(super) fn restart(&mut self) {
        *self = Self::new();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns the intervals after each of these seconds, with so many events in each.
    fn ages(events_per_second: u64, polls: usize) -> Vec<Duration> {
        let mut interval = PollInterval::new();
        let mut now = Instant::now();
        let mut index = 1000;
        (0..polls)
            .map(|_| {
                now += interval.age();
                index += interval.age().as_secs() * events_per_second;
                interval.observe(index, now);
                interval.age()
            })
            .collect()
    }

    #[test]
    fn at_rest_the_age_doubles_up_to_half_a_minute() {
        let seconds = [1, 2, 4, 8, 16, 30, 30].map(Duration::from_secs);
        assert_eq!(ages(0, 7), seconds);
    }

    #[test]
    fn on_a_busy_store_two_polls_end_before_the_history_has_passed() {
        for rate in [20, 100, 150] {
            let longest = Duration::from_secs_f64(EVENTS as f64 / rate as f64);
            assert!(
                ages(rate, 20).into_iter().all(|age| age <= longest),
                "{rate}"
            );
            assert!(ages(rate, 20).last() > Some(&(longest / 2)), "{rate}");
        }
    }

    #[test]
    fn a_second_is_the_least() {
        assert_eq!(ages(1_000_000, 3), [SHORTEST; 3]);
    }

    #[test]
    fn a_slow_server_gets_twice_the_time_up_to_half_a_minute_until_the_store_is_another() {
        let mut interval = PollInterval::new();
        let ages = [2, 4, 8, 16, 30, 30].map(|seconds| {
            interval.give_more();
            (interval.age(), Duration::from_secs(seconds))
        });
        assert!(
            ages.iter().all(|(age, expected)| age == expected),
            "{ages:?}"
        );
        interval.restart();
        assert_eq!(interval.age(), SHORTEST);
    }

    #[test]
    fn more_than_300_events_a_second_outrun_polls_until_they_are_fewer_than_150() {
        let mut interval = PollInterval::new();
        let now = Instant::now();
        let mut outruns = |index| {
            interval.gauge(index, now + SHORTEST);
            interval.is_outrun()
        };
        assert!(!outruns(9999), "one sample is not enough");
        interval.observe(1000, now);
        let mut outruns = |events: u64| {
            interval.gauge(1000 + events, now + SHORTEST);
            interval.is_outrun()
        };
        assert!(!outruns(EVENTS));
        assert!(outruns(EVENTS + 1));
        assert!(outruns(EVENTS / 2 + 1), "still");
        assert!(!outruns(EVENTS / 2));
        assert!(!outruns(EVENTS / 2 + 1));
        assert!(!outruns(0));
    }
}
