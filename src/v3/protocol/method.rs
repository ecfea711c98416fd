//! The methods of the v3 API: their paths in etcd's gateway and in gRPC.

use std::sync::LazyLock;

use http::uri::PathAndQuery;

use crate::endpoints::wire::Wire;

/// A method by its path on each wire.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Method {
    /// The path in the JSON gateway. `Unsupported` is remembered by it, whatever the wire.
    pub(crate) gateway: &'static str,
    targets: fn() -> &'static Targets,
}

/// The paths of a method, parsed once.
struct Targets {
    gateway: PathAndQuery,
    grpc: PathAndQuery,
}

impl Method {
    /// Returns the path on a wire.
    pub(crate) fn target(self, wire: Wire) -> &'static PathAndQuery {
        let targets = (self.targets)();
        match wire {
            Wire::Http => &targets.gateway,
            Wire::Grpc => &targets.grpc,
        }
    }
}

/// No two methods have the same path.
impl PartialEq for Method {
    fn eq(&self, other: &Self) -> bool {
        self.gateway == other.gateway
    }
}

macro_rules! methods {
    ($($name:ident: $gateway:literal, $grpc:literal;)+) => {
        $(pub(crate) const $name: Method = Method {
            gateway: $gateway,
            targets: || {
                static TARGETS: LazyLock<Targets> = LazyLock::new(|| Targets {
                    gateway: PathAndQuery::from_static($gateway),
                    grpc: PathAndQuery::from_static($grpc),
                });
                &TARGETS
            },
        };)+

        #[cfg(test)]
        pub(crate) const ALL: &[Method] = &[$($name),+];
    };
}

methods! {
    RANGE: "/v3/kv/range", "/etcdserverpb.KV/Range";
    PUT: "/v3/kv/put", "/etcdserverpb.KV/Put";
    DELETE_RANGE: "/v3/kv/deleterange", "/etcdserverpb.KV/DeleteRange";
    TXN: "/v3/kv/txn", "/etcdserverpb.KV/Txn";
    COMPACT: "/v3/kv/compaction", "/etcdserverpb.KV/Compact";

    WATCH: "/v3/watch", "/etcdserverpb.Watch/Watch";

    LEASE_GRANT: "/v3/lease/grant", "/etcdserverpb.Lease/LeaseGrant";
    LEASE_REVOKE: "/v3/lease/revoke", "/etcdserverpb.Lease/LeaseRevoke";
    LEASE_KEEP_ALIVE: "/v3/lease/keepalive", "/etcdserverpb.Lease/LeaseKeepAlive";
    LEASE_TIME_TO_LIVE: "/v3/lease/timetolive", "/etcdserverpb.Lease/LeaseTimeToLive";
    LEASE_LEASES: "/v3/lease/leases", "/etcdserverpb.Lease/LeaseLeases";

    LOCK: "/v3/lock/lock", "/v3lockpb.Lock/Lock";
    UNLOCK: "/v3/lock/unlock", "/v3lockpb.Lock/Unlock";

    CAMPAIGN: "/v3/election/campaign", "/v3electionpb.Election/Campaign";
    PROCLAIM: "/v3/election/proclaim", "/v3electionpb.Election/Proclaim";
    LEADER: "/v3/election/leader", "/v3electionpb.Election/Leader";
    OBSERVE: "/v3/election/observe", "/v3electionpb.Election/Observe";
    RESIGN: "/v3/election/resign", "/v3electionpb.Election/Resign";

    MEMBER_ADD: "/v3/cluster/member/add", "/etcdserverpb.Cluster/MemberAdd";
    MEMBER_REMOVE: "/v3/cluster/member/remove", "/etcdserverpb.Cluster/MemberRemove";
    MEMBER_UPDATE: "/v3/cluster/member/update", "/etcdserverpb.Cluster/MemberUpdate";
    MEMBER_LIST: "/v3/cluster/member/list", "/etcdserverpb.Cluster/MemberList";
    MEMBER_PROMOTE: "/v3/cluster/member/promote", "/etcdserverpb.Cluster/MemberPromote";

    ALARM: "/v3/maintenance/alarm", "/etcdserverpb.Maintenance/Alarm";
    STATUS: "/v3/maintenance/status", "/etcdserverpb.Maintenance/Status";
    DEFRAGMENT: "/v3/maintenance/defragment", "/etcdserverpb.Maintenance/Defragment";
    HASH: "/v3/maintenance/hash", "/etcdserverpb.Maintenance/Hash";
    HASH_KV: "/v3/maintenance/hashkv", "/etcdserverpb.Maintenance/HashKV";
    SNAPSHOT: "/v3/maintenance/snapshot", "/etcdserverpb.Maintenance/Snapshot";
    MOVE_LEADER: "/v3/maintenance/transfer-leadership", "/etcdserverpb.Maintenance/MoveLeader";
    DOWNGRADE: "/v3/maintenance/downgrade", "/etcdserverpb.Maintenance/Downgrade";

    AUTH_ENABLE: "/v3/auth/enable", "/etcdserverpb.Auth/AuthEnable";
    AUTH_DISABLE: "/v3/auth/disable", "/etcdserverpb.Auth/AuthDisable";
    AUTH_STATUS: "/v3/auth/status", "/etcdserverpb.Auth/AuthStatus";
    AUTHENTICATE: "/v3/auth/authenticate", "/etcdserverpb.Auth/Authenticate";
    USER_ADD: "/v3/auth/user/add", "/etcdserverpb.Auth/UserAdd";
    USER_GET: "/v3/auth/user/get", "/etcdserverpb.Auth/UserGet";
    USER_LIST: "/v3/auth/user/list", "/etcdserverpb.Auth/UserList";
    USER_DELETE: "/v3/auth/user/delete", "/etcdserverpb.Auth/UserDelete";
    USER_CHANGE_PASSWORD: "/v3/auth/user/changepw", "/etcdserverpb.Auth/UserChangePassword";
    USER_GRANT_ROLE: "/v3/auth/user/grant", "/etcdserverpb.Auth/UserGrantRole";
    USER_REVOKE_ROLE: "/v3/auth/user/revoke", "/etcdserverpb.Auth/UserRevokeRole";
    ROLE_ADD: "/v3/auth/role/add", "/etcdserverpb.Auth/RoleAdd";
    ROLE_GET: "/v3/auth/role/get", "/etcdserverpb.Auth/RoleGet";
    ROLE_LIST: "/v3/auth/role/list", "/etcdserverpb.Auth/RoleList";
    ROLE_DELETE: "/v3/auth/role/delete", "/etcdserverpb.Auth/RoleDelete";
    ROLE_GRANT_PERMISSION: "/v3/auth/role/grant", "/etcdserverpb.Auth/RoleGrantPermission";
    ROLE_REVOKE_PERMISSION: "/v3/auth/role/revoke", "/etcdserverpb.Auth/RoleRevokePermission";
}
