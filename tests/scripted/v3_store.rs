//! A store of the v3 API with scripted streams.

use std::{
    collections::{BTreeMap, VecDeque},
    future::pending,
    sync::Mutex,
    task::Poll,
    time::{Duration, Instant},
};

use base64::{Engine, prelude::BASE64_STANDARD};
use etcd_http::{
    Client, Error, StreamOperation,
    transport::{
        Body, IdleLimit, Request, Response, Transport, TransportError, async_trait, bytes::Bytes,
        http::Method, http_body::Frame,
    },
};
use futures::StreamExt;
use harness::{clock::VirtualClock, scripted_transport::without_grpc};
use serde_json::{Deserializer, Value, json};

/// A small etcd with a history to watch, leases to keep alive, and faults of connections.
#[derive(Debug)]
pub(crate) struct Store {
    pub(crate) clock: VirtualClock,
    pub(crate) state: Mutex<State>,
}

#[derive(Debug, Default)]
pub(crate) struct State {
    pub(crate) cluster: u64,
    /// The raft term in headers, unless it is 0.
    pub(crate) raft_term: u64,
    pub(crate) revision: i64,
    pub(crate) compacted: i64,
    /// The keys that each revision wrote.
    pub(crate) history: BTreeMap<i64, Vec<String>>,
    /// The behavior of the next connections; later ones have no fault.
    pub(crate) connections: VecDeque<Connection>,
    /// How many of the next status calls fail.
    pub(crate) failing_status: u32,
    /// How many of the next calls of a path get no response.
    pub(crate) mute: BTreeMap<&'static str, u32>,
    pub(crate) seen: Vec<String>,
    /// The granted TTL, and when it is over.
    pub(crate) leases: BTreeMap<i64, (Duration, Duration)>,
    /// The keys, by when they were last written.
    pub(crate) keys: BTreeMap<String, i64>,
    /// The messages of a stream that is not a watch.
    pub(crate) messages: Vec<Value>,
    /// How many requests renewed leases, and how many leases each.
    pub(crate) renewals: Vec<usize>,
    /// What is written once keys were read.
    pub(crate) after_read: Option<fn(&mut State)>,
}

/// The behavior of a connection.
#[derive(Clone, Debug, Default)]
pub(crate) struct Connection {
    /// It breaks after this many bytes.
    pub(crate) cut: Option<usize>,
    /// It ends properly, and so does the connection.
    pub(crate) ends: bool,
    /// Messages arrive in fragments of this many events.
    pub(crate) fragment: Option<usize>,
    /// Bytes arrive in chunks of this size.
    pub(crate) chunk: Option<usize>,
    /// The member lags behind at this revision, and sends all its events, requested or not.
    pub(crate) lag: Option<i64>,
    /// There is no response.
    pub(crate) silent: bool,
    /// Connections are refused.
    pub(crate) refused: bool,
    /// The member belongs to this cluster, and has none of the leases.
    pub(crate) cluster: Option<u64>,
    /// This replaces the response.
    pub(crate) answer: Option<(u16, String)>,
    /// What is written and compacted after the connection is gone.
    pub(crate) then: Option<fn(&mut State)>,
}

impl Connection {
    /// It is refused.
    pub(crate) fn refused() -> Self {
        Self {
            refused: true,
            ..Self::default()
        }
    }

    /// This is the response.
    pub(crate) fn responding(status: u16, body: impl Into<String>) -> Self {
        Self {
            answer: Some((status, body.into())),
            ..Self::default()
        }
    }
}

impl State {
    /// Writes these keys, in one revision.
    pub(crate) fn write(&mut self, keys: impl IntoIterator<Item = String>) {
        self.revision += 1;
        self.history
            .insert(self.revision, keys.into_iter().collect());
    }

    fn header(&self, revision: i64) -> Value {
        let mut header = json!({"cluster_id": self.cluster.to_string(), "member_id": "1", "revision": revision.to_string()});
        if self.raft_term != 0 {
            header["raft_term"] = self.raft_term.to_string().into();
        }
        header
    }

    /// The first keys, beginning with the requested one.
    fn range(&self, body: &[u8]) -> Value {
        let ask: Value = serde_json::from_slice(body).unwrap();
        let limit = ask["limit"]
            .as_str()
            .map_or(1, |limit| limit.parse().unwrap());
        let from = BASE64_STANDARD
            .decode(ask["key"].as_str().unwrap())
            .unwrap();
        let rest = self.keys.iter().filter(|(key, _)| key.as_bytes() >= &*from);
        let found = rest.clone().take(limit);
        let found: Vec<_> = found
            .map(|(key, revision)| event(key, *revision)["kv"].clone())
            .collect();
        json!({"header": self.header(self.revision), "kvs": found, "more": rest.count() > limit})
    }

