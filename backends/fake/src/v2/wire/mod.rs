//! What the v2 API reads and writes.

pub(crate) mod json;
pub(crate) mod parameters;
