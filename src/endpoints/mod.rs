//! Endpoints: their health, their order, and where their addresses come from.

pub(crate) mod discovery;
pub(crate) mod endpoint;
pub(crate) mod liveness;
pub(crate) mod set;
pub(crate) mod state;
pub(crate) mod sync;
pub(crate) mod unsupported;
pub(crate) mod wire;
