use std::{
    future::Future,
    time::{Duration, SystemTime},
};

use crate::{
    cluster::{clock::nanos, track::Tracked},
    fake::FakeEtcd,
};

/// Moving and reading the clock.
impl FakeEtcd {
    /// Moves the clock forward. Keys expire and sleepers are woken in the order of their times.
    ///
    /// Woken tasks run when their executor polls them, and find the clock at the end of the move.
    /// It stops in 2262, where the times of etcd end. A sleep that is due later, as one of [`Duration::MAX`], never ends.
    pub fn advance(&self, duration: Duration) {
        self.shared.with(|core| {
            core.time.note_activity();
            core.advance_by(nanos(duration));
        });
    }

    /// Moves the clock to the next time at which a sleeper is due or a key expires; returns how far that was. `None` when
    /// there is no such time.
    pub fn advance_to_next(&self) -> Option<Duration> {
        self.shared.with(|core| {
            core.time.note_activity();
            core.step().map(Duration::from_nanos)
        })
    }

    /// How long the fake has existed, by its clock.
    pub fn elapsed(&self) -> Duration {
        Duration::from_nanos(self.shared.with(|core| core.time.elapsed))
    }

    /// The time of day, by the fake's clock.
    pub fn system_time(&self) -> SystemTime {
        let wall = self.shared.with(|core| core.time.wall());
        let distance = Duration::from_nanos(wall.unsigned_abs());
        if wall < 0 {
            SystemTime::UNIX_EPOCH - distance
        } else {
            SystemTime::UNIX_EPOCH + distance
        }
    }

    /// Wraps a task that must wait before the clock may jump ([`Clock::Auto`](crate::Clock::Auto)).
    ///
    /// The task counts as running from this call until it waits, and again from the moment it is woken by anything. The clock
    /// jumps in the poll that leaves no tracked task running. A test that tracks all its tasks is deterministic in time,
    /// whatever the executor and the number of threads.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use etcd_http_fake::{Clock, FakeEtcd};
    /// # use etcd_transport::Transport;
    /// let etcd = FakeEtcd::builder().clock(Clock::auto()).build();
    /// let hour = etcd.sleep(Duration::from_secs(3600));
    /// futures::executor::block_on(etcd.track(hour));
    /// assert_eq!(etcd.elapsed(), Duration::from_secs(3600));
    /// ```
    pub fn track<F: Future>(&self, task: F) -> impl Future<Output = F::Output> + use<F> {
        Tracked::new(task, &self.shared)
    }
}
