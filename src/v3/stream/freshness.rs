use std::{
    sync::{
        Arc, OnceLock,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

/// When a server last confirmed what a stream has delivered, or showed that it was alive. A clone is the same. Neither reading
/// nor writing takes a lock.
#[derive(Clone, Debug, Default)]
pub(in crate::v3) struct Freshness(Arc<Times>);

#[derive(Debug, Default)]
struct Times {
    first: OnceLock<Instant>,
    /// The nanoseconds from the first time to the last one.
    since: AtomicU64,
}

impl Freshness {
    /// When that was; `None` if it has not happened yet.
    pub(in crate::v3) fn confirmed(&self) -> Option<Instant> {
        let first = *self.0.first.get()?;
        let since = self.0.since.load(Ordering::Relaxed);
        first.checked_add(Duration::from_nanos(since))
    }

    /// It has happened, at this time.
    pub(in crate::v3) fn confirm(&self, at: Instant) {
        let first = *self.0.first.get_or_init(|| at);
        let since = at.saturating_duration_since(first).as_nanos();
        let since = since.try_into().unwrap_or(u64::MAX);
        self.0.since.store(since, Ordering::Relaxed);
    }
}

/// Two are equal where each is a clone of the other.
impl PartialEq for Freshness {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl Eq for Freshness {}
