use std::{
    error::Error,
    fmt,
    future::poll_fn,
    pin::Pin,
    task::{Context, Poll},
};

use bytes::{Bytes, BytesMut};
use http::HeaderMap;
use http_body::{Body as _, Frame, SizeHint};

use crate::TransportError;

/// What a poll for the next frame of a body returns: see [`poll_frame`](http_body::Body::poll_frame).
pub type PolledFrame = Poll<Option<Result<Frame<Bytes>, TransportError>>>;

/// The body of a request or a response: empty, one block of bytes, or a stream of frames that may end in trailers.
///
/// It implements [`http_body::Body`], so it works with every crate that uses this trait.
#[derive(Default)]
pub struct Body(Inner);

#[derive(Default)]
enum Inner {
    #[default]
    Empty,
    Whole(Bytes),
    Stream(Pin<Box<dyn http_body::Body<Data = Bytes, Error = TransportError> + Send>>),
}

impl Body {
    /// Creates a body without any bytes.
    pub const fn empty() -> Self {
        Self(Inner::Empty)
    }

    /// Creates a body from a stream of frames.
    pub fn stream<B>(body: B) -> Self
    where
        B: http_body::Body<Data = Bytes, Error = TransportError> + Send + 'static,
    {
        Self(Inner::Stream(Box::pin(body)))
    }

    /// Creates a body from frames that are ready: data, trailers, or an error where the body breaks off.
    ///
    /// For the tests of code that reads bodies.
    ///
    /// ```
    /// use etcd_transport::{Body, TransportError, bytes::Bytes, http::HeaderMap, http_body::Frame};
    ///
    /// let data = Frame::data(Bytes::from_static(b"some"));
    /// let whole = Body::from_frames([Ok(data), Ok(Frame::trailers(HeaderMap::new()))]);
    /// let broken = Body::from_frames([Err(TransportError::interrupted("reset"))]);
    /// ```
    pub fn from_frames<I>(frames: I) -> Self
    where
        I: IntoIterator<Item = Result<Frame<Bytes>, TransportError>>,
        I::IntoIter: Send + Unpin + 'static,
    {
        let mut frames = frames.into_iter();
        Self::poll_fn(move |_| Poll::Ready(frames.next()))
    }

