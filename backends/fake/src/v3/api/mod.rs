//! The calls of the v3 API, from message to message. A front decodes the one and encodes the other.

pub(crate) mod auth;
pub(crate) mod cluster;
pub(crate) mod downgrade;
pub(crate) mod election;
pub(crate) mod kv;
pub(crate) mod lease;
pub(crate) mod lock;
pub(crate) mod maintenance;
pub(crate) mod observe;
pub(crate) mod queue;

use super::{
    Store, Write,
    auth::{Caller, CommonName, Credentials},
    error::V3Error,
    message::{
        kv::ResponseHeader,
        maintenance::{AlarmAction, AlarmRequest, AlarmType},
    },
};
use crate::{profile::Profile, state::EtcdCluster};

/// A call that has reached a member.
pub(crate) struct Call<'a> {
    pub(crate) cluster: &'a mut EtcdCluster,
    pub(crate) endpoint: usize,
    /// Whether it has waited for a quorum as long as etcd waits.
    pub(crate) timed_out: bool,
    pub(crate) credentials: Credentials,
}

/// Why a call has no response.
#[derive(Debug)]
pub(crate) enum Failure {
    /// There is no quorum. The call is made again when there is one, or when it has timed out.
    Blocked,
    Refused(V3Error),
}

pub(crate) type Answered<T> = Result<T, Failure>;

impl Call<'_> {
    fn profile(&self) -> Profile {
        self.cluster.profile
    }

    /// Writes through Raft what any caller may write.
    fn propose<C, T>(&mut self, command: C) -> Answered<T>
    where
        C: Write<Output = T>,
    {
        let caller = self.caller()?;
        self.propose_as(&caller, command, |_, _, _| Ok(()))
    }

    /// Writes through Raft what only an administrator may write.
    fn propose_as_admin<C, T>(&mut self, command: C) -> Answered<T>
    where
        C: Write<Output = T>,
    {
        let caller = self.caller()?;
        self.propose_as(&caller, command, |store, caller, _| {
            store.auth.check_admin(caller)
        })
    }

    /// Writes through Raft. Whether the caller may is checked when the command is applied, before all else.
    fn propose_as<C, T>(
        &mut self,
        caller: &Caller,
        command: C,
        check: impl FnOnce(&Store, &Caller, &C) -> Result<(), V3Error>,
    ) -> Answered<T>
    where
        C: Write<Output = T>,
    {
        let store = &self.cluster.state.v3;
        let checked = if store.alarms.is_limited() {
            Ok(())
        } else {
            check(store, caller, &command)
        };
        if !self.cluster.can_commit_at(self.endpoint) {
            if self.timed_out && checked.is_ok() {
                self.cluster.postpone(self.endpoint, command);
            }
            return Err(self.without_quorum());
        }
        if let Err(error) = checked {
            self.cluster.confirm_read(self.endpoint);
            return Err(error.into());
        }
        Ok(self.cluster.propose(self.endpoint, command)?)
    }

    /// Whether the member serves calls like this one. A learner serves few, and a caller may want one that knows a leader.
    pub(crate) fn admit(&self, is_for_learners: bool, needs_leader: bool) -> Result<(), V3Error> {
        if self.is_learner() && !is_for_learners {
            return Err(V3Error::LEARNER);
        }
        if needs_leader && self.cluster.leader_at(self.endpoint).is_none() {
            return Err(V3Error::NO_LEADER);
        }
        Ok(())
    }

    fn is_learner(&self) -> bool {
        let member = self.cluster.member(self.endpoint);
        member.is_some_and(|member| member.is_learner)
    }

    /// Finds out who calls. 3.4 looks at a token even if there is no auth, and then none is valid.
    pub(crate) fn caller(&mut self) -> Result<Caller, V3Error> {
        let profile = self.profile();
        let now = self.cluster.now;
        let auth = &mut self.cluster.local(self.endpoint).v3.auth;
        match &self.credentials {
            Credentials::Token(token) if auth.is_enabled() || profile == Profile::V3_4 => {
                auth.use_token(token, now).ok_or(V3Error::INVALID_TOKEN)
            }
            Credentials::CommonName(CommonName(name)) if auth.is_enabled() => {
                Ok(Caller::user(name))
            }
            _ => Ok(Caller::default()),
        }
    }

    /// Whether the quota has room for `cost` bytes. If not, the member raises an alarm.
    fn check_quota(&mut self, cost: usize) -> Answered<()> {
        let Some(quota) = self.cluster.state.quota else {
            return Ok(());
        };
        let size = self.cluster.local(self.endpoint).v3.size();
        let cost = i64::try_from(cost).unwrap_or(i64::MAX);
        if cost == 0 || size.saturating_add(cost) < quota {
            return Ok(());
        }
        let alarm = AlarmRequest {
            action: AlarmAction::ACTIVATE,
            member_id: self
                .cluster
                .member(self.endpoint)
                .map_or(0, |member| member.id),
            alarm: AlarmType::NOSPACE,
        };
        self.propose(alarm)?;
        Err(V3Error::NO_SPACE.into())
    }

    /// Has the member catch up, as a linearizable read does.
    fn confirm_read(&mut self) -> Answered<()> {
        if !self.cluster.can_commit_at(self.endpoint) {
            return Err(self.without_quorum());
        }
        self.cluster.catch_up(self.endpoint, usize::MAX);
        Ok(())
    }

    fn without_quorum(&self) -> Failure {
        if self.timed_out {
            Failure::Refused(V3Error::TIMEOUT)
        } else {
            Failure::Blocked
        }
    }

    /// Completes a header. A revision of 0 becomes the current one.
    fn fill(&mut self, header: &mut Option<ResponseHeader>) {
        let revision = self.cluster.local(self.endpoint).v3.mvcc.revision();
        let header = header.get_or_insert_default();
        if header.revision == 0 {
            header.revision = revision;
        }
        fill_ids(self.cluster, self.endpoint, header);
    }
}

/// Writes the responding member into a header.
pub(crate) fn fill_ids(cluster: &EtcdCluster, endpoint: usize, header: &mut ResponseHeader) {
    header.cluster_id = cluster.membership.id;
    header.member_id = cluster.member(endpoint).map_or(0, |member| member.id);
    header.raft_term = cluster.term_at(endpoint);
}

impl From<V3Error> for Failure {
    fn from(error: V3Error) -> Self {
        Self::Refused(error)
    }
}
