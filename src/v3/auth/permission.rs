use bytes::Bytes;

use crate::{
    error::{Error, Result},
    v3::{
        KeyRange,
        protocol::gateway::{self, Encode, Fields},
    },
};

gateway::names! {
    /// What may be done with keys.
    pub enum PermissionType {
        /// Reading and watching.
        Read = "READ",
        /// Writing and deleting.
        Write = "WRITE",
        /// Both.
        ReadWrite = "READWRITE",
    }
    else {
        /// Something that only a later etcd knows. It cannot be granted.
        Unknown
    }
}

/// Some keys, and what may be done with them.
///
/// ```
/// use etcd_http::v3::{KeyRange, Permission};
///
/// let config = Permission::read(KeyRange::prefix("config/"));
/// let own = Permission::read_write("workers/17");
/// # let _ = (config, own);
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Permission {
    permission: PermissionType,
    range: KeyRange,
}

impl Permission {
    /// These keys may be read and watched.
    pub fn read(range: impl Into<KeyRange>) -> Self {
        Self::new(PermissionType::Read, range)
    }

    /// These keys may be written and deleted.
    pub fn write(range: impl Into<KeyRange>) -> Self {
        Self::new(PermissionType::Write, range)
    }

    /// Both.
    pub fn read_write(range: impl Into<KeyRange>) -> Self {
        Self::new(PermissionType::ReadWrite, range)
    }

    /// This may be done with these keys.
    pub fn new(permission: PermissionType, range: impl Into<KeyRange>) -> Self {
        Self {
            permission,
            range: range.into(),
        }
    }

    /// What may be done.
    pub fn permission_type(&self) -> PermissionType {
        self.permission
    }

    /// With which keys.
    pub fn range(&self) -> &KeyRange {
        &self.range
    }
}

impl Encode for Permission {
    fn check(&self, operation: &'static str) -> Result<()> {
        if self.permission == PermissionType::Unknown {
            let reason = "a permission that is not known cannot be granted";
            return Err(Error::invalid(operation, reason));
        }
        self.range.check(operation)
    }

    fn fields(&self, to: &mut Fields<'_>) {
        to.put("permType", &self.permission)
            .put("key", self.range.wire_key())
            .put("range_end", self.range.wire_end());
    }
}

/// A permission as etcd lists it.
#[derive(Default)]
pub(super) struct Listed {
    permission: PermissionType,
    key: Bytes,
    range_end: Bytes,
}

gateway::decode!(Listed {
    "permType" => permission,
    "key" => key,
    "range_end" => range_end,
});

impl From<Listed> for Permission {
    fn from(listed: Listed) -> Self {
        Self {
            permission: listed.permission,
            range: KeyRange::from_wire(listed.key, listed.range_end),
        }
    }
}
