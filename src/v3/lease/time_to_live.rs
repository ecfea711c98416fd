use std::time::Duration;

use bytes::Bytes;

use crate::{
    operation::Repeat,
    v3::{
        Header, LeaseId,
        protocol::gateway::{self, Encode, Fields},
    },
};

/// How long a lease has still to live, and which keys it has: `POST /v3/lease/timetolive`. `None` when there is no such
/// lease.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use = "an operation does nothing before `Client::send`"]
pub struct GetTimeToLive {
    id: LeaseId,
    keys: bool,
}

impl GetTimeToLive {
    /// Asks for this lease.
    pub fn new(id: impl Into<LeaseId>) -> Self {
        Self {
            id: id.into(),
            keys: false,
        }
    }

    /// And for its keys.
    pub fn keys(mut self, keys: bool) -> Self {
        self.keys = keys;
        self
    }
}

impl Encode for GetTimeToLive {
    fn fields(&self, to: &mut Fields<'_>) {
        to.put("ID", &self.id).put("keys", &self.keys);
    }
}

gateway::operation!(
    GetTimeToLive => Option<LeaseStatus>, in Answer,
    "v3.lease.time_to_live",
    "/v3/lease/timetolive",
    |_| Repeat::Always
);

/// What a [`GetTimeToLive`] found.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct LeaseStatus {
    /// Who answered.
    pub header: Header,
    /// The lease.
    pub id: LeaseId,
    /// What is left of it, in whole seconds, rounded down.
    pub ttl: Duration,
    /// What each keeping alive sets it to.
    pub granted_ttl: Duration,
    /// Its keys, in no order, where they were asked for.
    pub keys: Vec<Bytes>,
}

#[derive(Default)]
struct Answer {
    header: Header,
    id: LeaseId,
    ttl: i64,
    granted_ttl: i64,
    keys: Vec<Bytes>,
}

gateway::decode!(Answer {
    "header" => header,
    "ID" => id,
    "TTL" => ttl,
    "grantedTTL" => granted_ttl,
    "keys" => keys,
});

impl From<Answer> for Option<LeaseStatus> {
    fn from(answer: Answer) -> Self {
        // A lease that is not there has a time to live of -1.
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
    use crate::{
        operation::Operation,
        v3::testing::{body, decoded},
    };

    #[test]
    fn the_request_is_as_documented() {
        let call = GetTimeToLive::new(7).encode().unwrap();
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
    fn answers_are_read() {
        let json = r#"{"header":{"revision":"2"}, "ID":"7", "TTL":"99", "grantedTTL":"100", "keys":["YQ==","Yg=="]}"#;
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
        let json = r#"{"header":{"revision":"2"},"ID":"8","TTL":"-1"}"#;
        assert_eq!(decoded(&GetTimeToLive::new(8), 200, json).unwrap(), None);
    }
}
