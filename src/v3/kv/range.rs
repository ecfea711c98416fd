use crate::{
    error::{Error, Result},
    v3::{
        Header, KeyRange,
        protocol::message::{self, Encode, Fields},
    },
};

use crate::v3::kv::KeyValue;

message::names! {
    /// The order of the keys in a response.
    pub enum SortOrder {
        /// Unsorted, which in etcd means by key; with another [`SortTarget`], sorted after the limit was applied.
        Unsorted = 0 "NONE",
        /// Ascending.
        Ascend = 1 "ASCEND",
        /// Descending.
        Descend = 2 "DESCEND",
    }
}

message::names! {
    /// The property that keys are sorted by.
    pub enum SortTarget {
        /// The key, byte by byte.
        Key = 0 "KEY",
        /// The version: how many times the key was put.
        Version = 1 "VERSION",
        /// The revision that created the key.
        Create = 2 "CREATE",
        /// The revision that last changed the key.
        Mod = 3 "MOD",
        /// The value, byte by byte.
        Value = 4 "VALUE",
    }
}

/// Reads one key or all keys in a range: `POST /v3/kv/range`.
///
/// Reads are linearizable, unless they are [`serializable`](Self::serializable). An empty result is not an error.
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
/// [`is_compacted`](crate::Error::is_compacted) if the revision was compacted,
/// [`FutureRevision`](crate::EtcdErrorKind::FutureRevision) if it does not exist yet.
#[doc(alias = "list")]
#[doc(alias = "scan")]
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
    /// Reads this key or range.
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

    /// Returns at most this many keys. Defaults to 0: no limit. [`more`](RangeResponse::more) tells whether there are
    /// others.
    pub fn limit(mut self, keys: i64) -> Self {
        self.limit = keys;
        self
    }

    /// Reads the store at this revision. Defaults to 0: the current one.
    pub fn revision(mut self, revision: i64) -> Self {
        self.revision = revision;
        self
    }

    /// Sorts the keys. With [`SortOrder::Unsorted`] and a limit, etcd sorts after it applied the limit.
    pub fn sort(mut self, target: SortTarget, order: SortOrder) -> Self {
        self.sort_target = target;
        self.sort_order = order;
        self
    }

    /// Lets the member respond from its own data: faster, possible without a quorum, and possibly stale.
    pub fn serializable(mut self, serializable: bool) -> Self {
        self.serializable = serializable;
        self
    }

    /// Returns keys without values.
    pub fn keys_only(mut self, keys_only: bool) -> Self {
        self.keys_only = keys_only;
        self
    }

    /// Returns only the number of keys.
    pub fn count_only(mut self, count_only: bool) -> Self {
        self.count_only = count_only;
        self
    }

    /// Returns only keys that were last changed at this revision or later. Defaults to 0: no bound.
    /// [`count`](RangeResponse::count) ignores it.
    pub fn min_mod_revision(mut self, revision: i64) -> Self {
        self.min_mod_revision = revision;
        self
    }

    /// Returns only keys that were last changed at this revision or earlier. Defaults to 0: no bound.
    pub fn max_mod_revision(mut self, revision: i64) -> Self {
        self.max_mod_revision = revision;
        self
    }

    /// Returns only keys that were created at this revision or later. Defaults to 0: no bound.
    pub fn min_create_revision(mut self, revision: i64) -> Self {
        self.min_create_revision = revision;
        self
    }

    /// Returns only keys that were created at this revision or earlier. Defaults to 0: no bound.
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
                // etcd would ignore it.
                let reason = format!("the {name} is negative: {number}");
                return Err(Error::invalid(operation, reason));
            }
        }
        Ok(())
    }

    fn fields<F: Fields>(&self, to: &mut F) {
        to.put(1, "key", self.range.wire_key())
            .put(2, "range_end", self.range.wire_end())
            .put(3, "limit", &self.limit)
            .put(4, "revision", &self.revision)
            .put(5, "sort_order", &self.sort_order)
            .put(6, "sort_target", &self.sort_target)
            .put(7, "serializable", &self.serializable)
            .put(8, "keys_only", &self.keys_only)
            .put(9, "count_only", &self.count_only)
            .put(10, "min_mod_revision", &self.min_mod_revision)
            .put(11, "max_mod_revision", &self.max_mod_revision)
            .put(12, "min_create_revision", &self.min_create_revision)
            .put(13, "max_create_revision", &self.max_create_revision);
    }
}

crate::v3::protocol::operation!(Range => RangeResponse, "v3.kv.range", RANGE, Always);

/// The response to a [`Range`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct RangeResponse {
    /// The header. Its revision is the current one, even for a read at an earlier revision.
    pub header: Header,
    /// The keys with their values.
    pub kvs: Vec<KeyValue>,
    /// Whether there are more keys than the limit allowed.
    pub more: bool,
    /// The number of keys in the range, regardless of the limit and of bounds on revisions.
    pub count: i64,
}

impl RangeResponse {
    /// A response with these keys and no others. For your own tests.
    pub fn new(kvs: impl IntoIterator<Item = KeyValue>) -> Self {
        let kvs: Vec<_> = kvs.into_iter().collect();
        Self {
            header: Header::default(),
            count: i64::try_from(kvs.len()).unwrap_or(i64::MAX),
            more: false,
            kvs,
        }
    }

    /// Returns the first key: the only one if a single key was requested.
    pub fn first(&self) -> Option<&KeyValue> {
        self.kvs.first()
    }

    /// Returns the first key and drops the rest.
    pub fn into_first(self) -> Option<KeyValue> {
        self.kvs.into_iter().next()
    }
}

message::decode!(RangeResponse {
    1 "header" => header,
    2 "kvs" => kvs,
    3 "more" => more,
    4 "count" => count,
});

#[cfg(test)]
mod tests {
    use super::*;
    use crate::v3::testing::{AsRequest, Repeat, body, decoded};

    #[test]
    fn the_request_is_as_documented() {
        let call = Range::new("foo").request().unwrap();
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
    fn responses_of_either_version_are_read() {
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
        let nothing = decoded(
            &Range::new("a"),
            200,
            r#"{"header":{"cluster_id":"7","revision":"2"}}"#,
        )
        .unwrap();
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
            let error = range.request().unwrap_err();
            assert_eq!(error.to_string(), format!("v3.kv.range: {reason}"));
        }
    }

    #[test]
    fn the_messages_are_those_of_etcd() {
        use crate::v3::testing::schema::{Requests, response};

        Requests::of("etcdserverpb.RangeRequest")
            .send(
                &Range::new(KeyRange::prefix("a"))
                    .limit(1)
                    .revision(2)
                    .sort(SortTarget::Mod, SortOrder::Descend)
                    .serializable(true)
                    .keys_only(true)
                    .count_only(true)
                    .min_mod_revision(3)
                    .max_mod_revision(4)
                    .min_create_revision(5)
                    .max_create_revision(i64::MAX),
            )
            .all_fields_but(&[]);
        for (order, _, sort_order) in SortOrder::ALL {
            for (target, _, sort_target) in SortTarget::ALL {
                let sorted = Range::new("a").sort(*sort_target, *sort_order);
                assert_eq!(
                    (sort_order.number(), sort_target.number()),
                    (*order, *target)
                );
                let _ = Requests::of("etcdserverpb.RangeRequest").send(&sorted);
            }
        }
        response::<RangeResponse>("etcdserverpb.RangeResponse", &[]);
    }
}
