use std::{
    fmt,
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::{Duration, Instant, SystemTime},
};

use async_trait::async_trait;
use bytes::Bytes;
use etcd_transport::{Body, CollectError, Request, Response, Transport, TransportError};
use http::{HeaderMap, HeaderValue, Method, Uri, Version, header};

use crate::{
    FakeEtcdBuilder,
    api::{self, Answer, Incoming},
    body::{Cut, CutBody, Ending, WatchBody},
    core::{Core, Shared},
    faults::Kind,
    log::{Exchange, Outcome, has_credentials},
    time::Sleep,
};

/// The largest request body that is read; etcd itself looks at 10 MiB of it.
const MAX_BODY: usize = 64 << 20;

/// An etcd in memory. Clones are the same etcd.
///
/// As a [`Transport`] it answers requests to the v2 API as a real server does, byte for byte, and its
/// [`sleep`](Transport::sleep) and [`now`](Transport::now) follow its own [`Clock`](crate::Clock).
///
/// A fake with one endpoint answers whatever host a request names; one with several answers at its endpoints' URLs and
/// refuses all others. A request by HTTP/2 is rejected: etcd's v2 API has none.
#[derive(Clone)]
pub struct FakeEtcd {
    pub(crate) shared: Arc<Shared>,
}

impl FakeEtcd {
    /// A new cluster of one: etcd 3.5, v2 on, a clock that stands still.
    pub fn new() -> Self {
        Self::builder().build()
    }

    /// A fake of another kind.
    pub fn builder() -> FakeEtcdBuilder {
        FakeEtcdBuilder::default()
    }

    /// Moves the clock forward: keys expire and sleepers are woken, in the order of their times.
    ///
    /// What was woken runs when this returns and its executor comes to it; it finds the clock at the end of the move.
    pub fn advance(&self, duration: Duration) {
        self.shared.with(|core| {
            core.time.stir();
            core.advance_by(nanos(duration));
        });
    }

    /// Moves the clock to the next time at which a sleeper is due or a key expires, and says how far that was; `None`
    /// when nothing is to come.
    pub fn advance_to_next(&self) -> Option<Duration> {
        self.shared.with(|core| {
            core.time.stir();
            core.step().map(Duration::from_nanos)
        })
    }

    /// How long the fake has existed, by its clock.
    pub fn elapsed(&self) -> Duration {
        Duration::from_nanos(self.shared.with(|core| core.time.elapsed))
    }

    /// The time of day, by the fake's clock.
    pub fn system_time(&self) -> SystemTime {
        let wall = self.shared.with(|core| core.time.wall());
        let distance = Duration::from_nanos(wall.unsigned_abs());
        if wall < 0 {
            SystemTime::UNIX_EPOCH - distance
        } else {
            SystemTime::UNIX_EPOCH + distance
        }
    }

    /// Goes on with a request that cannot be answered at once.
    async fn wait(&self, call: &Call, number: u64, fault: Option<Kind>) -> Answered {
        let mut waiting = Waiting {
            shared: Arc::clone(&self.shared),
            number,
            outcome: Outcome::Dropped,
        };
        let answered = self.suffer(call, fault).await;
        waiting.outcome = outcome(&answered);
        answered
    }

    async fn suffer(&self, call: &Call, fault: Option<Kind>) -> Answered {
        let broken = |what: &str| Err(TransportError::interrupted(what.to_owned()));
        match fault {
            None => self.ask(call).await,
            Some(Kind::Refuse) => Err(TransportError::connect("connection refused")),
            Some(Kind::BreakBefore) => broken("the connection broke before the server acted"),
            Some(Kind::BreakAfter) => {
                self.ask(call).await?;
                broken("the connection broke before the answer")
            }
            Some(Kind::SilenceBefore) => std::future::pending().await,
            Some(Kind::SilenceAfter) => {
                self.ask(call).await?;
                std::future::pending().await
            }
            Some(Kind::DelayBefore(duration)) => {
                self.sleep(duration).await;
                self.ask(call).await
            }
            Some(Kind::DelayAfter(duration)) => {
                let answer = self.ask(call).await;
                self.sleep(duration).await;
                answer
            }
            Some(Kind::Instead(response)) => Ok(response.map(Body::from)),
            Some(Kind::InsteadAfter(response)) => {
                self.ask(call).await?;
                Ok(response.map(Body::from))
            }
            Some(Kind::Cut(left, ending)) => {
                let response = self.ask(call).await?;
                Ok(response.map(|body| Body::stream(CutBody::new(body, left, ending))))
            }
            Some(Kind::Truncate(length)) => {
                let (head, body) = self.ask(call).await?.into_parts();
                Ok(match body.try_into_bytes() {
                    Ok(mut bytes) => {
                        bytes.truncate(length);
                        with_length(head, bytes)
                    }
                    // An open answer has no length to lie about.
                    Err(body) => {
                        let cut = CutBody::new(body, Cut::Bytes(length), Ending::Error);
                        Response::from_parts(head, Body::stream(cut))
                    }
                })
            }
            Some(Kind::Append(more)) => {
                let (head, body) = self.ask(call).await?.into_parts();
                Ok(match body.try_into_bytes() {
                    Ok(bytes) => with_length(head, [&bytes[..], &more].concat().into()),
                    Err(body) => Response::from_parts(head, body),
                })
            }
        }
    }

