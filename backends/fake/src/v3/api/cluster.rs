use super::{Answered, Call, fill_ids};
use crate::{
    cluster::membership::{self, MembershipError},
    go::url::url_error,
    v3::{
        error::{Code, V3Error},
        message::{
            cluster::{
                Member, MemberAddRequest, MemberAddResponse, MemberListRequest, MemberListResponse,
                MemberPromoteRequest, MemberRemoveRequest, MemberUpdateRequest, MembersResponse,
                PlainMemberListRequest,
            },
            kv::ResponseHeader,
        },
    },
};

const BAD_URLS: V3Error = V3Error::new(
    Code::InvalidArgument,
    "etcdserver: given member URLs are invalid",
);
const PEER_URL_EXISTS: V3Error = V3Error::new(
    Code::FailedPrecondition,
    "etcdserver: Peer URLs already exists",
);
const NOT_FOUND: V3Error = V3Error::new(Code::NotFound, "etcdserver: member not found");
const NOT_ENOUGH_STARTED: V3Error = V3Error::new(
    Code::Unknown,
    "etcdserver: re-configuration failed due to not enough started members",
);
const TOO_MANY_LEARNERS: V3Error = V3Error::new(
    Code::FailedPrecondition,
    "etcdserver: too many learner members in cluster",
);
const NOT_A_LEARNER: V3Error = V3Error::new(
    Code::FailedPrecondition,
    "etcdserver: can only promote a learner member",
);
const LEARNER_NOT_READY: V3Error = V3Error::new(
    Code::FailedPrecondition,
    "etcdserver: can only promote a learner member which is in sync with leader",
);

impl Call<'_> {
    /// The members. Their header has no revision.
    pub(crate) fn member_list(
        &mut self,
        request: &MemberListRequest,
    ) -> Answered<MemberListResponse> {
        if request.linearizable {
            self.confirm_read()?;
        }
        self.local_member_list(PlainMemberListRequest {})
    }

    /// The members, as 3.4 lists them.
    pub(crate) fn local_member_list(
        &mut self,
        _: PlainMemberListRequest,
    ) -> Answered<MemberListResponse> {
        Ok(MemberListResponse {
            header: self.header_without_revision(),
            members: self.members(),
        })
    }

    /// Adds a member, with a vote or as a learner. Nothing starts it.
    pub(crate) fn member_add(&mut self, request: MemberAddRequest) -> Answered<MemberAddResponse> {
        check_urls(&request.peer_urls)?;
        let mut peer_urls = request.peer_urls;
        peer_urls.sort_unstable();
        self.begin_change()?;
        let member = membership::Member {
            id: self.cluster.rng.next(),
            name: String::new(),
            peer_urls,
            client_urls: Vec::new(),
            is_learner: request.is_learner,
        };
        self.cluster.add_member(member.clone()).map_err(refusal)?;
        Ok(MemberAddResponse {
            header: self.header_without_revision(),
            member: Some(shown(&member)),
            members: self.members(),
        })
    }

    /// Gives a learner a vote.
    pub(crate) fn member_promote(
        &mut self,
        request: &MemberPromoteRequest,
    ) -> Answered<MembersResponse> {
        self.begin_change()?;
        self.cluster.promote_member(request.id).map_err(refusal)?;
        Ok(self.changed())
    }

    pub(crate) fn member_remove(
        &mut self,
        request: &MemberRemoveRequest,
    ) -> Answered<MembersResponse> {
        self.begin_change()?;
        self.cluster.remove_member(request.id).map_err(refusal)?;
        Ok(self.changed())
    }

    /// Changes the peer URLs of a member. A member stores any for itself; at those of another one, if they are no URLs, etcd panics.
    pub(crate) fn member_update(
        &mut self,
        request: MemberUpdateRequest,
    ) -> Answered<MembersResponse> {
        self.begin_change()?;
        let own = self.cluster.member(self.endpoint).map(|member| member.id);
        if own != Some(request.id) && self.cluster.membership.get(request.id).is_some() {
            check_urls(&request.peer_urls)?;
        }
        let updated = self.cluster.update_member(request.id, request.peer_urls);
        updated.map_err(refusal)?;
        Ok(self.changed())
    }

    /// Whether the caller may change the members, and a quorum is there.
    fn begin_change(&mut self) -> Answered<()> {
        let caller = self.caller()?;
        self.cluster.state.v3.auth.check_admin(&caller)?;
        self.confirm_read()
    }

    fn changed(&self) -> MembersResponse {
        MembersResponse {
            header: self.header_without_revision(),
            members: self.members(),
        }
    }

    fn members(&self) -> Vec<Member> {
        let members = self.cluster.membership.sorted();
        members.into_iter().map(shown).collect()
    }

    fn header_without_revision(&self) -> Option<ResponseHeader> {
        let mut header = ResponseHeader::default();
        fill_ids(self.cluster, self.endpoint, &mut header);
        Some(header)
    }
}

fn shown(member: &membership::Member) -> Member {
    Member {
        id: member.id,
        name: member.name.clone(),
        peer_urls: member.peer_urls.clone(),
        client_urls: member.client_urls.clone(),
        is_learner: member.is_learner,
    }
}

fn check_urls(urls: &[String]) -> Result<(), V3Error> {
    let is_bad = |url: &String| url_error(url.trim()).is_some();
    if urls.is_empty() || urls.iter().any(is_bad) {
        return Err(BAD_URLS);
    }
    Ok(())
}

fn refusal(error: MembershipError) -> V3Error {
    match error {
        MembershipError::PeerUrlExists => PEER_URL_EXISTS,
        MembershipError::IdNotFound | MembershipError::IdRemoved => NOT_FOUND,
        MembershipError::NotEnoughStarted => NOT_ENOUGH_STARTED,
        MembershipError::TooManyLearners => TOO_MANY_LEARNERS,
        MembershipError::NotLearner => NOT_A_LEARNER,
        MembershipError::LearnerNotReady => LEARNER_NOT_READY,
    }
}
