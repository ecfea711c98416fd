//! The v2 auth store: users, roles, and permissions.

pub(crate) mod model;
pub(crate) mod store;
