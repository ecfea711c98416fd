//! The v3 API: keys and values of bytes in one flat space, transactions, leases, watches, locks and elections.
//!
//! ```
//! use etcd_http::{
//!     Client, Result,
//!     transport::Transport,
//!     v3::{Compare, KeyRange, Put, Txn},
//! };
//!
//! # async fn example<T: Transport>(client: &Client<T>) -> Result<()> {
//! let kv = client.v3().kv();
//! kv.put("config/color", "green").await?;
//! let config = kv.range(KeyRange::prefix("config/")).await?;
//! println!("{} keys at revision {}", config.kvs.len(), config.header.revision);
//!
//! // Options make an operation a value of its own, and `Client::send` executes it.
//! let claim = Txn::new()
//!     .when(Compare::missing("jobs/1"))
//!     .then(Put::new("jobs/1", "worker-7"));
//! if client.send(claim).await?.succeeded {
//!     println!("claimed");
//! }
//! # Ok(())
//! # }
//! ```
//!
//! etcd 3.4 and later have this API. Each operation is a value with its options, and [`V3`] has a short form for the
//! plain case of each. etcd's own documentation: <https://etcd.io/docs/v3.5/dev-guide/api_reference_v3/>.
//!
//! # Operations by path
//!
//! Every path of etcd's JSON gateway is here. Each is a `POST`. The short forms are methods of [`client.v3()`](V3); a
//! [`Namespace`] has those of keys, locks and elections.
//!
//! | path | here | short form | streams | since etcd |
//! |---|---|---|---|---|
//! | `/v3/kv/range` | [`Range`], [`RangeStream`] | [`kv().get`](Kv::get), [`kv().count`](Kv::count), [`kv().range`](Kv::range), [`kv().range_stream`](Kv::range_stream) |  | 3.4 |
//! | `/v3/kv/put` | [`Put`] | [`kv().put`](Kv::put) |  | 3.4 |
//! | `/v3/kv/deleterange` | [`DeleteRange`] | [`kv().delete`](Kv::delete) |  | 3.4 |
//! | `/v3/kv/txn` | [`Txn`], [`ExactlyOnce`] | [`kv().txn`](Kv::txn), [`kv().exactly_once`](Kv::exactly_once) |  | 3.4 |
//! | `/v3/kv/compaction` | [`Compact`] | [`kv().compact`](Kv::compact) |  | 3.4 |
//! | `/v3/watch` | [`Watch`], [`WatchSet`], [`ControlledWatchSet`], [`Mirror`] | [`watch`](V3::watch), [`watch_set`](V3::watch_set), [`mirror`](V3::mirror) | yes | 3.4 |
//! | `/v3/lease/grant` | [`GrantLease`] | [`leases().grant`](Leases::grant) |  | 3.4 |
//! | `/v3/lease/revoke` | [`RevokeLease`] | [`leases().revoke`](Leases::revoke) |  | 3.4 |
//! | `/v3/lease/keepalive` | [`KeepAliveOnce`], [`KeepAlive`], [`LeaseKeeper`] | [`leases().keep_alive_once`](Leases::keep_alive_once), [`leases().keep_all_alive_once`](Leases::keep_all_alive_once), [`leases().keep_alive`](Leases::keep_alive), [`leases().keeper`](Leases::keeper) | yes | 3.4 |
//! | `/v3/lease/timetolive` | [`GetTimeToLive`] | [`leases().get_time_to_live`](Leases::get_time_to_live) |  | 3.4 |
//! | `/v3/lease/leases` | [`ListLeases`] | [`leases().list`](Leases::list) |  | 3.4 |
//! | `/v3/kv/lease/revoke` | [`RevokeLease`], which uses `/v3/lease/revoke` | [`leases().revoke`](Leases::revoke) |  | 3.4 |
//! | `/v3/kv/lease/timetolive` | [`GetTimeToLive`], which uses `/v3/lease/timetolive` | [`leases().get_time_to_live`](Leases::get_time_to_live) |  | 3.4 |
//! | `/v3/kv/lease/leases` | [`ListLeases`], which uses `/v3/lease/leases` | [`leases().list`](Leases::list) |  | 3.4 |
//! | `/v3/lock/lock` | [`Lock`] | [`lock`](V3::lock) |  | 3.4 |
//! | `/v3/lock/unlock` | [`Unlock`] | [`unlock`](V3::unlock) |  | 3.4 |
//! | `/v3/election/campaign` | [`Campaign`] | [`elections().campaign`](Elections::campaign) |  | 3.4 |
//! | `/v3/election/proclaim` | [`Proclaim`] | [`elections().proclaim`](Elections::proclaim) |  | 3.4 |
//! | `/v3/election/leader` | [`GetLeader`] | [`elections().get_leader`](Elections::get_leader) |  | 3.4 |
//! | `/v3/election/observe` | [`Observe`] | [`elections().observe`](Elections::observe) | yes | 3.4 |
//! | `/v3/election/resign` | [`Resign`] | [`elections().resign`](Elections::resign) |  | 3.4 |
//! | `/v3/cluster/member/add` | [`AddMember`] | [`cluster().add_member`](Cluster::add_member), [`cluster().add_learner`](Cluster::add_learner) |  | 3.4 |
//! | `/v3/cluster/member/remove` | [`RemoveMember`] | [`cluster().remove_member`](Cluster::remove_member) |  | 3.4 |
//! | `/v3/cluster/member/update` | [`UpdateMember`] | [`cluster().update_member`](Cluster::update_member) |  | 3.4 |
//! | `/v3/cluster/member/list` | [`ListMembers`] | [`cluster().list_members`](Cluster::list_members) |  | 3.4 |
//! | `/v3/cluster/member/promote` | [`PromoteMember`] | [`cluster().promote_member`](Cluster::promote_member) |  | 3.4 |
//! | `/v3/maintenance/alarm` | [`ListAlarms`], [`SetAlarm`] | [`maintenance().list_alarms`](Maintenance::list_alarms), [`maintenance().raise_alarm`](Maintenance::raise_alarm), [`maintenance().lift_alarm`](Maintenance::lift_alarm) |  | 3.4 |
//! | `/v3/maintenance/status` | [`GetStatus`] | [`maintenance().get_status`](Maintenance::get_status) |  | 3.4 |
//! | `/v3/maintenance/defragment` | [`Defragment`] | [`maintenance().defragment`](Maintenance::defragment) |  | 3.4 |
//! | `/v3/maintenance/hash` | [`GetHash`] | [`maintenance().get_hash`](Maintenance::get_hash) |  | 3.4 |
//! | `/v3/maintenance/hashkv` | [`GetHashKv`] | [`maintenance().get_hash_kv`](Maintenance::get_hash_kv) |  | 3.5 |
//! | `/v3/maintenance/snapshot` | [`Snapshot`] | [`maintenance().snapshot`](Maintenance::snapshot) | yes | 3.4 |
//! | `/v3/maintenance/transfer-leadership` | [`TransferLeadership`] | [`maintenance().transfer_leadership`](Maintenance::transfer_leadership) |  | 3.4 |
//! | `/v3/maintenance/downgrade` | [`Downgrade`] | [`maintenance().downgrade`](Maintenance::downgrade) |  | 3.5 |
//! | `/v3/auth/enable` | [`EnableAuth`] | [`auth().enable`](Auth::enable) |  | 3.4 |
//! | `/v3/auth/disable` | [`DisableAuth`] | [`auth().disable`](Auth::disable) |  | 3.4 |
//! | `/v3/auth/status` | [`GetAuthStatus`] | [`auth().get_status`](Auth::get_status) |  | 3.5 |
//! | `/v3/auth/authenticate` | [`Authenticate`] | [`auth().authenticate`](Auth::authenticate) |  | 3.4 |
//! | `/v3/auth/user/add` | [`AddUser`] | [`auth().add_user`](Auth::add_user) |  | 3.4 |
//! | `/v3/auth/user/get` | [`GetUser`] | [`auth().get_user`](Auth::get_user) |  | 3.4 |
//! | `/v3/auth/user/list` | [`ListUsers`] | [`auth().list_users`](Auth::list_users) |  | 3.4 |
//! | `/v3/auth/user/delete` | [`DeleteUser`] | [`auth().delete_user`](Auth::delete_user) |  | 3.4 |
//! | `/v3/auth/user/changepw` | [`ChangePassword`] | [`auth().change_password`](Auth::change_password) |  | 3.4 |
//! | `/v3/auth/user/grant` | [`GrantRole`] | [`auth().grant_role`](Auth::grant_role) |  | 3.4 |
//! | `/v3/auth/user/revoke` | [`RevokeRole`] | [`auth().revoke_role`](Auth::revoke_role) |  | 3.4 |
//! | `/v3/auth/role/add` | [`AddRole`] | [`auth().add_role`](Auth::add_role) |  | 3.4 |
//! | `/v3/auth/role/get` | [`GetRole`] | [`auth().get_role`](Auth::get_role) |  | 3.4 |
//! | `/v3/auth/role/list` | [`ListRoles`] | [`auth().list_roles`](Auth::list_roles) |  | 3.4 |
//! | `/v3/auth/role/delete` | [`DeleteRole`] | [`auth().delete_role`](Auth::delete_role) |  | 3.4 |
//! | `/v3/auth/role/grant` | [`GrantPermission`] | [`auth().grant_permission`](Auth::grant_permission) |  | 3.4 |
//! | `/v3/auth/role/revoke` | [`RevokePermission`] | [`auth().revoke_permission`](Auth::revoke_permission) |  | 3.4 |
//!
//! # What a server does not have
//!
//! In a cluster that is being upgraded, a call goes to an endpoint that supports it. It fails with
//! [`Error::Unsupported`](crate::Error::Unsupported) only if no endpoint supports it. The client remembers that an
//! endpoint does not support a call for a minute, or until a request to it fails, as requests do when a server
//! restarts. While no endpoint is known to support a call, the error is immediate and nothing is sent. This holds for
//! streams, too.
//!
//! [`GetAuthStatus`] and [`Downgrade`] are different: every member applies them, whichever is contacted, and members of
//! etcd 3.4 panic when one of 3.5 does so. These calls fail once any endpoint has reported that it does not support
//! them, but a member of 3.5 that is contacted before executes them. Do not send them while a cluster is being
//! upgraded. Behind a URL that stands for several members, the response of one old member counts for all of them.

