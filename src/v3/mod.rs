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
//! Two calls are different, [`AuthStatus`] and [`Downgrade`]: every member carries them out, whichever is asked, and those of
//! etcd 3.4 end with a panic when one of 3.5 makes them. So they are an error once one endpoint has said that it lacks them; but a
//! member of 3.5 that is asked before any such word will carry them out. Do not make them while a cluster is being upgraded.
//! An endpoint is a URL: behind one that stands for many members, one old member's word counts for all of them.
//!
//! # What of etcd's gateway is here
//!
//! All of it. Every path is a `POST`; «streams» are answers that keep coming. The short forms are methods of
//! [`client.v3()`](V3); in a [`Namespace`] there are those of keys, locks and elections.
//!
//! | path | here | short form | streams | since etcd |
//! |---|---|---|---|---|
//! | `/v3/kv/range` | [`Range`], [`RangeStream`] | [`kv().get`](Kv::get), [`kv().count`](Kv::count), [`kv().range`](Kv::range), [`kv().range_stream`](Kv::range_stream) |  | 3.4 |
//! | `/v3/kv/put` | [`Put`] | [`kv().put`](Kv::put) |  | 3.4 |
//! | `/v3/kv/deleterange` | [`DeleteRange`] | [`kv().delete`](Kv::delete) |  | 3.4 |
//! | `/v3/kv/txn` | [`Txn`], [`ExactlyOnce`] | [`kv().txn`](Kv::txn), [`kv().exactly_once`](Kv::exactly_once) |  | 3.4 |
//! | `/v3/kv/compaction` | [`Compact`] | [`kv().compact`](Kv::compact) |  | 3.4 |
//! | `/v3/watch` | [`Watch`], [`WatchSet`], [`ControlledWatchSet`], [`Mirror`] | [`watch`](V3::watch), [`watch_set`](V3::watch_set), [`mirror`](V3::mirror) | yes | 3.4 |
//! | `/v3/lease/grant` | [`Grant`] | [`lease().grant`](Leases::grant) |  | 3.4 |
//! | `/v3/lease/revoke` | [`Revoke`] | [`lease().revoke`](Leases::revoke) |  | 3.4 |
//! | `/v3/lease/keepalive` | [`KeepAliveOnce`], [`KeepAlive`], [`LeaseKeeper`] | [`lease().keep_alive_once`](Leases::keep_alive_once), [`lease().keep_all_alive_once`](Leases::keep_all_alive_once), [`lease().keep_alive`](Leases::keep_alive), [`lease().keeper`](Leases::keeper) | yes | 3.4 |
//! | `/v3/lease/timetolive` | [`TimeToLive`] | [`lease().time_to_live`](Leases::time_to_live) |  | 3.4 |
//! | `/v3/lease/leases` | [`ListLeases`] | [`lease().list`](Leases::list) |  | 3.4 |
//! | `/v3/kv/lease/revoke` | [`Revoke`], by `/v3/lease/revoke`, the same | [`lease().revoke`](Leases::revoke) |  | 3.4 |
//! | `/v3/kv/lease/timetolive` | [`TimeToLive`], by `/v3/lease/timetolive`, the same | [`lease().time_to_live`](Leases::time_to_live) |  | 3.4 |
//! | `/v3/kv/lease/leases` | [`ListLeases`], by `/v3/lease/leases`, the same | [`lease().list`](Leases::list) |  | 3.4 |
//! | `/v3/lock/lock` | [`Lock`] | [`lock().lock`](Locks::lock) |  | 3.4 |
//! | `/v3/lock/unlock` | [`Unlock`] | [`lock().unlock`](Locks::unlock) |  | 3.4 |
//! | `/v3/election/campaign` | [`Campaign`] | [`election().campaign`](Elections::campaign) |  | 3.4 |
//! | `/v3/election/proclaim` | [`Proclaim`] | [`election().proclaim`](Elections::proclaim) |  | 3.4 |
//! | `/v3/election/leader` | [`GetLeader`] | [`election().leader`](Elections::leader) |  | 3.4 |
//! | `/v3/election/observe` | [`Observe`] | [`election().observe`](Elections::observe) | yes | 3.4 |
//! | `/v3/election/resign` | [`Resign`] | [`election().resign`](Elections::resign) |  | 3.4 |
//! | `/v3/cluster/member/add` | [`MemberAdd`] | [`cluster().add_member`](Cluster::add_member), [`cluster().add_learner`](Cluster::add_learner) |  | 3.4 |
//! | `/v3/cluster/member/remove` | [`MemberRemove`] | [`cluster().remove_member`](Cluster::remove_member) |  | 3.4 |
//! | `/v3/cluster/member/update` | [`MemberUpdate`] | [`cluster().update_member`](Cluster::update_member) |  | 3.4 |
//! | `/v3/cluster/member/list` | [`MemberList`] | [`cluster().members`](Cluster::members) |  | 3.4 |
//! | `/v3/cluster/member/promote` | [`MemberPromote`] | [`cluster().promote_member`](Cluster::promote_member) |  | 3.4 |
//! | `/v3/maintenance/alarm` | [`AlarmList`], [`AlarmSet`] | [`maintenance().alarms`](Maintenance::alarms), [`maintenance().raise_alarm`](Maintenance::raise_alarm), [`maintenance().lift_alarm`](Maintenance::lift_alarm) |  | 3.4 |
//! | `/v3/maintenance/status` | [`Status`] | [`maintenance().status`](Maintenance::status) |  | 3.4 |
//! | `/v3/maintenance/defragment` | [`Defragment`] | [`maintenance().defragment`](Maintenance::defragment) |  | 3.4 |
//! | `/v3/maintenance/hash` | [`HashDb`] | [`maintenance().hash`](Maintenance::hash) |  | 3.4 |
//! | `/v3/maintenance/hashkv` | [`HashKv`] | [`maintenance().hash_kv`](Maintenance::hash_kv) |  | 3.5 |
//! | `/v3/maintenance/snapshot` | [`Snapshot`] | [`maintenance().snapshot`](Maintenance::snapshot) | yes | 3.4 |
//! | `/v3/maintenance/transfer-leadership` | [`TransferLeadership`] | [`maintenance().transfer_leadership`](Maintenance::transfer_leadership) |  | 3.4 |
//! | `/v3/maintenance/downgrade` | [`Downgrade`] | [`maintenance().downgrade`](Maintenance::downgrade) |  | 3.5 |
//! | `/v3/auth/enable` | [`AuthEnable`] | [`auth().enable`](Auth::enable) |  | 3.4 |
//! | `/v3/auth/disable` | [`AuthDisable`] | [`auth().disable`](Auth::disable) |  | 3.4 |
//! | `/v3/auth/status` | [`AuthStatus`] | [`auth().status`](Auth::status) |  | 3.5 |
//! | `/v3/auth/authenticate` | [`Authenticate`] | [`auth().authenticate`](Auth::authenticate) |  | 3.4 |
//! | `/v3/auth/user/add` | [`UserAdd`] | [`auth().user_add`](Auth::user_add) |  | 3.4 |
//! | `/v3/auth/user/get` | [`UserGet`] | [`auth().user_get`](Auth::user_get) |  | 3.4 |
//! | `/v3/auth/user/list` | [`UserList`] | [`auth().user_list`](Auth::user_list) |  | 3.4 |
//! | `/v3/auth/user/delete` | [`UserDelete`] | [`auth().user_delete`](Auth::user_delete) |  | 3.4 |
//! | `/v3/auth/user/changepw` | [`UserChangePassword`] | [`auth().user_change_password`](Auth::user_change_password) |  | 3.4 |
//! | `/v3/auth/user/grant` | [`UserGrantRole`] | [`auth().user_grant_role`](Auth::user_grant_role) |  | 3.4 |
//! | `/v3/auth/user/revoke` | [`UserRevokeRole`] | [`auth().user_revoke_role`](Auth::user_revoke_role) |  | 3.4 |
//! | `/v3/auth/role/add` | [`RoleAdd`] | [`auth().role_add`](Auth::role_add) |  | 3.4 |
//! | `/v3/auth/role/get` | [`RoleGet`] | [`auth().role_get`](Auth::role_get) |  | 3.4 |
//! | `/v3/auth/role/list` | [`RoleList`] | [`auth().role_list`](Auth::role_list) |  | 3.4 |
//! | `/v3/auth/role/delete` | [`RoleDelete`] | [`auth().role_delete`](Auth::role_delete) |  | 3.4 |
//! | `/v3/auth/role/grant` | [`RoleGrantPermission`] | [`auth().role_grant_permission`](Auth::role_grant_permission) |  | 3.4 |
//! | `/v3/auth/role/revoke` | [`RoleRevokePermission`] | [`auth().role_revoke_permission`](Auth::role_revoke_permission) |  | 3.4 |

