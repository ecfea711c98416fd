use std::sync::Arc;

use etcd_transport::Response;

use super::{
    Pending, error::GatewayError, limits::Limits, read, stream::WatchBody, token, unary::success,
};
use crate::{
    cluster::exchanges::ExchangeId,
    state::{EtcdCore, EtcdShared},
    v2::api::Incoming,
    v3::{
        api::{
            Answered, Call, Failure,
            queue::{Acquired, Ticket},
        },
        message::{
            Message,
            kv::DeleteRangeRequest,
            watch::{FilterType, WatchCreateRequest, WatchRequest},
            write,
        },
    },
};

/// A place in a queue. Dropping it before its turn leaves the queue.
pub(in crate::front) struct Wait {
    ticket: Ticket,
    token: Option<String>,
    /// Wakes the call whenever somebody leaves the queue.
    watch: WatchBody,
    is_in_queue: bool,
}

impl Wait {
    pub(super) fn id(&self) -> ExchangeId {
        self.watch.id()
    }
}

impl Drop for Wait {
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
            if core.cluster.can_commit_at(endpoint) {
                // A deletion has no error.
                let _ = core.cluster.propose(endpoint, delete);
            } else {
                core.cluster.postpone(endpoint, delete);
            }
        });
    }
}

/// Enters a queue, and responds if the queue was empty.
pub(super) fn begin<M: Message + Default>(
    shared: &Arc<EtcdShared>,
    core: &mut EtcdCore,
    request: &Incoming<'_>,
    limits: Limits,
    pending: &mut Pending,
    enter: impl FnOnce(&mut Call<'_>, M) -> Answered<Ticket>,
) -> Option<Response> {
    let profile = core.cluster.profile;
    let endpoint = request.endpoint;
    let message = match read::message(request.body, profile) {
        Ok(message) => message,
        Err(error) => return Some(error.response(profile)),
    };
    let mut call = Call {
        cluster: &mut core.cluster,
        endpoint,
        timed_out: request.timed_out,
        token: token(request.headers),
    };
    if let Err(error) = limits.check(&call, false) {
        return Some(error.response(profile));
    }
    let entered = enter(&mut call, message);
    let ticket = match entered {
        Ok(ticket) => ticket,
        Err(failure) => return answer(core, Err(failure)),
    };
    let acquired = call_of(core, endpoint, token(request.headers)).acquire(&ticket, false);
    let response = answer(core, acquired);
    if response.is_some() {
        return response;
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
    let at = core.cluster.moment();
    let store = &mut core.cluster.local(endpoint).v3;
    (store.watches).request(watch.id(), &create, &store.mvcc, at);
    let is_in_queue = true;
    *pending = Pending::Queue(Box::new(Wait {
        ticket,
        token: token(request.headers),
        watch,
        is_in_queue,
    }));
    None
}

/// Responds if no earlier candidate is left.
pub(super) fn go_on(
    core: &mut EtcdCore,
    mut wait: Box<Wait>,
    pending: &mut Pending,
) -> Option<Response> {
    let endpoint = wait.watch.endpoint();
    let watches = &mut core.cluster.local(endpoint).v3.watches;
    while watches.take(wait.id()).is_some() {}
    let acquired = call_of(core, endpoint, wait.token.clone()).acquire(&wait.ticket, true);
    let response = answer(core, acquired);
    wait.is_in_queue = response.is_none();
    *pending = Pending::Queue(wait);
    response
}

/// A call of the server's own, which waits for a quorum as long as it takes.
fn call_of(core: &mut EtcdCore, endpoint: usize, token: Option<String>) -> Call<'_> {
    Call {
        cluster: &mut core.cluster,
        endpoint,
        timed_out: false,
        token,
    }
}

fn answer(core: &EtcdCore, acquired: Answered<Option<Acquired>>) -> Option<Response> {
    let profile = core.cluster.profile;
    match acquired {
        Ok(Some(acquired)) => {
            let json = write::json(acquired.message(), profile, false);
            Some(success(profile, json))
        }
        Ok(None) | Err(Failure::Blocked) => None,
        Err(Failure::Refused(error)) => Some(GatewayError::from(error).response(profile)),
    }
}
