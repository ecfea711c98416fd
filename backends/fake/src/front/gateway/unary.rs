use etcd_transport::{Body, Response};
use http::{HeaderValue, Method, header::CONTENT_LENGTH};

use super::{error::GatewayError, limits::Limits, read, route::Unary, token};
use crate::{
    go::reply::Reply,
    profile::Profile,
    state::EtcdCore,
    v2::api::Incoming,
    v3::{
        api::{Answered, Call, Failure},
        error::V3Error,
        message::{
            Message,
            auth::{
                AuthDisableRequest, AuthEnableRequest, AuthRoleAddRequest, AuthRoleDeleteRequest,
                AuthRoleGrantPermissionRequest, AuthRoleRevokePermissionRequest,
                AuthUserDeleteRequest, AuthUserGrantRoleRequest, AuthUserRevokeRoleRequest,
            },
            kv::RangeRequest,
            proto, write,
        },
    },
};

/// How much larger than the largest entry a message may be.
const MESSAGE_OVERHEAD: usize = 512 << 10;

/// Answers a call with one request and one response; `None` while it takes a quorum.
pub(super) fn answer(
    core: &mut EtcdCore,
    request: &Incoming<'_>,
    limits: Limits,
    call: Unary,
) -> Option<Response> {
    let profile = core.cluster.profile;
    let call_context = Call {
        cluster: &mut core.cluster,
        endpoint: request.endpoint,
        timed_out: request.timed_out,
        token: token(request.headers),
    };
    let context = &mut Context {
        call: call_context,
        limits,
    };
    let body = request.body;
    let answered = match call {
        Unary::Range => run_for(
            context,
            body,
            |request: &RangeRequest| request.serializable,
            |call, request| call.range(&request),
        ),
        Unary::Put => run(context, body, Call::put),
        Unary::DeleteRange => run(context, body, Call::delete_range),
        Unary::Txn => run(context, body, Call::txn),
        Unary::Compact => run(context, body, Call::compact),
        Unary::LeaseGrant => run(context, body, |call, request| call.grant(&request)),
        Unary::LeaseRevoke => run(context, body, Call::revoke),
        Unary::LeaseTimeToLive => run(context, body, |call, request| call.time_to_live(&request)),
        Unary::LeaseLeases => run(context, body, Call::leases),
        Unary::HashKv => run(context, body, |call, request| call.hash_kv(&request)),
        Unary::Unlock => run(context, body, Call::unlock),
        Unary::Proclaim => run(context, body, Call::proclaim),
        Unary::Resign => run(context, body, Call::resign),
        Unary::Leader => run(context, body, |call, request| call.leader(&request)),
        Unary::AuthStatus => run(context, body, Call::auth_status),
        Unary::Authenticate => run(context, body, |call, request| call.authenticate(&request)),
        Unary::AuthEnable => run(context, body, Call::write_auth::<AuthEnableRequest>),
        Unary::AuthDisable => run(context, body, Call::write_auth::<AuthDisableRequest>),
        Unary::UserAdd => run(context, body, Call::user_add),
        Unary::UserGet => run(context, body, |call, request| call.user_get(&request)),
        Unary::UserList => run(context, body, Call::user_list),
        Unary::UserDelete => run(context, body, Call::write_auth::<AuthUserDeleteRequest>),
        Unary::UserChangePassword => run(context, body, Call::user_change_password),
        Unary::UserGrant => run(context, body, Call::write_auth::<AuthUserGrantRoleRequest>),
        Unary::UserRevoke => run(context, body, Call::write_auth::<AuthUserRevokeRoleRequest>),
        Unary::RoleAdd => run(context, body, Call::write_auth::<AuthRoleAddRequest>),
        Unary::RoleGet => run(context, body, |call, request| call.role_get(&request)),
        Unary::RoleList => run(context, body, Call::role_list),
        Unary::RoleDelete => run(context, body, Call::write_auth::<AuthRoleDeleteRequest>),
        Unary::RoleGrant => run(
            context,
            body,
            Call::write_auth::<AuthRoleGrantPermissionRequest>,
        ),
        Unary::RoleRevoke => run(
            context,
            body,
            Call::write_auth::<AuthRoleRevokePermissionRequest>,
        ),
        Unary::Alarm => run(context, body, Call::alarm),
        Unary::Hash => run(context, body, Call::hash),
        Unary::MoveLeader => run(context, body, |call, request| call.move_leader(&request)),
        Unary::MemberAdd => run(context, body, Call::member_add),
        Unary::MemberPromote => run(context, body, |call, request| call.member_promote(&request)),
        Unary::Downgrade => run(context, body, |call, request| call.downgrade(&request)),
        Unary::MemberRemove => run(context, body, |call, request| call.member_remove(&request)),
        Unary::MemberUpdate => run(context, body, Call::member_update),
        Unary::MemberList => run(context, body, |call, request| call.member_list(&request)),
        Unary::Defragment => run(context, body, Call::defragment),
        Unary::Status => run_for(context, body, |_| true, Call::status),
    };
    match answered {
        Ok(json) => Some(success(profile, json)),
        Err(Problem::Gateway(error)) => Some(error.response(profile)),
        Err(Problem::Call(Failure::Refused(error))) => {
            Some(GatewayError::from(error).response(profile))
        }
        Err(Problem::Call(Failure::Blocked)) => None,
    }
}

