//! The settings that every client of this crate starts from.

use std::time::Duration;

use reqwest::{Client, ClientBuilder, redirect, retry};

const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);
const KEEPALIVE: Duration = Duration::from_secs(15);

/// etcd's servers accept a ping every 5 s while streams are open, and close the connection otherwise.
const PING_INTERVAL: Duration = Duration::from_secs(15);
const PING_TIMEOUT: Duration = Duration::from_secs(10);

/// Shorter than the time after which usual proxies close an idle connection (60 s for haproxy and AWS's load balancers, 75 s
/// for nginx), so that no request is sent on a connection that the proxy is about to close. reqwest's default is 90 s.
const POOL_IDLE_TIMEOUT: Duration = Duration::from_secs(55);

/// The largest window that HTTP/2 allows. The windows of the streams limit how much unread data a connection holds.
const MAX_WINDOW: u32 = (1 << 31) - 1;

/// See [`ReqwestTransport::client_builder`](crate::ReqwestTransport::client_builder).
pub(crate) fn recommended() -> ClientBuilder {
    #[cfg(feature = "rustls")]
    provide_ring();
    let client = Client::builder();
    // If another crate of the build enables native-tls, reqwest prefers it.
    #[cfg(feature = "rustls")]
    let client = client.tls_backend_rustls();
    client
        .redirect(redirect::Policy::none())
        .retry(retry::never())
        .no_proxy()
        .referer(false)
        // Features that another crate of the build enables make these the default.
        .no_gzip()
        .no_brotli()
        .no_zstd()
        .no_deflate()
        .connect_timeout(CONNECT_TIMEOUT)
        .pool_idle_timeout(POOL_IDLE_TIMEOUT)
        .tcp_nodelay(true)
        .tcp_keepalive(KEEPALIVE)
        .tcp_keepalive_interval(KEEPALIVE)
        // TCP's keep-alive does not probe while sent data is unacknowledged: requests to a peer that is gone.
        .http2_keep_alive_interval(PING_INTERVAL)
        .http2_keep_alive_timeout(PING_TIMEOUT)
        // Streams that are not read at the moment, such as watches, would use up the connection's window and stop all
        // others.
        .http2_initial_connection_window_size(MAX_WINDOW)
}

/// A client certificate and its key, each in PEM, as one identity for
/// [`ClientBuilder::identity`](reqwest::ClientBuilder::identity): reqwest takes them joined. The certificate may be followed
/// by those of intermediate authorities.
///
/// # Errors
/// If one of them cannot be read, or the key is of a kind that the TLS library does not support.
#[cfg(any(feature = "rustls", feature = "native-tls"))]
pub fn identity_from_pems(
    certificate: impl AsRef<[u8]>,
    key: impl AsRef<[u8]>,
) -> reqwest::Result<reqwest::Identity> {
    // As for the client, rustls comes first.
    #[cfg(feature = "rustls")]
    let identity = {
        // A file may lack the line break at its end, and the next PEM has to begin a line.
        let pems = [certificate.as_ref(), b"\n", key.as_ref()].concat();
        reqwest::Identity::from_pem(&pems)
    };
    #[cfg(not(feature = "rustls"))]
    let identity = reqwest::Identity::from_pkcs8_pem(certificate.as_ref(), key.as_ref());
    identity
}

/// reqwest panics when it builds a client for rustls and the process has no default provider.
#[cfg(feature = "rustls")]
fn provide_ring() {
    use rustls::crypto::{CryptoProvider, ring};

    if CryptoProvider::get_default().is_none() {
        // An error means that another thread has installed a provider in the meantime.
        let _ = ring::default_provider().install_default();
    }
}
