//! Elections, held by the server.

mod observe;

use std::time::Duration;

use bytes::Bytes;

use crate::{
    endpoints::wire::Wire,
    error::{Error, EtcdErrorKind, Result},
    operation::Operation,
    pipeline::deadline::Deadline,
    pipeline::{
        answer::Answer,
        call::{Call, Repeat},
        exchange::{Encoded, Exchange, TypedExchange},
    },
    v3::{
        Compare, Header, Key, KeyValue, LeaseId, Value,
        lease::{
            acquired::{Created, confirmation},
            waiting::{SILENCE_LIMIT, probe},
        },
        protocol::{
            self,
            message::{self, Encode, Fields},
            method,
        },
        stream::silence::check_limit,
    },
};

pub use observe::Observe;

/// The leader of an election, as [`Proclaim`] and [`Resign`] need it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct LeaderKey {
    /// The name of the election.
    pub name: Bytes,
    /// The leader's key: the name, `/`, and the lease in hexadecimal. In a leader's transactions, compare
    /// [`still_leads`](Self::still_leads): that the key exists is not enough, as a later candidacy with the same lease has the
    /// same key.
    pub key: Bytes,
    /// The revision that created the key.
    pub rev: i64,
    /// The leader's lease.
    pub lease: LeaseId,
}

impl LeaderKey {
    /// The leader of an election, from stored parts.
    pub fn new(
        name: impl Into<Key>,
        key: impl Into<Key>,
        rev: i64,
        lease: impl Into<LeaseId>,
    ) -> Self {
        Self {
            name: name.into().into_bytes(),
            key: key.into().into_bytes(),
            rev,
            lease: lease.into(),
        }
    }

    /// Returns the comparison that holds while this leader leads: its key has the create revision [`rev`](Self::rev). A
    /// transaction with it writes only as this leader, however long the request was on its way.
    ///
    /// ```
    /// # use etcd_http::{Client, Error, transport::Transport};
    /// use etcd_http::v3::{LeaderKey, Put, Txn};
    ///
    /// # async fn example<T: Transport>(client: &Client<T>, leader: &LeaderKey) -> Result<(), Error> {
    /// let plan = Txn::new().when(leader.still_leads()).then(Put::new("plan", "7"));
    /// if !client.send(plan).await?.succeeded {
    ///     println!("another process leads");
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub fn still_leads(&self) -> Compare {
        Compare::create_revision(&self.key).equal(self.rev)
    }
}

message::message!(LeaderKey {
    1 "name" => name,
    2 "key" => key,
    3 "rev" => rev,
    4 "lease" => lease,
});

/// Waits to be elected and leads for as long as the lease lives: `POST /v3/election/campaign`.
///
/// Waits forever without a [`time_limit`](Self::time_limit). Dropping the future withdraws the candidacy; while etcd's authentication
/// is enabled, the server may not delete the key, which blocks those behind it until its lease ends: revoke the lease. A leader that
/// campaigns again with the same lease proclaims its value. After a dropped future or a lost connection, use **another
/// lease** and revoke the first one: the first server deletes the key as soon as it notices, possibly after another
/// server has reported the leader. For the same reason the request is retried only if it definitely did not reach the
/// server.
///
/// Each success costs one more request: a linearizable read of the candidate's key, since etcd reports a candidate as
/// elected although its key was deleted during the wait, such as with its lease. Dropping the future during that read
/// withdraws nothing: revoke the lease.
///
/// # Errors
/// [`is_lease_not_found`](crate::Error::is_lease_not_found), also if the lease expires while waiting;
/// [`RequestTimedOut`](crate::EtcdErrorKind::RequestTimedOut) after the time limit; a lost member, see
/// [`silence_limit`](Self::silence_limit). If the key cannot be read after a success, or was deleted although the lease
/// is alive, the [outcome](crate::Error::outcome) is unknown.
#[doc(alias = "leader election")]
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use = "an operation does nothing before `Client::send`"]
pub struct Campaign {
    pub(super) name: Bytes,
    lease: LeaseId,
    value: Bytes,
    deadline: Deadline,
    silence: Duration,
}

impl Campaign {
    /// A candidate for this election, with its lease and the value to proclaim.
    ///
    /// With [`LeaseId::NONE`], the server grants a lease of 60 s, which is not kept alive.
    pub fn new(name: impl Into<Key>, lease: impl Into<LeaseId>, value: impl Into<Value>) -> Self {
        Self {
            name: name.into().into_bytes(),
            lease: lease.into(),
            value: value.into().into_bytes(),
            deadline: Deadline::Unlimited,
            silence: SILENCE_LIMIT,
        }
    }

