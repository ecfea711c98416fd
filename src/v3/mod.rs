//! The v3 API: keys and values of bytes in one flat space, transactions, leases, watches, locks and elections.
//!
//! etcd 3.4 and later have it. Each operation is a value with its options. etcd's own documentation:
//! <https://etcd.io/docs/v3.5/dev-guide/api_reference_v3/>.
//!
//! # What a server does not have
//!
//! In a cluster that is being upgraded a call goes to an endpoint that has it. Only when none has it is it an error,
//! [`Error::Unsupported`](crate::Error::Unsupported). What an endpoint has said it lacks is kept in mind: it is not asked
//! for that again until a minute has passed, or a request to it has failed, as they do when a server is started anew. When
//! all endpoints are known to lack a call, nothing is sent, and the error comes at once. Streams take part in this.
//!
//! # What of etcd's gateway is here
//!
//! All of it. Every path is a `POST`; «streams» are answers that keep coming.
//!
//! | path | here | streams | since etcd |
//! |---|---|---|---|
//! | `/v3/kv/range` | [`Range`] |  | 3.4 |
//! | `/v3/kv/put` | [`Put`] |  | 3.4 |
//! | `/v3/kv/deleterange` | [`DeleteRange`] |  | 3.4 |
//! | `/v3/kv/txn` | [`Txn`], [`ExactlyOnce`] |  | 3.4 |
//! | `/v3/kv/compaction` | [`Compact`] |  | 3.4 |
//! | `/v3/watch` | [`Watch`], [`WatchSet`] | yes | 3.4 |
//! | `/v3/lease/grant` | [`Grant`] |  | 3.4 |
//! | `/v3/lease/revoke` | [`Revoke`] |  | 3.4 |
//! | `/v3/lease/keepalive` | [`KeepAliveOnce`], [`KeepAlive`], [`LeaseKeeper`] | yes | 3.4 |
//! | `/v3/lease/timetolive` | [`TimeToLive`] |  | 3.4 |
//! | `/v3/lease/leases` | [`ListLeases`] |  | 3.4 |
//! | `/v3/kv/lease/revoke` | [`Revoke`], by `/v3/lease/revoke`, the same |  | 3.4 |
//! | `/v3/kv/lease/timetolive` | [`TimeToLive`], by `/v3/lease/timetolive`, the same |  | 3.4 |
//! | `/v3/kv/lease/leases` | [`ListLeases`], by `/v3/lease/leases`, the same |  | 3.4 |
//! | `/v3/lock/lock` | [`Lock`] |  | 3.4 |
//! | `/v3/lock/unlock` | [`Unlock`] |  | 3.4 |
//! | `/v3/election/campaign` | [`Campaign`] |  | 3.4 |
//! | `/v3/election/proclaim` | [`Proclaim`] |  | 3.4 |
//! | `/v3/election/leader` | [`GetLeader`] |  | 3.4 |
//! | `/v3/election/observe` | [`Observe`] | yes | 3.4 |
//! | `/v3/election/resign` | [`Resign`] |  | 3.4 |
//! | `/v3/cluster/member/add` | [`MemberAdd`] |  | 3.4 |
//! | `/v3/cluster/member/remove` | [`MemberRemove`] |  | 3.4 |
//! | `/v3/cluster/member/update` | [`MemberUpdate`] |  | 3.4 |
//! | `/v3/cluster/member/list` | [`MemberList`] |  | 3.4 |
//! | `/v3/cluster/member/promote` | [`MemberPromote`] |  | 3.4 |
//! | `/v3/maintenance/alarm` | [`AlarmList`], [`AlarmSet`] |  | 3.4 |
//! | `/v3/maintenance/status` | [`Status`] |  | 3.4 |
//! | `/v3/maintenance/defragment` | [`Defragment`] |  | 3.4 |
//! | `/v3/maintenance/hash` | [`HashDb`] |  | 3.4 |
//! | `/v3/maintenance/hashkv` | [`HashKv`] |  | 3.5 |
//! | `/v3/maintenance/snapshot` | [`Snapshot`] | yes | 3.4 |
//! | `/v3/maintenance/transfer-leadership` | [`TransferLeadership`] |  | 3.4 |
//! | `/v3/maintenance/downgrade` | [`Downgrade`] |  | 3.5 |
//! | `/v3/auth/enable` | [`AuthEnable`] |  | 3.4 |
//! | `/v3/auth/disable` | [`AuthDisable`] |  | 3.4 |
//! | `/v3/auth/status` | [`AuthStatus`] |  | 3.5 |
//! | `/v3/auth/authenticate` | [`Authenticate`] |  | 3.4 |
//! | `/v3/auth/user/add` | [`UserAdd`] |  | 3.4 |
//! | `/v3/auth/user/get` | [`UserGet`] |  | 3.4 |
//! | `/v3/auth/user/list` | [`UserList`] |  | 3.4 |
//! | `/v3/auth/user/delete` | [`UserDelete`] |  | 3.4 |
//! | `/v3/auth/user/changepw` | [`UserChangePassword`] |  | 3.4 |
//! | `/v3/auth/user/grant` | [`UserGrantRole`] |  | 3.4 |
//! | `/v3/auth/user/revoke` | [`UserRevokeRole`] |  | 3.4 |
//! | `/v3/auth/role/add` | [`RoleAdd`] |  | 3.4 |
//! | `/v3/auth/role/get` | [`RoleGet`] |  | 3.4 |
//! | `/v3/auth/role/list` | [`RoleList`] |  | 3.4 |
//! | `/v3/auth/role/delete` | [`RoleDelete`] |  | 3.4 |
//! | `/v3/auth/role/grant` | [`RoleGrantPermission`] |  | 3.4 |
//! | `/v3/auth/role/revoke` | [`RoleRevokePermission`] |  | 3.4 |

