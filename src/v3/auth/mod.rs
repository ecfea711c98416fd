//! Authentication: users, roles, and what roles may do.

mod permission;
mod roles;
mod switch;
mod users;

use crate::{Error, Result};

pub use permission::{Permission, PermissionType};
pub use roles::{
    RoleAdd, RoleDelete, RoleGet, RoleGrantPermission, RoleList, RoleRevokePermission,
};
pub use switch::{
    AuthDisable, AuthEnable, AuthStatus, AuthStatusResponse, Authenticate, AuthenticateResponse,
};
pub use users::{
    UserAdd, UserChangePassword, UserDelete, UserGet, UserGrantRole, UserList, UserRevokeRole,
};

/// Refuses an empty name. Of a user, etcd would take it for a missing token.
fn check_name(operation: &'static str, what: &str, name: &str) -> Result<()> {
    if name.is_empty() {
        return Err(Error::invalid(operation, format!("a {what} needs a name")));
    }
    Ok(())
}