    /// Asks the server, and waits for a quorum where it takes one.
    async fn ask(&self, call: &Call) -> Answered {
        let shared = &self.shared;
        let (lives, deadline) = shared.with(|core| {
            let timeout = nanos(Self::QUORUM_TIMEOUT);
            (
                core.lives(call.endpoint),
                core.time.elapsed.saturating_add(timeout),
            )
        });
        let mut timed_out = false;
        loop {
            let answer = shared.with(|core| {
                if core.lives(call.endpoint) != lives {
                    return Err(TransportError::interrupted("the server stopped"));
                }
                Ok(core.ask(shared, call, timed_out))
            });
            if let Some(response) = answer? {
                return Ok(response);
            }
            let change = Change {
                sleep: Sleep::until(Arc::clone(shared), deadline),
                shared: Arc::clone(shared),
                lives,
                endpoint: call.endpoint,
            };
            timed_out = change.await;
        }
    }
}

type Answered = Result<Response, TransportError>;

/// A request that has arrived.
struct Call {
    endpoint: usize,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
}

#[async_trait]
impl Transport for FakeEtcd {
    async fn send(&self, request: Request) -> Result<Response, TransportError> {
        let (head, body) = request.into_parts();
        if head.version == Version::HTTP_2 {
            return Err(TransportError::rejected("the fake speaks HTTP/1.1"));
        }
        if !matches!(head.uri.scheme_str(), Some("http" | "https")) {
            return Err(TransportError::rejected("the URI is not http or https"));
        }
        let body = match body.try_into_bytes() {
            Ok(bytes) => bytes,
            Err(body) => body.collect(MAX_BODY).await.map_err(|error| match error {
                CollectError::Transport(error) => error,
                error => TransportError::rejected(error),
            })?,
        };
        let mut call = Call {
            endpoint: 0,
            method: head.method,
            uri: head.uri,
            headers: head.headers,
            body,
        };
        let shared = &self.shared;
        let first = shared.with(|core| core.receive(shared, &mut call));
        match first {
            First::Answered(answered) => answered,
            First::Waits(number, fault) => self.wait(&call, number, fault).await,
        }
    }

    async fn sleep(&self, duration: Duration) {
        let now = self.shared.with(|core| core.time.elapsed);
        let due = now.saturating_add(nanos(duration));
        Sleep::until(Arc::clone(&self.shared), due).await;
    }

    fn now(&self) -> Instant {
        self.shared.origin + self.elapsed()
    }
}

impl Default for FakeEtcd {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for FakeEtcd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.shared.with(|core| {
            f.debug_struct("FakeEtcd")
                .field("profile", &core.server.profile)
                .field("index", &core.server.store.index())
                .field("endpoints", &core.endpoints.len())
                .finish_non_exhaustive()
        })
    }
}

/// How far a request got at once.
enum First {
    Answered(Answered),
    Waits(u64, Option<Kind>),
}

