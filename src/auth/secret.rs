use std::fmt;

use bytes::Bytes;
use http::{HeaderValue, header::InvalidHeaderValue};
use serde::{Deserialize, Deserializer, de::Error};
use zeroize::Zeroizing;

/// A string that is redacted when printed and zeroed when dropped.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Secret(Zeroizing<String>);

impl Secret {
    /// Takes ownership of the string and leaves no copy of it behind.
    pub(crate) fn new(text: String) -> Self {
        Self(Zeroizing::new(text))
    }

    /// Returns the string itself, to be encoded.
    pub(crate) fn expose(&self) -> &str {
        &self.0
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Returns a header with this value, marked sensitive. Its clones share the bytes, which are zeroed when the last
    /// clone is dropped. Copies that an HTTP stack makes are not zeroed.
    pub(crate) fn into_header(mut self) -> Result<HeaderValue, InvalidHeaderValue> {
        let bytes = Zeroizing::new(std::mem::take(&mut *self.0).into_bytes());
        let mut value = HeaderValue::from_maybe_shared(Bytes::from_owner(bytes))?;
        value.set_sensitive(true);
        Ok(value)
    }
}

impl From<&str> for Secret {
    fn from(text: &str) -> Self {
        Self::new(text.to_owned())
    }
}

impl<'de> Deserialize<'de> for Secret {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        // What serde expected and found would quote the secret.
        let text = String::deserialize(deserializer);
        text.map(Self::new)
            .map_err(|_| D::Error::custom("a password must be a string"))
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_string_is_not_shown_in_the_error() {
        let error = serde_json::from_str::<Secret>("123456").unwrap_err();
        let error = error.to_string();
        assert!(error.starts_with("a password must be a string"), "{error}");
        assert!(!error.contains("123456"), "{error}");
    }

    #[test]
    fn neither_the_secret_nor_its_header_is_shown() {
        let secret = Secret::new("s3cret".to_owned());
        assert_eq!(format!("{secret:?}"), "***");
        let header = secret.into_header().unwrap();
        assert_eq!(format!("{header:?}"), "Sensitive");
        assert_eq!(header, "s3cret");
    }

    #[test]
    fn clones_of_a_header_share_its_bytes() {
        let header = Secret::new("s3cret".to_owned()).into_header().unwrap();
        assert_eq!(
            header.clone().as_bytes().as_ptr(),
            header.as_bytes().as_ptr()
        );
        assert!(header.clone().is_sensitive());
    }

    #[test]
    fn what_would_end_a_header_is_no_header() {
        for text in ["a\r\nb: c", "a\nb", "a\0b", "a\x7fb"] {
            assert!(
                Secret::new(text.to_owned()).into_header().is_err(),
                "{text:?}"
            );
        }
    }
}
