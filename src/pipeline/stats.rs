use std::{
    collections::HashMap,
    hash::Hash,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use arc_swap::ArcSwap;

use crate::{
    base::endpoint::Endpoint,
    pipeline::observe::{Attempt, AttemptOutcome},
};

/// What a client has done since it was made, from [`Client::stats`](crate::Client::stats).
///
/// Counters only grow, except for [`open_streams`](OperationStats::open_streams).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Stats {
    /// By operation, in the order of their names.
    pub operations: Vec<OperationStats>,
    /// By operation and endpoint, in the order of their names.
    pub attempts: Vec<AttemptStats>,
}

/// What a client was asked for: one operation.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct OperationStats {
    /// The operation's name, such as `"v3.kv.put"`.
    pub operation: &'static str,
    /// How many calls have ended.
    pub calls: u64,
    /// How many of these have failed, be it that the client did not send them: it was closed, or too many were under way.
    pub failed_calls: u64,
    /// How many streams are open at present.
    pub open_streams: u64,
}

/// What a client has sent: the attempts of one operation at one endpoint.
///
/// Besides those of calls and streams these are the client's own, such as for tokens (`"v3.auth.authenticate"`).
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct AttemptStats {
    /// The operation's name.
    pub operation: &'static str,
    /// The endpoint.
    pub endpoint: Endpoint,
    /// How many attempts have ended. A request of a stream counts when its response begins, and again if it fails later.
    pub attempts: u64,
    /// How many of these were not the first of their call.
    pub retries: u64,
    /// The time of all attempts together.
    pub elapsed: Duration,
    /// The bytes of the requests' bodies.
    pub bytes_sent: u64,
    /// The bytes of the responses' bodies.
    pub bytes_received: u64,
    outcomes: [u64; OUTCOMES.len()],
}

impl Stats {
    /// Returns the number of calls that have ended, of all operations.
    pub fn calls(&self) -> u64 {
        self.operations.iter().map(|it| it.calls).sum()
    }

    /// Returns the number of attempts, of all operations at all endpoints.
    pub fn attempt_count(&self) -> u64 {
        self.attempts.iter().map(|it| it.attempts).sum()
    }

    /// Returns the number of attempts that were not the first of their call.
    pub fn retries(&self) -> u64 {
        self.attempts.iter().map(|it| it.retries).sum()
    }

    /// Returns the number of open streams.
    pub fn open_streams(&self) -> u64 {
        self.operations.iter().map(|it| it.open_streams).sum()
    }
}

impl AttemptStats {
    /// Returns how many attempts have ended so.
    pub fn with_outcome(&self, outcome: AttemptOutcome) -> u64 {
        let mut found = OUTCOMES.iter().zip(self.outcomes);
        found.find(|(it, _)| **it == outcome).map_or(0, |it| it.1)
    }

    /// Returns the number of attempts for each outcome that has occurred.
    pub fn outcomes(&self) -> impl Iterator<Item = (AttemptOutcome, u64)> + '_ {
        let all = OUTCOMES.into_iter().zip(self.outcomes);
        all.filter(|(_, count)| *count > 0)
    }
}

/// Counts what a client does.
#[derive(Debug, Default)]
pub(crate) struct Collector {
    operations: Counters<&'static str, OperationCounters>,
    attempts: Counters<(&'static str, Endpoint), AttemptCounters>,
}

#[derive(Debug, Default)]
struct OperationCounters {
    calls: AtomicU64,
    failed_calls: AtomicU64,
    open_streams: AtomicU64,
}

#[derive(Debug, Default)]
struct AttemptCounters {
    retries: AtomicU64,
    nanoseconds: AtomicU64,
    bytes_sent: AtomicU64,
    bytes_received: AtomicU64,
    outcomes: [AtomicU64; OUTCOMES.len()],
}

impl Collector {
    /// Counts a call that has ended.
    pub(crate) fn called(&self, operation: &'static str, is_failed: bool) {
        self.operations.at(operation, |it| {
            it.calls.fetch_add(1, Relaxed);
            it.failed_calls.fetch_add(u64::from(is_failed), Relaxed);
        });
    }

    /// Counts a stream, which is open until the result is dropped.
    pub(crate) fn opened(self: &Arc<Self>, operation: &'static str) -> OpenStream {
        self.operations.at(operation, |it| {
            it.open_streams.fetch_add(1, Relaxed);
        });
        OpenStream {
            collector: Arc::clone(self),
            operation,
        }
    }

