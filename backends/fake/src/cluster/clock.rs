use std::time::Duration;

/// What moves a fake's clock.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Clock {
    /// Only [`FakeEtcd::advance`](crate::FakeEtcd::advance). The default.
    #[default]
    Manual,
    /// Real time. A thread wakes what sleeps.
    Real,
    /// A jump to the next event (a sleeper's time, a key's expiry) once everything waits.
    ///
    /// The fake knows exactly whether tasks that are wrapped in [`FakeEtcd::track`](crate::FakeEtcd::track) wait. With them
    /// the jump is exact, on any executor and any number of threads. Without them the fake sees only its own futures: the
    /// first that is due asks to be polled again sixteen times and for `grace` of real time, and the clock jumps if nothing
    /// was asked of the fake meanwhile. On one thread this lets every other task run first and is deterministic. On several,
    /// a task that computes for longer than `grace` without using the fake counts as waiting.
    Auto {
        /// How long nothing must have happened, in real time.
        grace: Duration,
    },
}

impl Clock {
    /// [`Clock::Auto`] with a grace of 100 µs.
    pub const fn auto() -> Self {
        Self::Auto {
            grace: Duration::from_micros(100),
        }
    }
}

/// When keys expire.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Expiry {
    /// As in etcd: at the leader's next check, every 500 ms.
    #[default]
    Sweep,
    /// At the exact nanosecond.
    Exact,
}

/// A duration as the clock counts: 584 years at most.
pub(crate) fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}
