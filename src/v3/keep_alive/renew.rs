use std::{pin::pin, sync::Arc, time::Duration};

use etcd_transport::{IdleLimit, Transport};
use futures::future::{Either, select};
use http::Method;

use super::kept::Lease;
use crate::{
    Call, Client, Error, Operation, Repeat, Reply, Result,
    exchange::Failure,
    operation::sealed::Sealed,
    v3::{
        Header, LeaseId,
        messages::{self, Messages},
        refusal,
        wire::{self, Encode, Fields},
    },
};

/// For one answer, whatever the lease's TTL is: a server that is there answers in less.
const LONGEST: Duration = Duration::from_secs(5);
const SHORTEST: Duration = Duration::from_millis(100);

/// Renews a lease, once: `POST /v3/lease/keepalive`. Its time to live begins anew.
///
/// # Errors
/// [`is_lease_not_found`](crate::Error::is_lease_not_found) when it has expired, was revoked, or never was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use = "an operation does nothing before `Client::send`"]
pub struct KeepAliveOnce {
    id: LeaseId,
}

impl KeepAliveOnce {
    /// Renews this lease.
    pub fn new(id: impl Into<LeaseId>) -> Self {
        Self { id: id.into() }
    }
}

impl Encode for KeepAliveOnce {
    fn fields(&self, to: &mut Fields<'_>) {
        to.put("ID", &self.id);
    }
}

impl Sealed for KeepAliveOnce {}

impl Operation for KeepAliveOnce {
    type Output = KeepAliveResponse;
    const NAME: &'static str = "v3.lease.keep_alive";

    fn encode(&self) -> Result<Call> {
        if self.id.is_none() {
            return Err(Error::invalid(Self::NAME, "there is no lease 0"));
        }
        wire::call(Self::NAME, PATH, Repeat::Always, self)
    }

    fn decode(&self, reply: Reply) -> Result<KeepAliveResponse> {
        let reply = wire::success(reply)?;
        let answer: KeepAliveResponse = messages::only(&reply)?;
        if answer.ttl == 0 {
            return Err(refusal::lease_not_found(reply.site));
        }
        Ok(answer)
    }
}

/// What a renewal did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct KeepAliveResponse {
    /// Who answered.
    pub header: Header,
    /// The lease.
    pub id: LeaseId,
    /// How long it will live from now on, in seconds.
    pub ttl: i64,
}

wire::decode!(KeepAliveResponse {
    "header" => header,
    "ID" => id,
    "TTL" => ttl,
});

/// Renews leases in one request, at one endpoint, and tells each what came of it. Returns those that got no answer.
pub(super) async fn renew<T: Transport>(
    client: &Client<T>,
    leases: Vec<Arc<Lease>>,
) -> Vec<Arc<Lease>> {
    let road = client.road();
    let sent = road.transport.now();
    // A lease that slept past its deadline is lost, whatever a server would say of it now.
    let mut waiting = leases;
    waiting.retain(|lease| lease.is_alive(sent));
    let Some(remaining) = waiting.iter().map(|lease| lease.remaining(sent)).min() else {
        return waiting;
    };
    // So that another endpoint can be asked, and one more, before the first of them is lost.
    let limit = (remaining / 3).clamp(SHORTEST, LONGEST).min(road.timeout);
    let error = match ask(client, &mut waiting, limit).await {
        Ok(()) => return waiting,
        Err(error) => Arc::new(error),
    };
    for lease in &waiting {
        lease.failed(&error);
    }
    waiting
}

/// How long to wait after a renewal that failed, when a lease has so long to live.
pub(super) fn pause(remaining: Duration) -> Duration {
    const LONGEST: Duration = Duration::from_millis(500);
    const SHORTEST: Duration = Duration::from_millis(20);
    (remaining / 4).clamp(SHORTEST, LONGEST)
}

/// The request that renews these leases, and its answers, each of which takes a lease off the list.
async fn ask<T: Transport>(
    client: &Client<T>,
    waiting: &mut Vec<Arc<Lease>>,
    limit: Duration,
) -> Result<()> {
    let road = client.road();
    let bodies = waiting.iter().map(|lease| wire::to_json(&KeepAliveOnce::new(lease.id())));
    let body: String = bodies.collect();
    let path = PATH.to_owned();
    let call = Call::new(KeepAliveOnce::NAME, Method::POST, path, Repeat::Always)?
        .body("application/json", body);
    let sent = road.transport.now();
    let index = road.endpoints.pick(&[], sent);
    let idle = IdleLimit(limit);
    let mut messages = Messages::<T, KeepAliveResponse>::open(client, call, index, idle);
    while !waiting.is_empty() {
        let next = match select(pin!(messages.next()), road.transport.sleep(limit)).await {
            Either::Left((next, _)) => Some(next),
            Either::Right(_) => None,
        };
        let next = next.unwrap_or_else(|| {
            Some(Err(Failure::TimedOut(limit).into_error(messages.site())))
        });
        let answer = match next {
            Some(Ok((answer, _))) => answer,
            Some(Err(error)) => {
                road.endpoints.failed(index, road.transport.now());
                return Err(error);
            }
            None => return Err(messages.unexpected("leases were left without an answer")),
        };
        road.endpoints.answered(index);
        // Answers come in the order of the request.
        if let Some(place) = waiting.iter().position(|lease| lease.id() == answer.id) {
            let lease = waiting.remove(place);
            match u64::try_from(answer.ttl) {
                Ok(seconds) if seconds > 0 => {
                    lease.renewed(sent, Duration::from_secs(seconds), road.transport.now());
                }
                _ => lease.expired(),
            }
        }
    }
    Ok(())
}

const PATH: &str = "/v3/lease/keepalive";
