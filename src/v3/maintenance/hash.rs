use crate::{
    error::{Error, Result},
    operation::Repeat,
    v3::{
        Header,
        protocol::gateway::{self, Encode, Fields},
    },
};

gateway::empty! {
    /// A checksum of a member's whole database: `POST /v3/maintenance/hash`. Of members that differ in nothing else, it may
    /// differ while they are written to: [`GetHashKv`] says at which revision.
    GetHash;
}

gateway::operation!(
    GetHash => HashResponse, "v3.maintenance.hash", "/v3/maintenance/hash", |_| Repeat::Always
);

/// What a [`GetHash`] found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct HashResponse {
    /// Who answered.
    pub header: Header,
    /// The checksum.
    pub hash: u32,
}

gateway::decode!(HashResponse {
    "header" => header,
    "hash" => hash,
});

/// A checksum of a member's keys up to a revision: `POST /v3/maintenance/hashkv`. From etcd 3.5 on.
///
/// # Errors
/// [`is_compacted`](crate::Error::is_compacted), [`FutureRevision`](crate::EtcdErrorKind::FutureRevision).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[must_use = "an operation does nothing before `Client::send`"]
pub struct GetHashKv {
    revision: i64,
}

impl GetHashKv {
    /// Of all that there is now.
    pub fn new() -> Self {
        Self::default()
    }

    /// Of what there was at this revision; 0 is now.
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

    fn fields(&self, to: &mut Fields<'_>) {
        to.put("revision", &self.revision);
    }
}

gateway::operation!(
    GetHashKv => HashKvResponse, "v3.maintenance.hash_kv", "/v3/maintenance/hashkv", |_| Repeat::Always
);

/// What a [`GetHashKv`] found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct HashKvResponse {
    /// Who answered.
    pub header: Header,
    /// The checksum.
    pub hash: u32,
    /// Up to which revision the store is compacted; -1 when it never was.
    pub compact_revision: i64,
    /// The revision of the checksum. From etcd 3.6 on; 0 before.
    pub hash_revision: i64,
}

gateway::decode!(HashKvResponse {
    "header" => header,
    "hash" => hash,
    "compact_revision" => compact_revision,
    "hash_revision" => hash_revision,
});

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        operation::Operation,
        v3::testing::{body, decoded},
    };

    #[test]
    fn the_requests_are_as_documented() {
        assert_eq!(
            GetHash::new().encode().unwrap().target(),
            "/v3/maintenance/hash"
        );
        assert_eq!(body(&GetHash::new()), "{}");
        assert_eq!(
            GetHashKv::new().encode().unwrap().target(),
            "/v3/maintenance/hashkv"
        );
        assert_eq!(body(&GetHashKv::new().revision(3)), r#"{"revision":"3"}"#);
        assert!(GetHashKv::new().revision(-1).encode().is_err());
    }

    #[test]
    fn answers_are_read() {
        let json = r#"{"header":{"revision":"2"},"hash":4255912565}"#;
        assert_eq!(
            decoded(&GetHash::new(), 200, json).unwrap().hash,
            4_255_912_565
        );
        let json = r#"{"header":{"revision":"2"}, "hash":3407656708, "compact_revision":"-1"}"#;
        let found = decoded(&GetHashKv::new(), 200, json).unwrap();
        assert_eq!((found.hash, found.compact_revision), (3_407_656_708, -1));
        assert_eq!(found.hash_revision, 0);
        let etcd_3_6 = r#"{"header":{"revision":"9"}, "hash":777946187, "compact_revision":"4", "hash_revision":"8"}"#;
        let found = decoded(&GetHashKv::new(), 200, etcd_3_6).unwrap();
        assert_eq!((found.compact_revision, found.hash_revision), (4, 8));
    }
}