mod api;
mod auth;
mod cluster;
#[cfg(test)]
mod coverage;
mod election;
mod error;
mod handle;
mod key;
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

pub use crate::auth::provider::{CredentialsProvider, UserCredentials};
pub use auth::{
    AddRole, AddUser, AuthStatusResponse, Authenticate, AuthenticateResponse, ChangePassword,
    DeleteRole, DeleteUser, DisableAuth, EnableAuth, GetAuthStatus, GetRole, GetUser,
    GrantPermission, GrantRole, ListRoles, ListUsers, Permission, PermissionType, RevokePermission,
    RevokeRole,
};
pub use cluster::{
    AddMember, AddMemberResponse, ListMembers, Member, Members, PromoteMember, RemoveMember,
    UpdateMember,
};
pub use election::{Campaign, CampaignResponse, GetLeader, LeaderKey, Observe, Proclaim, Resign};
pub use handle::{Auth, Cluster, Elections, Kv, Leases, Maintenance, V3};
pub use key::{Key, Value};
pub use kv::{
    Compact, Compare, CompareTarget, DeleteRange, DeleteRangeResponse, ExactlyOnce,
    ExactlyOnceResponse, KeyValue, NonAtomicBatch, NonAtomicBatchError, Put, PutResponse, Range,
    RangeResponse, RangeStream, SortOrder, SortTarget, Txn, TxnOp, TxnOpResponse, TxnResponse,
};
pub use lease::{
    GetTimeToLive, GrantLease, GrantLeaseResponse, HeldLease, KeepAlive, KeepAliveOnce,
    KeepAliveResponse, LeaseId, LeaseKeeper, LeaseLoss, LeaseStatus, ListLeases, RevokeLease,
};
pub use lock::{Lock, LockResponse, Unlock};
pub use maintenance::{
    AlarmKind, Defragment, Downgrade, DowngradeInfo, DowngradeResponse, GetHash, GetHashKv,
    GetStatus, HashKvResponse, HashResponse, ListAlarms, RaisedAlarm, SetAlarm, Snapshot,
    StatusResponse, TransferLeadership,
};
pub use mirror::{Mirror, MirrorChange, MirrorGap, MirrorReader, MirrorState, MirrorUpdate};
pub use namespace::{Namespace, Namespaced, NamespacedStream};
pub use protocol::header::Header;
pub use range::KeyRange;
pub use watch::{
    Changes, ControlledWatchSet, Event, EventKind, Watch, WatchControl, WatchCursor, WatchPosition,
    WatchSet, WatchSetItem,
};

pub(crate) use api::API;
