//! The v3 API as JSON over HTTP/1.1, as grpc-gateway serves it: 3.4 has its first version, the 3.5 that the fake
//! answers as (Debian's) its second.

mod body;
mod call;
#[cfg(feature = "serve")]
pub(super) mod duplex;
mod error;
mod keep_alive;
mod limits;
mod observe;
mod queue;
mod read;
mod route;
mod stream;
mod watch;

use std::sync::Arc;

use etcd_transport::{Body, Response};
use http::{HeaderMap, HeaderName, HeaderValue, Method, request};

pub(crate) use self::route::grpc_path;
use self::{
    error::{EtcdCode, GatewayError},
    limits::Limits,
    route::{Route, Stream},
    stream::StreamBody,
};
use crate::{
    cluster::exchanges::ExchangeId,
    front::queue::Wait,
    go::reply::Reply,
    profile::Profile,
    state::{EtcdCore, EtcdShared},
    v2::api::Incoming,
    v3::{api::Call, auth::Credentials},
};

/// The type of the response that the gateway has from etcd, as it passes it on.
const METADATA: HeaderName = HeaderName::from_static("grpc-metadata-content-type");
const GRPC: HeaderValue = HeaderValue::from_static("application/grpc");

/// What a call without an immediate response has left open.
#[derive(Default)]
pub(super) enum Pending {
    /// Nothing.
    #[default]
    Nothing,
    /// A stream without a message so far. Its head travels with the first one.
    Stream(Box<StreamBody>),
    /// A place in the queue for a lock, or of an election.
    Queue(Box<Wait>),
}

impl Pending {
    /// The exchange whose next event may bring the response.
    pub(super) fn event(&self) -> Option<ExchangeId> {
        match self {
            Self::Nothing => None,
            Self::Stream(body) => Some(body.id()),
            Self::Queue(wait) => Some(wait.id()),
        }
    }

    /// When the call is to be looked at without an event.
    pub(super) fn due(&self) -> Option<u64> {
        match self {
            Self::Stream(body) => body.due(),
            Self::Nothing | Self::Queue(_) => None,
        }
    }
}

/// Responds to a request that `arrived` then; `None` while it takes a quorum, or something that is still to happen.
pub(super) fn answer(
    shared: &Arc<EtcdShared>,
    core: &mut EtcdCore,
    request: &Incoming<'_>,
    path: &[u8],
    arrived: u64,
    pending: &mut Pending,
) -> Option<Response> {
    let response = make_call(shared, core, request, path, arrived, pending)?;
    if let Some(route) = Route::find(path, core.cluster.profile) {
        let code = match response.extensions().get() {
            Some(&EtcdCode(code)) => Some(code),
            None => (response.status().is_success() && !route.is_open()).then_some(0),
        };
        if let Some(code) = code {
            core.calls.count(request.endpoint, route.name(), code);
        }
    }
    Some(response)
}

/// How many nanoseconds a call may take, by its head. What is malformed is answered at once.
pub(super) fn timeout(head: &request::Parts) -> Option<u64> {
    let is_gateway = head.uri.path().starts_with("/v3");
    let timeout = limits::timeout(&head.headers).ok().flatten()?;
    u64::try_from(timeout).ok().filter(|_| is_gateway)
}

/// The response when the time is over. 3.5 tells the caller of a stream that has not begun as it tells one that has.
pub(super) fn time_out(profile: Profile, pending: &Pending) -> Response {
    let error = GatewayError::deadline_exceeded();
    match (profile, pending) {
        (Profile::V3_5, Pending::Stream(_)) => error.stream_response(profile),
        _ => error.response(profile),
    }
}

fn make_call(
    shared: &Arc<EtcdShared>,
    core: &mut EtcdCore,
    request: &Incoming<'_>,
    path: &[u8],
    arrived: u64,
    pending: &mut Pending,
) -> Option<Response> {
    match std::mem::take(pending) {
        Pending::Stream(body) => return stream::begin(core, body, pending),
        Pending::Queue(wait) => return queue::go_on(core, wait, pending),
        Pending::Nothing => {}
    }
    let profile = core.cluster.profile;
    let Some(route) = Route::find(path, profile) else {
        return Some(not_found(profile, request.method));
    };
    if request.method != Method::POST {
        return Some(not_allowed(profile, request.method));
    }
    let limits = match Limits::read(request.headers, arrived) {
        Ok(limits) => limits,
        Err(error) => return Some(error.response(profile)),
    };
    match route {
        Route::Unary(call) => call::answer(core, request, limits, call),
        Route::Stream(Stream::KeepAlive) => keep_alive::answer(core, request, limits),
        Route::Stream(Stream::Watch) => watch::open(shared, core, request, limits, pending),
        Route::Stream(Stream::Observe) => observe::open(shared, core, request, limits, pending),
        Route::Stream(Stream::Snapshot) => Some(stream::snapshot(core, request, limits)),
        Route::Lock => queue::begin(shared, core, request, limits, pending, |call, request| {
            call.enter_lock(&request)
        }),
        Route::Campaign => queue::begin(shared, core, request, limits, pending, |call, request| {
            call.enter_campaign(&request)
        }),
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

/// The call of a request, in the name of the user whose token it has.
fn call_of<'a>(core: &'a mut EtcdCore, request: &Incoming<'_>) -> Call<'a> {
    Call {
        cluster: &mut core.cluster,
        endpoint: request.endpoint,
        timed_out: request.timed_out,
        credentials: credentials(request.headers),
    }
}

/// The token of a request, in one of the headers that the gateway passes on.
fn credentials(headers: &HeaderMap) -> Credentials {
    let value = header(headers, "grpc-metadata-token")
        .or_else(|| header(headers, "authorization"))
        .or_else(|| header(headers, "grpc-metadata-authorization"));
    let token = value.map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned());
    Credentials::of_token(token)
}

/// The first value of a header. To compare the few names of a request is faster than a lookup, which parses and hashes.
fn header<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a HeaderValue> {
    let mut headers = headers.iter();
    let found = headers.find(|(other, _)| other.as_str() == name);
    found.map(|(_, value)| value)
}
