//! What the tests of the fake and of its program share: they send the same requests to the fake and to real servers, and
//! compare the responses byte for byte.
//!
//! - A test of a rule is a function of a [`Subject`]; [`rules!`] makes a test of it for the fake and for each real server.
//! - [`differential`] takes random histories on a [`pair`] of a real server and a fake, and [shrinks](shrink) those that
//!   show a difference.
//! - [`raw`] is HTTP/1.1 by hand, [`http2`] gRPC by hand.
//!
//! Nothing here is the client's: what both would get wrong would not be noticed.

pub mod differential;
pub mod http2;
pub mod pair;
pub mod random;
pub mod raw;
pub mod real;
pub mod rules;
pub mod shrink;

use std::{
    fmt::{self, Write as _},
    future::Future,
    pin::Pin,
    task::{Context, Poll, Waker},
    time::{Duration, Instant},
};

use etcd_http_fake::FakeEtcd;
use etcd_transport::{Body, Transport, http};
use futures::{FutureExt, executor::block_on};

/// A number from the environment.
pub fn number(name: &str, default: u64) -> u64 {
    let value = std::env::var(name).ok();
    value.map_or(default, |value| {
        value.parse().unwrap_or_else(|_| panic!("{name}={value}"))
    })
}

/// A request as it travels.
#[derive(Clone, PartialEq, Eq)]
pub struct Request {
    /// Such as `PUT`.
    pub method: String,
    /// Path and query, encoded.
    pub target: String,
    /// Names and values, in order.
    pub headers: Vec<(String, String)>,
    /// Empty for none.
    pub body: Vec<u8>,
}

impl Request {
    /// A request without headers and body.
    pub fn new(method: &str, target: &str) -> Self {
        Self {
            method: method.to_owned(),
            target: target.to_owned(),
            headers: Vec::new(),
            body: Vec::new(),
        }
    }

    /// Adds a header.
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Sets the body to a form.
    pub fn form(mut self, form: &str) -> Self {
        self.body = form.as_bytes().to_vec();
        self.header("Content-Type", "application/x-www-form-urlencoded")
    }

    /// Sets the body to this JSON.
    pub fn json(mut self, json: &str) -> Self {
        self.body = json.as_bytes().to_vec();
        self.header("Content-Type", "application/json")
    }

    /// Adds credentials.
    pub fn basic(self, user: &str, password: &str) -> Self {
        use base64::{Engine, engine::general_purpose::STANDARD};
        let credentials = STANDARD.encode(format!("{user}:{password}"));
        self.header("Authorization", &format!("Basic {credentials}"))
    }
}

impl fmt::Debug for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.method, self.target)?;
        for (name, value) in &self.headers {
            write!(f, " | {name}: {value}")?;
        }
        if !self.body.is_empty() {
            write!(f, " | {}", self.body.escape_ascii())?;
        }
        Ok(())
    }
}

/// The prefix of a trailer among the headers of a response.
pub const TRAILER: &str = "trailing ";

/// A response: header names in lower case, sorted; then the trailers.
#[derive(Clone, PartialEq, Eq)]
pub struct Response {
    /// The status of HTTP.
    pub status: u16,
    /// Names and values.
    pub headers: Vec<(String, String)>,
    /// The whole body.
    pub body: Vec<u8>,
}

impl Response {
    /// The first header of this name, which is in lower case.
    pub fn header(&self, name: &str) -> Option<&str> {
        let found = self.headers.iter().find(|(other, _)| other == name);
        found.map(|(_, value)| value.as_str())
    }

    /// The body as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The header `X-Etcd-Index`.
    pub fn index(&self) -> u64 {
        self.header("x-etcd-index").unwrap().parse().unwrap()
    }

    /// The body as JSON.
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|_| panic!("no JSON: {}", self.text()))
    }
}

impl fmt::Debug for Response {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = format!("{}", self.status);
        for (name, value) in &self.headers {
            if !name.starts_with("access-control") {
                let _ = write!(text, " | {name}: {value}");
            }
        }
        write!(
            f,
            "{text} | {}",
            String::from_utf8_lossy(&self.body).trim_end()
        )
    }
}

