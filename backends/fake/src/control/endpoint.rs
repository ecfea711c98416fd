use std::time::Duration;

use crate::{cluster::replication::QUORUM_TIMEOUT, fake::FakeEtcd};

/// One of a fake's endpoints, to be stopped, held back or made leader.
///
/// ```
/// # use etcd_http_fake::FakeEtcd;
/// let etcd = FakeEtcd::builder().members(3).build();
/// etcd.endpoint(1).stop();
/// etcd.endpoint(2).lag();
/// assert_eq!(etcd.endpoint(2).missed(), 0);
/// ```
#[derive(Clone, Debug)]
pub struct EndpointHandle {
    fake: FakeEtcd,
    number: usize,
}

impl EndpointHandle {
    /// Its URL.
    pub fn url(&self) -> String {
        self.fake.shared.with(|core| {
            let endpoint = core.endpoints.get(self.number);
            endpoint
                .map(|endpoint| endpoint.url.clone())
                .unwrap_or_default()
        })
    }

    /// Refuses connections from now on, and breaks open ones.
    pub fn stop(&self) {
        let number = self.number;
        self.fake.shared.with(|core| core.set_up(number, false));
    }

    /// Accepts connections again.
    pub fn start(&self) {
        let number = self.number;
        self.fake.shared.with(|core| core.set_up(number, true));
    }

    /// Stops applying what the cluster commits: its reads are stale and its watches silent.
    ///
    /// A write or a quorum read through this endpoint makes it catch up, as a real member has to before it can respond.
    pub fn lag(&self) {
        let number = self.number;
        self.fake.shared.with(|core| {
            let exchanges = &core.exchanges;
            let served = |id| exchanges.is_served_by(id, number);
            core.cluster.lag(number, &served);
        });
    }

    /// Applies everything that it missed.
    pub fn catch_up(&self) {
        self.catch_up_by(usize::MAX);
    }

    /// Applies the next `entries` that it missed: writes, changes of the members, and sweeps of expired keys.
    pub fn catch_up_by(&self, entries: usize) {
        let number = self.number;
        self.fake
            .shared
            .with(|core| core.cluster.catch_up(number, entries));
    }

    /// How many entries it has missed.
    pub fn missed(&self) -> usize {
        self.fake
            .shared
            .with(|core| core.cluster.lag_of(self.number))
    }

    /// Cuts its member off from the others. It knows no leader: it serves serializable reads from its past, and times out on
    /// the rest. If it led, the others elect another leader; if too few are left, they have no quorum either.
    /// [`FakeEtcd::heal`] connects it again.
    pub fn isolate(&self) {
        let number = self.number;
        self.fake.shared.with(|core| {
            let exchanges = &core.exchanges;
            let served = |id| exchanges.is_served_by(id, number);
            core.cluster.cut_off(number, &served);
            core.wake_exchanges();
        });
    }

    /// Becomes the leader of a new term. An election under way is over.
    pub fn lead(&self) {
        let number = self.number;
        self.fake.shared.with(|core| {
            core.cluster.elect(number);
            core.settle();
        });
    }

    /// Whether it is the leader.
    pub fn is_leader(&self) -> bool {
        self.fake.shared.with(|core| {
            let id = core.cluster.member(self.number).map(|member| member.id);
            id.is_some() && id == core.cluster.leader_at(self.number)
        })
    }
}

/// Failures of the cluster as a whole.
impl FakeEtcd {
    /// How long etcd waits for a quorum before it rejects a request.
    pub const QUORUM_TIMEOUT: Duration = QUORUM_TIMEOUT;

    /// The endpoint with this number, counted from 0 in the builder's order.
    ///
    /// An endpoint that does not exist ignores everything.
    pub fn endpoint(&self, number: usize) -> EndpointHandle {
        let fake = self.clone();
        EndpointHandle { fake, number }
    }

    /// The URLs of all endpoints.
    pub fn endpoints(&self) -> Vec<String> {
        self.shared
            .with(|core| core.endpoints.iter().map(|e| e.url.clone()).collect())
    }

    /// Loses the majority: writes and quorum reads wait, and are answered with a 500 after 7 s.
    ///
    /// A write that timed out is applied after all when the quorum is back, as by a leader that kept it in its log.
    pub fn lose_quorum(&self) {
        self.shared.with(|core| core.cluster.has_quorum = false);
    }

    /// Has a majority again, and applies what the leader's log has kept.
    pub fn regain_quorum(&self) {
        self.shared.with(|core| {
            core.cluster.has_quorum = true;
            core.settle();
        });
    }

    /// Cuts these endpoints' members off from the others, each by itself, as [`EndpointHandle::isolate`] does.
    ///
    /// ```
    /// # use etcd_http_fake::FakeEtcd;
    /// let etcd = FakeEtcd::builder().members(5).build();
    /// etcd.partition(&[0, 3]);
    /// assert!(!etcd.endpoint(0).is_leader());
    /// etcd.heal();
    /// ```
    pub fn partition(&self, minority: &[usize]) {
        for &number in minority {
            self.endpoint(number).isolate();
        }
    }

    /// Connects all members again: they catch up, and have a leader if there is a quorum.
    pub fn heal(&self) {
        self.shared.with(|core| {
            core.cluster.reconnect();
            core.settle();
            core.wake_exchanges();
        });
    }

    /// Loses the leader: `/v2/members/leader` responds with 503, and writes wait as without a quorum.
    /// [`EndpointHandle::lead`] ends the election.
    pub fn begin_election(&self) {
        self.shared.with(|core| {
            core.cluster.leader = None;
            core.wake_exchanges();
        });
    }

    /// Forgets all events but the last: a watch that asks for an earlier one gets error 401.
    pub fn clear_history(&self) {
        self.shared.with(|core| {
            for stores in core.cluster.states() {
                stores.v2.forget_history();
            }
        });
    }

    /// Restarts all servers with their data. Open responses break off, the term goes up, and each member writes its
    /// attributes, which takes an index.
    pub fn restart(&self) {
        self.shared.with(|core| {
            core.stop_servers();
            core.cluster.restart();
        });
    }

    /// Begins again, for the next test: no data, no users, no faults, an empty log, and all members connected. The clock goes on.
    pub fn reset(&self) {
        self.heal();
        self.clear_faults();
        self.wipe();
        self.shared.with(|core| {
            for number in 0..core.endpoints.len() {
                core.set_up(number, true);
            }
        });
        self.clear_log();
    }

    /// Restarts all servers without their data. The index starts from the beginning.
    pub fn wipe(&self) {
        self.shared.with(|core| {
            core.stop_servers();
            core.cluster.wipe();
        });
    }
}
