//! Locks that the server queues.

use std::time::Duration;

use bytes::Bytes;

use crate::{
    error::{Error, Result},
    operation::Repeat,
    pipeline::deadline::Deadline,
    v3::{
        Header, LeaseId,
        header::OnlyHeader,
        protocol::gateway::{self, Encode, Fields},
        range::check_key,
    },
};

/// Waits for a lock, and holds it as long as the lease lives: `POST /v3/lock/lock`.
///
/// Waits for ever unless [`time_limit`](Self::time_limit) is set. Dropping the future gives the place in the queue up.
/// The same lease gets the same lock again, and at once if it holds it. But who has given up, or whose exchange broke off,
/// asks again with **another lease**, and revokes the first: the server that was asked first deletes the key when it notices,
/// which may be after another has said that the lock is held. For the same reason the request is repeated only when the
/// server surely saw nothing of it.
///
/// A lock is only as good as its lease: it may expire while its holder believes to hold it. ResponseCheck what the lock protects
/// by a transaction that compares the lock's key: `Compare::exists(key)`.
///
/// # Errors
/// [`is_lease_not_found`](crate::Error::is_lease_not_found), also for a lease that expires meanwhile;
/// [`RequestTimedOut`](crate::EtcdErrorKind::RequestTimedOut) after the time limit.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use = "an operation does nothing before `Client::send`"]
pub struct Lock {
    pub(super) name: Bytes,
    lease: LeaseId,
    deadline: Deadline,
}

impl Lock {
    /// The lock of this name, held with this lease.
    ///
    /// With [`LeaseId::NONE`] the server makes a lease of 60 s that nobody keeps alive.
    pub fn new(name: impl Into<Vec<u8>>, lease: impl Into<LeaseId>) -> Self {
        Self {
            name: name.into().into(),
            lease: lease.into(),
            deadline: Deadline::Unlimited,
        }
    }

    /// Waits no longer than this.
    pub fn time_limit(mut self, limit: Duration) -> Self {
        self.deadline = Deadline::AtMost(limit);
        self
    }
}

impl Encode for Lock {
    fn check(&self, operation: &'static str) -> Result<()> {
        if self.name.is_empty() {
            return Err(Error::invalid(operation, "a lock needs a name"));
        }
        Ok(())
    }

    fn fields(&self, to: &mut Fields<'_>) {
        to.put("name", &self.name).put("lease", &self.lease);
    }

    fn deadline(&self) -> Deadline {
        self.deadline
    }
}

gateway::operation!(
    Lock => LockResponse,
    "v3.lock.lock",
    "/v3/lock/lock",
    |_| Repeat::IfUnsent
);

/// A lock that is held.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct LockResponse {
    /// Who answered.
    pub header: Header,
    /// The key that stands for holding the lock: the name, `/`, and the lease in hexadecimal. It exists as long as the lock
    /// is held, and unlocks it when deleted.
    pub key: Bytes,
}

gateway::decode!(LockResponse {
    "header" => header,
    "key" => key,
});

/// Gives a lock, or a place in its queue, up: `POST /v3/lock/unlock`. Answers the header.
///
/// etcd deletes the key that is given, whatever it is, and does not mind if there is none.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use = "an operation does nothing before `Client::send`"]
pub struct Unlock {
    pub(super) key: Bytes,
}

impl Unlock {
    /// Gives up the lock of this key: [`LockResponse::key`].
    pub fn new(key: impl Into<Vec<u8>>) -> Self {
        Self {
            key: key.into().into(),
        }
    }
}

impl Encode for Unlock {
    fn check(&self, operation: &'static str) -> Result<()> {
        check_key(operation, &self.key)
    }

    fn fields(&self, to: &mut Fields<'_>) {
        to.put("key", &self.key);
    }
}

gateway::operation!(
    Unlock => Header, in OnlyHeader,
    "v3.lock.unlock",
    "/v3/lock/unlock",
    |_| Repeat::Always
);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        operation::Operation,
        v3::testing::{body, decoded},
    };

    #[test]
    fn the_requests_are_as_documented() {
        let call = Lock::new("l", 7).encode().unwrap();
        assert_eq!(
            (call.target(), call.repeat()),
            ("/v3/lock/lock", Repeat::IfUnsent)
        );
        assert_eq!(call.deadline, Deadline::Unlimited);
        assert_eq!(body(&Lock::new("l", 7)), r#"{"name":"bA==","lease":"7"}"#);
        assert!(Lock::new("", 7).encode().is_err());
        let call = Unlock::new("l/7").encode().unwrap();
        assert_eq!(
            (call.target(), call.repeat()),
            ("/v3/lock/unlock", Repeat::Always)
        );
        assert_eq!(body(&Unlock::new("l/7")), r#"{"key":"bC83"}"#);
        assert!(Unlock::new("").encode().is_err());
    }

    #[test]
    fn v3_101_answers_are_read_whatever_their_code() {
        let json = r#"{"header":{"revision":"3"}, "key":"bC83"}"#;
        let lock = decoded(&Lock::new("l", 7), 200, json).unwrap();
        assert_eq!((lock.key, lock.header.revision), (Bytes::from("l/7"), 3));
        let no_lease = r#"{"code":2, "message":"etcdserver: requested lease not found"}"#;
        let error = decoded(&Lock::new("l", 8), 500, no_lease).unwrap_err();
        assert!(error.is_lease_not_found(), "{error}");
    }
}
