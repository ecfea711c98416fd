use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU32, AtomicU64, AtomicUsize, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

use arc_swap::ArcSwap;

use crate::{
    endpoints::{
        endpoint::Endpoint,
        unsupported::{UnsupportedCalls, is_by_all_members},
    },
    error::{Error, Result},
    operation::Call,
};

/// How long an endpoint that failed is passed over while others are there: doubled with each failure in a row.
const FIRST_COOL_DOWN: Duration = Duration::from_secs(1);
const MAX_COOL_DOWN: Duration = Duration::from_secs(30);

/// No index into a set.
const NONE: usize = usize::MAX;

/// In which order a client tries its endpoints.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum EndpointOrder {
    /// As they were given: the first is the preferred one.
    #[default]
    AsGiven,
    /// Another one for each client, so that many clients with one configuration spread over the members.
    Shuffled,
    /// The one that this seed leads to: for tests, or one per host.
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

/// The endpoints of one client. The user's own, the seeds, are there for good; a sync may add others, and take them away.
///
/// Every exchange reads the set, a sync replaces it whole: readers take no lock, and wait for nobody.
#[derive(Debug)]
pub(crate) struct Endpoints {
    set: ArcSwap<EndpointSet>,
    seeds: Vec<EndpointState>,
    order: EndpointOrder,
    epoch: Instant,
    /// The raft term that the leader was seen in; 0 is not known.
    term: AtomicU64,
    /// Whether any endpoint ever lacked a call. As long as none did, nobody looks which.
    unsupporting: AtomicBool,
}

impl Endpoints {
    pub(crate) fn new(seeds: Vec<Endpoint>, order: EndpointOrder, now: Instant) -> Result<Self> {
        if seeds.is_empty() {
            let reason = "a client needs at least one, such as http://127.0.0.1:2379";
            return Err(Error::invalid("endpoint", reason));
        }
        let mut places: Vec<EndpointState> = Vec::with_capacity(seeds.len());
        for endpoint in seeds {
            if places.iter().all(|known| *known.endpoint() != endpoint) {
                places.push(EndpointState::new(endpoint, now));
            }
        }
        order.apply(&mut places);
        Ok(Self {
            set: ArcSwap::from_pointee(EndpointSet::new(places.clone())),
            seeds: places,
            order,
            epoch: now,
            term: AtomicU64::new(0),
            unsupporting: AtomicBool::new(false),
        })
    }

    /// The set as it is. Whoever holds it is not disturbed by a sync.
    pub(crate) fn current(&self) -> Arc<EndpointSet> {
        self.set.load_full()
    }

    pub(crate) fn seeds(&self) -> impl Iterator<Item = &Endpoint> {
        self.seeds.iter().map(EndpointState::endpoint)
    }

    /// The endpoint answered: it is up, and the one to ask next.
    pub(crate) fn answered(&self, place: &EndpointState) {
        place.answered();
        self.set.load().keep(place);
    }

    /// The endpoint said that it does not have this call.
    pub(crate) fn lacks(&self, place: &EndpointState, call: &Call, now: Instant) {
        if let Some(path) = call.capability {
            place.0.missing.add(path, now);
            self.unsupporting.store(true, Relaxed);
        }
    }

    /// Those of a set that are not to be asked for this call, as they do not have it, as far as is known. All of them, where
    /// one that has it must not be asked either.
    pub(crate) fn unsupporting(
        &self,
        set: &EndpointSet,
        call: &Call,
        now: Instant,
    ) -> Vec<EndpointState> {
        match call.capability {
            Some(path) if self.unsupporting.load(Relaxed) => {
                let is_missing = |place: &&EndpointState| place.0.missing.contains(path, now);
                if is_by_all_members(path) && set.iter().any(|place| is_missing(&place)) {
                    return set.places.clone();
                }
                set.iter().filter(is_missing).cloned().collect()
            }
            _ => Vec::new(),
        }
    }

