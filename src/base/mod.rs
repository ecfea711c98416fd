//! What every other module may use: it imports nothing of this crate.

pub(crate) mod budget;
pub(crate) mod endpoint;
pub(crate) mod trace;