    /// Creates a body whose frames a function delivers, like [`std::future::poll_fn`]: see
    /// [`poll_frame`](http_body::Body::poll_frame). Its length is unknown.
    ///
    /// ```
    /// use std::task::Poll;
    /// use etcd_transport::Body;
    ///
    /// let silent = Body::poll_fn(|_| Poll::Pending);
    /// ```
    pub fn poll_fn<F>(poll: F) -> Self
    where
        F: FnMut(&mut Context<'_>) -> PolledFrame + Send + Unpin + 'static,
    {
        Self::stream(PollFn(poll))
    }

    /// Returns the bytes, if none of them is still to arrive.
    ///
    /// # Errors
    /// Returns the body unchanged if it is a stream.
    pub fn try_into_bytes(self) -> Result<Bytes, Self> {
        match self.0 {
            Inner::Empty => Ok(Bytes::new()),
            Inner::Whole(bytes) => Ok(bytes),
            Inner::Stream(_) => Err(self),
        }
    }

    /// Returns the next frame: data or trailers; `None` at the end.
    pub async fn frame(&mut self) -> Option<Result<Frame<Bytes>, TransportError>> {
        poll_fn(|cx| Pin::new(&mut *self).poll_frame(cx)).await
    }

    /// Reads to the end and returns all data, at most `limit` bytes; trailers are dropped.
    ///
    /// Data that arrives in one frame is not copied.
    ///
    /// # Errors
    /// [`CollectError::TooLarge`] as soon as the announced or the received length exceeds the limit, and
    /// [`CollectError::Transport`] when the body breaks off.
    pub async fn collect(self, limit: usize) -> Result<Bytes, CollectError> {
        Ok(self.collect_with_trailers(limit).await?.data)
    }

    /// Reads to the end and returns all data, at most `limit` bytes, and the trailers.
    ///
    /// Data that arrives in one frame is not copied.
    ///
    /// # Errors
    /// As [`collect`](Self::collect).
    pub async fn collect_with_trailers(self, limit: usize) -> Result<Collected, CollectError> {
        let announced = self.size_hint().lower();
        if announced > limit as u64 {
            return Err(CollectError::TooLarge { limit });
        }
        let mut stream = match self.try_into_bytes() {
            Ok(data) => {
                return Ok(Collected {
                    data,
                    trailers: None,
                });
            }
            Err(stream) => stream,
        };
        let mut first = Bytes::new();
        let mut joined: Option<BytesMut> = None;
        let mut trailers = None;
        while let Some(frame) = stream.frame().await {
            let data = match frame.map_err(CollectError::Transport)?.into_data() {
                Ok(data) => data,
                // Trailers are the end. There are no other frames.
                Err(other) => {
                    trailers = other.into_trailers().ok();
                    break;
                }
            };
            let so_far = joined.as_ref().map_or(first.len(), BytesMut::len);
            if data.len() > limit - so_far {
                return Err(CollectError::TooLarge { limit });
            }
            if let Some(joined) = &mut joined {
                joined.extend_from_slice(&data);
            } else if first.is_empty() {
                first = data;
            } else {
                // The server announced this length; it was checked against the limit above.
                let capacity = (announced as usize).max(first.len() + data.len());
                let mut both = BytesMut::with_capacity(capacity);
                both.extend_from_slice(&first);
                both.extend_from_slice(&data);
                joined = Some(both);
            }
        }
        Ok(Collected {
            data: joined.map_or(first, BytesMut::freeze),
            trailers,
        })
    }
}

/// A body that was read to its end by [`Body::collect_with_trailers`].
#[derive(Debug, Default)]
#[non_exhaustive]
pub struct Collected {
    /// All data.
    pub data: Bytes,
    /// The trailers, if the body ended in any.
    pub trailers: Option<HeaderMap>,
}

/// Why [`Body::collect`] did not return the whole body.
#[derive(Debug)]
#[non_exhaustive]
pub enum CollectError {
    /// The body is larger than the caller allows.
    TooLarge {
        /// The caller's limit in bytes.
        limit: usize,
    },
    /// The body broke off.
    Transport(TransportError),
}

impl fmt::Display for CollectError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooLarge { limit } => write!(f, "the body is larger than {limit} bytes"),
            Self::Transport(_) => f.write_str("the body broke off"),
        }
    }
}

impl Error for CollectError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::TooLarge { .. } => None,
            Self::Transport(error) => Some(error),
        }
    }
}

impl http_body::Body for Body {
    type Data = Bytes;
    type Error = TransportError;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> PolledFrame {
        match &mut self.0 {
            Inner::Empty => Poll::Ready(None),
            Inner::Whole(bytes) => {
                let bytes = std::mem::take(bytes);
                self.0 = Inner::Empty;
                Poll::Ready(Some(Ok(Frame::data(bytes))))
            }
            Inner::Stream(stream) => stream.as_mut().poll_frame(cx),
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.0 {
            Inner::Empty => true,
            Inner::Whole(_) => false,
            Inner::Stream(stream) => stream.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.0 {
            Inner::Empty => SizeHint::with_exact(0),
            Inner::Whole(bytes) => SizeHint::with_exact(bytes.len() as u64),
            Inner::Stream(stream) => stream.size_hint(),
        }
    }
}

impl From<Bytes> for Body {
    fn from(bytes: Bytes) -> Self {
        if bytes.is_empty() {
            Self::empty()
        } else {
            Self(Inner::Whole(bytes))
        }
    }
}

impl From<String> for Body {
    fn from(text: String) -> Self {
        Bytes::from(text).into()
    }
}

impl From<Vec<u8>> for Body {
    fn from(bytes: Vec<u8>) -> Self {
        Bytes::from(bytes).into()
    }
}

impl From<&'static str> for Body {
    fn from(text: &'static str) -> Self {
        Bytes::from_static(text.as_bytes()).into()
    }
}

/// Shows the length, never the content: a body may hold a secret.
impl fmt::Debug for Body {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Inner::Empty => f.write_str("Body(empty)"),
            Inner::Whole(bytes) => write!(f, "Body({} bytes)", bytes.len()),
            Inner::Stream(_) => f.write_str("Body(stream)"),
        }
    }
}