impl Core {
    /// Takes a request in: finds the endpoint, writes the log, and answers if nothing is in the way.
    fn receive(&mut self, shared: &Arc<Shared>, call: &mut Call) -> First {
        self.time.stir();
        let found = self.find(&call.uri);
        call.endpoint = found.unwrap_or_default();
        let exchange = Exchange {
            at: self.time.elapsed,
            endpoint: call.endpoint,
            method: call.method.clone(),
            uri: call.uri.clone(),
            content_type: call.headers.get(header::CONTENT_TYPE).cloned(),
            has_credentials: has_credentials(&call.headers),
            body: call.body.clone(),
            outcome: Outcome::Waiting,
        };
        let is_up = self.endpoints.get(call.endpoint).is_some_and(|e| e.is_up);
        if found.is_none() || !is_up {
            let number = self.log.add(exchange);
            let refused = Err(TransportError::connect("connection refused"));
            self.log.conclude(number, outcome(&refused));
            return First::Answered(refused);
        }
        let fault = if self.rules.is_empty() {
            None
        } else {
            self.rules.strike(&exchange)
        };
        let number = self.log.add(exchange);
        if fault.is_none()
            && let Some(response) = self.ask(shared, call, false)
        {
            let answered = Ok(response);
            self.log.conclude(number, outcome(&answered));
            if self.time.sleeping() == 0 {
                self.pass_the_baton();
            }
            return First::Answered(answered);
        }
        self.waiting += 1;
        First::Waits(number, fault)
    }

    /// The endpoint that a URI leads to.
    fn find(&self, uri: &Uri) -> Option<usize> {
        if self.endpoints.len() == 1 {
            return Some(0);
        }
        let authority = uri.authority()?.as_str();
        let authority = authority.rsplit('@').next().unwrap_or(authority);
        self.endpoints
            .iter()
            .position(|endpoint| endpoint.authority.eq_ignore_ascii_case(authority))
    }

    /// Asks the server; `None` when there is no quorum for it yet.
    fn ask(&mut self, shared: &Arc<Shared>, call: &Call, timed_out: bool) -> Option<Response> {
        let watcher = self.next_watcher();
        let incoming = Incoming {
            method: &call.method,
            path: call.uri.path().as_bytes(),
            query: call.uri.query().unwrap_or_default().as_bytes(),
            headers: &call.headers,
            body: &call.body,
            endpoint: call.endpoint,
            watcher,
            timed_out,
        };
        let mut response = match api::answer(&mut self.server, &incoming) {
            Answer::Blocked => return None,
            Answer::Whole(response) => response.map(Body::from),
            Answer::Watch(head, stream) => {
                self.watches.insert(watcher, call.endpoint);
                let body = WatchBody::new(
                    Arc::clone(shared),
                    self.lives(call.endpoint),
                    watcher,
                    call.endpoint,
                    stream,
                );
                head.map(|()| Body::stream(body))
            }
        };
        let date = self.date();
        let headers = response.headers_mut();
        // What Go's server says before etcd sees a request has no date.
        if !headers.contains_key(header::CONNECTION) {
            headers.insert(header::DATE, date);
        }
        Some(response)
    }
}

/// Resolves when the cluster has changed: with true when the time is up.
struct Change {
    sleep: Sleep,
    shared: Arc<Shared>,
    lives: (u64, u64),
    endpoint: usize,
}

impl Future for Change {
    type Output = bool;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<bool> {
        let this = &mut *self;
        let has_changed = this.shared.with(|core| {
            let is_known = core.blocked.iter().any(|old| old.will_wake(cx.waker()));
            if !is_known {
                core.blocked.push(cx.waker().clone());
            }
            core.server.can_commit() || core.lives(this.endpoint) != this.lives
        });
        if has_changed {
            return Poll::Ready(false);
        }
        Pin::new(&mut this.sleep).poll(cx).map(|()| true)
    }
}

/// Keeps count of an exchange that waits, and notes how it ends.
struct Waiting {
    shared: Arc<Shared>,
    number: u64,
    outcome: Outcome,
}

impl Drop for Waiting {
    fn drop(&mut self) {
        self.shared.with(|core| {
            core.waiting -= 1;
            core.log.conclude(self.number, self.outcome);
        });
    }
}

fn outcome(answered: &Answered) -> Outcome {
    match answered {
        Ok(response) => Outcome::Answered(response.status().as_u16()),
        Err(error) => Outcome::Failed(error.kind()),
    }
}

/// The same answer with another body, and the length of that.
fn with_length(mut head: http::response::Parts, body: Bytes) -> Response {
    head.headers.remove(header::TRANSFER_ENCODING);
    let length = HeaderValue::from(body.len());
    head.headers.insert(header::CONTENT_LENGTH, length);
    Response::from_parts(head, body.into())
}

pub(crate) fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}
