//! The v3 API: keys and values of bytes in one flat space, transactions, leases, watches, locks and elections.
//!
//! etcd 3.4 and later have it. Each operation is a value with its options. etcd's own documentation:
//! <https://etcd.io/docs/v3.5/dev-guide/api_reference_v3/>.

mod auth;
mod cluster;
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
mod observe;
mod range;
pub(crate) mod refusal;
#[cfg(test)]
mod testing;
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
    AlarmKind, AlarmList, AlarmSet, Defragment, Downgrade, DowngradeResponse, Hash, HashKv,
    HashKvResponse, HashResponse, RaisedAlarm, Snapshot, Status, StatusResponse,
    TransferLeadership,
};
pub use mirror::{Mirror, MirrorChange, MirrorUpdate};
pub use observe::Observe;
pub use range::KeyRange;
pub use watch::{Changes, Event, EventKind, Watch, WatchSet, WatchSetItem};
