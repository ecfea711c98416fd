//! Responses that keep coming: from a body to messages, over connections that are opened again.

pub(crate) mod body_sender;
pub(crate) mod connection;
pub(crate) mod json_splitter;
pub(crate) mod message_stream;
pub(crate) mod object_stream;
