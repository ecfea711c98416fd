//! HTTP/2: few connections, each with many streams.

mod batched;
mod connection;
mod exchange;
mod monitor;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use arc_swap::ArcSwap;
use etcd_transport::{Request, Response, TransportError};
use futures::{
    FutureExt,
    future::{BoxFuture, Shared, WeakShared},
};

use tokio::task::AbortHandle;

use self::connection::{Connection, StreamLease};
use crate::{failure, origin::Origin, runtime};

/// The connections to one server for one kind of requests.
#[derive(Default)]
pub(crate) struct Pool {
    /// Requests read it without a lock.
    open: ArcSwap<Vec<Arc<Connection>>>,
    /// The connection that is being made. It is dropped with the last request that waits for it.
    dialing: Mutex<Option<WeakShared<Dialing>>>,
}

type Dialing = BoxFuture<'static, Result<(), Arc<TransportError>>>;

/// Which of a server's pools.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Usual,
    LongLived,
}

/// Sends a request over HTTP/2.
pub(crate) async fn send(
    origin: Arc<Origin>,
    kind: Kind,
    request: Request,
) -> Result<Response, TransportError> {
    runtime::check()?;
    let stream = match origin.pool(kind).lease() {
        Some(stream) => stream,
        // Boxed, so that a request for which there is a connection does not pay for the larger future.
        None => Box::pin(lease(&origin, kind)).await?,
    };
    exchange::open(stream, request)?.response().await
}

/// Returns a place for a stream on a connection that has room: where the server's limit is reached, on another one.
async fn lease(origin: &Arc<Origin>, kind: Kind) -> Result<StreamLease, TransportError> {
    let pool = origin.pool(kind);
    for _ in 0..MAX_DIALS {
        if let Some(stream) = pool.lease() {
            return Ok(stream);
        }
        let dialing = {
            let mut dialing = pool.lock();
            // It may have been made just now.
            if let Some(stream) = pool.lease() {
                return Ok(stream);
            }
            join(&mut dialing, origin, kind)
        };
        // All that wait share one connection, and its failure.
        dialing.await.map_err(failure::shared)?;
    }
    Err(TransportError::unprocessed(
        "the server allows too few streams on a connection",
    ))
}

/// Returns the connection that is being made, or makes one.
fn join(
    current: &mut Option<WeakShared<Dialing>>,
    origin: &Arc<Origin>,
    kind: Kind,
) -> Shared<Dialing> {
    if let Some(dialing) = current.as_ref().and_then(WeakShared::upgrade) {
        return dialing;
    }
    let origin = Arc::clone(origin);
    // A task, as those that wait may run in several runtimes, and each of these may end.
    let dialed = tokio::spawn(async move {
        let connected = connection::connect(&origin).await;
        let pool = origin.pool(kind);
        let mut dialing = pool.lock();
        *dialing = None;
        pool.add(&connected.map_err(Arc::new)?);
        Ok(())
    });
    let dialing = async move {
        let _abort = AbortOnDrop(dialed.abort_handle());
        dialed.await.unwrap_or_else(|error| {
            // Its runtime has ended.
            Err(Arc::new(TransportError::unprocessed(error)))
        })
    };
    let dialing = dialing.boxed().shared();
    *current = dialing.downgrade();
    dialing
}

/// Ends a task that nobody waits for.
struct AbortOnDrop(AbortHandle);

impl Drop for AbortOnDrop {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Origin {
    fn pool(&self, kind: Kind) -> &Pool {
        match kind {
            Kind::Usual => &self.http2,
            Kind::LongLived => &self.http2_long_lived,
        }
    }
}

impl Pool {
    /// Takes a place for a stream, if a connection has room.
    fn lease(&self) -> Option<StreamLease> {
        let open = self.open.load();
        if open.iter().any(|connection| connection.is_closed()) {
            self.forget_closed();
        }
        open.iter().find_map(Connection::lease)
    }

    fn forget_closed(&self) {
        self.open.rcu(|open| {
            let open = open.iter().filter(|connection| !connection.is_closed());
            open.cloned().collect::<Vec<_>>()
        });
    }

    fn add(&self, connection: &Arc<Connection>) {
        self.open.rcu(|open| {
            let open = open.iter().chain([connection]);
            open.cloned().collect::<Vec<_>>()
        });
    }

    fn lock(&self) -> MutexGuard<'_, Option<WeakShared<Dialing>>> {
        self.dialing.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// How many connections are made for one request: others may take the places on each.
const MAX_DIALS: usize = 100;
