use crate::{
    error::{Error, Result},
    operation::Repeat,
    v3::{
        Header, KeyRange,
        protocol::gateway::{self, Encode, Fields},
    },
};

use crate::v3::kv::KeyValue;

gateway::names! {
    /// In which order keys come.
    pub enum SortOrder {
        /// As they come: by key, or as [`SortTarget`] says, but then only within what the limit let through.
        Unsorted = "NONE",
        /// The lowest first.
        Ascend = "ASCEND",
        /// The highest first.
        Descend = "DESCEND",
    }
}

gateway::names! {
    /// What keys are sorted by.
    pub enum SortTarget {
        /// The key, in the order of bytes.
        Key = "KEY",
        /// How often it was put.
        Version = "VERSION",
        /// When it was created.
        Create = "CREATE",
        /// When it was last changed.
        Mod = "MOD",
        /// The value, in the order of bytes.
        Value = "VALUE",
    }
}

/// Reads one key, or all keys of a range: `POST /v3/kv/range`.
///
/// The answer has every write that was acknowledged before, unless it is [`serializable`](Self::serializable).
/// Nothing found is an answer, not an error.
///
/// ```
/// use etcd_http::v3::{KeyRange, Range, SortOrder, SortTarget};
///
/// let newest = Range::new(KeyRange::prefix("jobs/"))
///     .sort(SortTarget::Mod, SortOrder::Descend)
///     .limit(1);
/// # let _ = newest;
/// ```
///
/// # Errors
/// [`is_compacted`](crate::Error::is_compacted) for a revision that is gone,
/// [`FutureRevision`](crate::EtcdErrorKind::FutureRevision) for one that is not there yet.
#[doc(alias = "get")]
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use = "an operation does nothing before `Client::send`"]
pub struct Range {
    pub(in crate::v3) range: KeyRange,
    limit: i64,
    revision: i64,
    sort_order: SortOrder,
    sort_target: SortTarget,
    serializable: bool,
    keys_only: bool,
    count_only: bool,
    min_mod_revision: i64,
    max_mod_revision: i64,
    min_create_revision: i64,
    max_create_revision: i64,
}

impl Range {
    /// Reads this key, or these keys.
    pub fn new(range: impl Into<KeyRange>) -> Self {
        Self {
            range: range.into(),
            limit: 0,
            revision: 0,
            sort_order: SortOrder::default(),
            sort_target: SortTarget::default(),
            serializable: false,
            keys_only: false,
            count_only: false,
            min_mod_revision: 0,
            max_mod_revision: 0,
            min_create_revision: 0,
            max_create_revision: 0,
        }
    }

    /// At most this many keys; 0 is no limit. [`more`](RangeResponse::more) tells whether there were others.
    pub fn limit(mut self, keys: i64) -> Self {
        self.limit = keys;
        self
    }

    /// As it was at this revision; 0 is now.
    pub fn revision(mut self, revision: i64) -> Self {
        self.revision = revision;
        self
    }

    /// In this order. With [`SortOrder::Unsorted`] and a limit, etcd sorts only what the limit let through.
    pub fn sort(mut self, target: SortTarget, order: SortOrder) -> Self {
        self.sort_target = target;
        self.sort_order = order;
        self
    }

    /// Lets the member that is asked answer by itself: quicker, even without a quorum, and perhaps stale.
    pub fn serializable(mut self, serializable: bool) -> Self {
        self.serializable = serializable;
        self
    }

    /// Leaves the values out.
    pub fn keys_only(mut self, keys_only: bool) -> Self {
        self.keys_only = keys_only;
        self
    }

    /// Only counts.
    pub fn count_only(mut self, count_only: bool) -> Self {
        self.count_only = count_only;
        self
    }

    /// Only keys last changed at this revision or later; 0 is no bound. [`count`](RangeResponse::count) does not heed it.
    pub fn min_mod_revision(mut self, revision: i64) -> Self {
        self.min_mod_revision = revision;
        self
    }

    /// Only keys last changed at this revision or earlier; 0 is no bound.
    pub fn max_mod_revision(mut self, revision: i64) -> Self {
        self.max_mod_revision = revision;
        self
    }

    /// Only keys created at this revision or later; 0 is no bound.
    pub fn min_create_revision(mut self, revision: i64) -> Self {
        self.min_create_revision = revision;
        self
    }

    /// Only keys created at this revision or earlier; 0 is no bound.
    pub fn max_create_revision(mut self, revision: i64) -> Self {
        self.max_create_revision = revision;
        self
    }
}

impl Encode for Range {
    fn check(&self, operation: &'static str) -> Result<()> {
        self.range.check(operation)?;
        for (name, number) in [
            ("limit", self.limit),
            ("revision", self.revision),
            ("min_mod_revision", self.min_mod_revision),
            ("max_mod_revision", self.max_mod_revision),
            ("min_create_revision", self.min_create_revision),
            ("max_create_revision", self.max_create_revision),
        ] {
            if number < 0 {
                // etcd would take it for none.
                let reason = format!("the {name} is negative: {number}");
                return Err(Error::invalid(operation, reason));
            }
        }
        Ok(())
    }

