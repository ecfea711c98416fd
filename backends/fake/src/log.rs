use std::{
    collections::VecDeque,
    fmt::{self, Write as _},
    time::Duration,
};

use bytes::Bytes;
use etcd_transport::TransportErrorKind;
use http::{Method, Uri, header};

use crate::{
    FakeEtcd, When,
    wire::form::{self, Form},
};

/// A request that was made of the fake, decoded, and what came of it.
///
/// Its `Debug` and `Display` are one line: method, path, parameters, outcome. Credentials and what is sent to
/// `/v2/auth` are not shown.
#[derive(Clone)]
pub struct Exchange {
    pub(crate) at: u64,
    pub(crate) endpoint: usize,
    pub(crate) method: Method,
    pub(crate) uri: Uri,
    pub(crate) content_type: Option<http::HeaderValue>,
    pub(crate) has_credentials: bool,
    pub(crate) body: Bytes,
    pub(crate) outcome: Outcome,
}

/// What came of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Outcome {
    /// Nothing yet.
    Waiting,
    /// The head of an answer with this status; for a watch the body may still be open.
    Answered(u16),
    /// No answer, and what the caller was told of it.
    Failed(TransportErrorKind),
    /// The caller gave up before there was an answer.
    Dropped,
}

impl Exchange {
    /// When it was made, counted from the making of the fake, by its clock.
    pub fn at(&self) -> Duration {
        Duration::from_nanos(self.at)
    }

    /// The endpoint it was sent to.
    pub fn endpoint(&self) -> usize {
        self.endpoint
    }

    /// The method.
    pub fn method(&self) -> &str {
        self.method.as_str()
    }

    /// The path, percent-decoded; as it stands where that cannot be.
    pub fn path(&self) -> String {
        let path = self.uri.path().as_bytes();
        let decoded = form::unescape(path, false).unwrap_or_else(|_| path.to_vec());
        String::from_utf8_lossy(&decoded).into_owned()
    }

    /// The path and the query as they were sent.
    pub fn target(&self) -> &str {
        self.uri
            .path_and_query()
            .map_or("/", |target| target.as_str())
    }

    /// The parameters in the order in which etcd looks at them: the form's, then the query's.
    pub fn parameters(&self) -> Vec<(String, String)> {
        let text = |bytes: &Vec<u8>| String::from_utf8_lossy(bytes).into_owned();
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

    /// Whether it carried an `Authorization` header.
    pub fn has_credentials(&self) -> bool {
        self.has_credentials
    }

    /// The body as it was sent.
    pub fn body(&self) -> &Bytes {
        &self.body
    }

    /// What came of it.
    pub fn outcome(&self) -> Outcome {
        self.outcome
    }

    /// The request on one line: `PUT /v2/keys/a ttl=5 value=x`, parameters sorted by name.
    pub fn line(&self) -> String {
        let mut line = format!("{} {}", self.method, self.path());
        let mut parameters = self.parameters();
        parameters.sort();
        for (name, value) in parameters {
            let _ = write!(line, " {name}={value}");
        }
        line
    }

    fn form(&self) -> Option<Form> {
        // What is sent to auth is JSON, and holds passwords.
        let is_secret = self.path().starts_with("/v2/auth");
        let has_form = matches!(self.method, Method::PUT | Method::POST) && !is_secret;
        let content_type = self.content_type.as_ref();
        let content_type = content_type.map_or(&b""[..], |value| value.as_bytes());
        let query = self.uri.query().unwrap_or_default().as_bytes();
        let body = has_form.then_some((content_type, &self.body[..]));
        Form::parse(query, body).ok()
    }
}

impl fmt::Display for Exchange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:>12?} #{} {}", self.at(), self.endpoint, self.line())?;
        match self.outcome {
            Outcome::Waiting => f.write_str(" … no answer yet"),
            Outcome::Answered(status) => write!(f, " → {status}"),
            Outcome::Failed(kind) => write!(f, " → no answer: {kind:?}"),
            Outcome::Dropped => f.write_str(" → dropped by the caller"),
        }
    }
}

impl fmt::Debug for Exchange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// The latest requests.
#[derive(Debug)]
pub(crate) struct Log {
    exchanges: VecDeque<Exchange>,
    capacity: usize,
    /// The number of the first that is kept.
    first: u64,
}