/// See [`Body::poll_fn`].
struct PollFn<F>(F);

impl<F> http_body::Body for PollFn<F>
where
    F: FnMut(&mut Context<'_>) -> PolledFrame + Unpin,
{
    type Data = Bytes;
    type Error = TransportError;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> PolledFrame {
        (self.0)(cx)
    }
}

#[cfg(test)]
mod tests {
    use futures::executor::block_on;
    use http::HeaderValue;

    use super::*;

    fn frames(data: &[&'static str]) -> Vec<Result<Frame<Bytes>, TransportError>> {
        data.iter()
            .map(|data| Ok(Frame::data(Bytes::from_static(data.as_bytes()))))
            .collect()
    }

    #[test]
    fn a_whole_body_is_collected_without_a_copy() {
        let bytes = Bytes::from(vec![7; 1000]);
        let collected = block_on(Body::from(bytes.clone()).collect(1000)).unwrap();
        assert_eq!(collected.as_ptr(), bytes.as_ptr());
    }

    #[test]
    fn a_body_of_one_frame_is_collected_without_a_copy() {
        let data = Bytes::from(vec![7; 1000]);
        let body = Body::from_frames([Ok(Frame::data(data.clone()))]);
        assert_eq!(
            block_on(body.collect(1000)).unwrap().as_ptr(),
            data.as_ptr()
        );
    }

    #[test]
    fn frames_are_joined_and_trailers_kept_or_dropped() {
        let body = || {
            let mut trailers = HeaderMap::new();
            trailers.insert("grpc-status", HeaderValue::from_static("0"));
            let mut all = frames(&["ab", "", "cd", "e"]);
            all.push(Ok(Frame::trailers(trailers)));
            Body::from_frames(all)
        };
        assert_eq!(block_on(body().collect(5)).unwrap(), "abcde");
        let collected = block_on(body().collect_with_trailers(5)).unwrap();
        assert_eq!(collected.data, "abcde");
        assert_eq!(collected.trailers.unwrap()["grpc-status"], "0");
    }

    #[test]
    fn trailers_without_data_are_collected() {
        let body = Body::from_frames([Ok(Frame::trailers(HeaderMap::new()))]);
        let collected = block_on(body.collect_with_trailers(0)).unwrap();
        assert!(collected.data.is_empty() && collected.trailers.is_some());
        let without = block_on(Body::from("x").collect_with_trailers(1)).unwrap();
        assert!(without.trailers.is_none());
    }

    #[test]
    fn the_limit_is_exact() {
        let body = || Body::from_frames(frames(&["ab", "cd"]));
        assert!(block_on(body().collect(4)).is_ok());
        let error = block_on(body().collect(3)).unwrap_err();
        assert_eq!(error.to_string(), "the body is larger than 3 bytes");
        let error = block_on(Body::from("abcd").collect(3)).unwrap_err();
        assert_eq!(error.to_string(), "the body is larger than 3 bytes");
    }

    #[test]
    fn a_body_that_breaks_off_is_an_error() {
        let mut all = frames(&["ab"]);
        all.push(Err(TransportError::interrupted("reset")));
        let error = block_on(Body::from_frames(all).collect(10)).unwrap_err();
        assert!(matches!(error, CollectError::Transport(_)), "{error:?}");
    }

    #[test]
    fn an_empty_body_is_at_its_end() {
        assert!(Body::from(Bytes::new()).is_end_stream());
        assert!(!Body::from("x").is_end_stream());
        assert_eq!(Body::from("x").size_hint().exact(), Some(1));
    }

    #[test]
    fn debug_shows_the_length_and_not_the_content() {
        assert_eq!(format!("{:?}", Body::from("secret")), "Body(6 bytes)");
    }
}
