use std::ops::Bound;

use bytes::Bytes;

use crate::error::{Error, Result};

/// What etcd takes for «no end» in a range's end, and for the first of all keys in its start.
const ZERO: &[u8] = b"\0";

/// Some keys: one, those with a prefix, those from one on, those between two, or all. Anything that is a key can be
/// turned into one.
///
/// Keys are bytes, in the order of bytes.
///
/// ```
/// use etcd_http::v3::KeyRange;
///
/// let one = KeyRange::from("app/config");
/// assert!(one.contains("app/config") && !one.contains("app/config/db"));
/// assert!(KeyRange::prefix("app/").contains("app/config"));
/// assert!(KeyRange::starting_at("b").contains("c"));
/// assert!(!KeyRange::between("a", "c").contains("c"));
/// assert!(KeyRange::all().contains([0xff]));
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct KeyRange {
    start: Bytes,
    /// Empty for one key, `ZERO` for no end; otherwise the first key that is not in it.
    end: Bytes,
}

impl KeyRange {
    /// This key alone.
    pub fn key(key: impl Into<Vec<u8>>) -> Self {
        Self {
            start: key.into().into(),
            end: Bytes::new(),
        }
    }

    /// All keys that begin with `prefix`; with an empty one, all keys.
    pub fn prefix(prefix: impl Into<Vec<u8>>) -> Self {
        let prefix = prefix.into();
        Self {
            end: after_prefix(&prefix),
            start: or_first(prefix),
        }
    }

    /// This key and all after it.
    #[doc(alias = "from_key")]
    pub fn starting_at(key: impl Into<Vec<u8>>) -> Self {
        Self {
            start: or_first(key.into()),
            end: Bytes::from_static(ZERO),
        }
    }

    /// All keys from `start` on that come before `end`.
    pub fn between(start: impl Into<Vec<u8>>, end: impl Into<Vec<u8>>) -> Self {
        let end: Vec<u8> = end.into();
        if end.is_empty() || end == ZERO {
            // No key but the empty one, which cannot be, comes before these; and to etcd they mean something else.
            return Self {
                start: Bytes::from_static(b"\0\0"),
                end: Bytes::from_static(b"\0\0"),
            };
        }
        Self {
            start: or_first(start.into()),
            end: end.into(),
        }
    }

    /// All keys.
    pub fn all() -> Self {
        Self::starting_at("")
    }

    /// Whether this key is one of them.
    pub fn contains(&self, key: impl AsRef<[u8]>) -> bool {
        let key = key.as_ref();
        match self.end_bound() {
            Bound::Included(end) => key == end,
            Bound::Excluded(end) => *self.start <= *key && key < end,
            Bound::Unbounded => *self.start <= *key,
        }
    }

    /// The first key that could be in it.
    pub fn start(&self) -> &[u8] {
        &self.start
    }

    /// Where it ends: with one key, before a key, or not at all.
    pub fn end_bound(&self) -> Bound<&[u8]> {
        match &*self.end {
            b"" => Bound::Included(&self.start),
            ZERO => Bound::Unbounded,
            end => Bound::Excluded(end),
        }
    }

    /// Whether it is one key, by construction.
    pub fn is_key(&self) -> bool {
        self.end.is_empty()
    }

    /// Whether it goes on to the last key there is.
    pub(crate) fn is_endless(&self) -> bool {
        *self.end == *ZERO
    }

    /// The `key` of a request.
    pub(crate) fn wire_key(&self) -> &Bytes {
        &self.start
    }

    /// The `range_end` of a request.
    pub(crate) fn wire_end(&self) -> &Bytes {
        &self.end
    }

    /// The range that a `key` and a `range_end` of etcd's stand for.
    pub(crate) fn from_wire(key: Bytes, range_end: Bytes) -> Self {
        Self {
            start: key,
            end: range_end,
        }
    }

    /// Refuses the one range that cannot be: of an empty key.
    pub(crate) fn check(&self, operation: &'static str) -> Result<()> {
        check_key(operation, &self.start)
    }
}

/// Refuses an empty key, which etcd does not have.
pub(crate) fn check_key(operation: &'static str, key: &[u8]) -> Result<()> {
    if key.is_empty() {
        let reason = "the key is empty: for all keys, use `KeyRange::all`";
        return Err(Error::invalid(operation, reason));
    }
    Ok(())
}

