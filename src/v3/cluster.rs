//! The members of the cluster.

use crate::{
    error::{Error, Result},
    pipeline::api::{Advertised, MemberSource},
    pipeline::exchange::Mapped,
    v3::{
        GetStatus, Header,
        protocol::message::{self, Encode, Fields},
    },
};

/// A member of the cluster.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct Member {
    /// The id, as in [`Header::member_id`]. etcdctl and the v2 API show it in hexadecimal.
    pub id: u64,
    /// The name. Empty until the member has started.
    pub name: String,
    /// The URLs where other members reach it.
    pub peer_urls: Vec<String>,
    /// The URLs that it advertises to clients. Empty until the member has started.
    pub client_urls: Vec<String>,
    /// Whether it is a learner: a member without a vote.
    pub is_learner: bool,
}

message::decode!(Member {
    1 "ID" => id,
    2 "name" => name,
    3 "peerURLs" => peer_urls,
    4 "clientURLs" => client_urls,
    5 "isLearner" => is_learner,
});

/// Lists the members: `POST /v3/cluster/member/list`.
#[doc(alias = "member list")]
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[must_use = "an operation does nothing before `Client::send`"]
pub struct ListMembers {
    linearizable: bool,
}

impl ListMembers {
    /// The members as the contacted member knows them.
    pub fn new() -> Self {
        Self::default()
    }

    /// Lists the members as a majority knows them. Since etcd 3.5; ignored by 3.4.
    pub fn linearizable(mut self, linearizable: bool) -> Self {
        self.linearizable = linearizable;
        self
    }
}

impl Encode for ListMembers {
    fn fields<F: Fields>(&self, to: &mut F) {
        to.put(1, "linearizable", &self.linearizable);
    }
}

crate::v3::protocol::operation!(ListMembers => Members, "v3.cluster.member.list", MEMBER_LIST, Always);

/// The members of the cluster: the response to every operation except [`AddMember`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Members {
    /// The header. It has no revision.
    pub header: Header,
    /// The members of the cluster, after the operation.
    pub members: Vec<Member>,
}

message::decode!(Members {
    1 "header" => header,
    2 "members" => members,
});

/// Adds a member, which can then be started: `POST /v3/cluster/member/add`.
///
/// Between two changes of the members, write a key: etcd drops a change that comes before it has recorded the last one as
/// applied, without a response, and the call ends at its time limit with an unknown outcome.
///
/// # Errors
/// [`MemberExists`](crate::EtcdErrorKind::MemberExists), [`UnhealthyCluster`](crate::EtcdErrorKind::UnhealthyCluster),
/// [`TooManyLearners`](crate::EtcdErrorKind::TooManyLearners).
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use = "an operation does nothing before `Client::send`"]
pub struct AddMember {
    peer_urls: Vec<String>,
    is_learner: bool,
}

impl AddMember {
    /// A member with these peer URLs.
    pub fn new<U: AsRef<str>>(peer_urls: impl IntoIterator<Item = U>) -> Self {
        Self {
            peer_urls: peer_urls
                .into_iter()
                .map(|url| url.as_ref().to_owned())
                .collect(),
            is_learner: false,
        }
    }

    /// Adds it as a learner: without a vote until it is promoted.
    pub fn learner(mut self, is_learner: bool) -> Self {
        self.is_learner = is_learner;
        self
    }
}

impl Encode for AddMember {
    fn check(&self, operation: &'static str) -> Result<()> {
        check_urls(operation, &self.peer_urls)
    }

    fn fields<F: Fields>(&self, to: &mut F) {
        to.put(1, "peerURLs", &self.peer_urls)
            .put(2, "isLearner", &self.is_learner);
    }
}

crate::v3::protocol::operation!(AddMember => AddMemberResponse, "v3.cluster.member.add", MEMBER_ADD, IfUnsent);

/// The response to an [`AddMember`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct AddMemberResponse {
    /// The header. It has no revision.
    pub header: Header,
    /// The new member.
    pub member: Member,
    /// All members.
    pub members: Vec<Member>,
}

message::decode!(AddMemberResponse {
    1 "header" => header,
    2 "member" => member,
    3 "members" => members,
});