    /// Counts an attempt that has ended.
    pub(crate) fn attempted(&self, attempt: &Attempt) {
        let key = (attempt.operation, attempt.endpoint.clone());
        self.attempts.at(key, |it| {
            let nanoseconds = u64::try_from(attempt.elapsed.as_nanos()).unwrap_or(u64::MAX);
            it.nanoseconds.fetch_add(nanoseconds, Relaxed);
            it.retries.fetch_add(u64::from(attempt.number > 1), Relaxed);
            let outcomes = OUTCOMES.iter().zip(&it.outcomes);
            for (_, count) in outcomes.filter(|(outcome, _)| **outcome == attempt.outcome) {
                count.fetch_add(1, Relaxed);
            }
        });
    }

    /// Counts the body of a request.
    pub(crate) fn sent(&self, operation: &'static str, endpoint: &Endpoint, bytes: usize) {
        self.attempts.at((operation, endpoint.clone()), |it| {
            it.bytes_sent.fetch_add(bytes as u64, Relaxed);
        });
    }

    /// Counts the body of a response, or a part of it.
    pub(crate) fn received(&self, operation: &'static str, endpoint: &Endpoint, bytes: usize) {
        self.attempts.at((operation, endpoint.clone()), |it| {
            it.bytes_received.fetch_add(bytes as u64, Relaxed);
        });
    }

    /// Returns what was counted so far.
    pub(crate) fn stats(&self) -> Stats {
        let operations = self.operations.map.load();
        let mut operations: Vec<_> = operations
            .iter()
            .map(|(operation, it)| OperationStats {
                operation,
                calls: it.calls.load(Relaxed),
                failed_calls: it.failed_calls.load(Relaxed),
                open_streams: it.open_streams.load(Relaxed),
            })
            .collect();
        operations.sort_unstable_by_key(|it| it.operation);
        let attempts = self.attempts.map.load();
        let mut attempts: Vec<_> = attempts
            .iter()
            .map(|((operation, endpoint), it)| {
                let outcomes = it.outcomes.each_ref().map(|count| count.load(Relaxed));
                AttemptStats {
                    operation,
                    endpoint: endpoint.clone(),
                    attempts: outcomes.iter().sum(),
                    retries: it.retries.load(Relaxed),
                    elapsed: Duration::from_nanos(it.nanoseconds.load(Relaxed)),
                    bytes_sent: it.bytes_sent.load(Relaxed),
                    bytes_received: it.bytes_received.load(Relaxed),
                    outcomes,
                }
            })
            .collect();
        attempts.sort_by_cached_key(|it| (it.operation, it.endpoint.to_string()));
        Stats {
            operations,
            attempts,
        }
    }
}

/// A stream that is counted as open.
pub(crate) struct OpenStream {
    collector: Arc<Collector>,
    operation: &'static str,
}

impl Drop for OpenStream {
    fn drop(&mut self) {
        self.collector.operations.at(self.operation, |it| {
            it.open_streams.fetch_sub(1, Relaxed);
        });
    }
}

/// Counters by name. New names are rare: readers take no lock.
#[derive(Debug)]
struct Counters<K, C> {
    map: ArcSwap<HashMap<K, Arc<C>>>,
}

impl<K: Clone + Eq + Hash, C: Default> Counters<K, C> {
    fn at(&self, key: K, count: impl FnOnce(&C)) {
        if let Some(counters) = self.map.load().get(&key) {
            return count(counters);
        }
        let new = Arc::new(C::default());
        self.map.rcu(|known| {
            let mut with = HashMap::clone(known);
            if with.len() < MAX_NAMES {
                with.entry(key.clone()).or_insert_with(|| Arc::clone(&new));
            }
            with
        });
        if let Some(counters) = self.map.load().get(&key) {
            count(counters);
        }
    }
}

impl<K, C> Default for Counters<K, C> {
    fn default() -> Self {
        Self {
            map: ArcSwap::default(),
        }
    }
}

/// More than there are operations and endpoints. A cluster whose addresses change without end fills no memory: what comes later is
/// not counted.
const MAX_NAMES: usize = 2_000;

const OUTCOMES: [AttemptOutcome; 7] = [
    AttemptOutcome::Answered,
    AttemptOutcome::Quiet,
    AttemptOutcome::Unavailable,
    AttemptOutcome::Refused,
    AttemptOutcome::TimedOut,
    AttemptOutcome::Interrupted,
    AttemptOutcome::NotSent,
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_without_end_do_not_fill_the_memory() {
        let collector = Collector::default();
        for port in 1..=u16::try_from(MAX_NAMES).unwrap() + 5 {
            let endpoint: Endpoint = format!("http://a:{port}").parse().unwrap();
            collector.sent("test", &endpoint, 1);
        }
        let stats = collector.stats();
        assert_eq!(stats.attempts.len(), MAX_NAMES);
    }
}
