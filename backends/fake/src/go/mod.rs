//! Bytes as Go's standard library reads and writes them: forms, paths, dates, JSON strings, responses. Nothing here
//! knows a store.

pub(crate) mod date;
pub(crate) mod form;
pub(crate) mod headers;
pub(crate) mod json;
pub(crate) mod path;
pub(crate) mod reply;
pub(crate) mod scan;
pub(crate) mod url;
