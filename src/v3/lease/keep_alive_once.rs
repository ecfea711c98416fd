use std::time::Duration;

use crate::{
    endpoints::wire::Wire,
    error::{Error, Result},
    operation::Operation,
    pipeline::{
        answer::Answer,
        call::{Call, Repeat},
        exchange::{Encoded, Exchange, TypedExchange},
    },
    v3::{
        Header, LeaseId,
        protocol::{
            self,
            message::{self, Encode, Fields},
            method,
        },
        stream::message_stream::StreamMessage,
    },
};

/// Renews one or several leases in one request: `POST /v3/lease/keepalive`.
///
/// Returns a [`KeepAliveResponse`] for each, in order. A lease that does not exist is not an error. The server restarts
/// the time to live between the request and the response: count from the request.
///
/// A request renews at most [`MAX_LEASES`](Self::MAX_LEASES);
/// [`keep_all_alive_once`](crate::v3::Leases::keep_all_alive_once) sends as many requests as it needs.
#[doc(alias = "keepalive")]
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use = "an operation does nothing before `Client::send`"]
pub struct KeepAliveOnce {
    ids: Vec<LeaseId>,
}

impl KeepAliveOnce {
    /// The most leases in one request: the server reads and responds in turn, one lease after the other, and an HTTP/1
    /// server may discard what it has not read of a long request when it begins to respond.
    pub const MAX_LEASES: usize = 512;

    /// Renews this lease.
    pub fn new(id: impl Into<LeaseId>) -> Self {
        Self::all([id])
    }

    /// Renews these leases: at least one, and at most [`MAX_LEASES`](Self::MAX_LEASES).
    pub fn all<I: Into<LeaseId>>(ids: impl IntoIterator<Item = I>) -> Self {
        Self {
            ids: ids.into_iter().map(Into::into).collect(),
        }
    }
}

/// The response to the renewal of a lease.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct KeepAliveResponse {
    /// The header of the response.
    pub header: Header,
    /// The lease.
    pub id: LeaseId,
    /// The time to live; `None` if the lease expired, was revoked, or never existed.
    pub ttl: Option<Duration>,
}

impl KeepAliveResponse {
    /// A lease with this time to live; `None` if it is gone. For your own tests.
    pub fn new(id: impl Into<LeaseId>, ttl: Option<Duration>) -> Self {
        Self {
            header: Header::default(),
            id: id.into(),
            ttl,
        }
    }
}

/// The request for one renewal.
pub(crate) struct Renewal(pub(crate) LeaseId);

impl Encode for Renewal {
    fn fields<F: Fields>(&self, to: &mut F) {
        to.put(1, "ID", &self.0);
    }
}

/// The response to one renewal.
#[derive(Default)]
pub(crate) struct Renewed {
    header: Header,
    id: LeaseId,
    ttl: i64,
}

message::decode!(Renewed {
    1 "header" => header,
    2 "ID" => id,
    3 "TTL" => ttl,
});

impl StreamMessage for Renewed {
    fn header(&self) -> Header {
        self.header
    }
}

impl From<Renewed> for KeepAliveResponse {
    fn from(answer: Renewed) -> Self {
        let seconds = u64::try_from(answer.ttl).ok().filter(|ttl| *ttl > 0);
        Self {
            header: answer.header,
            id: answer.id,
            ttl: seconds.map(Duration::from_secs),
        }
    }
}

impl Operation for KeepAliveOnce {
    type Output = Vec<KeepAliveResponse>;
    const NAME: &'static str = "v3.lease.keep_alive_once";
}

impl Exchange for KeepAliveOnce {
    fn call(&self) -> Call {
        protocol::call(Self::NAME, method::LEASE_KEEP_ALIVE, Repeat::Always)
    }

    fn encode(&self, wire: Wire) -> Result<Encoded> {
        if self.ids.is_empty() {
            return Err(Error::invalid(Self::NAME, "at least one lease is required"));
        }
        let (count, max) = (self.ids.len(), Self::MAX_LEASES);
        if count > max {
            let what = format!("{count} leases, and one request renews {max} at most");
            return Err(Error::invalid(Self::NAME, what));
        }
        let renewals: Vec<_> = self.ids.iter().copied().map(Renewal).collect();
        Ok(protocol::encode_all(
            method::LEASE_KEEP_ALIVE,
            wire,
            &renewals,
        ))
    }
}

impl TypedExchange for KeepAliveOnce {
    type Decoded = Vec<KeepAliveResponse>;

    fn decode(&self, answer: Box<Answer>) -> Result<Vec<KeepAliveResponse>> {
        let answers = protocol::answers::<Renewed>(answer, self.ids.len())?;
        Ok(answers.into_iter().map(Into::into).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::v3::testing::{AsRequest, body, decoded};

    #[test]
    fn the_request_is_as_documented() {
        let call = KeepAliveOnce::new(7).request().unwrap();
        assert_eq!(
            (call.target(), call.repeat()),
            ("/v3/lease/keepalive", Repeat::Always)
        );
        assert_eq!(body(&KeepAliveOnce::new(7)), r#"{"ID":"7"}"#);
        assert_eq!(
            body(&KeepAliveOnce::all([7, -8])),
            r#"{"ID":"7"}{"ID":"-8"}"#
        );
        let none = KeepAliveOnce::all([] as [i64; 0]).request().unwrap_err();
        assert_eq!(
            none.to_string(),
            "v3.lease.keep_alive_once: at least one lease is required"
        );
        assert!(KeepAliveOnce::all(1..=512).request().is_ok());
        let many = KeepAliveOnce::all(1..=513).request().unwrap_err();
        assert_eq!(
            many.to_string(),
            "v3.lease.keep_alive_once: 513 leases, and one request renews 512 at most"
        );
    }

    #[test]
    fn v3_94_a_lease_without_a_time_to_live_is_gone() {
        let json = concat!(
            r#"{"result":{"header":{"cluster_id":"7","revision":"2"},"ID":"7","TTL":"100"}}"#,
            "\n",
            r#"{"result":{"header":{"cluster_id":"7","revision":"2"}, "ID":"8"}}"#,
            "\n"
        );
        let both = decoded(&KeepAliveOnce::all([7, 8]), 200, json).unwrap();
        assert_eq!(
            (both[0].id.get(), both[0].ttl),
            (7, Some(Duration::from_secs(100)))
        );
        assert_eq!((both[1].id.get(), both[1].ttl), (8, None));
    }

    #[test]
    fn a_response_that_ends_early_or_in_an_error_is_an_error() {
        let one = r#"{"result":{"ID":"7","TTL":"100"}}"#;
        let error = decoded(&KeepAliveOnce::all([7, 8]), 200, one).unwrap_err();
        assert_eq!(
            error.to_string(),
            format!(
                "v3.lease.keep_alive_once at http://127.0.0.1:2379: 1 responses to 2 requests: {one:?}"
            )
        );
        let lost = format!(
            "{one}\n{}",
            r#"{"error":{"grpc_code":14,"http_code":503,"message":"etcdserver: no leader","http_status":"Service Unavailable"}}"#
        );
        let error = decoded(&KeepAliveOnce::all([7, 8]), 200, &lost).unwrap_err();
        assert!(error.is_no_leader(), "{error}");
    }

    #[test]
    fn the_messages_are_those_of_etcd() {
        use crate::v3::testing::schema::{Requests, response};

        Requests::of("etcdserverpb.LeaseKeepAliveRequest")
            .send(&Renewal(7.into()))
            .all_fields_but(&[]);
        response::<Renewed>("etcdserverpb.LeaseKeepAliveResponse", &[]);
    }
}
