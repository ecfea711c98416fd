use std::{collections::BTreeMap, time::Duration};

use super::{
    exchanges::ExchangeId,
    membership::{Member, Membership, MembershipError, MembershipRecord},
    partition::CutOff,
    state::{Apply, Moment, State},
};
use crate::{profile::Profile, rng::Rng};

/// How long a server waits for a quorum before it rejects a request.
pub(crate) const QUORUM_TIMEOUT: Duration = Duration::from_secs(7);

/// What the members have agreed on, and how much of it each endpoint has applied.
#[derive(Debug)]
pub(crate) struct Cluster<S: State> {
    pub(crate) profile: Profile,
    pub(crate) membership: Membership,
    /// The member that leads; none during an election.
    pub(crate) leader: Option<u64>,
    /// Whether a majority can be reached. Nothing is written without one.
    pub(crate) has_quorum: bool,
    pub(crate) rng: Rng,
    pub(crate) raft_index: u64,
    pub(crate) raft_term: u64,
    /// Nanoseconds since the Unix epoch.
    pub(crate) now: i64,
    /// When the servers were started.
    pub(crate) started: i64,
    /// The state of all members that are up to date.
    pub(crate) state: S,
    /// The id of the member behind each endpoint.
    member_ids: Vec<u64>,
    /// The endpoints whose members are cut off from the others.
    pub(super) cut_off: BTreeMap<usize, CutOff>,
    /// The endpoints that lag.
    laggards: BTreeMap<usize, Laggard<S>>,
    /// What was agreed on since the first laggard began to lag.
    log: Vec<Entry<S::Command>>,
    /// Commands that the leader took and could not commit. They are applied when there is a quorum again.
    pending: Vec<S::Command>,
}

/// A member that lags: its own state, and how much of the log it has applied.
#[derive(Debug)]
struct Laggard<S> {
    state: S,
    applied: usize,
}

#[derive(Clone, Debug)]
enum Entry<C> {
    Command {
        command: C,
        at: Moment,
    },
    Membership {
        record: MembershipRecord,
        at: Moment,
    },
    Expire {
        cutoff: i64,
        at: Moment,
    },
}

impl<S: State> Cluster<S> {
    /// A new cluster with as many endpoints as members. The first member leads.
    pub(crate) fn new(
        profile: Profile,
        membership: Membership,
        state: S,
        now: i64,
        seed: u64,
    ) -> Self {
        let members = &membership.members;
        let mut cluster = Self {
            profile,
            leader: membership.first_voter(),
            has_quorum: true,
            rng: Rng::new(seed),
            // A configuration change and the attributes of each member, an election, the version.
            raft_index: 2 * members.len() as u64 + 2,
            raft_term: 2,
            now,
            started: now,
            state,
            member_ids: members.iter().map(|member| member.id).collect(),
            cut_off: BTreeMap::new(),
            laggards: BTreeMap::new(),
            log: Vec::new(),
            pending: Vec::new(),
            membership,
        };
        let at = cluster.moment();
        cluster.state.found(&cluster.membership.members, at);
        cluster
    }

    /// Another cluster with the same data. Nothing lags in it, and no exchange is open.
    pub(crate) fn fork(&self) -> Self {
        Self {
            profile: self.profile,
            membership: self.membership.clone(),
            leader: self.leader,
            has_quorum: self.has_quorum,
            rng: self.rng.clone(),
            raft_index: self.raft_index,
            raft_term: self.raft_term,
            now: self.now,
            started: self.started,
            state: self.state.fork(),
            member_ids: self.member_ids.clone(),
            cut_off: BTreeMap::new(),
            laggards: BTreeMap::new(),
            log: Vec::new(),
            pending: self.pending.clone(),
        }
    }

    /// The member behind an endpoint, unless it was removed.
    pub(crate) fn member(&self, endpoint: usize) -> Option<&Member> {
        self.membership.get(*self.member_ids.get(endpoint)?)
    }

    /// How many endpoints there are.
    pub(super) fn endpoints(&self) -> usize {
        self.member_ids.len()
    }

    /// Whether a command would be committed now, by the members that are not cut off.
    pub(crate) fn can_commit(&self) -> bool {
        self.has_quorum && self.leader.is_some() && self.has_connected_majority()
    }

    /// Commits and applies a command. The endpoint that it came through is up to date afterwards.
    pub(crate) fn propose<C: Apply<S>>(&mut self, endpoint: usize, command: C) -> C::Output {
        self.raft_index += 1;
        self.agree(endpoint, command)
    }

