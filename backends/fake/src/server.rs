use std::sync::Arc;

use crate::{
    Profile,
    cluster::{Cluster, Member},
    rng::Rng,
    store::{Event, NodeId, NodeRecord, Store, StoreError, WatcherId, Write},
};

/// A cluster of etcd servers as one state machine: what was agreed on, and how far each endpoint has got.
#[derive(Debug)]
pub(crate) struct Server {
    pub(crate) profile: Profile,
    /// Whether the v2 API is on.
    pub(crate) v2: bool,
    pub(crate) cluster: Cluster,
    pub(crate) rng: Rng,
    pub(crate) raft_index: u64,
    pub(crate) raft_term: u64,
    /// Nanoseconds since the Unix epoch.
    pub(crate) now: i64,
    /// When the cluster was started.
    pub(crate) started: i64,
    /// Whether the directories of auth are known to be there.
    pub(crate) auth_ready: bool,
    /// What all agree on.
    pub(crate) store: Store,
    /// The member behind each endpoint.
    seats: Vec<u64>,
    /// The endpoints that lag: their own view, and how much of `log` it has seen.
    laggards: Vec<Option<Laggard>>,
    /// What was agreed on since the first laggard began to lag.
    log: Vec<Entry>,
    /// Writes that the leader took and could not get agreed on; they are done when there is a quorum again.
    pending: Vec<Write>,
}

#[derive(Debug)]
struct Laggard {
    store: Store,
    seen: usize,
}

#[derive(Clone, Debug)]
enum Entry {
    Write { write: Write, now: i64 },
    Expire { cutoff: i64, now: i64 },
}

impl Server {
    /// A new cluster with as many endpoints as members.
    pub(crate) fn new(profile: Profile, v2: bool, cluster: Cluster, now: i64, seed: u64) -> Self {
        let mut store = Store::new();
        cluster.found(&mut store, now, profile);
        let members = cluster.members.len();
        Self {
            profile,
            v2,
            rng: Rng::new(seed),
            // A change of the configuration and an attribute for each member, an election, the version.
            raft_index: 2 * members as u64 + 2,
            raft_term: 2,
            now,
            started: now,
            auth_ready: false,
            store,
            seats: cluster.members.iter().map(|member| member.id).collect(),
            laggards: (0..members).map(|_| None).collect(),
            log: Vec::new(),
            pending: Vec::new(),
            cluster,
        }
    }

    /// Another cluster with the same data: nobody lags, and nobody watches.
    pub(crate) fn fork(&self) -> Self {
        Self {
            profile: self.profile,
            v2: self.v2,
            cluster: self.cluster.clone(),
            rng: self.rng.clone(),
            raft_index: self.raft_index,
            raft_term: self.raft_term,
            now: self.now,
            started: self.started,
            auth_ready: self.auth_ready,
            store: self.store.fork(),
            seats: self.seats.clone(),
            laggards: self.laggards.iter().map(|_| None).collect(),
            log: Vec::new(),
            pending: self.pending.clone(),
        }
    }

    /// The member behind an endpoint, unless it was removed.
    pub(crate) fn member(&self, endpoint: usize) -> Option<&Member> {
        self.cluster.member(*self.seats.get(endpoint)?)
    }

    /// Whether a write would be agreed on now.
    pub(crate) fn can_commit(&self) -> bool {
        self.cluster.quorum && self.cluster.leader.is_some()
    }

    /// Has a write agreed on and done, by way of this endpoint, which knows it from then on.
    pub(crate) fn propose(
        &mut self,
        endpoint: usize,
        write: Write,
    ) -> Result<Arc<Event>, StoreError> {
        let result = self.commit(write);
        self.catch_up(endpoint, usize::MAX);
        result
    }

    /// Takes a write that nobody agrees on now. It may be done later: the caller cannot know.
    pub(crate) fn postpone(&mut self, write: Write) {
        // During an election there is no leader whose log could keep it.
        if self.cluster.leader.is_some() {
            self.pending.push(write);
        }
    }

    /// Starts all members anew with what they know. Reads were never written down, so they are not counted any more.
    pub(crate) fn restart(&mut self) {
        for endpoint in 0..self.laggards.len() {
            self.catch_up(endpoint, usize::MAX);
        }
        self.store = self.store.fork();
        self.store.stats.gets = Default::default();
        self.raft_term += 1;
        self.started = self.now;
        self.auth_ready = false;
        self.cluster.quorum = true;
        for member in self.cluster.members.clone() {
            self.raft_index += 2;
            self.cluster
                .publish(&mut self.store, &member, self.now, self.profile);
        }
        let first = self.cluster.members.first().map(|member| member.id);
        self.cluster.leader = self.cluster.leader.or(first);
        self.settle();
    }

    /// Replaces all keys; nobody lags any more.
    pub(crate) fn import(&mut self, index: u64, records: &[NodeRecord]) {
        for endpoint in 0..self.laggards.len() {
            self.catch_up(endpoint, usize::MAX);
        }
        self.store.import(index, records);
        self.pending.clear();
    }

