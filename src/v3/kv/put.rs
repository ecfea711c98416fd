use bytes::Bytes;

use crate::{
    error::{Error, Result},
    operation::Repeat,
    v3::{
        Header, LeaseId,
        protocol::gateway::{self, Encode, Fields},
        range::check_key,
    },
};

use crate::v3::kv::KeyValue;

/// Writes one key: `POST /v3/kv/put`. What was there is replaced, its lease included.
///
/// # Errors
/// [`is_lease_not_found`](crate::Error::is_lease_not_found); [`is_key_not_found`](crate::Error::is_key_not_found) where
/// the value or the lease is to be kept and there is no key; [`is_no_space`](crate::Error::is_no_space).
#[doc(alias = "set")]
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use = "an operation does nothing before `Client::send`"]
pub struct Put {
    pub(in crate::v3) key: Bytes,
    value: Bytes,
    lease: LeaseId,
    prev_kv: bool,
    ignore_value: bool,
    ignore_lease: bool,
}

impl Put {
    /// Gives `key` this value, and no lease.
    pub fn new(key: impl Into<Vec<u8>>, value: impl Into<Vec<u8>>) -> Self {
        Self {
            key: key.into().into(),
            value: value.into().into(),
            lease: LeaseId::NONE,
            prev_kv: false,
            ignore_value: false,
            ignore_lease: false,
        }
    }

    /// Keeps the value that `key` has, and changes the rest.
    #[doc(alias = "ignore_value")]
    pub fn keep_value(key: impl Into<Vec<u8>>) -> Self {
        Self {
            ignore_value: true,
            ..Self::new(key, "")
        }
    }

    /// The key ends with this lease.
    pub fn lease(mut self, lease: impl Into<LeaseId>) -> Self {
        self.lease = lease.into();
        self
    }

    /// Keeps the lease that the key has. Without this, and without [`lease`](Self::lease), it has none afterwards.
    #[doc(alias = "ignore_lease")]
    pub fn keep_lease(mut self, keep: bool) -> Self {
        self.ignore_lease = keep;
        self
    }

    /// Answers what was there before, too.
    pub fn prev_kv(mut self, prev_kv: bool) -> Self {
        self.prev_kv = prev_kv;
        self
    }
}

impl Encode for Put {
    fn check(&self, operation: &'static str) -> Result<()> {
        check_key(operation, &self.key)?;
        if self.ignore_lease && !self.lease.is_none() {
            let reason = "a lease is given, and the present one is to be kept: which one?";
            return Err(Error::invalid(operation, reason));
        }
        Ok(())
    }

    fn fields(&self, to: &mut Fields<'_>) {
        to.put("key", &self.key)
            .put("value", &self.value)
            .put("lease", &self.lease)
            .put("prev_kv", &self.prev_kv)
            .put("ignore_value", &self.ignore_value)
            .put("ignore_lease", &self.ignore_lease);
    }

    fn payload(&self) -> usize {
        self.key.len() + self.value.len()
    }
}

gateway::operation!(Put => PutResponse, "v3.kv.put", "/v3/kv/put", |_| Repeat::IfUnsent);

/// What a [`Put`] did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct PutResponse {
    /// Who answered. Its revision is the one that the key was written at.
    pub header: Header,
    /// What was there before: where it was asked for, and there was something.
    pub prev_kv: Option<KeyValue>,
}

gateway::decode!(PutResponse {
    "header" => header,
    "prev_kv" => prev_kv,
});

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        operation::Operation,
        v3::testing::{body, decoded},
    };

    #[test]
    fn the_request_is_as_documented() {
        let call = Put::new("foo", "bar").encode().unwrap();
        assert_eq!(
            (call.target(), call.repeat()),
            ("/v3/kv/put", Repeat::IfUnsent)
        );
        assert_eq!(
            body(&Put::new("foo", "bar")),
            r#"{"key":"Zm9v","value":"YmFy"}"#
        );
        assert_eq!(
            body(&Put::new("foo", "bar").lease(7).prev_kv(true)),
            r#"{"key":"Zm9v","value":"YmFy","lease":"7","prev_kv":true}"#
        );
        assert_eq!(
            body(&Put::keep_value("foo").keep_lease(true)),
            r#"{"key":"Zm9v","ignore_value":true,"ignore_lease":true}"#
        );
    }

    #[test]
    fn answers_are_read() {
        let json = r#"{"header":{"revision":"3"},"prev_kv":{"key":"YQ==","create_revision":"2","mod_revision":"2","version":"1","value":"YQ==","lease":"7587881538414243591"}}"#;
        let put = decoded(&Put::new("a", "b"), 200, json).unwrap();
        assert_eq!(put.header.revision, 3);
        assert_eq!(put.prev_kv.unwrap().lease.to_string(), "694d920e8eecef07");
        let put = decoded(&Put::new("a", "b"), 200, r#"{"header":{"revision":"3"}}"#).unwrap();
        assert_eq!(put.prev_kv, None);
    }

    #[test]
    fn what_etcd_would_refuse_is_refused() {
        let empty = Put::new("", "x").encode().unwrap_err();
        assert_eq!(
            empty.to_string(),
            "v3.kv.put: the key is empty: for all keys, use `KeyRange::all`"
        );
        let two = Put::new("a", "x")
            .lease(7)
            .keep_lease(true)
            .encode()
            .unwrap_err();
        assert_eq!(
            two.to_string(),
            "v3.kv.put: a lease is given, and the present one is to be kept: which one?"
        );
    }
}
