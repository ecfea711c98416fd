use std::time::{Duration, Instant};

use bytes::Bytes;

/// A key that the copy decides about.
#[derive(Clone, Debug)]
pub(super) struct Item {
    /// The key in the target's namespace.
    pub(super) key: String,
    /// What v2 has: `None` if it is gone there.
    pub(super) content: Option<Content>,
}

/// A file of v2.
#[derive(Clone, Debug)]
pub(super) struct Content {
    pub(super) value: Bytes,
    /// When it expires, by the clock of the source's transport.
    pub(super) expires: Option<Instant>,
}

impl Item {
    /// About how many bytes of a transaction are its own: the key is in a comparison, a put and the record.
    pub(super) fn size(&self, prefix: usize) -> usize {
        let value = self.content.as_ref().map_or(0, |it| it.value.len());
        3 * (self.key.len() + prefix) + value + OVERHEAD
    }
}

impl Content {
    /// Returns how long it lives, if not forever.
    pub(super) fn left(&self, now: Instant) -> Option<Duration> {
        let expires = self.expires?;
        Some(expires.saturating_duration_since(now))
    }
}

/// At most as many bytes of a transaction belong to a key besides its own.
const OVERHEAD: usize = 64;

/// Whether two remaining times to live are of the same moment: each is a whole number of seconds.
pub(super) fn is_same_time(one: Duration, other: Duration) -> bool {
    one.abs_diff(other) <= ROUNDING
}

/// v2 rounds up, v3 rounds down, and a lease is granted for whole seconds.
const ROUNDING: Duration = Duration::from_secs(3);
