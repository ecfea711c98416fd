//! A transport that plays a script, and responses for it.

use std::{
    collections::VecDeque,
    future::pending,
    sync::{
        Mutex,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    task::Poll,
    time::{Duration, Instant},
};

use etcd_http::transport::{
    Body, IdleLimit, LongLived, Request, Response, Transport, TransportError, async_trait,
    bytes::Bytes,
    http::header::{AUTHORIZATION, CONTENT_TYPE},
    http_body::Frame,
};

use crate::clock::LONGEST;

/// A transport that plays a script: one step for each request, in order.
///
/// Its clock moves when something sleeps, and only then: a sleep of an hour takes no time. A test that sleeps forever
/// panics.
#[derive(Debug)]
pub struct ScriptedTransport {
    steps: Mutex<VecDeque<Step>>,
    seen: Mutex<Vec<String>>,
    epoch: Instant,
    slept: Mutex<Vec<Duration>>,
    halted: AtomicBool,
    has_grpc: bool,
}

/// The fate of one request.
#[derive(Debug)]
pub enum Step {
    /// A response: status, headers, body.
    Respond(u16, Vec<(&'static str, String)>, Ending),
    /// No connection.
    Refuse,
    /// The connection is reset before a response.
    Break,
    /// The server says that it has not processed the request.
    Unprocessed,
    /// The transport rejects the request.
    Reject,
    /// No response, and no error.
    Silence,
    /// As [`Silence`](Self::Silence), and time stands still until the next request.
    Halt,
}

impl Step {
    /// Responds, or fails, as the step says.
    pub async fn play(self) -> Result<Response, TransportError> {
        match self {
            Self::Respond(status, headers, ending) => {
                let mut response = Response::new(match ending {
                    Ending::Whole(body) => body.into(),
                    Ending::Cut(start) => Body::from_frames([
                        Ok(Frame::data(Bytes::from_static(start.as_bytes()))),
                        Err(TransportError::interrupted("reset")),
                    ]),
                    Ending::Open => Body::poll_fn(|_| Poll::Pending),
                });
                *response.status_mut() = status.try_into().unwrap();
                for (name, value) in headers {
                    response.headers_mut().append(name, value.parse().unwrap());
                }
                Ok(response)
            }
            Self::Refuse => Err(TransportError::connect("connection refused")),
            Self::Break => Err(TransportError::interrupted("connection reset")),
            Self::Unprocessed => Err(TransportError::unprocessed("GOAWAY")),
            Self::Reject => Err(TransportError::rejected("no such scheme")),
            Self::Silence | Self::Halt => pending().await,
        }
    }
}

/// More sleeps than any script needs.
const SLEEPS: usize = 10_000;

/// The body of a response.
#[derive(Debug)]
pub enum Ending {
    /// A complete body.
    Whole(String),
    /// The beginning of a body; then the connection is reset.
    Cut(&'static str),
    /// No data, and no end.
    Open,
}

impl ScriptedTransport {
    /// A transport that plays these steps.
    pub fn new(steps: impl IntoIterator<Item = Step>) -> Self {
        Self {
            steps: Mutex::new(steps.into_iter().collect()),
            seen: Mutex::default(),
            epoch: Instant::now(),
            slept: Mutex::default(),
            halted: AtomicBool::new(false),
            has_grpc: false,
        }
    }

    /// Plays its steps for gRPC, too. Otherwise it [has none](without_grpc).
    #[must_use]
    pub fn with_grpc(self) -> Self {
        Self {
            has_grpc: true,
            ..self
        }
    }

    /// The requests so far, such as `GET a/v2/keys/x`, with ` auth` behind those that had credentials.
    pub fn seen(&self) -> Vec<String> {
        self.seen.lock().unwrap().clone()
    }

    /// How long the client has slept in total.
    pub fn elapsed(&self) -> Duration {
        self.slept.lock().unwrap().iter().sum()
    }

    /// Each sleep.
    pub fn sleeps(&self) -> Vec<Duration> {
        self.slept.lock().unwrap().clone()
    }
}

#[async_trait]
impl Transport for ScriptedTransport {
    async fn send(&self, request: Request) -> Result<Response, TransportError> {
        if !self.has_grpc {
            without_grpc(&request)?;
        }
        let auth = match request.headers().get(AUTHORIZATION) {
            Some(_) => " auth",
            None => "",
        };
        let uri = request.uri();
        let host = uri.authority().unwrap().host();
        let target = uri.path_and_query().unwrap();
        let line = format!("{} {host}{target}{auth}", request.method());
        self.seen.lock().unwrap().push(line.clone());
        let waits = ["wait=true", "/v3/lock/lock", "/v3/election/campaign"];
        let is_waiting = waits.iter().any(|part| target.as_str().contains(part));
        let extensions = request.extensions();
        assert_eq!(extensions.get::<IdleLimit>().is_some(), is_waiting);
        assert_eq!(extensions.get::<LongLived>().is_some(), is_waiting);
        let step = self.steps.lock().unwrap().pop_front();
        self.halted.store(matches!(step, Some(Step::Halt)), Relaxed);
        let step = step.unwrap_or_else(|| panic!("no step left for {line}"));
        step.play().await
    }

    async fn sleep(&self, duration: Duration) {
        if self.halted.load(Relaxed) {
            pending::<()>().await;
        }
        let times = {
            let mut slept = self.slept.lock().unwrap();
            slept.push(duration);
            slept.len()
        };
        let whole = self.elapsed();
        assert!(
            times < SLEEPS && whole < LONGEST,
            "something sleeps for {duration:?} again, after {times} times and {whole:?}"
        );
    }

    fn now(&self) -> Instant {
        self.epoch + self.elapsed()
    }
}

/// Rejects a request of gRPC, as an HTTP stack does that has no HTTP/2.
pub fn without_grpc(request: &Request) -> Result<(), TransportError> {
    let content_type = request.headers().get(CONTENT_TYPE);
    match content_type {
        Some(it) if it == "application/grpc" => Err(TransportError::rejected("no HTTP/2")),
        _ => Ok(()),
    }
}

/// A response of the keys API with this `X-Etcd-Index`.
pub fn keys(status: u16, index: u64, body: impl Into<String>) -> Step {
    let headers = vec![
        ("content-type", "application/json".to_owned()),
        ("x-etcd-index", index.to_string()),
    ];
    Step::Respond(status, headers, Ending::Whole(body.into()))
}

/// A file with this key and index: the body of a response to a read, or of an event.
pub fn file(action: &str, key: &str, modified: u64) -> String {
    format!(
        r#"{{"action":"{action}","node":{{"key":"{key}","value":"x","modifiedIndex":{modified},"createdIndex":1}}}}"#
    )
}

/// The head of a response to a poll, and no body.
pub fn open(index: u64) -> Step {
    Step::Respond(200, vec![("x-etcd-index", index.to_string())], Ending::Open)
}

/// An error response of the v2 API.
pub fn etcd_error(status: u16, code: u32, index: u64) -> Step {
    let body = format!(r#"{{"errorCode":{code},"message":"m","cause":"c","index":{index}}}"#);
    keys(status, index, body)
}

/// The same response with more headers.
pub fn with_headers(step: Step, more: &[(&'static str, &str)]) -> Step {
    match step {
        Step::Respond(status, mut headers, ending) => {
            headers.extend(
                more.iter()
                    .map(|(name, value)| (*name, (*value).to_owned())),
            );
            Step::Respond(status, headers, ending)
        }
        other => panic!("{other:?} has no headers"),
    }
}

/// v3's list of members, each with these client URLs.
pub fn members(urls: &[&[&str]]) -> Step {
    let members = urls.iter().enumerate();
    let members: Vec<_> = members
        .map(|(id, urls)| format!(r#"{{"ID":"{}","clientURLs":{urls:?}}}"#, id + 1))
        .collect();
    let list = members.join(",");
    keys(
        200,
        0,
        format!(r#"{{"header":{{"cluster_id":"7"}},"members":[{list}]}}"#),
    )
}

/// The status of a member that names this one of the list as the leader, from 1.
pub fn leader(number: u64) -> Step {
    keys(
        200,
        0,
        format!(r#"{{"header":{{"cluster_id":"7"}},"version":"3.5.16","leader":"{number}"}}"#),
    )
}
