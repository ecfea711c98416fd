//! A store of the v3 API with watches that stay open while keys are written.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    future::pending,
    pin::Pin,
    sync::{Arc, Mutex},
    task::{Context, Poll, Waker, ready},
    time::{Duration, Instant},
};

use base64::{Engine, prelude::BASE64_STANDARD};
use etcd_http::transport::{
    Body, Duplex, PolledFrame, Request, Response, Transport, TransportError, async_trait,
    bytes::Bytes,
    http::{StatusCode, Version},
    http_body::{Body as _, Frame},
};
use harness::{
    clock::{Sleep, VirtualClock},
    scripted_transport::without_grpc,
};
use serde_json::{Value, json};

/// A small etcd whose watches receive what is written while they are open, and, over HTTP/2, are created and canceled
/// while the stream is open.
#[derive(Debug)]
pub(crate) struct WatchServer {
    pub(crate) clock: VirtualClock,
    pub(crate) state: Arc<Mutex<State>>,
}

#[derive(Debug)]
pub(crate) struct State {
    pub(crate) revision: i64,
    pub(crate) compacted: i64,
    /// The key that each revision wrote.
    pub(crate) history: BTreeMap<i64, String>,
    pub(crate) http2: Http2,
    /// How long it takes until a stream is open.
    pub(crate) latency: Duration,
    /// The delay of the second half of a message with events; zero sends it in one piece.
    pub(crate) halved: Duration,
    /// Streams read this many requests, and no more.
    pub(crate) stalls_after: usize,
    /// No response and no message is sent, on open streams and on new ones.
    pub(crate) is_frozen: bool,
    /// Connections are refused.
    pub(crate) is_down: bool,
    /// A proxy withholds each response until its end.
    pub(crate) buffers: bool,
    /// A watch of this key is denied.
    pub(crate) denied: &'static str,
    /// The member of this host has no watches.
    pub(crate) without_watches: &'static str,
    /// Its streams report a store that is this many revisions behind.
    pub(crate) lag: i64,
    /// The requests: `h1` and `h2` for each stream, `+1@5` for a watch and its first revision, `-1` for a cancel.
    pub(crate) log: Vec<String>,
    pub(crate) ranges: usize,
    /// How many streams are open, and how many were cut.
    pub(crate) open: usize,
    cuts: usize,
    wakers: Vec<Waker>,
}

/// The fate of a duplex request.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Http2 {
    Works,
    /// The transport rejects it.
    Rejected,
    /// A proxy waits for the end of the request.
    KeptBack,
    /// A proxy responds with this.
    Answered(u16),
}

impl WatchServer {
    /// A store at this revision, with an empty history.
    pub(crate) fn at(revision: i64) -> Self {
        Self {
            clock: VirtualClock::new(),
            state: Arc::new(Mutex::new(State {
                revision,
                compacted: 0,
                history: BTreeMap::new(),
                http2: Http2::Works,
                latency: Duration::ZERO,
                halved: Duration::ZERO,
                stalls_after: usize::MAX,
                is_frozen: false,
                is_down: false,
                buffers: false,
                denied: "denied",
                without_watches: "",
                lag: 0,
                log: Vec::new(),
                ranges: 0,
                open: 0,
                cuts: 0,
                wakers: Vec::new(),
            })),
        }
    }

    pub(crate) fn with(self, change: impl FnOnce(&mut State)) -> Self {
        self.change(change);
        self
    }

    /// Changes the state, and wakes all streams.
    pub(crate) fn change<O>(&self, change: impl FnOnce(&mut State) -> O) -> O {
        let mut state = self.state.lock().unwrap();
        let output = change(&mut state);
        state.wakers.drain(..).for_each(Waker::wake);
        output
    }

    pub(crate) fn write(&self, key: &str) -> i64 {
        self.change(|state| state.write(key))
    }

    /// Breaks all streams.
    pub(crate) fn cut(&self) {
        self.change(|state| state.cuts += 1);
    }

    /// Returns the requests so far, in one line.
    pub(crate) fn log(&self) -> String {
        self.state.lock().unwrap().log.join(" ")
    }
}

impl State {
    pub(crate) fn write(&mut self, key: &str) -> i64 {
        self.revision += 1;
        self.history.insert(self.revision, key.to_owned());
        self.revision
    }

    fn header(&self) -> Value {
        json!({"cluster_id": "7", "revision": (self.revision - self.lag).to_string()})
    }
}

