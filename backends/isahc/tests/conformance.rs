//! The contract of `etcd-transport` over isahc, without tokio, and with isahc's limits.

use std::time::{Duration, Instant};

use etcd_transport::{
    IdleLimit, LongLived, Request, Response, Transport, TransportError, async_trait,
};
use etcd_transport_conformance::Limits;
use etcd_transport_isahc::IsahcTransport;

/// The README of the crate says why.
const LIMITS: Limits = Limits::strict()
    .head_with_first_byte()
    .fresh_connections_for_writes_without_body()
    .resends_reads()
    .refuses_odd_headers()
    .joins_trailers()
    .half_duplex()
    .cannot_tell_unprocessed()
    .takes_a_cut_head();

etcd_transport_conformance::test_suite!(
    IsahcTransport::default(),
    futures::executor::block_on,
    LIMITS,
);

/// Without idle limits, and not long-lived, requests share a client: as usual calls do, and watches if there are too many.
mod shared {
    use super::*;

    #[derive(Debug)]
    struct Shared(IsahcTransport);

    impl Default for Shared {
        fn default() -> Self {
            Self(IsahcTransport::default().with_idle_limit(Duration::from_secs(3)))
        }
    }

    #[async_trait]
    impl Transport for Shared {
        async fn send(&self, mut request: Request) -> Result<Response, TransportError> {
            request.extensions_mut().remove::<IdleLimit>();
            request.extensions_mut().remove::<LongLived>();
            self.0.send(request).await
        }

        async fn sleep(&self, duration: Duration) {
            self.0.sleep(duration).await;
        }

        fn now(&self) -> Instant {
            self.0.now()
        }
    }

    etcd_transport_conformance::test_suite!(
        Shared::default(),
        futures::executor::block_on,
        LIMITS.frees_dropped_within(Duration::from_secs(12)),
    );
}
