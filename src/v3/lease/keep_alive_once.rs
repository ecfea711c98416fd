use std::time::Duration;

use crate::{
    error::{Error, Result},
    operation::{Call, Operation, Repeat, Reply, sealed::Sealed},
    v3::{
        Header, LeaseId,
        protocol::gateway::{self, Encode, Fields},
    },
};

/// Renews one lease, or several in one request: `POST /v3/lease/keepalive`.
///
/// Answers one [`KeepAliveResponse`] for each, in their order: a lease that is gone is an answer, not an error. A lease lives for
/// its time to live from a moment between the sending of this request and its answer: count from the sending.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use = "an operation does nothing before `Client::send`"]
pub struct KeepAliveOnce {
    ids: Vec<LeaseId>,
}

impl KeepAliveOnce {
    /// Renews this lease.
    pub fn new(id: impl Into<LeaseId>) -> Self {
        Self::all([id])
    }

    /// Renews these leases.
    pub fn all<I: Into<LeaseId>>(ids: impl IntoIterator<Item = I>) -> Self {
        Self {
            ids: ids.into_iter().map(Into::into).collect(),
        }
    }
}

/// What became of a lease that was to be kept alive.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct KeepAliveResponse {
    /// Who answered.
    pub header: Header,
    /// The lease.
    pub id: LeaseId,
    /// How long it lives now; `None` when it is gone: it expired, was revoked, or never was.
    pub ttl: Option<Duration>,
}

/// One renewal, as it is written.
pub(crate) struct Renewal(pub(crate) LeaseId);

impl Encode for Renewal {
    fn fields(&self, to: &mut Fields<'_>) {
        to.put("ID", &self.0);
    }
}

/// The answer to one renewal, as it is read.
#[derive(Default)]
pub(crate) struct Renewed {
    header: Header,
    id: LeaseId,
    ttl: i64,
}

gateway::decode!(Renewed {
    "header" => header,
    "ID" => id,
    "TTL" => ttl,
});

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

impl Sealed for KeepAliveOnce {}

impl Operation for KeepAliveOnce {
    type Output = Vec<KeepAliveResponse>;
    const NAME: &'static str = "v3.lease.keep_alive_once";

    fn encode(&self) -> Result<Call> {
        if self.ids.is_empty() {
            return Err(Error::invalid(
                Self::NAME,
                "there is no lease to keep alive",
            ));
        }
        let body: String = self
            .ids
            .iter()
            .map(|id| gateway::to_json(&Renewal(*id)))
            .collect();
        let call = gateway::post(Self::NAME, "/v3/lease/keepalive", Repeat::Always, body)?;
        Ok(call.sequence(self.ids.len() > 1))
    }

    fn decode(&self, reply: Reply) -> Result<Vec<KeepAliveResponse>> {
        let answers = gateway::results::<Renewed>(reply, self.ids.len())?;
        Ok(answers.into_iter().map(Into::into).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::v3::testing::{body, decoded};

    #[test]
    fn the_request_is_as_documented() {
        let call = KeepAliveOnce::new(7).encode().unwrap();
        assert_eq!(
            (call.target(), call.repeat()),
            ("/v3/lease/keepalive", Repeat::Always)
        );
        assert_eq!(body(&KeepAliveOnce::new(7)), r#"{"ID":"7"}"#);
        assert_eq!(
            body(&KeepAliveOnce::all([7, -8])),
            r#"{"ID":"7"}{"ID":"-8"}"#
        );
        let none = KeepAliveOnce::all([] as [i64; 0]).encode().unwrap_err();
        assert_eq!(
            none.to_string(),
            "v3.lease.keep_alive_once: there is no lease to keep alive"
        );
    }

    #[test]
    fn v3_94_a_lease_without_a_time_to_live_is_gone() {
        let json = concat!(
            r#"{"result":{"header":{"revision":"2"},"ID":"7","TTL":"100"}}"#,
            "\n",
            r#"{"result":{"header":{"revision":"2"}, "ID":"8"}}"#,
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
    fn an_answer_that_ends_early_or_in_an_error_is_an_error() {
        let one = r#"{"result":{"ID":"7","TTL":"100"}}"#;
        let error = decoded(&KeepAliveOnce::all([7, 8]), 200, one).unwrap_err();
        assert_eq!(
            error.to_string(),
            format!(
                "v3.lease.keep_alive_once at http://127.0.0.1:2379: 1 answers to 2 requests: {one:?}"
            )
        );
        let lost = format!(
            "{one}\n{}",
            r#"{"error":{"grpc_code":14,"http_code":503,"message":"etcdserver: no leader","http_status":"Service Unavailable"}}"#
        );
        let error = decoded(&KeepAliveOnce::all([7, 8]), 200, &lost).unwrap_err();
        assert!(error.is_no_leader(), "{error}");
    }
}
