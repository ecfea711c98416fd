//! Who the client is: the v2 API's user and password, the v3 API's tokens, and strings that are kept secret.

pub(crate) mod basic;
pub(crate) mod secret;
pub(crate) mod token;
