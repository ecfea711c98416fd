use std::{
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use etcd_transport::Transport;
use futures::{
    FutureExt,
    channel::{mpsc::UnboundedSender, oneshot},
    future::{Shared, select},
};

use crate::{
    client::Client,
    error::{Error, Result},
    pipeline::observe::trace,
    v3::{LeaseId, RevokeLease, lease::MAX_TTL},
};

/// A lease that a [`LeaseKeeper`](super::LeaseKeeper) keeps alive.
///
/// Loss is reported and permanent: once [`lost`](Self::lost) has resolved or [`is_alive`](Self::is_alive) was `false`,
/// it stays so. The lease counts as lost when etcd says so, and also when its time is up by the client's own clock,
/// counted from when the last successful renewal was *sent*: from then on etcd may delete it at any moment, even if the
/// client cannot reach etcd. The clock is that of the transport, which may stop while the machine sleeps.
///
/// etcd itself may end a lease too early: a leader that was halted for longer than an election takes, and was replaced,
/// may wake up and end leases that expired only by its own clock
/// ([#15247](https://github.com/etcd-io/etcd/issues/15247), seen on 3.4.23 and 3.5.16). Where this matters, guard
/// writes with a transaction that compares a key of the lease.
///
/// A clone is the same lease. When the last clone is dropped, the lease is no longer renewed and expires. To end it
/// immediately, [`revoke`](Self::revoke) it.
pub struct HeldLease<T> {
    client: Client<T>,
    lease: Arc<Lease>,
    /// Keeps the keeper running, and wakes it when the last handle is dropped.
    _keeper: UnboundedSender<Arc<Lease>>,
}

impl<T: Transport> HeldLease<T> {
    pub(super) fn new(
        client: Client<T>,
        lease: Arc<Lease>,
        keeper: UnboundedSender<Arc<Lease>>,
    ) -> Self {
        Self {
            client,
            lease,
            _keeper: keeper,
        }
    }

    /// Returns the lease's id, for a put.
    pub fn id(&self) -> LeaseId {
        self.lease.id
    }

    /// Returns the time to live that etcd granted, which each renewal restores.
    pub fn ttl(&self) -> Duration {
        self.lease.state().ttl
    }

    /// Returns how long the lease certainly lives without another renewal. Zero if it is lost.
    pub fn remaining(&self) -> Duration {
        let now = self.client.transport().now();
        if self.lease.is_alive(now) {
            self.lease.remaining(now)
        } else {
            Duration::ZERO
        }
    }

    /// Returns whether the lease is not lost. Check this before each step that only a holder may take.
    pub fn is_alive(&self) -> bool {
        self.lease.is_alive(self.client.transport().now())
    }

    /// Resolves when the lease is lost: in time, even if no server responds and the keeper's future is not polled.
    pub async fn lost(&self) -> LeaseLoss {
        loop {
            let now = self.client.transport().now();
            if let Some(loss) = self.lease.loss(now) {
                return loss;
            }
            let remaining = self.lease.remaining(now);
            let sleep = self.client.transport().sleep(remaining);
            select(self.lease.lost.clone(), sleep).await;
        }
    }

    /// Resolves when the lease has not been renewed and only this much of its time is left, or when it is
    /// [lost](Self::lost): in time to finish what only a holder may do.
    ///
    /// A later renewal may still succeed: the lease is not lost if the result [is early](LeaseLoss::is_early). A margin that
    /// is longer than what is left at each renewal, two thirds of the TTL by default, resolves immediately.
    ///
    /// ```
    /// # use etcd_http::{transport::Transport, v3::HeldLease};
    /// # use std::time::Duration;
    /// # async fn example<T: Transport>(lease: &HeldLease<T>, work: impl Future<Output = ()> + Unpin) {
    /// let margin = Duration::from_secs(2);
    /// let stop = std::pin::pin!(lease.lost_before(margin));
    /// futures::future::select(work, stop).await;
    /// # }
    /// ```
    pub async fn lost_before(&self, margin: Duration) -> LeaseLoss {
        loop {
            let now = self.client.transport().now();
            if let Some(loss) = self.lease.loss(now) {
                return loss;
            }
            let left = self.lease.remaining(now).saturating_sub(margin);
            if left.is_zero() {
                return self.lease.early_loss();
            }
            let sleep = self.client.transport().sleep(left);
            select(self.lease.lost.clone(), sleep).await;
        }
    }

    /// Revokes the lease and deletes its keys: `POST /v3/lease/revoke`.
    ///
    /// # Errors
    /// See [`Error`]. It is not an error if the lease no longer exists.
    pub async fn revoke(self) -> Result<()> {
        let revoked = self.client.send(RevokeLease::new(self.id())).await;
        match revoked {
            Err(error) if !error.is_lease_not_found() => Err(error),
            _ => {
                self.lease.lose(LossReason::Revoked);
                Ok(())
            }
        }
    }
}

impl<T> Clone for HeldLease<T> {
    fn clone(&self) -> Self {
        Self {
            client: self.client.clone(),
            lease: Arc::clone(&self.lease),
            _keeper: self._keeper.clone(),
        }
    }
}

impl<T> fmt::Debug for HeldLease<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HeldLease")
            .field("id", &self.lease.id)
            .field("ttl", &self.lease.state().ttl)
            .finish_non_exhaustive()
    }
}

