use std::{sync::Arc, time::Duration};

use etcd_transport::Transport;
use futures::{
    StreamExt,
    stream::{self, BoxStream},
};

use crate::v3::lease::keep_alive::{
    lease_state::Lease,
    renew::{self, OpenRequest, renew},
};
use crate::{
    client::Client,
    error::{Error, Result, TimeoutError},
    operation::{StreamOperation, sealed::Sealed},
    v3::{LeaseId, protocol::status},
};

/// Keeps one lease alive, and delivers its time to live after each renewal: the first immediately, the next after a
/// third of that time, and so on.
///
/// **It renews only while it is polled.** If you cannot promise that, or have several leases, use a
/// [`LeaseKeeper`](super::LeaseKeeper).
///
/// A renewal that fails is tried again, at another endpoint if there is one, until the lease's time is up by the
/// client's own clock. The stream ends with an error: [`is_lease_not_found`](crate::Error::is_lease_not_found) if etcd
/// no longer has the lease, the last failure otherwise; [`Error::Invalid`] if the stream was polled too late to send a
/// renewal.
///
/// ```
/// # use etcd_http::{Client, Error, transport::Transport};
/// use etcd_http::v3::{KeepAlive, LeaseId};
/// use futures::StreamExt;
///
/// # async fn example<T: Transport>(client: &Client<T>, lease: LeaseId) -> Result<(), Error> {
/// let mut renewals = client.open(KeepAlive::new(lease));
/// while let Some(ttl) = renewals.next().await {
///     println!("alive for {:?}", ttl?);
/// }
/// # Ok(())
/// # }
/// ```
#[doc(alias = "keepalive")]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use = "an operation does nothing before `Client::open`"]
pub struct KeepAlive {
    id: LeaseId,
    interval: Option<Duration>,
}

impl KeepAlive {
    /// Keeps this lease alive.
    pub fn new(id: impl Into<LeaseId>) -> Self {
        Self {
            id: id.into(),
            interval: None,
        }
    }

    /// Sets how long after each renewal the next one is sent. Defaults to a third of the lease's TTL. At least 100 ms, and at
    /// most half of the TTL.
    pub fn renewal_interval(mut self, interval: Duration) -> Self {
        self.interval = Some(interval);
        self
    }
}

impl Sealed for KeepAlive {}

impl StreamOperation for KeepAlive {
    type Item = Duration;
    const NAME: &'static str = renew::NAME;

    fn open<T: Transport>(self, client: &Client<T>) -> BoxStream<'static, Result<Duration>> {
        let first = Renewals {
            client: client.clone(),
            id: self.id,
            interval: self.interval,
            open: OpenRequest::new(),
            lease: None,
        };
        let next = |renewals: Option<Renewals<T>>| async move {
            let mut renewals = renewals?;
            let ttl = renewals.next().await;
            let more = ttl.is_ok().then_some(renewals);
            Some((ttl, more))
        };
        stream::unfold(Some(first), next).boxed()
    }
}

const LATE: &str = "no renewal was sent: the stream was not polled within the lease's time to live";

struct Renewals<T> {
    client: Client<T>,
    id: LeaseId,
    interval: Option<Duration>,
    open: OpenRequest<T>,
    /// Known from the first renewal on.
    lease: Option<Arc<Lease>>,
}

impl<T: Transport> Renewals<T> {
    async fn next(&mut self) -> Result<Duration> {
        let transport = self.client.transport();
        let Some(lease) = &self.lease else {
            let sent = transport.now();
            let ttl = renew::once(&self.client, self.id).await?;
            self.lease = Some(Arc::new(Lease::new(self.id, ttl, sent, self.interval)));
            return Ok(ttl);
        };
        let wait = lease.due().saturating_duration_since(transport.now());
        if !wait.is_zero() {
            transport.sleep(wait).await;
        }
        let mut is_asked = false;
        let attempt = || {
            is_asked |= lease.is_alive(transport.now());
            let renewal = renew(&self.client, self.open.clone(), vec![Arc::clone(lease)]);
            async { renewal.await.is_empty().then_some(()) }
        };
        let pipeline = self.client.pipeline();
        // The end of the lease is reported in time, whatever a pending request waits for.
        pipeline
            .repeat_until_expiry(|now| lease.remaining(now), attempt)
            .await;
        match lease.loss(transport.now()) {
            None => Ok(lease.ttl()),
            Some(loss) => Err(self.loss(lease, loss.is_expired(), is_asked)),
        }
    }

    /// Returns why the lease is lost: etcd no longer has it, or its time is up.
    fn loss(&self, lease: &Lease, is_expired: bool, is_asked: bool) -> Error {
        let context = self.client.pipeline().next_context(renew::NAME);
        if is_expired {
            return status::lease_not_found(context, lease.id().get());
        }
        let ttl = lease.ttl();
        lease.take_error().unwrap_or_else(|| {
            if is_asked {
                Error::Timeout(TimeoutError::of(context, ttl))
            } else {
                Error::invalid(renew::NAME, format!("{LATE} of {ttl:?}"))
            }
        })
    }
}
