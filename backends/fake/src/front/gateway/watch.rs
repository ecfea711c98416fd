use std::sync::Arc;

use etcd_transport::Response;

use super::{
    Pending, call_of,
    error::GatewayError,
    limits::Limits,
    read::Messages,
    stream::{Output, Source, StreamBody, begin, line},
};
use crate::{
    cluster::exchanges::ExchangeId,
    front::{
        counter::WATCH,
        subscription::{self, take_message},
    },
    profile::Profile,
    state::{EtcdCore, EtcdShared},
    v2::api::Incoming,
    v3::message::watch::WatchRequest,
};

/// The messages of a stream of watches.
struct Watch;

impl Source for Watch {
    fn next(&mut self, core: &mut EtcdCore, endpoint: usize, id: ExchangeId, _: bool) -> Output {
        match take_message(core, endpoint, id) {
            Some(message) => Output::Line(line(&message, core.cluster.profile)),
            None => Output::Nothing,
        }
    }
}

/// Opens a stream of watches and does what its requests ask. The body was read to its end: nothing is asked later.
pub(super) fn open(
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
    let body = StreamBody::open(shared, core, request, limits, WATCH, Watch);
    let mut call = call_of(core, request);
    for message in &requests {
        subscription::request(&mut call, request.watch_id, message);
    }
    begin(core, body, pending)
}
