//! Errors as the client makes them, for tests of code that handles them.

use std::time::Duration;

use etcd_transport::TransportError;
use http::StatusCode;

use crate::{
    base::endpoint::Endpoint,
    error::{
        ErrorContext, EtcdErrorKind, HttpError, InvalidInput, Outcome, TimeoutError,
        TransportFailure, UnexpectedKind, UnexpectedResponse, Unsupported,
    },
};

impl HttpError {
    /// A response to a first attempt with this status and body. For your own tests.
    ///
    /// ```
    /// use etcd_http::{Error, HttpError, Outcome, transport::http::StatusCode};
    ///
    /// let endpoint = "http://127.0.0.1:2379".parse()?;
    /// let error = HttpError::new("v3.kv.put", endpoint, StatusCode::BAD_GATEWAY, "<html>");
    /// assert_eq!(Error::Http(error).outcome(), Outcome::Unknown);
    /// # Ok::<(), Error>(())
    /// ```
    pub fn new(
        operation: &'static str,
        endpoint: Endpoint,
        status: StatusCode,
        body: impl AsRef<[u8]>,
    ) -> Self {
        Self::of(
            ErrorContext::new(operation, endpoint),
            status,
            body.as_ref(),
        )
    }
}

impl TransportFailure {
    /// A first attempt that failed with this error. For your own tests.
    ///
    /// ```
    /// use etcd_http::{Error, Outcome, TransportFailure, transport::TransportError};
    ///
    /// let endpoint = "http://127.0.0.1:2379".parse()?;
    /// let refused = TransportError::connect("connection refused");
    /// let error = Error::Transport(TransportFailure::new("v3.kv.put", endpoint, refused));
    /// assert_eq!(error.outcome(), Outcome::NotSent);
    /// assert!(error.is_retryable());
    /// # Ok::<(), Error>(())
    /// ```
    pub fn new(operation: &'static str, endpoint: Endpoint, error: TransportError) -> Self {
        Self::of(ErrorContext::new(operation, endpoint), error)
    }
}

impl TimeoutError {
    /// A first attempt without a response within this time. For your own tests.
    ///
    /// ```
    /// use etcd_http::{Error, Outcome, TimeoutError};
    /// use std::time::Duration;
    ///
    /// let endpoint = "http://127.0.0.1:2379".parse()?;
    /// let error = TimeoutError::new("v3.kv.put", endpoint, Duration::from_secs(10));
    /// assert_eq!(Error::Timeout(error).outcome(), Outcome::Unknown);
    /// # Ok::<(), Error>(())
    /// ```
    pub fn new(operation: &'static str, endpoint: Endpoint, limit: Duration) -> Self {
        Self::of(ErrorContext::new(operation, endpoint), limit)
    }
}

impl UnexpectedResponse {
    /// A response to a first attempt that was not accepted: what is wrong with it, and whether the request may have been
    /// applied. For your own tests.
    ///
    /// ```
    /// use etcd_http::{Error, Outcome, UnexpectedResponse};
    ///
    /// let endpoint = "http://127.0.0.1:2379".parse()?;
    /// let what = "the response is not what etcd sends";
    /// let error = UnexpectedResponse::new("v3.kv.put", endpoint, what, Outcome::Unknown);
    /// assert_eq!(
    ///     error.to_string(),
    ///     "v3.kv.put at http://127.0.0.1:2379: the response is not what etcd sends"
    /// );
    /// # Ok::<(), Error>(())
    /// ```
    pub fn new(
        operation: &'static str,
        endpoint: Endpoint,
        what: impl AsRef<str>,
        outcome: Outcome,
    ) -> Self {
        Self::of(
            ErrorContext::new(operation, endpoint),
            what.as_ref(),
            outcome,
        )
    }

    /// A response to a first attempt from another cluster: [`is_cluster_changed`](crate::Error::is_cluster_changed). For
    /// your own tests.
    ///
    /// ```
    /// use etcd_http::{Error, UnexpectedResponse};
    ///
    /// let endpoint = "http://127.0.0.1:2379".parse()?;
    /// let error = UnexpectedResponse::cluster_changed("v3.kv.range", endpoint);
    /// assert!(Error::Unexpected(error).is_cluster_changed());
    /// # Ok::<(), Error>(())
    /// ```
    pub fn cluster_changed(operation: &'static str, endpoint: Endpoint) -> Self {
        let what = "the response is from another cluster";
        Self::new(operation, endpoint, what, Outcome::Unknown)
            .with_kind(UnexpectedKind::ClusterChanged)
    }

    /// A response to a first attempt with an older state than was seen before:
    /// [`is_stale_read`](crate::Error::is_stale_read). For your own tests.
    ///
    /// ```
    /// use etcd_http::{Error, UnexpectedResponse};
    ///
    /// let endpoint = "http://127.0.0.1:2379".parse()?;
    /// let error = UnexpectedResponse::stale_read("v2.keys.get", endpoint);
    /// assert!(Error::Unexpected(error).is_stale_read());
    /// # Ok::<(), Error>(())
    /// ```
    pub fn stale_read(operation: &'static str, endpoint: Endpoint) -> Self {
        let what = "the response is stale";
        Self::new(operation, endpoint, what, Outcome::Unknown).with_kind(UnexpectedKind::Stale)
    }
}

impl Unsupported {
    /// A response to a first attempt from a server that does not have this operation, and why. For your own tests.
    ///
    /// ```
    /// use etcd_http::{Error, Outcome, Unsupported};
    ///
    /// let endpoint = "http://127.0.0.1:2379".parse()?;
    /// let error = Unsupported::new("v3.auth.status", endpoint, "this etcd is too old");
    /// assert_eq!(Error::Unsupported(error).outcome(), Outcome::Rejected);
    /// # Ok::<(), Error>(())
    /// ```
    pub fn new(operation: &'static str, endpoint: Endpoint, reason: impl AsRef<str>) -> Self {
        let context = ErrorContext::new(operation, endpoint);
        Self::of(context, reason.as_ref().to_owned(), b"", false)
    }
}

impl InvalidInput {
    /// A request that the client did not send, and why. For your own tests.
    ///
    /// ```
    /// use etcd_http::{Error, InvalidInput, Outcome};
    ///
    /// let error = Error::Invalid(InvalidInput::new("v3.kv.put", "the key is empty"));
    /// assert_eq!(error.outcome(), Outcome::NotSent);
    /// assert_eq!(error.to_string(), "v3.kv.put: the key is empty");
    /// ```
    pub fn new(operation: &'static str, reason: impl AsRef<str>) -> Self {
        Self::of(operation, reason.as_ref().to_owned(), None)
    }

    /// A request that etcd would have refused with this kind of error, and why. For your own tests.
    ///
    /// ```
    /// use etcd_http::{Error, EtcdErrorKind, InvalidInput};
    ///
    /// let kind = EtcdErrorKind::TooManyOperations;
    /// let error = InvalidInput::with_kind("v3.kv.txn", "129 operations", kind);
    /// assert_eq!(Error::Invalid(error).etcd_kind(), Some(kind));
    /// ```
    pub fn with_kind(
        operation: &'static str,
        reason: impl AsRef<str>,
        kind: EtcdErrorKind,
    ) -> Self {
        Self::of(operation, reason.as_ref().to_owned(), Some(kind))
    }
}
