use std::{
    collections::VecDeque,
    fmt::{self, Write as _},
    sync::Arc,
    time::Duration,
};

use bytes::{Bytes, BytesMut};
use etcd_transport::TransportErrorKind;
use http::{HeaderMap, Method, Uri, header, uri::PathAndQuery};

use super::json_fields;
use crate::go::form::{self, Form};

/// A request to the fake, decoded, and its outcome.
///
/// `Debug` and `Display` write one line: method, path, parameters, outcome. They show neither credentials nor what is
/// sent to `/v2/auth`, nor passwords sent to `/v3/auth`.
#[derive(Clone)]
pub struct Exchange {
    pub(crate) at: u64,
    pub(crate) endpoint: usize,
    method: Method,
    /// The path and the query.
    target: Bytes,
    content_type: Bytes,
    has_credentials: bool,
    body: Bytes,
    /// Turns the body, a message of protobuf, into JSON.
    to_json: Option<ToJson>,
    outcome: Outcome,
    /// When it got its outcome.
    ended: Option<u64>,
    /// What was done to it, if that has a name.
    fault: Option<Arc<str>>,
}

/// Turns a message of protobuf into JSON.
pub(crate) type ToJson = fn(&[u8]) -> Vec<u8>;

/// The outcome of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Outcome {
    /// No response yet.
    Waiting,
    /// A response with this status. The body of a watch may still be open.
    Answered(u16),
    /// No response; the caller got this error.
    Failed(TransportErrorKind),
    /// The caller gave up before the response arrived.
    Dropped,
}

impl Exchange {
    /// A request that has just arrived.
    pub(crate) fn new(
        method: &Method,
        uri: &Uri,
        headers: &HeaderMap,
        body: &Bytes,
        texts: &mut Texts,
    ) -> Self {
        // One pass over the few headers is faster than lookups by name, which hash.
        let has_credentials = headers.keys().any(|name| {
            matches!(
                name.as_str(),
                "authorization" | "grpc-metadata-token" | "grpc-metadata-authorization" | "token"
            )
        });
        Self {
            at: 0,
            endpoint: 0,
            method: method.clone(),
            target: texts.copy(
                uri.path_and_query()
                    .map_or("/", PathAndQuery::as_str)
                    .as_bytes(),
            ),
            content_type: headers
                .get(header::CONTENT_TYPE)
                .map_or_else(Bytes::new, |value| texts.copy(value.as_bytes())),
            has_credentials,
            body: texts.keep(body),
            to_json: None,
            outcome: Outcome::Waiting,
            ended: None,
            fault: None,
        }
    }

    /// The same request, whose body is a message that this turns into JSON.
    pub(crate) fn with_message(mut self, to_json: Option<ToJson>) -> Self {
        self.to_json = to_json;
        self
    }

    /// When the request was made, by the fake's clock, counted from the start of the fake.
    pub fn at(&self) -> Duration {
        Duration::from_nanos(self.at)
    }

    /// The endpoint that it was sent to.
    pub fn endpoint(&self) -> usize {
        self.endpoint
    }

    /// The method.
    pub fn method(&self) -> &str {
        self.method.as_str()
    }

    /// The path, percent-decoded. A path with an invalid escape is returned as sent.
    pub fn path(&self) -> String {
        let (path, _) = self.path_and_query();
        let decoded = form::unescape(path, false).unwrap_or(path.into());
        String::from_utf8_lossy(&decoded).into_owned()
    }

    /// The path and the query as they were sent.
    pub fn target(&self) -> &str {
        std::str::from_utf8(&self.target).unwrap_or("/")
    }

    fn path_and_query(&self) -> (&[u8], &[u8]) {
        let mut parts = self.target.splitn(2, |&byte| byte == b'?');
        let mut part = || parts.next().unwrap_or_default();
        match (part(), part()) {
            (b"", query) => (b"/", query),
            both => both,
        }
    }

    /// The parameters in the order in which etcd reads them: those of the form, then those of the query.
    ///
    /// Those of a v3 call are the fields of its messages, with bytes as text: `key`, or in a transaction
    /// `success.0.request_put.key`. Passwords and tokens are not shown.
    pub fn parameters(&self) -> Vec<(String, String)> {
        let path = self.path();
        if let Some(to_json) = self.to_json {
            return json_fields::fields(&path, &to_json(&self.body));
        }
        if path.starts_with("/v3/") || path.starts_with("/v3beta/") {
            return json_fields::fields(&path, &self.body);
        }
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let pairs = self.form().map(|form| {
            let pairs = form.pairs().iter();
            pairs
                .map(|(name, value)| (text(name), text(value)))
                .collect()
        });
        pairs.unwrap_or_default()
    }

    /// The first value of a parameter.
    pub fn parameter(&self, name: &str) -> Option<String> {
        let mut parameters = self.parameters().into_iter();
        let found = parameters.find(|(other, _)| other == name);
        found.map(|(_, value)| value)
    }

    /// Whether it has an `Authorization` header, or a token in the metadata of v3.
    pub fn has_credentials(&self) -> bool {
        self.has_credentials
    }

