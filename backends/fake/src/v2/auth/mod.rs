//! The v2 auth store: users, roles, and permissions.

pub(crate) mod model;
mod password;
pub(crate) mod store;
