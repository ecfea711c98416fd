use std::time::Duration;

use crate::{
    endpoints::wire::Wire,
    error::{EtcdErrorKind, Refusal, Result},
    pipeline::{
        answer::{Answer, Verdict},
        call::{Call, Repeat},
        exchange::{Encoded, Exchange},
        probe::Probe,
    },
    v3::{
        LeaseId,
        lease::{GetTimeToLive, time_to_live::is_gone},
        protocol::{self, method, status},
        stream::probe::StatusProbe,
    },
};

/// The silence limit of calls that wait, if it is not set.
pub(in crate::v3) const SILENCE_LIMIT: Duration = Duration::from_secs(10);

/// What to ask of a member at which an operation waits with this lease: whether the member is alive, and whether the lease
/// is.
pub(in crate::v3) fn probe(operation: &'static str, lease: LeaseId, interval: Duration) -> Probe {
    if lease == LeaseId::NONE {
        return Probe {
            interval,
            exchange: Box::new(StatusProbe { operation }),
            refusal: |_| None,
        };
    }
    Probe {
        interval,
        exchange: Box::new(LeaseProbe { operation, lease }),
        refusal,
    }
}

/// A lease that is gone holds nothing.
fn refusal(answer: &Answer) -> Option<Refusal> {
    let is_gone = match &answer.verdict {
        Verdict::Success { .. } => is_gone(answer),
        Verdict::Refused(refusal) => refusal.kind == EtcdErrorKind::LeaseNotFound,
        Verdict::Unsupported { .. } | Verdict::Foreign => false,
    };
    is_gone.then(status::no_lease)
}

/// The time to live of a lease, asked for in the name of an operation.
struct LeaseProbe {
    operation: &'static str,
    lease: LeaseId,
}

impl Exchange for LeaseProbe {
    fn call(&self) -> Call {
        protocol::call(self.operation, method::LEASE_TIME_TO_LIVE, Repeat::Always)
    }

    fn encode(&self, wire: Wire) -> Result<Encoded> {
        let question = GetTimeToLive::new(self.lease);
        protocol::encode(self.operation, method::LEASE_TIME_TO_LIVE, wire, &question)
    }
}
