use http::Uri;

use super::{head::Head, status::Status};
use crate::{
    cluster::calls::CallName,
    front::{
        counter::{
            CAMPAIGN, HEALTH, HEALTH_WATCH, KEEP_ALIVE, LOCK, OBSERVE, SNAPSHOT, StreamName, WATCH,
        },
        unary::Unary,
    },
    profile::Profile,
};

/// What a path of gRPC leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Method {
    Unary(OneRequest),
    Stream(Stream),
}

/// Calls with one request and one response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum OneRequest {
    Call(Unary),
    Lock,
    Campaign,
    Health,
    Snapshot,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stream {
    Watch,
    KeepAlive,
    Observe,
    Health,
}

impl OneRequest {
    /// The call's name in etcd's metrics.
    pub(super) fn name(self) -> CallName {
        match self {
            Self::Call(call) => call.name(),
            Self::Lock => LOCK,
            Self::Campaign => CAMPAIGN,
            Self::Health => HEALTH,
            Self::Snapshot => SNAPSHOT,
        }
    }
}

impl Stream {
    /// The call's name in etcd's metrics.
    pub(super) fn name(self) -> StreamName {
        match self {
            Self::Watch => WATCH,
            Self::KeepAlive => KEEP_ALIVE,
            Self::Observe => OBSERVE,
            Self::Health => HEALTH_WATCH,
        }
    }
}

impl Method {
    /// Finds the call that a request makes.
    ///
    /// # Errors
    /// In the words of grpc-go, which refuses an encoding even if no message is compressed.
    pub(super) fn find(uri: &Uri, head: &Head, profile: Profile) -> Result<Self, Status> {
        let target = uri.path_and_query().map_or("/", |target| target.as_str());
        let name = target.strip_prefix('/').unwrap_or(target);
        let Some((service, method)) = name.rsplit_once('/') else {
            let code = match profile {
                Profile::V3_4 => 8,
                Profile::V3_5 => 12,
            };
            let problem = format!("malformed method name: {target:?}");
            return Err(Status::with(code, problem));
        };
        let Some(methods) = methods(service) else {
            return Err(Status::with(12, format!("unknown service {service}")));
        };
        let found = methods(method).filter(|found| profile != Profile::V3_4 || !is_new(*found));
        let Some(found) = found else {
            let problem = format!("unknown method {method} for service {service}");
            return Err(Status::with(12, problem));
        };
        if let Some(encoding) = &head.encoding {
            let problem =
                format!("grpc: Decompressor is not installed for grpc-encoding {encoding:?}");
            return Err(Status::with(12, problem));
        }
        Ok(found)
    }
}

/// Whether 3.4 does not have a call.
fn is_new(method: Method) -> bool {
    matches!(
        method,
        Method::Unary(OneRequest::Call(Unary::AuthStatus | Unary::Downgrade))
    )
}

type Methods = fn(&str) -> Option<Method>;

/// The methods of a service.
fn methods(service: &str) -> Option<Methods> {
    Some(match service {
        "etcdserverpb.KV" => kv,
        "etcdserverpb.Watch" => watch,
        "etcdserverpb.Lease" => lease,
        "etcdserverpb.Cluster" => cluster,
        "etcdserverpb.Maintenance" => maintenance,
        "etcdserverpb.Auth" => auth,
        "v3lockpb.Lock" => lock,
        "v3electionpb.Election" => election,
        "grpc.health.v1.Health" => health,
        _ => return None,
    })
}

fn unary(call: Unary) -> Method {
    Method::Unary(OneRequest::Call(call))
}

fn kv(method: &str) -> Option<Method> {
    Some(unary(match method {
        "Range" => Unary::Range,
        "Put" => Unary::Put,
        "DeleteRange" => Unary::DeleteRange,
        "Txn" => Unary::Txn,
        "Compact" => Unary::Compact,
        _ => return None,
    }))
}

fn watch(method: &str) -> Option<Method> {
    (method == "Watch").then_some(Method::Stream(Stream::Watch))
}

fn lease(method: &str) -> Option<Method> {
    Some(match method {
        "LeaseGrant" => unary(Unary::LeaseGrant),
        "LeaseRevoke" => unary(Unary::LeaseRevoke),
        "LeaseKeepAlive" => Method::Stream(Stream::KeepAlive),
        "LeaseTimeToLive" => unary(Unary::LeaseTimeToLive),
        "LeaseLeases" => unary(Unary::LeaseLeases),
        _ => return None,
    })
}

fn cluster(method: &str) -> Option<Method> {
    Some(match method {
        "MemberAdd" => unary(Unary::MemberAdd),
        "MemberRemove" => unary(Unary::MemberRemove),
        "MemberUpdate" => unary(Unary::MemberUpdate),
        "MemberList" => unary(Unary::MemberList),
        "MemberPromote" => unary(Unary::MemberPromote),
        _ => return None,
    })
}

fn maintenance(method: &str) -> Option<Method> {
    Some(match method {
        "Alarm" => unary(Unary::Alarm),
        "Status" => unary(Unary::Status),
        "Defragment" => unary(Unary::Defragment),
        "Hash" => unary(Unary::Hash),
        "HashKV" => unary(Unary::HashKv),
        "Snapshot" => Method::Unary(OneRequest::Snapshot),
        "MoveLeader" => unary(Unary::MoveLeader),
        "Downgrade" => unary(Unary::Downgrade),
        _ => return None,
    })
}

fn auth(method: &str) -> Option<Method> {
    Some(unary(match method {
        "AuthEnable" => Unary::AuthEnable,
        "AuthDisable" => Unary::AuthDisable,
        "AuthStatus" => Unary::AuthStatus,
        "Authenticate" => Unary::Authenticate,
        "UserAdd" => Unary::UserAdd,
        "UserGet" => Unary::UserGet,
        "UserList" => Unary::UserList,
        "UserDelete" => Unary::UserDelete,
        "UserChangePassword" => Unary::UserChangePassword,
        "UserGrantRole" => Unary::UserGrant,
        "UserRevokeRole" => Unary::UserRevoke,
        "RoleAdd" => Unary::RoleAdd,
        "RoleGet" => Unary::RoleGet,
        "RoleList" => Unary::RoleList,
        "RoleDelete" => Unary::RoleDelete,
        "RoleGrantPermission" => Unary::RoleGrant,
        "RoleRevokePermission" => Unary::RoleRevoke,
        _ => return None,
    }))
}

fn lock(method: &str) -> Option<Method> {
    Some(match method {
        "Lock" => Method::Unary(OneRequest::Lock),
        "Unlock" => unary(Unary::Unlock),
        _ => return None,
    })
}

fn election(method: &str) -> Option<Method> {
    Some(match method {
        "Campaign" => Method::Unary(OneRequest::Campaign),
        "Proclaim" => unary(Unary::Proclaim),
        "Leader" => unary(Unary::Leader),
        "Observe" => Method::Stream(Stream::Observe),
        "Resign" => unary(Unary::Resign),
        _ => return None,
    })
}

fn health(method: &str) -> Option<Method> {
    Some(match method {
        "Check" => Method::Unary(OneRequest::Health),
        "Watch" => Method::Stream(Stream::Health),
        _ => return None,
    })
}
