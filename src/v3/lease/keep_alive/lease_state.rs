use std::{
    ops::Deref,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use etcd_transport::Transport;
use futures::{
    FutureExt,
    channel::oneshot,
    future::{Shared, select},
};

use crate::{
    base::trace,
    error::Error,
    v3::{
        LeaseId, LeaseLoss,
        lease::{MAX_TTL, keep_alive::held_lease::LossReason},
    },
};

/// A lease that its handles and its keeper share. The keeper renews it for as long as it exists.
pub(super) struct Lease(Arc<LeaseState>);

impl Lease {
    /// Creates the state of a lease that was granted or renewed by a request sent at `sent`.
    pub(super) fn new(
        id: LeaseId,
        ttl: Duration,
        sent: Instant,
        interval: Option<Duration>,
    ) -> Self {
        let (alive, lost) = oneshot::channel();
        trace::lease_kept(id, ttl);
        Self(Arc::new(LeaseState {
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
        }))
    }

    /// Returns what is known of the lease, which does not keep it.
    pub(super) fn watched(&self) -> Arc<LeaseState> {
        Arc::clone(&self.0)
    }
}

impl Deref for Lease {
    type Target = LeaseState;

    fn deref(&self) -> &LeaseState {
        &self.0
    }
}

/// What is known of a lease.
pub(super) struct LeaseState {
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

impl LeaseState {
    /// Resolves when it is lost, or will be within this margin. With a margin of zero, when it is lost.
    pub(super) async fn lost_before<T: Transport>(
        &self,
        margin: Duration,
        transport: &T,
    ) -> LeaseLoss {
        loop {
            let now = transport.now();
            if let Some(loss) = self.loss(now) {
                return loss;
            }
            let left = self.remaining(now).saturating_sub(margin);
            if left.is_zero() {
                return self.early_loss();
            }
            let sleep = transport.sleep(left);
            select(self.lost.clone(), sleep).await;
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
        self.state().loss_by(LossReason::Early)
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
            trace::lease_renewed(self.id, state.ttl);
        }
    }

    /// Records a failed renewal.
    pub(super) fn failed(&self, error: &Error) {
        trace::lease_not_renewed(self.id, error.reason());
        self.state().last_error = Some(error.clone());
    }

    /// Returns the error of the last renewal, if it failed.
    pub(super) fn take_error(&self) -> Option<Error> {
        self.state().last_error.take()
    }

    /// Records that etcd no longer has it.
    pub(super) fn expired(&self) {
        self.state().lose(LossReason::Expired);
    }

    /// Records that it is lost, for good.
    pub(super) fn lose(&self, reason: LossReason) {
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
        match reason {
            _ if self.loss.is_some() => {}
            LossReason::Revoked => trace::lease_revoked(self.id),
            _ => trace::lease_lost(self.id, self.loss_by(reason)),
        }
        self.loss.get_or_insert(reason);
        self.alive = None;
    }

    fn loss_by(&self, reason: LossReason) -> LeaseLoss {
        LeaseLoss::new(reason, self.last_error.clone())
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
    fn a_time_to_live_that_no_clock_can_hold_is_limited() {
        let start = Instant::now();
        let forever = Duration::from_secs(i64::MAX.unsigned_abs());
        let lease = Lease::new(LeaseId::from(1), forever, start, None);
        assert!(lease.is_alive(start) && lease.due() > start);
        lease.renewed(start, Duration::MAX, start);
        assert_eq!(lease.remaining(start), LONGEST);
    }

    #[test]
    fn a_lease_that_is_gone_after_its_holder_revoked_it_is_revoked() {
        let start = Instant::now();
        let lease = Lease::new(LeaseId::from(1), TTL, start, None);
        lease.lose(LossReason::Revoked);
        lease.expired();
        let loss = lease.loss(start).unwrap();
        assert!(loss.is_revoked() && !loss.is_expired(), "{loss}");
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
