//! Elections that the server holds.

mod observe;

use std::time::Duration;

use bytes::Bytes;

use crate::{
    error::{Error, EtcdErrorKind, Result},
    operation::{Call, Operation, Repeat, Reply, sealed::Sealed},
    pipeline::deadline::Deadline,
    v3::{
        Header, KeyValue, LeaseId,
        header::OnlyHeader,
        protocol::gateway::{self, Encode, Fields},
    },
};

pub use observe::Observe;

/// Who leads an election, and since when: what [`Proclaim`] and [`Resign`] want to know.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct LeaderKey {
    /// The election.
    pub name: Bytes,
    /// The key that stands for leading it: the name, `/`, and the lease in hexadecimal. Compare its creation with
    /// [`rev`](Self::rev) in the transactions of a leader.
    pub key: Bytes,
    /// The revision that created the key.
    pub rev: i64,
    /// The lease it is held with.
    pub lease: LeaseId,
}

gateway::decode!(LeaderKey {
    "name" => name,
    "key" => key,
    "rev" => rev,
    "lease" => lease,
});

impl Encode for LeaderKey {
    fn fields(&self, to: &mut Fields<'_>) {
        to.put("name", &self.name)
            .put("key", &self.key)
            .put("rev", &self.rev)
            .put("lease", &self.lease);
    }
}

/// Waits to be elected, and leads as long as the lease lives: `POST /v3/election/campaign`.
///
/// Waits for ever unless [`time_limit`](Self::time_limit) is set. Dropping the future gives the candidacy up. Who leads may
/// campaign again with the same lease, and proclaims its value then. But who has given up, or whose exchange broke off,
/// campaigns with **another lease**, and revokes the first: the server that was asked first deletes the key when it notices,
/// which may be after another has said who leads. For the same reason the request is repeated only when the server surely
/// saw nothing of it.
///
/// # Errors
/// [`is_lease_not_found`](crate::Error::is_lease_not_found), also for a lease that expires meanwhile;
/// [`RequestTimedOut`](crate::EtcdErrorKind::RequestTimedOut) after the time limit.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use = "an operation does nothing before `Client::send`"]
pub struct Campaign {
    pub(super) name: Bytes,
    lease: LeaseId,
    value: Bytes,
    deadline: Deadline,
}

impl Campaign {
    /// A candidate for this election, who holds it with this lease and proclaims this value.
    ///
    /// With [`LeaseId::NONE`] the server makes a lease of 60 s that nobody keeps alive.
    pub fn new(
        name: impl Into<Vec<u8>>,
        lease: impl Into<LeaseId>,
        value: impl Into<Vec<u8>>,
    ) -> Self {
        Self {
            name: name.into().into(),
            lease: lease.into(),
            value: value.into().into(),
            deadline: Deadline::Unlimited,
        }
    }

    /// Waits no longer than this.
    pub fn time_limit(mut self, limit: Duration) -> Self {
        self.deadline = Deadline::AtMost(limit);
        self
    }
}

impl Encode for Campaign {
    fn check(&self, operation: &'static str) -> Result<()> {
        check_name(operation, &self.name)
    }

    fn fields(&self, to: &mut Fields<'_>) {
        to.put("name", &self.name)
            .put("lease", &self.lease)
            .put("value", &self.value);
    }

    fn payload(&self) -> usize {
        self.name.len() + self.value.len()
    }

    fn deadline(&self) -> Deadline {
        self.deadline
    }
}

gateway::operation!(
    Campaign => CampaignResponse,
    "v3.election.campaign",
    "/v3/election/campaign",
    |_| Repeat::IfUnsent
);

/// An election that is won.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct CampaignResponse {
    /// Who answered.
    pub header: Header,
    /// What stands for leading.
    pub leader: LeaderKey,
}

gateway::decode!(CampaignResponse {
    "header" => header,
    "leader" => leader,
});

/// Changes the value that a leader proclaims: `POST /v3/election/proclaim`. Answers the header.
///
/// # Errors
/// [`NotElectionLeader`](crate::EtcdErrorKind::NotElectionLeader) when somebody else leads by now, or nobody.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use = "an operation does nothing before `Client::send`"]
pub struct Proclaim {
    pub(super) leader: LeaderKey,
    value: Bytes,
}

impl Proclaim {
    /// The leader, and its new value.
    pub fn new(leader: LeaderKey, value: impl Into<Vec<u8>>) -> Self {
        Self {
            leader,
            value: value.into().into(),
        }
    }
}

impl Encode for Proclaim {
    fn check(&self, operation: &'static str) -> Result<()> {
        check_name(operation, &self.leader.key)
    }

    fn fields(&self, to: &mut Fields<'_>) {
        to.put("leader", &self.leader).put("value", &self.value);
    }

    fn payload(&self) -> usize {
        self.value.len()
    }
}

gateway::operation!(
    Proclaim => Header, in OnlyHeader,
    "v3.election.proclaim",
    "/v3/election/proclaim",
    |_| Repeat::IfUnsent
);

/// Asks who leads an election: `POST /v3/election/leader`. `None` when nobody does.
///
/// The key of the answer stands for leading, its value is what the leader proclaims.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use = "an operation does nothing before `Client::send`"]
pub struct GetLeader {
    pub(super) name: Bytes,
}

