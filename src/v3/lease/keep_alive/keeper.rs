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
    held_lease::{HeldLease, Lease},
    renew::{self, pause, renew},
};
use crate::{
    client::Client,
    error::{Error, Result},
    v3::{GrantLease, LeaseId},
};

/// How many leases one request renews at most, and how many requests are under way at once.
const BATCH: usize = 512;
const REQUESTS: usize = 4;

/// Keeps leases alive: one for a client, for however many leases.
///
/// It comes with a future that does the work, to be spawned on any runtime, or polled beside other work. It renews each
/// lease when a third of its TTL has passed, those that are due together in one request; after a failure it goes on
/// trying, at another endpoint if there is one, until the lease's time is up. It resolves when the keeper with its clones
/// and all its [leases](HeldLease) are dropped. If it is dropped before, every lease is lost in time.
///
/// ```
/// # use etcd_http::{Client, Error, transport::Transport};
/// # use std::time::Duration;
/// use etcd_http::v3::{LeaseKeeper, Put};
///
/// # async fn example<T: Transport>(client: Client<T>) -> Result<(), Error> {
/// let (keeper, run) = LeaseKeeper::new(&client);
/// let work = async {
///     let lease = keeper.grant(Duration::from_secs(10)).await?;
///     client.send(Put::new("workers/7", "here").lease(lease.id())).await?;
///     println!("{}", lease.lost().await);
///     Ok(())
/// };
/// // With tokio, `tokio::spawn(run)` does as well.
/// let (result, ()) = futures::join!(work, run);
/// result
/// # }
/// ```
pub struct LeaseKeeper<T> {
    client: Client<T>,
    arrivals: UnboundedSender<Arc<Lease>>,
}

impl<T: Transport> LeaseKeeper<T> {
    /// A keeper, and the future that does its work.
    pub fn new(client: &Client<T>) -> (Self, impl Future<Output = ()> + Send + 'static) {
        let (arrivals, arriving) = mpsc::unbounded();
        let keeper = Self {
            client: client.clone(),
            arrivals,
        };
        (keeper, Work::new(client.clone()).run(arriving))
    }

    /// Grants a lease, and keeps it alive from now on. etcd may grant more than `ttl`, and has whole seconds only.
    ///
    /// # Errors
    /// See [`Error`]; [`Error::Invalid`] when the keeper's future was dropped.
    pub async fn grant(&self, ttl: Duration) -> Result<HeldLease<T>> {
        self.check()?;
        let sent = self.client.transport().now();
        let granted = self.client.send(GrantLease::new(ttl)).await?;
        self.add(granted.id, granted.ttl, sent).await
    }

    /// Renews a lease that is there already, and keeps it alive from now on.
    ///
    /// # Errors
    /// [`is_lease_not_found`](Error::is_lease_not_found) when it is not; [`Error::Invalid`] when the keeper's future was
    /// dropped.
    pub async fn keep(&self, id: impl Into<LeaseId>) -> Result<HeldLease<T>> {
        self.check()?;
        let sent = self.client.transport().now();
        let id = id.into();
        let ttl = renew::once(&self.client, id).await?;
        self.add(id, ttl, sent).await
    }

    /// Keeps a lease that has lived since `sent`, at most. Of one that took long, as it does when the first endpoint is
    /// silent, little may be left: it is renewed first.
    async fn add(&self, id: LeaseId, mut ttl: Duration, mut sent: Instant) -> Result<HeldLease<T>> {
        let now = self.client.transport().now();
        if now.saturating_duration_since(sent) >= ttl / 3 {
            sent = now;
            ttl = renew::once(&self.client, id).await?;
        }
        let lease = Arc::new(Lease::new(id, ttl, sent));
        if self.arrivals.unbounded_send(Arc::clone(&lease)).is_err() {
            self.check()?;
        }
        let keeper = self.arrivals.clone();
        Ok(HeldLease::new(self.client.clone(), lease, keeper))
    }

    fn check(&self) -> Result<()> {
        if self.arrivals.is_closed() {
            let reason = "the keeper's future was dropped: nobody would renew the lease";
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
    /// The leases that wait for their time, by when that is.
    waiting: BTreeMap<(Instant, u64), Weak<Lease>>,
    /// Tells apart what is due at once.
    counter: u64,
    /// The leases that are being renewed; each request resolves with those that got no answer.
    requests: FuturesUnordered<BoxFuture<'static, Round>>,
}

/// What came of one request.
struct Round {
    asked: Vec<Weak<Lease>>,
    /// In the order of the request.
    unanswered: Vec<Arc<Lease>>,
}

impl<T: Transport> Work<T> {
    fn new(client: Client<T>) -> Self {
        Self {
            client,
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
            // Requests that end make room; until then there is nothing to wait for.
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
                // The last handle is gone.
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

    /// Sends requests for what is due.
    fn start_requests(&mut self) {
        let now = self.client.transport().now();
        while self.requests.len() < REQUESTS {
            let batch = self.due(now);
            if batch.is_empty() {
                return;
            }
            let client = self.client.clone();
            let asked = batch.iter().map(Arc::downgrade).collect();
            let request = async move {
                Round {
                    asked,
                    unanswered: renew(&client, batch).await,
                }
            };
            self.requests.push(Box::pin(request));
        }
    }

    /// The leases for the next request, if one is due: with it go those that soon will be.
    fn due(&mut self, now: Instant) -> Vec<Arc<Lease>> {
        let mut batch = Vec::new();
        while batch.len() < BATCH
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
                lease.ttl() / 12
            };
            if due > now + early {
                break;
            }
            first.remove();
            batch.push(lease);
        }
        batch
    }

    /// Each lease of this request waits for its next.
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
            let pause = pause(lease.remaining(now));
            // It may be the one that the others had to wait for: etcd answers one after the other, and for a lease that
            // has just expired only when it is gone.
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
