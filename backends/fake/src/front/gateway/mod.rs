//! The v3 API as JSON over HTTP/1.1, as grpc-gateway serves it: 3.4 has its first version, the 3.5 that the fake
//! answers as (Debian's) its second.

mod body;
mod error;
mod limits;
mod observe;
mod queue;
mod read;
mod route;
mod stream;
mod unary;

use std::sync::Arc;

use etcd_transport::{Body, Response};
use http::{HeaderMap, Method, header::AUTHORIZATION};

use self::{
    error::{EtcdCode, GatewayError},
    limits::Limits,
    observe::ObserveBody,
    queue::Wait,
    route::{Route, Stream},
    stream::WatchBody,
};
use crate::{
    cluster::exchanges::ExchangeId,
    go::reply::Reply,
    profile::Profile,
    state::{EtcdCore, EtcdShared},
    v2::api::Incoming,
};

/// What a call without an immediate response has left open.
#[derive(Default)]
pub(super) enum Pending {
    /// Nothing.
    #[default]
    Nothing,
    /// A stream of watches without a message so far. Its head travels with the first one.
    Watch(WatchBody),
    /// The observation of an election without a leader so far.
    Observe(Box<ObserveBody>),
    /// A place in the queue for a lock, or of an election.
    Queue(Box<Wait>),
}

impl Pending {
    /// The exchange whose next event may bring the response.
    pub(super) fn event(&self) -> Option<ExchangeId> {
        match self {
            Self::Nothing => None,
            Self::Watch(body) => Some(body.id()),
            Self::Observe(body) => Some(body.id()),
            Self::Queue(wait) => Some(wait.id()),
        }
    }
}

/// Answers a request; `None` while it takes a quorum, or something that is still to happen. The first call sets the `deadline`.
pub(super) fn answer(
    shared: &Arc<EtcdShared>,
    core: &mut EtcdCore,
    request: &Incoming<'_>,
    path: &[u8],
    pending: &mut Pending,
    deadline: &mut Option<u64>,
) -> Option<Response> {
    let response = make_call(shared, core, request, path, pending, deadline)?;
    let code = match response.extensions().get() {
        Some(&EtcdCode(code)) => Some(code),
        None => response.status().is_success().then_some(0),
    };
    let route = Route::find(path, core.cluster.profile);
    if let (Some(code), Some(name)) = (code, route.and_then(Route::name)) {
        core.calls.count(request.endpoint, name, code);
    }
    Some(response)
}

fn make_call(
    shared: &Arc<EtcdShared>,
    core: &mut EtcdCore,
    request: &Incoming<'_>,
    path: &[u8],
    pending: &mut Pending,
    deadline: &mut Option<u64>,
) -> Option<Response> {
    let profile = core.cluster.profile;
    let now = core.time.elapsed;
    if deadline.is_some_and(|deadline| deadline <= now) {
        // What is pending is dropped with the call, when the lock is free.
        return Some(deadline_exceeded(profile, pending));
    }
    let limits = Limits::read(request.headers, *deadline, now);
    match (std::mem::take(pending), &limits) {
        (Pending::Watch(body), Ok(limits)) => {
            return stream::begin_watch(core, body, *limits, pending);
        }
        (Pending::Observe(body), Ok(limits)) => {
            return observe::begin(core, *body, *limits, pending);
        }
        (Pending::Queue(wait), _) => return queue::go_on(core, wait, pending),
        _ => {}
    }
    let Some(route) = Route::find(path, profile) else {
        return Some(not_found(profile, request.method));
    };
    if request.method != Method::POST {
        return Some(not_allowed(profile, request.method));
    }
    let limits = match limits {
        Ok(limits) => limits,
        Err(error) => return Some(error.response(profile)),
    };
    *deadline = limits.deadline;
    match route {
        Route::Unary(call) => unary::answer(core, request, limits, call),
        Route::Stream(Stream::KeepAlive) => stream::keep_alive(core, request, limits),
        Route::Stream(Stream::Watch) => stream::watch(shared, core, request, limits, pending),
        Route::Stream(Stream::Observe) => observe::open(shared, core, request, limits, pending),
        Route::Lock => queue::begin(shared, core, request, limits, pending, |call, request| {
            call.enter_lock(&request)
        }),
        Route::Campaign => queue::begin(shared, core, request, limits, pending, |call, request| {
            call.enter_campaign(&request)
        }),
        Route::Stream(Stream::Snapshot) => Some(stream::snapshot(core, request, limits)),
    }
}

/// 3.5 tells the caller of a stream that has not begun as it tells one that has.
fn deadline_exceeded(profile: Profile, pending: &Pending) -> Response {
    let error = GatewayError::deadline_exceeded();
    match (profile, pending) {
        (Profile::V3_5, Pending::Watch(_) | Pending::Observe(_)) => error.stream_response(profile),
        _ => error.response(profile),
    }
}

fn not_found(profile: Profile, method: &Method) -> Response {
    let reply = match profile {
        Profile::V3_4 => Reply::new().text(404, "Not Found"),
        Profile::V3_5 => GatewayError::new(5, "Not Found").reply(profile),
    };
    reply.finish(method).map(Body::from)
}

fn not_allowed(profile: Profile, method: &Method) -> Response {
    let reply = match profile {
        Profile::V3_4 => Reply::new().text(405, "Method Not Allowed"),
        Profile::V3_5 => GatewayError::new(12, "Method Not Allowed").reply(profile),
    };
    reply.finish(method).map(Body::from)
}

/// The token of a request, in one of the headers that the gateway passes on.
fn token(headers: &HeaderMap) -> Option<String> {
    let value = headers
        .get("grpc-metadata-token")
        .or_else(|| headers.get(AUTHORIZATION))
        .or_else(|| headers.get("grpc-metadata-authorization"))?;
    Some(String::from_utf8_lossy(value.as_bytes()).into_owned())
}
