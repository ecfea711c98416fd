//! Servers with certificates.

use std::{ffi::OsString, path::Path};

use etcd_http::server::Server;
use harness::certificates::Pair;

/// Starts a server with `https://` and this certificate.
pub(crate) fn server(pair: &Pair) -> Server {
    Server::builder()
        .https(&pair.certificate, &pair.key)
        .start()
        .unwrap()
}

/// Starts a server that also requires client certificates signed by this authority.
pub(crate) fn strict_server(pair: &Pair, authority: &Path) -> Server {
    let mut trusted = OsString::from("--trusted-ca-file=");
    trusted.push(authority);
    Server::builder()
        .https(&pair.certificate, &pair.key)
        .arg("--client-cert-auth")
        .arg(trusted)
        .start()
        .unwrap()
}