    fn fields(&self, to: &mut Fields<'_>) {
        to.put("key", self.range.wire_key())
            .put("range_end", self.range.wire_end())
            .put("limit", &self.limit)
            .put("revision", &self.revision)
            .put("sort_order", &self.sort_order)
            .put("sort_target", &self.sort_target)
            .put("serializable", &self.serializable)
            .put("keys_only", &self.keys_only)
            .put("count_only", &self.count_only)
            .put("min_mod_revision", &self.min_mod_revision)
            .put("max_mod_revision", &self.max_mod_revision)
            .put("min_create_revision", &self.min_create_revision)
            .put("max_create_revision", &self.max_create_revision);
    }
}

gateway::operation!(Range => RangeResponse, "v3.kv.range", "/v3/kv/range", |_| Repeat::Always);

/// What a [`Range`] found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct RangeResponse {
    /// Who answered. Its revision is that of now, also for a read of the past.
    pub header: Header,
    /// The keys, and their values.
    pub kvs: Vec<KeyValue>,
    /// Whether the limit cut keys off.
    pub more: bool,
    /// How many keys the range has, whatever limit and bounds of revisions left out.
    pub count: i64,
}

impl RangeResponse {
    /// The first key: the only one, where one was asked for.
    pub fn first(&self) -> Option<&KeyValue> {
        self.kvs.first()
    }

    /// The first key, and nothing else.
    pub fn into_first(self) -> Option<KeyValue> {
        self.kvs.into_iter().next()
    }
}

gateway::decode!(RangeResponse {
    "header" => header,
    "kvs" => kvs,
    "more" => more,
    "count" => count,
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
        let call = Range::new("foo").encode().unwrap();
        assert_eq!(call.target(), "/v3/kv/range");
        assert_eq!(
            (call.content_type(), call.repeat()),
            (Some("application/json"), Repeat::Always)
        );
        assert_eq!(body(&Range::new("foo")), r#"{"key":"Zm9v"}"#);
        let all = Range::new(KeyRange::prefix("foo"))
            .limit(10)
            .revision(7)
            .sort(SortTarget::Mod, SortOrder::Descend)
            .serializable(true)
            .keys_only(true)
            .count_only(true)
            .min_mod_revision(1)
            .max_mod_revision(2)
            .min_create_revision(3)
            .max_create_revision(4);
        assert_eq!(
            body(&all),
            r#"{"key":"Zm9v","range_end":"Zm9w","limit":"10","revision":"7","sort_order":"DESCEND","sort_target":"MOD","serializable":true,"keys_only":true,"count_only":true,"min_mod_revision":"1","max_mod_revision":"2","min_create_revision":"3","max_create_revision":"4"}"#
        );
    }

    #[test]
    fn answers_of_either_version_are_read() {
        let etcd_3_4 = r#"{"header":{"cluster_id":"9151734699010623715","member_id":"3153101805118352275","revision":"2","raft_term":"2"},"kvs":[{"key":"YQ==","create_revision":"2","mod_revision":"2","version":"1","value":"Yg=="}],"count":"1"}"#;
        let etcd_3_5 = etcd_3_4.replace(",\"", ", \"");
        for json in [etcd_3_4, &etcd_3_5] {
            let found = decoded(&Range::new("a"), 200, json).unwrap();
            assert_eq!(found.header.cluster_id, 9_151_734_699_010_623_715);
            assert_eq!(
                (found.header.revision, found.count, found.more),
                (2, 1, false)
            );
            let kv = found.into_first().unwrap();
            assert_eq!((kv.key_str(), kv.value_str()), (Ok("a"), Ok("b")));
            assert_eq!((kv.create_revision, kv.mod_revision, kv.version), (2, 2, 1));
            assert!(kv.lease.is_none());
        }
        let nothing = decoded(&Range::new("a"), 200, r#"{"header":{"revision":"2"}}"#).unwrap();
        assert_eq!((nothing.first(), nothing.count), (None, 0));
    }

    #[test]
    fn what_etcd_would_misread_is_refused() {
        for (range, reason) in [
            (
                Range::new(""),
                "the key is empty: for all keys, use `KeyRange::all`",
            ),
            (Range::new("a").limit(-1), "the limit is negative: -1"),
            (Range::new("a").revision(-5), "the revision is negative: -5"),
            (
                Range::new("a").max_create_revision(-5),
                "the max_create_revision is negative: -5",
            ),
        ] {
            let error = range.encode().unwrap_err();
            assert_eq!(error.to_string(), format!("v3.kv.range: {reason}"));
        }
    }
}
