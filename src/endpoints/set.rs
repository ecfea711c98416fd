use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering::Relaxed},
    },
    time::Instant,
};

use arc_swap::ArcSwap;

use crate::{
    base::endpoint::Endpoint,
    endpoints::{protocol::Protocol, state::EndpointState, unsupported::Feature},
    error::{Error, Result},
};

/// Not an index into a set.
const NONE: usize = usize::MAX;

/// The order in which a client tries its endpoints.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum EndpointOrder {
    /// As given: the first endpoint is preferred.
    #[default]
    AsGiven,
    /// Random for each client, so that many clients with the same configuration spread over the members.
    Shuffled,
    /// Determined by this seed: for tests, or one order per host.
    ShuffledBy(u64),
}

impl EndpointOrder {
    fn apply<T>(self, all: &mut [T]) {
        match self {
            Self::AsGiven => {}
            Self::Shuffled => fastrand::shuffle(all),
            Self::ShuffledBy(seed) => fastrand::Rng::with_seed(seed).shuffle(all),
        }
    }
}

/// The endpoints of one client. The seeds, which the user has given, stay; a sync may add others and remove them.
///
/// Every exchange reads the set, and a sync replaces it atomically: readers take no lock and never wait.
#[derive(Debug)]
pub(crate) struct Endpoints {
    set: ArcSwap<EndpointSet>,
    seeds: Vec<EndpointState>,
    order: EndpointOrder,
    protocol: Protocol,
    epoch: Instant,
    /// The raft term in which the leader was seen; 0 if unknown.
    term: AtomicU64,
    /// Whether any endpoint ever did not support a feature. Until then there is nothing to search for.
    any_unsupporting: AtomicBool,
}

impl Endpoints {
    pub(crate) fn new(
        seeds: Vec<Endpoint>,
        order: EndpointOrder,
        protocol: Protocol,
        now: Instant,
    ) -> Result<Self> {
        if seeds.is_empty() {
            let reason = "at least one is required, such as http://127.0.0.1:2379";
            return Err(Error::invalid("endpoint", reason));
        }
        let mut states: Vec<EndpointState> = Vec::with_capacity(seeds.len());
        for endpoint in seeds {
            if states.iter().all(|known| *known.endpoint() != endpoint) {
                states.push(EndpointState::new(endpoint, protocol, now));
            }
        }
        order.apply(&mut states);
        Ok(Self {
            set: ArcSwap::from_pointee(EndpointSet::new(states.clone())),
            seeds: states,
            order,
            protocol,
            epoch: now,
            term: AtomicU64::new(0),
            any_unsupporting: AtomicBool::new(false),
        })
    }

    /// Returns a snapshot of the set, which a sync does not change.
    pub(crate) fn current(&self) -> Arc<EndpointSet> {
        self.set.load_full()
    }

    pub(crate) fn seeds(&self) -> impl Iterator<Item = &Endpoint> {
        self.seeds.iter().map(EndpointState::endpoint)
    }

    /// Records that the endpoint responded: it is up, and it is chosen next.
    pub(crate) fn answered(&self, endpoint: &EndpointState) {
        endpoint.answered();
        self.set.load().keep(endpoint);
    }

    /// Records that the endpoint does not support a feature.
    pub(crate) fn add_unsupported(
        &self,
        endpoint: &EndpointState,
        feature: Option<Feature>,
        is_certain: bool,
        now: Instant,
    ) {
        if let Some(feature) = feature {
            endpoint.unsupported().add(feature.name, is_certain, now);
            self.any_unsupporting.store(true, Relaxed);
        }
    }

    /// Returns the endpoints of a set that are not to be asked for a feature: those that reported that they do not support
    /// it, and those that are not an etcd. If no other is left, those that are not an etcd are asked again.
    pub(crate) fn avoided(
        &self,
        set: &EndpointSet,
        feature: Option<Feature>,
        now: Instant,
    ) -> Vec<EndpointState> {
        let passed_over = self.passed_over(set, feature, now);
        if passed_over.len() < set.len() {
            passed_over
        } else {
            self.unsupporting(set, feature, now)
        }
    }

    /// Returns those of a set that are known not to serve a feature, for any reason.
    pub(crate) fn passed_over(
        &self,
        set: &EndpointSet,
        feature: Option<Feature>,
        now: Instant,
    ) -> Vec<EndpointState> {
        match feature {
            Some(feature) if self.any_unsupporting.load(Relaxed) => {
                if self.unsupporting(set, Some(feature), now).len() == set.len() {
                    return set.states.clone();
                }
                let is_passed_over =
                    |state: &&EndpointState| state.unsupported().has(feature.name, now);
                set.iter().filter(is_passed_over).cloned().collect()
            }
            _ => Vec::new(),
        }
    }

    /// Returns those of a set that do not support a feature, as etcd itself reports. All of them, if one that has it must
    /// not be asked either.
    pub(crate) fn unsupporting(
        &self,
        set: &EndpointSet,
        feature: Option<Feature>,
        now: Instant,
    ) -> Vec<EndpointState> {
        match feature {
            Some(feature) if self.any_unsupporting.load(Relaxed) => {
                let is_unsupporting =
                    |state: &&EndpointState| state.unsupported().contains(feature.name, now);
                if feature.by_all_members && set.iter().any(|state| is_unsupporting(&state)) {
                    return set.states.clone();
                }
                set.iter().filter(is_unsupporting).cloned().collect()
            }
            _ => Vec::new(),
        }
    }

