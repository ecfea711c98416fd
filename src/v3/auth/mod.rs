//! Authentication: users, roles, and what roles may do.

mod enable;
mod permission;
mod provider;
mod roles;
mod token;
mod users;

use crate::error::{Error, Result};

pub use enable::{
    AuthStatusResponse, Authenticate, AuthenticateResponse, DisableAuth, EnableAuth, GetAuthStatus,
};
pub use permission::{Permission, PermissionType};
pub use roles::{AddRole, DeleteRole, GetRole, GrantPermission, ListRoles, RevokePermission};
pub use users::{AddUser, ChangePassword, DeleteUser, GetUser, GrantRole, ListUsers, RevokeRole};

/// Declares constructor and message of operations whose only field is a name, with the JSON name of that field.
macro_rules! named {
    ($what:literal: $($operation:ident as $field:literal),+) => {$(
        impl $operation {
            #[doc = concat!("The ", $what, " with this name.")]
            pub fn new(name: impl AsRef<str>) -> Self {
                Self { name: name.as_ref().to_owned() }
            }
        }

        impl Encode for $operation {
            fn check(&self, operation: &'static str) -> Result<()> {
                check_name(operation, $what, &self.name)
            }

            fn fields<F: Fields>(&self, to: &mut F) {
                to.put(1, $field, &self.name);
            }
        }
    )+};
}

use named;

/// Rejects an empty name. etcd would take an empty user name for a missing token.
fn check_name(operation: &'static str, what: &str, name: &str) -> Result<()> {
    if name.is_empty() {
        return Err(Error::invalid(
            operation,
            format!("a {what} requires a name"),
        ));
    }
    Ok(())
}
