use std::{
    collections::VecDeque,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use bytes::Bytes;
use etcd_transport::{Body, PolledFrame, Response, TransportError};
use http::{HeaderValue, header::CONTENT_TYPE};
use http_body::Frame;

use super::{Pending, body::Lines, call_of, error::GatewayError, limits::Limits, read::Messages};
use crate::{
    cluster::exchanges::ExchangeId,
    front::subscription::{self, Subscription, take_message},
    go::reply::Reply,
    profile::Profile,
    state::{EtcdCore, EtcdShared},
    v2::api::Incoming,
    v3::{
        api::Failure,
        message::{Message, lease::LeaseKeepAliveRequest, watch::WatchRequest, write},
    },
};

/// Renews the leases of all messages in the body, and ends.
pub(super) fn keep_alive(
    core: &mut EtcdCore,
    request: &Incoming<'_>,
    limits: Limits,
) -> Option<Response> {
    let profile = core.cluster.profile;
    let mut call = call_of(core, request);
    if let Err(error) = limits.check(&call, false) {
        return Some(error.stream_response(profile));
    }
    let mut messages = Messages::new(request.body, profile);
    let mut lines = VecDeque::new();
    loop {
        match messages.next::<LeaseKeepAliveRequest>() {
            Some(Ok(request)) => match call.keep_alive(&request) {
                Ok(response) => lines.push_back(line(&response, profile)),
                Err(Failure::Blocked) => return None,
                Err(Failure::Refused(error)) => {
                    return Some(GatewayError::from(error).stream_response(profile));
                }
            },
            Some(Err(message)) if profile == Profile::V3_4 && lines.is_empty() => {
                return Some(GatewayError::new(2, &message).response(profile));
            }
            // Later, and on 3.5 always, what cannot be read silently ends the requests.
            Some(Err(_)) | None => break,
        }
    }
    let head = if lines.is_empty() {
        empty_head(profile)
    } else {
        head()
    };
    Some(head.map(|()| Body::stream(Lines(lines))))
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

/// Opens a stream of watches and does what its requests ask. The body was read to its end: nothing is asked later.
pub(super) fn watch(
    shared: &Arc<EtcdShared>,
    core: &mut EtcdCore,
    request: &Incoming<'_>,
    limits: Limits,
    pending: &mut Pending,
) -> Option<Response> {
    let profile = core.cluster.profile;
    let mut messages = Messages::new(request.body, profile);
    let mut requests = Vec::new();
    loop {
        match messages.next::<WatchRequest>() {
            Some(Ok(request)) => requests.push(request),
            Some(Err(message)) if profile == Profile::V3_4 && requests.is_empty() => {
                return Some(GatewayError::new(2, &message).response(profile));
            }
            Some(Err(_)) | None => break,
        }
    }
    if limits.is_expired {
        return Some(GatewayError::deadline_exceeded().response(profile));
    }
    let call = call_of(core, request);
    if let Err(error) = limits.check(&call, false) {
        return Some(error.stream_response(profile));
    }
    let subscription = Subscription::open(shared, core, request.watch_id, request.endpoint);
    let id = subscription.id();
    let mut call = call_of(core, request);
    for message in &requests {
        subscription::request(&mut call, id, message);
    }
    let has_ended = false;
    let body = WatchBody {
        subscription,
        has_ended,
    };
    begin_watch(core, body, limits, pending)
}

/// Begins the response if there is a message. Without one there is no head.
pub(super) fn begin_watch(
    core: &mut EtcdCore,
    body: WatchBody,
    limits: Limits,
    pending: &mut Pending,
) -> Option<Response> {
    let watches = &core.cluster.local(body.subscription.endpoint()).v3.watches;
    if watches.has_message(body.id()) {
        let subscription = &body.subscription;
        let (shared, endpoint) = (Arc::clone(subscription.shared()), subscription.endpoint());
        let body = limits.apply(body, &shared, endpoint, core.cluster.profile);
        return Some(head().map(|()| Body::stream(body)));
    }
    *pending = Pending::Watch(body);
    None
}

/// The messages of a stream of watches.
pub(in crate::front) struct WatchBody {
    subscription: Subscription,
    has_ended: bool,
}

impl WatchBody {
    pub(super) fn id(&self) -> ExchangeId {
        self.subscription.id()
    }
}

impl http_body::Body for WatchBody {
    type Data = Bytes;
    type Error = TransportError;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> PolledFrame {
        let this = &mut *self;
        if this.has_ended {
            return Poll::Ready(None);
        }
        let subscription = &this.subscription;
        let line = subscription.poll(cx, |core| {
            let message = take_message(core, subscription.endpoint(), subscription.id())?;
            Some(line(&message, core.cluster.profile))
        });
        let frame = std::task::ready!(line).map(|line| Frame::data(line.into()));
        this.has_ended = frame.is_err();
        Poll::Ready(Some(frame))
    }

    fn is_end_stream(&self) -> bool {
        self.has_ended
    }
}

pub(super) fn line(message: &dyn Message, profile: Profile) -> Vec<u8> {
    let mut line = b"{\"result\":".to_vec();
    line.extend(write::json(message, profile, true));
    line.extend_from_slice(b"}\n");
    line
}

pub(super) fn head() -> http::Response<()> {
    let mut reply = Reply::new().json();
    let grpc = HeaderValue::from_static("application/grpc");
    reply.headers.insert("grpc-metadata-content-type", grpc);
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
