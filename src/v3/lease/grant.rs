use std::time::Duration;

use crate::{
    error::{Error, EtcdErrorKind, Result},
    pipeline::{answer::Answer, call::Repeat},
    v3::{
        Header, LeaseId,
        protocol::{
            self,
            message::{self, Encode, Fields},
        },
    },
};

/// The longest time to live that etcd allows, in seconds.
pub(crate) const MAX_TTL: u64 = 9_000_000_000;

/// Grants a lease: `POST /v3/lease/grant`. Keys attached to it are deleted when it expires.
///
/// The id is random and chosen when this value is created, so that the request can be retried: a lease that an earlier
/// attempt granted is recognized, as no other lease has its id. With an id of your own this is not known.
///
/// # Errors
/// [`LeaseExists`](crate::EtcdErrorKind::LeaseExists) if the id is in use. If an earlier attempt may have granted the
/// lease, the outcome is [`Unknown`](crate::Outcome::Unknown): it may be this one, or that of another client with another
/// time to live.
#[doc(alias = "lease grant")]
#[doc(alias = "ttl")]
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use = "an operation does nothing before `Client::send`"]
pub struct GrantLease {
    ttl: Duration,
    id: LeaseId,
    is_random: bool,
}

impl GrantLease {
    /// A lease with this time to live, of at least a second. It is rounded up to whole seconds. etcd's minimum is one and a half election
    /// timeouts, usually 2 s.
    pub fn new(ttl: Duration) -> Self {
        Self {
            ttl,
            id: random_id(),
            is_random: true,
        }
    }

    /// Sets the id. Defaults to a random one.
    pub fn id(mut self, id: impl Into<LeaseId>) -> Self {
        self.id = id.into();
        self.is_random = false;
        self
    }

    /// Lets the server choose the id. A request whose response is lost is not retried then, and may leave an unknown
    /// lease behind.
    pub fn id_of_the_server(mut self) -> Self {
        self.id = LeaseId::NONE;
        self.is_random = false;
        self
    }

    fn seconds(&self) -> u64 {
        let part = u64::from(self.ttl.subsec_nanos() > 0);
        self.ttl.as_secs().saturating_add(part)
    }

    fn repeat(&self) -> Repeat {
        if self.id.is_none() {
            Repeat::IfUnsent
        } else {
            Repeat::Always
        }
    }

    fn decoded(&self, answer: Box<Answer>) -> Result<GrantLeaseResponse> {
        let Granted { header, id, ttl } = if self.is_random {
            let exists = |error: &Error| error.etcd_kind() == Some(EtcdErrorKind::LeaseExists);
            protocol::answer_or_done(answer, exists)?
        } else {
            protocol::answer(answer)?
        };
        Ok(if id.is_none() {
            // An attempt whose response was lost granted it.
            GrantLeaseResponse {
                header,
                id: self.id,
                ttl: Duration::from_secs(self.seconds()),
            }
        } else {
            GrantLeaseResponse {
                header,
                id,
                ttl: Duration::from_secs(ttl.try_into().unwrap_or_default()),
            }
        })
    }
}

impl Encode for GrantLease {
    fn check(&self, operation: &'static str) -> Result<()> {
        if self.ttl.is_zero() {
            return Err(Error::invalid(operation, "the time to live is zero"));
        }
        if self.ttl < Duration::from_secs(1) {
            let reason = format!(
                "a time to live of {:?}: etcd counts whole seconds, and its minimum is usually 2 s",
                self.ttl
            );
            return Err(Error::invalid(operation, reason));
        }
        if self.seconds() > MAX_TTL {
            let reason = format!("the time to live is more than etcd's limit of {MAX_TTL} s");
            return Err(Error::invalid(operation, reason));
        }
        if self.is_random && self.id.is_none() {
            let reason = "the operating system provides no random numbers: set the id with `id`";
            return Err(Error::invalid(operation, reason));
        }
        Ok(())
    }

    fn fields<F: Fields>(&self, to: &mut F) {
        to.put(1, "TTL", &self.seconds()).put(2, "ID", &self.id);
    }
}

crate::v3::protocol::operation!(
    GrantLease => GrantLeaseResponse,
    "v3.lease.grant",
    LEASE_GRANT,
    Self::repeat,
    decoded by Self::decoded
);

/// The response to a [`GrantLease`].
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct GrantLeaseResponse {
    /// The header of the response.
    pub header: Header,
    /// The lease.
    pub id: LeaseId,
    /// The time to live.
    pub ttl: Duration,
}

impl GrantLeaseResponse {
    /// A lease with this time to live. For your own tests.
    pub fn new(id: impl Into<LeaseId>, ttl: Duration) -> Self {
        Self {
            header: Header::default(),
            id: id.into(),
            ttl,
        }
    }
}

