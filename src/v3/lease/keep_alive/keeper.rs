use std::{
    collections::{BTreeMap, HashSet},
    fmt,
    pin::pin,
    sync::{Arc, Weak},
    time::{Duration, Instant},
};

use etcd_transport::Transport;
use futures::{
    StreamExt,
    channel::mpsc::{self, UnboundedReceiver, UnboundedSender},
    future::{BoxFuture, Either, pending, select},
    stream::FuturesUnordered,
};

use crate::v3::lease::keep_alive::{
    held_lease::HeldLease,
    lease_state::Lease,
    renew::{self, OpenRequest, renew},
};
use crate::{
    client::Client,
    error::{Error, Result},
    pipeline::expiry::pause_before_expiry,
    v3::{GrantLease, KeepAliveOnce, LeaseId},
};

/// The most requests at a time.
const REQUESTS: usize = 4;

/// Keeps leases alive: one keeper is enough for all leases of a client.
///
/// It comes with a future that does the work: spawn it on any runtime, or poll it beside other work. It renews each lease
/// when a third of its TTL has passed, and leases that are due together in one request. By gRPC that request stays
/// open for the next ones. After a failure it tries again, at
/// another endpoint if there is one, until the lease's time is up. It resolves when the keeper with its clones and all its
/// [leases](HeldLease) are dropped, or the client is [closed](Client::close). If it ends earlier, every lease is lost when its time is up.
///
/// ```
/// # use etcd_http::{Client, Error, transport::Transport};
/// # use std::time::Duration;
/// use etcd_http::v3::{LeaseKeeper, Put};
///
/// # async fn example<T: Transport>(client: Client<T>) -> Result<(), Error> {
/// let (keeper, run) = LeaseKeeper::new(&client);
/// let work = async move {
///     let lease = keeper.grant(Duration::from_secs(10)).await?;
///     client.send(Put::new("workers/7", "here").lease(lease.id())).await?;
///     println!("{}", lease.lost().await);
///     Ok(())
/// };
/// // With tokio, `tokio::spawn(run)` works as well.
/// let (result, ()) = futures::join!(work, run);
/// result
/// # }
/// ```
#[doc(alias = "keepalive")]
pub struct LeaseKeeper<T> {
    client: Client<T>,
    arrivals: UnboundedSender<Arc<Lease>>,
    interval: Option<Duration>,
}

impl<T: Transport> LeaseKeeper<T> {
    /// Returns a keeper, and the future that does its work.
    pub fn new(client: &Client<T>) -> (Self, impl Future<Output = ()> + Send + 'static + use<T>) {
        let (arrivals, arriving) = mpsc::unbounded();
        let keeper = Self {
            client: client.clone(),
            arrivals,
            interval: None,
        };
        let work = Work::new(client.clone());
        let pipeline = client.pipeline();
        let ended = pipeline.lifecycle.ended(pipeline.is_privileged);
        let run = async move {
            select(pin!(work.run(arriving)), pin!(ended)).await;
        };
        (keeper, run)
    }

    /// Sets how long after each renewal the next one is sent, for the leases that this handle keeps from now on. Defaults to a
    /// third of a lease's TTL. At least 100 ms, and at most half of the TTL.
    #[must_use]
    pub fn renewal_interval(mut self, interval: Duration) -> Self {
        self.interval = Some(interval);
        self
    }

    /// Grants a lease, and keeps it alive from now on. etcd may grant more than `ttl`, which it rounds up to whole
    /// seconds.
    ///
    /// # Errors
    /// See [`Error`]; [`Error::Invalid`] if the keeper's future was dropped.
    pub async fn grant(&self, ttl: Duration) -> Result<HeldLease<T>> {
        self.check()?;
        let sent = self.client.transport().now();
        let granted = self.client.send(GrantLease::new(ttl)).await?;
        self.add(granted.id, granted.ttl, sent).await
    }

    /// Renews an existing lease, and keeps it alive from now on.
    ///
    /// # Errors
    /// [`is_lease_not_found`](Error::is_lease_not_found) if it does not exist; [`Error::Invalid`] if the keeper's future was
    /// dropped.
    pub async fn keep(&self, id: impl Into<LeaseId>) -> Result<HeldLease<T>> {
        self.check()?;
        let sent = self.client.transport().now();
        let id = id.into();
        let ttl = renew::once(&self.client, id).await?;
        self.add(id, ttl, sent).await
    }

    /// Keeps a lease that was granted or renewed after `sent`. If that took long, as it does when the first endpoint is
    /// silent, little of it may be left: it is renewed first.
    async fn add(&self, id: LeaseId, mut ttl: Duration, mut sent: Instant) -> Result<HeldLease<T>> {
        let now = self.client.transport().now();
        if now.saturating_duration_since(sent) >= ttl / 3 {
            sent = now;
            ttl = renew::once(&self.client, id).await?;
        }
        let lease = Arc::new(Lease::new(id, ttl, sent, self.interval));
        if self.arrivals.unbounded_send(Arc::clone(&lease)).is_err() {
            self.check()?;
        }
        let keeper = self.arrivals.clone();
        Ok(HeldLease::new(self.client.clone(), lease, keeper))
    }

