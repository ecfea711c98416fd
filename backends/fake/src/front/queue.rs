//! Locks and campaigns: calls whose only response may be long in coming.

use std::sync::Arc;

use super::subscription::Subscription;
use crate::{
    cluster::exchanges::ExchangeId,
    state::{EtcdCore, EtcdShared},
    v3::{
        api::{
            Answered, Call, Failure,
            queue::{Acquired, Ticket},
        },
        auth::Credentials,
        message::{
            kv::DeleteRangeRequest,
            watch::{FilterType, WatchCreateRequest, WatchRequest},
        },
    },
};

/// A place in a queue. Dropping it before its turn leaves the queue.
pub(super) struct Wait {
    ticket: Ticket,
    credentials: Credentials,
    /// Wakes the call whenever somebody leaves the queue.
    subscription: Subscription,
    is_in_queue: bool,
}

/// Whose turn it is.
pub(super) enum Turn {
    /// The caller's, or the call has failed.
    Own(Result<Acquired, Failure>),
    Other(Box<Wait>),
}

/// A call that has reached a member.
pub(super) struct Arrival {
    pub(super) endpoint: usize,
    pub(super) timed_out: bool,
    pub(super) credentials: Credentials,
    /// The exchange that a wait opens.
    pub(super) id: ExchangeId,
}

impl Wait {
    pub(super) fn id(&self) -> ExchangeId {
        self.subscription.id()
    }
}

impl Drop for Wait {
    fn drop(&mut self) {
        if !self.is_in_queue {
            return;
        }
        let endpoint = self.subscription.endpoint();
        let delete = DeleteRangeRequest {
            key: self.ticket.key.clone(),
            ..DeleteRangeRequest::default()
        };
        self.subscription.shared().with(|core| {
            let mut call = call_of(core, endpoint, Credentials::default());
            // Without a quorum, the deletion happens when there is one.
            call.timed_out = true;
            // With auth, it is refused: the server deletes the key as no user.
            let _ = call.delete_range(delete);
        });
    }
}

/// Enters a queue.
pub(super) fn begin(
    shared: &Arc<EtcdShared>,
    core: &mut EtcdCore,
    arrival: Arrival,
    enter: impl FnOnce(&mut Call<'_>) -> Answered<Ticket>,
) -> Turn {
    let endpoint = arrival.endpoint;
    let credentials = arrival.credentials;
    let mut call = Call {
        cluster: &mut core.cluster,
        endpoint,
        timed_out: arrival.timed_out,
        credentials: credentials.clone(),
    };
    let ticket = match enter(&mut call) {
        Ok(ticket) => ticket,
        Err(failure) => return Turn::Own(Err(failure)),
    };
    match call_of(core, endpoint, credentials.clone()).acquire(&ticket, false) {
        Ok(Some(acquired)) => return Turn::Own(Ok(acquired)),
        Ok(None) | Err(Failure::Blocked) => {}
        Err(failure) => return Turn::Own(Err(failure)),
    }
    let subscription = Subscription::open(shared, core, arrival.id, endpoint);
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
    (store.watches).request(subscription.id(), &create, &store.mvcc, at);
    let is_in_queue = true;
    Turn::Other(Box::new(Wait {
        ticket,
        credentials,
        subscription,
        is_in_queue,
    }))
}

/// Looks again whether an earlier candidate is left.
pub(super) fn go_on(core: &mut EtcdCore, wait: &mut Wait) -> Option<Result<Acquired, Failure>> {
    let endpoint = wait.subscription.endpoint();
    let watches = &mut core.cluster.local(endpoint).v3.watches;
    while watches.take(wait.id()).is_some() {}
    let turn = match call_of(core, endpoint, wait.credentials.clone()).acquire(&wait.ticket, true) {
        Ok(None) | Err(Failure::Blocked) => return None,
        Ok(Some(acquired)) => Ok(acquired),
        Err(failure) => Err(failure),
    };
    wait.is_in_queue = false;
    Some(turn)
}

/// A call of the server's own, which waits for a quorum as long as it takes.
fn call_of(core: &mut EtcdCore, endpoint: usize, credentials: Credentials) -> Call<'_> {
    Call {
        cluster: &mut core.cluster,
        endpoint,
        timed_out: false,
        credentials,
    }
}
