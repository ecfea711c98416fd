use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use async_trait::async_trait;
use etcd_transport::{Request, Response, Transport, TransportError};
use http::Version;

use super::{
    exchange, grpc,
    http1::{self, Http1Call},
};
use crate::{
    cluster::{clock::nanos, sleep::Sleep},
    fake::FakeEtcd,
};

#[async_trait]
impl Transport for FakeEtcd {
    async fn send(&self, request: Request) -> Result<Response, TransportError> {
        check(&request)?;
        if request.version() == Version::HTTP_2 {
            // Boxed, as below: a request over HTTP/1.1 with a complete body does not pay for the larger future.
            let call = grpc::begin(&self.shared, request);
            return Box::pin(grpc::answer(&self.shared, call)).await;
        }
        let (head, body) = request.into_parts();
        let body = match body.try_into_bytes() {
            Ok(body) => body,
            Err(body) => Box::pin(http1::read(body)).await?,
        };
        exchange::answer(&self.shared, &mut Http1Call::new(&head, body)).await
    }

    async fn sleep(&self, duration: Duration) {
        let now = self.shared.with(|core| core.time.elapsed);
        let due = now.saturating_add(nanos(duration));
        Sleep::until(Arc::clone(&self.shared), due).await;
    }

    fn now(&self) -> Instant {
        self.shared.origin + self.elapsed()
    }
}

/// Rejects what no front serves.
fn check(request: &Request) -> Result<(), TransportError> {
    if !matches!(request.uri().scheme_str(), Some("http" | "https")) {
        return Err(TransportError::rejected("the URI is not http or https"));
    }
    Ok(())
}