#[async_trait]
impl Transport for WatchServer {
    async fn send(&self, request: Request) -> Result<Response, TransportError> {
        without_grpc(&request)?;
        let (head, body) = request.into_parts();
        let is_http2 = head.version == Version::HTTP_2;
        assert_eq!(head.extensions.get::<Duplex>().is_some(), is_http2);
        let (http2, latency) = self.change(|state| (state.http2, state.latency));
        if self.change(|state| state.is_down) {
            return Err(TransportError::connect("connection refused"));
        }
        if self.change(|state| state.is_frozen) {
            pending::<()>().await;
        }
        if head.uri.path() != "/v3/watch" {
            assert!(!is_http2);
            return Ok(self.change(|state| {
                state.ranges += usize::from(head.uri.path() == "/v3/kv/range");
                let header = json!({"cluster_id": "7", "revision": state.revision.to_string()});
                let answer = json!({"header": header});
                Response::new(answer.to_string().into())
            }));
        }
        let without = self.change(|state| state.without_watches);
        if head.uri.host() == Some(without) {
            self.change(|state| state.log.push("404".to_owned()));
            let mut response = Response::new("Not Found\n".into());
            *response.status_mut() = StatusCode::NOT_FOUND;
            return Ok(response);
        }
        if is_http2 {
            assert_eq!(head.uri.scheme_str(), Some("https"));
            match http2 {
                Http2::Works => {}
                Http2::Rejected => return Err(TransportError::rejected("no HTTP/2")),
                Http2::KeptBack => {
                    self.change(|state| state.log.push("kept".to_owned()));
                    pending::<()>().await;
                }
                Http2::Answered(status) => {
                    self.change(|state| state.log.push(status.to_string()));
                    let mut response = Response::new("<html>".into());
                    *response.status_mut() = status.try_into().unwrap();
                    return Ok(response);
                }
            }
        }
        self.clock.sleep(latency).await;
        let cuts = self.change(|state| {
            state
                .log
                .push(if is_http2 { "h2" } else { "h1" }.to_owned());
            state.open += 1;
            state.cuts
        });
        let (input, body) = if is_http2 {
            (Vec::new(), Some(body))
        } else {
            (body.try_into_bytes().expect("a whole body").into(), None)
        };
        let deadline = head.headers.get("grpc-timeout").map(|limit| {
            let millis = limit.to_str().unwrap().strip_suffix('m').unwrap();
            let limit = Duration::from_millis(millis.parse().unwrap());
            self.clock.sleep(limit)
        });
        let mut stream = Stream {
            deadline,
            is_over: false,
            state: Arc::clone(&self.state),
            body,
            input,
            requests: 0,
            watches: BTreeMap::new(),
            ids: BTreeSet::new(),
            messages: VecDeque::new(),
            clock: self.clock.clone(),
            rest: None,
            cuts,
        };
        let body = Body::poll_fn(move |cx| stream.poll(cx));
        if self.change(|state| state.buffers) {
            let whole = body
                .collect(1 << 30)
                .await
                .map_err(TransportError::interrupted)?;
            return Ok(Response::new(whole.into()));
        }
        Ok(Response::new(body))
    }

    async fn sleep(&self, duration: Duration) {
        self.clock.sleep(duration).await;
    }

    fn now(&self) -> Instant {
        self.clock.now()
    }
}

struct Stream {
    /// When the server ends it.
    deadline: Option<Sleep>,
    is_over: bool,
    state: Arc<Mutex<State>>,
    /// The rest of the request's body.
    body: Option<Body>,
    input: Vec<u8>,
    requests: usize,
    watches: BTreeMap<i64, Watching>,
    ids: BTreeSet<i64>,
    messages: VecDeque<Value>,
    clock: VirtualClock,
    /// The second half of a message, and the time until it comes.
    rest: Option<(Sleep, Bytes)>,
    cuts: usize,
}

struct Watching {
    key: Vec<u8>,
    end: Vec<u8>,
    next: i64,
}

impl Watching {
    fn has(&self, key: &str) -> bool {
        let key = key.as_bytes();
        match &self.end[..] {
            [] => key == self.key,
            [0] => key >= &self.key[..],
            end => key >= &self.key[..] && key < end,
        }
    }
}

impl Stream {
    fn read(&mut self, state: &mut State, cx: &mut Context<'_>) {
        if let Some(body) = &mut self.body {
            while let Poll::Ready(frame) = Pin::new(&mut *body).poll_frame(cx) {
                let Some(frame) = frame else { break };
                self.input.extend(frame.unwrap().into_data().unwrap());
            }
        }
        let mut requests = serde_json::Deserializer::from_slice(&self.input).into_iter::<Value>();
        let mut all = Vec::new();
        while self.requests + all.len() < state.stalls_after
            && let Some(Ok(request)) = requests.next()
        {
            all.push(request);
        }
        let read = requests.byte_offset();
        self.input.drain(..read);
        self.requests += all.len();
        for request in all {
            self.take(state, &request);
        }
    }

