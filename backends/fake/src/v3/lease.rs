use std::{ops::Bound, sync::Arc, time::Duration};

use bytes::Bytes;

use super::{error::V3Error, tree::Tree};

/// The longest time to live, in seconds.
const MAX_TTL: i64 = 9_000_000_000;

/// The shortest: one and a half election timeouts, in whole seconds.
const MIN_TTL: i64 = 2;

/// How long an election may take, in nanoseconds.
const ELECTION_TIMEOUT: i64 = 1_000_000_000;

/// Nanoseconds in a second.
const SECOND: i128 = 1_000_000_000;

/// The leases, and the keys that are attached to them. A clone shares everything with its original.
#[derive(Clone, Debug, Default)]
pub(crate) struct Leases {
    leases: Tree<i64, Arc<Lease>>,
    /// By the time of their end.
    by_expiry: Tree<(i128, i64), ()>,
}

/// One lease.
#[derive(Clone, Debug)]
pub(crate) struct Lease {
    /// The granted time to live, in seconds.
    pub(crate) ttl: i64,
    /// Nanoseconds since the Unix epoch. The end of the longest lease does not fit into 64 bits.
    expires: i128,
    keys: Tree<Bytes, ()>,
}

impl Leases {
    pub(crate) fn contains(&self, id: i64) -> bool {
        self.leases.get(&id).is_some()
    }

    pub(crate) fn get(&self, id: i64) -> Option<&Lease> {
        self.leases.get(&id).map(|lease| &**lease)
    }

    /// Grants a lease; returns its time to live.
    pub(crate) fn grant(&mut self, id: i64, ttl: i64, now: i64) -> Result<i64, V3Error> {
        if ttl > MAX_TTL {
            return Err(V3Error::LEASE_TTL_TOO_LARGE);
        }
        if self.contains(id) {
            return Err(V3Error::LEASE_EXISTS);
        }
        let ttl = ttl.max(MIN_TTL);
        self.import(id, ttl, expiry(now, ttl));
        Ok(ttl)
    }

    /// Adds a lease from a dump.
    pub(crate) fn import(&mut self, id: i64, ttl: i64, expires: i128) {
        let keys = Tree::default();
        self.leases
            .insert(id, Arc::new(Lease { ttl, expires, keys }));
        self.by_expiry.insert((expires, id), ());
    }

    /// Lets a lease live for its whole time again; returns that time.
    pub(crate) fn renew(&mut self, id: i64, now: i64) -> Option<i64> {
        let mut lease = self.leases.remove(&id)?;
        let ttl = lease.ttl;
        self.by_expiry.remove(&(lease.expires, id));
        let expires = expiry(now, ttl);
        Arc::make_mut(&mut lease).expires = expires;
        self.by_expiry.insert((expires, id), ());
        self.leases.insert(id, lease);
        Some(ttl)
    }

    /// Lets all leases live for their whole time again and an election timeout more, as a new leader does.
    pub(crate) fn promote(&mut self, now: i64) {
        let later = now.saturating_add(ELECTION_TIMEOUT);
        let ids: Vec<i64> = self.ids().collect();
        for id in ids {
            self.renew(id, later);
        }
    }

    /// Removes a lease; returns its keys in their order.
    pub(crate) fn remove(&mut self, id: i64) -> Option<Vec<Bytes>> {
        let lease = self.leases.remove(&id)?;
        self.by_expiry.remove(&(lease.expires, id));
        Some(lease.keys().cloned().collect())
    }

    pub(crate) fn attach(&mut self, id: i64, key: Bytes) {
        self.change_keys(id, |keys| {
            keys.insert(key, ());
        });
    }

    pub(crate) fn detach(&mut self, id: i64, key: &Bytes) {
        self.change_keys(id, |keys| {
            keys.remove(key);
        });
    }

    /// The ids, that of the lease which ends first at the front.
    pub(crate) fn ids(&self) -> impl Iterator<Item = i64> {
        self.by_expiry.iter().map(|(&(_, id), ())| id)
    }

    /// When the first lease ends, if that is before the end of time.
    pub(crate) fn next_expiry(&self) -> Option<i64> {
        let (&(at, _), ()) = self.by_expiry.iter().next()?;
        i64::try_from(at).ok()
    }

    /// The leases that have ended by `cutoff`.
    pub(crate) fn expired(&self, cutoff: i64) -> Vec<i64> {
        let ended = self
            .by_expiry
            .iter()
            .take_while(|((at, _), ())| *at <= i128::from(cutoff));
        ended.map(|(&(_, id), ())| id).collect()
    }

    fn change_keys(&mut self, id: i64, change: impl FnOnce(&mut Tree<Bytes, ()>)) {
        // Taken out, so that it is not copied because the map has it, too.
        if let Some(mut lease) = self.leases.remove(&id) {
            change(&mut Arc::make_mut(&mut lease).keys);
            self.leases.insert(id, lease);
        }
    }
}

impl Lease {
    /// Whole seconds until the lease ends.
    pub(crate) fn remaining(&self, now: i64) -> i64 {
        let seconds = (self.expires - i128::from(now)) / SECOND;
        i64::try_from(seconds).unwrap_or(i64::MAX)
    }

    /// When the lease ends, in nanoseconds since the Unix epoch.
    pub(crate) fn expires(&self) -> i128 {
        self.expires
    }

    pub(crate) fn has_ended(&self, now: i64) -> bool {
        self.expires <= i128::from(now)
    }

    /// The time until the lease ends.
    pub(crate) fn time_left(&self, now: i64) -> Duration {
        let left = (self.expires - i128::from(now)).max(0);
        Duration::from_nanos(u64::try_from(left).unwrap_or(u64::MAX))
    }

    pub(crate) fn keys(&self) -> impl Iterator<Item = &Bytes> {
        let all = self.keys.from(Bound::Unbounded::<&Bytes>);
        all.map(|(key, ())| key)
    }
}

fn expiry(now: i64, ttl: i64) -> i128 {
    i128::from(now) + i128::from(ttl) * SECOND
}
