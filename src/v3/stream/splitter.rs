use bytes::Bytes;

use crate::v3::{
    protocol::length_prefixed::{LengthPrefixedSplitter, SplitError},
    stream::json_splitter::JsonSplitter,
};

/// Splits the body of a response into messages, as its wire separates them.
#[derive(Debug)]
pub(crate) enum Splitter {
    /// JSON objects, one after the other: the gateway.
    Json(JsonSplitter),
    /// Messages with a prefix of five bytes: gRPC.
    LengthPrefixed(LengthPrefixedSplitter),
}

impl Splitter {
    /// Takes the next chunk of the body, once [`next`](Self::next) has returned `None`.
    pub(crate) fn push(&mut self, chunk: Bytes) {
        match self {
            Self::Json(splitter) => splitter.push(chunk),
            Self::LengthPrefixed(splitter) => splitter.push(chunk),
        }
    }

    /// The next message, if all of it has arrived.
    pub(crate) fn next(&mut self) -> Result<Option<Bytes>, SplitError> {
        match self {
            Self::Json(splitter) => splitter.next(),
            Self::LengthPrefixed(splitter) => splitter.next(),
        }
    }

    /// Whether a part of a message has arrived.
    pub(crate) fn is_partial(&self) -> bool {
        match self {
            Self::Json(splitter) => splitter.is_partial(),
            Self::LengthPrefixed(splitter) => splitter.is_partial(),
        }
    }

    /// What follows the last message.
    pub(crate) fn rest(&self) -> &[u8] {
        match self {
            Self::Json(splitter) => splitter.rest(),
            Self::LengthPrefixed(splitter) => splitter.rest(),
        }
    }
}