    fn watch(&self, body: &[u8], connection: &Connection) -> Vec<String> {
        let mut messages = Vec::new();
        let at = connection.lag.unwrap_or(self.revision);
        let creates: Vec<Value> = Deserializer::from_slice(body)
            .into_iter()
            .map(|create: Result<Value, _>| create.unwrap()["create_request"].clone())
            .collect();
        for create in &creates {
            let header = self.header(at);
            messages
                .push(json!({"header": header, "watch_id": create["watch_id"], "created": true}));
        }
        for create in &creates {
            let id = &create["watch_id"];
            let start: i64 = create["start_revision"].as_str().unwrap().parse().unwrap();
            if start < self.compacted {
                let compact = self.compacted.to_string();
                messages.push(json!({"header": {"cluster_id": self.cluster.to_string()}, "watch_id": id, "canceled": true, "compact_revision": compact}));
                continue;
            }
            let start = if connection.lag.is_some() { 0 } else { start };
            let events: Vec<Value> = self
                .history
                .range(start..)
                .filter(|(revision, _)| **revision <= at)
                .flat_map(|(revision, keys)| keys.iter().map(|key| event(key, *revision)))
                .collect();
            let size = connection
                .fragment
                .unwrap_or(usize::MAX)
                .min(events.len())
                .max(1);
            let count = events.len().div_ceil(size);
            for (number, events) in events.chunks(size).enumerate() {
                let more = number + 1 < count;
                messages.push(json!({"header": self.header(at), "watch_id": id, "fragment": more, "events": events}));
            }
            if connection.lag.is_some() {
                messages.push(json!({"header": self.header(at), "watch_id": id}));
                messages
                    .push(json!({"header": self.header(self.revision + 1000), "watch_id": "-1"}));
            }
        }
        let mut lines: Vec<String> = messages
            .iter()
            .map(|message| json!({"result": message}).to_string())
            .collect();
        for (number, line) in lines.iter_mut().enumerate() {
            line.push_str(["\n", "", "\n\n"][number % 3]);
        }
        lines
    }

    fn keep_alive(&mut self, body: &[u8], now: Duration) -> Vec<String> {
        let ids: Vec<i64> = Deserializer::from_slice(body)
            .into_iter()
            .map(|ask: Result<Value, _>| ask.unwrap()["ID"].as_str().unwrap().parse().unwrap())
            .collect();
        self.renewals.push(ids.len());
        let header = self.header(self.revision);
        let renew = |id: i64| {
            let lease = self.leases.get_mut(&id).filter(|(_, end)| *end > now);
            let ttl = lease.map(|(ttl, end)| {
                *end = now + *ttl;
                ttl.as_secs().to_string()
            });
            let mut answer = json!({"result": {"header": header, "ID": id.to_string()}});
            if let Some(ttl) = ttl {
                answer["result"]["TTL"] = ttl.into();
            }
            format!("{answer}\n")
        };
        ids.into_iter().map(renew).collect()
    }
}

fn event(key: &str, revision: i64) -> Value {
    let revision = revision.to_string();
    json!({"kv": {"key": base64(key), "create_revision": revision, "mod_revision": revision, "version": "1", "value": "fX17Ig=="}})
}

/// Returns a client with one endpoint.
pub(crate) fn client(store: Store) -> Client<Store> {
    Client::new(store, ["http://a"]).unwrap()
}

/// Returns a client with two endpoints.
pub(crate) fn clients(store: Store) -> Client<Store> {
    Client::new(store, ["http://a", "http://b"]).unwrap()
}

/// The first `count` items of a stream.
pub(crate) fn items<O: StreamOperation>(
    client: &Client<Store>,
    operation: O,
    count: usize,
) -> Vec<Result<O::Item, Error>> {
    let items = client.open(operation).take(count).collect::<Vec<_>>();
    client.transport().clock.run(items)
}

pub(crate) fn base64(text: &str) -> String {
    BASE64_STANDARD.encode(text)
}

impl Store {
    /// A store at this revision, with an empty history.
    pub(crate) fn at(revision: i64) -> Self {
        Self {
            clock: VirtualClock::new(),
            state: Mutex::new(State {
                cluster: 7,
                revision,
                ..State::default()
            }),
        }
    }

    pub(crate) fn with(self, change: impl FnOnce(&mut State)) -> Self {
        change(&mut self.state.lock().unwrap());
        self
    }

    pub(crate) fn seen(&self) -> Vec<String> {
        self.state.lock().unwrap().seen.clone()
    }

