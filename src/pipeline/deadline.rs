use std::{borrow::Cow, time::Duration};

use etcd_transport::IdleLimit;

use crate::pipeline::{lifetime::Lifetime, retry::RetryPolicy};

/// How much later than the server the client gives up: the server's error is more specific than a timeout.
const MARGIN: Duration = Duration::from_secs(2);

/// Longer than any caller waits, and short enough not to overflow a clock.
const FOREVER: Duration = Duration::from_secs(365 * 24 * 3600);

/// The time limit of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Deadline {
    /// The client's settings.
    Usual,
    /// It waits on the server for this long, and the server knows the limit.
    AtMost(Duration),
    /// It waits on the server until something happens or the caller drops it.
    Unlimited,
}

impl Deadline {
    /// Returns the time limit of one attempt.
    pub(crate) fn timeout(self, usual: Duration) -> Duration {
        match self {
            Self::Usual => usual,
            Self::AtMost(limit) => limit.saturating_add(MARGIN).min(FOREVER),
            Self::Unlimited => FOREVER,
        }
    }

    /// Returns the time limit of the whole call: attempts, pauses, tokens.
    pub(crate) fn overall(self, usual: &RetryPolicy) -> Duration {
        self.timeout(self.retry(usual).overall)
    }

    /// Returns the retry policy. After the server's time limit a call is not retried.
    pub(crate) fn retry(self, usual: &RetryPolicy) -> Cow<'_, RetryPolicy> {
        match self {
            Self::Usual => Cow::Borrowed(usual),
            Self::AtMost(limit) => Cow::Owned(usual.clone().overall(limit)),
            Self::Unlimited => Cow::Owned(usual.clone().overall(FOREVER)),
        }
    }

    /// Returns the lifetime for the transport.
    pub(crate) fn lifetime(self) -> Lifetime {
        match self {
            Self::Usual => Lifetime::Brief,
            Self::AtMost(_) | Self::Unlimited => {
                Lifetime::LongLived(IdleLimit(self.timeout(FOREVER)))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn we_wait_longer_than_the_server() {
        let usual = RetryPolicy::default();
        let deadline = Deadline::AtMost(Duration::from_secs(100));
        let longer = Duration::from_secs(102);
        assert_eq!(deadline.timeout(Duration::from_secs(10)), longer);
        assert_eq!(deadline.retry(&usual).overall, Duration::from_secs(100));
        assert_eq!(deadline.lifetime(), Lifetime::LongLived(IdleLimit(longer)));
        assert_eq!(Deadline::Usual.lifetime(), Lifetime::Brief);
        assert_eq!(*Deadline::Usual.retry(&usual), usual);
        assert_eq!(Deadline::AtMost(Duration::MAX).timeout(MARGIN), FOREVER);
    }
}
