use std::sync::Arc;

use etcd_transport::Response;

use super::{
    Pending, call::success, call_of, credentials, error::GatewayError, limits::Limits, read,
};
use crate::{
    front::queue::{self, Arrival, Turn, Wait},
    state::{EtcdCore, EtcdShared},
    v2::api::Incoming,
    v3::{
        api::{
            Answered, Call, Failure,
            queue::{Acquired, Ticket},
        },
        message::{Message, write},
    },
};

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
    let message = match read::message(request.body, profile) {
        Ok(message) => message,
        Err(error) => return Some(error.response(profile)),
    };
    let arrival = Arrival {
        endpoint: request.endpoint,
        timed_out: request.timed_out,
        credentials: credentials(request.headers),
        id: request.watch_id,
    };
    let call = call_of(core, request);
    if let Err(error) = limits.check(&call, false) {
        return Some(error.response(profile));
    }
    match queue::begin(shared, core, arrival, |call| enter(call, message)) {
        Turn::Own(result) => answer(core, result),
        Turn::Other(wait) => {
            *pending = Pending::Queue(wait);
            None
        }
    }
}

/// Responds if no earlier candidate is left.
pub(super) fn go_on(
    core: &mut EtcdCore,
    mut wait: Box<Wait>,
    pending: &mut Pending,
) -> Option<Response> {
    let turn = queue::go_on(core, &mut wait);
    *pending = Pending::Queue(wait);
    answer(core, turn?)
}

fn answer(core: &EtcdCore, result: Result<Acquired, Failure>) -> Option<Response> {
    let profile = core.cluster.profile;
    match result {
        Ok(acquired) => {
            let json = write::json(acquired.message(), profile, false);
            Some(success(profile, json))
        }
        Err(Failure::Blocked) => None,
        Err(Failure::Refused(error)) => Some(GatewayError::from(error).response(profile)),
    }
}
