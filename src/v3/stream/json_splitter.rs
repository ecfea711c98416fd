use bytes::{Buf, Bytes, BytesMut};

use crate::v3::protocol::length_prefixed::SplitError;

/// Splits a body that is a sequence of JSON objects, whatever the boundaries of its chunks.
///
/// etcd ends a message with one newline, two or none, and a chunk ends anywhere: only the braces show where an object
/// ends. Each byte is examined once. At most one object and the last chunk are kept.
#[derive(Debug)]
pub(crate) struct JsonSplitter {
    limit: usize,
    /// The part of the last chunk that was not examined.
    chunk: Bytes,
    /// The beginning of an object whose end has not arrived.
    partial: BytesMut,
    position: Position,
}

impl JsonSplitter {
    /// Objects of at most `limit` bytes.
    pub(crate) fn new(limit: usize) -> Self {
        Self {
            limit,
            chunk: Bytes::new(),
            partial: BytesMut::new(),
            position: Position::default(),
        }
    }

    /// Takes the next chunk of the body, once [`next`](Self::next) has returned `None`.
    pub(crate) fn push(&mut self, chunk: Bytes) {
        debug_assert!(self.chunk.is_empty(), "the last chunk has bytes left");
        self.chunk = chunk;
    }

    /// The next object, if all of it has arrived.
    pub(crate) fn next(&mut self) -> Result<Option<Bytes>, SplitError> {
        if !self.is_partial() {
            let spaces = self.chunk.iter().take_while(|byte| is_space(**byte));
            self.chunk.advance(spaces.count());
            match self.chunk.first() {
                None => return Ok(None),
                Some(b'{') => {}
                Some(_) => return Err(SplitError::Malformed),
            }
        }
        let end = self.position.end_of_object(&self.chunk);
        let piece = match end {
            Some(end) => self.chunk.split_to(end),
            None => std::mem::take(&mut self.chunk),
        };
        if piece.len() > self.limit - self.partial.len() {
            return Err(SplitError::TooLarge);
        }
        if end.is_some() && self.partial.is_empty() {
            return Ok(Some(piece));
        }
        self.partial.extend_from_slice(&piece);
        Ok(end.map(|_| std::mem::take(&mut self.partial).freeze()))
    }

    /// Whether a part of an object has arrived.
    pub(crate) fn is_partial(&self) -> bool {
        !self.partial.is_empty()
    }

    /// What follows the last object.
    pub(crate) fn rest(&self) -> &[u8] {
        &self.chunk
    }
}

/// The position within an object.
#[derive(Debug, Default)]
struct Position {
    depth: usize,
    in_string: bool,
    escaped: bool,
}

impl Position {
    /// Where the present object ends in these bytes, if it does.
    fn end_of_object(&mut self, bytes: &[u8]) -> Option<usize> {
        for (index, byte) in bytes.iter().enumerate() {
            match byte {
                _ if self.escaped => self.escaped = false,
                b'\\' if self.in_string => self.escaped = true,
                b'"' => self.in_string = !self.in_string,
                _ if self.in_string => {}
                b'{' => self.depth += 1,
                b'}' => {
                    self.depth = self.depth.saturating_sub(1);
                    if self.depth == 0 {
                        return Some(index + 1);
                    }
                }
                _ => {}
            }
        }
        None
    }
}

fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\r' | b'\n')
}

#[cfg(test)]
mod tests {
    use super::*;

    const OBJECTS: [&str; 5] = [
        "{}",
        r#"{"a":"}{\"\\","b":[{"c":{}}]}"#,
        r#"{"result":{"x":"\u007b"}}"#,
        r#"{ "é" : 1 }"#,
        r#"{"\\":"\\\\\""}"#,
    ];

    /// All objects of a body that comes in these pieces.
    fn split<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> Result<Vec<String>, SplitError> {
        let mut splitter = JsonSplitter::new(100);
        let mut objects = Vec::new();
        for piece in pieces {
            splitter.push(Bytes::copy_from_slice(piece));
            while let Some(object) = splitter.next()? {
                objects.push(String::from_utf8(object.into()).unwrap());
            }
        }
        Ok(objects)
    }

    #[test]
    fn a_body_may_be_cut_at_any_byte_and_any_two() {
        for between in ["", "\n", "\n\n", " \r\n\t"] {
            let body = OBJECTS.join(between) + between;
            let body = body.as_bytes();
            for first in 0..=body.len() {
                for second in first..=body.len() {
                    let pieces = [&body[..first], &body[first..second], &body[second..]];
                    assert_eq!(split(pieces).unwrap(), OBJECTS, "{first} {second}");
                }
            }
            assert_eq!(split(body.chunks(1)).unwrap(), OBJECTS);
        }
    }

    #[test]
    fn what_is_no_object_is_garbage_at_its_first_byte() {
        for body in ["<html>", "{}null", "{}\n[{}]", "\u{feff}{}", "\0"] {
            let error = split([body.as_bytes()]).unwrap_err();
            assert_eq!(error, SplitError::Malformed, "{body}");
        }
    }

    #[test]
    fn a_backslash_outside_a_string_escapes_nothing() {
        // It is not JSON in any case. As an object that ends, it is an error at once.
        let objects = [r#"{\}"#, r#"{\"}"}"#];
        assert_eq!(split(objects.map(str::as_bytes)).unwrap(), objects);
    }

    #[test]
    fn an_object_over_the_limit_is_refused_before_it_is_whole() {
        let fits = format!(r#"{{"a":"{}"}}"#, "x".repeat(92));
        assert_eq!(split([fits.as_bytes()]).unwrap(), [&*fits]);
        assert_eq!(split(fits.as_bytes().chunks(7)).unwrap(), [&*fits]);
        let mut endless = JsonSplitter::new(100);
        let mut kept = 0;
        let error = loop {
            endless.push(Bytes::from_static(b"{{{{{{{{{{{{{{{{"));
            match endless.next() {
                Ok(object) => assert_eq!(object, None),
                Err(error) => break error,
            }
            kept += 16;
        };
        assert_eq!((error, kept), (SplitError::TooLarge, 96));
    }

    #[test]
    fn an_object_within_one_chunk_is_not_copied() {
        let chunk = Bytes::from_static(br#" {"a":1} {"b":2}"#);
        let mut splitter = JsonSplitter::new(100);
        splitter.push(chunk.clone());
        let first = splitter.next().unwrap().unwrap();
        assert_eq!(first.as_ptr(), chunk[1..].as_ptr());
    }

    #[test]
    fn the_end_of_a_body_tells_whether_an_object_was_cut() {
        let mut splitter = JsonSplitter::new(100);
        splitter.push(Bytes::from_static(b"{}\n"));
        assert!(splitter.next().unwrap().is_some());
        assert_eq!(splitter.next(), Ok(None));
        assert!(!splitter.is_partial());
        splitter.push(Bytes::from_static(b"{\"a"));
        assert_eq!(splitter.next(), Ok(None));
        assert!(splitter.is_partial());
    }
}
