use crate::{
    endpoints::endpoint::Endpoint,
    error::{Error, Outcome},
};

/// How often a request that goes on is tried in vain before a whole one is tried in its place.
const TRIES: u32 = 2;

/// Which endpoints take a request that goes on while it is answered. What is learned holds as long as the set is open.
///
/// etcd does, by HTTP/2, and so by `https://` alone: what it speaks in the clear is HTTP/2 for gRPC and HTTP/1.1 for the
/// gateway. A transport may refuse ([`Rejected`](etcd_transport::TransportErrorKind::Rejected)): it cannot, or the server has
/// no HTTP/2; that is final. A proxy may keep the request back until its end, or refuse it: an endpoint where such
/// requests failed more than once, and a whole one then came about, is asked by whole ones from then on.
#[derive(Debug, Default)]
pub(super) struct DuplexEndpoints(Vec<(Endpoint, Known)>);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Known {
    Works,
    /// It failed so often, and never did anything else.
    Failed(u32),
    /// It does not work.
    Never,
}

impl DuplexEndpoints {
    /// Whether a request to this endpoint is to be one that goes on.
    pub(super) fn is_for(&self, endpoint: &Endpoint) -> bool {
        endpoint.is_https()
            && match self.known(endpoint) {
                Known::Works => true,
                Known::Failed(times) => times < TRIES,
                Known::Never => false,
            }
    }

    /// A request came about; one that goes on, if `is_duplex`.
    pub(super) fn worked(&mut self, endpoint: &Endpoint, is_duplex: bool) {
        match self.known(endpoint) {
            _ if is_duplex => self.learn(endpoint, Known::Works),
            Known::Failed(TRIES..) => self.learn(endpoint, Known::Never),
            _ => {}
        }
    }

    /// A request came to nothing. Returns whether that may be because it is one that goes on.
    pub(super) fn failed(&mut self, endpoint: &Endpoint, is_duplex: bool, error: &Error) -> bool {
        // Its own words show that etcd has read the request; and where nobody listens, any request fails.
        let is_of_others = error.as_etcd().is_none() && error.outcome() != Outcome::NotSent;
        let is_suspect = is_duplex && is_of_others;
        match self.known(endpoint) {
            _ if is_duplex && error.is_rejected() => self.learn(endpoint, Known::Never),
            Known::Failed(times) if is_suspect => self.learn(endpoint, Known::Failed(times + 1)),
            // A whole one fails as well: it was not that.
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
        ErrorContext {
            operation: "test",
            endpoint: endpoint("https://a"),
            attempts: 1,
        }
    }

    fn of_transport(error: TransportError) -> Error {
        Error::Transport(TransportFailure::new(context(), error))
    }

    /// What is learned from these failures of requests that go on to one endpoint.
    fn after(errors: &[Error]) -> (DuplexEndpoints, Endpoint) {
        let (mut duplex, endpoint) = (DuplexEndpoints::default(), endpoint("https://a"));
        for error in errors {
            assert!(duplex.is_for(&endpoint));
            duplex.failed(&endpoint, true, error);
        }
        (duplex, endpoint)
    }

    #[test]
    fn it_is_for_https_alone() {
        let duplex = DuplexEndpoints::default();
        assert!(duplex.is_for(&endpoint("https://a")));
        assert!(!duplex.is_for(&endpoint("http://a")));
    }

    #[test]
    fn what_the_transport_rejects_is_not_tried_again_there() {
        let (mut duplex, here) = after(&[of_transport(TransportError::rejected("no"))]);
        assert!(!duplex.is_for(&here));
        assert!(duplex.is_for(&endpoint("https://b")));
        // A whole one that fails changes nothing.
        duplex.failed(&here, false, &of_transport(TransportError::interrupted("")));
        assert!(!duplex.is_for(&here));
    }

    #[test]
    fn two_failures_and_a_whole_request_that_works_are_proof() {
        let broken = || of_transport(TransportError::interrupted("reset"));
        let refused = || {
            Error::Http(HttpError::new(
                context(),
                StatusCode::BAD_GATEWAY,
                b"<html>",
            ))
        };
        for error in [broken, refused] {
            let (mut duplex, here) = after(&[error(), error()]);
            assert!(!duplex.is_for(&here), "a whole one is tried");
            duplex.worked(&here, false);
            assert!(!duplex.is_for(&here));
            assert!(!duplex.failed(&here, false, &error()));
            assert!(!duplex.is_for(&here));

            let (mut duplex, here) = after(&[error(), error()]);
            duplex.failed(&here, false, &error());
            assert!(duplex.is_for(&here), "the whole one failed as well");
        }
    }

    #[test]
    fn what_says_nothing_of_the_way_is_no_failure() {
        let etcd =
            || GrpcStatus::of_text("etcdserver: no leader").into_error(context(), StatusCode::OK);
        let nobody = || of_transport(TransportError::connect("refused"));
        for error in [etcd, nobody] {
            let errors = [error(), error(), error(), error()];
            let (duplex, here) = after(&errors);
            assert!(duplex.is_for(&here));
        }
    }

    #[test]
    fn where_it_worked_failures_are_but_failures() {
        let broken = || of_transport(TransportError::interrupted("reset"));
        let (mut duplex, here) = after(&[broken()]);
        duplex.worked(&here, true);
        for _ in 0..4 {
            assert!(!duplex.failed(&here, true, &broken()));
            assert!(duplex.is_for(&here));
        }
    }
}