    fn check(&self) -> Result<()> {
        if self.arrivals.is_closed() {
            let reason = "the keeper's future was dropped: the lease would not be renewed";
            return Err(Error::invalid(renew::NAME, reason));
        }
        Ok(())
    }
}

impl<T> Clone for LeaseKeeper<T> {
    fn clone(&self) -> Self {
        Self {
            client: self.client.clone(),
            arrivals: self.arrivals.clone(),
            interval: self.interval,
        }
    }
}

impl<T> fmt::Debug for LeaseKeeper<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LeaseKeeper").finish_non_exhaustive()
    }
}

/// The work of a keeper.
struct Work<T> {
    client: Client<T>,
    open: OpenRequest<T>,
    /// The leases to be renewed, by the time at which they are due.
    waiting: BTreeMap<(Instant, u64), Weak<Lease>>,
    /// Distinguishes leases that are due at the same time.
    counter: u64,
    /// The leases that are being renewed. Each request resolves with those that got no response.
    requests: FuturesUnordered<BoxFuture<'static, Round>>,
}

/// The result of one request.
struct Round {
    asked: Vec<Weak<Lease>>,
    /// In the order of the request.
    unanswered: Vec<Arc<Lease>>,
}

impl<T: Transport> Work<T> {
    fn new(client: Client<T>) -> Self {
        Self {
            client,
            open: OpenRequest::new(),
            waiting: BTreeMap::new(),
            counter: 0,
            requests: FuturesUnordered::new(),
        }
    }

    async fn run(mut self, mut arriving: UnboundedReceiver<Arc<Lease>>) {
        let mut is_closed = false;
        while !is_closed {
            self.start_requests();
            let now = self.client.transport().now();
            let next_due = self.waiting.first_key_value().map(|((due, _), _)| *due);
            // With the most requests under way, only the end of one matters.
            let next_due = next_due.filter(|_| self.requests.len() < REQUESTS);
            let client = &self.client;
            let sleep = async {
                match next_due {
                    Some(due) => {
                        client
                            .transport()
                            .sleep(due.saturating_duration_since(now))
                            .await;
                    }
                    None => pending().await,
                }
            };
            let requests = &mut self.requests;
            let round = async {
                match requests.next().await {
                    Some(round) => round,
                    None => pending().await,
                }
            };
            let happened = {
                let (round, sleep) = (pin!(round), pin!(sleep));
                match select(arriving.next(), select(round, sleep)).await {
                    Either::Left((lease, _)) => Happened::Arrival(lease),
                    Either::Right((Either::Left((round, _)), _)) => Happened::Round(round),
                    Either::Right((Either::Right(_), _)) => Happened::Due,
                }
            };
            match happened {
                // The last handle was dropped.
                Happened::Arrival(None) => is_closed = true,
                Happened::Arrival(Some(lease)) => {
                    let due = lease.due();
                    self.wait(due, Arc::downgrade(&lease));
                }
                Happened::Round(round) => self.done(round),
                Happened::Due => {}
            }
        }
    }

    /// Sends requests for the leases that are due.
    fn start_requests(&mut self) {
        let now = self.client.transport().now();
        while self.requests.len() < REQUESTS {
            let batch = self.due(now);
            if batch.is_empty() {
                return;
            }
            let (client, open) = (self.client.clone(), self.open.clone());
            let asked = batch.iter().map(Arc::downgrade).collect();
            let request = async move {
                Round {
                    asked,
                    unanswered: renew(&client, open, batch).await,
                }
            };
            self.requests.push(Box::pin(request));
        }
    }

    /// The leases for the next request, if one is due, with those that will be due soon.
    fn due(&mut self, now: Instant) -> Vec<Arc<Lease>> {
        let mut batch = Vec::new();
        while batch.len() < KeepAliveOnce::MAX_LEASES
            && let Some(first) = self.waiting.first_entry()
        {
            let due = first.key().0;
            let Some(lease) = first.get().upgrade().filter(|lease| lease.is_alive(now)) else {
                first.remove();
                continue;
            };
            let early = if batch.is_empty() {
                Duration::ZERO
            } else {
                lease.margin()
            };
            if due > now + early {
                break;
            }
            first.remove();
            batch.push(lease);
        }
        batch
    }

    /// Schedules the next renewal of each lease of a request.
    fn done(&mut self, round: Round) {
        let now = self.client.transport().now();
        let unanswered: HashSet<LeaseId> =
            round.unanswered.iter().map(|lease| lease.id()).collect();
        let mut is_first = true;
        for weak in round.asked {
            let Some(lease) = weak.upgrade() else {
                continue;
            };
            if !unanswered.contains(&lease.id()) {
                self.wait(lease.due(), weak);
                continue;
            }
            let pause = pause_before_expiry(lease.remaining(now));
            // The others may have waited for this one: etcd responds in order, and for a lease that has just expired
            // only after it is deleted.
            let pause = if is_first { pause * 2 } else { pause };
            is_first = false;
            self.wait(now + pause, weak);
        }
    }

    fn wait(&mut self, due: Instant, lease: Weak<Lease>) {
        self.counter += 1;
        self.waiting.insert((due, self.counter), lease);
    }
}

enum Happened {
    Arrival(Option<Arc<Lease>>),
    Round(Round),
    Due,
}