/// Removes a member permanently: `POST /v3/cluster/member/remove`.
///
/// # Errors
/// [`MemberNotFound`](crate::EtcdErrorKind::MemberNotFound),
/// [`NotEnoughStartedMembers`](crate::EtcdErrorKind::NotEnoughStartedMembers).
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use = "an operation does nothing before `Client::send`"]
pub struct RemoveMember {
    id: u64,
}

/// Promotes a learner to a voting member: `POST /v3/cluster/member/promote`.
///
/// # Errors
/// [`MemberNotFound`](crate::EtcdErrorKind::MemberNotFound),
/// [`MemberNotALearner`](crate::EtcdErrorKind::MemberNotALearner),
/// [`LearnerNotReady`](crate::EtcdErrorKind::LearnerNotReady).
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use = "an operation does nothing before `Client::send`"]
pub struct PromoteMember {
    id: u64,
}

macro_rules! of_member {
    ($($operation:ident),+) => {$(
        impl $operation {
            /// The member with this id.
            pub fn new(id: u64) -> Self {
                Self { id }
            }
        }

        impl Encode for $operation {
            fn fields<F: Fields>(&self, to: &mut F) {
                to.put(1, "ID", &self.id);
            }
        }
    )+};
}

of_member!(RemoveMember, PromoteMember);

crate::v3::protocol::operation!(RemoveMember => Members, "v3.cluster.member.remove", MEMBER_REMOVE, IfUnsent);
crate::v3::protocol::operation!(
    PromoteMember => Members,
    "v3.cluster.member.promote",
    MEMBER_PROMOTE, IfUnsent
);

/// Changes the peer URLs of a member: `POST /v3/cluster/member/update`.
///
/// # Errors
/// [`MemberNotFound`](crate::EtcdErrorKind::MemberNotFound), [`MemberExists`](crate::EtcdErrorKind::MemberExists).
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use = "an operation does nothing before `Client::send`"]
pub struct UpdateMember {
    id: u64,
    peer_urls: Vec<String>,
}

impl UpdateMember {
    /// Sets the peer URLs of the member with this id.
    pub fn new<U: AsRef<str>>(id: u64, peer_urls: impl IntoIterator<Item = U>) -> Self {
        Self {
            id,
            peer_urls: peer_urls
                .into_iter()
                .map(|url| url.as_ref().to_owned())
                .collect(),
        }
    }
}

impl Encode for UpdateMember {
    fn check(&self, operation: &'static str) -> Result<()> {
        check_urls(operation, &self.peer_urls)
    }

    fn fields<F: Fields>(&self, to: &mut F) {
        to.put(1, "ID", &self.id)
            .put(2, "peerURLs", &self.peer_urls);
    }
}

crate::v3::protocol::operation!(UpdateMember => Members, "v3.cluster.member.update", MEMBER_UPDATE, IfUnsent);

fn check_urls(operation: &'static str, urls: &[String]) -> Result<()> {
    if urls.is_empty() {
        let reason = "at least one peer URL is required";
        return Err(Error::invalid(operation, reason));
    }
    Ok(())
}

