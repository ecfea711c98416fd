use std::collections::BTreeMap;

use base64::{Engine, prelude::BASE64_STANDARD};
use bytes::Bytes;
use serde::{
    Deserialize, Deserializer, Serialize, Serializer,
    de::{self, SeqAccess, Visitor},
};

use crate::v3::{KeyRange, KeyValue, LeaseId, WatchCursor};

/// The copy of a [`Mirror`](super::Mirror), or of a [`Cache`](crate::recipes::Cache), and the cursor that it is at: to be stored,
/// and to go on from after a restart of the program.
///
/// Where it is stored is up to you; it is one value of serde. In formats for people, such as JSON, keys and values are base64.
///
/// ```
/// # #[cfg(feature = "fake")]
/// # futures::executor::block_on(async {
/// use etcd_http::v3::{KeyRange, MirrorState};
///
/// # let etcd = etcd_http::fake::FakeEtcd::new();
/// # let client = etcd_http::Client::new(etcd.clone(), etcd.endpoints())?;
/// client.v3().kv().put("config/color", "blue").await?;
/// let mut config = client.v3().mirror(KeyRange::prefix("config/"));
/// config.next().await?;
/// let stored = serde_json::to_string(&config.state())?;
///
/// // Days later, in another process: only what has changed is read.
/// client.v3().kv().put("config/size", "7").await?;
/// let state: Option<MirrorState> = serde_json::from_str(&stored)?;
/// let mut config = client.v3().mirror(KeyRange::prefix("config/"));
/// if let Some(state) = state {
///     config = config.resume(state);
/// }
/// assert_eq!(config.next().await?.changes.len(), 1);
/// assert_eq!(config.len(), 2);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # }).unwrap();
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MirrorState {
    cursor: WatchCursor,
    /// The prefix of the namespace, and the range in it.
    prefix: Blob,
    key: Blob,
    range_end: Blob,
    entries: Vec<Entry>,
}

/// A key with its value and revisions.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Entry {
    key: Blob,
    value: Blob,
    create_revision: i64,
    mod_revision: i64,
    version: i64,
    #[serde(default)]
    lease: i64,
}

/// Bytes: base64 in formats for people.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Blob(Bytes);

impl MirrorState {
    pub(super) fn new(
        cursor: WatchCursor,
        prefix: &[u8],
        range: &KeyRange,
        entries: &BTreeMap<Bytes, KeyValue>,
    ) -> Self {
        let entry = |kv: &KeyValue| Entry {
            key: Blob(kv.key.clone()),
            value: Blob(kv.value.clone()),
            create_revision: kv.create_revision,
            mod_revision: kv.mod_revision,
            version: kv.version,
            lease: kv.lease.get(),
        };
        Self {
            cursor,
            prefix: Blob(Bytes::copy_from_slice(prefix)),
            key: Blob(range.wire_key().clone()),
            range_end: Blob(range.wire_end().clone()),
            entries: entries.values().map(entry).collect(),
        }
    }

    /// Returns the cursor: everything up to it is in the entries.
    pub fn cursor(&self) -> WatchCursor {
        self.cursor
    }

    /// Returns the entries, in the order of their keys.
    pub fn iter(&self) -> impl Iterator<Item = KeyValue> + '_ {
        self.entries.iter().map(|entry| KeyValue {
            create_revision: entry.create_revision,
            mod_revision: entry.mod_revision,
            version: entry.version,
            lease: LeaseId::from(entry.lease),
            ..KeyValue::new(&entry.key.0, &entry.value.0)
        })
    }

    /// Returns the number of entries.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Returns whether there is no entry.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Whether it is of this range of a namespace with this prefix.
    pub(super) fn is_of(&self, prefix: &[u8], range: &KeyRange) -> bool {
        self.prefix.0 == prefix
            && self.key.0 == range.wire_key()
            && self.range_end.0 == range.wire_end()
    }
}

impl Serialize for Blob {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if serializer.is_human_readable() {
            serializer.serialize_str(&BASE64_STANDARD.encode(&self.0))
        } else {
            serializer.serialize_bytes(&self.0)
        }
    }
}

impl<'de> Deserialize<'de> for Blob {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        if deserializer.is_human_readable() {
            let text = String::deserialize(deserializer)?;
            // The text may be a secret: it is not shown.
            let bytes = BASE64_STANDARD
                .decode(text)
                .map_err(|_| de::Error::custom("a key or a value is not base64"))?;
            return Ok(Self(bytes.into()));
        }
        deserializer.deserialize_byte_buf(BlobVisitor)
    }
}

struct BlobVisitor;

impl<'de> Visitor<'de> for BlobVisitor {
    type Value = Blob;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("bytes")
    }

    fn visit_bytes<E: de::Error>(self, bytes: &[u8]) -> Result<Blob, E> {
        Ok(Blob(Bytes::copy_from_slice(bytes)))
    }

    fn visit_byte_buf<E: de::Error>(self, bytes: Vec<u8>) -> Result<Blob, E> {
        Ok(Blob(bytes.into()))
    }

    // Some formats have no bytes.
    fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<Blob, A::Error> {
        let mut bytes = Vec::new();
        while let Some(byte) = elements.next_element()? {
            bytes.push(byte);
        }
        Ok(Blob(bytes.into()))
    }
}

#[cfg(test)]
mod tests {
    use serde::de::value::{BytesDeserializer, Error, SeqDeserializer};

    use super::*;
    use crate::v3::Header;

    #[test]
    fn any_bytes_survive_and_what_is_no_state_is_not_shown() {
        let kv = KeyValue {
            mod_revision: 7,
            lease: LeaseId::from(-5),
            ..KeyValue::new(&[0_u8, 255][..], &b"\xff\x00secret"[..])
        };
        let entries = BTreeMap::from([(kv.key.clone(), kv.clone())]);
        let cursor = WatchCursor::after(&Header::default());
        let range = KeyRange::prefix("a");
        let state = MirrorState::new(cursor, b"ns/", &range, &entries);
        let text = serde_json::to_string(&state).unwrap();
        let back: MirrorState = serde_json::from_str(&text).unwrap();
        assert_eq!(back, state);
        assert_eq!(back.iter().collect::<Vec<_>>(), [kv]);
        assert!(back.is_of(b"ns/", &range));
        assert!(!back.is_of(b"", &range) && !back.is_of(b"ns/", &KeyRange::prefix("b")));
        let broken = text.replace("/w", "se cret");
        let error = serde_json::from_str::<MirrorState>(&broken).unwrap_err();
        assert!(!error.to_string().contains("cret"), "{error}");
    }

    #[test]
    fn bytes_are_read_in_each_way_that_a_compact_format_has() {
        let expected = Blob(Bytes::from_static(b"ab"));
        let bytes = BytesDeserializer::<Error>::new(b"ab");
        assert_eq!(
            bytes.deserialize_byte_buf(BlobVisitor),
            Ok(expected.clone())
        );
        let elements = SeqDeserializer::<_, Error>::new([b'a', b'b'].into_iter());
        assert_eq!(elements.deserialize_byte_buf(BlobVisitor), Ok(expected));
    }
}
