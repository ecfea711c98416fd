//! The messages of requests as the log shows them.

use super::method::OneRequest;
use crate::{
    cluster::request_log::ToJson,
    front::unary::Unary,
    profile::Profile,
    v3::message::{
        Message,
        auth::{
            AuthDisableRequest, AuthEnableRequest, AuthRoleAddRequest, AuthRoleDeleteRequest,
            AuthRoleGetRequest, AuthRoleGrantPermissionRequest, AuthRoleListRequest,
            AuthRoleRevokePermissionRequest, AuthStatusRequest, AuthUserAddRequest,
            AuthUserChangePasswordRequest, AuthUserDeleteRequest, AuthUserGetRequest,
            AuthUserGrantRoleRequest, AuthUserListRequest, AuthUserRevokeRoleRequest,
            AuthenticateRequest,
        },
        cluster::{
            MemberAddRequest, MemberListRequest, MemberPromoteRequest, MemberRemoveRequest,
            MemberUpdateRequest,
        },
        decode::decode,
        election::{CampaignRequest, LeaderRequest, ProclaimRequest, ResignRequest},
        kv::{CompactionRequest, DeleteRangeRequest, PutRequest, RangeRequest, TxnRequest},
        lease::{
            LeaseGrantRequest, LeaseLeasesRequest, LeaseRevokeRequest, LeaseTimeToLiveRequest,
        },
        lock::{LockRequest, UnlockRequest},
        maintenance::{
            AlarmRequest, DefragmentRequest, DowngradeRequest, HashKvRequest, HashRequest,
            MoveLeaderRequest, StatusRequest,
        },
        write,
    },
};

/// How to show the message of a call.
pub(super) fn to_json(request: OneRequest) -> Option<ToJson> {
    let call = match request {
        OneRequest::Call(call) => call,
        OneRequest::Lock => return Some(json::<LockRequest>),
        OneRequest::Campaign => return Some(json::<CampaignRequest>),
        OneRequest::Health | OneRequest::Snapshot => return None,
    };
    Some(match call {
        Unary::Range => json::<RangeRequest>,
        Unary::Put => json::<PutRequest>,
        Unary::DeleteRange => json::<DeleteRangeRequest>,
        Unary::Txn => json::<TxnRequest>,
        Unary::Compact => json::<CompactionRequest>,
        Unary::LeaseGrant => json::<LeaseGrantRequest>,
        Unary::LeaseRevoke => json::<LeaseRevokeRequest>,
        Unary::LeaseTimeToLive => json::<LeaseTimeToLiveRequest>,
        Unary::LeaseLeases => json::<LeaseLeasesRequest>,
        Unary::HashKv => json::<HashKvRequest>,
        Unary::Unlock => json::<UnlockRequest>,
        Unary::Proclaim => json::<ProclaimRequest>,
        Unary::Resign => json::<ResignRequest>,
        Unary::Leader => json::<LeaderRequest>,
        Unary::AuthStatus => json::<AuthStatusRequest>,
        Unary::UserRevoke => json::<AuthUserRevokeRoleRequest>,
        Unary::UserList => json::<AuthUserListRequest>,
        Unary::UserGrant => json::<AuthUserGrantRoleRequest>,
        Unary::UserGet => json::<AuthUserGetRequest>,
        Unary::UserDelete => json::<AuthUserDeleteRequest>,
        Unary::UserChangePassword => json::<AuthUserChangePasswordRequest>,
        Unary::UserAdd => json::<AuthUserAddRequest>,
        Unary::RoleRevoke => json::<AuthRoleRevokePermissionRequest>,
        Unary::RoleList => json::<AuthRoleListRequest>,
        Unary::RoleGrant => json::<AuthRoleGrantPermissionRequest>,
        Unary::RoleGet => json::<AuthRoleGetRequest>,
        Unary::RoleDelete => json::<AuthRoleDeleteRequest>,
        Unary::RoleAdd => json::<AuthRoleAddRequest>,
        Unary::AuthEnable => json::<AuthEnableRequest>,
        Unary::AuthDisable => json::<AuthDisableRequest>,
        Unary::Authenticate => json::<AuthenticateRequest>,
        Unary::MemberList => json::<MemberListRequest>,
        Unary::MemberUpdate => json::<MemberUpdateRequest>,
        Unary::MemberRemove => json::<MemberRemoveRequest>,
        Unary::MemberAdd => json::<MemberAddRequest>,
        Unary::MemberPromote => json::<MemberPromoteRequest>,
        Unary::Downgrade => json::<DowngradeRequest>,
        Unary::Defragment => json::<DefragmentRequest>,
        Unary::Status => json::<StatusRequest>,
        Unary::Alarm => json::<AlarmRequest>,
        Unary::Hash => json::<HashRequest>,
        Unary::MoveLeader => json::<MoveLeaderRequest>,
    })
}

fn json<M: Message + Default>(message: &[u8]) -> Vec<u8> {
    match decode::<M>(message) {
        // The releases differ in the spaces alone.
        Ok(message) => write::json(&message, Profile::V3_5, false),
        Err(_) => Vec::new(),
    }
}