    /// Sets how long to wait. Defaults to forever: neither [`ClientBuilder::timeout`](crate::ClientBuilder::timeout), nor
    /// [`Client::with_timeout`](crate::Client::with_timeout), nor [`RetryPolicy::overall`](crate::RetryPolicy::overall)
    /// limits a wait. The request tells the server the limit, and it ends the wait; if it does not, the client gives up two seconds later.
    pub fn time_limit(mut self, limit: Duration) -> Self {
        self.deadline = Deadline::AtMost(limit);
        self
    }

    /// Sets how long the member may be silent before it is asked whether it, the lease and the candidate's key are alive, and
    /// between two such probes. Defaults to 10 s. Zero is refused.
    ///
    /// If the member does not respond, another endpoint is asked every second for the candidate's key: the wait goes on for
    /// as long as there are keys before it, since the member may return. If there is no other endpoint, or none before it any
    /// more and the member still does not respond, the wait ends with an error whose [outcome](crate::Error::outcome) is
    /// unknown: the election may be won, but the member withdraws the candidate when it returns and finds the request gone.
    /// Revoke the lease, and begin again with another one.
    pub fn silence_limit(mut self, limit: Duration) -> Self {
        self.silence = limit;
        self
    }
}

impl Encode for Campaign {
    fn check(&self, operation: &'static str) -> Result<()> {
        check_name(operation, &self.name)?;
        check_limit(operation, self.silence)
    }

    fn fields<F: Fields>(&self, to: &mut F) {
        to.put(1, "name", &self.name)
            .put(2, "lease", &self.lease)
            .put(3, "value", &self.value);
    }

    fn lease(&self) -> i64 {
        self.lease.get()
    }

    fn deadline(&self) -> Deadline {
        self.deadline
    }
}

crate::v3::protocol::operation!(
    Campaign => CampaignResponse,
    "v3.election.campaign",
    CAMPAIGN, IfUnsent,
    probed by |campaign| probe(Campaign::NAME, &campaign.name, campaign.lease, campaign.silence),
    confirmed by |_, won| {
        let LeaderKey { key, rev, lease, .. } = won.leader;
        confirmation(Campaign::NAME, key, Created::At(rev), lease)
    }
);

/// The response to a [`Campaign`]: the election is won.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct CampaignResponse {
    /// The header of the response.
    pub header: Header,
    /// The leader.
    pub leader: LeaderKey,
}

impl CampaignResponse {
    /// An election that this leader has won. For your own tests.
    pub fn new(leader: LeaderKey) -> Self {
        Self {
            header: Header::default(),
            leader,
        }
    }
}

message::decode!(CampaignResponse {
    1 "header" => header,
    2 "leader" => leader,
} demands leader.key and leader.rev);

/// Changes the value that a leader proclaims: `POST /v3/election/proclaim`. Returns the header.
///
/// # Errors
/// [`NotElectionLeader`](crate::EtcdErrorKind::NotElectionLeader) if leadership was lost.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use = "an operation does nothing before `Client::send`"]
pub struct Proclaim {
    pub(super) leader: LeaderKey,
    value: Bytes,
}

impl Proclaim {
    /// The leader and its new value.
    pub fn new(leader: LeaderKey, value: impl Into<Value>) -> Self {
        Self {
            leader,
            value: value.into().into_bytes(),
        }
    }
}

impl Encode for Proclaim {
    fn check(&self, operation: &'static str) -> Result<()> {
        check_name(operation, &self.leader.key)
    }

    fn fields<F: Fields>(&self, to: &mut F) {
        to.put(1, "leader", &self.leader)
            .put(2, "value", &self.value);
    }
}

crate::v3::protocol::operation!(Proclaim => Header, "v3.election.proclaim", PROCLAIM, IfUnsent);

/// Returns the leader of an election, or `None`: `POST /v3/election/leader`.
///
/// The result is the leader's key, whose value is what the leader proclaims.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use = "an operation does nothing before `Client::send`"]
pub struct GetLeader {
    pub(super) name: Bytes,
}

impl GetLeader {
    /// Requests the leader of this election.
    pub fn new(name: impl Into<Key>) -> Self {
        Self {
            name: name.into().into_bytes(),
        }
    }
}

impl Encode for GetLeader {
    fn check(&self, operation: &'static str) -> Result<()> {
        check_name(operation, &self.name)
    }

    fn fields<F: Fields>(&self, to: &mut F) {
        to.put(1, "name", &self.name);
    }
}

impl Operation for GetLeader {
    type Output = Option<KeyValue>;
    const NAME: &'static str = "v3.election.leader";
}

impl Exchange for GetLeader {
    fn call(&self) -> Call {
        protocol::call(Self::NAME, method::LEADER, Repeat::Always)
    }

    fn encode(&self, wire: Wire) -> Result<Encoded> {
        protocol::encode(Self::NAME, method::LEADER, wire, self)
    }
}

impl TypedExchange for GetLeader {
    type Decoded = Option<KeyValue>;

