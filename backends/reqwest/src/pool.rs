//! The reqwest clients for one way to connect: one for usual requests, others for long-lived ones.
//!
//! A reqwest client has one HTTP/2 connection per origin, and the server limits its streams: requests beyond the limit
//! wait until a stream ends. reqwest reports neither the limit nor which requests wait. So long-lived requests have
//! clients of their own, and each of these carries a fixed number of them.

use std::{
    ops::Deref,
    sync::{
        Arc, Mutex, OnceLock, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
};

use etcd_transport::TransportError;
use reqwest::Client;

/// Far below 100, the least limit that RFC 9113 recommends to servers, as some are configured for less, and a request beyond
/// the limit waits until another ends. Usual limits are 100 (haproxy, nghttpx), 128 (nginx, AWS's load balancers), 250 (Go's
/// HTTP server) and none (etcd's gRPC server).
const STREAMS_PER_CONNECTION: usize = 16;

/// A client, or why there is none: the reason why each request is rejected.
pub(crate) type BuiltClient = Result<Client, Arc<dyn std::error::Error + Send + Sync>>;

pub(crate) enum Pool {
    /// One client of the user's, or none, for all requests.
    Given(BuiltClient),
    Building(Building),
}

/// Clients that are built when they are needed.
pub(crate) struct Building {
    build: Box<dyn Fn() -> BuiltClient + Send + Sync>,
    /// For all requests that are not long-lived.
    shared: OnceLock<BuiltClient>,
    /// For long-lived requests.
    shards: Mutex<Vec<Arc<Shard>>>,
    streams_per_connection: usize,
}

struct Shard {
    client: Client,
    open: AtomicUsize,
}

/// The client for one request.
pub(crate) enum ChosenClient<'a> {
    Shared(&'a Client),
    LongLived(Lease),
}

/// The place of a long-lived exchange on a client. Dropping it makes room for another.
pub(crate) struct Lease(Arc<Shard>);

impl Pool {
    pub(crate) fn building(build: impl Fn() -> BuiltClient + Send + Sync + 'static) -> Self {
        Self::Building(Building {
            build: Box::new(build),
            shared: OnceLock::new(),
            shards: Mutex::default(),
            streams_per_connection: STREAMS_PER_CONNECTION,
        })
    }

    pub(crate) fn set_streams_per_connection(&mut self, streams: usize) {
        if let Self::Building(building) = self {
            building.streams_per_connection = streams.max(1);
        }
    }

    /// Returns the client for requests that are not long-lived.
    pub(crate) fn shared(&self) -> Result<&Client, TransportError> {
        let built = match self {
            Self::Given(client) => client,
            Self::Building(building) => building.shared.get_or_init(&building.build),
        };
        built
            .as_ref()
            .map_err(|reason| TransportError::rejected(Arc::clone(reason)))
    }

    /// Returns a client for a long-lived request.
    pub(crate) fn long_lived(&self) -> Result<ChosenClient<'_>, TransportError> {
        match self {
            Self::Given(_) => self.shared().map(ChosenClient::Shared),
            Self::Building(building) => building.lease().map(ChosenClient::LongLived),
        }
    }
}

impl Building {
    /// Takes a place on the first client that has room, so that the last ones become empty.
    fn lease(&self) -> Result<Lease, TransportError> {
        let mut shards = self.shards.lock().unwrap_or_else(PoisonError::into_inner);
        let has_room = |shard: &&Arc<Shard>| shard.open() < self.streams_per_connection;
        let lease = match shards.iter().find(has_room) {
            Some(shard) => Lease::new(shard),
            None => {
                let shard = Arc::new(Shard {
                    client: (self.build)().map_err(TransportError::rejected)?,
                    open: AtomicUsize::new(0),
                });
                let lease = Lease::new(&shard);
                shards.push(shard);
                lease
            }
        };
        // One empty client is kept: otherwise a number of streams around a multiple of the limit would build one each
        // time.
        while let [.., before, last] = &**shards
            && before.open() == 0
            && last.open() == 0
        {
            shards.pop();
        }
        Ok(lease)
    }
}

impl Shard {
    fn open(&self) -> usize {
        self.open.load(Ordering::Relaxed)
    }
}

impl ChosenClient<'_> {
    /// What the body of the response keeps until it ends.
    pub(crate) fn into_lease(self) -> Option<Lease> {
        match self {
            Self::Shared(_) => None,
            Self::LongLived(lease) => Some(lease),
        }
    }
}

impl Deref for ChosenClient<'_> {
    type Target = Client;

    fn deref(&self) -> &Client {
        match self {
            Self::Shared(client) => client,
            Self::LongLived(lease) => &lease.0.client,
        }
    }
}

impl Lease {
    fn new(shard: &Arc<Shard>) -> Self {
        shard.open.fetch_add(1, Ordering::Relaxed);
        Self(Arc::clone(shard))
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.0.open.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pool(streams: usize) -> Pool {
        let mut pool = Pool::building(|| {
            let client = crate::builder::recommended().build();
            client.map_err(|error| Arc::new(error) as _)
        });
        pool.set_streams_per_connection(streams);
        pool
    }

    fn lease(pool: &Pool) -> Lease {
        let chosen = pool.long_lived().unwrap();
        chosen
            .into_lease()
            .expect("a client for long-lived requests")
    }

    fn open(pool: &Pool) -> Vec<usize> {
        let Pool::Building(building) = pool else {
            panic!("the pool builds its clients");
        };
        let shards = building.shards.lock().unwrap();
        shards.iter().map(|shard| shard.open()).collect()
    }

    #[test]
    fn a_client_carries_no_more_long_lived_requests_than_the_limit() {
        let pool = pool(3);
        let leases: Vec<_> = (0..7).map(|_| lease(&pool)).collect();
        assert_eq!(open(&pool), [3, 3, 1]);
        drop(leases);
        assert_eq!(open(&pool), [0, 0, 0]);
    }

    #[test]
    fn room_is_filled_from_the_first_client_and_empty_clients_are_dropped() {
        let pool = pool(2);
        let mut leases: Vec<_> = (0..8).map(|_| lease(&pool)).collect();
        leases.remove(0);
        assert_eq!(open(&pool), [1, 2, 2, 2]);
        leases.push(lease(&pool));
        assert_eq!(open(&pool), [2, 2, 2, 2]);
        leases.clear();
        leases.push(lease(&pool));
        assert_eq!(open(&pool), [1, 0]);
    }

    #[test]
    fn a_client_of_the_users_carries_all_requests() {
        let client = crate::builder::recommended().build();
        let pool = Pool::Given(client.map_err(|error| Arc::new(error) as _));
        assert!(matches!(
            pool.long_lived().unwrap(),
            ChosenClient::Shared(_)
        ));
    }
}
