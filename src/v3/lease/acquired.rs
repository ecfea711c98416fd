use bytes::Bytes;

use crate::{
    endpoints::wire::Wire,
    error::Result,
    pipeline::{
        answer::Answer,
        call::{Call, Repeat},
        confirm::Confirmation,
        exchange::{Encoded, Exchange},
    },
    v3::{
        LeaseId, Range, RangeResponse,
        lease::waiting::{LeaseProbe, refusal},
        protocol::{self, method},
    },
};

/// When the key of a queue was created.
#[derive(Clone, Copy, Debug)]
pub(in crate::v3) enum Created {
    /// By this revision.
    At(i64),
    /// By this revision or an earlier one.
    Until(i64),
}

/// What to ask after the response that a wait in a queue with this key, and this lease, is over.
///
/// The server waits until there are no earlier keys. Meanwhile its own key may be deleted, with the lease for example: a
/// campaign succeeds nevertheless, and so does a lock before etcd 3.5.
pub(in crate::v3) fn confirmation(
    operation: &'static str,
    key: Bytes,
    created: Created,
    lease: LeaseId,
) -> Confirmation {
    let lease = if lease.is_none() {
        lease_of(&key)
    } else {
        lease
    };
    let shown = String::from_utf8_lossy(&key);
    let gone = format!("the key {shown:?}, with which it waited, was deleted elsewhere");
    Confirmation {
        exchange: Box::new(KeyProbe {
            operation,
            key: key.clone(),
        }),
        is_there: Box::new(move |answer| is_there(&key, created, answer)),
        reason: Box::new(LeaseProbe {
            operation,
            lease,
            keys: false,
        }),
        refusal: Box::new(move |answer| refusal(lease, answer)),
        gone,
    }
}

/// The lease that the server has granted for a key: its end, in hexadecimal.
fn lease_of(key: &[u8]) -> LeaseId {
    let end = key.rsplit(|byte| *byte == b'/').next();
    let end = end.and_then(|end| std::str::from_utf8(end).ok());
    let id = end.and_then(|end| i64::from_str_radix(end, 16).ok());
    LeaseId::from(id.unwrap_or_default())
}

fn is_there(key: &Bytes, created: Created, answer: &Answer) -> Result<bool> {
    let found: RangeResponse = protocol::decode(answer)?;
    let mut own = found.kvs.iter().filter(|kv| kv.key == *key);
    Ok(own.any(|kv| match created {
        Created::At(revision) => kv.create_revision == revision,
        Created::Until(revision) => kv.create_revision <= revision,
    }))
}

/// A linearizable read of a key without its value, in the name of an operation.
struct KeyProbe {
    operation: &'static str,
    key: Bytes,
}

impl Exchange for KeyProbe {
    fn call(&self) -> Call {
        protocol::call(self.operation, method::RANGE, Repeat::Always)
    }

    fn encode(&self, wire: Wire) -> Result<Encoded> {
        let read = Range::new(self.key.clone()).keys_only(true);
        protocol::encode(self.operation, method::RANGE, wire, &read)
    }
}
