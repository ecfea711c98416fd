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

use tokio::{runtime::Id, task::AbortHandle};

use self::connection::{Connection, StreamLease};
use crate::{failure, origin::Origin, runtime};

/// The connections to one server for one kind of requests.
#[derive(Default)]
pub(crate) struct Pool {
    /// Requests read it without a lock.
    open: ArcSwap<Vec<Arc<Connection>>>,
    /// The connections that are being made, one in a runtime. Each is dropped with the last request that waits for it.
    dialing: Mutex<Vec<(Id, WeakShared<Dialing>)>>,
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
    let runtime = runtime::current()?;
    let stream = match origin.pool(kind).lease(runtime) {
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
        let runtime = runtime::current()?;
        if let Some(stream) = pool.lease(runtime) {
            return Ok(stream);
        }
        let dialing = {
            let mut dialing = pool.lock();
            // It may have been made just now.
            if let Some(stream) = pool.lease(runtime) {
                return Ok(stream);
            }
            join(&mut dialing, origin, kind, runtime)
        };
        // All that wait share one connection, and its failure.
        dialing.await.map_err(failure::shared)?;
    }
    Err(TransportError::unprocessed(
        "the server allows too few streams on a connection",
    ))
}

/// Returns the connection that is being made in this runtime, or makes one.
fn join(
    current: &mut Vec<(Id, WeakShared<Dialing>)>,
    origin: &Arc<Origin>,
    kind: Kind,
    runtime: Id,
) -> Shared<Dialing> {
    let here = current.iter().find(|(id, _)| *id == runtime);
    if let Some(dialing) = here.and_then(|(_, dialing)| dialing.upgrade()) {
        return dialing;
    }
    // Nobody waits for the others any more.
    current.retain(|(_, dialing)| dialing.upgrade().is_some());
    let origin = Arc::clone(origin);
    // A task, as those that wait may go on in another runtime, and this one may end.
    let dialed = tokio::spawn(async move {
        let connected = connection::connect(&origin, runtime).await;
        let pool = origin.pool(kind);
        let mut dialing = pool.lock();
        dialing.retain(|(id, _)| *id != runtime);
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
    current.extend(dialing.downgrade().map(|dialing| (runtime, dialing)));
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
    /// Takes a place for a stream, if a connection of this runtime has room.
    fn lease(&self, runtime: Id) -> Option<StreamLease> {
        let open = self.open.load();
        if open.iter().any(|connection| connection.is_closed()) {
            self.forget_closed();
        }
        open.iter()
            .filter(|connection| connection.runtime == runtime)
            .find_map(Connection::lease)
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

    fn lock(&self) -> MutexGuard<'_, Vec<(Id, WeakShared<Dialing>)>> {
        self.dialing.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// How many connections are made for one request: others may take the places on each.
const MAX_DIALS: usize = 100;
