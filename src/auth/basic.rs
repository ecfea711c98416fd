use std::fmt;

use base64::{Engine, prelude::BASE64_STANDARD};
use http::HeaderValue;
use zeroize::Zeroizing;

use crate::{
    auth::secret::Secret,
    error::{Error, Result},
};

/// The user and password that each request carries. They appear neither in `Debug` output nor in errors.
pub(crate) struct Credentials {
    basic: HeaderValue,
}

impl Credentials {
    /// Creates credentials for HTTP basic authentication, which the v2 API uses.
    pub(crate) fn basic(user: &str, password: &str) -> Result<Self> {
        if user.is_empty() || user.contains(':') {
            let reason = "the user name must not be empty or contain a colon";
            return Err(Error::invalid("credentials", reason));
        }
        let pair = Zeroizing::new([user, ":", password].concat());
        // Allocated in its final size: a string that grows leaves copies behind.
        let mut text = String::with_capacity("Basic ".len() + pair.len().div_ceil(3) * 4);
        text.push_str("Basic ");
        BASE64_STANDARD.encode_string(pair.as_bytes(), &mut text);
        let basic = Secret::new(text).into_header().map_err(|_| {
            Error::invalid(
                "credentials",
                "they contain characters that are not valid in a header",
            )
        })?;
        Ok(Self { basic })
    }

    /// The `Authorization` header.
    pub(crate) fn header(&self) -> &HeaderValue {
        &self.basic
    }
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Credentials(***)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn user_and_password_are_encoded() {
        let credentials = Credentials::basic("root", "pä:ss").unwrap();
        assert_eq!(credentials.header(), "Basic cm9vdDpww6Q6c3M=");
    }

    #[test]
    fn a_password_of_line_breaks_and_nul_stays_within_its_header() {
        let credentials = Credentials::basic("root", "a\r\nX: y\0").unwrap();
        let header = credentials.header();
        assert_eq!(header, "Basic cm9vdDphDQpYOiB5AA==");
    }

    #[test]
    fn a_user_name_that_basic_cannot_carry_is_refused() {
        for user in ["", "a:b"] {
            let error = Credentials::basic(user, "p").unwrap_err();
            assert_eq!(
                error.to_string(),
                "credentials: the user name must not be empty or contain a colon"
            );
        }
    }

    #[test]
    fn debug_shows_nothing() {
        let credentials = Credentials::basic("root", "secret").unwrap();
        assert_eq!(format!("{credentials:?}"), "Credentials(***)");
        let header = credentials.header();
        assert_eq!(format!("{header:?}"), "Sensitive");
    }
}
