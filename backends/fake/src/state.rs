//! The state that a cluster of etcd servers replicates: the stores of its APIs, side by side.

use std::sync::Arc;

use crate::{
    cluster::{
        core::{Core, Shared},
        exchanges::ExchangeId,
        membership::{Member, MembershipRecord},
        replication::Cluster,
        state::{Apply, Moment, State},
    },
    v2::store::{Store, error::StoreError, event::Event, write::Write},
    v3::{self, error::V3Error},
};

pub(crate) type EtcdShared = Shared<Stores>;
pub(crate) type EtcdCore = Core<Stores>;
pub(crate) type EtcdCluster = Cluster<Stores>;

/// What a member stores.
#[derive(Debug)]
pub(crate) struct Stores {
    pub(crate) v2: Store,
    pub(crate) v3: v3::Store,
    /// Whether the v2 API is served (`--enable-v2`). Its store is there in any case: etcd keeps the members in it.
    pub(crate) is_v2_enabled: bool,
    /// How large the v3 store may grow, in bytes.
    pub(crate) quota: Option<i64>,
    pub(crate) sizes: RequestSizes,
}

/// How large requests of the v3 API may be.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RequestSizes {
    /// How many comparisons, and operations in a branch, a transaction may have (`--max-txn-ops`).
    pub(crate) max_txn_ops: usize,
    /// The largest entry of the Raft log (`--max-request-bytes`).
    pub(crate) max_entry: usize,
}

impl Default for RequestSizes {
    fn default() -> Self {
        Self {
            max_txn_ops: 128,
            max_entry: 3 << 19,
        }
    }
}

/// An entry of the Raft log.
#[derive(Clone, Debug)]
pub(crate) enum Command {
    V2(Write),
    V3(v3::Command),
}

impl Stores {
    pub(crate) fn new(is_v2_enabled: bool) -> Self {
        Self {
            v2: Store::new(),
            v3: v3::Store::new(),
            is_v2_enabled,
            quota: None,
            sizes: RequestSizes::default(),
        }
    }
}

impl Stores {
    /// The data of a backup: no token is valid, and no watch is open.
    pub(crate) fn backup(&self) -> Self {
        let mut backup = self.fork();
        backup.restart();
        backup
    }
}

impl State for Stores {
    type Command = Command;

    fn blank(&self) -> Self {
        let mut blank = Self::new(self.is_v2_enabled);
        blank.quota = self.quota;
        blank.sizes = self.sizes;
        blank.v3.auth.token_ttl = self.v3.auth.token_ttl;
        blank.v3.watches = self.v3.watches.without_streams();
        blank
    }

    fn fork(&self) -> Self {
        Self {
            v2: self.v2.fork(),
            v3: self.v3.fork(),
            is_v2_enabled: self.is_v2_enabled,
            quota: self.quota,
            sizes: self.sizes,
        }
    }

    fn restart(&mut self) {
        self.v2.restart();
        self.v3.restart();
    }

    fn replay(&mut self, command: Command, at: Moment) {
        match command {
            // The result went to the caller when the command was committed, or the caller is gone.
            Command::V2(write) => drop(self.v2.apply(write, at.now, at.profile)),
            Command::V3(command) => command.replay(&mut self.v3, at),
        }
    }

    fn found(&mut self, members: &[Member], at: Moment) {
        self.v2.found(members, at);
    }

    fn record(&mut self, record: &MembershipRecord, at: Moment) {
        self.v2.record(record, at);
    }

    fn next_expiry(&self) -> Option<i64> {
        let key = self.v2.tree.first_to_expire().map(|(at, _)| at);
        let lease = self.v3.leases.next_expiry();
        [key, lease].into_iter().flatten().min()
    }

    fn proposes_expiry(&self) -> bool {
        self.v2.tree.first_to_expire().is_some()
    }

    fn expire(&mut self, cutoff: i64, at: Moment) {
        self.v2.expire(cutoff, at.now);
        self.v3.expire(cutoff);
    }

    fn next_report(&self) -> Option<i64> {
        self.v3.watches.next_report()
    }

    fn report(&mut self, now: i64) {
        self.v3.watches.report(now, &self.v3.mvcc);
    }

    fn promote(&mut self, now: i64) {
        self.v3.leases.promote(now);
    }

    fn is_watched(&self) -> bool {
        !self.v2.hub.is_empty() || !self.v3.watches.is_empty()
    }

    fn take_ready(&mut self) -> Vec<ExchangeId> {
        let mut ready = self.v2.hub.take_ready();
        ready.extend(self.v3.watches.take_ready());
        ready
    }

    fn hand_over(&mut self, to: &mut Self, chosen: &dyn Fn(ExchangeId) -> bool) {
        self.v2.hub.hand_over(&mut to.v2.hub, chosen);
        self.v3.watches.hand_over(&mut to.v3.watches, chosen);
    }
}

impl From<Write> for Command {
    fn from(write: Write) -> Self {
        Self::V2(write)
    }
}

impl<W: v3::Write> From<W> for Command {
    fn from(write: W) -> Self {
        Self::V3(write.into())
    }
}

impl<W: v3::Write> Apply<Stores> for W {
    type Output = Result<W::Output, V3Error>;

    fn apply(self, stores: &mut Stores, at: Moment) -> Self::Output {
        self.write(&mut stores.v3, at)
    }
}

impl Apply<Stores> for Write {
    type Output = Result<Arc<Event>, StoreError>;

    fn apply(self, stores: &mut Stores, at: Moment) -> Self::Output {
        stores.v2.apply(self, at.now, at.profile)
    }
}
