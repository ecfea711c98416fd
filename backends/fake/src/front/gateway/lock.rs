use std::sync::Arc;

use etcd_transport::Response;

use super::{Pending, error::GatewayError, read, stream::WatchBody, unary::success};
use crate::{
    cluster::exchanges::ExchangeId,
    state::{EtcdCore, EtcdShared},
    v2::api::Incoming,
    v3::{
        api::{Answered, Call, Failure, lock::Ticket},
        message::{
            kv::DeleteRangeRequest,
            lock::{LockRequest, LockResponse},
            watch::{FilterType, WatchCreateRequest, WatchRequest},
            write,
        },
    },
};

/// A lock that is waited for. Who goes away before it comes leaves the queue.
pub(in crate::front) struct LockWait {
    ticket: Ticket,
    /// Wakes the call whenever somebody leaves the queue.
    watch: WatchBody,
    is_in_queue: bool,
}

impl LockWait {
    pub(super) fn id(&self) -> ExchangeId {
        self.watch.id()
    }
}

impl Drop for LockWait {
    fn drop(&mut self) {
        if !self.is_in_queue {
            return;
        }
        let endpoint = self.watch.endpoint();
        let key = self.ticket.key.clone();
        self.watch.shared().with(|core| {
            let delete = DeleteRangeRequest {
                key,
                ..DeleteRangeRequest::default()
            };
            if core.cluster.can_commit() {
                // Its only error is an empty key.
                let _ = core.cluster.propose(endpoint, delete);
            } else {
                core.cluster.postpone(delete);
            }
        });
    }
}

/// Enters the queue, and answers if nobody is before.
pub(super) fn begin(
    shared: &Arc<EtcdShared>,
    core: &mut EtcdCore,
    request: &Incoming<'_>,
    pending: &mut Pending,
) -> Option<Response> {
    let profile = core.cluster.profile;
    let (endpoint, timed_out) = (request.endpoint, request.timed_out);
    let message: LockRequest = match read::message(request.body, profile) {
        Ok(message) => message,
        Err(error) => return Some(error.response(profile)),
    };
    let mut call = call(core, endpoint, timed_out);
    let mut ticket = match call.enter_lock(&message) {
        Ok(ticket) => ticket,
        Err(failure) => return answer(core, Err(failure)),
    };
    if let Some(response) = ticket.take_response() {
        return answer(core, Ok(Some(response)));
    }
    let watch = WatchBody::open(shared, core, request.watch_id, endpoint);
    let create = WatchRequest {
        create_request: Some(WatchCreateRequest {
            key: ticket.prefix.clone(),
            range_end: ticket.end(),
            filters: vec![FilterType::NOPUT],
            ..WatchCreateRequest::default()
        }),
        ..WatchRequest::default()
    };
    let store = &mut core.cluster.local(endpoint).v3;
    (store.watches).request(watch.id(), &create, &store.mvcc, profile);
    let wait = LockWait {
        ticket,
        watch,
        is_in_queue: true,
    };
    go_on(core, wait, pending)
}

/// Answers if nobody is left who came earlier.
pub(super) fn go_on(
    core: &mut EtcdCore,
    mut wait: LockWait,
    pending: &mut Pending,
) -> Option<Response> {
    let endpoint = wait.watch.endpoint();
    let watches = &mut core.cluster.local(endpoint).v3.watches;
    while watches.take(wait.id()).is_some() {}
    let answered = call(core, endpoint, false).continue_lock(&wait.ticket);
    let response = answer(core, answered);
    if response.is_some() {
        wait.is_in_queue = false;
    }
    *pending = Pending::Lock(wait);
    response
}

fn call(core: &mut EtcdCore, endpoint: usize, timed_out: bool) -> Call<'_> {
    Call {
        cluster: &mut core.cluster,
        endpoint,
        timed_out,
    }
}

fn answer(core: &EtcdCore, answered: Answered<Option<LockResponse>>) -> Option<Response> {
    let profile = core.cluster.profile;
    match answered {
        Ok(Some(response)) => Some(success(profile, write::json(&response, profile, false))),
        Ok(None) | Err(Failure::Blocked) => None,
        Err(Failure::Refused(error)) => Some(GatewayError::from(error).response(profile)),
    }
}
