//! The bodies of responses.

use std::{
    error::Error,
    pin::Pin,
    task::{Context, Poll, ready},
};

use etcd_transport::{
    Body, PolledFrame, TransportError,
    bytes::{Buf, Bytes},
};
use http_body::{Body as HttpBody, SizeHint};

/// Converts the body of a response: its frames, trailers included, as they come.
pub(crate) fn incoming<B>(body: B) -> Body
where
    B: HttpBody<Data: Send, Error: Into<Box<dyn Error + Send + Sync>>> + Send + 'static,
{
    if body.is_end_stream() {
        Body::empty()
    } else {
        Body::stream(Incoming(Box::pin(body)))
    }
}

/// Keeps something until the body ends or is dropped.
pub(crate) fn keeping<K: Send + Unpin + 'static>(body: Body, kept: K) -> Body {
    if body.is_end_stream() {
        return body;
    }
    Body::stream(Keeping {
        body,
        kept: Some(kept),
    })
}

struct Incoming<B>(Pin<Box<B>>);

impl<B: HttpBody<Error: Into<Box<dyn Error + Send + Sync>>>> HttpBody for Incoming<B> {
    type Data = Bytes;
    type Error = TransportError;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> PolledFrame {
        let frame = ready!(self.0.as_mut().poll_frame(cx));
        Poll::Ready(frame.map(|frame| match frame {
            // `Bytes` are not copied.
            Ok(frame) => Ok(frame.map_data(|mut data| data.copy_to_bytes(data.remaining()))),
            Err(error) => Err(TransportError::interrupted(error)),
        }))
    }

    fn is_end_stream(&self) -> bool {
        self.0.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.0.size_hint()
    }
}

struct Keeping<K> {
    body: Body,
    kept: Option<K>,
}

impl<K: Unpin> HttpBody for Keeping<K> {
    type Data = Bytes;
    type Error = TransportError;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> PolledFrame {
        let frame = ready!(Pin::new(&mut self.body).poll_frame(cx));
        if !matches!(frame, Some(Ok(_))) {
            self.kept = None;
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
