//! How a message becomes a request, and a response a message.

pub(crate) mod gateway;
pub(crate) mod json;
pub(crate) mod message;
#[allow(
    dead_code,
    reason = "gRPC paths are read by the gRPC wire, which is not merged yet"
)]
pub(crate) mod method;
#[allow(
    dead_code,
    unused_imports,
    reason = "read by the gRPC wire, which is not merged yet"
)]
pub(crate) mod protobuf;
pub(crate) mod status;
