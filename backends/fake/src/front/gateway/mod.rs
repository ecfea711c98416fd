//! The v3 API as JSON over HTTP/1.1, as grpc-gateway serves it: 3.4 has its first version, the 3.5 that the fake
//! answers as (Debian's) its second.

mod body;
mod call;
mod error;
mod queue;
mod read;
mod route;
mod stream;

use std::sync::Arc;

use etcd_transport::{Body, Response};
use http::{HeaderMap, Method, header::AUTHORIZATION};

use self::{
    error::GatewayError,
    route::{Route, Stream},
    stream::WatchBody,
};
use crate::{
    cluster::exchanges::ExchangeId,
    front::queue::Wait,
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
    /// A place in the queue for a lock, or of an election.
    Queue(Box<Wait>),
}

impl Pending {
    /// The exchange whose next event may bring the response.
    pub(super) fn event(&self) -> Option<ExchangeId> {
        match self {
            Self::Nothing => None,
            Self::Watch(body) => Some(body.id()),
            Self::Queue(wait) => Some(wait.id()),
        }
    }
}

/// Answers a request; `None` while it takes a quorum, or something that is still to happen.
pub(super) fn answer(
    shared: &Arc<EtcdShared>,
    core: &mut EtcdCore,
    request: &Incoming<'_>,
    path: &[u8],
    pending: &mut Pending,
) -> Option<Response> {
    match std::mem::take(pending) {
        Pending::Nothing => {}
        Pending::Watch(body) => return stream::begin_watch(core, body, pending),
        Pending::Queue(wait) => return queue::go_on(core, wait, pending),
    }
    let profile = core.cluster.profile;
    let Some(route) = Route::find(path, profile) else {
        return Some(not_found(profile, request.method));
    };
    if request.method != Method::POST {
        return Some(not_allowed(profile, request.method));
    }
    match route {
        Route::Unary(call) => call::answer(core, request, call),
        Route::Stream(Stream::KeepAlive) => stream::keep_alive(core, request),
        Route::Stream(Stream::Watch) => stream::watch(shared, core, request, pending),
        Route::Lock => queue::begin(shared, core, request, pending, |call, request| {
            call.enter_lock(&request)
        }),
        Route::Campaign => queue::begin(shared, core, request, pending, |call, request| {
            call.enter_campaign(&request)
        }),
        Route::Unserved(name) => {
            let error = GatewayError::unserved(name);
            Some(error.response(profile))
        }
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
