use crate::profile::Profile;

/// What a path of the gateway leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Route {
    Unary(Unary),
    Stream(Stream),
    /// A lock, whose only response may be long in coming.
    Lock,
    /// A campaign, likewise.
    Campaign,
    /// A call of etcd's that the fake does not serve.
    Unserved(&'static str),
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
    MemberList,
    Defragment,
    Status,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stream {
    KeepAlive,
    Watch,
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
            b"cluster/member/list" => Self::Unary(Unary::MemberList),
            b"maintenance/defragment" => Self::Unary(Unary::Defragment),
            b"maintenance/status" => Self::Unary(Unary::Status),
            _ => {
                let unserved = UNSERVED.iter().find(|name| name.as_bytes() == rest)?;
                if profile == Profile::V3_4 && NEW_IN_3_5.contains(unserved) {
                    return None;
                }
                Self::Unserved(unserved)
            }
        })
    }
}

/// Calls of etcd's that the fake does not serve.
const UNSERVED: &[&str] = &[
    "auth/authenticate",
    "auth/disable",
    "auth/enable",
    "auth/role/add",
    "auth/role/delete",
    "auth/role/get",
    "auth/role/grant",
    "auth/role/list",
    "auth/role/revoke",
    "auth/user/add",
    "auth/user/changepw",
    "auth/user/delete",
    "auth/user/get",
    "auth/user/grant",
    "auth/user/list",
    "auth/user/revoke",
    "cluster/member/add",
    "cluster/member/promote",
    "cluster/member/remove",
    "cluster/member/update",
    "election/observe",
    "maintenance/alarm",
    "maintenance/downgrade",
    "maintenance/hash",
    "maintenance/snapshot",
    "maintenance/transfer-leadership",
];

/// Those of them that 3.4 does not have.
const NEW_IN_3_5: &[&str] = &["maintenance/downgrade"];
