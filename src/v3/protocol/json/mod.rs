//! Messages as protobuf's JSON, as etcd's gateway writes and reads it.

mod origin;
mod read;
mod write;

pub(crate) use origin::origin;
pub(crate) use read::{parse, parse_after_header, parse_all};
pub(crate) use write::to_json;
