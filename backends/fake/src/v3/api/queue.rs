//! Queues of keys with a common prefix, in the order of their creation: what locks and elections are made of, as in the
//! recipes of etcd's Go client that the server runs.

use bytes::Bytes;

use super::{Answered, Call, Failure, election::first_of};
use crate::{
    profile::Profile,
    v3::{
        error::{Code, V3Error},
        message::{
            Message,
            election::CampaignResponse,
            kv::{
                Compare, CompareTarget, PutRequest, RangeRequest, RequestOp, ResponseHeader,
                SharedKeyValue, TxnRequest, TxnResponse,
            },
            lease::LeaseGrantRequest,
            lock::LockResponse,
        },
    },
};

/// The time to live of a lease that the server grants because the client names none, in seconds.
const DEFAULT_TTL: i64 = 60;

/// A place in a queue.
#[derive(Clone, Debug)]
pub(crate) struct Ticket {
    pub(crate) key: Bytes,
    /// What all keys of the queue begin with.
    pub(crate) prefix: Bytes,
    pub(crate) lease: i64,
    /// The revision at which the key was made.
    pub(crate) revision: i64,
    /// The header of the response with the place.
    pub(crate) header: Option<ResponseHeader>,
    /// The key as it was before, if the place was taken earlier.
    pub(crate) former: Option<SharedKeyValue>,
    /// The revision at which the first key of a lock's queue was made.
    pub(crate) owner: Option<i64>,
    pub(crate) kind: Kind,
}

/// What the queue is for.
#[derive(Clone, Debug)]
pub(crate) enum Kind {
    Lock,
    Campaign(CampaignResponse),
}

/// The end of the wait.
#[derive(Debug)]
pub(crate) enum Acquired {
    Lock(LockResponse),
    Campaign(CampaignResponse),
}

impl Acquired {
    pub(crate) fn message(&self) -> &dyn Message {
        match self {
            Self::Lock(response) => response,
            Self::Campaign(response) => response,
        }
    }
}

impl Ticket {
    /// The first key after those of the queue.
    pub(crate) fn end(&self) -> Bytes {
        prefix_end(&self.prefix)
    }
}

impl Call<'_> {
    /// The lease of a session: a new one if there is none.
    pub(super) fn session_lease(&mut self, lease: i64) -> Answered<i64> {
        if lease != 0 {
            return Ok(lease);
        }
        let ttl = DEFAULT_TTL;
        let grant = LeaseGrantRequest { id: 0, ttl };
        Ok(self.grant(&grant).map_err(unmapped)?.id)
    }

    /// Enters a queue with a key of the lease, which keeps its place and its value if it is there already.
    /// `reads_owner`: the same transaction reads the first key of the queue, as a lock's does.
    pub(super) fn enter_queue(
        &mut self,
        name: &[u8],
        lease: i64,
        value: &Bytes,
        reads_owner: bool,
    ) -> Answered<Ticket> {
        let lease = self.session_lease(lease)?;
        let prefix = Bytes::from([name, b"/"].concat());
        let key = Bytes::from([&prefix[..], hexadecimal(lease).as_bytes()].concat());
        let mut enter = enter(&key, lease, value);
        if reads_owner {
            enter.success.push(range(first_of(&prefix)));
            enter.failure.push(range(first_of(&prefix)));
        }
        let response: TxnResponse = self.txn(enter).map_err(unmapped)?;
        let mut ops = response.responses.iter();
        let mut next_kv = || ops.next()?.response_range.as_ref()?.kvs.first().cloned();
        let (former, owner) = (next_kv(), next_kv());
        let header = response.header;
        let created = header.as_ref().map_or(0, |header| header.revision);
        Ok(Ticket {
            key,
            prefix,
            lease,
            revision: former.as_ref().map_or(created, |kv| kv.0.create_revision),
            header,
            former,
            owner: owner.map(|kv| kv.0.create_revision),
            kind: Kind::Lock,
        })
    }

    /// The response, if no earlier candidate is left. `has_waited`: there were some at first.
    pub(crate) fn acquire(
        &mut self,
        ticket: &Ticket,
        has_waited: bool,
    ) -> Answered<Option<Acquired>> {
        let key = ticket.key.clone();
        if matches!(ticket.kind, Kind::Lock) && !has_waited {
            let is_owner = ticket.owner.is_none_or(|owner| owner == ticket.revision);
            let header = ticket.header.clone();
            return Ok(is_owner.then_some(Acquired::Lock(LockResponse { header, key })));
        }
        let earlier = RangeRequest {
            key: ticket.prefix.clone(),
            range_end: ticket.end(),
            limit: 1,
            max_create_revision: ticket.revision - 1,
            ..RangeRequest::default()
        };
        let earlier = self.range(&earlier).map_err(unmapped)?;
        // A bound of 0 is none: there is none before the first revision.
        if ticket.revision > 1 && !earlier.kvs.is_empty() {
            return Ok(None);
        }
        let header = match &ticket.kind {
            Kind::Campaign(response) => return Ok(Some(Acquired::Campaign(response.clone()))),
            Kind::Lock if self.profile() == Profile::V3_5 => self.confirm_lock(ticket)?,
            Kind::Lock => earlier.header,
        };
        Ok(Some(Acquired::Lock(LockResponse { header, key })))
    }

    /// Checks whether the key has outlived the wait, as 3.5 does.
    fn confirm_lock(&mut self, ticket: &Ticket) -> Answered<Option<ResponseHeader>> {
        let own = RangeRequest {
            key: ticket.key.clone(),
            ..RangeRequest::default()
        };
        let own = self.range(&own).map_err(unmapped)?;
        if own.kvs.is_empty() {
            return Err(V3Error::new(Code::Unknown, "mutex: session is expired").into());
        }
        Ok(own.header)
    }
}

/// A condition on the revision that created a key; 0 if it must not exist.
pub(super) fn created_at(key: &Bytes, revision: i64) -> Compare {
    Compare {
        key: key.clone(),
        target: CompareTarget::CREATE,
        create_revision: Some(revision),
        ..Compare::default()
    }
}

/// The first key after those with a prefix that ends in a slash.
pub(super) fn prefix_end(prefix: &[u8]) -> Bytes {
    let name = prefix.strip_suffix(b"/").unwrap_or(prefix);
    Bytes::from([name, b"0"].concat())
}

/// The server passes the errors of its own client on without their codes.
pub(super) fn unmapped(failure: Failure) -> Failure {
    match failure {
        Failure::Refused(error) => Failure::Refused(V3Error {
            code: Code::Unknown,
            ..error
        }),
        Failure::Blocked => Failure::Blocked,
    }
}

/// Makes the key, or reads it if it is there.
fn enter(key: &Bytes, lease: i64, value: &Bytes) -> TxnRequest {
    let put = RequestOp {
        request_put: Some(PutRequest {
            key: key.clone(),
            value: value.clone(),
            lease,
            ..PutRequest::default()
        }),
        ..RequestOp::default()
    };
    let get = range(RangeRequest {
        key: key.clone(),
        ..RangeRequest::default()
    });
    TxnRequest {
        compare: vec![created_at(key, 0)],
        success: vec![put],
        failure: vec![get],
    }
}

fn range(request: RangeRequest) -> RequestOp {
    RequestOp {
        request_range: Some(request),
        ..RequestOp::default()
    }
}

/// A number as Go's `%x` writes it, with its sign.
fn hexadecimal(number: i64) -> String {
    let sign = if number < 0 { "-" } else { "" };
    format!("{sign}{:x}", number.unsigned_abs())
}
