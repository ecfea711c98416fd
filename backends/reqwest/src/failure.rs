//! What a failure of reqwest's means: see [`TransportErrorKind`].

use std::{error::Error, iter::successors};

use etcd_transport::{TransportError, TransportErrorKind};

/// The error of a request that got no response.
///
/// The URL is left out: the caller reports the endpoint, and knows which part of the path and the query may be shown.
pub(crate) fn send_error(error: reqwest::Error) -> TransportError {
    let error = error.without_url();
    if error.is_connect() && is_without_tls(&error) {
        return TransportError::rejected(WITHOUT_TLS);
    }
    let kind = if error.is_connect() && is_untrusted(&error) {
        TransportErrorKind::Untrusted
    } else if error.is_connect() || is_certificate_refused(&error) {
        TransportErrorKind::Connect
    } else if error.is_builder() || is_unsupported_version(&error) {
        TransportErrorKind::Rejected
    } else if is_unprocessed(&error) {
        TransportErrorKind::Unprocessed
    } else {
        TransportErrorKind::Interrupted
    };
    TransportError::new(kind, error)
}

const WITHOUT_TLS: &str = "built without TLS: enable the feature reqwest-rustls of etcd-http (or rustls of etcd-transport-reqwest) for https://";

/// Returns whether the server has declared that it did not process the request.
///
/// h2 reports a remote `GOAWAY` only to streams whose id is higher than the last one of the `GOAWAY`, and to requests that
/// were not sent yet. The other streams go on; when the connection is closed under them, they get an I/O error.
fn is_unprocessed(error: &reqwest::Error) -> bool {
    sources(error)
        .filter_map(|source| source.downcast_ref::<h2::Error>())
        .any(|error| {
            let is_refused = error.is_reset() && error.reason() == Some(h2::Reason::REFUSED_STREAM);
            error.is_remote() && (is_refused || error.is_go_away())
        })
}

/// Returns whether the request was for HTTP/2, and the connection is not. hyper has no predicate for it, and sends nothing.
fn is_unsupported_version(error: &reqwest::Error) -> bool {
    says(error, "UserUnsupportedVersion")
}

/// Returns whether the request was for `https://`, and no crate of the build has enabled a TLS feature of reqwest's.
///
/// Not decided by this crate's features: a client of the user's may have TLS by reqwest's own.
fn is_without_tls(error: &reqwest::Error) -> bool {
    says(error, "scheme is not http")
}

/// Whether the server's certificate was not accepted: in the words of rustls, and of OpenSSL.
fn is_untrusted(error: &reqwest::Error) -> bool {
    says(error, "invalid peer certificate") || says(error, "certificate verify failed")
}

/// Whether the server did not accept the client's certificate, or missed one: in the words of rustls, and of OpenSSL. In TLS 1.3, the
/// client has connected by then and may have sent its request, which the server does not read.
fn is_certificate_refused(error: &reqwest::Error) -> bool {
    CERTIFICATE_ALERTS.iter().any(|[rustls, openssl]| {
        says(error, &format!("received fatal alert: {rustls}"))
            || says(error, &format!("alert {openssl}"))
    })
}

const CERTIFICATE_ALERTS: [[&str; 2]; 8] = [
    ["BadCertificate", "bad certificate"],
    ["UnsupportedCertificate", "unsupported certificate"],
    ["CertificateRevoked", "certificate revoked"],
    ["CertificateExpired", "certificate expired"],
    ["CertificateUnknown", "certificate unknown"],
    ["UnknownCA", "unknown ca"],
    ["AccessDenied", "access denied"],
    ["CertificateRequired", "certificate required"],
];

fn says(error: &reqwest::Error, text: &str) -> bool {
    sources(error).any(|source| source.to_string().contains(text))
}

/// The errors below reqwest's, but not those of the request's own body: these say nothing about the server.
fn sources(error: &reqwest::Error) -> impl Iterator<Item = &(dyn Error + 'static)> {
    let sources = successors(error.source(), |error| (**error).source());
    sources.take_while(|error| !error.is::<TransportError>())
}
