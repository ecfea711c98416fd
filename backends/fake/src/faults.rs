use std::{fmt, sync::Arc, time::Duration};

use http::{Response, StatusCode};

use crate::{
    FakeEtcd,
    body::{Cut, Ending},
    log::Exchange,
    rng::Rng,
};

/// What goes wrong with a request.
///
/// ```
/// # use etcd_fake::{FakeEtcd, Fault, When};
/// let etcd = FakeEtcd::new();
/// // The next write is done, and its answer is lost.
/// etcd.inject(When::method("PUT").once(), Fault::break_after());
/// // Every third request from now on finds nobody.
/// etcd.inject(When::any().every(3), Fault::refuse());
/// ```
#[derive(Clone, Debug)]
pub struct Fault(pub(crate) Kind);

#[derive(Clone, Debug)]
pub(crate) enum Kind {
    Refuse,
    BreakBefore,
    BreakAfter,
    SilenceBefore,
    SilenceAfter,
    DelayBefore(Duration),
    DelayAfter(Duration),
    Cut(Cut, Ending),
    /// The announced length is kept to: what is missing is missed by nobody but the parser.
    Truncate(usize),
    Append(Vec<u8>),
    /// The server is not asked.
    Instead(Response<Vec<u8>>),
    /// The server acts, and something else is answered.
    InsteadAfter(Response<Vec<u8>>),
}

impl Fault {
    /// No connection: the server sees nothing ([`Connect`](etcd_transport::TransportErrorKind::Connect)).
    pub fn refuse() -> Self {
        Self(Kind::Refuse)
    }

    /// The connection breaks before the server acts
    /// ([`Interrupted`](etcd_transport::TransportErrorKind::Interrupted)).
    pub fn break_before() -> Self {
        Self(Kind::BreakBefore)
    }

    /// The server acts, and the connection breaks before, or in the middle of, the answer's head
    /// ([`Interrupted`](etcd_transport::TransportErrorKind::Interrupted)).
    ///
    /// A [`Transport`](etcd_transport::Transport) shows no part of a head, so the two are one.
    pub fn break_after() -> Self {
        Self(Kind::BreakAfter)
    }

    /// The server acts, and the connection breaks after so many bytes of the answer's body.
    pub fn break_body(bytes: usize) -> Self {
        Self(Kind::Cut(Cut::Bytes(bytes), Ending::Error))
    }

    /// The connection of a watch breaks after so many events.
    pub fn break_after_events(events: usize) -> Self {
        Self(Kind::Cut(Cut::Frames(events), Ending::Error))
    }

    /// The server never sees the request, and nothing is ever heard of it.
    pub fn silence() -> Self {
        Self(Kind::SilenceBefore)
    }

    /// The server acts, and nothing is ever heard of it.
    pub fn silence_after() -> Self {
        Self(Kind::SilenceAfter)
    }

    /// The server acts and begins to answer; after so many bytes of the body nothing more comes.
    pub fn silence_body(bytes: usize) -> Self {
        Self(Kind::Cut(Cut::Bytes(bytes), Ending::Silence))
    }

    /// After so many events of a watch nothing more comes.
    pub fn silence_after_events(events: usize) -> Self {
        Self(Kind::Cut(Cut::Frames(events), Ending::Silence))
    }

    /// The request takes so long to arrive, by the fake's clock.
    pub fn delay(duration: Duration) -> Self {
        Self(Kind::DelayBefore(duration))
    }

    /// The server acts at once, and the answer takes so long to arrive, by the fake's clock.
    pub fn delay_answer(duration: Duration) -> Self {
        Self(Kind::DelayAfter(duration))
    }

    /// The body is whole by its length, and only the first `bytes` of what it ought to be.
    pub fn truncate(bytes: usize) -> Self {
        Self(Kind::Truncate(bytes))
    }

    /// The body goes on after its end.
    pub fn append(bytes: impl Into<Vec<u8>>) -> Self {
        Self(Kind::Append(bytes.into()))
    }

    /// Something else answers, and the server sees nothing: a proxy's 502, say.
    pub fn answer(response: Response<Vec<u8>>) -> Self {
        Self(Kind::Instead(response))
    }

    /// The server acts, and something else answers.
    pub fn answer_after(response: Response<Vec<u8>>) -> Self {
        Self(Kind::InsteadAfter(response))
    }

    /// A plain answer with this status, and the server sees nothing. A status that is none becomes 500.
    pub fn status(status: u16) -> Self {
        let text = canonical(status).canonical_reason().unwrap_or_default();
        Self::answer(page(status, "text/plain; charset=utf-8", text.to_owned()))
    }

    /// A web page with this status, as proxies and captive portals send it, and the server sees nothing.
    pub fn html(status: u16) -> Self {
        let reason = canonical(status).canonical_reason().unwrap_or_default();
        let text = format!("<html><head><title>{status} {reason}</title></head></html>\n");
        Self::answer(page(status, "text/html", text))
    }

    /// A redirect to `location`, and the server sees nothing.
    pub fn redirect(status: u16, location: &str) -> Self {
        let mut response = page(status, "text/html; charset=utf-8", String::new());
        if let Ok(location) = location.try_into() {
            response
                .headers_mut()
                .insert(http::header::LOCATION, location);
        }
        Self::answer(response)
    }
}

fn canonical(status: u16) -> StatusCode {
    StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
}

