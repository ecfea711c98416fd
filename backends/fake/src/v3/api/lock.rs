//! Locks, as the recipe of etcd's Go client that the server runs.

use bytes::Bytes;

use super::{Answered, Call, Failure};
use crate::v3::{
    error::{Code, V3Error},
    message::{
        kv::{
            Compare, CompareTarget, DeleteRangeRequest, PutRequest, RangeRequest, RequestOp,
            SortOrder, SortTarget, TxnRequest,
        },
        lease::LeaseGrantRequest,
        lock::{LockRequest, LockResponse, UnlockRequest, UnlockResponse},
    },
};

/// The time to live of a lease that the server grants because the client names none, in seconds.
const DEFAULT_TTL: i64 = 60;

/// A place in the queue for a lock.
#[derive(Clone, Debug)]
pub(crate) struct Ticket {
    pub(crate) key: Bytes,
    /// What all keys of the queue begin with.
    pub(crate) prefix: Bytes,
    /// The revision at which the key was made.
    revision: i64,
    /// Whether nobody was before it.
    response: Option<LockResponse>,
}

impl Ticket {
    /// The first key after those of the queue.
    pub(crate) fn end(&self) -> Bytes {
        prefix_end(&self.prefix)
    }

    /// The response, if the lock was free.
    pub(crate) fn take_response(&mut self) -> Option<LockResponse> {
        self.response.take()
    }
}

impl Call<'_> {
    /// Enters the queue for a lock.
    pub(crate) fn enter_lock(&mut self, request: &LockRequest) -> Answered<Ticket> {
        let lease = if request.lease == 0 {
            let ttl = DEFAULT_TTL;
            let grant = LeaseGrantRequest { id: 0, ttl };
            self.grant(&grant)?.id
        } else {
            request.lease
        };
        let prefix = Bytes::from([&request.name[..], b"/"].concat());
        let key = Bytes::from([&prefix[..], hexadecimal(lease).as_bytes()].concat());
        let response = self.txn(enter(&key, &prefix, lease)).map_err(unmapped)?;
        let header = response.header.clone();
        let mut ranges = response.responses.iter();
        let mut ranges = ranges.by_ref().filter_map(|op| op.response_range.as_ref());
        let revision = if response.succeeded {
            header.as_ref().map_or(0, |header| header.revision)
        } else {
            let own = ranges.next().and_then(|range| range.kvs.first());
            own.map_or(0, |kv| kv.0.create_revision)
        };
        let owner = ranges.next().and_then(|range| range.kvs.first());
        let is_mine = owner.is_none_or(|kv| kv.0.create_revision == revision);
        let response = is_mine.then(|| LockResponse {
            header,
            key: key.clone(),
        });
        Ok(Ticket {
            key,
            prefix,
            revision,
            response,
        })
    }

    /// The response, if nobody who came earlier is left.
    pub(crate) fn continue_lock(&mut self, ticket: &Ticket) -> Answered<Option<LockResponse>> {
        let earlier = self.range(&RangeRequest {
            key: ticket.prefix.clone(),
            range_end: prefix_end(&ticket.prefix),
            limit: 1,
            max_create_revision: ticket.revision - 1,
            ..RangeRequest::default()
        })?;
        if !earlier.kvs.is_empty() {
            return Ok(None);
        }
        let own = self.range(&RangeRequest {
            key: ticket.key.clone(),
            ..RangeRequest::default()
        })?;
        if own.kvs.is_empty() {
            let expired = V3Error::new(Code::Unknown, "mutex: session is expired");
            return Err(Failure::Refused(expired));
        }
        Ok(Some(LockResponse {
            header: own.header,
            key: ticket.key.clone(),
        }))
    }

    /// Deletes a key, whoever owns it.
    pub(crate) fn unlock(&mut self, request: UnlockRequest) -> Answered<UnlockResponse> {
        let delete = DeleteRangeRequest {
            key: request.key,
            ..DeleteRangeRequest::default()
        };
        let header = self.delete_range(delete).map_err(unmapped)?.header;
        Ok(UnlockResponse { header })
    }
}

/// Makes the key if it is not there, and reads who is first.
fn enter(key: &Bytes, prefix: &Bytes, lease: i64) -> TxnRequest {
    let owner = RequestOp {
        request_range: Some(RangeRequest {
            key: prefix.clone(),
            range_end: prefix_end(prefix),
            limit: 1,
            sort_order: SortOrder::ASCEND,
            sort_target: SortTarget::CREATE,
            ..RangeRequest::default()
        }),
        ..RequestOp::default()
    };
    let put = RequestOp {
        request_put: Some(PutRequest {
            key: key.clone(),
            lease,
            ..PutRequest::default()
        }),
        ..RequestOp::default()
    };
    let get = RequestOp {
        request_range: Some(RangeRequest {
            key: key.clone(),
            ..RangeRequest::default()
        }),
        ..RequestOp::default()
    };
    TxnRequest {
        compare: vec![Compare {
            key: key.clone(),
            target: CompareTarget::CREATE,
            ..Compare::default()
        }],
        success: vec![put, owner.clone()],
        failure: vec![get, owner],
    }
}

/// The first key after those with a prefix that ends in a slash.
fn prefix_end(prefix: &[u8]) -> Bytes {
    let name = prefix.strip_suffix(b"/").unwrap_or(prefix);
    Bytes::from([name, b"0"].concat())
}

/// A number as Go's `%x` writes it, with its sign.
fn hexadecimal(number: i64) -> String {
    let sign = if number < 0 { "-" } else { "" };
    format!("{sign}{:x}", number.unsigned_abs())
}

/// The server passes the errors of its own client on without their codes.
fn unmapped(failure: Failure) -> Failure {
    match failure {
        Failure::Refused(error) => Failure::Refused(V3Error {
            code: Code::Unknown,
            ..error
        }),
        Failure::Blocked => Failure::Blocked,
    }
}
