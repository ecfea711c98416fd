//! Where requests go: the endpoints, their health and order, and where their addresses come from.

pub(crate) mod discovery;
pub(crate) mod endpoint;
pub(crate) mod set;
pub(crate) mod sync;
pub(crate) mod unsupported;
