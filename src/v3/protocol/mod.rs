//! How a message becomes a request, and a response a message.

pub(crate) mod gateway;
pub(crate) mod status;