    /// From now on the set is the seeds and these. What is known of those that stay is kept. Returns the set before, and
    /// the set now.
    pub(crate) fn replace(&self, others: &[Endpoint]) -> (Arc<EndpointSet>, Arc<EndpointSet>) {
        let mut others: Vec<&Endpoint> = others
            .iter()
            .filter(|endpoint| self.seeds().all(|seed| seed != *endpoint))
            .collect();
        self.order.apply(&mut others);
        let mut now = None;
        let before = self.set.rcu(|before| {
            let mut places = self.seeds.clone();
            for &endpoint in &others {
                if places.iter().all(|place| place.endpoint() != endpoint) {
                    places.push(match before.find(endpoint) {
                        Some(known) => known.clone(),
                        None => EndpointState::new(endpoint.clone(), self.epoch),
                    });
                }
            }
            let set = Arc::new(EndpointSet::after(before, places));
            now = Some(Arc::clone(&set));
            set
        });
        let now = now.unwrap_or_else(|| Arc::clone(&before));
        (before, now)
    }

    /// Writes are to go here first, as long as the term lasts.
    pub(crate) fn set_leader(&self, leader: Option<&Endpoint>) {
        let set = self.set.load();
        let index = leader.and_then(|leader| {
            let mut places = set.places.iter();
            places.position(|place| place.endpoint() == leader)
        });
        self.term.store(0, Relaxed);
        set.leader.store(index.unwrap_or(NONE), Relaxed);
    }

    /// An answer came from this term: a later one than the leader's means that another may lead.
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

/// Some endpoints, one of which is the good one. The good one is kept; a failed one cools down.
#[derive(Debug)]
pub(crate) struct EndpointSet {
    places: Vec<EndpointState>,
    /// The endpoint that answered last.
    good: AtomicUsize,
    /// The endpoint of the leader, if that is known.
    leader: AtomicUsize,
}

impl EndpointSet {
    fn new(places: Vec<EndpointState>) -> Self {
        Self {
            places,
            good: AtomicUsize::new(0),
            leader: AtomicUsize::new(NONE),
        }
    }

