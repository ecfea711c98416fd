//! etcd's errors of v3, for tests of code that handles them.

use crate::{
    base::endpoint::Endpoint,
    error::{ErrorContext, EtcdError},
    v3::protocol::status::GrpcStatus,
};

impl EtcdError {
    /// An error of the v3 API, with etcd's gRPC code and message. The message decides on [kind](Self::kind) and
    /// [outcome](crate::Error::outcome), as in a response. For your own tests.
    ///
    /// ```
    /// use etcd_http::{Error, EtcdError, EtcdErrorKind, Outcome};
    ///
    /// let endpoint = "http://127.0.0.1:2379".parse()?;
    /// let message = "etcdserver: mvcc: database space exceeded";
    /// let error = EtcdError::v3("v3.kv.put", endpoint, 8, message);
    /// assert_eq!(error.kind(), EtcdErrorKind::NoSpace);
    /// let error = Error::Etcd(error);
    /// assert!(error.is_no_space() && error.outcome() == Outcome::Rejected);
    /// # Ok::<(), Error>(())
    /// ```
    ///
    /// The messages are in etcd's
    /// [rpctypes](https://github.com/etcd-io/etcd/blob/release-3.5/api/v3rpc/rpctypes/error.go).
    pub fn v3(
        operation: &'static str,
        endpoint: Endpoint,
        code: u8,
        message: impl AsRef<str>,
    ) -> Self {
        let status = GrpcStatus {
            code,
            message: message.as_ref().to_owned(),
        };
        Self::of(
            ErrorContext::new(operation, endpoint),
            status.into_refusal(None),
        )
    }
}
