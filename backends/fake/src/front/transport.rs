use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use async_trait::async_trait;
use etcd_transport::{Request, Response, Transport, TransportError};
use http::Version;

use super::http1;
use crate::{
    cluster::{clock::nanos, sleep::Sleep},
    fake::FakeEtcd,
};

#[async_trait]
impl Transport for FakeEtcd {
    async fn send(&self, request: Request) -> Result<Response, TransportError> {
        check(&request)?;
        http1::send(&self.shared, request).await
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
    if request.version() == Version::HTTP_2 {
        // etcd serves nothing else over HTTP/2 without TLS: it answers 415 (3.5) or resets the stream (3.4).
        return Err(TransportError::rejected(
            "HTTP/2 is for gRPC, which the fake does not serve",
        ));
    }
    Ok(())
}
