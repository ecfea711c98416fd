use std::time::Duration;

use crate::{FakeEtcd, core::Core, store::WatcherId};

/// One server's address, and whether it can be reached.
#[derive(Clone, Debug)]
pub(crate) struct Endpoint {
    pub(crate) url: String,
    /// Host and port, as a request's URI has them.
    pub(crate) authority: String,
    pub(crate) is_up: bool,
    /// Goes up whenever this server alone starts anew.
    pub(crate) life: u64,
}

impl Endpoint {
    pub(crate) fn new(url: String) -> Self {
        let authority = url.split_once("://").map_or(url.as_str(), |(_, rest)| rest);
        let authority = authority.trim_end_matches('/').to_owned();
        Self {
            url,
            authority,
            is_up: true,
            life: 0,
        }
    }
}

/// One of a fake's endpoints, to be stopped, held back or made leader.
///
/// ```
/// # use etcd_fake::FakeEtcd;
/// let etcd = FakeEtcd::builder().members(3).build();
/// etcd.endpoint(1).stop();
/// etcd.endpoint(2).lag();
/// assert_eq!(etcd.endpoint(2).missed(), 0);
/// ```
#[derive(Clone, Debug)]
pub struct EndpointHandle {
    fake: FakeEtcd,
    place: usize,
}

impl EndpointHandle {
    pub(crate) fn new(fake: FakeEtcd, place: usize) -> Self {
        Self { fake, place }
    }

    /// The URL under which it is reached.
    pub fn url(&self) -> String {
        self.fake.shared.with(|core| {
            let endpoint = core.endpoints.get(self.place);
            endpoint
                .map(|endpoint| endpoint.url.clone())
                .unwrap_or_default()
        })
    }

    /// Refuses connections from now on, and breaks those that are open.
    pub fn stop(&self) {
        let place = self.place;
        self.fake.shared.with(|core| core.set_up(place, false));
    }

    /// Takes connections again.
    pub fn start(&self) {
        let place = self.place;
        self.fake.shared.with(|core| core.set_up(place, true));
    }

    /// Hears nothing more of what the cluster agrees on: its reads are stale and its watches silent.
    ///
    /// A write or a quorum read by way of this endpoint makes it catch up, as it would have to in a real cluster
    /// before it could answer.
    pub fn lag(&self) {
        let place = self.place;
        self.fake.shared.with(|core| {
            let served = core.watches.iter().filter(|&(_, &by)| by == place);
            let watchers: Vec<WatcherId> = served.map(|(&id, _)| id).collect();
            core.server.lag(place, &watchers);
        });
    }

    /// Hears all that it missed.
    pub fn catch_up(&self) {
        self.catch_up_by(usize::MAX);
    }

    /// Hears the next `entries` of what it missed: writes and sweeps of expired keys.
    pub fn catch_up_by(&self, entries: usize) {
        let place = self.place;
        self.fake
            .shared
            .with(|core| core.server.catch_up(place, entries));
    }

    /// How many entries it has missed.
    pub fn missed(&self) -> usize {
        self.fake.shared.with(|core| core.server.lag_of(self.place))
    }

    /// Becomes the leader: the term goes up, and an election, if there is one, is over.
    pub fn lead(&self) {
        let place = self.place;
        self.fake.shared.with(|core| {
            let id = core.server.member(place).map(|member| member.id);
            if id.is_some() && core.server.cluster.leader != id {
                core.server.cluster.leader = id;
                core.server.raft_term += 1;
                core.server.raft_index += 1;
            }
            core.settle();
        });
    }

    /// Whether it is the leader.
    pub fn is_leader(&self) -> bool {
        self.fake.shared.with(|core| {
            let id = core.server.member(self.place).map(|member| member.id);
            id.is_some() && id == core.server.cluster.leader
        })
    }
}

/// What befalls the cluster as a whole.
impl FakeEtcd {
    /// The endpoint with this place, counted from 0 in the order of the builder.
    ///
    /// A place that there is not is an endpoint to which nothing happens.
    pub fn endpoint(&self, place: usize) -> EndpointHandle {
        EndpointHandle::new(self.clone(), place)
    }

    /// The URLs of all endpoints.
    pub fn endpoints(&self) -> Vec<String> {
        self.shared
            .with(|core| core.endpoints.iter().map(|e| e.url.clone()).collect())
    }

    /// Loses the majority: writes and quorum reads wait, and are answered with a 500 after 7 s.
    ///
    /// A write that timed out is done after all when the quorum is back, as a leader does that kept it in its log.
    pub fn lose_quorum(&self) {
        self.shared.with(|core| core.server.cluster.quorum = false);
    }

    /// Has a majority again, and does what the leader's log has kept.
    pub fn regain_quorum(&self) {
        self.shared.with(|core| {
            core.server.cluster.quorum = true;
            core.settle();
        });
    }

    /// Loses the leader: `/v2/members/leader` answers 503, writes wait as without a quorum.
    /// [`EndpointHandle::lead`] ends it.
    pub fn begin_election(&self) {
        self.shared.with(|core| core.server.cluster.leader = None);
    }

    /// Forgets all events but the last: a watch that asks for an earlier one is told so (error 401).
    pub fn clear_history(&self) {
        self.shared.with(|core| {
            for store in core.server.stores() {
                store.forget_history();
            }
        });
    }

    /// Stops all servers and starts them again with their data: open answers break off, the term goes up, and each
    /// member writes its attributes, which takes an index.
    pub fn restart(&self) {
        self.shared.with(|core| {
            core.end_lives();
            core.server.restart();
        });
    }

    /// Stops all servers and starts them again without their data: the index begins anew.
    pub fn wipe(&self) {
        self.shared.with(|core| {
            core.end_lives();
            core.server.wipe();
        });
    }

    /// How long etcd waits for a quorum before it gives up on a request.
    pub const QUORUM_TIMEOUT: Duration = Duration::from_secs(7);
}

impl Core {
    fn set_up(&mut self, place: usize, is_up: bool) {
        if let Some(endpoint) = self.endpoints.get_mut(place) {
            endpoint.is_up = is_up;
            if !is_up {
                endpoint.life += 1;
            }
        }
        self.wake_everybody();
    }

    fn settle(&mut self) {
        if self.server.can_commit() {
            self.server.settle();
            self.unblock();
        }
    }

    pub(crate) fn end_lives(&mut self) {
        self.life += 1;
        self.wake_everybody();
    }

    fn wake_everybody(&mut self) {
        for store in self.server.stores() {
            store.hub.wake_all();
        }
        self.collect_wakers();
        self.unblock();
    }
}