    fn answer(&self, path: &str, body: &[u8]) -> (Connection, Vec<String>) {
        let mut state = self.state.lock().unwrap();
        let now = self.clock.elapsed();
        let whole = |body: Value| {
            let connection = Connection {
                ends: true,
                ..Connection::default()
            };
            (connection, vec![body.to_string()])
        };
        if let Some(mute) = state.mute.get_mut(path).filter(|mute| **mute > 0) {
            *mute -= 1;
            let silent = Connection {
                silent: true,
                ..Connection::default()
            };
            return (silent, vec![]);
        }
        match path {
            "/v3/kv/range" => {
                let found = state.range(body);
                if let Some(after_read) = state.after_read.take() {
                    after_read(&mut state);
                }
                whole(found)
            }
            "/v3/maintenance/status" if state.failing_status > 0 => {
                state.failing_status -= 1;
                (
                    Connection {
                        silent: true,
                        ..Connection::default()
                    },
                    vec![],
                )
            }
            "/v3/maintenance/status" => whole(json!({"header": state.header(state.revision)})),
            "/v3/lease/grant" => {
                let ask: Value = serde_json::from_slice(body).unwrap();
                let id: i64 = ask["ID"].as_str().map_or(1, |id| id.parse().unwrap());
                let ttl: u64 = ask["TTL"].as_str().unwrap().parse().unwrap();
                let ttl = Duration::from_secs(ttl);
                state.leases.insert(id, (ttl, now + ttl));
                whole(
                    json!({"header": state.header(state.revision), "ID": id.to_string(), "TTL": ttl.as_secs().to_string()}),
                )
            }
            "/v3/auth/authenticate" => whole(
                json!({"header": state.header(state.revision), "token": format!("token.{}", state.seen.len())}),
            ),
            "/v3/lease/revoke" => {
                let ask: Value = serde_json::from_slice(body).unwrap();
                state
                    .leases
                    .remove(&ask["ID"].as_str().unwrap().parse().unwrap());
                whole(json!({"header": state.header(state.revision)}))
            }
            _ => {
                let connection = state.connections.pop_front().unwrap_or_default();
                let ours = connection.cluster.map(|other| {
                    let leases = std::mem::take(&mut state.leases);
                    (std::mem::replace(&mut state.cluster, other), leases)
                });
                let messages = match path {
                    _ if connection.silent || connection.refused || connection.answer.is_some() => {
                        vec![]
                    }
                    "/v3/watch" => state.watch(body, &connection),
                    "/v3/lease/keepalive" => state.keep_alive(body, now),
                    "/v3/election/observe" | "/v3/maintenance/snapshot" => {
                        let messages = state.messages.iter();
                        messages
                            .map(|message| json!({"result": message}).to_string())
                            .collect()
                    }
                    other => panic!("no response to {other}"),
                };
                if let Some((cluster, leases)) = ours {
                    (state.cluster, state.leases) = (cluster, leases);
                }
                let ends =
                    connection.ends || path == "/v3/lease/keepalive" && connection.cut.is_none();
                let connection = Connection { ends, ..connection };
                if let Some(then) = connection.then {
                    then(&mut state);
                }
                (connection, messages)
            }
        }
    }
}

#[async_trait]
impl Transport for Store {
    async fn send(&self, request: Request) -> Result<Response, TransportError> {
        without_grpc(&request)?;
        let streams = [
            "/v3/watch",
            "/v3/lease/keepalive",
            "/v3/election/observe",
            "/v3/maintenance/snapshot",
            "/v3/lock/lock",
            "/v3/election/campaign",
        ];
        let (head, body) = request.into_parts();
        let path = head.uri.path();
        assert_eq!(head.method, Method::POST);
        if head.extensions.get::<IdleLimit>().is_some() {
            assert!(streams.contains(&path), "{path} is no stream");
        }
        if path == "/v3/watch" {
            assert!(head.extensions.get::<IdleLimit>().is_some());
            assert_eq!(head.headers["grpc-metadata-hasleader"], "true");
        }
        let body = body.try_into_bytes().expect("a whole body");
        let line = format!(
            "{}{path} {}",
            head.uri.host().unwrap(),
            String::from_utf8_lossy(&body)
        );
        self.state.lock().unwrap().seen.push(line);
        let (connection, messages) = self.answer(path, &body);
        if connection.refused {
            return Err(TransportError::connect("connection refused"));
        }
        if connection.silent {
            pending::<()>().await;
        }
        let (status, bytes) = match connection.answer {
            Some((status, body)) => (status, body.into_bytes()),
            None => (200, messages.concat().into_bytes()),
        };
        let end = connection.cut.unwrap_or(bytes.len()).min(bytes.len());
        let chunk = connection.chunk.unwrap_or(usize::MAX).min(end.max(1));
        let chunks = bytes[..end].chunks(chunk).map(Bytes::copy_from_slice);
        let mut chunks = chunks.collect::<VecDeque<_>>();
        let (cut, ends) = (connection.cut.is_some(), connection.ends || status != 200);
        let mut response = Response::new(Body::poll_fn(move |_| match chunks.pop_front() {
            Some(chunk) => Poll::Ready(Some(Ok(Frame::data(chunk)))),
            None if cut => Poll::Ready(Some(Err(TransportError::interrupted("reset")))),
            None if ends => Poll::Ready(None),
            None => Poll::Pending,
        }));
        *response.status_mut() = status.try_into().unwrap();
        Ok(response)
    }

    async fn sleep(&self, duration: Duration) {
        self.clock.sleep(duration).await;
    }

    fn now(&self) -> Instant {
        self.clock.now()
    }
}
