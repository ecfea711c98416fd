use std::{pin::pin, sync::Arc, time::Duration};

use etcd_transport::{IdleLimit, Transport};
use futures::future::{Either, select};

use crate::v3::lease::keep_alive::held_lease::Lease;
use crate::{
    client::Client,
    error::Result,
    operation::Repeat,
    pipeline::execute::{Failure, Pipeline},
    v3::{
        KeepAliveOnce, LeaseId,
        lease::{KeepAliveResponse, Renewal, Renewed},
        protocol::{gateway, status},
        stream::{connection::is_token_error, message_stream::MessageStream},
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
    ttl.ok_or_else(|| status::lease_not_found(client.pipeline().next_context(NAME)))
}

/// Renews leases in one request, at one endpoint, and tells each what came of it. Returns those that got no answer.
pub(super) async fn renew<T: Transport>(
    client: &Client<T>,
    leases: Vec<Arc<Lease>>,
) -> Vec<Arc<Lease>> {
    let pipeline = client.pipeline();
    let sent = pipeline.transport.now();
    // A lease that slept past its deadline is lost, whatever a server would say of it now.
    let mut waiting = leases;
    waiting.retain(|lease| lease.is_alive(sent));
    let Some(remaining) = waiting.iter().map(|lease| lease.remaining(sent)).min() else {
        return waiting;
    };
    // So that another endpoint can be asked, and one more, before the first of them is lost.
    let limit = (remaining / 3)
        .clamp(SHORTEST, LONGEST)
        .min(pipeline.timeout);
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
    let pipeline = Pipeline {
        timeout: limit,
        ..client.pipeline().clone()
    };
    let bodies = waiting
        .iter()
        .map(|lease| gateway::to_json(&Renewal(lease.id())));
    let body: String = bodies.collect();
    let call = gateway::post(NAME, "/v3/lease/keepalive", Repeat::Always, body)?
        .sequence(waiting.len() > 1);
    let call = within(&pipeline, limit * 2, pipeline.with_token(&call))
        .await?
        .unwrap_or(call);
    let sent = pipeline.transport.now();
    let idle = IdleLimit(limit);
    let mut messages = MessageStream::<T, Renewed>::open(client, call.clone(), idle)?;
    while !waiting.is_empty() {
        let answer = match messages.next_within(limit).await {
            Some(Ok((answer, _))) => KeepAliveResponse::from(answer),
            Some(Err(error)) if is_token_error(&error) => {
                // For the next attempt.
                within(&pipeline, limit * 2, pipeline.with_new_token(call)).await?;
                return Err(error);
            }
            Some(Err(error)) => {
                messages.place().failed(pipeline.transport.now());
                return Err(error);
            }
            None => return Err(messages.unexpected("leases were left without an answer")),
        };
        pipeline.endpoints.answered(messages.place());
        // Answers come in the order of the request.
        if let Some(place) = waiting.iter().position(|lease| lease.id() == answer.id) {
            let lease = waiting.remove(place);
            match answer.ttl {
                Some(ttl) => lease.renewed(sent, ttl, pipeline.transport.now()),
                None => lease.expired(),
            }
        }
    }
    Ok(())
}

/// What is needed on the way, unless it takes longer than this. Others may be fetching the token, and have more time.
async fn within<T: Transport, O>(
    pipeline: &Pipeline<T>,
    limit: Duration,
    work: impl Future<Output = Result<O>>,
) -> Result<O> {
    match select(pin!(work), pipeline.transport.sleep(limit)).await {
        Either::Left((result, _)) => result,
        Either::Right(_) => Err(Failure::TimedOut(limit).into_error(pipeline.next_context(NAME))),
    }
}
