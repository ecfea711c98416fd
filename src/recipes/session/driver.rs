use std::{pin::pin, sync::Weak, time::Duration};

use etcd_transport::Transport;
use futures::{
    FutureExt, StreamExt,
    channel::{mpsc::UnboundedReceiver, oneshot},
    future::{BoxFuture, Either, join, select},
};

use super::{Inner, Release, Session, revoke};
use crate::{
    pipeline::lifecycle::OpenSession,
    recipes::traits::driver,
    v3::{HeldLease, Namespace},
};

/// A future that does the background work of a [`Session`](super::Session): spawn it on any runtime, or poll it beside the work.
///
/// It renews the lease, gives up the keys of guards and waits that were dropped, and revokes the lease when the last handle of
/// the session is dropped, or when the client is [closed](crate::Client::close). It resolves after that.
#[must_use = "the lease is renewed while the driver is polled"]
pub struct SessionDriver(BoxFuture<'static, ()>);

/// The end of a session.
pub(super) struct Ending<T> {
    /// The lease, when the last handle is dropped. Nothing after `close` has succeeded.
    pub(super) lease: oneshot::Receiver<HeldLease<T>>,
    /// How long to try to revoke it.
    pub(super) limit: Duration,
}

impl SessionDriver {
    pub(super) fn new<T: Transport>(
        namespace: Namespace<T>,
        open: OpenSession,
        renewals: impl Future<Output = ()> + Send + 'static,
        releases: UnboundedReceiver<Release>,
        ending: Ending<T>,
        session: Weak<Inner<T>>,
    ) -> Self {
        let closing = namespace.client().pipeline().lifecycle.ended(false);
        let driving = drive(namespace, renewals, releases, ending);
        let driving = async move {
            let driving = pin!(driving);
            if let Either::Right(((), driving)) = select(driving, pin!(closing)).await {
                // Whether the lease is revoked here or by the last handle, the driver ends after it.
                match session.upgrade() {
                    Some(inner) => drop(Session { inner }.close().await),
                    None => driving.await,
                }
            }
            drop(open);
        };
        Self(driving.boxed())
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
