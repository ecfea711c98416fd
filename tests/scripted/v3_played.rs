//! Streams that a script plays: what a server sends on each, and when.

use std::{
    collections::VecDeque,
    fmt,
    future::pending,
    mem,
    pin::Pin,
    sync::Mutex,
    task::{Poll, ready},
    time::{Duration, Instant},
};

use etcd_http::{
    Client, Error, Result, StreamOperation,
    transport::{
        Body, Request, Response, Transport, TransportError, async_trait,
        bytes::Bytes,
        http::{HeaderMap, HeaderValue},
        http_body::Frame,
    },
    v3::Changes,
};
use futures::{
    StreamExt,
    future::{Either, select},
    stream::BoxStream,
};
use harness::{
    clock::{Sleep, VirtualClock},
    scripted_transport::without_grpc,
};
use serde_json::{Value, json};

use crate::v3_store::base64;

/// A server that responds to every request as its script says.
pub(crate) struct Played {
    pub(crate) clock: VirtualClock,
    script: Box<dyn Fn(&Asked) -> Play + Send + Sync>,
    asked: Mutex<Vec<Asked>>,
}

/// A request.
#[derive(Clone, Debug)]
pub(crate) struct Asked {
    pub(crate) host: String,
    pub(crate) path: String,
    /// How many requests of this path came before, to any host.
    pub(crate) before: usize,
    /// It has a short deadline.
    pub(crate) is_poll: bool,
    /// A member without a leader refuses it.
    pub(crate) requires_leader: bool,
}

/// The response to a request.
#[derive(Default)]
pub(crate) struct Play {
    status: u16,
    headers: HeaderMap,
    /// The parts of the body, each with the time after the one before.
    parts: VecDeque<(Duration, Part)>,
    ends: bool,
    /// There is no response, but this error after this time.
    error: Option<(Duration, TransportError)>,
    is_silent: bool,
    /// It is that of a host that speaks gRPC; the others reject requests by gRPC.
    is_grpc: bool,
}

type Part = Result<Frame<Bytes>, TransportError>;

pub(crate) const NOW: Duration = Duration::ZERO;

/// More requests than any script is for: a test fails that would go on asking forever.
const MANY: usize = 1_000;

impl Played {
    /// Returns a client of this server.
    pub(crate) fn client(
        endpoints: &[&str],
        script: impl Fn(&Asked) -> Play + Send + Sync + 'static,
    ) -> Client<Self> {
        Client::new(Self::new(script), endpoints).unwrap()
    }

    pub(crate) fn new(script: impl Fn(&Asked) -> Play + Send + Sync + 'static) -> Self {
        Self {
            clock: VirtualClock::new(),
            script: Box::new(script),
            asked: Mutex::default(),
        }
    }

    pub(crate) fn asked(&self) -> Vec<Asked> {
        self.asked.lock().unwrap().clone()
    }

    /// Returns the requests in short: the host and the last part of the path, such as `a watch`, and ` poll` with a short
    /// deadline.
    pub(crate) fn seen(&self) -> Vec<String> {
        let asked = self.asked();
        let short = asked.iter().map(|asked| {
            let call = asked.path.rsplit('/').next().unwrap_or_default();
            let poll = if asked.is_poll { " poll" } else { "" };
            format!("{} {}{poll}", asked.host, call.to_lowercase())
        });
        short.collect()
    }
}

impl fmt::Debug for Played {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Played").finish_non_exhaustive()
    }
}

impl Asked {
    /// Whether it opens a watch.
    pub(crate) fn is_watch(&self) -> bool {
        self.path == "/v3/watch"
    }
}

impl Play {
    /// A stream that stays open.
    pub(crate) fn open() -> Self {
        Self {
            status: 200,
            ..Self::default()
        }
    }

    /// A complete response with this status.
    pub(crate) fn whole(status: u16, body: impl Into<String>) -> Self {
        let response = Self::open().then(NOW, body).end();
        Self { status, ..response }
    }

    /// The response to a call that is not a stream: a header.
    pub(crate) fn header() -> Self {
        Self::whole(200, json!({"header": header()}).to_string())
    }

    /// A response by gRPC that has its status in the headers, and this message.
    pub(crate) fn grpc(code: &'static str, text: &'static str, message: &'static str) -> Self {
        let response = Self::whole(200, message);
        Self {
            headers: status(code, text),
            is_grpc: true,
            ..response
        }
    }

    /// A response by gRPC with this body, which is not one of gRPC.
    pub(crate) fn grpc_body(body: &'static str) -> Self {
        Self {
            is_grpc: true,
            ..Self::whole(200, body)
        }
    }

    /// No response.
    pub(crate) fn silent() -> Self {
        Self {
            is_silent: true,
            ..Self::default()
        }
    }

    /// No response, but this error of the transport.
    pub(crate) fn failing(error: TransportError) -> Self {
        Self::failing_after(NOW, error)
    }

    /// No response, but this error of the transport after this time.
    pub(crate) fn failing_after(after: Duration, error: TransportError) -> Self {
        Self {
            error: Some((after, error)),
            ..Self::default()
        }
    }

    /// Then, after this time, this data.
    pub(crate) fn then(self, after: Duration, data: impl Into<String>) -> Self {
        self.part(after, Ok(Frame::data(data.into().into())))
    }

    /// Then, after this time, the connection breaks.
    pub(crate) fn broken(self, after: Duration) -> Self {
        self.part(after, Err(TransportError::interrupted("reset")))
    }

