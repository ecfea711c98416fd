use etcd_transport::{Body, Response};
use http::Method;

use super::{GRPC, METADATA, call_of, error::GatewayError, limits::Limits, read};
use crate::{
    front::unary::{self, Codec, Problem, Unary, max_message},
    go::reply::Reply,
    profile::Profile,
    state::EtcdCore,
    v2::api::Incoming,
    v3::{
        api::{Call, Failure},
        error::V3Error,
        message::{Message, proto, write},
    },
};

/// Executes a call with one request and one response; `None` while it takes a quorum.
pub(super) fn answer(
    core: &mut EtcdCore,
    request: &Incoming<'_>,
    limits: Limits,
    call: Unary,
) -> Option<Response> {
    let profile = core.cluster.profile;
    let mut context = call_of(core, request);
    let json = Json {
        body: request.body,
        profile,
        limits,
        max_message: max_message(context.cluster),
    };
    match unary::answer(&mut context, &json, call) {
        Ok(json) => Some(success(profile, json)),
        Err(Problem::Front(error)) => Some(error.response(profile)),
        Err(Problem::Call(Failure::Refused(error))) => {
            Some(GatewayError::from(error).response(profile))
        }
        Err(Problem::Call(Failure::Blocked)) => None,
    }
}

/// A body of JSON, and the spelling of the response.
struct Json<'a> {
    body: &'a [u8],
    profile: Profile,
    limits: Limits,
    max_message: usize,
}

impl Codec for Json<'_> {
    type Error = GatewayError;

    fn decode<M: Message + Default>(&self) -> Result<M, GatewayError> {
        let request: M = read::message(self.body, self.profile)?;
        // Protobuf is never longer than JSON, so that a short text needs no measuring.
        if self.body.len() > self.max_message {
            let length = proto::encode(&request).len();
            if length > self.max_message {
                return Err(V3Error::message_too_large(length, self.max_message).into());
            }
        }
        Ok(request)
    }

    fn admit(&self, call: &Call<'_>, is_for_learners: bool) -> Result<(), GatewayError> {
        self.limits.check(call, is_for_learners)
    }

    fn encode(&self, message: &dyn Message) -> Vec<u8> {
        write::json(message, self.profile, false)
    }
}

pub(super) fn success(profile: Profile, json: Vec<u8>) -> Response {
    let mut reply = Reply::new().json();
    reply.headers.insert(METADATA, GRPC);
    reply.body = json;
    let response = match profile {
        Profile::V3_4 => reply.finish(&Method::POST),
        // The second version of the gateway always announces the length.
        Profile::V3_5 => reply.finish_with_length(),
    };
    response.map(Body::from)
}
