//! Which permissions a user has, root aside.

use bytes::Bytes;

use super::{
    AuthStore, ROOT, User,
    interval::{Interval, IntervalTree},
};
use crate::v3::message::auth::{Permission, PermissionType};

/// What is to be done with keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Access {
    Read,
    Write,
}

impl AuthStore {
    /// Whether the roles of a user, root aside, cover a range together. An empty end stands for one key.
    pub(super) fn covers(&self, user: &User, key: &Bytes, end: &Bytes, access: Access) -> bool {
        let roles = user.roles.iter().filter(|role| *role != ROOT);
        let permissions = roles.filter_map(|role| self.roles.get(role)).flatten();
        let mut granted = IntervalTree::default();
        for permission in permissions.filter(|permission| permission.allows(access)) {
            granted.insert(Interval::new(&permission.key, &permission.range_end));
        }
        let wanted = Interval::new(key, end);
        if end.is_empty() {
            granted.intersects(&wanted)
        } else {
            granted.contains(&wanted)
        }
    }
}

impl Permission {
    fn allows(&self, access: Access) -> bool {
        let alone = match access {
            Access::Read => PermissionType::READ,
            Access::Write => PermissionType::WRITE,
        };
        [alone, PermissionType::READWRITE].contains(&self.perm_type)
    }
}
