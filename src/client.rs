use std::{fmt, sync::Arc};

use etcd_transport::Transport;
use futures::stream::BoxStream;
use http::Method;

use crate::{
    ClientBuilder, Endpoint, Health, Operation, RawRequest, Result, ServerVersion, StreamOperation,
    exchange::Road, status, v2::V2, v3::V3,
};

/// A client of one etcd cluster, over any [`Transport`].
///
/// A clone is cheap and shares everything: the connections, what is known of the endpoints, the credentials. Every
/// operation takes `&self`; thousands of tasks may use one client at once.
///
/// Operations are values ([`v2::Set`](crate::v2::Set) and its kin), carried out by [`send`](Self::send) or, where answers
/// keep coming, by [`open`](Self::open). [`v2()`](Self::v2) has a short form for each.
///
/// Dropping the future of an operation cancels it. A write that was under way then may or may not be carried out.
pub struct Client<T> {
    road: Arc<Road<T>>,
}

impl<T: Transport + Default> Client<T> {
    /// A client for these endpoints, over a transport with its default settings. Nothing is sent yet.
    ///
    /// # Errors
    /// [`Error::Invalid`](crate::Error::Invalid) when there is no endpoint, or one is not an `http://` or `https://` URL.
    pub fn connect<E: AsRef<str>>(endpoints: impl IntoIterator<Item = E>) -> Result<Self> {
        Self::new(T::default(), endpoints)
    }
}

impl<T: Transport> Client<T> {
    /// A client for these endpoints, over this transport. Nothing is sent yet.
    ///
    /// # Errors
    /// As for [`connect`](Self::connect).
    pub fn new<E: AsRef<str>>(
        transport: T,
        endpoints: impl IntoIterator<Item = E>,
    ) -> Result<Self> {
        Self::builder(transport).endpoints(endpoints).build()
    }

    /// A client with settings: credentials, time limits, retries.
    pub fn builder(transport: T) -> ClientBuilder<T> {
        ClientBuilder::new(transport)
    }

    /// The v2 API: keys, members, stats, auth. etcd 3.4 and 3.5 have it when started with `--enable-v2`.
    pub fn v2(&self) -> V2<'_, T> {
        V2::new(self)
    }

    /// The v3 API: keys and values, leases, locks, elections, auth, cluster, maintenance. etcd 3.4 and later have it.
    pub fn v3(&self) -> V3<'_, T> {
        V3::new(self)
    }

    /// Carries out one operation.
    ///
    /// # Errors
    /// See [`Error`](crate::Error); what a failed write may have done is in its [`outcome`](crate::Error::outcome).
    pub async fn send<O: Operation>(&self, operation: O) -> Result<O::Output> {
        let call = operation.encode()?;
        operation.decode(self.road.exchange(&call).await?)
    }

    /// Starts an operation whose answers keep coming. Nothing is sent before the stream is polled; dropping it ends it.
    pub fn open<O: StreamOperation>(&self, operation: O) -> BoxStream<'static, Result<O::Item>> {
        operation.open(self)
    }

    /// Any request, on the same road as every other: `client.send(client.request(Method::GET, "/v2/keys/foo"))`, or
    /// with options in between. See [`RawRequest`].
    pub fn request(&self, method: Method, path: impl Into<String>) -> RawRequest {
        RawRequest::new(method, path)
    }

    /// `GET /version`: the versions of the server and of its cluster.
    ///
    /// # Errors
    /// See [`Error`](crate::Error).
    pub async fn version(&self) -> Result<ServerVersion> {
        self.send(status::GetVersion).await
    }

    /// `GET /health`: whether the server can serve. «Not healthy» is an answer, not an error.
    ///
    /// # Errors
    /// See [`Error`](crate::Error).
    pub async fn health(&self) -> Result<Health> {
        self.send(status::GetHealth).await
    }

    /// The endpoints of this client.
    pub fn endpoints(&self) -> impl Iterator<Item = &Endpoint> {
        self.road.endpoints.iter()
    }

    /// The transport below.
    pub fn transport(&self) -> &T {
        &self.road.transport
    }

    pub(crate) fn from_road(road: Road<T>) -> Self {
        Self {
            road: Arc::new(road),
        }
    }

    pub(crate) fn road(&self) -> &Road<T> {
        &self.road
    }
}

impl<T> Clone for Client<T> {
    fn clone(&self) -> Self {
        Self {
            road: Arc::clone(&self.road),
        }
    }
}

impl<T: fmt::Debug> fmt::Debug for Client<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client").field("road", &self.road).finish()
    }
}
