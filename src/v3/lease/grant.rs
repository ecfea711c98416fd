use std::time::Duration;

use crate::{
    error::{Error, EtcdErrorKind, Result},
    operation::{Call, Operation, Repeat, Reply, sealed::Sealed},
    v3::{
        Header, LeaseId,
        protocol::gateway::{self, Encode, Fields},
    },
};

/// What etcd allows, in seconds.
pub(crate) const MAX_TTL: u64 = 9_000_000_000;

/// Makes a lease: `POST /v3/lease/grant`. Keys put with it go when its time is over, unless it is kept alive.
///
/// Its id is a random one, chosen when this value is made, so that the request can be repeated safely: a lease that an
/// earlier attempt made is recognised.
///
/// # Errors
/// [`LeaseExists`](crate::EtcdErrorKind::LeaseExists) for an id that is taken.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use = "an operation does nothing before `Client::send`"]
pub struct GrantLease {
    ttl: Duration,
    id: LeaseId,
    is_random: bool,
}

impl GrantLease {
    /// A lease of this time to live. etcd counts in whole seconds, so that a part of one is rounded up, and makes it no
    /// shorter than one and a half election time-outs: 2 s, mostly.
    pub fn new(ttl: Duration) -> Self {
        Self {
            ttl,
            id: random_id(),
            is_random: true,
        }
    }

    /// With this id.
    pub fn id(mut self, id: impl Into<LeaseId>) -> Self {
        self.id = id.into();
        self.is_random = false;
        self
    }

    /// With an id that the server chooses. A request whose answer is lost is not repeated, then, and leaves a lease behind
    /// that nobody knows.
    pub fn id_of_the_server(mut self) -> Self {
        self.id = LeaseId::NONE;
        self.is_random = false;
        self
    }

    fn seconds(&self) -> u64 {
        let part = u64::from(self.ttl.subsec_nanos() > 0);
        self.ttl.as_secs().saturating_add(part)
    }
}

impl Encode for GrantLease {
    fn check(&self, operation: &'static str) -> Result<()> {
        if self.ttl.is_zero() {
            return Err(Error::invalid(
                operation,
                "a lease of no time would not live",
            ));
        }
        if self.seconds() > MAX_TTL {
            let reason = format!("the time to live is more than etcd's limit of {MAX_TTL} s");
            return Err(Error::invalid(operation, reason));
        }
        if self.is_random && self.id.is_none() {
            let reason = "the operating system gives no random numbers: choose the id yourself";
            return Err(Error::invalid(operation, reason));
        }
        Ok(())
    }

    fn fields(&self, to: &mut Fields<'_>) {
        to.put("TTL", &self.seconds()).put("ID", &self.id);
    }
}

impl Sealed for GrantLease {}

impl Operation for GrantLease {
    type Output = GrantLeaseResponse;
    const NAME: &'static str = "v3.lease.grant";

    fn encode(&self) -> Result<Call> {
        let repeat = if self.id.is_none() {
            Repeat::IfUnsent
        } else {
            Repeat::Always
        };
        gateway::call(Self::NAME, "/v3/lease/grant", repeat, self)
    }

    fn decode(&self, reply: Reply) -> Result<GrantLeaseResponse> {
        let exists = |error: &Error| error.etcd_kind() == Some(EtcdErrorKind::LeaseExists);
        let Answer { header, id, ttl } = gateway::answer_or_done(reply, exists)?;
        Ok(if id.is_none() {
            // Made by an attempt whose answer was lost.
            GrantLeaseResponse {
                header,
                id: self.id,
                ttl: Duration::from_secs(self.seconds()),
            }
        } else {
            GrantLeaseResponse {
                header,
                id,
                ttl: Duration::from_secs(ttl),
            }
        })
    }
}

/// The lease that a [`GrantLease`] made.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct GrantLeaseResponse {
    /// Who answered.
    pub header: Header,
    /// The lease.
    pub id: LeaseId,
    /// How long it lives without being kept alive.
    pub ttl: Duration,
}

#[derive(Default)]
struct Answer {
    header: Header,
    id: LeaseId,
    ttl: u64,
}

gateway::decode!(Answer {
    "header" => header,
    "ID" => id,
    "TTL" => ttl,
});

/// 63 bits that nobody can guess; none, if the operating system has none to give.
fn random_id() -> LeaseId {
    let mut bytes = [0; 8];
    let random = getrandom::fill(&mut bytes).map(|()| i64::from_le_bytes(bytes) & i64::MAX);
    LeaseId::from(random.map_or(0, |id| id.max(1)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::v3::testing::{body, decoded, decoded_after_doubt};

    const EXISTS: &str = r#"{"error":"etcdserver: lease already exists","message":"etcdserver: lease already exists","code":9}"#;

    fn ten() -> GrantLease {
        GrantLease::new(Duration::from_secs(10))
    }

    #[test]
    fn the_request_is_as_documented() {
        let call = ten().id(7).encode().unwrap();
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
        assert_eq!(servers.encode().unwrap().repeat(), Repeat::IfUnsent);
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
    fn answers_are_read() {
        let json = r#"{"header":{"revision":"2"},"ID":"7","TTL":"100"}"#;
        let lease = decoded(&ten().id(7), 200, json).unwrap();
        assert_eq!((lease.id.get(), lease.ttl), (7, Duration::from_secs(100)));
        let error = decoded(&ten().id(7), 412, EXISTS).unwrap_err();
        assert_eq!(error.etcd_kind(), Some(EtcdErrorKind::LeaseExists));
    }

    #[test]
    fn r_4_a_lease_that_an_attempt_of_ours_made_is_ours() {
        let lease = decoded_after_doubt(&ten().id(7), 412, EXISTS).unwrap();
        assert_eq!((lease.id.get(), lease.ttl), (7, Duration::from_secs(10)));
    }

    #[test]
    fn v3_92_a_time_that_etcd_would_refuse_is_refused() {
        for (ttl, reason) in [
            (Duration::ZERO, "a lease of no time would not live"),
            (
                Duration::from_millis(9_000_000_000_001),
                "the time to live is more than etcd's limit of 9000000000 s",
            ),
        ] {
            let result = GrantLease::new(ttl).encode();
            if ttl.is_zero() || ttl.as_secs() > MAX_TTL {
                assert_eq!(
                    result.unwrap_err().to_string(),
                    format!("v3.lease.grant: {reason}")
                );
            }
        }
        assert!(
            GrantLease::new(Duration::from_secs(MAX_TTL))
                .encode()
                .is_ok()
        );
    }
}
