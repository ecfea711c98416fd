//! Responses of many messages, each a line.

use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use etcd_transport::{Body, PolledFrame, Response, TransportError};
use http::{HeaderValue, header::CONTENT_TYPE};
use http_body::Frame;

use super::{
    GRPC, METADATA, Pending, call_of,
    error::{EtcdCode, GatewayError},
    limits::Limits,
};
use crate::{
    cluster::{clock::nanos, exchanges::ExchangeId, replication::QUORUM_TIMEOUT},
    front::{
        counter::{StreamCounter, StreamName},
        subscription::Subscription,
        timer::Timer,
    },
    go::reply::Reply,
    profile::Profile,
    state::{EtcdCore, EtcdShared},
    v2::api::Incoming,
    v3::{
        error::V3Error,
        message::{Message, write},
    },
};

/// After how long without a leader a stream ends that wants one: three election timeouts, in nanoseconds.
const LEADER_TIME_LIMIT: u64 = 3_000_000_000;

/// What a stream is about.
pub(super) trait Source: Send {
    /// What to send next. `id` names the stream of watches that wakes it, and `timed_out`: it has been blocked for as long as
    /// etcd waits for a quorum.
    fn next(
        &mut self,
        core: &mut EtcdCore,
        endpoint: usize,
        id: ExchangeId,
        timed_out: bool,
    ) -> Output;
}

/// What a source has to send.
pub(super) enum Output {
    Line(Vec<u8>),
    /// Nothing at present.
    Nothing,
    /// Nothing until there is a quorum.
    Blocked,
    /// Nothing ever again. etcd gives no reason.
    End,
}

/// A stream that is open.
pub(in crate::front) struct StreamBody {
    source: Box<dyn Source>,
    /// Wakes the stream when it may have something.
    subscription: Subscription,
    counter: StreamCounter,
    profile: Profile,
    limits: Limits,
    /// The line that the head travels with.
    first: Option<Vec<u8>>,
    has_begun: bool,
    has_ended: bool,
    /// When the source has been blocked for too long.
    blocked_until: Option<u64>,
    /// When the member has known no leader for too long.
    without_leader_until: Option<u64>,
    timer: Timer,
}

/// What happens next.
enum Next {
    Line(Vec<u8>),
    End(Option<GatewayError>),
}

impl StreamBody {
    pub(super) fn open(
        shared: &Arc<EtcdShared>,
        core: &mut EtcdCore,
        request: &Incoming<'_>,
        limits: Limits,
        name: StreamName,
        source: impl Source + 'static,
    ) -> Box<Self> {
        let endpoint = request.endpoint;
        Box::new(Self {
            source: Box::new(source),
            subscription: Subscription::open(shared, core, request.watch_id, endpoint),
            counter: StreamCounter::new(shared, endpoint, name),
            profile: core.cluster.profile,
            limits,
            first: None,
            has_begun: false,
            has_ended: false,
            blocked_until: None,
            without_leader_until: None,
            timer: Timer::default(),
        })
    }

    pub(super) fn id(&self) -> ExchangeId {
        self.subscription.id()
    }

    /// When the stream must be looked at without an event, by the fake's clock.
    pub(super) fn due(&self) -> Option<u64> {
        // Before the head, the front looks at the deadline.
        let deadline = self.limits.deadline.filter(|_| self.has_begun);
        let times = [deadline, self.blocked_until, self.without_leader_until];
        times.into_iter().flatten().min()
    }

    /// What happens now, if anything.
    fn look(&mut self, core: &mut EtcdCore) -> Option<Next> {
        let now = core.time.elapsed;
        let is_over = |until: Option<u64>| until.is_some_and(|until| until <= now);
        let endpoint = self.subscription.endpoint();
        let timed_out = is_over(self.blocked_until);
        let output = (self.source).next(core, endpoint, self.subscription.id(), timed_out);
        match output {
            Output::Line(line) => return Some(Next::Line(line)),
            Output::End => return Some(Next::End(None)),
            Output::Nothing => self.blocked_until = None,
            Output::Blocked => {
                let until = now.saturating_add(nanos(QUORUM_TIMEOUT));
                self.blocked_until.get_or_insert(until);
            }
        }
        if self.has_begun && is_over(self.limits.deadline) {
            return Some(Next::End(Some(GatewayError::deadline_exceeded())));
        }
        if !self.limits.needs_leader || core.cluster.leader_at(endpoint).is_some() {
            self.without_leader_until = None;
            return None;
        }
        let until = now.saturating_add(LEADER_TIME_LIMIT);
        self.without_leader_until.get_or_insert(until);
        let error = GatewayError::from(V3Error::NO_LEADER);
        is_over(self.without_leader_until).then_some(Next::End(Some(error)))
    }

