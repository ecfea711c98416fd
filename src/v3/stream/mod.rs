//! Streaming responses: from the body of a response to messages, over connections that open again.
//!
//! [`Connection`](connection::Connection) is the state machine that all streams of the v3 API sit on. Below it,
//! [`MessageStream`](message_stream::MessageStream) is one request and the messages of its response, and [`open`] is the
//! only place that sends a request.

pub(crate) mod body_sender;
mod buffering;
pub(crate) mod connection;
mod duplex;
pub(super) mod freshness;
mod json_splitter;
pub(crate) mod message_stream;
pub(crate) mod open;
pub(crate) mod probe;
mod quiet;
pub(crate) mod silence;
mod splitter;
mod state;
mod wire;