    /// Applies a command that is not an entry of the Raft log, on all members nevertheless.
    pub(crate) fn agree<C: Apply<S>>(&mut self, endpoint: usize, command: C) -> C::Output {
        let at = self.moment();
        self.append(|| Entry::Command {
            command: command.clone().into(),
            at,
        });
        let output = command.apply(&mut self.state, at);
        self.catch_up(endpoint, usize::MAX);
        output
    }

    /// Takes a command that cannot be committed now. It may be applied later: the caller cannot know.
    pub(crate) fn postpone(&mut self, endpoint: usize, command: impl Into<S::Command>) {
        // During an election there is no leader whose log could keep it, and a leader that was cut off loses its own.
        if self.leader_at(endpoint).is_some() {
            self.pending.push(command.into());
        }
    }

    /// Applies the commands that waited for a quorum.
    pub(crate) fn apply_pending(&mut self) {
        for command in std::mem::take(&mut self.pending) {
            self.raft_index += 1;
            let at = self.moment();
            self.append(|| Entry::Command {
                command: command.clone(),
                at,
            });
            self.state.replay(command, at);
        }
    }

    /// Reads through Raft: the endpoint is up to date when this returns.
    pub(crate) fn confirm_read(&mut self, endpoint: usize) {
        self.raft_index += 1;
        self.catch_up(endpoint, usize::MAX);
    }

    pub(crate) fn add_member(&mut self, member: Member) -> Result<(), MembershipError> {
        self.raft_index += 1;
        if !member.is_learner && !self.membership.can_grow() {
            return Err(MembershipError::NotEnoughStarted);
        }
        self.record_check();
        self.membership.add(member.clone())?;
        self.record(MembershipRecord::Added(member));
        Ok(())
    }

    pub(crate) fn remove_member(&mut self, id: u64) -> Result<(), MembershipError> {
        self.raft_index += 1;
        if !self.membership.can_lose(id) {
            return Err(MembershipError::NotEnoughStarted);
        }
        self.record_check();
        self.membership.remove(id)?;
        if self.leader == Some(id) {
            self.leader = self.membership.first_voter();
        }
        self.record(MembershipRecord::Removed(id));
        Ok(())
    }

    pub(crate) fn update_member(
        &mut self,
        id: u64,
        peer_urls: Vec<String>,
    ) -> Result<(), MembershipError> {
        self.raft_index += 1;
        self.record_check();
        self.membership.update(id, &peer_urls)?;
        self.record(MembershipRecord::Updated { id, peer_urls });
        Ok(())
    }

    /// Gives a learner a vote.
    pub(crate) fn promote_member(&mut self, id: u64) -> Result<(), MembershipError> {
        let member = self.membership.get(id);
        if member.ok_or(MembershipError::IdNotFound)?.is_learner {
            if !self.is_in_sync(id) {
                return Err(MembershipError::LearnerNotReady);
            }
            if !self.membership.can_promote() {
                return Err(MembershipError::NotEnoughStarted);
            }
        }
        self.raft_index += 1;
        self.record_check();
        let peer_urls = self.membership.promote(id)?;
        self.record(MembershipRecord::Updated { id, peer_urls });
        Ok(())
    }

    /// Whether a learner has started, and has most of the log.
    fn is_in_sync(&self, id: u64) -> bool {
        let endpoint = self.member_ids.iter().position(|&other| other == id);
        endpoint.is_some_and(|endpoint| self.lag_of(endpoint) == 0 && !self.is_cut_off(endpoint))
    }

    /// Makes the member behind an endpoint the leader, in a new term. A learner or a member that is cut off cannot be it.
    pub(crate) fn elect(&mut self, endpoint: usize) {
        if let Some(member) = self.member(endpoint)
            && !member.is_learner
            && !self.is_cut_off(endpoint)
        {
            self.elect_member(member.id);
        }
    }

    /// Makes a member the leader, in a new term.
    pub(crate) fn elect_member(&mut self, id: u64) {
        if self.leader != Some(id) {
            self.leader = Some(id);
            self.raft_term += 1;
            self.raft_index += 1;
            let now = self.now;
            for state in self.states() {
                state.promote(now);
            }
        }
    }

    /// Restarts all members with their data. All are connected then.
    pub(crate) fn restart(&mut self) {
        self.cut_off.clear();
        self.catch_up_all();
        self.state.restart();
        self.raft_term += 1;
        self.started = self.now;
        self.has_quorum = true;
        for member in self.membership.members.clone() {
            self.raft_index += 2;
            self.record(MembershipRecord::Published(member));
        }
        self.leader = self.leader.or(self.membership.first_voter());
        self.apply_pending();
    }

