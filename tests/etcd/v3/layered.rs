//! A transport over a `tower::Service`: hyper-util's client with layers.

use std::time::{Duration, Instant};

use etcd_http::{
    tower::{HttpService, TowerTransport},
    transport::{Request, Response, Transport, TransportError, async_trait},
};
use hyper_util::{client::legacy::Client, rt::TokioExecutor};
use tower::ServiceBuilder;

/// As a program builds it, with a default for the tests.
#[derive(Debug)]
pub(crate) struct Layered(TowerTransport);

impl Default for Layered {
    fn default() -> Self {
        let transport = TowerTransport::new(service(false), tokio::time::sleep);
        Self(transport.with_http2(|| service(true)))
    }
}

fn service(is_http2: bool) -> impl HttpService {
    let client = Client::builder(TokioExecutor::new())
        .http2_only(is_http2)
        .build_http();
    ServiceBuilder::new()
        .concurrency_limit(100)
        .timeout(Duration::from_secs(60))
        .service(client)
}

#[async_trait]
impl Transport for Layered {
    async fn send(&self, request: Request) -> Result<Response, TransportError> {
        self.0.send(request).await
    }

    async fn sleep(&self, duration: Duration) {
        self.0.sleep(duration).await;
    }

    fn now(&self) -> Instant {
        self.0.now()
    }
}