    fn end(&mut self, error: Option<&GatewayError>) {
        self.has_ended = true;
        self.counter
            .end(error.map_or(0, |error| error.counted_as(self.profile)));
    }
}

/// Begins the response if there is a message, or the end. Before that there is no head.
pub(super) fn begin(
    core: &mut EtcdCore,
    mut body: Box<StreamBody>,
    pending: &mut Pending,
) -> Option<Response> {
    let profile = body.profile;
    let response = match body.look(core) {
        None => None,
        Some(Next::Line(first)) => {
            body.first = Some(first);
            body.has_begun = true;
            return Some(head().map(|()| Body::stream(*body)));
        }
        Some(Next::End(error)) => {
            body.end(error.as_ref());
            Some(match error {
                None => empty_head(profile).map(|()| Body::empty()),
                Some(error) => {
                    let mut response = error.stream_response(profile);
                    // Its counter counts it.
                    response.extensions_mut().remove::<EtcdCode>();
                    response
                }
            })
        }
    };
    // Kept after the end as well, so that it is dropped when the lock is free.
    *pending = Pending::Stream(body);
    response
}

impl http_body::Body for StreamBody {
    type Data = Bytes;
    type Error = TransportError;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> PolledFrame {
        let this = &mut *self;
        if let Some(first) = this.first.take() {
            return Poll::Ready(Some(Ok(Frame::data(first.into()))));
        }
        if this.has_ended {
            return Poll::Ready(None);
        }
        loop {
            let shared = Arc::clone(this.subscription.shared());
            let server = this.subscription.server();
            let id = this.id();
            let polled =
                shared.with(|core| core.poll_exchange(id, server, cx, |core| this.look(core)));
            match polled {
                Poll::Ready(Ok(Next::Line(line))) => {
                    return Poll::Ready(Some(Ok(Frame::data(line.into()))));
                }
                Poll::Ready(Ok(Next::End(error))) => {
                    this.end(error.as_ref());
                    let line = error.map(|error| error.line(this.profile));
                    return Poll::Ready(line.map(|line| Ok(Frame::data(line.into()))));
                }
                Poll::Ready(Err(error)) => {
                    this.has_ended = true;
                    return Poll::Ready(Some(Err(error)));
                }
                Poll::Pending => {}
            }
            let due = this.due();
            ready!(this.timer.poll(&shared, due, cx));
        }
    }

    fn is_end_stream(&self) -> bool {
        self.first.is_none() && self.has_ended
    }
}

/// Refuses a snapshot.
pub(super) fn snapshot(core: &mut EtcdCore, request: &Incoming<'_>, limits: Limits) -> Response {
    let profile = core.cluster.profile;
    let mut call = call_of(core, request);
    let checked = limits.check(&call, true);
    let error = checked
        .err()
        .unwrap_or_else(|| call.refuse_snapshot().into());
    error.stream_response(profile)
}

pub(super) fn line(message: &dyn Message, profile: Profile) -> Vec<u8> {
    let mut line = b"{\"result\":".to_vec();
    line.extend(write::json(message, profile, true));
    line.extend_from_slice(b"}\n");
    line
}

pub(super) fn head() -> http::Response<()> {
    let mut reply = Reply::new().json();
    reply.headers.insert(METADATA, GRPC);
    reply.begin()
}

/// The head of a stream that ends without a message.
pub(super) fn empty_head(profile: Profile) -> http::Response<()> {
    let mut reply = Reply::new();
    if profile == Profile::V3_4 {
        let json = HeaderValue::from_static("application/json");
        reply.headers.insert(CONTENT_TYPE, json);
    }
    reply.begin()
}