    /// Then these trailers.
    pub(crate) fn trailers(self, trailers: HeaderMap) -> Self {
        self.part(NOW, Ok(Frame::trailers(trailers)))
    }

    /// Then it ends.
    pub(crate) fn end(self) -> Self {
        Self { ends: true, ..self }
    }

    fn part(mut self, after: Duration, part: Part) -> Self {
        self.parts.push_back((after, part));
        self
    }

    fn into_body(mut self, clock: VirtualClock) -> Body {
        let mut wait: Option<Sleep> = None;
        Body::poll_fn(move |cx| {
            let Some((after, _)) = self.parts.front() else {
                return if self.ends {
                    Poll::Ready(None)
                } else {
                    Poll::Pending
                };
            };
            let sleep = wait.get_or_insert_with(|| clock.sleep(*after));
            ready!(Pin::new(sleep).poll(cx));
            wait = None;
            Poll::Ready(self.parts.pop_front().map(|(_, part)| part))
        })
    }
}

#[async_trait]
impl Transport for Played {
    async fn send(&self, request: Request) -> Result<Response, TransportError> {
        let is_grpc = without_grpc(&request).is_err();
        let (head, _) = request.into_parts();
        let leader = if is_grpc {
            "hasleader"
        } else {
            "grpc-metadata-hasleader"
        };
        let path = head.uri.path();
        let before = self.asked();
        let asked = Asked {
            host: head.uri.host().unwrap().to_owned(),
            path: path.to_owned(),
            before: before.iter().filter(|asked| asked.path == path).count(),
            is_poll: head.headers.contains_key("grpc-timeout"),
            requires_leader: head.headers.contains_key(leader),
        };
        assert!(before.len() < MANY, "{asked:?} after {MANY} others");
        let mut play = (self.script)(&asked);
        if is_grpc && !play.is_grpc {
            return Err(TransportError::rejected("no HTTP/2"));
        }
        self.asked.lock().unwrap().push(asked);
        if play.is_silent {
            return pending().await;
        }
        if let Some((after, error)) = play.error {
            self.clock.sleep(after).await;
            return Err(error);
        }
        let (status, headers) = (play.status, mem::take(&mut play.headers));
        let mut response = Response::new(play.into_body(self.clock.clone()));
        *response.status_mut() = status.try_into().unwrap();
        *response.headers_mut() = headers;
        Ok(response)
    }

    async fn sleep(&self, duration: Duration) {
        self.clock.sleep(duration).await;
    }

    fn now(&self) -> Instant {
        self.clock.now()
    }
}

/// The status of a response by gRPC.
pub(crate) fn status(code: &'static str, text: &'static str) -> HeaderMap {
    let mut headers = HeaderMap::new();
    headers.insert("grpc-status", HeaderValue::from_static(code));
    headers.insert("grpc-message", HeaderValue::from_static(text));
    headers
}

/// The header of a message: each store is at revision 4.
fn header() -> Value {
    json!({"cluster_id": "7", "revision": "4"})
}

/// A message of a watch: it was created.
pub(crate) fn created(id: i64) -> String {
    message(json!({"header": header(), "watch_id": id.to_string(), "created": true}))
}

/// A message of a watch: this key was written by this revision.
pub(crate) fn event(id: i64, key: &str, revision: i64) -> String {
    message(events(id, key, revision))
}

/// The same, and the next message continues it.
pub(crate) fn fragment(id: i64, key: &str, revision: i64) -> String {
    let mut events = events(id, key, revision);
    events["fragment"] = true.into();
    message(events)
}

fn events(id: i64, key: &str, revision: i64) -> Value {
    let kv = json!({"key": base64(key), "mod_revision": revision.to_string()});
    json!({"header": header(), "watch_id": id.to_string(), "events": [{"kv": kv}]})
}

/// A message of the gateway.
pub(crate) fn message(result: Value) -> String {
    json!({"result": result}).to_string()
}

/// How the gateway ends a stream whose deadline has passed.
pub(crate) const LATE: &str =
    r#"{"error":{"grpc_code":4,"http_code":408,"message":"context deadline exceeded"}}"#;

/// A client of these endpoints whose watches get these responses, and whose other calls succeed.
pub(crate) fn watching(
    endpoints: &[&str],
    watches: impl Fn(&Asked) -> Play + Send + Sync + 'static,
) -> Client<Played> {
    Played::client(endpoints, move |asked| {
        if asked.is_watch() {
            watches(asked)
        } else {
            Play::header()
        }
    })
}

/// Polls the stream for this long. It must not deliver an item.
pub(crate) fn idle<I: fmt::Debug>(
    client: &Client<Played>,
    stream: &mut BoxStream<'static, I>,
    time: Duration,
) {
    let clock = &client.transport().clock;
    match clock.run(select(stream.next(), clock.sleep(time))) {
        Either::Left((item, _)) => panic!("{item:?}"),
        Either::Right(_) => {}
    }
}

/// Returns the revision that a watch delivers next.
pub(crate) fn revision(
    client: &Client<Played>,
    changes: &mut BoxStream<'static, Result<Changes>>,
) -> i64 {
    let clock = &client.transport().clock;
    clock.run(changes.next()).unwrap().unwrap().revision
}

/// Returns the error of a stream that delivers nothing.
pub(crate) fn failure<O: StreamOperation>(client: &Client<Played>, operation: O) -> Error
where
    O::Item: fmt::Debug,
{
    let clock = &client.transport().clock;
    let first = clock.run(client.open(operation).next());
    first.unwrap().unwrap_err()
}