#[derive(Default)]
struct Granted {
    header: Header,
    id: LeaseId,
    ttl: i64,
}

message::decode!(Granted {
    1 "header" => header,
    2 "ID" => id,
    3 "TTL" => ttl,
} demands id);

/// Returns an unpredictable random id of 63 bits, or none if the operating system provides no random numbers.
fn random_id() -> LeaseId {
    let mut bytes = [0; 8];
    let random = getrandom::fill(&mut bytes).map(|()| i64::from_le_bytes(bytes) & i64::MAX);
    LeaseId::from(random.map_or(0, |id| id.max(1)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Outcome;
    use crate::v3::testing::{AsRequest, body, decoded, decoded_after_doubt};

    const EXISTS: &str = r#"{"error":"etcdserver: lease already exists","message":"etcdserver: lease already exists","code":9}"#;

    fn ten() -> GrantLease {
        GrantLease::new(Duration::from_secs(10))
    }

    #[test]
    fn the_request_is_as_documented() {
        let call = ten().id(7).request().unwrap();
        assert_eq!(
            (call.target(), call.repeat()),
            ("/v3/lease/grant", Repeat::Always)
        );
        assert_eq!(body(&ten().id(7)), r#"{"TTL":"10","ID":"7"}"#);
        assert_eq!(
            body(&GrantLease::new(Duration::from_millis(9001)).id(-7)),
            r#"{"TTL":"10","ID":"-7"}"#
        );
        let servers = ten().id_of_the_server();
        assert_eq!(body(&servers), r#"{"TTL":"10"}"#);
        assert_eq!(servers.request().unwrap().repeat(), Repeat::IfUnsent);
    }

    #[test]
    fn s_21_ids_are_random_and_positive() {
        let ids: std::collections::HashSet<_> = (0..1000).map(|_| ten().id).collect();
        assert_eq!(ids.len(), 1000);
        assert!(ids.iter().all(|id| id.get() > 0));
        // Of a thousand random numbers of 63 bits, some have the highest bit, and some the lowest.
        assert!(ids.iter().any(|id| id.get() >> 62 == 1) && ids.iter().any(|id| id.get() & 1 == 1));
    }

    #[test]
    fn responses_are_read() {
        let json = r#"{"header":{"cluster_id":"7","revision":"2"},"ID":"7","TTL":"100"}"#;
        let lease = decoded(&ten().id(7), 200, json).unwrap();
        assert_eq!((lease.id.get(), lease.ttl), (7, Duration::from_secs(100)));
        let error = decoded(&ten().id(7), 412, EXISTS).unwrap_err();
        assert_eq!(error.etcd_kind(), Some(EtcdErrorKind::LeaseExists));
    }

    #[test]
    fn r_4_a_lease_that_an_attempt_of_ours_made_is_ours() {
        let grant = ten();
        let lease = decoded_after_doubt(&grant, 412, EXISTS).unwrap();
        assert_eq!((lease.id, lease.ttl), (grant.id, Duration::from_secs(10)));
    }

    #[test]
    fn a_lease_with_a_chosen_id_may_be_another_clients() {
        let error = decoded_after_doubt(&ten().id(7), 412, EXISTS).unwrap_err();
        assert_eq!(error.etcd_kind(), Some(EtcdErrorKind::LeaseExists));
        assert_eq!(error.outcome(), Outcome::Unknown);
    }

    #[test]
    fn v3_92_a_time_that_etcd_would_refuse_is_refused() {
        for (ttl, reason) in [
            (Duration::ZERO, "the time to live is zero"),
            (
                Duration::from_millis(500),
                "a time to live of 500ms: etcd counts whole seconds, and its minimum is usually 2 s",
            ),
            (
                Duration::from_millis(9_000_000_000_001),
                "the time to live is more than etcd's limit of 9000000000 s",
            ),
        ] {
            let result = GrantLease::new(ttl).request();
            if ttl < Duration::from_secs(1) || ttl.as_secs() > MAX_TTL {
                assert_eq!(
                    result.unwrap_err().to_string(),
                    format!("v3.lease.grant: {reason}")
                );
            }
        }
        assert!(
            GrantLease::new(Duration::from_secs(MAX_TTL))
                .request()
                .is_ok()
        );
    }

    #[test]
    fn the_messages_are_those_of_etcd() {
        use crate::v3::testing::schema::{Requests, response};

        Requests::of("etcdserverpb.LeaseGrantRequest")
            .send(&GrantLease::new(Duration::from_secs(10)))
            .all_fields_but(&[]);
        response::<Granted>("etcdserverpb.LeaseGrantResponse", &["error"]);
    }
}