    /// Replaces the set by the seeds and these endpoints. Endpoints that stay keep their state. Returns the set before
    /// and after.
    pub(crate) fn replace(&self, others: &[Endpoint]) -> (Arc<EndpointSet>, Arc<EndpointSet>) {
        let mut others: Vec<&Endpoint> = others
            .iter()
            .filter(|endpoint| self.seeds().all(|seed| seed != *endpoint))
            .collect();
        self.order.apply(&mut others);
        let mut now = None;
        let before = self.set.rcu(|before| {
            let mut states = self.seeds.clone();
            for &endpoint in &others {
                if states.iter().all(|state| state.endpoint() != endpoint) {
                    states.push(match before.find(endpoint) {
                        Some(known) => known.clone(),
                        None => EndpointState::new(endpoint.clone(), self.protocol, self.epoch),
                    });
                }
            }
            let set = Arc::new(EndpointSet::after(before, states));
            now = Some(Arc::clone(&set));
            set
        });
        let now = now.unwrap_or_else(|| Arc::clone(&before));
        (before, now)
    }

    /// Sends writes here first, until the term ends.
    pub(crate) fn set_leader(&self, leader: Option<&Endpoint>) {
        let set = self.set.load();
        let index = leader.and_then(|leader| {
            let mut states = set.states.iter();
            states.position(|state| state.endpoint() == leader)
        });
        self.term.store(0, Relaxed);
        set.leader.store(index.unwrap_or(NONE), Relaxed);
    }

    /// Records the term of a response: if it is later than the leader's, there may be another leader.
    pub(crate) fn note_term(&self, term: u64) {
        let last = self.term.load(Relaxed);
        if term > last {
            self.term.store(term, Relaxed);
            if last != 0 {
                self.set.load().leader.store(NONE, Relaxed);
            }
        }
    }
}

/// Some endpoints, and the one that responded last. That one is chosen again; one that failed is avoided for a while.
#[derive(Debug)]
pub(crate) struct EndpointSet {
    states: Vec<EndpointState>,
    /// The endpoint that responded last.
    good: AtomicUsize,
    /// The endpoint of the leader, if known.
    leader: AtomicUsize,
}

impl EndpointSet {
    fn new(states: Vec<EndpointState>) -> Self {
        Self {
            states,
            good: AtomicUsize::new(0),
            leader: AtomicUsize::new(NONE),
        }
    }

    /// Returns a set of these endpoints, with the good one and the leader of another set.
    fn after(before: &Self, states: Vec<EndpointState>) -> Self {
        let carry = |index: &AtomicUsize| {
            let state = before.states.get(index.load(Relaxed))?;
            states.iter().position(|other| other.is(state))
        };
        let good = carry(&before.good).unwrap_or(0);
        let leader = carry(&before.leader).unwrap_or(NONE);
        Self {
            states,
            good: AtomicUsize::new(good),
            leader: AtomicUsize::new(leader),
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.states.len()
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &EndpointState> {
        self.states.iter()
    }

    pub(crate) fn find(&self, endpoint: &Endpoint) -> Option<&EndpointState> {
        self.states
            .iter()
            .find(|state| state.endpoint() == endpoint)
    }

    /// Returns the leader, if it is known.
    pub(crate) fn leader(&self) -> Option<&EndpointState> {
        self.states.get(self.leader.load(Relaxed))
    }

    /// Returns the endpoint to use next: the first one that is up and not `tried`, starting with the good one; otherwise the
    /// one that is not `tried` whose last failure is the longest ago, so that calls which try one endpoint each get to all.
    pub(crate) fn pick(&self, tried: &[EndpointState], now: Instant) -> EndpointState {
        let start = self.good.load(Relaxed);
        let untried = || {
            let (before, from) = self.states.split_at(start.min(self.len()));
            let all = from.iter().chain(before);
            all.filter(|state| !tried.iter().any(|other| other.is(state)))
        };
        let state = untried()
            .find(|state| state.is_up(now))
            .or_else(|| untried().min_by_key(|state| state.last_failed()))
            // A set is never empty, and `good` is one of its indexes.
            .unwrap_or(&self.states[start]);
        state.clone()
    }

    /// Returns the leader, if it is known, up, and not `tried` yet.
    pub(crate) fn pick_leader(
        &self,
        tried: &[EndpointState],
        now: Instant,
    ) -> Option<EndpointState> {
        let leader = self.leader()?;
        let is_free = leader.is_up(now) && !tried.iter().any(|other| other.is(leader));
        is_free.then(|| leader.clone())
    }

    /// Prefers this endpoint from now on.
    fn keep(&self, state: &EndpointState) {
        let good = self.good.load(Relaxed);
        if self.states.get(good).is_some_and(|other| other.is(state)) {
            return;
        }
        if let Some(index) = self.states.iter().position(|other| other.is(state)) {
            self.good.store(index, Relaxed);
        }
    }
}

#[cfg(test)]
mod tests;