    /// Restarts all members without their data.
    pub(crate) fn wipe(&mut self) {
        let seed = self.rng.next();
        let member_ids = std::mem::take(&mut self.member_ids);
        let (membership, state) = (self.membership.clone(), self.state.blank());
        *self = Self::new(self.profile, membership, state, self.now, seed);
        self.member_ids = member_ids;
    }

    /// Changes the state outside the log, as restoring a snapshot does. Nothing lags or is pending afterwards.
    pub(crate) fn restore(&mut self, change: impl FnOnce(&mut S)) {
        self.cut_off.clear();
        self.catch_up_all();
        change(&mut self.state);
        self.pending.clear();
    }

    /// What the member behind this endpoint has applied.
    pub(crate) fn local(&mut self, endpoint: usize) -> &mut S {
        self.local_and_rng(endpoint).0
    }

    /// The same, and the generator that chooses where etcd promises nothing.
    pub(crate) fn local_and_rng(&mut self, endpoint: usize) -> (&mut S, &mut Rng) {
        match self.laggards.get_mut(&endpoint) {
            Some(laggard) => (&mut laggard.state, &mut self.rng),
            None => (&mut self.state, &mut self.rng),
        }
    }

    /// Every copy of the state.
    pub(crate) fn states(&mut self) -> impl Iterator<Item = &mut S> {
        let laggards = self.laggards.values_mut();
        std::iter::once(&mut self.state).chain(laggards.map(|laggard| &mut laggard.state))
    }

    /// When an open exchange is to be told how far it has come.
    pub(crate) fn next_report(&self) -> Option<i64> {
        let laggards = self.laggards.values();
        let states = std::iter::once(&self.state).chain(laggards.map(|laggard| &laggard.state));
        states.filter_map(S::next_report).min()
    }

    /// Removes what has expired by `cutoff`. The leader has proposed it `proposals` times since the last call.
    pub(crate) fn expire(&mut self, cutoff: i64, proposals: u64) {
        self.raft_index += proposals;
        let at = self.moment();
        self.append(|| Entry::Expire { cutoff, at });
        self.state.expire(cutoff, at);
    }

    /// Has the member behind this endpoint apply nothing more. It keeps the exchanges that are `served` by it.
    pub(crate) fn lag(&mut self, endpoint: usize, served: &dyn Fn(ExchangeId) -> bool) {
        let applied = self.log.len();
        if endpoint < self.endpoints() && !self.laggards.contains_key(&endpoint) {
            let mut state = self.state.fork();
            self.state.hand_over(&mut state, served);
            self.laggards.insert(endpoint, Laggard { state, applied });
        }
    }

    /// Has a lagging member apply the next `entries` that it missed. It lags until it has applied all.
    pub(crate) fn catch_up(&mut self, endpoint: usize, entries: usize) {
        if self.is_cut_off(endpoint) {
            return;
        }
        let Some(mut laggard) = self.laggards.remove(&endpoint) else {
            return;
        };
        let missed = self.log.get(laggard.applied..).unwrap_or_default();
        for entry in missed.iter().take(entries) {
            laggard.applied += 1;
            match entry.clone() {
                Entry::Command { command, at } => laggard.state.replay(command, at),
                Entry::Membership { record, at } => laggard.state.record(&record, at),
                Entry::Expire { cutoff, at } => laggard.state.expire(cutoff, at),
            }
        }
        if laggard.applied < self.log.len() {
            self.laggards.insert(endpoint, laggard);
            return;
        }
        laggard.state.hand_over(&mut self.state, &|_| true);
        if self.laggards.is_empty() {
            self.log.clear();
        }
    }

    /// How many entries of the log this endpoint has not applied.
    pub(crate) fn lag_of(&self, endpoint: usize) -> usize {
        let laggard = self.laggards.get(&endpoint);
        laggard.map_or(0, |laggard| self.log.len() - laggard.applied)
    }

    fn catch_up_all(&mut self) {
        for endpoint in 0..self.endpoints() {
            self.catch_up(endpoint, usize::MAX);
        }
    }

    /// Adds an entry to the log if a member will need it.
    fn append(&mut self, entry: impl FnOnce() -> Entry<S::Command>) {
        if !self.laggards.is_empty() {
            self.log.push(entry());
        }
    }

    pub(crate) fn moment(&self) -> Moment {
        Moment {
            now: self.now,
            profile: self.profile,
        }
    }

    /// Before it changes the members, a server reads who belongs and who was removed.
    fn record_check(&mut self) {
        let any_removed = self.membership.any_removed();
        let at = self.moment();
        self.state
            .record(&MembershipRecord::Checked { any_removed }, at);
    }

    fn record(&mut self, record: MembershipRecord) {
        let at = self.moment();
        self.state.record(&record, at);
        self.append(|| Entry::Membership { record, at });
    }
}
