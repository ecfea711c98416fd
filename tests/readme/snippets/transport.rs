use etcd_http::transport::{
    Request, Response, Transport, TransportError, async_trait,
};
use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::{Duration, Instant},
};

#[derive(Debug, Default)]
struct Counted<T> {
    requests: AtomicU64,
    inner: T,
}

#[async_trait]
impl<T: Transport> Transport for Counted<T> {
    async fn send(
        &self,
        request: Request,
    ) -> Result<Response, TransportError> {
        self.requests.fetch_add(1, Ordering::Relaxed);
        self.inner.send(request).await
    }
    async fn sleep(&self, duration: Duration) {
        self.inner.sleep(duration).await;
    }
    fn now(&self) -> Instant {
        self.inner.now()
    }
}
