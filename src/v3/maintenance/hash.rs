use crate::{
    error::{Error, Result},
    v3::{
        Header,
        protocol::message::{self, Encode, Fields},
    },
};

message::empty! {
    /// Returns a checksum of a member's whole database: `POST /v3/maintenance/hash`. During writes it may differ
    /// between healthy members; [`GetHashKv`] compares them at a revision.
    GetHash;
}

crate::v3::protocol::operation!(GetHash => HashResponse, "v3.maintenance.hash", HASH, Always);

/// The response to a [`GetHash`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct HashResponse {
    /// The header of the response.
    pub header: Header,
    /// The checksum.
    pub hash: u32,
}

message::decode!(HashResponse {
    1 "header" => header,
    2 "hash" => hash,
});

/// Returns a checksum of a member's keys up to a revision: `POST /v3/maintenance/hashkv`. Since etcd 3.5.
///
/// # Errors
/// [`is_compacted`](crate::Error::is_compacted), [`FutureRevision`](crate::EtcdErrorKind::FutureRevision).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[must_use = "an operation does nothing before `Client::send`"]
pub struct GetHashKv {
    revision: i64,
}

impl GetHashKv {
    /// The checksum at the current revision.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets the revision. Defaults to 0: the current one.
    pub fn revision(mut self, revision: i64) -> Self {
        self.revision = revision;
        self
    }
}

impl Encode for GetHashKv {
    fn check(&self, operation: &'static str) -> Result<()> {
        if self.revision < 0 {
            let reason = format!("the revision is negative: {}", self.revision);
            return Err(Error::invalid(operation, reason));
        }
        Ok(())
    }

    fn fields<F: Fields>(&self, to: &mut F) {
        to.put(1, "revision", &self.revision);
    }
}

crate::v3::protocol::operation!(GetHashKv => HashKvResponse, "v3.maintenance.hash_kv", HASH_KV, Always);

/// The response to a [`GetHashKv`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct HashKvResponse {
    /// The header of the response.
    pub header: Header,
    /// The checksum.
    pub hash: u32,
    /// The revision of the last compaction; -1 if there was none.
    pub compact_revision: i64,
    /// The revision of the checksum. Since etcd 3.6; 0 before.
    pub hash_revision: i64,
}

message::decode!(HashKvResponse {
    1 "header" => header,
    2 "hash" => hash,
    3 "compact_revision" => compact_revision,
    4 "hash_revision" => hash_revision,
});

#[cfg(test)]
mod tests {
    use super::*;
    use crate::v3::testing::{AsRequest, body, decoded};

    #[test]
    fn the_requests_are_as_documented() {
        assert_eq!(
            GetHash::new().request().unwrap().target(),
            "/v3/maintenance/hash"
        );
        assert_eq!(body(&GetHash::new()), "{}");
        assert_eq!(
            GetHashKv::new().request().unwrap().target(),
            "/v3/maintenance/hashkv"
        );
        assert_eq!(body(&GetHashKv::new().revision(3)), r#"{"revision":"3"}"#);
        assert!(GetHashKv::new().revision(-1).request().is_err());
    }

    #[test]
    fn responses_are_read() {
        let json = r#"{"header":{"cluster_id":"7","revision":"2"},"hash":4255912565}"#;
        assert_eq!(
            decoded(&GetHash::new(), 200, json).unwrap().hash,
            4_255_912_565
        );
        let json = r#"{"header":{"cluster_id":"7","revision":"2"}, "hash":3407656708, "compact_revision":"-1"}"#;
        let found = decoded(&GetHashKv::new(), 200, json).unwrap();
        assert_eq!((found.hash, found.compact_revision), (3_407_656_708, -1));
        assert_eq!(found.hash_revision, 0);
        let etcd_3_6 = r#"{"header":{"cluster_id":"7","revision":"9"}, "hash":777946187, "compact_revision":"4", "hash_revision":"8"}"#;
        let found = decoded(&GetHashKv::new(), 200, etcd_3_6).unwrap();
        assert_eq!((found.compact_revision, found.hash_revision), (4, 8));
    }

    #[test]
    fn the_messages_are_those_of_etcd() {
        use crate::v3::testing::schema::{Requests, response};

        Requests::of("etcdserverpb.HashRequest")
            .send(&GetHash::new())
            .all_fields_but(&[]);
        Requests::of("etcdserverpb.HashKVRequest")
            .send(&GetHashKv::new().revision(7))
            .all_fields_but(&[]);
        response::<HashResponse>("etcdserverpb.HashResponse", &[]);
        response::<HashKvResponse>("etcdserverpb.HashKVResponse", &[]);
    }
}
