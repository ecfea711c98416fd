use std::collections::VecDeque;

use etcd_transport::{Body, Response};

use super::{
    body::Lines,
    call_of,
    error::GatewayError,
    limits::Limits,
    read::Messages,
    stream::{empty_head, head, line},
};
use crate::{
    profile::Profile,
    state::EtcdCore,
    v2::api::Incoming,
    v3::{api::Failure, message::lease::LeaseKeepAliveRequest},
};

/// Renews the leases of all messages in the body, and ends.
pub(super) fn answer(
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