impl GetLeader {
    /// Asks for the leader of this election.
    pub fn new(name: impl Into<Vec<u8>>) -> Self {
        Self {
            name: name.into().into(),
        }
    }
}

impl Encode for GetLeader {
    fn check(&self, operation: &'static str) -> Result<()> {
        check_name(operation, &self.name)
    }

    fn fields(&self, to: &mut Fields<'_>) {
        to.put("name", &self.name);
    }
}

impl Sealed for GetLeader {}

impl Operation for GetLeader {
    type Output = Option<KeyValue>;
    const NAME: &'static str = "v3.election.leader";

    fn encode(&self) -> Result<Call> {
        gateway::call(Self::NAME, "/v3/election/leader", Repeat::Always, self)
    }

    fn decode(&self, reply: Reply) -> Result<Option<KeyValue>> {
        match gateway::answer::<Leader>(reply) {
            Ok(Leader { kv }) => Ok(kv),
            Err(error) if error.etcd_kind() == Some(EtcdErrorKind::ElectionWithoutLeader) => {
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }
}

/// Who leads, as etcd answers and, in a stream, tells.
#[derive(Default)]
pub(crate) struct Leader {
    pub(crate) kv: Option<KeyValue>,
}

gateway::decode!(Leader { "kv" => kv });

/// Gives the leadership, or a candidacy, up: `POST /v3/election/resign`. Answers the header.
///
/// Does nothing where it is lost already.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use = "an operation does nothing before `Client::send`"]
pub struct Resign {
    pub(super) leader: LeaderKey,
}

impl Resign {
    /// The leader that resigns.
    pub fn new(leader: LeaderKey) -> Self {
        Self { leader }
    }
}

impl Encode for Resign {
    fn check(&self, operation: &'static str) -> Result<()> {
        check_name(operation, &self.leader.key)
    }

    fn fields(&self, to: &mut Fields<'_>) {
        to.put("leader", &self.leader);
    }
}

gateway::operation!(
    Resign => Header, in OnlyHeader,
    "v3.election.resign",
    "/v3/election/resign",
    |_| Repeat::Always
);

pub(super) fn check_name(operation: &'static str, name: &[u8]) -> Result<()> {
    if name.is_empty() {
        return Err(Error::invalid(operation, "an election needs a name"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::v3::testing::{body, decoded};

    fn leader() -> LeaderKey {
        LeaderKey {
            name: "e".into(),
            key: "e/7".into(),
            rev: 4,
            lease: 7.into(),
        }
    }

    #[test]
    fn the_requests_are_as_documented() {
        let campaign = Campaign::new("e", 7, "v");
        let call = campaign.encode().unwrap();
        assert_eq!(
            (call.target(), call.repeat()),
            ("/v3/election/campaign", Repeat::IfUnsent)
        );
        assert_eq!(call.deadline, Deadline::Unlimited);
        assert_eq!(
            body(&campaign),
            r#"{"name":"ZQ==","lease":"7","value":"dg=="}"#
        );
        let call = Proclaim::new(leader(), "w").encode().unwrap();
        assert_eq!(
            (call.target(), call.repeat()),
            ("/v3/election/proclaim", Repeat::IfUnsent)
        );
        assert_eq!(
            call.body_bytes(),
            br#"{"leader":{"name":"ZQ==","key":"ZS83","rev":"4","lease":"7"},"value":"dw=="}"#
        );
        let call = GetLeader::new("e").encode().unwrap();
        assert_eq!(
            (call.target(), call.repeat()),
            ("/v3/election/leader", Repeat::Always)
        );
        assert_eq!(call.body_bytes(), br#"{"name":"ZQ=="}"#);
        let call = Resign::new(leader()).encode().unwrap();
        assert_eq!(
            (call.target(), call.repeat()),
            ("/v3/election/resign", Repeat::Always)
        );
        assert_eq!(
            call.body_bytes(),
            br#"{"leader":{"name":"ZQ==","key":"ZS83","rev":"4","lease":"7"}}"#
        );
    }

    #[test]
    fn answers_are_read() {
        let json = r#"{"header":{"revision":"4"}, "leader":{"name":"ZQ==", "key":"ZS83", "rev":"4", "lease":"7"}}"#;
        let won = decoded(&Campaign::new("e", 7, "v"), 200, json).unwrap();
        assert_eq!(won.leader, leader());
        let json = r#"{"header":{"revision":"4"},"kv":{"key":"ZS83","create_revision":"4","mod_revision":"4","version":"1","value":"dg==","lease":"7"}}"#;
        let kv = decoded(&GetLeader::new("e"), 200, json).unwrap().unwrap();
        assert_eq!(kv.value, "v");
    }

    #[test]
    fn v3_105_nobody_leading_is_an_answer_and_a_lost_leadership_an_error() {
        let none = r#"{"error":"election: no leader","message":"election: no leader","code":2}"#;
        assert_eq!(decoded(&GetLeader::new("e"), 500, none).unwrap(), None);
        let lost = r#"{"code":2, "message":"election: not leader"}"#;
        let error = decoded(&Proclaim::new(leader(), "w"), 500, lost).unwrap_err();
        assert_eq!(error.etcd_kind(), Some(EtcdErrorKind::NotElectionLeader));
    }
}
