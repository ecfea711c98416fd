use std::{borrow::Cow, time::Duration};

use etcd_transport::IdleLimit;
use http::HeaderValue;

use crate::pipeline::retry::RetryPolicy;

/// How much later than the server we give up: its verdict is worth more than our own.
const MARGIN: Duration = Duration::from_secs(2);

/// Longer than anybody waits, and no clock overflows.
const FOREVER: Duration = Duration::from_secs(365 * 24 * 3600);

/// How long a call is given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Deadline {
    /// As long as the client's settings say.
    Usual,
    /// It waits for something at the server: this long, which the server is told.
    AtMost(Duration),
    /// It waits for something at the server, until that happens or the caller drops it.
    Unlimited,
}

impl Deadline {
    /// For one attempt.
    pub(crate) fn timeout(self, usual: Duration) -> Duration {
        match self {
            Self::Usual => usual,
            Self::AtMost(limit) => limit.saturating_add(MARGIN).min(FOREVER),
            Self::Unlimited => FOREVER,
        }
    }

    /// How often it is sent again. Once the server has let the time pass, it is not.
    pub(crate) fn retry(self, usual: &RetryPolicy) -> Cow<'_, RetryPolicy> {
        match self {
            Self::Usual => Cow::Borrowed(usual),
            Self::AtMost(limit) => Cow::Owned(usual.clone().overall(limit)),
            Self::Unlimited => Cow::Owned(usual.clone().overall(FOREVER)),
        }
    }

    /// What a transport that cannot notice a dropped exchange is told.
    pub(crate) fn idle_limit(self) -> Option<IdleLimit> {
        match self {
            Self::Usual => None,
            Self::AtMost(_) | Self::Unlimited => Some(IdleLimit(self.timeout(FOREVER))),
        }
    }

    /// The deadline for the server, as `Grpc-Timeout` has it: eight digits at most, and a unit.
    pub(crate) fn grpc_timeout(self) -> Option<HeaderValue> {
        const MAX: u128 = 99_999_999;
        let Self::AtMost(limit) = self else {
            return None;
        };
        let millis = limit.as_micros().div_ceil(1000).max(1);
        let text = if millis <= MAX {
            format!("{millis}m")
        } else {
            format!("{}S", u128::from(limit.as_secs()).min(MAX))
        };
        HeaderValue::try_from(text).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_server_is_told_a_deadline_that_it_can_read() {
        for (limit, text) in [
            (Duration::ZERO, "1m"),
            (Duration::from_micros(699_001), "700m"),
            (Duration::from_secs(99_999), "99999000m"),
            (Duration::from_secs(100_000), "100000S"),
            (Duration::MAX, "99999999S"),
        ] {
            assert_eq!(Deadline::AtMost(limit).grpc_timeout().unwrap(), text);
        }
        assert_eq!(Deadline::Usual.grpc_timeout(), None);
        assert_eq!(Deadline::Unlimited.grpc_timeout(), None);
    }

    #[test]
    fn we_wait_longer_than_the_server() {
        let usual = RetryPolicy::default();
        let deadline = Deadline::AtMost(Duration::from_secs(100));
        let longer = Duration::from_secs(102);
        assert_eq!(deadline.timeout(Duration::from_secs(10)), longer);
        assert_eq!(deadline.retry(&usual).overall, Duration::from_secs(100));
        assert_eq!(deadline.idle_limit(), Some(IdleLimit(longer)));
        assert_eq!(*Deadline::Usual.retry(&usual), usual);
        assert_eq!(Deadline::AtMost(Duration::MAX).timeout(MARGIN), FOREVER);
    }
}
