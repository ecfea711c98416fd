use std::{sync::Arc, time::Duration};

use etcd_transport::Transport;

use crate::{
    client::Client,
    error::Result,
    pipeline::expiry::attempt_limit_before_expiry,
    v3::{
        KeepAliveOnce, LeaseId,
        lease::{KeepAliveResponse, Renewal, Renewed, keep_alive::lease_state::Lease},
        protocol::{method, status},
        stream::{
            connection::{Connection, ConnectionOptions, Loss, Received},
            open::StreamCall,
            silence::SilenceLimit,
        },
    },
};

/// The operation's name in errors.
pub(super) const NAME: &str = "v3.lease.keep_alive";

/// Renews one lease by a call of its own.
pub(super) async fn once<T: Transport>(client: &Client<T>, id: LeaseId) -> Result<Duration> {
    let renewed = client.send(KeepAliveOnce::new(id)).await?;
    let ttl = renewed.first().and_then(|renewed| renewed.ttl);
    ttl.ok_or_else(|| status::lease_not_found(client.pipeline().next_context(NAME), id.get()))
}

/// Renews leases in one request to one endpoint, and records the result in each. Returns those without a response.
pub(super) async fn renew<T: Transport>(
    client: &Client<T>,
    leases: Vec<Arc<Lease>>,
) -> Vec<Arc<Lease>> {
    let pipeline = client.pipeline();
    let sent = pipeline.transport.now();
    // A lease whose deadline has passed is lost, whatever a server would respond now.
    let mut waiting = leases;
    waiting.retain(|lease| lease.is_alive(sent));
    let Some(remaining) = waiting.iter().map(|lease| lease.remaining(sent)).min() else {
        return waiting;
    };
    let limit = attempt_limit_before_expiry(remaining, pipeline.timeout);
    if let Err(error) = ask(client, &mut waiting, limit).await {
        for lease in &waiting {
            lease.failed(&error);
        }
    }
    waiting
}

/// Sends the request that renews these leases. Each response takes a lease off the list.
async fn ask<T: Transport>(
    client: &Client<T>,
    waiting: &mut Vec<Arc<Lease>>,
    limit: Duration,
) -> Result<()> {
    // An endpoint that is silent when a token is fetched must not cost the lease.
    let client = client.with_timeout(limit);
    let options = ConnectionOptions {
        call: StreamCall {
            operation: NAME,
            method: method::LEASE_KEEP_ALIVE,
            require_leader: false,
        },
        // The next attempt is a new request, for what is left.
        outage_limit: Duration::ZERO,
        silence: SilenceLimit::Fail(limit),
        expect_within: None,
        sends_state_first: false,
        token_limit: Some(limit * 2),
        is_duplex: false,
        has_worked: false,
    };
    let mut connection = Connection::<T, Renewal, Renewed>::new(&client, options);
    let mut sent = client.transport().now();
    while !waiting.is_empty() {
        let request = || {
            sent = client.transport().now();
            waiting.iter().map(|lease| Renewal(lease.id())).collect()
        };
        let response = match connection.recv(request).await {
            Received::Message(response, _) => KeepAliveResponse::from(response),
            Received::Lost(Loss::Ended(_)) => {
                return Err(connection.unexpected("some leases got no response"));
            }
            Received::Lost(loss) => {
                let endpoint = connection.endpoint().cloned();
                let Err(error) = connection.recover(loss) else {
                    continue;
                };
                // Whatever the reason, another endpoint may succeed.
                if let Some(endpoint) = endpoint.filter(|_| !error.is_retryable()) {
                    endpoint.failed(client.transport().now());
                }
                return Err(error);
            }
        };
        connection.settled();
        // Responses arrive in the order of the request.
        if let Some(position) = waiting.iter().position(|lease| lease.id() == response.id) {
            let lease = waiting.remove(position);
            match response.ttl {
                Some(ttl) => lease.renewed(sent, ttl, client.transport().now()),
                None => lease.expired(),
            }
        }
    }
    Ok(())
}