    fn decode(&self, answer: Box<Answer>) -> Result<Option<KeyValue>> {
        match protocol::answer::<Leader>(answer) {
            Ok(Leader { kv }) => Ok(kv),
            Err(error) if error.etcd_kind() == Some(EtcdErrorKind::ElectionWithoutLeader) => {
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }
}

/// The leader, as a response or a message of a stream.
#[derive(Default)]
pub(crate) struct Leader {
    pub(crate) kv: Option<KeyValue>,
}

message::decode!(Leader { 2 "kv" => kv });

/// Gives up leadership or withdraws a candidacy: `POST /v3/election/resign`. Returns the header.
///
/// Does nothing if it was lost already.
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

    fn fields<F: Fields>(&self, to: &mut F) {
        to.put(1, "leader", &self.leader);
    }
}

crate::v3::protocol::operation!(Resign => Header, "v3.election.resign", RESIGN, Always);

pub(super) fn check_name(operation: &'static str, name: &[u8]) -> Result<()> {
    if name.is_empty() {
        return Err(Error::invalid(operation, "an election requires a name"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::v3::testing::{AsRequest, body, decoded, leader};

    #[test]
    fn the_requests_are_as_documented() {
        let campaign = Campaign::new("e", 7, "v");
        let call = campaign.request().unwrap();
        assert_eq!(
            (call.target(), call.repeat()),
            ("/v3/election/campaign", Repeat::IfUnsent)
        );
        assert_eq!(call.deadline(), Deadline::Unlimited);
        assert_eq!(
            body(&campaign),
            r#"{"name":"ZQ==","lease":"7","value":"dg=="}"#
        );
        let call = Proclaim::new(leader(), "w").request().unwrap();
        assert_eq!(
            (call.target(), call.repeat()),
            ("/v3/election/proclaim", Repeat::IfUnsent)
        );
        assert_eq!(
            call.body_bytes(),
            br#"{"leader":{"name":"ZQ==","key":"ZS83","rev":"4","lease":"7"},"value":"dw=="}"#
        );
        let call = GetLeader::new("e").request().unwrap();
        assert_eq!(
            (call.target(), call.repeat()),
            ("/v3/election/leader", Repeat::Always)
        );
        assert_eq!(call.body_bytes(), br#"{"name":"ZQ=="}"#);
        let call = Resign::new(leader()).request().unwrap();
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
    fn responses_are_read() {
        let json = r#"{"header":{"cluster_id":"7","revision":"4"}, "leader":{"name":"ZQ==", "key":"ZS83", "rev":"4", "lease":"7"}}"#;
        let won = decoded(&Campaign::new("e", 7, "v"), 200, json).unwrap();
        assert_eq!(won.leader, leader());
        let json = r#"{"header":{"cluster_id":"7","revision":"4"},"kv":{"key":"ZS83","create_revision":"4","mod_revision":"4","version":"1","value":"dg==","lease":"7"}}"#;
        let kv = decoded(&GetLeader::new("e"), 200, json).unwrap().unwrap();
        assert_eq!(kv.value, "v");
    }

    #[test]
    fn v3_105_having_no_leader_is_a_result_and_a_lost_leadership_an_error() {
        let none = r#"{"error":"election: no leader","message":"election: no leader","code":2}"#;
        assert_eq!(decoded(&GetLeader::new("e"), 500, none).unwrap(), None);
        let lost = r#"{"code":2, "message":"election: not leader"}"#;
        let error = decoded(&Proclaim::new(leader(), "w"), 500, lost).unwrap_err();
        assert_eq!(error.etcd_kind(), Some(EtcdErrorKind::NotElectionLeader));
    }

    #[test]
    fn the_messages_are_those_of_etcd() {
        use crate::v3::testing::schema::{Requests, response};

        let leader = LeaderKey {
            name: "e".into(),
            key: "e/7".into(),
            rev: 4,
            lease: 7.into(),
        };
        Requests::of("v3electionpb.CampaignRequest")
            .send(&Campaign::new("e", 7, "v"))
            .all_fields_but(&[]);
        Requests::of("v3electionpb.ProclaimRequest")
            .send(&Proclaim::new(leader.clone(), "v"))
            .all_fields_but(&[]);
        Requests::of("v3electionpb.LeaderRequest")
            .send(&GetLeader::new("e"))
            .send(&Observe::new("e"))
            .all_fields_but(&[]);
        Requests::of("v3electionpb.ResignRequest")
            .send(&Resign::new(leader))
            .all_fields_but(&[]);
        response::<LeaderKey>("v3electionpb.LeaderKey", &[]);
        response::<CampaignResponse>("v3electionpb.CampaignResponse", &[]);
        response::<Leader>("v3electionpb.LeaderResponse", &["header"]);
    }
}