    /// A set of these, with the good one and the leader of another set.
    fn after(before: &Self, places: Vec<EndpointState>) -> Self {
        let carry = |index: &AtomicUsize| {
            let place = before.places.get(index.load(Relaxed))?;
            places.iter().position(|other| other.is(place))
        };
        let good = carry(&before.good).unwrap_or(0);
        let leader = carry(&before.leader).unwrap_or(NONE);
        Self {
            places,
            good: AtomicUsize::new(good),
            leader: AtomicUsize::new(leader),
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.places.len()
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &EndpointState> {
        self.places.iter()
    }

    pub(crate) fn find(&self, endpoint: &Endpoint) -> Option<&EndpointState> {
        self.places
            .iter()
            .find(|place| place.endpoint() == endpoint)
    }

    /// The leader, if it is known.
    pub(crate) fn leader(&self) -> Option<&EndpointState> {
        self.places.get(self.leader.load(Relaxed))
    }

    /// The endpoint to use next: of those not `tried` yet the first that is up, from the good one on; else any of them.
    pub(crate) fn pick(&self, tried: &[EndpointState], now: Instant) -> EndpointState {
        let start = self.good.load(Relaxed);
        let untried = || {
            let (before, from) = self.places.split_at(start.min(self.len()));
            let all = from.iter().chain(before);
            all.filter(|place| !tried.iter().any(|other| other.is(place)))
        };
        let place = untried()
            .find(|place| place.is_up(now))
            .or_else(|| untried().next())
            // A set is never empty, and `good` is one of its indexes.
            .unwrap_or(&self.places[start]);
        place.clone()
    }

    /// The leader, if it is known, up, and not `tried` yet.
    pub(crate) fn pick_leader(
        &self,
        tried: &[EndpointState],
        now: Instant,
    ) -> Option<EndpointState> {
        let leader = self.leader()?;
        let is_free = leader.is_up(now) && !tried.iter().any(|other| other.is(leader));
        is_free.then(|| leader.clone())
    }

    /// Asks this endpoint next, too.
    fn keep(&self, place: &EndpointState) {
        let good = self.good.load(Relaxed);
        if self.places.get(good).is_some_and(|other| other.is(place)) {
            return;
        }
        if let Some(index) = self.places.iter().position(|other| other.is(place)) {
            self.good.store(index, Relaxed);
        }
    }
}

/// An endpoint of a client, and what is known of it: a handle that stays good whatever becomes of the set.
#[derive(Clone)]
pub(crate) struct EndpointState(Arc<Known>);

struct Known {
    endpoint: Endpoint,
    /// What `down_until` counts from.
    epoch: Instant,
    /// Milliseconds since the epoch; 0 is up.
    down_until: AtomicU64,
    failures: AtomicU32,
    missing: UnsupportedCalls,
}

impl EndpointState {
    pub(crate) fn new(endpoint: Endpoint, epoch: Instant) -> Self {
        Self(Arc::new(Known {
            endpoint,
            epoch,
            down_until: AtomicU64::new(0),
            failures: AtomicU32::new(0),
            missing: UnsupportedCalls::default(),
        }))
    }

    pub(crate) fn endpoint(&self) -> &Endpoint {
        &self.0.endpoint
    }

    /// Whether it is the same one.
    pub(crate) fn is(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }

    fn is_up(&self, now: Instant) -> bool {
        self.0.down_until.load(Relaxed) <= self.millis(now)
    }

    /// It is up.
    pub(crate) fn answered(&self) {
        if self.0.failures.load(Relaxed) != 0 {
            self.0.failures.store(0, Relaxed);
            self.0.down_until.store(0, Relaxed);
        }
    }

    /// It is down; and what comes up again may be a newer etcd.
    pub(crate) fn failed(&self, now: Instant) {
        self.0.missing.forget();
        let failures = self.0.failures.fetch_add(1, Relaxed).min(16);
        let cool_down = FIRST_COOL_DOWN
            .saturating_mul(1 << failures)
            .min(MAX_COOL_DOWN);
        self.0
            .down_until
            .store(self.millis(now + cool_down), Relaxed);
    }

    fn millis(&self, now: Instant) -> u64 {
        let since = now.saturating_duration_since(self.0.epoch).as_millis();
        u64::try_from(since).unwrap_or(u64::MAX)
    }
}

impl fmt::Debug for EndpointState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EndpointState")
            .field("endpoint", &self.0.endpoint)
            .field("failures", &self.0.failures)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn endpoint(n: usize) -> Endpoint {
        format!("http://127.0.0.1:{}", 1000 + n).parse().unwrap()
    }

    fn endpoints(count: usize) -> (Endpoints, Instant) {
        ordered(count, EndpointOrder::AsGiven)
    }

    fn ordered(count: usize, order: EndpointOrder) -> (Endpoints, Instant) {
        let now = Instant::now();
        let all = (0..count).map(endpoint);
        (Endpoints::new(all.collect(), order, now).unwrap(), now)
    }

    fn place(set: &Endpoints, n: usize) -> EndpointState {
        set.current().find(&endpoint(n)).unwrap().clone()
    }

    /// The number of the endpoint that is picked.
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
        let none = Endpoints::new(vec![], EndpointOrder::AsGiven, Instant::now()).unwrap_err();
        assert_eq!(
            none.to_string(),
            "endpoint: a client needs at least one, such as http://127.0.0.1:2379"
        );
        let twice = ["http://h:1", "http://h:1/"].map(|text| text.parse().unwrap());
        let set = Endpoints::new(twice.into(), EndpointOrder::AsGiven, Instant::now()).unwrap();
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
        // 1 in 40,320 that two are the same; ten times in a row is never.
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
        // A handle from before is good for whatever an exchange does with it.
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
