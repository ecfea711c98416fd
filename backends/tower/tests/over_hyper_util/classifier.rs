//! What the errors of hyper-util's client prove.

use std::{error::Error, iter::successors};

use etcd_transport::TransportErrorKind;
use hyper_util::client::legacy;

/// Returns what the server may have seen of a request that failed with this error.
pub(crate) fn kind(error: &(dyn Error + 'static)) -> TransportErrorKind {
    for error in successors(Some(error), |error| (**error).source()) {
        if let Some(error) = error.downcast_ref::<legacy::Error>()
            && error.is_connect()
        {
            return TransportErrorKind::Connect;
        }
        // h2 reports a remote GOAWAY only to streams that the server did not process.
        if let Some(error) = error.downcast_ref::<h2::Error>()
            && error.is_remote()
            && (error.is_go_away() || error.reason() == Some(h2::Reason::REFUSED_STREAM))
        {
            return TransportErrorKind::Unprocessed;
        }
    }
    TransportErrorKind::Interrupted
}
