use std::{
    error::Error,
    future::poll_fn,
    pin::Pin,
    sync::{Mutex, PoisonError},
};

use etcd_transport::{Body, Request, Response, http};
use tower_service::Service;

use crate::body;

/// A service that carries HTTP requests: implemented for every [`Service`] of `http::Request<Body>` that responds with an
/// `http::Response`, and can be cloned.
///
/// `Body` is [`etcd_transport::Body`], which implements [`http_body::Body`] and is not `Sync`. A service that takes bodies of another
/// type gets them from `ServiceExt::map_request` of the crate tower.
pub trait HttpService:
    Service<
        http::Request<Body>,
        Response = http::Response<<Self as HttpService>::ResponseBody>,
        Error: Into<Box<dyn Error + Send + Sync>>,
        Future: Send,
    > + Clone
    + Send
    + 'static
{
    /// The body of its responses.
    type ResponseBody: http_body::Body<Data: Send, Error: Into<Box<dyn Error + Send + Sync>>>
        + Send
        + 'static;
}

impl<S, B> HttpService for S
where
    S: Service<http::Request<Body>, Response = http::Response<B>> + Clone + Send + 'static,
    S::Error: Into<Box<dyn Error + Send + Sync>>,
    S::Future: Send,
    B: http_body::Body<Data: Send, Error: Into<Box<dyn Error + Send + Sync>>> + Send + 'static,
{
    type ResponseBody = B;
}

/// A service of any type, which is called without exclusive access.
pub(crate) struct BoxService(Box<dyn Call>);

/// The error of a service, and what it says about the request.
pub(crate) enum Failure {
    /// The service did not become ready, and was not called.
    NotReady(Box<dyn Error + Send + Sync>),
    Called(Box<dyn Error + Send + Sync>),
}

trait Call: Send + Sync {
    fn call(&self, request: Request) -> ResponseFuture<'_>;
}

type ResponseFuture<'a> = Pin<Box<dyn Future<Output = Result<Response, Failure>> + Send + 'a>>;

impl BoxService {
    pub(crate) fn new(service: impl HttpService) -> Self {
        Self(Box::new(Cloned(Mutex::new(service))))
    }

    /// Waits until the service is ready, and sends the request.
    pub(crate) fn send(&self, request: Request) -> ResponseFuture<'_> {
        self.0.call(request)
    }
}

/// Calls a clone of the service for each request: a call borrows it mutably, and not every service is `Sync`.
struct Cloned<S>(Mutex<S>);

impl<S: HttpService> Call for Cloned<S> {
    fn call(&self, request: Request) -> ResponseFuture<'_> {
        Box::pin(async move {
            // The lock ends with the statement.
            let mut service = self
                .0
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .clone();
            let ready = poll_fn(|cx| service.poll_ready(cx)).await;
            ready.map_err(|error| Failure::NotReady(error.into()))?;
            let response = service.call(request).await;
            let response = response.map_err(|error| Failure::Called(error.into()))?;
            Ok(response.map(body::incoming))
        })
    }
}
