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
    loop {
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
}

impl Connections {
    fn dialing(&mut self, origin: &Arc<Origin>, kind: Kind) -> Shared<Dialing> {
        if let Some(dialing) = self.dialing.as_ref().and_then(WeakShared::upgrade) {
            return dialing;
        }
        let origin = Arc::clone(origin);
        let dialing = async move {
            let connected = connection::connect(&origin).await;
            let mut connections = origin.pool(kind).lock();
            connections.dialing = None;
            connections.open.push(connected.map_err(Arc::new)?);
            Ok(())
        };
        let dialing = dialing.boxed().shared();
        self.dialing = dialing.downgrade();
        dialing
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
