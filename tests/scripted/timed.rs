//! A transport that plays a script by the clock.

use std::{
    collections::VecDeque,
    pin::Pin,
    sync::Mutex,
    task::{Poll, ready},
    time::{Duration, Instant},
};

use etcd_http::{
    Client,
    transport::{
        Body, IdleLimit, Request, Response, Transport, TransportError, async_trait,
        http_body::Body as _,
    },
};
use harness::{
    clock::VirtualClock,
    scripted_transport::{Ending, Step, without_grpc},
};

/// Plays one step for each request, so much later than the request.
#[derive(Debug)]
pub(crate) struct Timed {
    pub(crate) clock: VirtualClock,
    steps: Mutex<VecDeque<(Duration, Step)>>,
    sent: Mutex<Vec<Sent>>,
    has_grpc: bool,
    has_heads: bool,
    closing: Option<Closing>,
}

/// What a proxy does that ends silent responses.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Closing {
    pub(crate) after: Duration,
    /// The connection is reset. Otherwise the response ends as if it were complete.
    pub(crate) is_reset: bool,
}

/// A request.
#[derive(Clone, Debug)]
pub(crate) struct Sent {
    /// When it was sent.
    pub(crate) at: Duration,
    /// As in `HEAD a/v2/keys/x`.
    pub(crate) line: String,
    /// For how long its connection may be silent.
    pub(crate) idle: Option<Duration>,
}

impl Timed {
    /// A transport that plays these steps.
    pub(crate) fn new(steps: impl IntoIterator<Item = (Duration, Step)>) -> Self {
        Self {
            clock: VirtualClock::new(),
            steps: Mutex::new(steps.into_iter().collect()),
            sent: Mutex::default(),
            has_grpc: false,
            has_heads: false,
            closing: None,
        }
    }

    /// Ends bodies that would stay open.
    pub(crate) fn closing(self, closing: Closing) -> Self {
        Self {
            closing: Some(closing),
            ..self
        }
    }

    /// Sends the heads of responses at once: what comes later is the body.
    pub(crate) fn with_heads(self) -> Self {
        Self {
            has_heads: true,
            ..self
        }
    }

    /// Plays its steps for gRPC, too.
    pub(crate) fn with_grpc(self) -> Self {
        Self {
            has_grpc: true,
            ..self
        }
    }

    /// The requests so far.
    pub(crate) fn sent(&self) -> Vec<Sent> {
        self.sent.lock().unwrap().clone()
    }

    /// The requests so far, without their times.
    pub(crate) fn lines(&self) -> Vec<String> {
        self.sent().into_iter().map(|sent| sent.line).collect()
    }

    /// The hosts of the requests so far, which have names of one letter.
    pub(crate) fn hosts(&self) -> String {
        let lines = self.lines().into_iter();
        lines
            .filter_map(|line| line.split_once(' ')?.1.chars().next())
            .collect()
    }
}

/// A client of these endpoints.
pub(crate) fn client<const N: usize>(transport: Timed, endpoints: [&str; N]) -> Client<Timed> {
    Client::new(transport, endpoints.map(|host| format!("http://{host}"))).unwrap()
}

#[async_trait]
impl Transport for Timed {
    async fn send(&self, request: Request) -> Result<Response, TransportError> {
        if !self.has_grpc {
            without_grpc(&request)?;
        }
        let uri = request.uri();
        let (host, target) = (uri.host().unwrap(), uri.path_and_query().unwrap());
        let sent = Sent {
            at: self.clock.elapsed(),
            line: format!("{} {host}{target}", request.method()),
            idle: request.extensions().get().map(|IdleLimit(limit)| *limit),
        };
        let step = self.steps.lock().unwrap().pop_front();
        let (later, step) = step.unwrap_or_else(|| panic!("no step left for {sent:?}"));
        self.sent.lock().unwrap().push(sent);
        if self.has_heads {
            let mut later = self.clock.sleep(later);
            let response = step.play().await?;
            return Ok(response.map(|mut body| {
                Body::poll_fn(move |cx| {
                    ready!(Pin::new(&mut later).poll(cx));
                    Pin::new(&mut body).poll_frame(cx)
                })
            }));
        }
        self.clock.sleep(later).await;
        let is_open = matches!(step, Step::Respond(_, _, Ending::Open));
        let response = step.play().await?;
        let Some(Closing { after, is_reset }) = self.closing.filter(|_| is_open) else {
            return Ok(response);
        };
        let mut end = self.clock.sleep(after);
        Ok(response.map(|_| {
            Body::poll_fn(move |cx| {
                ready!(Pin::new(&mut end).poll(cx));
                Poll::Ready(is_reset.then(|| Err(TransportError::interrupted("reset"))))
            })
        }))
    }

    async fn sleep(&self, duration: Duration) {
        self.clock.sleep(duration).await;
    }

    fn now(&self) -> Instant {
        self.clock.now()
    }
}
