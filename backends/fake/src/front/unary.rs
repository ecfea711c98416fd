//! Calls with one request and one response, whatever the front.

use crate::{
    cluster::calls::CallName,
    profile::Profile,
    state::EtcdCluster,
    v3::{
        api::{Answered, Call, Failure},
        message::{
            Message,
            auth::{
                AuthDisableRequest, AuthEnableRequest, AuthRoleAddRequest, AuthRoleDeleteRequest,
                AuthRoleGrantPermissionRequest, AuthRoleRevokePermissionRequest,
                AuthUserDeleteRequest, AuthUserGrantRoleRequest, AuthUserRevokeRoleRequest,
            },
            kv::RangeRequest,
        },
    },
};

/// How much larger than the largest entry a message may be.
const MESSAGE_OVERHEAD: usize = 512 << 10;

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
    MemberPromote,
    Downgrade,
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

    /// Whether the member serves the call. `is_for_learners`: a learner does, too.
    fn admit(&self, call: &Call<'_>, is_for_learners: bool) -> Result<(), Self::Error>;

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
        Unary::MemberList if context.cluster.profile == Profile::V3_4 => {
            run(context, body, Call::local_member_list)
        }
        Unary::MemberList => run(context, body, |call, request| call.member_list(&request)),
        Unary::Defragment => run(context, body, Call::defragment),
        Unary::Status => run_for(context, body, |_| true, Call::status),
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
    run_for(context, body, |_| false, call)
}

/// Runs a call that a learner serves if the request `is_for_learners`.
fn run_for<'a, C, Request, Answer>(
    context: &mut Call<'a>,
    body: &C,
    is_for_learners: impl FnOnce(&Request) -> bool,
    call: impl FnOnce(&mut Call<'a>, Request) -> Answered<Answer>,
) -> Result<Vec<u8>, Problem<C::Error>>
where
    C: Codec,
    Request: Message + Default,
    Answer: Message,
{
    let request = body.decode().map_err(Problem::Front)?;
    let admitted = body.admit(context, is_for_learners(&request));
    admitted.map_err(Problem::Front)?;
    let answer = call(context, request).map_err(Problem::Call)?;
    Ok(body.encode(&answer))
}

/// The largest message that etcd takes: the largest entry, and half a mebibyte.
pub(super) fn max_message(cluster: &EtcdCluster) -> usize {
    cluster
        .state
        .sizes
        .max_entry
        .saturating_add(MESSAGE_OVERHEAD)
}

impl Unary {
    /// The name in etcd's metrics.
    pub(super) fn name(self) -> CallName {
        match self {
            Self::Range => unary("etcdserverpb.KV", "Range"),
            Self::Put => unary("etcdserverpb.KV", "Put"),
            Self::DeleteRange => unary("etcdserverpb.KV", "DeleteRange"),
            Self::Txn => unary("etcdserverpb.KV", "Txn"),
            Self::Compact => unary("etcdserverpb.KV", "Compact"),
            Self::LeaseGrant => unary("etcdserverpb.Lease", "LeaseGrant"),
            Self::LeaseRevoke => unary("etcdserverpb.Lease", "LeaseRevoke"),
            Self::LeaseTimeToLive => unary("etcdserverpb.Lease", "LeaseTimeToLive"),
            Self::LeaseLeases => unary("etcdserverpb.Lease", "LeaseLeases"),
            Self::HashKv => unary("etcdserverpb.Maintenance", "HashKV"),
            Self::Downgrade => unary("etcdserverpb.Maintenance", "Downgrade"),
            Self::Defragment => unary("etcdserverpb.Maintenance", "Defragment"),
            Self::Status => unary("etcdserverpb.Maintenance", "Status"),
            Self::Alarm => unary("etcdserverpb.Maintenance", "Alarm"),
            Self::Hash => unary("etcdserverpb.Maintenance", "Hash"),
            Self::MoveLeader => unary("etcdserverpb.Maintenance", "MoveLeader"),
            Self::Unlock => unary("v3lockpb.Lock", "Unlock"),
            Self::Proclaim => unary("v3electionpb.Election", "Proclaim"),
            Self::Resign => unary("v3electionpb.Election", "Resign"),
            Self::Leader => unary("v3electionpb.Election", "Leader"),
            Self::AuthStatus => unary("etcdserverpb.Auth", "AuthStatus"),
            Self::UserRevoke => unary("etcdserverpb.Auth", "UserRevokeRole"),
            Self::UserList => unary("etcdserverpb.Auth", "UserList"),
            Self::UserGrant => unary("etcdserverpb.Auth", "UserGrantRole"),
            Self::UserGet => unary("etcdserverpb.Auth", "UserGet"),
            Self::UserDelete => unary("etcdserverpb.Auth", "UserDelete"),
            Self::UserChangePassword => unary("etcdserverpb.Auth", "UserChangePassword"),
            Self::UserAdd => unary("etcdserverpb.Auth", "UserAdd"),
            Self::RoleRevoke => unary("etcdserverpb.Auth", "RoleRevokePermission"),
            Self::RoleList => unary("etcdserverpb.Auth", "RoleList"),
            Self::RoleGrant => unary("etcdserverpb.Auth", "RoleGrantPermission"),
            Self::RoleGet => unary("etcdserverpb.Auth", "RoleGet"),
            Self::RoleDelete => unary("etcdserverpb.Auth", "RoleDelete"),
            Self::RoleAdd => unary("etcdserverpb.Auth", "RoleAdd"),
            Self::AuthEnable => unary("etcdserverpb.Auth", "AuthEnable"),
            Self::AuthDisable => unary("etcdserverpb.Auth", "AuthDisable"),
            Self::Authenticate => unary("etcdserverpb.Auth", "Authenticate"),
            Self::MemberList => unary("etcdserverpb.Cluster", "MemberList"),
            Self::MemberUpdate => unary("etcdserverpb.Cluster", "MemberUpdate"),
            Self::MemberRemove => unary("etcdserverpb.Cluster", "MemberRemove"),
            Self::MemberAdd => unary("etcdserverpb.Cluster", "MemberAdd"),
            Self::MemberPromote => unary("etcdserverpb.Cluster", "MemberPromote"),
        }
    }
}

fn unary(service: &'static str, method: &'static str) -> CallName {
    CallName {
        kind: "unary",
        service,
        method,
    }
}
