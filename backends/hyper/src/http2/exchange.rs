use std::{
    future::poll_fn,
    mem,
    pin::Pin,
    task::{Context, Poll, ready},
};

use etcd_transport::{
    Body, PolledFrame, Request, Response, TransportError,
    bytes::Bytes,
    http::{
        self, Version,
        header::{CONNECTION, HOST, HeaderName},
    },
};
use h2::{Reason, RecvStream, SendStream, client::ResponseFuture};
use http_body::{Body as HttpBody, Frame};

use super::connection::StreamLease;
use crate::failure;

/// A request that was sent, except for the rest of its body.
pub(super) struct Exchange {
    stream: StreamLease,
    response: ResponseFuture,
    request_body: Option<RequestBody>,
}

/// Opens a stream for a request, and sends what there is of it.
pub(super) fn open(stream: StreamLease, request: Request) -> Result<Exchange, TransportError> {
    let (mut head, body) = request.into_parts();
    head.version = Version::HTTP_2;
    // To compare few names is faster than to look them up, which hashes.
    if head.headers.keys().any(is_of_http1) {
        head.headers.remove(CONNECTION);
        head.headers.remove(HOST);
    }
    let is_end_stream = body.is_end_stream();
    let request = http::Request::from_parts(head, ());
    // A clone that no request was sent with is ready, unless the connection is broken: then this fails in the same way.
    let opened = stream.sender.clone().send_request(request, is_end_stream);
    let (response, send_stream) = opened.map_err(|error| {
        if !failure::is_of_the_request(&error) {
            // The connection is broken, or its stream ids are used up.
            stream.retire();
        }
        failure::http2_unopened(error)
    })?;
    Ok(Exchange {
        stream,
        response,
        request_body: RequestBody::start(body, send_stream),
    })
}

fn is_of_http1(name: &HeaderName) -> bool {
    *name == CONNECTION || *name == HOST
}

impl Exchange {
    /// Sends the rest of the body, and waits for the head of the response.
    pub(super) async fn response(mut self) -> Result<Response, TransportError> {
        let response = poll_fn(|cx| {
            poll_request_body(&mut self.request_body, cx)?;
            Pin::new(&mut self.response)
                .poll(cx)
                .map_err(failure::http2)
        });
        let response = response.await?;
        Ok(response.map(|received| {
            if received.is_end_stream() {
                return Body::empty();
            }
            Body::stream(ResponseBody {
                received,
                request_body: self.request_body,
                stream: Some(self.stream),
                unreleased: 0,
                is_data_over: false,
            })
        }))
    }
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
    /// How much of what was read is still counted as received.
    unreleased: usize,
    is_data_over: bool,
}

impl ResponseBody {
    fn poll_received(&mut self, cx: &mut Context<'_>) -> PolledFrame {
        poll_request_body(&mut self.request_body, cx)?;
        if !self.is_data_over {
            match ready!(self.received.poll_data(cx)) {
                Some(data) => {
                    let data = data.map_err(failure::http2)?;
                    self.unreleased += data.len();
                    if self.unreleased >= RELEASED_AT_ONCE {
                        // An error means that the stream is over.
                        let _ = self
                            .received
                            .flow_control()
                            .release_capacity(mem::take(&mut self.unreleased));
                    }
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

/// How much is read before the server may send more in its place. The window of a stream is larger by far, and the end of a
/// stream releases the rest, so a short response costs nothing here.
const RELEASED_AT_ONCE: usize = 64 << 10;
