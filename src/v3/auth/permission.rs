use bytes::Bytes;

use crate::{
    error::{Error, Result},
    v3::{KeyRange, protocol::message},
};

message::names! {
    /// The kind of access to keys.
    pub enum PermissionType {
        /// Reads and watches.
        Read = 0 "READ",
        /// Puts and deletes.
        Write = 1 "WRITE",
        /// Both.
        ReadWrite = 2 "READWRITE",
    }
    else {
        /// A kind that a later etcd has. It cannot be granted.
        Unknown
    }
}

/// A permission: a range of keys and the kind of access to it.
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
    /// Permission to read and watch these keys.
    pub fn read(range: impl Into<KeyRange>) -> Self {
        Self::new(PermissionType::Read, range)
    }

    /// Permission to put and delete these keys.
    pub fn write(range: impl Into<KeyRange>) -> Self {
        Self::new(PermissionType::Write, range)
    }

    /// Both.
    pub fn read_write(range: impl Into<KeyRange>) -> Self {
        Self::new(PermissionType::ReadWrite, range)
    }

    /// Permission for this kind of access to these keys.
    pub fn new(permission: PermissionType, range: impl Into<KeyRange>) -> Self {
        Self {
            permission,
            range: range.into(),
        }
    }

    /// Returns the kind of access.
    pub fn permission_type(&self) -> PermissionType {
        self.permission
    }

    /// Returns the range of keys.
    pub fn range(&self) -> &KeyRange {
        &self.range
    }
}

impl Permission {
    /// Checks whether etcd could grant it.
    pub(super) fn check(&self, operation: &'static str) -> Result<()> {
        if self.permission == PermissionType::Unknown {
            let reason = "an unknown permission cannot be granted";
            return Err(Error::invalid(operation, reason));
        }
        self.range.check(operation)
    }
}

/// A permission as it is written and read.
#[derive(Default)]
pub(super) struct WirePermission {
    permission: PermissionType,
    key: Bytes,
    range_end: Bytes,
}

message::message!(WirePermission {
    1 "permType" => permission,
    2 "key" => key,
    3 "range_end" => range_end,
});

impl From<WirePermission> for Permission {
    fn from(wire: WirePermission) -> Self {
        Self {
            permission: wire.permission,
            range: KeyRange::from_wire(wire.key, wire.range_end),
        }
    }
}

impl From<&Permission> for WirePermission {
    fn from(permission: &Permission) -> Self {
        Self {
            permission: permission.permission,
            key: permission.range.wire_key().clone(),
            range_end: permission.range.wire_end().clone(),
        }
    }
}
