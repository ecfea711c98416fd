//! etcd's errors of v2, for tests of code that handles them.

use http::StatusCode;

use crate::{
    base::endpoint::Endpoint,
    error::{ErrorContext, EtcdError},
    v2::protocol,
};

impl EtcdError {
    /// An error of the v2 API, with the HTTP status of the response, etcd's `errorCode` and its message. They decide on
    /// [kind](Self::kind) and [outcome](crate::Error::outcome), as in a response. Of the members, auth and stats APIs,
    /// errors have no code. For your own tests.
    ///
    /// ```
    /// use etcd_http::{Error, EtcdError, EtcdErrorKind, transport::http::StatusCode};
    ///
    /// let endpoint = "http://127.0.0.1:2379".parse()?;
    /// let status = StatusCode::NOT_FOUND;
    /// let error = EtcdError::v2("v2.keys.get", endpoint, status, 100, "Key not found")
    ///     .with_cause("/color")
    ///     .with_index(7);
    /// assert_eq!(error.kind(), EtcdErrorKind::KeyNotFound);
    /// assert_eq!(
    ///     Error::Etcd(error).to_string(),
    ///     "v2.keys.get at http://127.0.0.1:2379: Key not found: /color (code 100, index 7)"
    /// );
    /// # Ok::<(), Error>(())
    /// ```
    ///
    /// The codes and their statuses: <https://etcd.io/docs/v2.3/errorcode/>.
    pub fn v2(
        operation: &'static str,
        endpoint: Endpoint,
        status: StatusCode,
        code: impl Into<Option<u32>>,
        message: impl AsRef<str>,
    ) -> Self {
        let body = protocol::Body {
            code: code.into(),
            message: message.as_ref().to_owned(),
            cause: String::new(),
            index: None,
        };
        Self::of(
            ErrorContext::new(operation, endpoint),
            body.into_refusal(status),
        )
    }
}
