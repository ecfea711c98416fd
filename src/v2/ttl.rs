use std::time::Duration;

use crate::error::{Error, Result};

/// etcd stores the expiration as nanoseconds since 1970 in 64 bits, which overflows in 2262. After that, a set silently
/// stores the key without a TTL, and an update makes it expire immediately. From 2072 on this limit is too high.
const MAX_SECONDS: u64 = 6_000_000_000;

/// The TTL of a key, as a form field.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Ttl {
    /// No field: a write without a TTL removes the existing one.
    #[default]
    None,
    After(Duration),
}

impl Ttl {
    /// Returns the value of the `ttl` field, if any.
    pub(crate) fn field(self, operation: &'static str) -> Result<Option<String>> {
        let Self::After(ttl) = self else {
            return Ok(None);
        };
        if ttl.subsec_nanos() != 0 {
            let reason = format!(
                "a TTL of {ttl:?} is not a whole number of seconds, which the v2 API requires"
            );
            return Err(Error::invalid(operation, reason));
        }
        if ttl.as_secs() > MAX_SECONDS {
            let reason = format!(
                "a TTL of {} s is more than etcd's limit of {MAX_SECONDS} s: for a key that does not expire, omit the TTL",
                ttl.as_secs()
            );
            return Err(Error::invalid(operation, reason));
        }
        Ok(Some(ttl.as_secs().to_string()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whole_seconds_from_zero_to_the_limit_are_sent() {
        let field = |seconds| Ttl::After(Duration::from_secs(seconds)).field("t").unwrap();
        assert_eq!(field(0).as_deref(), Some("0"));
        assert_eq!(field(MAX_SECONDS).as_deref(), Some("6000000000"));
        assert_eq!(Ttl::None.field("t").unwrap(), None);
    }

    #[test]
    fn fractions_and_overflows_are_refused() {
        for (ttl, reason) in [
            (
                Duration::from_millis(1500),
                "t: a TTL of 1.5s is not a whole number of seconds, which the v2 API requires",
            ),
            (
                Duration::from_secs(MAX_SECONDS + 1),
                "t: a TTL of 6000000001 s is more than etcd's limit of 6000000000 s: \
                 for a key that does not expire, omit the TTL",
            ),
        ] {
            assert_eq!(Ttl::After(ttl).field("t").unwrap_err().to_string(), reason);
        }
    }
}
