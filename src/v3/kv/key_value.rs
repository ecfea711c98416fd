use std::str::Utf8Error;

use bytes::Bytes;

use crate::v3::{LeaseId, protocol::gateway};

/// A key, its value, and what etcd keeps beside them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct KeyValue {
    /// The key.
    pub key: Bytes,
    /// The value. Empty where only keys were asked for, and in the event of a delete.
    pub value: Bytes,
    /// The revision that created the key, for the last time.
    pub create_revision: i64,
    /// The revision that last changed it.
    pub mod_revision: i64,
    /// How often it was put since it was created: 1 at first.
    pub version: i64,
    /// The lease it ends with, or [`LeaseId::NONE`].
    pub lease: LeaseId,
}

impl KeyValue {
    /// The key as text.
    ///
    /// # Errors
    /// When it is not UTF-8.
    pub fn key_str(&self) -> Result<&str, Utf8Error> {
        str::from_utf8(&self.key)
    }

    /// The value as text.
    ///
    /// # Errors
    /// When it is not UTF-8.
    pub fn value_str(&self) -> Result<&str, Utf8Error> {
        str::from_utf8(&self.value)
    }
}

gateway::decode!(KeyValue {
    "key" => key,
    "create_revision" => create_revision,
    "mod_revision" => mod_revision,
    "version" => version,
    "value" => value,
    "lease" => lease,
} needs key);

#[cfg(test)]
mod tests {
    use super::*;

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
            let found: KeyValue = gateway::parse(json.as_bytes()).unwrap();
            assert_eq!(found, expected, "{json}");
        }
    }

    #[test]
    fn a_key_value_without_its_key_is_none() {
        let read = |json: &str| gateway::parse::<KeyValue>(json.as_bytes());
        assert_eq!(read(r#"{"key":"YQ=="}"#).unwrap().key, "a");
        for json in ["{}", r#"{"key":""}"#, r#"{"value":"YQ==","version":"1"}"#] {
            let error = read(json).unwrap_err().to_string();
            assert!(error.starts_with("missing field `key`"), "{error}");
        }
    }
}
