//! Bytes in and out, as Go reads and writes them. Nothing here knows a store or a client.

pub(crate) mod date;
pub(crate) mod form;
pub(crate) mod json;
pub(crate) mod path;