/// Why there is no response.
enum Problem {
    /// The gateway has not understood the request.
    Gateway(GatewayError),
    Call(Failure),
}

/// A call, and what its caller demands.
struct Context<'a> {
    call: Call<'a>,
    limits: Limits,
}

/// Decodes the request, makes the call, and encodes the response.
fn run<'a, Request, Answer>(
    context: &mut Context<'a>,
    body: &[u8],
    call: impl FnOnce(&mut Call<'a>, Request) -> Answered<Answer>,
) -> Result<Vec<u8>, Problem>
where
    Request: Message + Default,
    Answer: Message,
{
    run_for(context, body, |_| false, call)
}

/// Does the same for a call that a learner serves if the request `is_for_learners`.
fn run_for<'a, Request, Answer>(
    context: &mut Context<'a>,
    body: &[u8],
    is_for_learners: impl FnOnce(&Request) -> bool,
    call: impl FnOnce(&mut Call<'a>, Request) -> Answered<Answer>,
) -> Result<Vec<u8>, Problem>
where
    Request: Message + Default,
    Answer: Message,
{
    let profile = context.call.cluster.profile;
    let request: Request = read::message(body, profile).map_err(Problem::Gateway)?;
    // Protobuf is never longer than JSON, so that a short text needs no measuring.
    let max_message = context.call.cluster.state.sizes.max_entry + MESSAGE_OVERHEAD;
    if body.len() > max_message {
        let length = proto::encode(&request).len();
        if length > max_message {
            let error = V3Error::message_too_large(length, max_message);
            return Err(Problem::Call(Failure::Refused(error)));
        }
    }
    let is_for_learners = is_for_learners(&request);
    let admitted = context.limits.check(&context.call, is_for_learners);
    admitted.map_err(Problem::Gateway)?;
    let answer = call(&mut context.call, request).map_err(Problem::Call)?;
    Ok(write::json(&answer, profile, false))
}

pub(super) fn success(profile: Profile, json: Vec<u8>) -> Response {
    let mut reply = Reply::new().json();
    let grpc = HeaderValue::from_static("application/grpc");
    reply.headers.insert("grpc-metadata-content-type", grpc);
    reply.body = json;
    let length = reply.body.len();
    let mut response = reply.finish(&Method::POST);
    if profile == Profile::V3_5 {
        // The second version of the gateway always announces the length.
        let headers = response.headers_mut();
        headers.remove(http::header::TRANSFER_ENCODING);
        headers.insert(CONTENT_LENGTH, length.into());
    }
    response.map(Body::from)
}
