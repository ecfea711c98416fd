//! Credentials: the v2 API's user and password, the v3 API's tokens, and secret strings.

pub(crate) mod basic;
pub(crate) mod provider;
pub(crate) mod secret;
pub(crate) mod token;
