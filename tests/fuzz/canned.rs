//! A transport with prepared responses.

use std::{
    collections::VecDeque,
    future::poll_fn,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
    task::Poll,
    time::{Duration, Instant},
};

use etcd_http::transport::{
    Body, Request, Response, Transport, TransportError, async_trait,
    bytes::Bytes,
    http::{HeaderMap, HeaderName, HeaderValue},
    http_body::Frame,
};

/// After this many requests the transport rejects them, so that a watch that goes on forever ends.
const MOST_REQUESTS: usize = 40;

/// Time then passes fast, so that a lease whose renewals fail ends, too.
const AGES: Duration = Duration::from_secs(10_000_000_000);

/// A server that sends any response, over a transport that cuts it anywhere.
#[derive(Clone, Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(HeaderName, HeaderValue)>,
    pub(crate) body: Vec<u8>,
    /// The lengths of its frames; the rest is one more.
    pub(crate) frames: Vec<usize>,
    pub(crate) ending: Ending,
}

#[derive(Clone, Copy, Debug)]
pub(crate) enum Ending {
    Clean,
    Trailers,
    Break,
    Open,
}

/// Sends the same few responses in turn.
#[derive(Debug)]
pub(crate) struct Canned {
    answers: Vec<Answer>,
    requests: AtomicUsize,
    /// The highest number of bytes that were read of one body.
    most: Arc<AtomicUsize>,
    epoch: Instant,
    elapsed: Mutex<Duration>,
}

impl Answer {
    /// A complete response of etcd, in one piece. Without its index, v2's would not be decoded.
    pub(crate) fn ok(body: impl Into<Vec<u8>>) -> Self {
        let index = HeaderName::from_static("x-etcd-index");
        Self {
            status: 200,
            headers: vec![(index, HeaderValue::from_static("7"))],
            body: body.into(),
            frames: vec![],
            ending: Ending::Clean,
        }
    }

    /// The maximum length of its frames.
    pub(crate) fn longest_frame(&self) -> usize {
        let framed: usize = self.frames.iter().sum();
        let rest = self.body.len().saturating_sub(framed);
        let longest = self.frames.iter().copied().max().unwrap_or(0);
        longest.min(self.body.len()).max(rest)
    }
}

impl Canned {
    pub(crate) fn new(answers: Vec<Answer>) -> Self {
        Self {
            answers,
            requests: AtomicUsize::new(0),
            most: Arc::default(),
            epoch: Instant::now(),
            elapsed: Mutex::default(),
        }
    }

    pub(crate) fn most_taken(&self) -> usize {
        self.most.load(Relaxed)
    }
}

#[async_trait]
impl Transport for Canned {
    async fn send(&self, _: Request) -> Result<Response, TransportError> {
        let number = self.requests.fetch_add(1, Relaxed);
        if number >= MOST_REQUESTS {
            *self.elapsed.lock().unwrap() += AGES;
            return Err(TransportError::rejected("enough"));
        }
        let answer = &self.answers[number % self.answers.len()];
        let mut response = Response::new(body(answer, &self.most));
        *response.status_mut() = answer.status.try_into().unwrap();
        for (name, value) in &answer.headers {
            response.headers_mut().append(name, value.clone());
        }
        Ok(response)
    }

    /// Sleeping advances the time, at an increasing rate.
    async fn sleep(&self, duration: Duration) {
        let until = self.now() + duration;
        poll_fn(|cx| {
            let left = until.saturating_duration_since(self.now());
            if left.is_zero() {
                return Poll::Ready(());
            }
            *self.elapsed.lock().unwrap() += Duration::from_secs(1).max(left / 16);
            cx.waker().wake_by_ref();
            Poll::Pending
        })
        .await;
    }

    fn now(&self) -> Instant {
        self.epoch + *self.elapsed.lock().unwrap()
    }
}

/// The body of a response. `most` records how much of it is taken.
fn body(answer: &Answer, most: &Arc<AtomicUsize>) -> Body {
    let mut rest = Bytes::copy_from_slice(&answer.body);
    let mut frames = VecDeque::new();
    for length in &answer.frames {
        frames.push_back(rest.split_to((*length).min(rest.len())));
    }
    frames.push_back(rest);
    let (mut ending, mut taken) = (answer.ending, 0);
    let most = Arc::clone(most);
    Body::poll_fn(move |_| {
        if let Some(frame) = frames.pop_front() {
            taken += frame.len();
            most.fetch_max(taken, Relaxed);
            return Poll::Ready(Some(Ok(Frame::data(frame))));
        }
        match ending {
            Ending::Clean => Poll::Ready(None),
            Ending::Open => Poll::Pending,
            Ending::Trailers => {
                ending = Ending::Clean;
                Poll::Ready(Some(Ok(Frame::trailers(HeaderMap::new()))))
            }
            Ending::Break => {
                ending = Ending::Clean;
                Poll::Ready(Some(Err(TransportError::interrupted("reset"))))
            }
        }
    })
}
