use std::{
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    task::{Context, Poll},
    time::{Duration, Instant},
};

use etcd_transport::Transport;
use futures::{
    FutureExt,
    future::{BoxFuture, Either},
};

use crate::{
    client::Client,
    endpoints::{
        idle::{Clock, IdleWait},
        liveness::LivenessCheck,
        state::EndpointState,
    },
    v3::stream::silence::Silence,
};

/// Resolves when a stream has been silent for its time. Streams whose servers are asked share the timer of their endpoint; those
/// that need not be told that it is alive are passed over.
pub(super) struct Quiet<'a, T: Transport> {
    silence: &'a mut Silence,
    /// A part of a message has arrived: whether the rest follows is seen after each silence.
    is_partial: Arc<AtomicBool>,
    wait: Wait<'a, T>,
}

type Wait<'a, T> = Either<IdleWait<EndpointClock<'a, T>>, BoxFuture<'a, ()>>;

impl<'a, T: Transport> Quiet<'a, T> {
    /// A silence that goes on. `must_be_told`: the stream has something to do when the server was alive.
    pub(super) fn new(
        client: &'a Client<T>,
        endpoint: &EndpointState,
        silence: &'a mut Silence,
        is_partial: Arc<AtomicBool>,
        must_be_told: bool,
    ) -> Self {
        let now = client.transport().now();
        let left = silence.left(now);
        let wait = match (silence.probing(), now.checked_add(left)) {
            (Some((limit, silences)), Some(due)) => {
                let silences = if must_be_told { 0 } else { silences };
                let clock = EndpointClock {
                    client,
                    endpoint: endpoint.clone(),
                };
                Either::Left(endpoint.idle().wait(due, limit, silences, clock))
            }
            _ => Either::Right(client.transport().sleep(left)),
        };
        Self {
            silence,
            is_partial,
            wait,
        }
    }
}

impl<T: Transport> Future for Quiet<'_, T> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        if let Either::Left(wait) = &self.wait
            && self.is_partial.load(Relaxed)
        {
            wait.must_be_told();
        }
        self.wait.poll_unpin(cx)
    }
}

impl<T: Transport> Drop for Quiet<'_, T> {
    fn drop(&mut self) {
        if let Either::Left(wait) = &self.wait {
            self.silence.passed(wait.silences());
        }
    }
}

/// The transport's clock, and what is known of an endpoint.
struct EndpointClock<'a, T> {
    client: &'a Client<T>,
    endpoint: EndpointState,
}

impl<T: Transport> Clock for EndpointClock<'_, T> {
    fn now(&self) -> Instant {
        self.client.transport().now()
    }

    fn sleep(&self, duration: Duration) -> BoxFuture<'static, ()> {
        let client = self.client.clone();
        async move { client.transport().sleep(duration).await }.boxed()
    }

    fn liveness(&self, now: Instant, limit: Duration) -> LivenessCheck {
        self.endpoint.peek_liveness(now, limit)
    }
}
