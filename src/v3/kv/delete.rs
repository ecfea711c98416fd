use crate::{
    error::Result,
    operation::Repeat,
    v3::{
        Header, KeyRange,
        protocol::gateway::{self, Encode, Fields},
    },
};

use crate::v3::kv::KeyValue;

/// Deletes one key, or all keys of a range, in one step: `POST /v3/kv/deleterange`.
///
/// Where there is nothing to delete nothing happens, and the revision stays.
#[doc(alias = "delete")]
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use = "an operation does nothing before `Client::send`"]
pub struct DeleteRange {
    pub(in crate::v3) range: KeyRange,
    prev_kv: bool,
}

impl DeleteRange {
    /// Deletes this key, or these keys.
    pub fn new(range: impl Into<KeyRange>) -> Self {
        Self {
            range: range.into(),
            prev_kv: false,
        }
    }

    /// Answers what was there, too.
    pub fn prev_kv(mut self, prev_kv: bool) -> Self {
        self.prev_kv = prev_kv;
        self
    }
}

impl Encode for DeleteRange {
    fn check(&self, operation: &'static str) -> Result<()> {
        self.range.check(operation)
    }

    fn fields(&self, to: &mut Fields<'_>) {
        to.put("key", self.range.wire_key())
            .put("range_end", self.range.wire_end())
            .put("prev_kv", &self.prev_kv);
    }
}

gateway::operation!(
    DeleteRange => DeleteRangeResponse,
    "v3.kv.delete_range",
    "/v3/kv/deleterange",
    |_| Repeat::IfUnsent
);

/// What a [`DeleteRange`] did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct DeleteRangeResponse {
    /// Who answered. Its revision is the one that the keys were deleted at, if there were any.
    pub header: Header,
    /// How many keys were deleted.
    pub deleted: i64,
    /// What they were, where it was asked for, in the order of keys.
    pub prev_kvs: Vec<KeyValue>,
}

gateway::decode!(DeleteRangeResponse {
    "header" => header,
    "deleted" => deleted,
    "prev_kvs" => prev_kvs,
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
        let call = DeleteRange::new("foo").encode().unwrap();
        assert_eq!(
            (call.target(), call.repeat()),
            ("/v3/kv/deleterange", Repeat::IfUnsent)
        );
        assert_eq!(body(&DeleteRange::new("foo")), r#"{"key":"Zm9v"}"#);
        assert_eq!(
            body(&DeleteRange::new(KeyRange::all()).prev_kv(true)),
            r#"{"key":"AA==","range_end":"AA==","prev_kv":true}"#
        );
        assert!(DeleteRange::new("").encode().is_err());
    }

    #[test]
    fn answers_are_read() {
        let json = r#"{"header":{"revision":"3"}, "deleted":"1", "prev_kvs":[{"key":"YQ=="}]}"#;
        let deleted = decoded(&DeleteRange::new("a"), 200, json).unwrap();
        assert_eq!(
            (deleted.deleted, &deleted.prev_kvs[0].key[..]),
            (1, &b"a"[..])
        );
        let nothing = decoded(&DeleteRange::new("a"), 200, r#"{"header":{}}"#).unwrap();
        assert_eq!((nothing.deleted, nothing.prev_kvs.len()), (0, 0));
    }
}
