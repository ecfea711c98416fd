use std::{
    pin::Pin,
    time::{Duration, Instant},
};

/// Tells the time and waits: a service has no clock, and a [`TowerTransport`](crate::TowerTransport) needs one.
///
/// A function that waits is a clock, together with the system's time: `tokio::time::sleep`, or that of any other runtime.
/// Implement the trait for a clock that a test can stop:
///
/// ```
/// use std::{pin::Pin, time::{Duration, Instant}};
///
/// use etcd_transport_tower::Clock;
///
/// struct TokioClock;
///
/// impl Clock for TokioClock {
///     fn sleep(&self, duration: Duration) -> Pin<Box<dyn Future<Output = ()> + Send + '_>> {
///         Box::pin(tokio::time::sleep(duration))
///     }
///
///     fn now(&self) -> Instant {
///         tokio::time::Instant::now().into_std()
///     }
/// }
/// ```
pub trait Clock: Send + Sync + 'static {
    /// Resolves no sooner than `duration` from now, by the clock of [`now`](Self::now). Dropping it ends the wait.
    fn sleep(&self, duration: Duration) -> Pin<Box<dyn Future<Output = ()> + Send + '_>>;

    /// Returns the current time of a clock that never runs backwards.
    fn now(&self) -> Instant;
}

impl<F, W> Clock for F
where
    F: Fn(Duration) -> W + Send + Sync + 'static,
    W: Future<Output = ()> + Send + 'static,
{
    fn sleep(&self, duration: Duration) -> Pin<Box<dyn Future<Output = ()> + Send + '_>> {
        Box::pin(self(duration))
    }

    fn now(&self) -> Instant {
        Instant::now()
    }
}