/// Why a lease is lost.
#[derive(Clone, Debug)]
pub struct LeaseLoss {
    reason: LossReason,
    last_error: Option<Error>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum LossReason {
    Expired,
    Deadline,
    Revoked,
    /// It is not lost yet.
    Early,
}

impl LeaseLoss {
    /// Returns whether etcd reported that the lease does not exist: it expired, or another client revoked it.
    pub fn is_expired(&self) -> bool {
        self.reason == LossReason::Expired
    }

    /// Returns whether its time was up before a renewal succeeded. In etcd it may exist for a moment longer.
    pub fn is_deadline(&self) -> bool {
        self.reason == LossReason::Deadline
    }

    /// Returns whether its time was not up yet, in [`HeldLease::lost_before`]: it had not been renewed in time.
    pub fn is_early(&self) -> bool {
        self.reason == LossReason::Early
    }

    /// Returns whether [`HeldLease::revoke`] was called.
    pub fn is_revoked(&self) -> bool {
        self.reason == LossReason::Revoked
    }

    /// Returns the error of the last renewal, if it failed.
    pub fn last_error(&self) -> Option<&Error> {
        self.last_error.as_ref()
    }
}

impl fmt::Display for LeaseLoss {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.reason, &self.last_error) {
            (LossReason::Expired, _) => f.write_str("etcd no longer has the lease"),
            (LossReason::Revoked, _) => f.write_str("the lease was revoked"),
            (LossReason::Deadline, Some(error)) => {
                write!(f, "the lease could not be renewed in time: {error}")
            }
            (LossReason::Early, Some(error)) => {
                write!(f, "the lease will be lost soon, and could not be renewed so far: {error}")
            }
            (LossReason::Early, None) => {
                f.write_str("the lease will be lost soon, and was not renewed so far")
            }
            (LossReason::Deadline, None) => f.write_str(
                "the lease was not renewed in time, and no renewal failed: is the keeper's future being polled?",
            ),
        }
    }
}

/// The state of a lease that its handles and its keeper share.
pub(super) struct Lease {
    id: LeaseId,
    /// How long after the last renewal it is due for the next one, if that was set.
    interval: Option<Duration>,
    state: Mutex<State>,
    lost: Shared<oneshot::Receiver<()>>,
}

struct State {
    id: LeaseId,
    ttl: Duration,
    /// When the last successful renewal was sent.
    sent: Instant,
    loss: Option<LossReason>,
    last_error: Option<Error>,
    /// Dropped with the loss.
    alive: Option<oneshot::Sender<()>>,
}

/// etcd grants no longer ones, and a clock does not overflow with it.
const LONGEST: Duration = Duration::from_secs(MAX_TTL);

/// Renewals that follow one another faster are of no use.
const SHORTEST_INTERVAL: Duration = Duration::from_millis(100);

impl Lease {
    /// Creates the state of a lease that was granted or renewed by a request sent at `sent`.
    pub(super) fn new(
        id: LeaseId,
        ttl: Duration,
        sent: Instant,
        interval: Option<Duration>,
    ) -> Self {
        let (alive, lost) = oneshot::channel();
        Self {
            id,
            interval,
            state: Mutex::new(State {
                id,
                ttl: ttl.min(LONGEST),
                sent,
                loss: None,
                last_error: None,
                alive: Some(alive),
            }),
            lost: lost.shared(),
        }
    }

    pub(super) fn id(&self) -> LeaseId {
        self.id
    }

    pub(super) fn ttl(&self) -> Duration {
        self.state().ttl
    }

    /// Returns when it is due for renewal: a third of its time after the last one, or what was set.
    pub(super) fn due(&self) -> Instant {
        let state = self.state();
        let due = match self.interval {
            Some(interval) => interval.max(SHORTEST_INTERVAL).min(state.ttl / 2),
            None => state.ttl / 3,
        };
        state.sent + due
    }

    /// Returns how much sooner than due it may be renewed together with others.
    pub(super) fn margin(&self) -> Duration {
        let ttl = self.ttl();
        self.interval
            .map_or(ttl / 3, |interval| interval.min(ttl / 2))
            / 4
    }

