//! The messages in a gRPC body.

use bytes::{Buf, Bytes, BytesMut};

/// The size of the prefix of a gRPC message: a flag, and the length of the message as four bytes, highest first.
pub(crate) const PREFIX: usize = 5;

/// Why a body cannot be split into messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum SplitError {
    /// The bytes are not a message.
    #[error("not a sequence of messages")]
    Malformed,
    /// The message is compressed, which no request asks for.
    #[error("a message is compressed, which this client never requests")]
    Compressed,
    /// A message is larger than the limit.
    #[error("a message is larger than the limit")]
    TooLarge,
}

/// Returns the prefix of a message of this length, which is not compressed. No request exceeds the length field.
pub(crate) fn prefix(length: usize) -> [u8; PREFIX] {
    let [a, b, c, d] = u32::try_from(length).unwrap_or(u32::MAX).to_be_bytes();
    [0, a, b, c, d]
}

/// Returns the first message of a complete body.
pub(crate) fn first(body: &[u8]) -> Option<&[u8]> {
    let length = length(body, body.len()).ok()??;
    body.get(PREFIX..PREFIX + length)
}

/// Returns the only message of a complete body.
pub(crate) fn only(body: &Bytes) -> Result<Bytes, SplitError> {
    match length(body, body.len())? {
        Some(length) if body.len() == PREFIX + length => Ok(body.slice(PREFIX..)),
        _ => Err(SplitError::Malformed),
    }
}

/// Splits a body that is a sequence of gRPC messages, each with its prefix, whatever the boundaries of its chunks.
///
/// At most one message and the last chunk are kept. Memory is allocated for bytes that have arrived, not for the length
/// that a prefix claims.
#[derive(Debug)]
pub(crate) struct LengthPrefixedSplitter {
    limit: usize,
    /// The part of the last chunk that was not examined.
    chunk: Bytes,
    /// The beginning of a message with its prefix.
    partial: BytesMut,
}

impl LengthPrefixedSplitter {
    /// Messages of at most `limit` bytes.
    pub(crate) fn new(limit: usize) -> Self {
        Self {
            limit,
            chunk: Bytes::new(),
            partial: BytesMut::new(),
        }
    }

    /// Takes the next chunk of the body, once [`next`](Self::next) has returned `None`.
    pub(crate) fn push(&mut self, chunk: Bytes) {
        debug_assert!(self.chunk.is_empty(), "the last chunk has bytes left");
        self.chunk = chunk;
    }

    /// The next message without its prefix, if all of it has arrived.
    pub(crate) fn next(&mut self) -> Result<Option<Bytes>, SplitError> {
        if self.partial.is_empty()
            && let Some(length) = length(&self.chunk, self.limit)?
            && self.chunk.len() - PREFIX >= length
        {
            self.chunk.advance(PREFIX);
            return Ok(Some(self.chunk.split_to(length)));
        }
        self.fill(PREFIX);
        let Some(length) = length(&self.partial, self.limit)? else {
            return Ok(None);
        };
        self.fill(PREFIX + length);
        if self.partial.len() < PREFIX + length {
            return Ok(None);
        }
        let mut message = std::mem::take(&mut self.partial).freeze();
        message.advance(PREFIX);
        Ok(Some(message))
    }

    /// Whether a part of a message has arrived.
    pub(crate) fn is_partial(&self) -> bool {
        !self.partial.is_empty()
    }

    /// What follows the last message.
    pub(crate) fn rest(&self) -> &[u8] {
        if self.partial.is_empty() {
            &self.chunk
        } else {
            &self.partial
        }
    }

    /// Moves bytes from the chunk until there are `size` of the present message.
    fn fill(&mut self, size: usize) {
        let missing = size.saturating_sub(self.partial.len());
        let arrived = self.chunk.split_to(missing.min(self.chunk.len()));
        self.partial.extend_from_slice(&arrived);
    }
}

/// The length of the message that begins here; `None` where its prefix is not complete.
fn length(bytes: &[u8], limit: usize) -> Result<Option<usize>, SplitError> {
    let Some(&[flag, a, b, c, d]) = bytes.first_chunk::<PREFIX>() else {
        return Ok(None);
    };
    match flag {
        0 => {}
        // No request asks for compression.
        1 => return Err(SplitError::Compressed),
        _ => return Err(SplitError::Malformed),
    }
    match usize::try_from(u32::from_be_bytes([a, b, c, d])) {
        Ok(length) if length <= limit => Ok(Some(length)),
        _ => Err(SplitError::TooLarge),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MESSAGES: [&[u8]; 4] = [b"", b"a", &[0; 30], b"\0\0\0\0\x01"];

    fn frame(flag: u8, message: &[u8]) -> Vec<u8> {
        let length = u32::try_from(message.len()).unwrap();
        let mut frame = vec![flag];
        frame.extend(length.to_be_bytes());
        frame.extend(message);
        frame
    }

    /// All messages of a body that arrives in these pieces, and whether the body ends within another.
    fn split<'a>(
        pieces: impl IntoIterator<Item = &'a [u8]>,
    ) -> Result<(Vec<Bytes>, bool), SplitError> {
        let mut splitter = LengthPrefixedSplitter::new(30);
        let mut messages = Vec::new();
        for piece in pieces {
            splitter.push(Bytes::copy_from_slice(piece));
            while let Some(message) = splitter.next()? {
                messages.push(message);
            }
        }
        Ok((messages, splitter.is_partial()))
    }

    #[test]
    fn a_body_may_be_cut_at_any_byte_and_any_two() {
        let body: Vec<u8> = MESSAGES.iter().flat_map(|it| frame(0, it)).collect();
        for first in 0..=body.len() {
            for second in first..=body.len() {
                let pieces = [&body[..first], &body[first..second], &body[second..]];
                let (messages, is_partial) = split(pieces).unwrap();
                assert_eq!(messages, MESSAGES, "{first} {second}");
                assert!(!is_partial);
            }
        }
        assert_eq!(split(body.chunks(1)).unwrap().0, MESSAGES);
    }

    #[test]
    fn a_truncated_body_is_distinguished_from_a_complete_one() {
        let body = frame(0, b"abc");
        for end in 1..body.len() {
            let (messages, is_partial) = split([&body[..end]]).unwrap();
            assert!(messages.is_empty() && is_partial, "{end}");
        }
    }

    #[test]
    fn a_message_over_the_limit_is_refused_at_its_prefix() {
        let body = frame(0, &[0; 31]);
        assert_eq!(split([&body[..PREFIX]]), Err(SplitError::TooLarge));
        assert_eq!(split(body.chunks(1)), Err(SplitError::TooLarge));
        assert_eq!(
            split([&[0, 255, 255, 255, 255][..]]),
            Err(SplitError::TooLarge)
        );
    }

    #[test]
    fn a_compressed_message_is_refused() {
        let body = frame(1, b"abc");
        assert_eq!(split([&body[..]]), Err(SplitError::Compressed));
        assert_eq!(split(body.chunks(1)), Err(SplitError::Compressed));
    }

    #[test]
    fn a_body_that_is_not_grpc_is_malformed() {
        assert_eq!(split([&b"<html>"[..]]), Err(SplitError::Malformed));
    }

    #[test]
    fn a_message_within_one_chunk_is_not_copied() {
        let chunk = Bytes::from(frame(0, b"abc"));
        let mut splitter = LengthPrefixedSplitter::new(30);
        splitter.push(chunk.clone());
        let message = splitter.next().unwrap().unwrap();
        assert_eq!(message.as_ptr(), chunk[PREFIX..].as_ptr());
    }
}