    /// Starts all members anew with nothing.
    pub(crate) fn wipe(&mut self) {
        let mut cluster = self.cluster.clone();
        cluster.quorum = true;
        cluster.leader = cluster.members.first().map(|member| member.id);
        let seed = self.rng.next();
        let seats = std::mem::take(&mut self.seats);
        *self = Self::new(self.profile, self.v2, cluster, self.now, seed);
        self.laggards = seats.iter().map(|_| None).collect();
        self.seats = seats;
    }

    /// Does what waited for a quorum.
    pub(crate) fn settle(&mut self) {
        for write in std::mem::take(&mut self.pending) {
            // Whoever asked is gone.
            let _ = self.commit(write);
        }
    }

    /// Reads by way of Raft: the endpoint catches up first.
    pub(crate) fn quorum_get(
        &mut self,
        endpoint: usize,
        path: &[u8],
    ) -> Result<NodeId, StoreError> {
        self.raft_index += 1;
        self.catch_up(endpoint, usize::MAX);
        self.local(endpoint).get(path)
    }

    /// What this endpoint knows.
    pub(crate) fn local(&mut self, endpoint: usize) -> &mut Store {
        match self.laggards.get_mut(endpoint) {
            Some(Some(laggard)) => &mut laggard.store,
            _ => &mut self.store,
        }
    }

    /// What this endpoint knows, and what chooses for it.
    pub(crate) fn local_and_rng(&mut self, endpoint: usize) -> (&mut Store, &mut Rng) {
        match self.laggards.get_mut(endpoint) {
            Some(Some(laggard)) => (&mut laggard.store, &mut self.rng),
            _ => (&mut self.store, &mut self.rng),
        }
    }

    /// When the next key expires, if any has a time to live.
    pub(crate) fn next_expiry(&self) -> Option<i64> {
        self.store.tree.first_to_expire().map(|(at, _)| at)
    }

    /// Removes what has expired; `rounds` is how often the leader proposed it since the last time.
    pub(crate) fn sweep(&mut self, cutoff: i64, rounds: u64) {
        self.raft_index += rounds;
        if self.laggards.iter().any(Option::is_some) {
            let now = self.now;
            self.log.push(Entry::Expire { cutoff, now });
        }
        self.store.expire(cutoff, self.now);
    }

    /// From now on this endpoint hears nothing of what is agreed on. `watchers` are those it serves.
    pub(crate) fn lag(&mut self, endpoint: usize, watchers: &[WatcherId]) {
        let seen = self.log.len();
        if let Some(slot @ None) = self.laggards.get_mut(endpoint) {
            let mut store = self.store.fork();
            self.store.hub.hand_over(watchers, &mut store.hub);
            *slot = Some(Laggard { store, seen });
        }
    }

    /// Tells a lagging endpoint the next `entries` that it missed; once it has heard all, it lags no more.
    pub(crate) fn catch_up(&mut self, endpoint: usize, entries: usize) {
        let Some(Some(laggard)) = self.laggards.get_mut(endpoint) else {
            return;
        };
        let missed = self.log.get(laggard.seen..).unwrap_or_default();
        for entry in missed.iter().take(entries) {
            laggard.seen += 1;
            match entry.clone() {
                Entry::Write { write, now } => {
                    // It went as it went; whoever asked has had the answer.
                    let _ = laggard.store.apply(write, now, self.profile);
                }
                Entry::Expire { cutoff, now } => laggard.store.expire(cutoff, now),
            }
        }
        if laggard.seen < self.log.len() {
            return;
        }
        if let Some(mut laggard) = self.laggards.get_mut(endpoint).and_then(Option::take) {
            let watchers = laggard.store.hub.ids();
            laggard.store.hub.hand_over(&watchers, &mut self.store.hub);
            self.store.hub.take_wakers_of(&mut laggard.store.hub);
        }
        if self.laggards.iter().all(Option::is_none) {
            self.log.clear();
        }
    }

    /// How many agreed writes and sweeps this endpoint has not heard of.
    pub(crate) fn lag_of(&self, endpoint: usize) -> usize {
        match self.laggards.get(endpoint) {
            Some(Some(laggard)) => self.log.len() - laggard.seen,
            _ => 0,
        }
    }

    /// All stores there are.
    pub(crate) fn stores(&mut self) -> impl Iterator<Item = &mut Store> {
        let laggards = self.laggards.iter_mut().flatten();
        std::iter::once(&mut self.store).chain(laggards.map(|laggard| &mut laggard.store))
    }

    fn commit(&mut self, write: Write) -> Result<Arc<Event>, StoreError> {
        self.raft_index += 1;
        if self.laggards.iter().any(Option::is_some) {
            let (write, now) = (write.clone(), self.now);
            self.log.push(Entry::Write { write, now });
        }
        self.store.apply(write, self.now, self.profile)
    }
}
