use crate::{
    error::Result,
    v3::{
        Header, KeyRange,
        protocol::message::{self, Encode, Fields},
    },
};

use crate::v3::kv::KeyValue;

/// Deletes one key or all keys in a range, atomically: `POST /v3/kv/deleterange`.
///
/// If there is nothing to delete, the revision of the store does not change. A [`KeyRange::prefix`] that is empty is refused: use
/// [`KeyRange::all`] to delete all keys.
#[doc(alias = "remove")]
#[doc(alias = "delete")]
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use = "an operation does nothing before `Client::send`"]
pub struct DeleteRange {
    pub(in crate::v3) range: KeyRange,
    prev_kv: bool,
}

impl DeleteRange {
    /// Deletes this key or range.
    pub fn new(range: impl Into<KeyRange>) -> Self {
        Self {
            range: range.into(),
            prev_kv: false,
        }
    }

    /// Also returns the deleted keys.
    pub fn prev_kv(mut self, prev_kv: bool) -> Self {
        self.prev_kv = prev_kv;
        self
    }
}

impl Encode for DeleteRange {
    fn check(&self, operation: &'static str) -> Result<()> {
        self.range.check_delete(operation)
    }

    fn fields<F: Fields>(&self, to: &mut F) {
        to.put(1, "key", self.range.wire_key())
            .put(2, "range_end", self.range.wire_end())
            .put(3, "prev_kv", &self.prev_kv);
    }
}

crate::v3::protocol::operation!(
    DeleteRange => DeleteRangeResponse,
    "v3.kv.delete_range",
    DELETE_RANGE, IfUnsent
);

/// The response to a [`DeleteRange`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct DeleteRangeResponse {
    /// The header. Its revision is the one of the delete, if anything was deleted.
    pub header: Header,
    /// The number of deleted keys.
    pub deleted: i64,
    /// The deleted keys in order, if they were requested.
    pub prev_kvs: Vec<KeyValue>,
}

message::decode!(DeleteRangeResponse {
    1 "header" => header,
    2 "deleted" => deleted,
    3 "prev_kvs" => prev_kvs,
});

#[cfg(test)]
mod tests {
    use super::*;
    use crate::v3::testing::{AsRequest, Repeat, body, decoded};

    #[test]
    fn the_request_is_as_documented() {
        let call = DeleteRange::new("foo").request().unwrap();
        assert_eq!(
            (call.target(), call.repeat()),
            ("/v3/kv/deleterange", Repeat::IfUnsent)
        );
        assert_eq!(body(&DeleteRange::new("foo")), r#"{"key":"Zm9v"}"#);
        assert_eq!(
            body(&DeleteRange::new(KeyRange::all()).prev_kv(true)),
            r#"{"key":"AA==","range_end":"AA==","prev_kv":true}"#
        );
        assert!(DeleteRange::new("").request().is_err());
        let all = DeleteRange::new(KeyRange::prefix(""));
        assert_eq!(
            all.request().unwrap_err().to_string(),
            "v3.kv.delete_range: the prefix is empty, so this would delete every key: if that is meant, use \
             `KeyRange::all()`"
        );
    }

    #[test]
    fn responses_are_read() {
        let json = r#"{"header":{"cluster_id":"7","revision":"3"}, "deleted":"1", "prev_kvs":[{"key":"YQ=="}]}"#;
        let deleted = decoded(&DeleteRange::new("a"), 200, json).unwrap();
        assert_eq!(
            (deleted.deleted, &deleted.prev_kvs[0].key[..]),
            (1, &b"a"[..])
        );
        let nothing = decoded(&DeleteRange::new("a"), 200, r#"{"header":{}}"#).unwrap();
        assert_eq!((nothing.deleted, nothing.prev_kvs.len()), (0, 0));
    }

    #[test]
    fn the_messages_are_those_of_etcd() {
        use crate::v3::testing::schema::{Requests, response};

        Requests::of("etcdserverpb.DeleteRangeRequest")
            .send(&DeleteRange::new(KeyRange::prefix("a")).prev_kv(true))
            .all_fields_but(&[]);
        response::<DeleteRangeResponse>("etcdserverpb.DeleteRangeResponse", &[]);
    }
}
