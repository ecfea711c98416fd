use crate::{
    cluster::calls::CallName,
    front::{
        counter::{CAMPAIGN, KEEP_ALIVE, LOCK, OBSERVE, SNAPSHOT, WATCH},
        unary::Unary,
    },
    profile::Profile,
};

/// Returns the path in gRPC of the call that a path of the gateway leads to.
pub(crate) fn grpc_path(path: &str) -> Option<String> {
    let CallName {
        service, method, ..
    } = Route::find(path.as_bytes(), Profile::V3_5)?.name();
    Some(format!("/{service}/{method}"))
}

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
        let mut rest = rest.or_else(|| path.strip_prefix(b"/v3beta/"))?;
        if profile == Profile::V3_4 {
            // A verb may follow. None has a name, and the first version of the gateway takes an empty one for none.
            rest = rest.strip_suffix(b":").unwrap_or(rest);
        }
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
            b"cluster/member/add" => Self::Unary(Unary::MemberAdd),
            b"cluster/member/remove" => Self::Unary(Unary::MemberRemove),
            b"cluster/member/update" => Self::Unary(Unary::MemberUpdate),
            b"cluster/member/list" => Self::Unary(Unary::MemberList),
            b"maintenance/defragment" => Self::Unary(Unary::Defragment),
            b"maintenance/status" => Self::Unary(Unary::Status),
            b"maintenance/snapshot" => Self::Stream(Stream::Snapshot),
            b"cluster/member/promote" => Self::Unary(Unary::MemberPromote),
            b"maintenance/downgrade" if profile == Profile::V3_5 => Self::Unary(Unary::Downgrade),
            b"election/observe" => Self::Stream(Stream::Observe),
            _ => return None,
        })
    }
}

impl Route {
    /// The call's name in etcd's metrics.
    pub(super) fn name(self) -> CallName {
        match self {
            Self::Unary(call) => call.name(),
            Self::Lock => LOCK,
            Self::Campaign => CAMPAIGN,
            Self::Stream(Stream::KeepAlive) => KEEP_ALIVE.name,
            Self::Stream(Stream::Watch) => WATCH.name,
            Self::Stream(Stream::Observe) => OBSERVE.name,
            Self::Stream(Stream::Snapshot) => SNAPSHOT,
        }
    }

    /// Whether the call goes on when its response has begun. It is counted at its end then.
    pub(super) fn is_open(self) -> bool {
        matches!(self, Self::Stream(Stream::Watch | Stream::Observe))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_has_a_path_in_the_gateway_and_another_one_in_grpc() {
        for (path, grpc) in [
            ("/v3/kv/put", "/etcdserverpb.KV/Put"),
            ("/v3/watch", "/etcdserverpb.Watch/Watch"),
            ("/v3/lease/keepalive", "/etcdserverpb.Lease/LeaseKeepAlive"),
            ("/v3/lock/lock", "/v3lockpb.Lock/Lock"),
            ("/v3/election/observe", "/v3electionpb.Election/Observe"),
            (
                "/v3/maintenance/snapshot",
                "/etcdserverpb.Maintenance/Snapshot",
            ),
        ] {
            assert_eq!(grpc_path(path).as_deref(), Some(grpc));
        }
        for path in ["/v2/keys/a", "/v3/*", "/etcdserverpb.KV/Put"] {
            assert_eq!(grpc_path(path), None);
        }
    }
}