fn page(status: u16, kind: &'static str, text: String) -> Response<Vec<u8>> {
    let length = text.len();
    let mut response = Response::new(text.into_bytes());
    *response.status_mut() = canonical(status);
    let headers = response.headers_mut();
    let kind = http::HeaderValue::from_static(kind);
    headers.insert(http::header::CONTENT_TYPE, kind);
    headers.insert(http::header::CONTENT_LENGTH, length.into());
    response
}

type Predicate = Arc<dyn Fn(&Exchange) -> bool + Send + Sync>;

/// Which requests a fault befalls. All that is said must hold.
#[derive(Clone)]
pub struct When {
    method: Option<String>,
    path: Option<String>,
    endpoint: Option<usize>,
    predicate: Option<Predicate>,
    times: Times,
}

#[derive(Clone, Copy, Debug)]
enum Times {
    Always,
    /// The n-th that matches, counted from 1, and none after it.
    Nth(u64),
    Every(u64),
    First(u64),
    /// By the fake's seed.
    Chance(f64),
}

impl When {
    /// Every request.
    pub fn any() -> Self {
        Self {
            method: None,
            path: None,
            endpoint: None,
            predicate: None,
            times: Times::Always,
        }
    }

    /// Requests with this method.
    pub fn method(method: &str) -> Self {
        Self {
            method: Some(method.to_owned()),
            ..Self::any()
        }
    }

    /// Only those with this path, percent-decoded; a path that ends in `*` stands for all that begin with it.
    pub fn path(mut self, path: &str) -> Self {
        self.path = Some(path.to_owned());
        self
    }

    /// Only those sent to this endpoint.
    pub fn endpoint(mut self, endpoint: usize) -> Self {
        self.endpoint = Some(endpoint);
        self
    }

    /// Only those of which this holds. It is asked while the fake is at work, and must not use the fake itself.
    pub fn matching(mut self, holds: impl Fn(&Exchange) -> bool + Send + Sync + 'static) -> Self {
        self.predicate = Some(Arc::new(holds));
        self
    }

    /// Only the next one.
    pub fn once(self) -> Self {
        self.nth(1)
    }

    /// Only the `n`-th from now on, counted from 1.
    pub fn nth(mut self, n: u64) -> Self {
        self.times = Times::Nth(n);
        self
    }

    /// Only the first `n` from now on.
    pub fn first(mut self, n: u64) -> Self {
        self.times = Times::First(n);
        self
    }

    /// Every `n`-th from now on.
    pub fn every(mut self, n: u64) -> Self {
        self.times = Times::Every(n.max(1));
        self
    }

    /// Each with this probability, as the fake's seed will have it.
    pub fn with_chance(mut self, probability: f64) -> Self {
        self.times = Times::Chance(probability);
        self
    }

    pub(crate) fn matches(&self, exchange: &Exchange) -> bool {
        let method = self.method.as_deref();
        let path_matches = self.path.as_deref().is_none_or(|path| {
            let actual = exchange.path();
            match path.strip_suffix('*') {
                Some(prefix) => actual.starts_with(prefix),
                None => actual == path,
            }
        });
        method.is_none_or(|method| method.eq_ignore_ascii_case(exchange.method()))
            && path_matches
            && (self.endpoint).is_none_or(|endpoint| endpoint == exchange.endpoint())
            && (self.predicate.as_ref()).is_none_or(|holds| holds(exchange))
    }
}

impl fmt::Debug for When {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("When")
            .field("method", &self.method)
            .field("path", &self.path)
            .field("endpoint", &self.endpoint)
            .field("predicate", &self.predicate.is_some())
            .field("times", &self.times)
            .finish()
    }
}

/// The faults that are in store.
#[derive(Debug)]
pub(crate) struct Rules {
    rules: Vec<Rule>,
    rng: Rng,
}

#[derive(Debug)]
struct Rule {
    when: When,
    fault: Fault,
    seen: u64,
}

impl Rules {
    pub(crate) fn new(rng: Rng) -> Self {
        Self {
            rules: Vec::new(),
            rng,
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.rules.is_empty()
    }

    /// The fault that befalls this request: that of the first rule whose turn it is.
    pub(crate) fn strike(&mut self, exchange: &Exchange) -> Option<Kind> {
        let mut struck = None;
        for rule in &mut self.rules {
            if !rule.when.matches(exchange) {
                continue;
            }
            rule.seen += 1;
            let is_turn = match rule.when.times {
                Times::Always => true,
                Times::Nth(n) => rule.seen == n,
                Times::First(n) => rule.seen <= n,
                Times::Every(n) => rule.seen.is_multiple_of(n),
                Times::Chance(p) => (self.rng.next() >> 11) as f64 / ((1u64 << 53) as f64) < p,
            };
            if is_turn && struck.is_none() {
                struck = Some(rule.fault.0.clone());
            }
        }
        self.rules.retain(|rule| match rule.when.times {
            Times::Nth(n) | Times::First(n) => rule.seen < n,
            _ => true,
        });
        struck
    }
}

impl FakeEtcd {
    /// Has a fault befall the requests that match. Of several whose turn it is the first injected strikes.
    pub fn inject(&self, when: When, fault: Fault) {
        let seen = 0;
        let rule = Rule { when, fault, seen };
        self.shared.with(|core| core.rules.rules.push(rule));
    }

    /// Takes back all faults that have not struck.
    pub fn clear_faults(&self) {
        self.shared.with(|core| core.rules.rules.clear());
    }

    /// How many injected faults may still strike.
    pub fn pending_faults(&self) -> usize {
        self.shared.with(|core| core.rules.rules.len())
    }
}