    fn take(&mut self, state: &mut State, request: &Value) {
        let number = |value: &Value| value.as_str().unwrap().parse::<i64>().unwrap();
        let bytes = |value: &Value| {
            let text = value.as_str().unwrap_or_default();
            BASE64_STANDARD.decode(text).unwrap()
        };
        if let Some(cancel) = request.get("cancel_request") {
            assert!(self.body.is_some(), "a lone cancel is never answered");
            let id = number(&cancel["watch_id"]);
            state.log.push(format!("-{id}"));
            if self.watches.remove(&id).is_some() {
                // The pending messages, and then the end.
                self.messages
                    .push_back(reported(state, id, "late", state.revision));
                let over =
                    json!({"header": state.header(), "watch_id": id.to_string(), "canceled": true});
                self.messages.push_back(over);
            }
            return;
        }
        let create = &request["create_request"];
        let id = number(&create["watch_id"]);
        let next = number(&create["start_revision"]);
        state.log.push(format!("+{id}@{next}"));
        assert!(self.ids.insert(id), "the id {id} twice on one stream");
        let (key, end) = (bytes(&create["key"]), bytes(&create["range_end"]));
        let mut created =
            json!({"header": state.header(), "watch_id": id.to_string(), "created": true});
        if key == state.denied.as_bytes() {
            created["watch_id"] = "-1".into();
            created["canceled"] = true.into();
            created["cancel_reason"] =
                "rpc error: code = PermissionDenied desc = etcdserver: permission denied".into();
        } else {
            self.watches.insert(id, Watching { key, end, next });
        }
        self.messages.push_back(created);
    }

    /// One message for each watch, with all events that it has not received.
    fn tell(&mut self, state: &State) {
        let mut over = Vec::new();
        for (&id, watching) in &mut self.watches {
            if watching.next < state.compacted {
                over.push(id);
                let compact = state.compacted.to_string();
                self.messages.push_back(json!({"header": {"cluster_id": "7"}, "watch_id": id.to_string(), "canceled": true, "compact_revision": compact}));
                continue;
            }
            let new = state.history.range(watching.next..);
            let new = new.filter(|(_, key)| watching.has(key));
            let events: Vec<_> = new.map(|(revision, key)| event(key, *revision)).collect();
            watching.next = watching.next.max(state.revision + 1);
            if !events.is_empty() {
                let message =
                    json!({"header": state.header(), "watch_id": id.to_string(), "events": events});
                self.messages.push_back(message);
            }
        }
        self.watches.retain(|id, _| !over.contains(id));
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> PolledFrame {
        let state = Arc::clone(&self.state);
        let mut state = state.lock().unwrap();
        if self.cuts != state.cuts {
            return Poll::Ready(Some(Err(TransportError::interrupted("reset"))));
        }
        if let Some((time, _)) = &mut self.rest {
            ready!(Pin::new(time).poll(cx));
            let rest = self.rest.take().map(|(_, rest)| Ok(Frame::data(rest)));
            return Poll::Ready(rest);
        }
        if !state.is_frozen {
            self.read(&mut state, cx);
            self.tell(&state);
            if let Some(message) = self.messages.pop_front() {
                let mut line = Bytes::from(json!({"result": message}).to_string());
                if !state.halved.is_zero() && message.get("events").is_some() {
                    let time = self.clock.sleep(state.halved);
                    self.rest = Some((time, line.split_off(line.len() / 2)));
                }
                return Poll::Ready(Some(Ok(Frame::data(line))));
            }
        }
        if self.is_over {
            return Poll::Ready(None);
        }
        if let Some(deadline) = &mut self.deadline
            && Pin::new(deadline).poll(cx).is_ready()
        {
            self.is_over = true;
            let late = r#"{"error":{"grpc_code":4,"http_code":408,"message":"context deadline exceeded","http_status":"Request Timeout"}}"#;
            return Poll::Ready(Some(Ok(Frame::data(Bytes::from_static(late.as_bytes())))));
        }
        state.wakers.push(cx.waker().clone());
        Poll::Pending
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        self.state.lock().unwrap().open -= 1;
    }
}

fn reported(state: &State, id: i64, key: &str, revision: i64) -> Value {
    json!({"header": state.header(), "watch_id": id.to_string(), "events": [event(key, revision)]})
}

fn event(key: &str, revision: i64) -> Value {
    let (key, revision) = (BASE64_STANDARD.encode(key), revision.to_string());
    json!({"kv": {"key": key, "create_revision": revision, "mod_revision": revision, "version": "1"}})
}
