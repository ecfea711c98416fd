use std::{
    sync::atomic::{AtomicBool, Ordering::Relaxed},
    time::Duration,
};

use bytes::Bytes;

use crate::{
    endpoints::wire::Wire,
    error::{EtcdErrorKind, Refusal, Result},
    pipeline::{
        answer::{Answer, Verdict},
        call::{Call, Repeat},
        exchange::{Encoded, Exchange},
        probe::{Finding, Probe, Queue, QueuePosition},
    },
    v3::{
        Compare, KeyRange, LeaseId, Range, SortOrder, SortTarget, Txn, TxnResponse,
        lease::{GetTimeToLive, time_to_live},
        protocol::{self, method, status, status_request::StatusRequest},
    },
};

/// The silence limit of calls that wait, if it is not set.
pub(in crate::v3) const SILENCE_LIMIT: Duration = Duration::from_secs(10);

/// What to ask while an operation waits in the queue with this name, with this lease: the member whether it is alive,
/// whether the lease is, and whether the key of the wait is still there; without the member, the others for the position
/// of that key.
pub(in crate::v3) fn probe(
    operation: &'static str,
    name: &Bytes,
    lease: LeaseId,
    interval: Duration,
) -> Probe {
    // The server grants a lease of its own, which no other client knows.
    if lease == LeaseId::NONE {
        return Probe {
            interval,
            exchange: Box::new(StatusRequest { operation }),
            finding: Box::new(|_| Finding::Waiting),
            queue: None,
        };
    }
    let prefix = [name, &b"/"[..]].concat();
    let key = Bytes::from([&prefix[..], lease.to_string().as_bytes()].concat());
    let position = {
        let key = key.clone();
        Box::new(move |answer: &Answer| position(&key, answer))
    };
    // The key is created after the first probes where the store is slow.
    let was_seen = AtomicBool::new(false);
    Probe {
        interval,
        exchange: Box::new(LeaseProbe {
            operation,
            lease,
            keys: true,
        }),
        finding: Box::new({
            let key = key.clone();
            move |answer| finding(lease, &key, &was_seen, answer)
        }),
        queue: Some(Queue {
            exchange: Box::new(PositionProbe {
                operation,
                prefix: prefix.into(),
                key,
            }),
            position,
            first_reason: FIRST,
        }),
    }
}

/// A lease that is gone holds nothing, and a key that was there is not created again.
fn finding(lease: LeaseId, key: &Bytes, was_seen: &AtomicBool, answer: &Answer) -> Finding {
    if let Some(refusal) = refusal(lease, answer) {
        return Finding::Refused(Box::new(refusal));
    }
    match time_to_live::has_key(answer, key) {
        Some(true) => was_seen.store(true, Relaxed),
        Some(false) if was_seen.load(Relaxed) => {
            let key = String::from_utf8_lossy(key);
            return Finding::Gone(format!(
                "the key {key:?}, with which it waits, was deleted elsewhere"
            ));
        }
        _ => {}
    }
    Finding::Waiting
}

/// The refusal that a response stands for which says that the lease is gone.
pub(super) fn refusal(lease: LeaseId, answer: &Answer) -> Option<Refusal> {
    let is_gone = match &answer.verdict {
        Verdict::Success { .. } => time_to_live::is_gone(answer),
        Verdict::Refused(refusal) => refusal.kind == EtcdErrorKind::LeaseNotFound,
        Verdict::Unsupported { .. } | Verdict::Foreign { .. } => false,
    };
    is_gone.then(|| status::no_lease(lease.get()))
}

/// Why a wait ends whose turn has come at a member that does not respond.
const FIRST: &str = "the member that was asked no longer responds, and the others say that its turn has come: revoke the lease, and \
     begin again with another one";

/// The position of a key in its queue, by when the keys were created.
fn position(key: &Bytes, answer: &Answer) -> Option<QueuePosition> {
    let found: TxnResponse = protocol::decode_success(answer)?;
    if !found.succeeded {
        return Some(QueuePosition::Absent);
    }
    let first = found.range(0)?.first()?;
    Some(if first.key == *key {
        QueuePosition::First
    } else {
        QueuePosition::Behind
    })
}

/// The time to live of a lease, asked for in the name of an operation.
pub(super) struct LeaseProbe {
    pub(super) operation: &'static str,
    pub(super) lease: LeaseId,
    /// Whether to ask for its keys as well.
    pub(super) keys: bool,
}

impl Exchange for LeaseProbe {
    fn call(&self) -> Call {
        protocol::call(self.operation, method::LEASE_TIME_TO_LIVE, Repeat::Always)
    }

    fn encode(&self, wire: Wire) -> Result<Encoded> {
        let question = GetTimeToLive::new(self.lease).keys(self.keys);
        protocol::encode(self.operation, method::LEASE_TIME_TO_LIVE, wire, &question)
    }
}

/// The first key of a queue if another key exists, asked for in the name of an operation.
struct PositionProbe {
    operation: &'static str,
    prefix: Bytes,
    key: Bytes,
}

impl Exchange for PositionProbe {
    fn call(&self) -> Call {
        protocol::call(self.operation, method::TXN, Repeat::Always)
    }

    fn encode(&self, wire: Wire) -> Result<Encoded> {
        let first = Range::new(KeyRange::prefix(self.prefix.clone()))
            .sort(SortTarget::Create, SortOrder::Ascend)
            .limit(1)
            .keys_only(true);
        let question = Txn::new()
            .when(Compare::exists(self.key.clone()))
            .then(first);
        protocol::encode(self.operation, method::TXN, wire, &question)
    }
}
