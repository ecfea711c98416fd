use std::str::Utf8Error;

use bytes::Bytes;

use crate::v3::{Key, LeaseId, Value, protocol::message};

/// A key with its value and its metadata.
///
/// Over gRPC, key and value are parts of the response, which are not copied, and keep all of it in memory. For what is kept
/// for long, there is [`detached`](Self::detached).
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct KeyValue {
    /// The key.
    pub key: Bytes,
    /// The value. Empty in a listing of keys only, and in the event of a delete.
    pub value: Bytes,
    /// The revision that created the key; after a delete, the one that created it again.
    pub create_revision: i64,
    /// The revision that last changed the key.
    pub mod_revision: i64,
    /// How many times the key was put since it was created: 1 at first.
    pub version: i64,
    /// The lease that the key is attached to, or [`LeaseId::NONE`].
    pub lease: LeaseId,
}

impl KeyValue {
    /// A key with a value, as if created at revision 1. For your own tests.
    ///
    /// ```
    /// use etcd_http::v3::KeyValue;
    ///
    /// let mut kv = KeyValue::new("config", "on");
    /// kv.mod_revision = 7;
    /// assert_eq!(kv.value_str(), Ok("on"));
    /// ```
    pub fn new(key: impl Into<Key>, value: impl Into<Value>) -> Self {
        Self {
            key: key.into().into_bytes(),
            value: value.into().into_bytes(),
            create_revision: 1,
            mod_revision: 1,
            version: 1,
            lease: LeaseId::NONE,
        }
    }

    /// Returns it with a copy of its key and value, which keeps nothing else in memory.
    ///
    /// ```
    /// use etcd_http::v3::RangeResponse;
    ///
    /// # fn cache(_: etcd_http::v3::KeyValue) {}
    /// # let response = RangeResponse::default();
    /// // One key of a thousand.
    /// if let Some(kv) = response.kvs.into_iter().next() {
    ///     cache(kv.detached());
    /// }
    /// ```
    #[must_use]
    pub fn detached(self) -> Self {
        let mut key = Bytes::from([&self.key[..], &self.value].concat());
        let value = key.split_off(self.key.len());
        Self { key, value, ..self }
    }

    /// Returns the key as text.
    ///
    /// # Errors
    /// If it is not UTF-8.
    pub fn key_str(&self) -> Result<&str, Utf8Error> {
        str::from_utf8(&self.key)
    }

    /// Returns the value as text.
    ///
    /// # Errors
    /// If it is not UTF-8.
    pub fn value_str(&self) -> Result<&str, Utf8Error> {
        str::from_utf8(&self.value)
    }
}

message::decode!(KeyValue {
    1 "key" => key,
    2 "create_revision" => create_revision,
    3 "mod_revision" => mod_revision,
    4 "version" => version,
    5 "value" => value,
    6 "lease" => lease,
} needs key);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::v3::protocol::json;

    #[test]
    fn v3_40_the_fields_are_read_in_etcds_order_and_in_any_other() {
        let in_order = [
            r#""key":"YQ==""#,
            r#""create_revision":"2""#,
            r#""mod_revision":"5""#,
            r#""version":"3""#,
            r#""value":"Yg==""#,
            r#""lease":"-7""#,
        ];
        let expected = KeyValue {
            key: "a".into(),
            value: "b".into(),
            create_revision: 2,
            mod_revision: 5,
            version: 3,
            lease: (-7).into(),
        };
        for first in 0..in_order.len() {
            let mut fields = in_order;
            fields.rotate_left(first);
            let json = format!("{{{}}}", fields.join(","));
            let found: KeyValue = json::parse(json.as_bytes()).unwrap();
            assert_eq!(found, expected, "{json}");
        }
    }

    #[test]
    fn a_detached_one_is_equal_and_shares_no_memory() {
        let response = Bytes::from(vec![b'x'; 100]);
        for (key, value) in [(10..20, 30..50), (0..1, 0..0), (0..0, 99..100)] {
            let kv = KeyValue::new(response.slice(key), response.slice(value));
            let detached = kv.clone().detached();
            assert_eq!(detached, kv);
            for part in [&detached.key, &detached.value] {
                let is_shared = response.as_ptr_range().contains(&part.as_ptr());
                assert!(!is_shared, "{part:?}");
            }
        }
    }

    #[test]
    fn a_key_value_without_its_key_is_none() {
        let read = |json: &str| json::parse::<KeyValue>(json.as_bytes());
        assert_eq!(read(r#"{"key":"YQ=="}"#).unwrap().key, "a");
        for json in ["{}", r#"{"key":""}"#, r#"{"value":"YQ==","version":"1"}"#] {
            let error = read(json).unwrap_err().to_string();
            assert!(error.starts_with("missing field `key`"), "{error}");
        }
    }
}
