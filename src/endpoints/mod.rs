//! Endpoints: their health, their order, and where their addresses come from.

pub(crate) mod discovery;
pub(crate) mod examination;
pub(crate) mod idle;
pub(crate) mod info;
pub(crate) mod liveness;
mod parse;
pub(crate) mod protocol;
pub(crate) mod set;
pub(crate) mod state;
pub(crate) mod sync_policy;
pub(crate) mod unsupported;
pub(crate) mod wire;
pub(crate) mod wire_choice;
