//! Endpoints: their health, their order, and where their addresses come from.

pub(crate) mod discovery;
pub(crate) mod liveness;
mod parse;
pub(crate) mod set;
pub(crate) mod state;
pub(crate) mod sync_policy;
pub(crate) mod unsupported;
pub(crate) mod wire;
