use crate::{cluster::calls::CallName, profile::Profile};

/// What a path of the gateway leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Route {
    Unary(Unary),
    Stream(Stream),
    /// A lock, whose only response may be long in coming.
    Lock,
    /// A campaign, likewise.
    Campaign,
}

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

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stream {
    KeepAlive,
    Watch,
    Observe,
    Snapshot,
}

impl Route {
    pub(super) fn find(path: &[u8], profile: Profile) -> Option<Self> {
        let rest = path.strip_prefix(b"/v3/");
        let rest = rest.or_else(|| path.strip_prefix(b"/v3beta/"))?;
        Some(match rest {
            b"kv/range" => Self::Unary(Unary::Range),
            b"kv/put" => Self::Unary(Unary::Put),
            b"kv/deleterange" => Self::Unary(Unary::DeleteRange),
            b"kv/txn" => Self::Unary(Unary::Txn),
            b"kv/compaction" => Self::Unary(Unary::Compact),
            b"lease/grant" => Self::Unary(Unary::LeaseGrant),
            b"lease/revoke" | b"kv/lease/revoke" => Self::Unary(Unary::LeaseRevoke),
            b"lease/timetolive" | b"kv/lease/timetolive" => Self::Unary(Unary::LeaseTimeToLive),
            b"lease/leases" | b"kv/lease/leases" => Self::Unary(Unary::LeaseLeases),
            b"lease/keepalive" => Self::Stream(Stream::KeepAlive),
            b"watch" => Self::Stream(Stream::Watch),
            b"maintenance/hashkv" if profile == Profile::V3_5 => Self::Unary(Unary::HashKv),
            b"lock/lock" => Self::Lock,
            b"election/campaign" => Self::Campaign,
            b"election/proclaim" => Self::Unary(Unary::Proclaim),
            b"election/resign" => Self::Unary(Unary::Resign),
            b"election/leader" => Self::Unary(Unary::Leader),
            b"lock/unlock" => Self::Unary(Unary::Unlock),
            b"auth/status" if profile == Profile::V3_5 => Self::Unary(Unary::AuthStatus),
            b"auth/authenticate" => Self::Unary(Unary::Authenticate),
            b"auth/disable" => Self::Unary(Unary::AuthDisable),
            b"auth/enable" => Self::Unary(Unary::AuthEnable),
            b"auth/role/add" => Self::Unary(Unary::RoleAdd),
            b"auth/role/delete" => Self::Unary(Unary::RoleDelete),
            b"auth/role/get" => Self::Unary(Unary::RoleGet),
            b"auth/role/grant" => Self::Unary(Unary::RoleGrant),
            b"auth/role/list" => Self::Unary(Unary::RoleList),
            b"auth/role/revoke" => Self::Unary(Unary::RoleRevoke),
            b"auth/user/add" => Self::Unary(Unary::UserAdd),
            b"auth/user/changepw" => Self::Unary(Unary::UserChangePassword),
            b"auth/user/delete" => Self::Unary(Unary::UserDelete),
            b"auth/user/get" => Self::Unary(Unary::UserGet),
            b"auth/user/grant" => Self::Unary(Unary::UserGrant),
            b"auth/user/list" => Self::Unary(Unary::UserList),
            b"auth/user/revoke" => Self::Unary(Unary::UserRevoke),
            b"maintenance/alarm" => Self::Unary(Unary::Alarm),
            b"maintenance/hash" => Self::Unary(Unary::Hash),
            b"maintenance/transfer-leadership" => Self::Unary(Unary::MoveLeader),
            b"cluster/member/promote" => Self::Unary(Unary::MemberPromote),
            b"maintenance/downgrade" if profile == Profile::V3_5 => Self::Unary(Unary::Downgrade),
            b"election/observe" => Self::Stream(Stream::Observe),
            b"cluster/member/add" => Self::Unary(Unary::MemberAdd),
            b"cluster/member/remove" => Self::Unary(Unary::MemberRemove),
            b"cluster/member/update" => Self::Unary(Unary::MemberUpdate),
            b"cluster/member/list" => Self::Unary(Unary::MemberList),
            b"maintenance/defragment" => Self::Unary(Unary::Defragment),
            b"maintenance/status" => Self::Unary(Unary::Status),
            b"maintenance/snapshot" => Self::Stream(Stream::Snapshot),
            _ => return None,
        })
    }
}

impl Route {
    /// The call's name in etcd's metrics, if the response is the end of the call.
    pub(super) fn name(self) -> Option<CallName> {
        match self {
            Self::Unary(call) => Some(call.name()),
            Self::Lock => Some(unary("v3lockpb.Lock", "Lock")),
            Self::Campaign => Some(unary("v3electionpb.Election", "Campaign")),
            Self::Stream(Stream::KeepAlive) => Some(CallName {
                kind: "bidi_stream",
                service: "etcdserverpb.Lease",
                method: "LeaseKeepAlive",
            }),
            Self::Stream(Stream::Watch | Stream::Observe | Stream::Snapshot) => None,
        }
    }
}

impl Unary {
    fn name(self) -> CallName {
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
