//! HTTP/2: few connections, each with many streams.

mod connection;
mod exchange;
mod monitor;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use etcd_transport::{Request, Response, TransportError};
use futures::{
    FutureExt,
    future::{BoxFuture, Shared, WeakShared},
};

use tokio::task::AbortHandle;

use self::connection::{Connection, StreamLease};
use crate::{failure, origin::Origin};

/// The connections to one server for one kind of requests.
#[derive(Default)]
pub(crate) struct Pool(Mutex<Connections>);

#[derive(Default)]
struct Connections {
    open: Vec<Arc<Connection>>,
    /// The connection that is being made. It is dropped with the last request that waits for it.
    dialing: Option<WeakShared<Dialing>>,
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
    origin: &Arc<Origin>,
    kind: Kind,
    request: Request,
) -> Result<Response, TransportError> {
    let stream = lease(origin, kind).await?;
    exchange::send(stream, request).await
}

/// Returns a place for a stream on a connection that has room: where the server's limit is reached, on another one.
async fn lease(origin: &Arc<Origin>, kind: Kind) -> Result<StreamLease, TransportError> {
    for _ in 0..MAX_DIALS {
        let dialing = {
            let mut connections = origin.pool(kind).lock();
            connections
                .open
                .retain(|connection| !connection.is_closed());
            if let Some(stream) = connections.open.iter().find_map(Connection::lease) {
                return Ok(stream);
            }
            connections.dialing(origin, kind)
        };
        // All that wait share one connection, and its failure.
        dialing.await.map_err(failure::shared)?;
    }
    Err(TransportError::unprocessed(
        "the server allows too few streams on a connection",
    ))
}

impl Connections {
    fn dialing(&mut self, origin: &Arc<Origin>, kind: Kind) -> Shared<Dialing> {
        if let Some(dialing) = self.dialing.as_ref().and_then(WeakShared::upgrade) {
            return dialing;
        }
        let origin = Arc::clone(origin);
        // A task, as those that wait may run in several runtimes, and each of these may end.
        let dialed = tokio::spawn(async move {
            let connected = connection::connect(&origin).await;
            let mut connections = origin.pool(kind).lock();
            connections.dialing = None;
            connections.open.push(connected.map_err(Arc::new)?);
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
        self.dialing = dialing.downgrade();
        dialing
    }
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
    fn lock(&self) -> MutexGuard<'_, Connections> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// How many connections are made for one request: others may take the places on each.
const MAX_DIALS: usize = 100;