mod auth;
mod cluster;
#[cfg(test)]
mod coverage;
mod election;
mod handle;
mod header;
mod kv;
mod lease;
mod lock;
mod maintenance;
mod mirror;
mod namespace;
pub(crate) mod protocol;
mod range;
pub(crate) mod stream;
#[cfg(test)]
pub(crate) mod testing;
mod watch;

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
pub use election::{Campaign, CampaignResponse, GetLeader, LeaderKey, Observe, Proclaim, Resign};
pub use handle::{Auth, Cluster, Elections, Kv, Leases, Locks, Maintenance, V3};
pub use header::Header;
pub use kv::{
    Compact, Compare, CompareTarget, DeleteRange, DeleteRangeResponse, ExactlyOnce,
    ExactlyOnceResponse, KeyValue, Put, PutResponse, Range, RangeResponse, RangeStream, SortOrder,
    SortTarget, Txn, TxnOp, TxnOpResponse, TxnResponse,
};
pub use lease::{
    Grant, GrantResponse, HeldLease, KeepAlive, KeepAliveOnce, KeepAliveResponse, LeaseId,
    LeaseKeeper, LeaseLoss, LeaseStatus, ListLeases, Revoke, TimeToLive,
};
pub use lock::{Lock, LockResponse, Unlock};
pub use maintenance::{
    AlarmKind, AlarmList, AlarmSet, Defragment, Downgrade, DowngradeInfo, DowngradeResponse,
    HashDb, HashKv, HashKvResponse, HashResponse, RaisedAlarm, Snapshot, Status, StatusResponse,
    TransferLeadership,
};
pub use mirror::{Mirror, MirrorChange, MirrorUpdate};
pub use namespace::{Namespace, Namespaced, NamespacedStream};
pub use range::KeyRange;
pub use watch::{
    Changes, ControlledWatchSet, Event, EventKind, Watch, WatchControl, WatchSet, WatchSetItem,
};