/// A watch whose head has arrived.
pub trait Watching {
    /// The next line, waiting for it as long as a real server may need; `None` at the clean end of the body.
    fn line(&mut self) -> Option<String>;
    /// Whether nothing is there to be read, after a moment.
    fn is_silent(&mut self) -> bool;
}

/// The fake or a real server.
pub trait Subject {
    /// Sends a request; returns its whole response.
    fn ask(&mut self, request: &Request) -> Response;
    /// Sends a request whose body goes on; returns its head as soon as that is there.
    fn watch(&mut self, request: &Request) -> (Response, Box<dyn Watching>);
    /// Lets time pass, real or not.
    fn pass(&mut self, duration: Duration);
    /// The present time, real or not.
    fn now(&self) -> Instant {
        Instant::now()
    }
    /// The name of the server, for messages.
    fn name(&self) -> String;
    /// Whether it behaves as etcd 3.4 does.
    fn is_3_4(&self) -> bool {
        self.name().contains("V3_4")
    }
    /// The value of a metric of a real server.
    fn metric(&mut self, _name: &str) -> Option<String> {
        None
    }
}

/// The fake as a subject.
pub struct Fake(pub FakeEtcd);

struct FakeWatch {
    body: Body,
    /// What was read ahead: a line, or the end.
    next: Option<Option<String>>,
}

impl Fake {
    fn send(&self, request: &Request) -> http::Response<Body> {
        let uri = format!("http://localhost:2379{}", request.target);
        let mut http = http::Request::builder().method(&*request.method).uri(uri);
        for (name, value) in &request.headers {
            http = http.header(name, value);
        }
        let http = http.body(request.body.clone().into()).unwrap();
        let mut sent = self.0.send(http);
        // Where etcd waits, time passes.
        loop {
            if let Some(response) = (&mut sent).now_or_never() {
                return response.unwrap();
            }
            let passed = self.0.advance_to_next();
            assert!(passed.is_some(), "{request:?} gets no response");
        }
    }
}

fn reply(status: u16, headers: &http::HeaderMap, body: Vec<u8>) -> Response {
    let headers = headers.iter().map(|(name, value)| {
        let value = String::from_utf8_lossy(value.as_bytes()).into_owned();
        (name.as_str().to_owned(), value)
    });
    let mut headers: Vec<_> = headers.collect();
    headers.sort();
    Response {
        status,
        headers,
        body,
    }
}

impl Subject for Fake {
    fn ask(&mut self, request: &Request) -> Response {
        let (head, mut body) = self.send(request).into_parts();
        let mut reply = reply(head.status.as_u16(), &head.headers, Vec::new());
        while let Some(frame) = block_on(body.frame()) {
            match frame.unwrap().into_data() {
                Ok(data) => reply.body.extend_from_slice(&data),
                Err(frame) => {
                    let trailers = frame.into_trailers().unwrap();
                    reply.headers.extend(trailers.iter().map(|(name, value)| {
                        let value = value.to_str().unwrap().to_owned();
                        (format!("{TRAILER}{name}"), value)
                    }));
                }
            }
        }
        reply
    }

    fn watch(&mut self, request: &Request) -> (Response, Box<dyn Watching>) {
        let (head, body) = self.send(request).into_parts();
        let reply = reply(head.status.as_u16(), &head.headers, Vec::new());
        (reply, Box::new(FakeWatch { body, next: None }))
    }

    fn pass(&mut self, duration: Duration) {
        self.0.advance(duration);
    }

    fn now(&self) -> Instant {
        Transport::now(&self.0)
    }

    fn name(&self) -> String {
        format!("{:?}", self.0)
    }
}

impl Watching for FakeWatch {
    fn line(&mut self) -> Option<String> {
        assert!(!self.is_silent(), "the watch is silent");
        self.next.take().flatten()
    }

    fn is_silent(&mut self) -> bool {
        if self.next.is_some() {
            return false;
        }
        let mut context = Context::from_waker(Waker::noop());
        let mut frame = std::pin::pin!(self.body.frame());
        let Poll::Ready(frame) = Pin::new(&mut frame).poll(&mut context) else {
            return true;
        };
        let line = frame.map(|frame| frame.unwrap().into_data().unwrap());
        self.next = Some(line.map(|line| String::from_utf8(line.to_vec()).unwrap()));
        false
    }
}
