//! Members that are cut off from the others.

use super::{exchanges::ExchangeId, replication::Cluster, state::State};

/// What a member knew when it was cut off.
#[derive(Clone, Copy, Debug)]
pub(crate) struct CutOff {
    raft_term: u64,
    raft_index: u64,
}

impl<S: State> Cluster<S> {
    /// The leader that the member behind an endpoint knows.
    pub(crate) fn leader_at(&self, endpoint: usize) -> Option<u64> {
        self.leader.filter(|_| !self.is_cut_off(endpoint))
    }

    /// Whether a command that is sent to an endpoint would be committed now.
    pub(crate) fn can_commit_at(&self, endpoint: usize) -> bool {
        self.can_commit() && !self.is_cut_off(endpoint)
    }

    /// The term that the member behind an endpoint knows.
    pub(crate) fn term_at(&self, endpoint: usize) -> u64 {
        let cut_off = self.cut_off.get(&endpoint);
        cut_off.map_or(self.raft_term, |known| known.raft_term)
    }

    /// The index of the last entry that the member behind an endpoint knows.
    pub(crate) fn index_at(&self, endpoint: usize) -> u64 {
        let cut_off = self.cut_off.get(&endpoint);
        cut_off.map_or(self.raft_index, |known| known.raft_index)
    }

    pub(crate) fn is_cut_off(&self, endpoint: usize) -> bool {
        self.cut_off.contains_key(&endpoint)
    }

    /// Cuts the member behind an endpoint off from the others. It keeps the exchanges that are `served` by it. The others elect
    /// another leader if it led, and have no quorum if too few of them are left.
    pub(crate) fn cut_off(&mut self, endpoint: usize, served: &dyn Fn(ExchangeId) -> bool) {
        let Some(member) = self.member(endpoint) else {
            return;
        };
        let id = member.id;
        let known = CutOff {
            raft_term: self.raft_term,
            raft_index: self.raft_index,
        };
        self.lag(endpoint, served);
        self.cut_off.entry(endpoint).or_insert(known);
        if self.leader == Some(id) {
            match self.candidate() {
                Some(other) => self.elect_member(other),
                None => self.leader = None,
            }
        }
    }

    /// Connects all members again.
    pub(crate) fn reconnect(&mut self) {
        let endpoints: Vec<usize> = std::mem::take(&mut self.cut_off).into_keys().collect();
        for endpoint in endpoints {
            self.catch_up(endpoint, usize::MAX);
        }
        if self.leader.is_none()
            && let Some(member) = self.candidate()
        {
            self.elect_member(member);
        }
    }

    /// Whether those that are not cut off are a majority of the voters.
    pub(super) fn has_connected_majority(&self) -> bool {
        if self.cut_off.is_empty() {
            return true;
        }
        let voters = self.membership.voters().count();
        let lost = self
            .cut_off
            .keys()
            .filter_map(|&endpoint| self.member(endpoint));
        let lost = lost.filter(|member| !member.is_learner).count();
        voters - lost > voters / 2
    }

    /// A voter that could lead.
    fn candidate(&self) -> Option<u64> {
        if !self.has_connected_majority() {
            return None;
        }
        let mut endpoints = (0..self.endpoints()).filter(|&endpoint| !self.is_cut_off(endpoint));
        endpoints.find_map(|endpoint| {
            let member = self.member(endpoint)?;
            (!member.is_learner).then_some(member.id)
        })
    }
}
