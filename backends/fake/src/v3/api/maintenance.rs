use super::{Answered, Call};
use crate::{
    profile::Profile,
    v3::{
        error::{Code, V3Error},
        message::{
            kv::ResponseHeader,
            maintenance::{
                AlarmMember, AlarmRequest, AlarmResponse, AlarmType, DefragmentRequest,
                DefragmentResponse, HashKvRequest, HashKvResponse, HashRequest, HashResponse,
                MoveLeaderRequest, MoveLeaderResponse, StatusRequest, StatusResponse,
            },
        },
    },
};

const NOT_LEADER: V3Error = V3Error::new(Code::FailedPrecondition, "etcdserver: not leader");
const BAD_TRANSFEREE: V3Error = V3Error::new(
    Code::FailedPrecondition,
    "etcdserver: bad leader transferee",
);

impl Call<'_> {
    /// The hash of the member's own store, which is etcd's number.
    pub(crate) fn hash_kv(&mut self, request: &HashKvRequest) -> Answered<HashKvResponse> {
        self.check_maintenance()?;
        let profile = self.profile();
        let mvcc = &self.cluster.local(self.endpoint).v3.mvcc;
        let hash = mvcc.hash(request.revision, profile)?;
        let mut response = HashKvResponse {
            header: Some(ResponseHeader::of_revision(mvcc.revision())),
            hash: hash.hash,
            compact_revision: hash.compacted,
        };
        self.fill(&mut response.header);
        Ok(response)
    }

    /// There is nothing to defragment. The response is empty: not even a header.
    pub(crate) fn defragment(&mut self, _: DefragmentRequest) -> Answered<DefragmentResponse> {
        self.check_maintenance()?;
        Ok(DefragmentResponse::default())
    }

    /// The state of the member. The sizes are plausible, not etcd's.
    pub(crate) fn status(&mut self, _: StatusRequest) -> Answered<StatusResponse> {
        let version = self.profile().server_version().to_owned();
        let leader = self.cluster.leader_at(self.endpoint).unwrap_or_default();
        let store = &self.cluster.local(self.endpoint).v3;
        let size = store.size();
        let alarms = store.alarms.active_of(AlarmType::NONE);
        let mut errors: Vec<String> = alarms.iter().map(shown_alarm).collect();
        if leader == 0 {
            errors.push("etcdserver: no leader".to_owned());
        }
        let mut response = StatusResponse {
            header: None,
            version,
            db_size: size,
            leader,
            raft_index: self.cluster.index_at(self.endpoint),
            raft_term: self.cluster.term_at(self.endpoint),
            raft_applied_index: self.cluster.index_at(self.endpoint),
            errors,
            db_size_in_use: size,
            is_learner: self.is_learner(),
        };
        self.fill(&mut response.header);
        Ok(response)
    }

    /// Reads or changes the alarms. Only 3.5 responds with a header.
    pub(crate) fn alarm(&mut self, request: AlarmRequest) -> Answered<AlarmResponse> {
        if self.profile() == Profile::V3_4 {
            self.caller().map_err(without_code)?;
        }
        let alarms = self.propose(request)?;
        let header = None;
        let mut response = AlarmResponse { header, alarms };
        if self.profile() == Profile::V3_5 {
            self.fill(&mut response.header);
        }
        Ok(response)
    }

    /// A hash of the member's own file. It is not etcd's number: the fake has no such file.
    pub(crate) fn hash(&mut self, _: HashRequest) -> Answered<HashResponse> {
        self.check_maintenance()?;
        let profile = self.profile();
        let mvcc = &self.cluster.local(self.endpoint).v3.mvcc;
        let hash = mvcc.hash(0, profile)?.hash;
        let header = None;
        let mut response = HashResponse { header, hash };
        self.fill(&mut response.header);
        Ok(response)
    }

    /// Makes another member the leader. Only the leader can, and only of one that is there.
    pub(crate) fn move_leader(
        &mut self,
        request: &MoveLeaderRequest,
    ) -> Answered<MoveLeaderResponse> {
        let own = self.cluster.member(self.endpoint).map(|member| member.id);
        if own.is_none() || own != self.cluster.leader_at(self.endpoint) {
            return Err(NOT_LEADER.into());
        }
        let target = self.cluster.membership.get(request.target_id);
        if target.is_none_or(|member| member.is_learner) {
            return Err(BAD_TRANSFEREE.into());
        }
        self.cluster.elect_member(request.target_id);
        Ok(MoveLeaderResponse::default())
    }

    /// Why there is no snapshot. Permission is checked first.
    pub(crate) fn refuse_snapshot(&mut self) -> V3Error {
        self.check_maintenance().err().unwrap_or(V3Error::SNAPSHOT)
    }

    /// Whether the caller may maintain the member. What etcd says otherwise has no code of its own.
    fn check_maintenance(&mut self) -> Result<(), V3Error> {
        let checked = match self.caller() {
            Ok(caller) => {
                let auth = &self.cluster.local(self.endpoint).v3.auth;
                auth.check_admin(&caller)
            }
            Err(error) => Err(error),
        };
        checked.map_err(without_code)
    }
}

/// An error of auth as maintenance passes it on: in the words that it has before gRPC's.
fn without_code(error: V3Error) -> V3Error {
    let message = error.message.replace("etcdserver: ", "auth: ");
    V3Error {
        code: Code::Unknown,
        message: message
            .replace("user name not found", "user not found")
            .into(),
        ..error
    }
}

/// An alarm as Go prints its message.
fn shown_alarm(alarm: &AlarmMember) -> String {
    let member = match alarm.member_id {
        0 => String::new(),
        id => format!("memberID:{id} "),
    };
    let kind = match alarm.alarm {
        AlarmType::NONE => String::new(),
        kind => format!("alarm:{} ", kind.to_go_string()),
    };
    format!("{member}{kind}")
}