impl Log {
    pub(crate) fn new(capacity: usize) -> Self {
        Self {
            exchanges: VecDeque::new(),
            capacity,
            first: 0,
        }
    }

    pub(crate) fn capacity(&self) -> usize {
        self.capacity
    }

    /// Notes a request; returns its number.
    pub(crate) fn add(&mut self, exchange: Exchange) -> u64 {
        let number = self.first + self.exchanges.len() as u64;
        if self.capacity == 0 {
            self.first += 1;
            return number;
        }
        if self.exchanges.len() == self.capacity {
            self.exchanges.pop_front();
            self.first += 1;
        }
        self.exchanges.push_back(exchange);
        number
    }

    /// Notes what came of a request.
    pub(crate) fn conclude(&mut self, number: u64, outcome: Outcome) {
        let place = number.checked_sub(self.first);
        let place = place.and_then(|place| usize::try_from(place).ok());
        if let Some(exchange) = place.and_then(|place| self.exchanges.get_mut(place)) {
            exchange.outcome = outcome;
        }
    }
}

/// Whether a request has credentials, for the log: never what they are.
pub(crate) fn has_credentials(headers: &http::HeaderMap) -> bool {
    headers.contains_key(header::AUTHORIZATION)
}

/// Looking at what was asked.
impl FakeEtcd {
    /// The latest requests, the oldest first: 10,000 unless the builder says otherwise.
    pub fn log(&self) -> Vec<Exchange> {
        self.shared
            .with(|core| core.log.exchanges.iter().cloned().collect())
    }

    /// The latest requests, each on a line like `PUT /v2/keys/a value=x`.
    pub fn lines(&self) -> Vec<String> {
        self.log().iter().map(Exchange::line).collect()
    }

    /// Forgets the requests made so far.
    pub fn clear_log(&self) {
        self.shared.with(|core| {
            core.log.first += core.log.exchanges.len() as u64;
            core.log.exchanges.clear();
        });
    }

    /// How many of the latest requests match.
    pub fn count(&self, when: &When) -> usize {
        let log = self.log();
        log.iter().filter(|exchange| when.matches(exchange)).count()
    }

    /// Asserts that exactly these requests were made, in this order, each given as by [`lines`](Self::lines).
    ///
    /// # Panics
    /// With both lists, and where they part, when they differ.
    #[track_caller]
    pub fn assert_lines(&self, expected: &[&str]) {
        let lines = self.lines();
        let agree = lines.iter().zip(expected).take_while(|(a, b)| a == b);
        let agreed = agree.count();
        if agreed == lines.len() && agreed == expected.len() {
            return;
        }
        let mut message = format!("the requests differ from number {agreed} on\n");
        for (title, list) in [
            (
                "expected",
                expected.iter().map(|l| (*l).to_owned()).collect(),
            ),
            ("made", lines),
        ] {
            let _ = writeln!(message, "{title}:");
            for (place, line) in list.iter().enumerate() {
                let mark = if place == agreed { '>' } else { ' ' };
                let _ = writeln!(message, " {mark} {place:>3} {line}");
            }
        }
        panic!("{message}");
    }

    /// Asserts how many of the latest requests match.
    ///
    /// # Panics
    /// With the whole log when it is another number.
    #[track_caller]
    pub fn assert_count(&self, when: &When, expected: usize) {
        let count = self.count(when);
        assert_eq!(
            count,
            expected,
            "requests that match {when:?}\n{}",
            self.log_text()
        );
    }

    /// The log as text, a request on each line.
    pub fn log_text(&self) -> String {
        let log = self.log();
        log.iter().fold(String::new(), |mut text, exchange| {
            let _ = writeln!(text, "{exchange}");
            text
        })
    }

    /// How many watches are being fed.
    pub fn open_watches(&self) -> usize {
        self.shared.with(|core| {
            let live = core.server.stores().map(|store| store.hub.live());
            live.sum::<u64>() as usize
        })
    }

    /// How many exchanges have not ended: those without a head, and watches whose body is held.
    pub fn open_exchanges(&self) -> usize {
        self.shared.with(|core| core.waiting + core.watches.len())
    }

    /// How many of this fake's sleeps wait for its clock.
    pub fn sleeping(&self) -> usize {
        self.shared.with(|core| core.time.sleeping())
    }
}
