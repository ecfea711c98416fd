use crate::{
    base::endpoint::Endpoint,
    endpoints::wire::Wire,
    error::{Error, Outcome},
};

/// After this many failures of duplex requests a complete request is tried instead.
const TRIES: u32 = 2;

/// Which endpoints take a duplex request: one that goes on while it is answered. What is learned holds as long as the
/// stream is open.
///
/// etcd does over HTTP/2: for gRPC it speaks that everywhere, and for the gateway only over `https://`; in the clear the gateway
/// has HTTP/1.1.
/// A transport may [reject](etcd_transport::TransportErrorKind::Rejected) the request because it cannot send it, or because
/// the server has no HTTP/2: that is final. A proxy may withhold the request until its end, or refuse it: an endpoint where
/// duplex requests failed more than once, and a complete one then worked, gets complete ones from then on.
#[derive(Debug, Default)]
pub(super) struct DuplexEndpoints(Vec<(Endpoint, Known)>);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Known {
    Works,
    /// It has failed this many times, and never worked.
    Failed(u32),
    /// It does not work.
    Never,
}

impl DuplexEndpoints {
    /// Returns whether to send this endpoint a duplex request.
    pub(super) fn is_for(&self, endpoint: &Endpoint, wire: Wire) -> bool {
        (endpoint.is_https() || wire == Wire::Grpc)
            && match self.known(endpoint) {
                Known::Works => true,
                Known::Failed(times) => times < TRIES,
                Known::Never => false,
            }
    }

    /// Records a request that worked.
    pub(super) fn worked(&mut self, endpoint: &Endpoint, is_duplex: bool) {
        match self.known(endpoint) {
            _ if is_duplex => self.learn(endpoint, Known::Works),
            Known::Failed(TRIES..) => self.learn(endpoint, Known::Never),
            _ => {}
        }
    }

    /// Records a request that failed. Returns whether the reason may be that it is duplex.
    pub(super) fn failed(&mut self, endpoint: &Endpoint, is_duplex: bool, error: &Error) -> bool {
        // An error of etcd's own shows that it has read the request. Without a connection any request fails.
        let is_etcd = error.as_etcd().is_some();
        let is_suspect = is_duplex && !is_etcd && error.outcome() != Outcome::NotSent;
        match self.known(endpoint) {
            _ if is_duplex && error.is_rejected() => self.learn(endpoint, Known::Never),
            Known::Failed(times) if is_suspect => self.learn(endpoint, Known::Failed(times + 1)),
            // A complete one fails as well: duplex is not the reason.
            Known::Failed(TRIES..) => self.learn(endpoint, Known::Failed(0)),
            _ => return false,
        }
        is_duplex
    }

    fn known(&self, endpoint: &Endpoint) -> Known {
        let mut all = self.0.iter();
        let known = all.find(|(other, _)| other == endpoint);
        known.map_or(Known::Failed(0), |(_, known)| *known)
    }

    fn learn(&mut self, endpoint: &Endpoint, known: Known) {
        match self.0.iter_mut().find(|(other, _)| other == endpoint) {
            Some((_, before)) => *before = known,
            None => self.0.push((endpoint.clone(), known)),
        }
    }
}

#[cfg(test)]
mod tests {
    use etcd_transport::TransportError;
    use http::StatusCode;

    use super::*;
    use crate::{
        error::{ErrorContext, HttpError, TransportFailure},
        v3::protocol::status::GrpcStatus,
    };

    fn endpoint(text: &str) -> Endpoint {
        text.parse().unwrap()
    }

    fn context() -> ErrorContext {
        ErrorContext::new("test", endpoint("https://a"))
    }

    fn of_transport(error: TransportError) -> Error {
        Error::Transport(TransportFailure::of(context(), error))
    }

    /// Returns the state after these failures of duplex requests to one endpoint.
    fn after(errors: &[Error]) -> (DuplexEndpoints, Endpoint) {
        let (mut duplex, endpoint) = (DuplexEndpoints::default(), endpoint("https://a"));
        for error in errors {
            assert!(duplex.is_for(&endpoint, Wire::Http));
            duplex.failed(&endpoint, true, error);
        }
        (duplex, endpoint)
    }

    #[test]
    fn over_the_gateway_it_is_for_https_alone() {
        let duplex = DuplexEndpoints::default();
        assert!(duplex.is_for(&endpoint("https://a"), Wire::Http));
        assert!(!duplex.is_for(&endpoint("http://a"), Wire::Http));
        assert!(
            duplex.is_for(&endpoint("http://a"), Wire::Grpc),
            "gRPC is HTTP/2"
        );
    }

    #[test]
    fn what_the_transport_rejects_is_not_tried_again_there() {
        let (mut duplex, here) = after(&[of_transport(TransportError::rejected("no"))]);
        assert!(!duplex.is_for(&here, Wire::Http));
        assert!(duplex.is_for(&endpoint("https://b"), Wire::Http));
        // The failure of a complete request changes nothing.
        duplex.failed(&here, false, &of_transport(TransportError::interrupted("")));
        assert!(!duplex.is_for(&here, Wire::Http));
    }

    #[test]
    fn two_failures_and_a_complete_request_that_works_are_proof() {
        let broken = || of_transport(TransportError::interrupted("reset"));
        let refused = || Error::Http(HttpError::of(context(), StatusCode::BAD_GATEWAY, b"<html>"));
        for error in [broken, refused] {
            let (mut duplex, here) = after(&[error(), error()]);
            assert!(!duplex.is_for(&here, Wire::Http), "a complete one is tried");
            duplex.worked(&here, false);
            assert!(!duplex.is_for(&here, Wire::Http));
            assert!(!duplex.failed(&here, false, &error()));
            assert!(!duplex.is_for(&here, Wire::Http));

            let (mut duplex, here) = after(&[error(), error()]);
            duplex.failed(&here, false, &error());
            assert!(
                duplex.is_for(&here, Wire::Http),
                "the complete one failed as well"
            );
        }
    }

    #[test]
    fn an_error_of_etcd_or_of_connecting_says_nothing_about_duplex() {
        let etcd = || GrpcStatus::of_text("etcdserver: no leader").into_error(context());
        let nobody = || of_transport(TransportError::connect("refused"));
        for error in [etcd, nobody] {
            let errors = [error(), error(), error(), error()];
            let (duplex, here) = after(&errors);
            assert!(duplex.is_for(&here, Wire::Http));
        }
    }

    #[test]
    fn where_it_worked_later_failures_do_not_count() {
        let broken = || of_transport(TransportError::interrupted("reset"));
        let (mut duplex, here) = after(&[broken()]);
        duplex.worked(&here, true);
        for _ in 0..4 {
            assert!(!duplex.failed(&here, true, &broken()));
            assert!(duplex.is_for(&here, Wire::Http));
        }
    }
}
