use std::{
    io, mem,
    panic::{AssertUnwindSafe, catch_unwind},
    pin::Pin,
    task::{Context, Poll, ready},
};

use etcd_transport::{
    Body, PolledFrame, Response, TransportError,
    bytes::{Buf, Bytes, BytesMut},
    http::{
        self, Method, StatusCode, Version,
        header::{CONTENT_LENGTH, TRANSFER_ENCODING},
    },
};
use futures_io::AsyncRead;
use http_body::{Body as HttpBody, Frame, SizeHint};
use isahc::{AsyncBody, ResponseExt, Trailer};
use sync_wrapper::SyncWrapper;

use crate::clients::Lent;

/// The most that libcurl provides at once.
const CHUNK: usize = 16 << 10;

/// Converts the body of a request to a reader that cannot be rewound, even if its bytes are complete: so libcurl cannot send
/// it twice.
///
/// If there is no body, it is empty for HTTP/1.1. For HTTP/2 it is a reader that ends at once, for the same reason.
pub(crate) fn outgoing(body: Body, http2: bool) -> AsyncBody {
    if body.is_end_stream() && !http2 {
        return AsyncBody::empty();
    }
    let length = body.size_hint().exact().filter(|length| *length > 0);
    let reader = Outgoing {
        body: SyncWrapper::new(body),
        rest: Bytes::new(),
    };
    match length {
        Some(length) => AsyncBody::from_reader_sized(reader, length),
        None => AsyncBody::from_reader(reader),
    }
}

/// Converts a response: its body becomes frames, and isahc's extensions are removed.
pub(crate) fn incoming(
    mut response: http::Response<AsyncBody>,
    method: &Method,
    client: Lent,
) -> Response {
    let trailer = response.trailer().clone();
    let body = mem::take(response.body_mut());
    let maybe_cut = may_be_cut(&response, method);
    let remaining = match response.status() {
        // The announced length is that of a body which is not sent.
        StatusCode::NOT_MODIFIED => None,
        _ => body.len(),
    };
    let mut answer = Response::new(Body::stream(Incoming {
        body,
        remaining,
        maybe_cut,
        trailer: Some(trailer),
        buffer: BytesMut::new(),
        client: Some(client),
    }));
    *answer.status_mut() = response.status();
    *answer.version_mut() = response.version();
    *answer.headers_mut() = mem::take(response.headers_mut());
    answer
}

/// Returns whether an empty body may mean that the connection was closed in the middle of the head.
///
/// libcurl takes a truncated head for a complete one. A body proves that the head was complete. A header that frames an empty
/// body leaves it open, and an empty body is far more likely.
fn may_be_cut<B>(response: &http::Response<B>, method: &Method) -> bool {
    let headers = response.headers();
    let bodiless = [StatusCode::NO_CONTENT, StatusCode::NOT_MODIFIED];
    response.version() < Version::HTTP_2
        && *method != Method::HEAD
        && !bodiless.contains(&response.status())
        && !headers.contains_key(CONTENT_LENGTH)
        && !headers.contains_key(TRANSFER_ENCODING)
}

struct Outgoing {
    body: SyncWrapper<Body>,
    rest: Bytes,
}

impl AsyncRead for Outgoing {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        while self.rest.is_empty() {
            let body = Pin::new(self.body.get_mut());
            // A panic here would end isahc's thread, and every exchange with it.
            let frame = catch_unwind(AssertUnwindSafe(|| body.poll_frame(cx)))
                .map_err(|_| io::Error::other("the body of the request panicked"))?;
            let Some(frame) = ready!(frame) else {
                return Poll::Ready(Ok(0));
            };
            self.rest = frame
                .map_err(io::Error::other)?
                .into_data()
                .map_err(|_| io::Error::other("isahc cannot send trailers"))?;
        }
        let length = buffer.len().min(self.rest.len());
        self.rest.copy_to_slice(&mut buffer[..length]);
        Poll::Ready(Ok(length))
    }
}

struct Incoming {
    body: AsyncBody,
    /// How much is left of the announced length.
    remaining: Option<u64>,
    /// See [`may_be_cut`]; false after the first byte.
    maybe_cut: bool,
    /// `None` after the end of the body, or an error.
    trailer: Option<Trailer>,
    buffer: BytesMut,
    /// The client that receives it, until it has ended.
    client: Option<Lent>,
}

impl Incoming {
    fn ended(&mut self) {
        self.trailer = None;
        // It keeps a reference to the client.
        self.body = AsyncBody::empty();
        if let Some(client) = self.client.take() {
            client.give_back();
        }
    }
}

impl Drop for Incoming {
    fn drop(&mut self) {
        if let Some(client) = self.client.take() {
            client.leave(mem::take(&mut self.body));
        }
    }
}

impl HttpBody for Incoming {
    type Data = Bytes;
    type Error = TransportError;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> PolledFrame {
        let this = &mut *self;
        let Some(trailer) = &this.trailer else {
            return Poll::Ready(None);
        };
        if this.buffer.is_empty() {
            // At least one byte: a read into none would look like the end.
            let length = this
                .remaining
                .map_or(CHUNK as u64, |left| left.clamp(1, CHUNK as u64));
            this.buffer = BytesMut::zeroed(length as usize);
        }
        match ready!(Pin::new(&mut this.body).poll_read(cx, &mut this.buffer)) {
            Ok(0) if this.maybe_cut => {
                this.ended();
                let error =
                    "the connection was closed, possibly in the middle of the head of the response";
                Poll::Ready(Some(Err(TransportError::interrupted(error))))
            }
            Ok(0) => {
                // isahc stores them before it ends the body.
                let trailers = trailer
                    .try_get()
                    .filter(|trailers| !trailers.is_empty())
                    .cloned();
                this.ended();
                Poll::Ready(trailers.map(|trailers| Ok(Frame::trailers(trailers))))
            }
            Ok(length) => {
                this.maybe_cut = false;
                this.remaining = this
                    .remaining
                    .map(|left| left.saturating_sub(length as u64));
                Poll::Ready(Some(Ok(Frame::data(this.buffer.split_to(length).freeze()))))
            }
            Err(error) => {
                // The client itself may be broken.
                this.client = None;
                this.ended();
                Poll::Ready(Some(Err(TransportError::interrupted(error))))
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.trailer.is_none()
    }

    fn size_hint(&self) -> SizeHint {
        match (&self.trailer, self.remaining) {
            (None, _) => SizeHint::with_exact(0),
            (Some(_), Some(remaining)) => SizeHint::with_exact(remaining),
            (Some(_), None) => SizeHint::default(),
        }
    }
}
