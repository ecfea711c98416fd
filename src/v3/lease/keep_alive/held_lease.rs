use std::{fmt, sync::Arc, time::Duration};

use etcd_transport::Transport;
use futures::channel::mpsc::UnboundedSender;

use crate::{
    client::Client,
    error::{Error, Result},
    v3::{LeaseId, RevokeLease, lease::keep_alive::lease_state::Lease},
};

/// A lease that a [`LeaseKeeper`](super::LeaseKeeper) keeps alive.
///
/// Loss is reported and permanent: once [`lost`](Self::lost) has resolved or [`is_alive`](Self::is_alive) was `false`,
/// it stays so. The lease counts as lost when etcd says so, and also when its time is up by the client's own clock,
/// counted from when the last successful renewal was *sent*: from then on etcd may delete it at any moment, even if the
/// client cannot reach etcd. The clock is that of the transport, which may stop while the machine sleeps.
///
/// etcd itself may end a lease too early: a leader that was halted for longer than an election takes, and was replaced,
/// may wake up and end leases that expired only by its own clock, some at once and others 7 s later
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
        self.lease.id()
    }

    /// Returns the time to live that etcd granted, which each renewal restores.
    pub fn ttl(&self) -> Duration {
        self.lease.ttl()
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
    ///
    /// The future borrows nothing, and it is no handle: when the last clone is dropped, it resolves once the time of the
    /// lease is up.
    pub fn lost(&self) -> impl Future<Output = LeaseLoss> + Send + 'static + use<T> {
        self.lost_before(Duration::ZERO)
    }

    /// Resolves when the lease has not been renewed and only this much of its time is left, or when it is
    /// [lost](Self::lost): in time to finish what only a holder may do.
    ///
    /// The future borrows nothing, as that of [`lost`](Self::lost). A later renewal may still succeed: the lease is not lost if the result [is early](LeaseLoss::is_early). A margin that
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
    pub fn lost_before(
        &self,
        margin: Duration,
    ) -> impl Future<Output = LeaseLoss> + Send + 'static + use<T> {
        let (lease, client) = (self.lease.watched(), self.client.clone());
        async move { lease.lost_before(margin, client.transport()).await }
    }

    /// Revokes the lease and deletes its keys: `POST /v3/lease/revoke`.
    ///
    /// From the call on it is lost, for all clones: etcd may have revoked it long before a response arrives. If this fails or is
    /// dropped, the lease is no longer renewed, and expires.
    ///
    /// # Errors
    /// See [`Error`]. It is not an error if the lease no longer exists.
    pub async fn revoke(self) -> Result<()> {
        self.lease.lose(LossReason::Revoked);
        match self.client.send(RevokeLease::new(self.id())).await {
            Err(error) if !error.is_lease_not_found() => Err(error),
            _ => Ok(()),
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
            .field("id", &self.lease.id())
            .field("ttl", &self.lease.ttl())
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
    pub(super) fn new(reason: LossReason, last_error: Option<Error>) -> Self {
        Self { reason, last_error }
    }

    /// etcd no longer has the lease. For your own tests.
    ///
    /// ```
    /// use etcd_http::v3::LeaseLoss;
    ///
    /// assert!(LeaseLoss::expired().is_expired());
    /// assert!(LeaseLoss::deadline(None).is_deadline());
    /// assert!(LeaseLoss::early(None).is_early());
    /// assert!(LeaseLoss::revoked().is_revoked());
    /// ```
    pub fn expired() -> Self {
        Self::new(LossReason::Expired, None)
    }

    /// The time of the lease was up before a renewal succeeded; the error of the last one. For your own tests.
    pub fn deadline(last_error: impl Into<Option<Error>>) -> Self {
        Self::new(LossReason::Deadline, last_error.into())
    }

    /// The time of the lease is almost up; the error of the last renewal. For your own tests.
    pub fn early(last_error: impl Into<Option<Error>>) -> Self {
        Self::new(LossReason::Early, last_error.into())
    }

    /// The holder revoked the lease. For your own tests.
    pub fn revoked() -> Self {
        Self::new(LossReason::Revoked, None)
    }

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

    /// Returns whether [`HeldLease::revoke`] was called. A revocation by another request, such as a
    /// [`RevokeLease`](crate::v3::RevokeLease), is [`is_expired`](Self::is_expired): etcd reports only that the lease is gone.
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
