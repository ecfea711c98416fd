//! What a failure of hyper's or h2's means: see [`TransportErrorKind`].

use std::{error::Error, fmt, iter::successors, sync::Arc};

use etcd_transport::{TransportError, TransportErrorKind};

/// The error of a request over HTTP/1.1 that got no response, or of a body that broke off.
pub(crate) fn http1(error: hyper::Error) -> TransportError {
    let kind = if error.is_user() && !is_of_the_request_body(&error) {
        TransportErrorKind::Rejected
    } else {
        TransportErrorKind::Interrupted
    };
    TransportError::new(kind, error)
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

/// Why a connection has not become one of HTTP/2: no request was sent on it.
pub(crate) fn handshake(error: Option<h2::Error>) -> TransportError {
    match error {
        // What arrived is not HTTP/2: a server of HTTP/1.1 says 400, for example.
        Some(error) if error.is_library() => {
            let text = format!("the server does not speak HTTP/2 by prior knowledge: {error}");
            TransportError::rejected(text)
        }
        Some(error) => TransportError::unprocessed(error),
        None => TransportError::unprocessed("the server closed the connection before its SETTINGS"),
    }
}

fn is_of_the_request_body(error: &hyper::Error) -> bool {
    let mut sources = successors(error.source(), |error| (**error).source());
    sources.any(|source| source.is::<TransportError>())
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
