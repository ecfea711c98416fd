use std::{
    fmt,
    ops::Deref,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
};

/// Spreads [`LongLived`](crate::LongLived) exchanges over several HTTP clients, each with connections of its own.
///
/// For a backend whose HTTP stack has one HTTP/2 connection for each origin and does not tell how many streams the server
/// allows on it: a request beyond the limit waits until another ends. So each client carries a fixed number of long-lived
/// exchanges. Clients are made when they are needed.
///
/// ```
/// use std::convert::Infallible;
///
/// use etcd_transport::Shards;
///
/// let shards = Shards::new(2);
/// let mut made = 0;
/// let mut lease = || shards.lease(|| { made += 1; Ok::<_, Infallible>(made) });
/// let leases = [lease()?, lease()?, lease()?];
/// assert_eq!(leases.each_ref().map(|lease| **lease), [1, 1, 2]);
/// # Ok::<(), Infallible>(())
/// ```
pub struct Shards<C> {
    shards: Mutex<Vec<Arc<Shard<C>>>>,
    exchanges_per_client: usize,
}

struct Shard<C> {
    client: C,
    open: AtomicUsize,
}

/// The place of a long-lived exchange on one of several clients: see [`Shards::lease`]. Dropping it makes room for another.
pub struct ShardLease<C>(Arc<Shard<C>>);

impl<C> Shards<C> {
    /// No client yet, and this many exchanges on each. Zero counts as one.
    pub fn new(exchanges_per_client: usize) -> Self {
        Self {
            shards: Mutex::default(),
            exchanges_per_client: exchanges_per_client.max(1),
        }
    }

    /// Takes a place on the first client that has room, so that the last ones become empty, or on one that `make` makes.
    ///
    /// The lease belongs into the body of the response, which drops it when it ends.
    ///
    /// # Errors
    /// That of `make`.
    pub fn lease<E>(&self, make: impl FnOnce() -> Result<C, E>) -> Result<ShardLease<C>, E> {
        let mut shards = self.shards.lock().unwrap_or_else(PoisonError::into_inner);
        let has_room = |shard: &&Arc<Shard<C>>| shard.open() < self.exchanges_per_client;
        let lease = match shards.iter().find(has_room) {
            Some(shard) => ShardLease::new(shard),
            None => {
                let shard = Arc::new(Shard {
                    client: make()?,
                    open: AtomicUsize::new(0),
                });
                let lease = ShardLease::new(&shard);
                shards.push(shard);
                lease
            }
        };
        // One empty client is kept: otherwise a number of exchanges around a multiple of the limit would make one each time.
        while let [.., before, last] = &**shards
            && before.open() == 0
            && last.open() == 0
        {
            shards.pop();
        }
        Ok(lease)
    }

    /// Forgets all clients, so that further exchanges get new ones. Those that are open keep theirs.
    pub fn clear(&self) {
        let mut shards = self.shards.lock().unwrap_or_else(PoisonError::into_inner);
        shards.clear();
    }
}

impl<C> Shard<C> {
    fn open(&self) -> usize {
        self.open.load(Relaxed)
    }
}

impl<C> ShardLease<C> {
    fn new(shard: &Arc<Shard<C>>) -> Self {
        shard.open.fetch_add(1, Relaxed);
        Self(Arc::clone(shard))
    }
}

impl<C> Deref for ShardLease<C> {
    type Target = C;

    fn deref(&self) -> &C {
        &self.0.client
    }
}

impl<C> Drop for ShardLease<C> {
    fn drop(&mut self) {
        self.0.open.fetch_sub(1, Relaxed);
    }
}

/// Shows nothing of the clients, whose settings may contain a secret.
impl<C> fmt::Debug for Shards<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shards")
            .field("exchanges_per_client", &self.exchanges_per_client)
            .finish_non_exhaustive()
    }
}

/// As above.
impl<C> fmt::Debug for ShardLease<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ShardLease").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use super::*;

    fn lease(shards: &Shards<()>) -> ShardLease<()> {
        let Ok(lease) = shards.lease(|| Ok::<_, Infallible>(()));
        lease
    }

    fn open(shards: &Shards<()>) -> Vec<usize> {
        let shards = shards.shards.lock().unwrap();
        shards.iter().map(|shard| shard.open()).collect()
    }

    #[test]
    fn a_client_carries_no_more_long_lived_requests_than_the_limit() {
        let shards = Shards::new(3);
        let leases: Vec<_> = (0..7).map(|_| lease(&shards)).collect();
        assert_eq!(open(&shards), [3, 3, 1]);
        drop(leases);
        assert_eq!(open(&shards), [0, 0, 0]);
    }

    #[test]
    fn room_is_filled_from_the_first_client_and_empty_clients_are_dropped() {
        let shards = Shards::new(2);
        let mut leases: Vec<_> = (0..8).map(|_| lease(&shards)).collect();
        leases.remove(0);
        assert_eq!(open(&shards), [1, 2, 2, 2]);
        leases.push(lease(&shards));
        assert_eq!(open(&shards), [2, 2, 2, 2]);
        leases.clear();
        leases.push(lease(&shards));
        assert_eq!(open(&shards), [1, 0]);
    }

    #[test]
    fn clients_that_are_forgotten_carry_what_is_open_and_nothing_more() {
        let shards = Shards::new(2);
        let before = lease(&shards);
        shards.clear();
        let after = lease(&shards);
        assert_eq!(open(&shards), [1]);
        drop((before, after));
        assert_eq!(open(&shards), [0]);
    }
}
