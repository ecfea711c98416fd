use std::{pin::pin, sync::Arc, time::Duration};

use etcd_transport::{IdleLimit, Transport};
use futures::future::{Either, select};

use super::kept::Lease;
use crate::{
    Client, Repeat, Result,
    exchange::{Failure, Road},
    v3::{
        KeepAliveOnce, LeaseId,
        lease::{KeptAlive, Renewal, Renewed},
        link::is_of_the_token,
        messages::Messages,
        refusal, wire,
    },
};

/// For one answer, whatever the lease's TTL is: a server that is there answers in less.
const LONGEST: Duration = Duration::from_secs(5);
const SHORTEST: Duration = Duration::from_millis(100);

/// The operation's name in errors.
pub(super) const NAME: &str = "v3.lease.keep_alive";

/// Renews one lease, as any other call is made.
pub(super) async fn once<T: Transport>(client: &Client<T>, id: LeaseId) -> Result<Duration> {
    let renewed = client.send(KeepAliveOnce::new(id)).await?;
    let ttl = renewed.first().and_then(|renewed| renewed.ttl);
    ttl.ok_or_else(|| refusal::lease_not_found(client.road().next_site(NAME)))
}

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
    if let Err(error) = ask(client, &mut waiting, limit).await {
        for lease in &waiting {
            lease.failed(&error);
        }
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
    // Where a token has to be fetched an endpoint that is silent is not to cost the lease.
    let road = Road {
        timeout: limit,
        ..client.road().clone()
    };
    let bodies = waiting
        .iter()
        .map(|lease| wire::to_json(&Renewal(lease.id())));
    let body: String = bodies.collect();
    let call =
        wire::post(NAME, "/v3/lease/keepalive", Repeat::Always, body)?.sequence(waiting.len() > 1);
    let call = within(&road, limit * 2, road.with_token(&call))
        .await?
        .unwrap_or(call);
    let sent = road.transport.now();
    let idle = IdleLimit(limit);
    let mut messages = Messages::<T, Renewed>::open(client, call.clone(), idle)?;
    while !waiting.is_empty() {
        let answer = match messages.next_within(limit).await {
            Some(Ok((answer, _))) => KeptAlive::from(answer),
            Some(Err(error)) if is_of_the_token(&error) => {
                // For the next attempt.
                within(&road, limit * 2, road.with_new_token(call)).await?;
                return Err(error);
            }
            Some(Err(error)) => {
                messages.place().failed(road.transport.now());
                return Err(error);
            }
            None => return Err(messages.unexpected("leases were left without an answer")),
        };
        road.endpoints.answered(messages.place());
        // Answers come in the order of the request.
        if let Some(place) = waiting.iter().position(|lease| lease.id() == answer.id) {
            let lease = waiting.remove(place);
            match answer.ttl {
                Some(ttl) => lease.renewed(sent, ttl, road.transport.now()),
                None => lease.expired(),
            }
        }
    }
    Ok(())
}

/// What is needed on the way, unless it takes longer than this. Others may be fetching the token, and have more time.
async fn within<T: Transport, O>(
    road: &Road<T>,
    limit: Duration,
    work: impl Future<Output = Result<O>>,
) -> Result<O> {
    match select(pin!(work), road.transport.sleep(limit)).await {
        Either::Left((result, _)) => result,
        Either::Right(_) => Err(Failure::TimedOut(limit).into_error(road.next_site(NAME))),
    }
}
