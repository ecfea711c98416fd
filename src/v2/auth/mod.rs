//! The auth API: <https://etcd.io/docs/v2.3/auth_api/>

mod enable;
mod permissions;
mod provider;
mod roles;
mod users;

pub use enable::{DisableAuth, EnableAuth, GetAuthStatus};
pub use permissions::Permissions;
pub use roles::{
    AddRole, DeleteRole, GetRole, GrantPermissions, ListRoles, RevokePermissions, Role,
};
pub use users::{
    AddUser, ChangePassword, DeleteUser, GetUser, GrantRoles, ListUsers, RevokeRoles, User,
    UserDetails,
};
