//! Locks, held and queued by the server.

use std::time::Duration;

use bytes::Bytes;

use crate::{
    error::{Error, Result},
    operation::Operation,
    pipeline::deadline::Deadline,
    v3::{
        Header, Key, LeaseId,
        lease::{
            acquired::{Created, confirmation},
            waiting::{SILENCE_LIMIT, probe},
        },
        protocol::message::{self, Encode, Fields},
        range::check_key,
        stream::silence::check_limit,
    },
};

/// Waits for a lock and holds it for as long as the lease lives: `POST /v3/lock/lock`.
///
/// Waits forever without a [`time_limit`](Self::time_limit). Dropping the future leaves the queue; while etcd's authentication is
/// enabled, the server may not delete the key, which blocks those behind it until its lease ends: revoke the lease. A lease that holds
/// the lock gets it again at once. After a dropped future or a lost connection, use **another lease** and revoke the
/// first one: the first server deletes the key as soon as it notices, possibly after another server has reported the
/// lock as held. For the same reason the request is retried only if it definitely did not reach the server.
///
/// Each success costs one more request: a linearizable read of the lock's key, since etcd before 3.5 reports a lock as
/// held although its key was deleted during the wait, such as with its lease. Dropping the future during that read
/// releases nothing: revoke the lease.
///
/// A lock is only as good as its lease, which may expire without its holder noticing. Write what the lock protects in a
/// transaction that compares the lock's key: `Compare::exists(key)`.
///
/// # Errors
/// [`is_lease_not_found`](crate::Error::is_lease_not_found), also if the lease expires while waiting;
/// [`RequestTimedOut`](crate::EtcdErrorKind::RequestTimedOut) after the time limit; a lost member, see
/// [`silence_limit`](Self::silence_limit). If the key cannot be read after a success, or was deleted although the lease
/// is alive, the [outcome](crate::Error::outcome) is unknown.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use = "an operation does nothing before `Client::send`"]
pub struct Lock {
    pub(super) name: Bytes,
    lease: LeaseId,
    deadline: Deadline,
    silence: Duration,
}

impl Lock {
    /// The lock with this name, to be held with this lease.
    ///
    /// With [`LeaseId::NONE`], the server grants a lease of 60 s, which is not kept alive.
    pub fn new(name: impl Into<Key>, lease: impl Into<LeaseId>) -> Self {
        Self {
            name: name.into().into_bytes(),
            lease: lease.into(),
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

    /// Sets how long the member may be silent before it is asked whether it, the lease and the key in the queue are alive, and
    /// between two such probes. Defaults to 10 s. Zero is refused.
    ///
    /// If the member does not respond, another endpoint is asked every second for the key in the queue: the wait goes on for
    /// as long as there are keys before it, since the member may return. If there is no other endpoint, or none before it any
    /// more and the member still does not respond, the wait ends with an error whose [outcome](crate::Error::outcome) is
    /// unknown: the lock may be held, but the member releases it when it returns and finds the request gone. Revoke the lease,
    /// and begin again with another one.
    pub fn silence_limit(mut self, limit: Duration) -> Self {
        self.silence = limit;
        self
    }
}

impl Encode for Lock {
    fn check(&self, operation: &'static str) -> Result<()> {
        if self.name.is_empty() {
            return Err(Error::invalid(operation, "a lock requires a name"));
        }
        check_limit(operation, self.silence)
    }

    fn fields<F: Fields>(&self, to: &mut F) {
        to.put(1, "name", &self.name).put(2, "lease", &self.lease);
    }

    fn lease(&self) -> i64 {
        self.lease.get()
    }

    fn deadline(&self) -> Deadline {
        self.deadline
    }
}

crate::v3::protocol::operation!(
    Lock => LockResponse,
    "v3.lock.lock",
    LOCK, IfUnsent,
    probed by |lock| probe(Lock::NAME, &lock.name, lock.lease, lock.silence),
    confirmed by |lock, held| {
        let created = Created::Until(held.header.revision);
        confirmation(Lock::NAME, held.key, created, lock.lease)
    }
);

/// A lock that is held.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct LockResponse {
    /// The header of the response.
    pub header: Header,
    /// The key of the lock's holder: the name, `/`, and the lease in hexadecimal. It exists while the lock is held;
    /// deleting it unlocks.
    pub key: Bytes,
}

impl LockResponse {
    /// A lock that is held with this key. For your own tests.
    pub fn new(key: impl Into<Key>) -> Self {
        Self {
            header: Header::default(),
            key: key.into().into_bytes(),
        }
    }
}

message::decode!(LockResponse {
    1 "header" => header,
    2 "key" => key,
} demands key);

/// Releases a lock or leaves its queue: `POST /v3/lock/unlock`. Returns the header.
///
/// etcd deletes the given key, whatever it is. A key that does not exist is not an error.
///
/// The request is retried only if it definitely did not reach the server: the key is named by the lease, so another task
/// that uses the same lease may hold the lock with the same key by then, and a second request would release it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use = "an operation does nothing before `Client::send`"]
pub struct Unlock {
    pub(super) key: Bytes,
}

impl Unlock {
    /// Releases the lock that is held with this key: [`LockResponse::key`].
    pub fn new(key: impl Into<Key>) -> Self {
        Self {
            key: key.into().into_bytes(),
        }
    }
}

impl Encode for Unlock {
    fn check(&self, operation: &'static str) -> Result<()> {
        check_key(operation, &self.key)
    }

    fn fields<F: Fields>(&self, to: &mut F) {
        to.put(1, "key", &self.key);
    }
}

crate::v3::protocol::operation!(Unlock => Header, "v3.lock.unlock", UNLOCK, IfUnsent);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::v3::testing::{AsRequest, Repeat, body, decoded};

    #[test]
    fn the_requests_are_as_documented() {
        let call = Lock::new("l", 7).request().unwrap();
        assert_eq!(
            (call.target(), call.repeat()),
            ("/v3/lock/lock", Repeat::IfUnsent)
        );
        assert_eq!(call.deadline(), Deadline::Unlimited);
        assert_eq!(body(&Lock::new("l", 7)), r#"{"name":"bA==","lease":"7"}"#);
        assert!(Lock::new("", 7).request().is_err());
        let call = Unlock::new("l/7").request().unwrap();
        assert_eq!(
            (call.target(), call.repeat()),
            ("/v3/lock/unlock", Repeat::IfUnsent)
        );
        assert_eq!(body(&Unlock::new("l/7")), r#"{"key":"bC83"}"#);
        assert!(Unlock::new("").request().is_err());
    }

    #[test]
    fn v3_101_responses_are_read_whatever_their_code() {
        let json = r#"{"header":{"cluster_id":"7","revision":"3"}, "key":"bC83"}"#;
        let lock = decoded(&Lock::new("l", 7), 200, json).unwrap();
        assert_eq!((lock.key, lock.header.revision), (Bytes::from("l/7"), 3));
        let no_lease = r#"{"code":2, "message":"etcdserver: requested lease not found"}"#;
        let error = decoded(&Lock::new("l", 8), 500, no_lease).unwrap_err();
        assert!(error.is_lease_not_found(), "{error}");
    }

    #[test]
    fn the_messages_are_those_of_etcd() {
        use crate::v3::testing::schema::{Requests, response};

        Requests::of("v3lockpb.LockRequest")
            .send(&Lock::new("l", 7))
            .all_fields_but(&[]);
        Requests::of("v3lockpb.UnlockRequest")
            .send(&Unlock::new("l/7"))
            .all_fields_but(&[]);
        response::<LockResponse>("v3lockpb.LockResponse", &[]);
    }
}
