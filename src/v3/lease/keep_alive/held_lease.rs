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
    v3::{LeaseId, RevokeLease, lease::MAX_TTL},
};

/// A lease that a [`LeaseKeeper`](super::LeaseKeeper) keeps alive.
///
/// It is honest about loss: once [`lost`](Self::lost) has resolved, or [`is_alive`](Self::is_alive) was false, it stays so.
/// The lease counts as lost when etcd says so, and also when its time is up by our own clock, counted from when the last
/// renewal that succeeded was *sent*: then etcd may drop it at any moment, whether it can tell us or not. The clock is the
/// transport's; it need not go on while the machine sleeps.
///
/// etcd itself may end a lease too early: a leader that was halted for longer than an election takes, and has been
/// replaced, may end leases when it wakes that had expired by its own clock alone
/// ([#15247](https://github.com/etcd-io/etcd/issues/15247), seen on 3.4.23 and 3.5.16). What must not go wrong even then is
/// guarded by a transaction that compares a key of the lease.
///
/// A clone is the same lease. When the last clone is dropped the lease is no longer renewed, and ends when its time is up;
/// to end it at once, [`revoke`](Self::revoke) it.
pub struct HeldLease<T> {
    client: Client<T>,
    lease: Arc<Lease>,
    /// Keeps the keeper at work, and wakes it when the last one goes.
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

    /// The lease's id, to be given to a put.
    pub fn id(&self) -> LeaseId {
        self.lease.id
    }

    /// The time to live that etcd granted: what it has after each renewal.
    pub fn ttl(&self) -> Duration {
        self.lease.state().ttl
    }

    /// How long it lives for sure if no renewal succeeds any more; zero when it is lost.
    pub fn remaining(&self) -> Duration {
        let now = self.client.transport().now();
        if self.lease.is_alive(now) {
            self.lease.remaining(now)
        } else {
            Duration::ZERO
        }
    }

    /// Whether it is not lost. The thing to ask before each step that only a holder may do.
    pub fn is_alive(&self) -> bool {
        self.lease.is_alive(self.client.transport().now())
    }

    /// Resolves when the lease is lost, in time even if no server answers and nobody drives the keeper.
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

    /// Ends the lease, and every key that has it, at once.
    ///
    /// # Errors
    /// See [`Error`]. A lease that is gone already is no error.
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
}

impl LeaseLoss {
    /// etcd said that there is no such lease: it expired, or somebody revoked it.
    pub fn is_expired(&self) -> bool {
        self.reason == LossReason::Expired
    }

    /// Its time was up, and no renewal had succeeded. It may live on for a moment, as far as etcd is concerned.
    pub fn is_deadline(&self) -> bool {
        self.reason == LossReason::Deadline
    }

    /// [`HeldLease::revoke`] was called.
    pub fn is_revoked(&self) -> bool {
        self.reason == LossReason::Revoked
    }

    /// Why the last renewal failed, if the last one did.
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
            (LossReason::Deadline, None) => f.write_str(
                "the lease was not renewed in time, and no renewal failed: is the keeper's future being polled?",
            ),
        }
    }
}

/// What a handle and its keeper know of a lease.
pub(super) struct Lease {
    id: LeaseId,
    state: Mutex<State>,
    lost: Shared<oneshot::Receiver<()>>,
}

struct State {
    ttl: Duration,
    /// When the last renewal that succeeded was sent.
    sent: Instant,
    loss: Option<LossReason>,
    last_error: Option<Error>,
    /// Dropped with the loss.
    alive: Option<oneshot::Sender<()>>,
}

/// etcd grants no more, and no clock overflows.
const LONGEST: Duration = Duration::from_secs(MAX_TTL);

impl Lease {
    /// Granted or renewed by a request that was sent at `sent`.
    pub(super) fn new(id: LeaseId, ttl: Duration, sent: Instant) -> Self {
        let (alive, lost) = oneshot::channel();
        Self {
            id,
            state: Mutex::new(State {
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

    /// When it is to be renewed: a third of its time after it was the last time.
    pub(super) fn due(&self) -> Instant {
        let state = self.state();
        state.sent + state.ttl / 3
    }

    pub(super) fn remaining(&self, now: Instant) -> Duration {
        let state = self.state();
        (state.sent + state.ttl).saturating_duration_since(now)
    }

    /// Whether it is not lost; it is from now on, if its time is up.
    pub(super) fn is_alive(&self, now: Instant) -> bool {
        self.state().check(now).is_none()
    }

    pub(super) fn loss(&self, now: Instant) -> Option<LeaseLoss> {
        let mut state = self.state();
        let reason = state.check(now)?;
        Some(LeaseLoss {
            reason,
            last_error: state.last_error.clone(),
        })
    }

    /// A renewal sent at `sent` has succeeded. Too late is too late: whoever was told of the loss may have acted on it.
    pub(super) fn renewed(&self, sent: Instant, ttl: Duration, now: Instant) {
        let mut state = self.state();
        if state.check(now).is_none() {
            state.sent = sent;
            state.ttl = ttl.min(LONGEST);
            state.last_error = None;
        }
    }

    /// A renewal has failed.
    pub(super) fn failed(&self, error: &Error) {
        self.state().last_error = Some(error.clone());
    }

    /// Why the last renewal failed, if it did.
    pub(super) fn take_error(&self) -> Option<Error> {
        self.state().last_error.take()
    }

    /// etcd no longer has it.
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
        self.loss.get_or_insert(reason);
        self.alive = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TTL: Duration = Duration::from_secs(10);

    #[test]
    fn a_renewal_counts_from_when_it_was_sent() {
        let start = Instant::now();
        let lease = Lease::new(LeaseId::from(1), TTL, start);
        assert_eq!(lease.due(), start + TTL / 3);
        lease.renewed(start + TTL / 2, TTL * 2, start + TTL * 9 / 10);
        let end = start + TTL / 2 + TTL * 2;
        assert!(lease.is_alive(end - Duration::from_nanos(1)));
        assert!(!lease.is_alive(end));
    }

    #[test]
    fn r_51_what_comes_after_the_deadline_is_too_late() {
        let start = Instant::now();
        let lease = Lease::new(LeaseId::from(1), TTL, start);
        lease.renewed(start + TTL / 2, TTL, start + TTL);
        assert!(lease.loss(start + TTL).unwrap().is_deadline());
        assert!(lease.lost.peek().is_none(), "nobody has polled it yet");
        assert!(lease.lost.clone().now_or_never().is_some());
    }

    #[test]
    fn a_time_to_live_that_no_clock_can_hold_is_borne() {
        let start = Instant::now();
        let forever = Duration::from_secs(i64::MAX.unsigned_abs());
        let lease = Lease::new(LeaseId::from(1), forever, start);
        assert!(lease.is_alive(start) && lease.due() > start);
        lease.renewed(start, Duration::MAX, start);
        assert_eq!(lease.remaining(start), LONGEST);
    }

    #[test]
    fn the_first_reason_for_a_loss_stays() {
        let start = Instant::now();
        let lease = Lease::new(LeaseId::from(1), TTL, start);
        lease.expired();
        lease.renewed(start, TTL * 5, start);
        assert!(lease.loss(start + TTL * 2).unwrap().is_expired());
    }
}
