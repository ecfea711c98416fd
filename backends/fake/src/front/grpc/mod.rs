//! The v3 API over gRPC: HTTP/2, messages of protobuf with a prefix of five bytes, and a status in the trailers. What
//! grpc-go refuses before etcd sees it is refused in the same words.
//!
//! A call with one request is answered when its message has arrived. A stream is a body that owns the body of the request:
//! polling it first reads requests, then yields messages. Its head travels with the first of them.

mod call;
mod frames;
mod head;
mod health;
mod keep_alive;
mod method;
mod observe;
mod shown;
mod status;
mod stream;
mod watch;

use std::sync::Arc;

use etcd_transport::{Request, Response, TransportError};
use http::Version;

#[cfg(feature = "serve")]
pub(super) use self::{frames::frame, status::StreamReset};

use self::{
    call::{GrpcCall, Plan},
    frames::Messages,
    head::{Head, HeadError},
    method::Method,
};
use super::{exchange, unary::max_message};
use crate::state::EtcdShared;

/// Takes in the head of a request over HTTP/2.
pub(super) fn begin(shared: &Arc<EtcdShared>, request: Request) -> GrpcCall {
    let (parts, body) = request.into_parts();
    let (profile, max_message) =
        shared.look(|core| (core.cluster.profile, max_message(&core.cluster)));
    let (head, method) = match Head::read(&parts, profile) {
        Ok(head) => {
            let method = Method::find(&parts.uri, &head, profile);
            (head, method.map_err(HeadError::Status))
        }
        Err(error) => (Head::default(), Err(error)),
    };
    let plan = match method {
        Ok(Method::Stream(stream)) => Plan::Stream(stream, Some(Messages::new(body, max_message))),
        Ok(Method::Unary(unary)) => Plan::Unread(unary, Messages::new(body, max_message)),
        Err(HeadError::Status(status)) => Plan::Refused(status),
        Err(HeadError::Reset) => Plan::Reset,
    };
    GrpcCall::new(parts, head, plan, profile)
}

/// Reads the message of a call, and responds to it.
pub(super) async fn answer(
    shared: &Arc<EtcdShared>,
    mut call: GrpcCall,
) -> Result<Response, TransportError> {
    call.read().await?;
    let mut response = exchange::answer(shared, &mut call).await?;
    *response.version_mut() = Version::HTTP_2;
    Ok(response)
}
