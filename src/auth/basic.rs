use std::fmt;

use base64::{Engine, prelude::BASE64_STANDARD};
use http::HeaderValue;
use zeroize::Zeroizing;

use crate::{
    auth::secret::Secret,
    endpoints::endpoint::Endpoint,
    error::{Error, Result},
    operation::Call,
};

/// What a client shows an etcd of itself. Never in `Debug`, never in an error.
pub(crate) struct Credentials {
    basic: HeaderValue,
}

impl Credentials {
    /// HTTP basic authentication, as the v2 API wants it.
    pub(crate) fn basic(user: &str, password: &str) -> Result<Self> {
        if user.is_empty() || user.contains(':') {
            let reason = "a user name must not be empty, nor have a colon in it";
            return Err(Error::invalid("credentials", reason));
        }
        let pair = Zeroizing::new([user, ":", password].concat());
        // With its final size from the start: a string that grows leaves copies behind.
        let mut text = String::with_capacity("Basic ".len() + pair.len().div_ceil(3) * 4);
        text.push_str("Basic ");
        BASE64_STANDARD.encode_string(pair.as_bytes(), &mut text);
        let basic = Secret::new(text)
            .into_header()
            .map_err(|_| Error::invalid("credentials", "they do not fit a header"))?;
        Ok(Self { basic })
    }

    /// Whether they may be shown there: not where anybody on the way could read them.
    pub(crate) fn may_go_to(endpoint: &Endpoint) -> bool {
        endpoint.is_https() || endpoint.is_loopback()
    }

    /// The `Authorization` header that goes with a call. The v3 API knows no basic authentication, and answers 401 to it.
    pub(crate) fn header(&self, call: &Call) -> Option<&HeaderValue> {
        is_v2(call.target.path()).then_some(&self.basic)
    }
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Credentials(***)")
    }
}

/// Whether a path is one of the v2 API.
pub(crate) fn is_v2(path: &str) -> bool {
    path == "/v2" || path.starts_with("/v2/")
}

#[cfg(test)]
mod tests {
    use http::Method;

    use super::*;
    use crate::operation::Repeat;

    fn call(target: &str) -> Call {
        Call::new("test", Method::GET, target.to_owned(), Repeat::Always).unwrap()
    }

    #[test]
    fn basic_goes_to_v2_and_nowhere_else() {
        let credentials = Credentials::basic("root", "pä:ss").unwrap();
        assert_eq!(
            credentials.header(&call("/v2/keys/a")).unwrap(),
            "Basic cm9vdDpww6Q6c3M="
        );
        for elsewhere in ["/version", "/v3/kv/range", "/v2keys", "/metrics"] {
            assert_eq!(credentials.header(&call(elsewhere)), None, "{elsewhere}");
        }
    }

    #[test]
    fn a_password_of_line_breaks_and_nul_stays_within_its_header() {
        let credentials = Credentials::basic("root", "a\r\nX: y\0").unwrap();
        let header = credentials.header(&call("/v2/keys")).unwrap();
        assert_eq!(header, "Basic cm9vdDphDQpYOiB5AA==");
    }

    #[test]
    fn credentials_may_be_shown_where_nobody_can_listen() {
        for (endpoint, may) in [
            ("https://etcd:2379", true),
            ("http://127.0.0.1:2379", true),
            ("http://[::1]:2379", true),
            ("http://localhost", true),
            ("http://etcd:2379", false),
            ("http://10.0.0.1:2379", false),
        ] {
            let endpoint = endpoint.parse().unwrap();
            assert_eq!(Credentials::may_go_to(&endpoint), may, "{endpoint}");
        }
    }

    #[test]
    fn a_user_name_that_basic_cannot_carry_is_refused() {
        for user in ["", "a:b"] {
            let error = Credentials::basic(user, "p").unwrap_err();
            assert_eq!(
                error.to_string(),
                "credentials: a user name must not be empty, nor have a colon in it"
            );
        }
    }

    #[test]
    fn debug_shows_nothing() {
        let credentials = Credentials::basic("root", "secret").unwrap();
        assert_eq!(format!("{credentials:?}"), "Credentials(***)");
        let header = credentials.header(&call("/v2/keys")).unwrap();
        assert_eq!(format!("{header:?}"), "Sensitive");
    }
}