mod auth;
mod cluster;
#[cfg(test)]
mod coverage;
mod election;
mod handle;
mod header;
mod keep_alive;
mod kv;
mod lease;
mod link;
mod lock;
mod maintenance;
mod messages;
mod mirror;
mod namespace;
mod observe;
mod range;
pub(crate) mod refusal;
#[cfg(test)]
pub(crate) mod testing;
mod watch;
pub(crate) mod wire;

pub use auth::{
    AuthDisable, AuthEnable, AuthStatus, AuthStatusResponse, Authenticate, AuthenticateResponse,
    Permission, PermissionType, RoleAdd, RoleDelete, RoleGet, RoleGrantPermission, RoleList,
    RoleRevokePermission, UserAdd, UserChangePassword, UserDelete, UserGet, UserGrantRole,
    UserList, UserRevokeRole,
};
pub use cluster::{
    Member, MemberAdd, MemberAddResponse, MemberList, MemberPromote, MemberRemove, MemberUpdate,
    Members,
};
pub use election::{Campaign, CampaignResponse, GetLeader, LeaderKey, Proclaim, Resign};
pub use handle::{Auth, Cluster, Elections, Kv, Leases, Locks, Maintenance, V3};
pub use header::Header;
pub use keep_alive::{KeepAlive, KeptLease, LeaseKeeper, LeaseLoss};
pub use kv::{
    Compact, Compare, CompareTarget, DeleteRange, DeleteRangeResponse, ExactlyOnce,
    ExactlyOnceResponse, KeyValue, Put, PutResponse, Range, RangeResponse, RangeStream, SortOrder,
    SortTarget, Txn, TxnOp, TxnOpResponse, TxnResponse,
};
pub use lease::{
    Grant, GrantResponse, KeepAliveOnce, KeptAlive, LeaseId, LeaseStatus, ListLeases, Revoke,
    TimeToLive,
};
pub use lock::{Lock, LockResponse, Unlock};
pub use maintenance::{
    AlarmKind, AlarmList, AlarmSet, Defragment, Downgrade, DowngradeResponse, HashDb, HashKv,
    HashKvResponse, HashResponse, RaisedAlarm, Snapshot, Status, StatusResponse,
    TransferLeadership,
};
pub use mirror::{Mirror, MirrorChange, MirrorUpdate};
pub use namespace::{Namespace, Namespaced, NamespacedStream};
pub use observe::Observe;
pub use range::KeyRange;
pub use watch::{Changes, Event, EventKind, Watch, WatchSet, WatchSetItem};
