//! Calls with one request and one response, whatever the front.

use crate::v3::{
    api::{Answered, Call, Failure},
    message::{
        Message,
        auth::{
            AuthDisableRequest, AuthEnableRequest, AuthRoleAddRequest, AuthRoleDeleteRequest,
            AuthRoleGrantPermissionRequest, AuthRoleRevokePermissionRequest, AuthUserDeleteRequest,
            AuthUserGrantRoleRequest, AuthUserRevokeRoleRequest,
        },
    },
};

/// The largest message that etcd takes: the largest entry, and half a mebibyte.
pub(super) const MAX_MESSAGE: usize = 2 << 20;

/// Calls with one request and one response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unary {
    Range,
    Put,
    DeleteRange,
    Txn,
    Compact,
    LeaseGrant,
    LeaseRevoke,
    LeaseTimeToLive,
    LeaseLeases,
    HashKv,
    Unlock,
    Proclaim,
    Resign,
    Leader,
    AuthStatus,
    UserRevoke,
    UserList,
    UserGrant,
    UserGet,
    UserDelete,
    UserChangePassword,
    UserAdd,
    RoleRevoke,
    RoleList,
    RoleGrant,
    RoleGet,
    RoleDelete,
    RoleAdd,
    AuthEnable,
    AuthDisable,
    Authenticate,
    MemberList,
    MemberUpdate,
    MemberRemove,
    MemberAdd,
    Defragment,
    Status,
    Alarm,
    Hash,
    MoveLeader,
}

/// How a front reads a request and writes a response.
pub(super) trait Codec {
    /// Why a request cannot be read.
    type Error;

    fn decode<M: Message + Default>(&self) -> Result<M, Self::Error>;

    fn encode(&self, message: &dyn Message) -> Vec<u8>;
}

/// Why there is no response.
pub(super) enum Problem<E> {
    /// The front has not understood the request.
    Front(E),
    Call(Failure),
}

/// Decodes the request, makes the call, and encodes the response.
pub(super) fn answer<C: Codec>(
    context: &mut Call<'_>,
    body: &C,
    call: Unary,
) -> Result<Vec<u8>, Problem<C::Error>> {
    match call {
        Unary::Range => run(context, body, |call, request| call.range(&request)),
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
        Unary::MemberRemove => run(context, body, |call, request| call.member_remove(&request)),
        Unary::MemberUpdate => run(context, body, Call::member_update),
        Unary::MemberList => run(context, body, |call, request| call.member_list(&request)),
        Unary::Defragment => run(context, body, Call::defragment),
        Unary::Status => run(context, body, Call::status),
    }
}

fn run<'a, C, Request, Answer>(
    context: &mut Call<'a>,
    body: &C,
    call: impl FnOnce(&mut Call<'a>, Request) -> Answered<Answer>,
) -> Result<Vec<u8>, Problem<C::Error>>
where
    C: Codec,
    Request: Message + Default,
    Answer: Message,
{
    let request = body.decode().map_err(Problem::Front)?;
    let answer = call(context, request).map_err(Problem::Call)?;
    Ok(body.encode(&answer))
}