    /// The body as it was sent.
    pub fn body(&self) -> &Bytes {
        &self.body
    }

    /// The outcome.
    pub fn outcome(&self) -> Outcome {
        self.outcome
    }

    /// When it got its outcome, by the fake's clock; `None` while it waits.
    pub fn ended_at(&self) -> Option<Duration> {
        self.ended.map(Duration::from_nanos)
    }

    /// The name of the fault that it met.
    pub(crate) fn fault(&self) -> Option<&str> {
        self.fault.as_deref()
    }

    pub(super) fn set_fault(&mut self, name: Option<Arc<str>>) {
        self.fault = name;
    }

    /// The request on one line: `PUT /v2/keys/a ttl=5 value=x`, or `POST /v3/kv/put key=a value=x`, parameters sorted by name.
    pub fn line(&self) -> String {
        let mut line = format!("{} {}", self.method, self.path());
        let mut parameters = self.parameters();
        parameters.sort();
        for (name, value) in parameters {
            let _ = write!(line, " {name}={value}");
        }
        line
    }

    fn form(&self) -> Option<Form<'_>> {
        // Bodies sent to auth are JSON with passwords.
        let is_secret = self.path().starts_with("/v2/auth");
        let has_form = matches!(self.method, Method::PUT | Method::POST) && !is_secret;
        let (_, query) = self.path_and_query();
        let body = has_form.then_some((&self.content_type[..], &self.body[..]));
        Form::parse(query, body).ok()
    }
}

impl fmt::Display for Exchange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:>12?} {}", self.at(), Summary(self))
    }
}

/// The request and its outcome, without the time.
pub(crate) struct Summary<'a>(pub(crate) &'a Exchange);

impl fmt::Display for Summary<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let exchange = self.0;
        write!(f, "#{} {}", exchange.endpoint, exchange.line())?;
        match exchange.outcome {
            Outcome::Waiting => f.write_str(" … no response yet"),
            Outcome::Answered(status) => write!(f, " → {status}"),
            Outcome::Failed(kind) => write!(f, " → no response: {kind:?}"),
            Outcome::Dropped => f.write_str(" → dropped by the caller"),
        }
    }
}

impl fmt::Debug for Exchange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// The memory for what the log keeps of requests: one block for many of them, in the order in which they are forgotten.
///
/// To keep the memory of each request instead would have the next ones use memory that no cache knows.
#[derive(Debug, Default)]
pub(crate) struct Texts(BytesMut);

impl Texts {
    const BLOCK: usize = 16 << 10;

    /// Larger bodies are shared with the caller.
    const MAX_COPY: usize = 1 << 10;

    fn copy(&mut self, bytes: &[u8]) -> Bytes {
        if bytes.is_empty() {
            return Bytes::new();
        }
        if self.0.capacity() < bytes.len() {
            self.0 = BytesMut::with_capacity(Self::BLOCK.max(bytes.len()));
        }
        self.0.extend_from_slice(bytes);
        self.0.split().freeze()
    }

    fn keep(&mut self, body: &Bytes) -> Bytes {
        if body.len() > Self::MAX_COPY {
            return body.clone();
        }
        self.copy(body)
    }
}

/// The latest requests.
#[derive(Debug)]
pub(crate) struct RequestLog {
    exchanges: VecDeque<Exchange>,
    capacity: usize,
    /// The number of the first request in the log.
    first: u64,
    pub(crate) texts: Texts,
}

impl RequestLog {
    pub(crate) fn new(capacity: usize) -> Self {
        Self {
            exchanges: VecDeque::new(),
            capacity,
            first: 0,
            texts: Texts::default(),
        }
    }

    pub(crate) fn exchanges(&self) -> impl Iterator<Item = &Exchange> {
        self.exchanges.iter()
    }

    pub(crate) fn clear(&mut self) {
        self.first += self.exchanges.len() as u64;
        self.exchanges.clear();
    }

    pub(crate) fn capacity(&self) -> usize {
        self.capacity
    }

    /// Returns whether it keeps any requests.
    pub(crate) fn is_kept(&self) -> bool {
        self.capacity > 0
    }

    /// Adds a request, or counts it if nothing is kept; returns its number.
    pub(crate) fn add(&mut self, exchange: Option<Exchange>) -> u64 {
        let number = self.first + self.exchanges.len() as u64;
        let Some(exchange) = exchange.filter(|_| self.is_kept()) else {
            self.first += 1;
            return number;
        };
        if self.exchanges.len() == self.capacity {
            self.exchanges.pop_front();
            self.first += 1;
        }
        self.exchanges.push_back(exchange);
        number
    }

    /// Sets the outcome of a request, and when it got it.
    pub(crate) fn set_outcome(&mut self, number: u64, outcome: Outcome, at: u64) {
        let position = number.checked_sub(self.first);
        let position = position.and_then(|position| usize::try_from(position).ok());
        if let Some(exchange) = position.and_then(|position| self.exchanges.get_mut(position)) {
            exchange.outcome = outcome;
            exchange.ended = Some(at);
        }
    }
}
