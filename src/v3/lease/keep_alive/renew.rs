use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

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
            connection::{Connection, ConnectionOptions, DuplexUse, Loss, Received},
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

/// The request that stays open from one renewal to the next, by gRPC: one for all leases of a keeper.
pub(super) struct OpenRequest<T>(Arc<Mutex<Option<Renewals<T>>>>);

type Renewals<T> = Connection<T, Renewal, Renewed>;

impl<T> OpenRequest<T> {
    /// None is open yet.
    pub(super) fn new() -> Self {
        Self(Arc::default())
    }

    fn slot(&self) -> MutexGuard<'_, Option<Renewals<T>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T> Clone for OpenRequest<T> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

/// Renews leases at one endpoint, on the open request or in one of its own, and records the result in each. Returns those
/// without a response.
pub(super) async fn renew<T: Transport>(
    client: &Client<T>,
    open: OpenRequest<T>,
    leases: Vec<Arc<Lease>>,
) -> Vec<Arc<Lease>> {
    let pipeline = client.pipeline();
    let sent = pipeline.transport.now();
    // A lease whose deadline has passed is lost, whatever a server would respond now.
    let mut waiting = leases;
    waiting.retain(|lease| lease.is_alive(sent));
    let remaining = || waiting.iter().map(|lease| lease.remaining(sent));
    let (Some(shortest), Some(longest)) = (remaining().min(), remaining().max()) else {
        return waiting;
    };
    let limit = attempt_limit_before_expiry(shortest, pipeline.timeout);
    // An endpoint that is silent when a token is fetched must not cost the lease.
    let client = client.with_timeout(limit);
    let options = options(limit, longest);
    let taken = open.slot().take();
    let mut renewals = taken.unwrap_or_else(|| Connection::new(&client, options));
    renewals.begin(&client, options);
    if let Err(error) = ask(&client, &mut renewals, &mut waiting).await {
        renewals.close();
        for lease in &waiting {
            lease.failed(&error);
        }
    }
    open.slot().get_or_insert(renewals);
    waiting
}

/// How leases are renewed by a request to be answered within this time, the longest of which has so much left.
fn options(limit: Duration, longest: Duration) -> ConnectionOptions {
    ConnectionOptions {
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
        duplex: DuplexUse::Exchanges(longest),
        has_worked: false,
    }
}

/// Sends the messages that renew these leases. Each response takes a lease off the list.
async fn ask<T: Transport>(
    client: &Client<T>,
    renewals: &mut Renewals<T>,
    waiting: &mut Vec<Arc<Lease>>,
) -> Result<()> {
    let messages = |waiting: &[Arc<Lease>]| -> Vec<Renewal> {
        waiting.iter().map(|lease| Renewal(lease.id())).collect()
    };
    let mut sent = client.transport().now();
    // What has happened to it while it rested says nothing about its endpoint now.
    let mut has_rested = renewals.send(&messages(waiting));
    while !waiting.is_empty() {
        let request = || {
            sent = client.transport().now();
            messages(waiting)
        };
        let response = match renewals.recv(request).await {
            Received::Message(response, _) => KeepAliveResponse::from(response),
            Received::Lost(loss) if has_rested && !loss.is_timeout() => {
                has_rested = false;
                renewals.close();
                continue;
            }
            Received::Lost(Loss::Ended(_)) => {
                return Err(renewals.unexpected("some leases got no response"));
            }
            Received::Lost(loss) => {
                let endpoint = renewals.endpoint().cloned();
                let Err(error) = renewals.recover(loss) else {
                    continue;
                };
                // Whatever the reason, another endpoint may succeed.
                if let Some(endpoint) = endpoint.filter(|_| !error.is_retryable()) {
                    endpoint.failed(client.transport().now());
                }
                return Err(error);
            }
        };
        has_rested = false;
        renewals.settled();
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
