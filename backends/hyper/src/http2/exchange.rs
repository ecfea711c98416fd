use std::{
    future::poll_fn,
    pin::Pin,
    task::{Context, Poll, ready},
};

use etcd_transport::{
    Body, PolledFrame, Request, Response, TransportError,
    bytes::Bytes,
    http::{
        self, Version,
        header::{CONNECTION, HOST},
    },
};
use h2::{Reason, RecvStream, SendStream};
use http_body::{Body as HttpBody, Frame};

use super::connection::StreamLease;
use crate::failure;

/// Sends a request on a stream of its own.
pub(super) async fn send(
    stream: StreamLease,
    request: Request,
) -> Result<Response, TransportError> {
    let (mut head, body) = request.into_parts();
    head.version = Version::HTTP_2;
    head.headers.remove(CONNECTION);
    head.headers.remove(HOST);
    let is_end_stream = body.is_end_stream();
    let mut sender = stream.sender.clone();
    let ready = poll_fn(|cx| sender.poll_ready(cx)).await;
    let opened = ready.and_then(|()| {
        let request = http::Request::from_parts(head, ());
        sender.send_request(request, is_end_stream)
    });
    let (mut response, send_stream) = opened.map_err(|error| {
        if !failure::is_of_the_request(&error) {
            // The connection is broken, or its stream ids are used up.
            stream.retire();
        }
        failure::http2_unopened(error)
    })?;
    let mut request_body = RequestBody::start(body, send_stream);
    let response = poll_fn(|cx| {
        poll_request_body(&mut request_body, cx)?;
        Pin::new(&mut response).poll(cx).map_err(failure::http2)
    });
    let response = response.await?;
    Ok(response.map(|received| {
        if received.is_end_stream() {
            return Body::empty();
        }
        Body::stream(ResponseBody {
            received,
            request_body,
            stream: Some(stream),
            is_data_over: false,
        })
    }))
}

/// Sends what there is of the request's body. It is over when this makes it `None`.
fn poll_request_body(
    body: &mut Option<RequestBody>,
    cx: &mut Context<'_>,
) -> Result<(), TransportError> {
    if let Some(sending) = body
        && let Poll::Ready(sent) = sending.poll(cx)
    {
        *body = None;
        sent?;
    }
    Ok(())
}

/// A request body that arrives in frames, and the stream that it is sent on.
struct RequestBody {
    body: Body,
    stream: SendStream<Bytes>,
}

impl RequestBody {
    /// Sends a body that is there as a whole; returns one that is not.
    ///
    /// Errors of the stream are left to the response: it has the reason, and may have come before.
    fn start(body: Body, mut stream: SendStream<Bytes>) -> Option<Self> {
        if body.is_end_stream() {
            return None;
        }
        match body.try_into_bytes() {
            Ok(bytes) => {
                let _ = stream.send_data(bytes, true);
                None
            }
            Err(body) => Some(Self { body, stream }),
        }
    }

    /// Resolves when the body is sent, or nobody wants the rest.
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), TransportError>> {
        loop {
            if self.stream.poll_reset(cx).is_ready() {
                return Poll::Ready(Ok(()));
            }
            // h2 keeps what exceeds the window, so a single byte of it is enough for the next frame.
            self.stream.reserve_capacity(1);
            while self.stream.capacity() == 0 {
                match ready!(self.stream.poll_capacity(cx)) {
                    Some(Ok(_)) => {}
                    Some(Err(_)) | None => return Poll::Ready(Ok(())),
                }
            }
            let frame = match ready!(Pin::new(&mut self.body).poll_frame(cx)) {
                Some(Ok(frame)) => frame,
                Some(Err(error)) => {
                    self.stream.send_reset(Reason::CANCEL);
                    return Poll::Ready(Err(TransportError::interrupted(error)));
                }
                None => {
                    let _ = self.stream.send_data(Bytes::new(), true);
                    return Poll::Ready(Ok(()));
                }
            };
            match frame.into_data() {
                Ok(data) => {
                    if self.stream.send_data(data, false).is_err() {
                        return Poll::Ready(Ok(()));
                    }
                }
                Err(frame) => {
                    if let Ok(trailers) = frame.into_trailers() {
                        let _ = self.stream.send_trailers(trailers);
                        return Poll::Ready(Ok(()));
                    }
                }
            }
        }
    }
}

/// The body of a response. It owns the rest of the request's body, which is sent while this is read.
struct ResponseBody {
    received: RecvStream,
    request_body: Option<RequestBody>,
    /// Until the end.
    stream: Option<StreamLease>,
    is_data_over: bool,
}

impl ResponseBody {
    fn poll_received(&mut self, cx: &mut Context<'_>) -> PolledFrame {
        poll_request_body(&mut self.request_body, cx)?;
        if !self.is_data_over {
            match ready!(self.received.poll_data(cx)) {
                Some(data) => {
                    let data = data.map_err(failure::http2)?;
                    // An error means that the stream is over.
                    let _ = self.received.flow_control().release_capacity(data.len());
                    return Poll::Ready(Some(Ok(Frame::data(data))));
                }
                None => self.is_data_over = true,
            }
        }
        let trailers = ready!(self.received.poll_trailers(cx)).map_err(failure::http2)?;
        Poll::Ready(trailers.map(|trailers| Ok(Frame::trailers(trailers))))
    }
}

impl HttpBody for ResponseBody {
    type Data = Bytes;
    type Error = TransportError;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> PolledFrame {
        if self.stream.is_none() {
            return Poll::Ready(None);
        }
        let frame = ready!(self.poll_received(cx));
        if !matches!(&frame, Some(Ok(frame)) if frame.is_data()) {
            self.stream = None;
            self.request_body = None;
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.stream.is_none() || self.received.is_end_stream()
    }
}
