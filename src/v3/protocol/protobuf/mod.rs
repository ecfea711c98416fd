//! Messages in protobuf's binary format, as gRPC carries them.

mod error;
mod read;
mod write;

pub(crate) use error::ProtobufError;
pub(crate) use read::{origin, parse, parse_after_header};
pub(crate) use write::Measured;

/// The types of values on the wire that etcd uses; the two others, groups, are obsolete.
const VARINT: u32 = 0;
const FIXED_64: u32 = 1;
const LENGTH_DELIMITED: u32 = 2;
const FIXED_32: u32 = 5;

/// How deep messages may be nested. protobuf's own libraries have the same limit.
const MAX_DEPTH: u32 = 100;

#[cfg(test)]
mod tests;

/// The message in protobuf's format.
#[cfg(test)]
pub(crate) fn to_protobuf(message: &impl crate::v3::protocol::message::Encode) -> Vec<u8> {
    let measured = Measured::new(message);
    let mut buffer = Vec::with_capacity(measured.len());
    measured.write(&mut buffer);
    buffer
}
