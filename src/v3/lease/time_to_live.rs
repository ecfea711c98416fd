use std::time::Duration;

use bytes::Bytes;

use crate::{
    pipeline::answer::{Answer as Response, Verdict},
    v3::{
        Header, LeaseId,
        protocol::{
            self,
            message::{self, Encode, Fields},
        },
    },
};

/// Returns the remaining time of a lease and its keys, or `None` if it does not exist: `POST /v3/lease/timetolive`.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use = "an operation does nothing before `Client::send`"]
pub struct GetTimeToLive {
    id: LeaseId,
    keys: bool,
}

impl GetTimeToLive {
    /// Asks about this lease.
    pub fn new(id: impl Into<LeaseId>) -> Self {
        Self {
            id: id.into(),
            keys: false,
        }
    }

    /// Also returns the keys of the lease.
    pub fn keys(mut self, keys: bool) -> Self {
        self.keys = keys;
        self
    }
}

impl Encode for GetTimeToLive {
    fn fields<F: Fields>(&self, to: &mut F) {
        to.put(1, "ID", &self.id).put(2, "keys", &self.keys);
    }
}

crate::v3::protocol::operation!(
    GetTimeToLive => Option<LeaseStatus>, in Answer,
    "v3.lease.time_to_live",
    LEASE_TIME_TO_LIVE, Always
);

/// The response to a [`GetTimeToLive`].
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct LeaseStatus {
    /// The header of the response.
    pub header: Header,
    /// The lease.
    pub id: LeaseId,
    /// The remaining time, rounded down to whole seconds.
    pub ttl: Duration,
    /// The time to live that each renewal restores.
    pub granted_ttl: Duration,
    /// The keys, in no particular order, if they were requested.
    pub keys: Vec<Bytes>,
}

impl LeaseStatus {
    /// A lease without keys. For your own tests.
    pub fn new(id: impl Into<LeaseId>, ttl: Duration, granted_ttl: Duration) -> Self {
        Self {
            header: Header::default(),
            id: id.into(),
            ttl,
            granted_ttl,
            keys: Vec::new(),
        }
    }
}

#[derive(Default)]
struct Answer {
    header: Header,
    id: LeaseId,
    ttl: i64,
    granted_ttl: i64,
    keys: Vec<Bytes>,
}

message::decode!(Answer {
    1 "header" => header,
    2 "ID" => id,
    3 "TTL" => ttl,
    4 "grantedTTL" => granted_ttl,
    5 "keys" => keys,
});

/// Whether a response says that there is no such lease.
pub(super) fn is_gone(answer: &Response) -> bool {
    protocol::decode::<Answer>(answer).is_ok_and(|answer| answer.ttl < 0)
}

/// Whether the lease has this key, if a response says so.
pub(super) fn has_key(answer: &Response, key: &Bytes) -> Option<bool> {
    if !matches!(answer.verdict, Verdict::Success { .. }) {
        return None;
    }
    let answer = protocol::decode::<Answer>(answer).ok()?;
    Some(answer.keys.contains(key))
}

impl From<Answer> for Option<LeaseStatus> {
    fn from(answer: Answer) -> Self {
        // A lease that does not exist has a time to live of -1.
        Some(LeaseStatus {
            header: answer.header,
            id: answer.id,
            ttl: Duration::from_secs(answer.ttl.try_into().ok()?),
            granted_ttl: Duration::from_secs(answer.granted_ttl.try_into().ok()?),
            keys: answer.keys,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::v3::testing::{AsRequest, Repeat, body, decoded};

    #[test]
    fn the_request_is_as_documented() {
        let call = GetTimeToLive::new(7).request().unwrap();
        assert_eq!(
            (call.target(), call.repeat()),
            ("/v3/lease/timetolive", Repeat::Always)
        );
        assert_eq!(
            body(&GetTimeToLive::new(7).keys(true)),
            r#"{"ID":"7","keys":true}"#
        );
    }

    #[test]
    fn responses_are_read() {
        let json = r#"{"header":{"cluster_id":"7","revision":"2"}, "ID":"7", "TTL":"99", "grantedTTL":"100", "keys":["YQ==","Yg=="]}"#;
        let lease = decoded(&GetTimeToLive::new(7), 200, json).unwrap().unwrap();
        assert_eq!(
            (lease.ttl.as_secs(), lease.granted_ttl.as_secs()),
            (99, 100)
        );
        assert_eq!(lease.keys, ["a", "b"]);
        let last_second = r#"{"ID":"7","grantedTTL":"100"}"#;
        let lease = decoded(&GetTimeToLive::new(7), 200, last_second)
            .unwrap()
            .unwrap();
        assert_eq!(lease.ttl, Duration::ZERO);
    }

    #[test]
    fn v3_96_a_lease_that_is_not_there_is_none() {
        let json = r#"{"header":{"cluster_id":"7","revision":"2"},"ID":"8","TTL":"-1"}"#;
        assert_eq!(decoded(&GetTimeToLive::new(8), 200, json).unwrap(), None);
    }

    #[test]
    fn the_messages_are_those_of_etcd() {
        use crate::v3::testing::schema::{Requests, response};

        Requests::of("etcdserverpb.LeaseTimeToLiveRequest")
            .send(&GetTimeToLive::new(7).keys(true))
            .all_fields_but(&[]);
        response::<Answer>("etcdserverpb.LeaseTimeToLiveResponse", &[]);
    }
}