    pub(super) fn remaining(&self, now: Instant) -> Duration {
        let state = self.state();
        (state.sent + state.ttl).saturating_duration_since(now)
    }

    /// Returns whether it is not lost. Marks it as lost if its time is up.
    pub(super) fn is_alive(&self, now: Instant) -> bool {
        self.state().check(now).is_none()
    }

    /// It is not lost, and its time is almost up.
    fn early_loss(&self) -> LeaseLoss {
        LeaseLoss {
            reason: LossReason::Early,
            last_error: self.state().last_error.clone(),
        }
    }

    pub(super) fn loss(&self, now: Instant) -> Option<LeaseLoss> {
        let mut state = self.state();
        let reason = state.check(now)?;
        Some(state.loss_by(reason))
    }

    /// Records a successful renewal that was sent at `sent`. It does not revive a lost lease, since the caller may have
    /// acted on the loss.
    pub(super) fn renewed(&self, sent: Instant, ttl: Duration, now: Instant) {
        let mut state = self.state();
        if state.check(now).is_none() {
            state.sent = sent;
            state.ttl = ttl.min(LONGEST);
            state.last_error = None;
        }
    }

    /// Records a failed renewal.
    pub(super) fn failed(&self, error: &Error) {
        self.state().last_error = Some(error.clone());
    }

    /// Returns the error of the last renewal, if it failed.
    pub(super) fn take_error(&self) -> Option<Error> {
        self.state().last_error.take()
    }

    /// Records that etcd no longer has it.
    pub(super) fn expired(&self) {
        self.lose(LossReason::Expired);
    }

    fn lose(&self, reason: LossReason) {
        self.state().lose(reason);
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn check(&mut self, now: Instant) -> Option<LossReason> {
        if self.loss.is_none() && now >= self.sent + self.ttl {
            self.lose(LossReason::Deadline);
        }
        self.loss
    }

    fn lose(&mut self, reason: LossReason) {
        if self.loss.is_none() && reason != LossReason::Revoked {
            trace::lease_lost(self.id, self.loss_by(reason));
        }
        self.loss.get_or_insert(reason);
        self.alive = None;
    }

    fn loss_by(&self, reason: LossReason) -> LeaseLoss {
        LeaseLoss {
            reason,
            last_error: self.last_error.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TTL: Duration = Duration::from_secs(10);

    #[test]
    fn a_renewal_counts_from_when_it_was_sent() {
        let start = Instant::now();
        let lease = Lease::new(LeaseId::from(1), TTL, start, None);
        assert_eq!(lease.due(), start + TTL / 3);
        lease.renewed(start + TTL / 2, TTL * 2, start + TTL * 9 / 10);
        let end = start + TTL / 2 + TTL * 2;
        assert!(lease.is_alive(end - Duration::from_nanos(1)));
        assert!(!lease.is_alive(end));
    }

    #[test]
    fn a_renewal_is_due_after_the_interval_that_is_set_within_half_of_the_time() {
        let start = Instant::now();
        for (interval, due) in [
            (Duration::from_secs(2), Duration::from_secs(2)),
            (Duration::ZERO, SHORTEST_INTERVAL),
            (Duration::MAX, TTL / 2),
        ] {
            let lease = Lease::new(LeaseId::from(1), TTL, start, Some(interval));
            assert_eq!(lease.due(), start + due);
        }
    }

    #[test]
    fn r_51_what_comes_after_the_deadline_is_too_late() {
        let start = Instant::now();
        let lease = Lease::new(LeaseId::from(1), TTL, start, None);
        lease.renewed(start + TTL / 2, TTL, start + TTL);
        assert!(lease.loss(start + TTL).unwrap().is_deadline());
        assert!(lease.lost.peek().is_none(), "not polled yet");
        assert!(lease.lost.clone().now_or_never().is_some());
    }

    #[test]
    fn a_time_to_live_that_no_clock_can_hold_is_borne() {
        let start = Instant::now();
        let forever = Duration::from_secs(i64::MAX.unsigned_abs());
        let lease = Lease::new(LeaseId::from(1), forever, start, None);
        assert!(lease.is_alive(start) && lease.due() > start);
        lease.renewed(start, Duration::MAX, start);
        assert_eq!(lease.remaining(start), LONGEST);
    }

    #[test]
    fn the_first_reason_for_a_loss_stays() {
        let start = Instant::now();
        let lease = Lease::new(LeaseId::from(1), TTL, start, None);
        lease.expired();
        lease.renewed(start, TTL * 5, start);
        assert!(lease.loss(start + TTL * 2).unwrap().is_expired());
    }
}
