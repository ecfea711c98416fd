//! The members of the cluster.

use crate::{
    error::{Error, Result},
    operation::Repeat,
    v3::{
        Header,
        protocol::gateway::{self, Encode, Fields},
    },
};

/// A member of the cluster.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct Member {
    /// The number that [`Header::member_id`] has, too. etcdctl and the v2 API show it in hexadecimal.
    pub id: u64,
    /// Its name; empty for one that was added and has not started yet.
    pub name: String,
    /// Where the other members reach it.
    pub peer_urls: Vec<String>,
    /// Where it says that clients reach it; empty for one that has not started yet.
    pub client_urls: Vec<String>,
    /// Whether it has no vote yet, and only learns.
    pub is_learner: bool,
}

gateway::decode!(Member {
    "ID" => id,
    "name" => name,
    "peerURLs" => peer_urls,
    "clientURLs" => client_urls,
    "isLearner" => is_learner,
});

/// Lists the members: `POST /v3/cluster/member/list`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[must_use = "an operation does nothing before `Client::send`"]
pub struct ListMembers {
    linearizable: bool,
}

impl ListMembers {
    /// As the member that is asked knows them.
    pub fn new() -> Self {
        Self::default()
    }

    /// As a majority of the cluster knows them. From etcd 3.5 on; 3.4 ignores it.
    pub fn linearizable(mut self, linearizable: bool) -> Self {
        self.linearizable = linearizable;
        self
    }
}

impl Encode for ListMembers {
    fn fields(&self, to: &mut Fields<'_>) {
        to.put("linearizable", &self.linearizable);
    }
}

gateway::operation!(
    ListMembers => Members, "v3.cluster.member.list", "/v3/cluster/member/list", |_| Repeat::Always
);

/// The members, and who says so: what every operation but [`AddMember`] answers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Members {
    /// Who answered. It has no revision.
    pub header: Header,
    /// The members of the cluster, after the operation.
    pub members: Vec<Member>,
}

gateway::decode!(Members {
    "header" => header,
    "members" => members,
});

/// Adds a member, which may then be started: `POST /v3/cluster/member/add`.
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
    /// A member that the others reach at these URLs.
    pub fn new<U: Into<String>>(peer_urls: impl IntoIterator<Item = U>) -> Self {
        Self {
            peer_urls: peer_urls.into_iter().map(Into::into).collect(),
            is_learner: false,
        }
    }

    /// Without a vote, until it is promoted.
    pub fn learner(mut self, is_learner: bool) -> Self {
        self.is_learner = is_learner;
        self
    }
}

impl Encode for AddMember {
    fn check(&self, operation: &'static str) -> Result<()> {
        check_urls(operation, &self.peer_urls)
    }

    fn fields(&self, to: &mut Fields<'_>) {
        to.put("peerURLs", &self.peer_urls)
            .put("isLearner", &self.is_learner);
    }
}

gateway::operation!(
    AddMember => AddMemberResponse,
    "v3.cluster.member.add",
    "/v3/cluster/member/add",
    |_| Repeat::IfUnsent
);

/// What a [`AddMember`] did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct AddMemberResponse {
    /// Who answered. It has no revision.
    pub header: Header,
    /// The new member.
    pub member: Member,
    /// All members.
    pub members: Vec<Member>,
}

gateway::decode!(AddMemberResponse {
    "header" => header,
    "member" => member,
    "members" => members,
});

/// Removes a member for good: `POST /v3/cluster/member/remove`.
///
/// # Errors
/// [`MemberNotFound`](crate::EtcdErrorKind::MemberNotFound),
/// [`NotEnoughStartedMembers`](crate::EtcdErrorKind::NotEnoughStartedMembers).
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use = "an operation does nothing before `Client::send`"]
pub struct RemoveMember {
    id: u64,
}

/// Gives a learner its vote: `POST /v3/cluster/member/promote`.
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
            fn fields(&self, to: &mut Fields<'_>) {
                to.put("ID", &self.id);
            }
        }
    )+};
}

of_member!(RemoveMember, PromoteMember);

gateway::operation!(
    RemoveMember => Members,
    "v3.cluster.member.remove",
    "/v3/cluster/member/remove",
    |_| Repeat::IfUnsent
);
gateway::operation!(
    PromoteMember => Members,
    "v3.cluster.member.promote",
    "/v3/cluster/member/promote",
    |_| Repeat::IfUnsent
);

/// Changes where the others reach a member: `POST /v3/cluster/member/update`.
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
    /// The member with this id, at these URLs.
    pub fn new<U: Into<String>>(id: u64, peer_urls: impl IntoIterator<Item = U>) -> Self {
        Self {
            id,
            peer_urls: peer_urls.into_iter().map(Into::into).collect(),
        }
    }
}

impl Encode for UpdateMember {
    fn check(&self, operation: &'static str) -> Result<()> {
        check_urls(operation, &self.peer_urls)
    }

    fn fields(&self, to: &mut Fields<'_>) {
        to.put("ID", &self.id).put("peerURLs", &self.peer_urls);
    }
}

gateway::operation!(
    UpdateMember => Members,
    "v3.cluster.member.update",
    "/v3/cluster/member/update",
    |_| Repeat::IfUnsent
);

fn check_urls(operation: &'static str, urls: &[String]) -> Result<()> {
    if urls.is_empty() {
        let reason = "a member that the others reach nowhere: it needs a peer URL";
        return Err(Error::invalid(operation, reason));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        error::EtcdErrorKind,
        operation::Operation,
        v3::testing::{body, decoded},
    };

    const URL: &str = "http://10.0.0.1:2380";

    #[test]
    fn the_requests_are_as_documented() {
        fn sent(operation: &impl Operation, path: &str, json: &str) {
            let call = operation.encode().unwrap();
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
        assert!(AddMember::new([] as [&str; 0]).encode().is_err());
    }

    #[test]
    fn answers_are_read() {
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
}
