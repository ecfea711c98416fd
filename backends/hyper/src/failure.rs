//! What a failure of hyper's or h2's means: see [`TransportErrorKind`].

use std::{error::Error, fmt, sync::Arc};

use etcd_transport::{TransportError, TransportErrorKind};

#[cfg(feature = "rustls")]
use crate::tls::is_certificate_refused;

/// The error of a stream that could not be opened: nothing was sent.
pub(crate) fn http2_unopened(error: h2::Error) -> TransportError {
    if is_of_the_request(&error) {
        TransportError::rejected(error)
    } else {
        TransportError::unprocessed(error)
    }
}

/// Whether h2 refuses the request itself, such as a header that HTTP/2 does not have. h2 has no predicate for it; an
/// error of a connection whose stream ids are used up has the same kind.
pub(crate) fn is_of_the_request(error: &h2::Error) -> bool {
    let is_of_the_connection =
        error.is_io() || error.is_go_away() || error.is_reset() || error.is_library();
    !is_of_the_connection && !error.to_string().contains("stream ID overflowed")
}

/// The error of a stream that got no response, or whose body broke off.
///
/// h2 reports a remote `GOAWAY` only to streams whose id is higher than the last one of the `GOAWAY`. The other streams go
/// on; when the connection is closed under them, they get an I/O error.
pub(crate) fn http2(error: h2::Error) -> TransportError {
    let is_refused = error.is_reset() && error.reason() == Some(h2::Reason::REFUSED_STREAM);
    let kind = if error.is_remote() && (is_refused || error.is_go_away()) {
        TransportErrorKind::Unprocessed
    } else {
        TransportErrorKind::Interrupted
    };
    TransportError::new(kind, error)
}

/// The error of a request by HTTP/1.1 that got no response. Whatever else hyper says of it, such as that its task is gone: the server may
/// have seen it.
pub(crate) fn http1(error: hyper::Error, is_first: bool) -> TransportError {
    // A server that has responded before on this connection has accepted the certificate, whatever it says now.
    if is_first && is_certificate_refused(&error) {
        TransportError::connect(error)
    } else {
        TransportError::interrupted(error)
    }
}

/// Why a connection has not become one of HTTP/2: no request was sent on it.
pub(crate) fn handshake(error: Option<h2::Error>) -> TransportError {
    match error {
        Some(error) if error.get_io().is_some_and(|io| is_certificate_refused(io)) => {
            TransportError::connect(error)
        }
        // What arrived is not HTTP/2: a server of HTTP/1.1 says 400, for example.
        Some(error) if error.is_library() => {
            let text = format!("the server does not speak HTTP/2 by prior knowledge: {error}");
            TransportError::rejected(text)
        }
        Some(error) => TransportError::unprocessed(error),
        None => TransportError::unprocessed("the server closed the connection before its SETTINGS"),
    }
}

#[cfg(not(feature = "rustls"))]
fn is_certificate_refused(_: &(dyn Error + 'static)) -> bool {
    false
}

/// One of several errors with the same source: that of a connection for which several requests wait.
pub(crate) fn shared(error: Arc<TransportError>) -> TransportError {
    TransportError::new(error.kind(), SharedSource(error))
}

#[derive(Debug)]
struct SharedSource(Arc<TransportError>);

impl fmt::Display for SharedSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.source() {
            Some(source) => write!(f, "{source}"),
            None => write!(f, "{}", self.0),
        }
    }
}

impl Error for SharedSource {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.0.source().and_then(Error::source)
    }
}
