use std::time::Duration;

use reqwest::{Client, ClientBuilder, redirect, retry};

const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);
const KEEPALIVE: Duration = Duration::from_secs(15);

/// The largest that HTTP/2 allows. What a connection keeps for those that do not read is bounded by each stream's own.
const MAX_WINDOW: u32 = (1 << 31) - 1;

/// See [`ReqwestTransport::client_builder`](crate::ReqwestTransport::client_builder).
pub(crate) fn builder() -> ClientBuilder {
    #[cfg(feature = "rustls")]
    provide_ring();
    let client = Client::builder();
    // Where another crate of the build has switched native-tls on, reqwest would prefer it.
    #[cfg(feature = "rustls")]
    let client = client.tls_backend_rustls();
    client
        .redirect(redirect::Policy::none())
        .retry(retry::never())
        .no_proxy()
        .referer(false)
        // Another crate of the build may have switched the features on that make these the default.
        .no_gzip()
        .no_brotli()
        .no_zstd()
        .no_deflate()
        .connect_timeout(CONNECT_TIMEOUT)
        .tcp_nodelay(true)
        .tcp_keepalive(KEEPALIVE)
        .tcp_keepalive_interval(KEEPALIVE)
        // Streams that nobody reads at the moment, watches say, would use up the connection's window, and stop all others.
        .http2_initial_connection_window_size(MAX_WINDOW)
}

/// reqwest panics when it builds a client for rustls and the process has no provider.
#[cfg(feature = "rustls")]
fn provide_ring() {
    use rustls::crypto::{CryptoProvider, ring};

    if CryptoProvider::get_default().is_none() {
        // An error means that another thread was faster: there is a provider.
        let _ = ring::default_provider().install_default();
    }
}