/// Lists the members for a sync.
pub(crate) fn member_source() -> MemberSource {
    MemberSource {
        members: Box::new(Mapped(ListMembers::new(), |list| {
            let members = list.members.into_iter();
            members
                // A learner serves hardly any call.
                .filter(|member| !member.is_learner)
                .map(|member| Advertised {
                    id: member.id.to_string(),
                    client_urls: member.client_urls,
                })
                .collect()
        })),
        leader: Box::new(Mapped(GetStatus::new(), |status| Advertised {
            id: status.leader.to_string(),
            client_urls: Vec::new(),
        })),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        error::EtcdErrorKind,
        testing::AsRequest,
        v3::testing::{body, decoded},
    };

    const URL: &str = "http://10.0.0.1:2380";

    #[test]
    fn the_requests_are_as_documented() {
        fn sent(operation: &impl AsRequest, path: &str, json: &str) {
            let call = operation.request().unwrap();
            assert_eq!(call.target(), format!("/v3/cluster/member/{path}"));
            assert_eq!(body(operation), json);
        }
        sent(&ListMembers::new(), "list", "{}");
        sent(
            &ListMembers::new().linearizable(true),
            "list",
            r#"{"linearizable":true}"#,
        );
        let learner = AddMember::new([URL]).learner(true);
        sent(
            &learner,
            "add",
            r#"{"peerURLs":["http://10.0.0.1:2380"],"isLearner":true}"#,
        );
        sent(
            &RemoveMember::new(u64::MAX),
            "remove",
            r#"{"ID":"18446744073709551615"}"#,
        );
        sent(&PromoteMember::new(7), "promote", r#"{"ID":"7"}"#);
        let update = UpdateMember::new(7, [URL]);
        sent(
            &update,
            "update",
            r#"{"ID":"7","peerURLs":["http://10.0.0.1:2380"]}"#,
        );
        assert!(AddMember::new([] as [&str; 0]).request().is_err());
    }

    #[test]
    fn responses_are_read() {
        let json = r#"{"header":{"cluster_id":"11420056713333806591", "member_id":"7445599390133392379", "raft_term":"2"}, "members":[{"ID":"7445599390133392379", "name":"default", "peerURLs":["http://127.0.0.1:24891"], "clientURLs":["http://127.0.0.1:24890"]}, {"ID":"8", "peerURLs":["http://h:1"], "isLearner":true}]}"#;
        let Members { header, members } = decoded(&ListMembers::new(), 200, json).unwrap();
        assert_eq!(members[0].id, header.member_id);
        assert_eq!(members[0].client_urls, ["http://127.0.0.1:24890"]);
        assert!(members[1].is_learner && members[1].name.is_empty());

        let json = r#"{"header":{"cluster_id":"5","member_id":"7","raft_term":"2"},"member":{"ID":"9","peerURLs":["http://h:1"],"isLearner":true},"members":[{"ID":"7","name":"m","peerURLs":["http://h:2"],"clientURLs":["http://h:3"]},{"ID":"9","peerURLs":["http://h:1"],"isLearner":true}]}"#;
        let added = decoded(&AddMember::new([URL]).learner(true), 200, json).unwrap();
        assert_eq!((added.member.id, added.members.len()), (9, 2));
        let left = decoded(&RemoveMember::new(9), 200, json).unwrap();
        assert_eq!(left.members, added.members);
        assert!(decoded(&UpdateMember::new(9, [URL]), 200, json).is_ok());
        assert!(decoded(&PromoteMember::new(9), 200, json).is_ok());
        let gone = r#"{"code":5, "message":"etcdserver: member not found"}"#;
        let error = decoded(&RemoveMember::new(9), 404, gone).unwrap_err();
        assert_eq!(error.etcd_kind(), Some(EtcdErrorKind::MemberNotFound));
    }

    #[test]
    fn the_messages_are_those_of_etcd() {
        use crate::v3::testing::schema::{Requests, response};

        Requests::of("etcdserverpb.MemberListRequest")
            .send(&ListMembers::new().linearizable(true))
            .all_fields_but(&[]);
        Requests::of("etcdserverpb.MemberAddRequest")
            .send(&AddMember::new(["http://a", "http://b"]).learner(true))
            .all_fields_but(&[]);
        Requests::of("etcdserverpb.MemberRemoveRequest")
            .send(&RemoveMember::new(u64::MAX))
            .all_fields_but(&[]);
        Requests::of("etcdserverpb.MemberPromoteRequest")
            .send(&PromoteMember::new(7))
            .all_fields_but(&[]);
        Requests::of("etcdserverpb.MemberUpdateRequest")
            .send(&UpdateMember::new(7, ["http://a"]))
            .all_fields_but(&[]);
        response::<Members>("etcdserverpb.MemberListResponse", &[]);
        response::<Members>("etcdserverpb.MemberRemoveResponse", &[]);
        response::<Members>("etcdserverpb.MemberPromoteResponse", &[]);
        response::<Members>("etcdserverpb.MemberUpdateResponse", &[]);
        response::<AddMemberResponse>("etcdserverpb.MemberAddResponse", &[]);
    }
}
