use std::{
    collections::VecDeque,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use bytes::Bytes;
use etcd_transport::{Body, Response, TransportError};
use http::{HeaderValue, header::CONTENT_TYPE};
use http_body::Frame;

use super::{Pending, body::Lines, error::GatewayError, limits::Limits, read::Messages, token};
use crate::{
    cluster::{core::ServerRun, exchanges::ExchangeId},
    go::reply::Reply,
    profile::Profile,
    state::{EtcdCore, EtcdShared},
    v2::api::Incoming,
    v3::{
        api::{Call, Failure, fill_ids},
        error::V3Error,
        message::{
            Message,
            lease::LeaseKeepAliveRequest,
            watch::{WatchRequest, WatchResponse},
            write,
        },
    },
};

/// Renews the leases of all messages in the body, and ends.
pub(super) fn keep_alive(
    core: &mut EtcdCore,
    request: &Incoming<'_>,
    limits: Limits,
) -> Option<Response> {
    let profile = core.cluster.profile;
    let mut call = Call {
        cluster: &mut core.cluster,
        endpoint: request.endpoint,
        timed_out: request.timed_out,
        token: token(request.headers),
    };
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
    let mut call = Call {
        cluster: &mut core.cluster,
        endpoint: request.endpoint,
        timed_out: request.timed_out,
        token: token(request.headers),
    };
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
    let call = Call {
        cluster: &mut core.cluster,
        endpoint: request.endpoint,
        timed_out: request.timed_out,
        token: token(request.headers),
    };
    if limits.is_expired {
        return Some(GatewayError::deadline_exceeded().response(profile));
    }
    if let Err(error) = limits.check(&call, false) {
        return Some(error.stream_response(profile));
    }
    let body = WatchBody::open(shared, core, request.watch_id, request.endpoint);
    let mut call = Call {
        cluster: &mut core.cluster,
        endpoint: request.endpoint,
        timed_out: request.timed_out,
        token: token(request.headers),
    };
    let caller = call.caller();
    let at = core.cluster.moment();
    let store = &mut core.cluster.local(request.endpoint).v3;
    for request in &requests {
        if let Some(create) = &request.create_request {
            let permitted = caller.as_ref().map_err(V3Error::clone).and_then(|caller| {
                store
                    .auth
                    .check_watch(caller, &create.key, &create.range_end)
            });
            if let Err(error) = permitted {
                let reason = error.reason();
                store.watches.refuse(body.id, &reason, &store.mvcc);
                continue;
            }
        }
        (store.watches).request(body.id, request, &store.mvcc, at);
    }
    begin_watch(core, body, limits, pending)
}

/// Begins the response if there is a message. Without one there is no head.
pub(super) fn begin_watch(
    core: &mut EtcdCore,
    body: WatchBody,
    limits: Limits,
    pending: &mut Pending,
) -> Option<Response> {
    let watches = &core.cluster.local(body.endpoint).v3.watches;
    if watches.has_message(body.id) {
        let (shared, endpoint) = (Arc::clone(&body.shared), body.endpoint);
        let body = limits.apply(body, &shared, endpoint, core.cluster.profile);
        return Some(head().map(|()| Body::stream(body)));
    }
    *pending = Pending::Watch(body);
    None
}

/// The messages of a stream of watches.
pub(in crate::front) struct WatchBody {
    shared: Arc<EtcdShared>,
    id: ExchangeId,
    endpoint: usize,
    server_run: ServerRun,
    has_ended: bool,
}

impl WatchBody {
    pub(super) fn open(
        shared: &Arc<EtcdShared>,
        core: &mut EtcdCore,
        id: ExchangeId,
        endpoint: usize,
    ) -> Self {
        core.exchanges.open(id, endpoint);
        let now = core.cluster.now;
        core.cluster.local(endpoint).v3.watches.open(id, now);
        Self {
            shared: Arc::clone(shared),
            id,
            endpoint,
            server_run: core.server_run(endpoint),
            has_ended: false,
        }
    }

    pub(super) fn endpoint(&self) -> usize {
        self.endpoint
    }

    pub(super) fn shared(&self) -> &Arc<EtcdShared> {
        &self.shared
    }

    pub(super) fn server_run(&self) -> ServerRun {
        self.server_run
    }

    pub(super) fn id(&self) -> ExchangeId {
        self.id
    }
}

impl http_body::Body for WatchBody {
    type Data = Bytes;
    type Error = TransportError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, TransportError>>> {
        let this = &mut *self;
        if this.has_ended {
            return Poll::Ready(None);
        }
        let shared = Arc::clone(&this.shared);
        let server = (this.endpoint, this.server_run);
        let line = shared.with(|core| {
            core.poll_exchange(this.id, server, cx, |core| {
                let watches = &mut core.cluster.local(this.endpoint).v3.watches;
                let message = watches.take(this.id)?;
                Some(watch_line(core, this.endpoint, message))
            })
        });
        let frame = std::task::ready!(line).map(|line| Frame::data(line.into()));
        this.has_ended = frame.is_err();
        Poll::Ready(Some(frame))
    }

    fn is_end_stream(&self) -> bool {
        self.has_ended
    }
}

impl Drop for WatchBody {
    fn drop(&mut self) {
        self.shared.with(|core| {
            core.close_exchange(self.id);
            core.cluster.local(self.endpoint).v3.watches.close(self.id);
            core.time.note_activity();
            core.wake_next_candidate();
        });
    }
}

fn watch_line(core: &EtcdCore, endpoint: usize, mut message: WatchResponse) -> Vec<u8> {
    let header = message.header.get_or_insert_default();
    fill_ids(&core.cluster, endpoint, header);
    line(&message, core.cluster.profile)
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
