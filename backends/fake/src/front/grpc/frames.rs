use std::{
    future::poll_fn,
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::{Buf, Bytes, BytesMut};
use etcd_transport::{Body, TransportError};
use http_body::Body as _;

use super::status::Status;
use crate::v3::{
    error::V3Error,
    message::{
        Message,
        proto::{self, USUAL_SIZE},
    },
};

/// A flag, and a length of four bytes.
const PREFIX: usize = 5;

/// The messages in the body of a request.
pub(super) struct Messages {
    body: Body,
    buffer: BytesMut,
    /// The longest message that is taken.
    max_message: usize,
    has_ended: bool,
}

/// Why there is no further message.
#[derive(Debug)]
pub(super) enum Broken {
    /// The body ends within a message.
    CutOff,
    /// The message is one that gRPC refuses.
    Refused(Status),
    /// The client is gone.
    Transport(TransportError),
}

impl Messages {
    pub(super) fn new(body: Body, max_message: usize) -> Self {
        Self {
            body,
            buffer: BytesMut::new(),
            max_message,
            has_ended: false,
        }
    }

    pub(super) async fn next(&mut self) -> Option<Result<Bytes, Broken>> {
        poll_fn(|cx| self.poll_next(cx)).await
    }

    /// Polls for the next message; `None` at the end, and after an error.
    pub(super) fn poll_next(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Bytes, Broken>>> {
        while !self.has_ended {
            match self.split() {
                Ok(None) => {}
                Ok(Some(message)) => return Poll::Ready(Some(Ok(message))),
                Err(status) => {
                    self.has_ended = true;
                    return Poll::Ready(Some(Err(Broken::Refused(status))));
                }
            }
            match ready!(Pin::new(&mut self.body).poll_frame(cx)) {
                Some(Ok(frame)) => {
                    if let Ok(data) = frame.into_data() {
                        // A message that has a frame to itself is not copied.
                        if self.buffer.is_empty()
                            && let Ok(Some(length)) = self.length_of_first(&data)
                            && data.len() == PREFIX + length
                        {
                            return Poll::Ready(Some(Ok(data.slice(PREFIX..))));
                        }
                        self.buffer.extend_from_slice(&data);
                    }
                }
                Some(Err(error)) => {
                    self.has_ended = true;
                    return Poll::Ready(Some(Err(Broken::Transport(error))));
                }
                None => {
                    self.has_ended = true;
                    if !self.buffer.is_empty() {
                        return Poll::Ready(Some(Err(Broken::CutOff)));
                    }
                }
            }
        }
        Poll::Ready(None)
    }

    /// Takes a complete message out of what has arrived.
    fn split(&mut self) -> Result<Option<Bytes>, Status> {
        let Some(length) = self.length_of_first(&self.buffer)? else {
            return Ok(None);
        };
        self.buffer.advance(PREFIX);
        Ok(Some(self.buffer.split_to(length).freeze()))
    }

    /// The length of the message with which these bytes begin, if all of it has arrived.
    fn length_of_first(&self, bytes: &[u8]) -> Result<Option<usize>, Status> {
        let Some((&[flag, ref length @ ..], rest)) = bytes.split_first_chunk::<PREFIX>() else {
            return Ok(None);
        };
        let length = u32::from_be_bytes(*length) as usize;
        if length > self.max_message {
            return Err(V3Error::message_too_large(length, self.max_message).into());
        }
        if rest.len() < length {
            return Ok(None);
        }
        match flag {
            0 => Ok(Some(length)),
            1 => {
                let problem = "grpc: compressed flag set with identity or empty encoding";
                Err(Status::new(13, problem))
            }
            _ => {
                let problem = format!("grpc: received unexpected payload format {flag}");
                Err(Status::with(13, problem))
            }
        }
    }
}

/// A message with its prefix.
pub(in crate::front) fn frame(message: &dyn Message) -> Vec<u8> {
    let mut frame = Vec::with_capacity(PREFIX + USUAL_SIZE);
    frame.resize(PREFIX, 0);
    proto::push_fields(&mut frame, message);
    // No response has four gigabytes.
    let length = u32::try_from(frame.len() - PREFIX).unwrap_or(u32::MAX);
    frame[1..PREFIX].copy_from_slice(&length.to_be_bytes());
    frame
}

#[cfg(test)]
mod tests {
    use etcd_transport::Body;
    use futures::executor::block_on;
    use http_body::Frame;

    use super::*;
    use crate::v3::message::kv::RangeRequest;

    fn messages(parts: Vec<&'static [u8]>) -> Messages {
        let frames = parts
            .into_iter()
            .map(|part| Ok(Frame::data(Bytes::from_static(part))));
        Messages::new(Body::from_frames(frames), 2 << 20)
    }

    #[test]
    fn messages_are_split_wherever_the_frames_end() {
        let mut messages = messages(vec![
            b"\0\0\0",
            b"\0\x02ab\0\0\0\0\0\0",
            b"\0\0\0\x01",
            b"c",
        ]);
        for expected in [&b"ab"[..], b"", b"c"] {
            let message = block_on(messages.next()).unwrap().unwrap();
            assert_eq!(message, expected);
        }
        assert!(block_on(messages.next()).is_none());
    }

    #[test]
    fn a_message_that_has_a_frame_to_itself_is_not_copied() {
        let frame = Bytes::from(frame(&RangeRequest {
            key: Bytes::from_static(b"key"),
            ..RangeRequest::default()
        }));
        let body = Body::from_frames([Ok(Frame::data(frame.clone()))]);
        let mut messages = Messages::new(body, 2 << 20);
        let message = block_on(messages.next()).unwrap().unwrap();
        assert_eq!(message, b"\x0a\x03key"[..]);
        assert_eq!(message.as_ptr(), frame[PREFIX..].as_ptr());
        assert!(block_on(messages.next()).is_none());
    }

    #[test]
    fn a_body_that_ends_within_a_message_is_cut_off() {
        for parts in [vec![&b"\0\0\0\0"[..]], vec![&b"\0\0\0\0\x02"[..], b"a"]] {
            let mut messages = messages(parts);
            let broken = block_on(messages.next()).unwrap();
            assert!(matches!(broken, Err(Broken::CutOff)));
            assert!(block_on(messages.next()).is_none());
        }
    }

    #[test]
    fn a_message_must_be_small_and_not_compressed() {
        for (prefix, problem) in [
            (
                &b"\x01\0\0\0\0"[..],
                "grpc: compressed flag set with identity or empty encoding",
            ),
            (
                b"\x02\0\0\0\0",
                "grpc: received unexpected payload format 2",
            ),
            (
                b"\0\0\x20\0\x01",
                "grpc: received message larger than max (2097153 vs. 2097152)",
            ),
        ] {
            let refused = block_on(messages(vec![prefix]).next()).unwrap();
            let Err(Broken::Refused(status)) = refused else {
                panic!("{refused:?}");
            };
            assert_eq!(status.trailers()["grpc-message"], problem);
        }
    }
}