/// The first key after all keys with this prefix.
pub(super) fn after_prefix(prefix: &[u8]) -> Bytes {
    // 0xff has no successor: what comes after `a\xff…` is what comes after `a`.
    match prefix.iter().rposition(|&byte| byte != 0xff) {
        Some(last) => {
            let mut end = prefix[..=last].to_vec();
            end[last] += 1;
            end.into()
        }
        None => Bytes::from_static(ZERO),
    }
}

/// There is no empty key, and to etcd an empty start is an error: `\0` is the first key there can be.
fn or_first(start: Vec<u8>) -> Bytes {
    if start.is_empty() {
        Bytes::from_static(ZERO)
    } else {
        start.into()
    }
}

macro_rules! from_key {
    ($($type:ty),+ $(,)?) => {$(
        impl From<$type> for KeyRange {
            fn from(key: $type) -> Self {
                Self::key(key)
            }
        }
    )+};
}

from_key!(&str, String, &[u8], Vec<u8>, Bytes);

impl From<&String> for KeyRange {
    fn from(key: &String) -> Self {
        Self::key(key.as_str())
    }
}

impl From<&Bytes> for KeyRange {
    fn from(key: &Bytes) -> Self {
        Self::key(&**key)
    }
}

impl<const N: usize> From<&[u8; N]> for KeyRange {
    fn from(key: &[u8; N]) -> Self {
        Self::key(key)
    }
}

impl<const N: usize> From<[u8; N]> for KeyRange {
    fn from(key: [u8; N]) -> Self {
        Self::key(key)
    }
}

impl From<&KeyRange> for KeyRange {
    fn from(range: &KeyRange) -> Self {
        range.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wire(range: &KeyRange) -> (&[u8], &[u8]) {
        (range.wire_key(), range.wire_end())
    }

    #[test]
    fn v3_31_ranges_are_written_as_etcd_reads_them() {
        for (range, key, end) in [
            (KeyRange::from("a"), &b"a"[..], &b""[..]),
            (KeyRange::from([0u8]), b"\0", b""),
            (KeyRange::prefix("ab"), b"ab", b"ac"),
            (KeyRange::prefix([b'a', 0xff]), b"a\xff", b"b"),
            (KeyRange::prefix([b'a', 0xff, 0xff]), b"a\xff\xff", b"b"),
            (KeyRange::prefix([0xff, 0xff]), b"\xff\xff", b"\0"),
            (KeyRange::prefix([0]), b"\0", b"\x01"),
            (KeyRange::prefix(""), b"\0", b"\0"),
            (KeyRange::starting_at("b"), b"b", b"\0"),
            (KeyRange::starting_at(""), b"\0", b"\0"),
            (KeyRange::between("a", "c"), b"a", b"c"),
            (KeyRange::between("", "c"), b"\0", b"c"),
            (KeyRange::all(), b"\0", b"\0"),
        ] {
            assert_eq!(wire(&range), (key, end), "{range:?}");
        }
    }

    #[test]
    fn an_end_that_means_something_else_to_etcd_makes_an_empty_range() {
        // As a `range_end`, nothing would be «one key», and a zero byte «no end».
        for end in ["", "\0"] {
            let range = KeyRange::between("a", end);
            assert_eq!(wire(&range), (&b"\0\0"[..], &b"\0\0"[..]));
            assert!(!range.contains("a") && !range.contains("\0"));
        }
    }

    #[test]
    fn a_range_contains_what_etcd_would_find() {
        let keys: [&[u8]; 8] = [
            b"\0",
            b"\0\0",
            b"a",
            b"a\0",
            b"ab",
            b"a\xff",
            b"b",
            b"\xff\xff",
        ];
        let found = |range: KeyRange| {
            let found = keys.iter().filter(|key| range.contains(key));
            found.copied().collect::<Vec<_>>()
        };
        assert_eq!(found("a".into()), [b"a"]);
        assert_eq!(found(KeyRange::prefix("a")), &keys[2..6]);
        assert_eq!(found(KeyRange::prefix(b"a\xff")), [b"a\xff"]);
        assert_eq!(found(KeyRange::prefix(b"\xff")), [b"\xff\xff"]);
        assert_eq!(found(KeyRange::starting_at("ab")), &keys[4..]);
        assert_eq!(found(KeyRange::between("a", "b")), &keys[2..6]);
        assert!(found(KeyRange::between("b", "a")).is_empty());
        assert_eq!(found(KeyRange::all()), keys);
    }

    #[test]
    fn an_empty_key_is_refused() {
        let error = KeyRange::from("").check("test").unwrap_err();
        assert_eq!(
            error.to_string(),
            "test: the key is empty: for all keys, use `KeyRange::all`"
        );
    }
}
