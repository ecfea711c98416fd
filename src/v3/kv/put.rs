use bytes::Bytes;

use crate::{
    error::{Error, Result},
    v3::{
        Header, Key, LeaseId, Value,
        protocol::message::{self, Encode, Fields},
        range::check_key,
    },
};

use crate::v3::kv::KeyValue;

/// Writes one key: `POST /v3/kv/put`. Replaces its value and its lease.
///
/// # Errors
/// [`is_lease_not_found`](crate::Error::is_lease_not_found); [`is_key_not_found`](crate::Error::is_key_not_found) if
/// the value or the lease should be kept and the key does not exist; [`is_no_space`](crate::Error::is_no_space).
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
    /// Puts this value, without a lease.
    pub fn new(key: impl Into<Key>, value: impl Into<Value>) -> Self {
        Self {
            key: key.into().into_bytes(),
            value: value.into().into_bytes(),
            lease: LeaseId::NONE,
            prev_kv: false,
            ignore_value: false,
            ignore_lease: false,
        }
    }

    /// Keeps the current value of `key` and changes only its lease.
    #[doc(alias = "ignore_value")]
    pub fn keep_value(key: impl Into<Key>) -> Self {
        Self {
            ignore_value: true,
            ..Self::new(key, "")
        }
    }

    /// Attaches the key to this lease: it is deleted when the lease ends.
    pub fn lease(mut self, lease: impl Into<LeaseId>) -> Self {
        self.lease = lease.into();
        self
    }

    /// Keeps the current lease of the key. Without this or [`lease`](Self::lease), a put detaches the key from its
    /// lease.
    #[doc(alias = "ignore_lease")]
    pub fn keep_lease(mut self, keep: bool) -> Self {
        self.ignore_lease = keep;
        self
    }

    /// Also returns the previous key.
    pub fn prev_kv(mut self, prev_kv: bool) -> Self {
        self.prev_kv = prev_kv;
        self
    }
}

impl Encode for Put {
    fn check(&self, operation: &'static str) -> Result<()> {
        check_key(operation, &self.key)?;
        if self.ignore_lease && !self.lease.is_none() {
            let reason = "`lease` and `keep_lease` are mutually exclusive";
            return Err(Error::invalid(operation, reason));
        }
        Ok(())
    }

    fn fields<F: Fields>(&self, to: &mut F) {
        to.put(1, "key", &self.key)
            .put(2, "value", &self.value)
            .put(3, "lease", &self.lease)
            .put(4, "prev_kv", &self.prev_kv)
            .put(5, "ignore_value", &self.ignore_value)
            .put(6, "ignore_lease", &self.ignore_lease);
    }

    fn lease(&self) -> i64 {
        self.lease.get()
    }
}

crate::v3::protocol::operation!(Put => PutResponse, "v3.kv.put", PUT, IfUnsent);

/// The response to a [`Put`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct PutResponse {
    /// The header. Its revision is the one of the write.
    pub header: Header,
    /// The previous key, if it was requested and existed.
    pub prev_kv: Option<KeyValue>,
}

message::decode!(PutResponse {
    1 "header" => header,
    2 "prev_kv" => prev_kv,
});

#[cfg(test)]
mod tests {
    use super::*;
    use crate::v3::testing::{AsRequest, Repeat, body, decoded};

    #[test]
    fn the_request_is_as_documented() {
        let call = Put::new("foo", "bar").request().unwrap();
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
    fn responses_are_read() {
        let json = r#"{"header":{"cluster_id":"7","revision":"3"},"prev_kv":{"key":"YQ==","create_revision":"2","mod_revision":"2","version":"1","value":"YQ==","lease":"7587881538414243591"}}"#;
        let put = decoded(&Put::new("a", "b"), 200, json).unwrap();
        assert_eq!(put.header.revision, 3);
        assert_eq!(put.prev_kv.unwrap().lease.to_string(), "694d920e8eecef07");
        let put = decoded(
            &Put::new("a", "b"),
            200,
            r#"{"header":{"cluster_id":"7","revision":"3"}}"#,
        )
        .unwrap();
        assert_eq!(put.prev_kv, None);
    }

    #[test]
    fn what_etcd_would_refuse_is_refused() {
        let empty = Put::new("", "x").request().unwrap_err();
        assert_eq!(
            empty.to_string(),
            "v3.kv.put: the key is empty, which no key of etcd is"
        );
        let two = Put::new("a", "x")
            .lease(7)
            .keep_lease(true)
            .request()
            .unwrap_err();
        assert_eq!(
            two.to_string(),
            "v3.kv.put: `lease` and `keep_lease` are mutually exclusive"
        );
    }

    #[test]
    fn the_messages_are_those_of_etcd() {
        use crate::v3::testing::schema::{Requests, response};

        Requests::of("etcdserverpb.PutRequest")
            .send(&Put::new("a", "b").lease(7).prev_kv(true))
            .send(&Put::keep_value("a").keep_lease(true))
            .all_fields_but(&[]);
        response::<PutResponse>("etcdserverpb.PutResponse", &[]);
    }
}
