//! The v2 auth store: users, roles, and who may do what.

mod model;
mod password;
mod store;

pub(crate) use model::{Role, User};
pub(crate) use store::{Auth, AuthError, guest, is_root_role};
