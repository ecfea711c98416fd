use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering::Relaxed},
    },
    time::Instant,
};

use arc_swap::ArcSwap;

use crate::{
    endpoints::{endpoint::Endpoint, state::EndpointState, wire::Wire},
    error::{Error, Result},
    pipeline::call::Feature,
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
    wire: Wire,
    epoch: Instant,
    /// The raft term in which the leader was seen; 0 if unknown.
    term: AtomicU64,
    /// Whether any endpoint ever lacked a feature. Until then there is nothing to search for.
    any_unsupporting: AtomicBool,
}

impl Endpoints {
    pub(crate) fn new(
        seeds: Vec<Endpoint>,
        order: EndpointOrder,
        wire: Wire,
        now: Instant,
    ) -> Result<Self> {
        if seeds.is_empty() {
            let reason = "at least one is required, such as http://127.0.0.1:2379";
            return Err(Error::invalid("endpoint", reason));
        }
        let mut states: Vec<EndpointState> = Vec::with_capacity(seeds.len());
        for endpoint in seeds {
            if states.iter().all(|known| *known.endpoint() != endpoint) {
                states.push(EndpointState::new(endpoint, wire, now));
            }
        }
        order.apply(&mut states);
        Ok(Self {
            set: ArcSwap::from_pointee(EndpointSet::new(states.clone())),
            seeds: states,
            order,
            wire,
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
    pub(crate) fn lacks(
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

    /// Returns the endpoints of a set that are not to be asked for a feature: those that reported that they lack it, and
    /// those that are not an etcd. If no other is left, those that are not an etcd are asked again.
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

    /// Returns those of a set that lack a feature by etcd's own word. All of them, if one that has it must not be asked
    /// either.
    pub(crate) fn unsupporting(
        &self,
        set: &EndpointSet,
        feature: Option<Feature>,
        now: Instant,
    ) -> Vec<EndpointState> {
        match feature {
            Some(feature) if self.any_unsupporting.load(Relaxed) => {
                let lacks =
                    |state: &&EndpointState| state.unsupported().contains(feature.name, now);
                if feature.by_all_members && set.iter().any(|state| lacks(&state)) {
                    return set.states.clone();
                }
                set.iter().filter(lacks).cloned().collect()
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
                        None => EndpointState::new(endpoint.clone(), self.wire, self.epoch),
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
    pub(crate) fn heard_of_term(&self, term: u64) {
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

    /// Returns the endpoint to use next: the first one that is up and not `tried`, starting with the good one;
    /// otherwise any that is not `tried`.
    pub(crate) fn pick(&self, tried: &[EndpointState], now: Instant) -> EndpointState {
        let start = self.good.load(Relaxed);
        let untried = || {
            let (before, from) = self.states.split_at(start.min(self.len()));
            let all = from.iter().chain(before);
            all.filter(|state| !tried.iter().any(|other| other.is(state)))
        };
        let state = untried()
            .find(|state| state.is_up(now))
            .or_else(|| untried().next())
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
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::endpoints::state::{FIRST_COOL_DOWN, MAX_COOL_DOWN};

    fn endpoint(n: usize) -> Endpoint {
        format!("http://127.0.0.1:{}", 1000 + n).parse().unwrap()
    }

    fn endpoints(count: usize) -> (Endpoints, Instant) {
        ordered(count, EndpointOrder::AsGiven)
    }

    fn ordered(count: usize, order: EndpointOrder) -> (Endpoints, Instant) {
        let now = Instant::now();
        let all = (0..count).map(endpoint);
        (
            Endpoints::new(all.collect(), order, Wire::Http, now).unwrap(),
            now,
        )
    }

    fn place(set: &Endpoints, n: usize) -> EndpointState {
        set.current().find(&endpoint(n)).unwrap().clone()
    }

    /// Returns the index of the endpoint that is picked.
    fn pick(set: &Endpoints, tried: &[usize], now: Instant) -> usize {
        let tried: Vec<_> = tried.iter().map(|&n| place(set, n)).collect();
        number(&set.current().pick(&tried, now))
    }

    fn number(place: &EndpointState) -> usize {
        usize::from(place.endpoint().port()) - 1000
    }

    fn numbers(set: &Endpoints) -> Vec<usize> {
        set.current().iter().map(number).collect()
    }

    #[test]
    fn the_good_endpoint_is_kept_and_a_failed_one_cools_down() {
        let (set, now) = endpoints(3);
        assert_eq!(pick(&set, &[], now), 0);
        place(&set, 0).failed(now);
        assert_eq!(pick(&set, &[], now), 1);
        set.answered(&place(&set, 1));
        assert_eq!(pick(&set, &[], now + FIRST_COOL_DOWN), 1);
        place(&set, 1).failed(now);
        assert_eq!(pick(&set, &[], now), 2);
        assert_eq!(pick(&set, &[2], now + FIRST_COOL_DOWN), 1);
    }

    #[test]
    fn cool_down_doubles_up_to_its_limit_and_ends_with_an_answer() {
        let (set, now) = endpoints(2);
        for _ in 0..20 {
            place(&set, 0).failed(now);
        }
        let almost = now + MAX_COOL_DOWN - Duration::from_millis(1);
        assert_eq!(pick(&set, &[], almost), 1);
        assert_eq!(pick(&set, &[], now + MAX_COOL_DOWN), 0);
        set.answered(&place(&set, 0));
        assert_eq!(pick(&set, &[], now), 0);
        // The next failure is a first one again.
        place(&set, 0).failed(now);
        assert_eq!(pick(&set, &[], now), 1);
        assert_eq!(pick(&set, &[], now + FIRST_COOL_DOWN), 0);
    }

    #[test]
    fn endpoints_that_are_down_are_used_when_no_other_is_left() {
        let (set, now) = endpoints(2);
        place(&set, 0).failed(now);
        place(&set, 1).failed(now);
        assert_eq!(pick(&set, &[], now), 0);
        assert_eq!(pick(&set, &[0], now), 1);
        assert_eq!(pick(&set, &[0, 1], now), 0);
    }

    #[test]
    fn no_endpoint_is_refused_and_one_named_twice_is_one() {
        let none =
            Endpoints::new(vec![], EndpointOrder::AsGiven, Wire::Http, Instant::now()).unwrap_err();
        assert_eq!(
            none.to_string(),
            "endpoint: at least one is required, such as http://127.0.0.1:2379"
        );
        let twice = ["http://h:1", "http://h:1/"].map(|text| text.parse().unwrap());
        let set = Endpoints::new(
            twice.into(),
            EndpointOrder::AsGiven,
            Wire::Http,
            Instant::now(),
        )
        .unwrap();
        assert_eq!(set.current().len(), 1);
    }

    #[test]
    fn a_seed_decides_the_order_of_a_shuffle() {
        let of = |order| numbers(&ordered(8, order).0);
        assert_eq!(of(EndpointOrder::AsGiven), [0, 1, 2, 3, 4, 5, 6, 7]);
        let seven = of(EndpointOrder::ShuffledBy(7));
        assert_eq!(of(EndpointOrder::ShuffledBy(7)), seven);
        assert_ne!(of(EndpointOrder::ShuffledBy(8)), seven);
        let mut sorted = seven;
        sorted.sort_unstable();
        assert_eq!(sorted, of(EndpointOrder::AsGiven));
        // Two orders are equal with a probability of 1 in 40,320; ten in a row never are.
        assert!((0..10).any(|_| of(EndpointOrder::Shuffled) != of(EndpointOrder::Shuffled)));
    }

    #[test]
    fn seeds_stay_what_comes_by_sync_goes_by_sync() {
        let (set, _) = endpoints(2);
        set.replace(&[endpoint(5), endpoint(1), endpoint(5)]);
        assert_eq!(numbers(&set), [0, 1, 5]);
        set.replace(&[endpoint(6)]);
        assert_eq!(numbers(&set), [0, 1, 6]);
        let (before, now) = set.replace(&[]);
        assert_eq!((before.len(), now.len()), (3, 2));
        assert_eq!(numbers(&set), [0, 1]);
    }

    #[test]
    fn what_is_known_of_an_endpoint_survives_a_sync() {
        let (set, now) = endpoints(2);
        set.replace(&[endpoint(5), endpoint(6)]);
        set.answered(&place(&set, 6));
        set.set_leader(Some(&endpoint(5)));
        place(&set, 1).failed(now);
        let held = place(&set, 5);
        set.replace(&[endpoint(6)]);
        assert_eq!(pick(&set, &[], now), 6, "the good one");
        assert_eq!(pick(&set, &[6, 0], now), 1, "down, and the last");
        assert!(set.current().leader().is_none(), "gone with its endpoint");
        // A handle from before the sync remains usable.
        held.failed(now);
        set.answered(&held);
        assert_eq!(pick(&set, &[], now), 6);
        set.replace(&[]);
        assert_eq!(pick(&set, &[], now), 0);
    }

    #[test]
    fn the_leader_is_picked_while_it_is_known_and_up() {
        let (set, now) = endpoints(3);
        let leader =
            |tried: &[EndpointState]| set.current().pick_leader(tried, now).as_ref().map(number);
        assert_eq!(leader(&[]), None);
        set.set_leader(Some(&endpoint(2)));
        assert_eq!(leader(&[]), Some(2));
        assert_eq!(pick(&set, &[], now), 0, "reads stay where they are");
        assert_eq!(leader(&[place(&set, 2)]), None);
        place(&set, 2).failed(now);
        assert_eq!(leader(&[]), None);
        place(&set, 2).answered();
        assert_eq!(leader(&[]), Some(2));
        set.set_leader(Some(&endpoint(9)));
        assert_eq!(leader(&[]), None, "not one of ours");
    }

    #[test]
    fn with_a_new_term_the_leader_is_unknown() {
        let (set, _) = endpoints(3);
        set.set_leader(Some(&endpoint(2)));
        let known = || set.current().leader().is_some();
        set.heard_of_term(5);
        set.heard_of_term(5);
        set.heard_of_term(4);
        assert!(known());
        set.heard_of_term(6);
        assert!(!known());
        set.set_leader(Some(&endpoint(1)));
        set.heard_of_term(6);
        assert!(known());
    }
}
