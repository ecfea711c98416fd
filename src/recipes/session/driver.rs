use std::{pin::pin, time::Duration};

use etcd_transport::Transport;
use futures::{
    FutureExt, StreamExt,
    channel::{mpsc::UnboundedReceiver, oneshot},
    future::{BoxFuture, Either, join, select},
};

use super::{Release, revoke};
use crate::{
    recipes::traits::driver,
    v3::{HeldLease, Namespace},
};

/// A future that does the background work of a [`Session`](super::Session): spawn it on any runtime, or poll it beside the work.
///
/// It renews the lease, gives up the keys of guards and waits that were dropped, and revokes the lease when the last handle of
/// the session is dropped. It resolves after that.
#[must_use = "the lease is renewed while the driver is polled"]
pub struct SessionDriver(BoxFuture<'static, ()>);

/// The end of a session.
pub(super) struct Ending<T> {
    /// The lease, when the last handle is dropped. Nothing after `close`.
    pub(super) lease: oneshot::Receiver<HeldLease<T>>,
    /// How long to try to revoke it.
    pub(super) limit: Duration,
}

impl SessionDriver {
    pub(super) fn new<T: Transport>(
        namespace: Namespace<T>,
        renewals: impl Future<Output = ()> + Send + 'static,
        releases: UnboundedReceiver<Release>,
        ending: Ending<T>,
    ) -> Self {
        Self(drive(namespace, renewals, releases, ending).boxed())
    }
}

driver!(SessionDriver);

async fn drive<T: Transport>(
    namespace: Namespace<T>,
    renewals: impl Future<Output = ()> + Send + 'static,
    releases: UnboundedReceiver<Release>,
    ending: Ending<T>,
) {
    let releasing = {
        let namespace = namespace.clone();
        releases.for_each_concurrent(None, move |release| release.execute(namespace.clone()))
    };
    let ending = async move {
        if let Ok(lease) = ending.lease.await {
            let transport = namespace.client().transport();
            // The lease ends by itself otherwise.
            let _ = revoke(lease, transport, ending.limit).await;
        }
    };
    // What is still to be given up goes with the lease.
    match select(pin!(ending), pin!(join(renewals, releasing))).await {
        Either::Left(_) => {}
        Either::Right((_, ending)) => ending.await,
    }
}
