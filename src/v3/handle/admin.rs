//! The short forms of what operators do.

use bytes::Bytes;
use etcd_transport::Transport;
use futures::stream::BoxStream;

use crate::v3::handle::{Auth, Cluster, Maintenance, short_forms};
use crate::{
    error::Result,
    v3::{
        AlarmKind, AlarmList, AlarmSet, AuthDisable, AuthEnable, AuthStatus, AuthStatusResponse,
        Authenticate, AuthenticateResponse, Defragment, Downgrade, DowngradeResponse, HashDb,
        HashKv, HashKvResponse, HashResponse, Header, KeyRange, MemberAdd, MemberAddResponse,
        MemberList, MemberPromote, MemberRemove, MemberUpdate, Members, Permission, RaisedAlarm,
        RoleAdd, RoleDelete, RoleGet, RoleGrantPermission, RoleList, RoleRevokePermission,
        Snapshot, Status, StatusResponse, TransferLeadership, UserAdd, UserChangePassword,
        UserDelete, UserGet, UserGrantRole, UserList, UserRevokeRole,
    },
};

short_forms! {
    Auth:

    /// Switches authentication on: [`AuthEnable`].
    enable() -> Header = AuthEnable::new();

    /// Switches authentication off: [`AuthDisable`].
    disable() -> Header = AuthDisable::new();

    /// Asks whether authentication is on: [`AuthStatus`].
    status() -> AuthStatusResponse = AuthStatus::new();

    /// Gets a token: [`Authenticate`].
    authenticate(name: impl Into<String>, password: impl Into<String>) -> AuthenticateResponse =
        Authenticate::new(name, password);

    /// Creates a user: [`UserAdd`].
    user_add(name: impl Into<String>, password: impl Into<String>) -> Header =
        UserAdd::new(name, password);

    /// Names a user's roles: [`UserGet`].
    user_get(name: impl Into<String>) -> Vec<String> = UserGet::new(name);

    /// Lists the names of all users: [`UserList`].
    user_list() -> Vec<String> = UserList::new();

    /// Deletes a user: [`UserDelete`].
    user_delete(name: impl Into<String>) -> Header = UserDelete::new(name);

    /// Changes a user's password: [`UserChangePassword`].
    user_change_password(name: impl Into<String>, password: impl Into<String>) -> Header =
        UserChangePassword::new(name, password);

    /// Gives a user a role: [`UserGrantRole`].
    user_grant_role(name: impl Into<String>, role: impl Into<String>) -> Header =
        UserGrantRole::new(name, role);

    /// Takes a role from a user: [`UserRevokeRole`].
    user_revoke_role(name: impl Into<String>, role: impl Into<String>) -> Header =
        UserRevokeRole::new(name, role);

    /// Creates a role: [`RoleAdd`].
    role_add(name: impl Into<String>) -> Header = RoleAdd::new(name);

    /// Lists what a role may do: [`RoleGet`].
    role_get(name: impl Into<String>) -> Vec<Permission> = RoleGet::new(name);

    /// Lists the names of all roles: [`RoleList`].
    role_list() -> Vec<String> = RoleList::new();

    /// Deletes a role: [`RoleDelete`].
    role_delete(name: impl Into<String>) -> Header = RoleDelete::new(name);

    /// Lets a role do something: [`RoleGrantPermission`].
    role_grant_permission(name: impl Into<String>, permission: Permission) -> Header =
        RoleGrantPermission::new(name, permission);

    /// Takes from a role what it may do with these keys: [`RoleRevokePermission`].
    role_revoke_permission(name: impl Into<String>, range: impl Into<KeyRange>) -> Header =
        RoleRevokePermission::new(name, range);
}

short_forms! {
    Cluster:

    /// Lists the members: [`MemberList`].
    members() -> Members = MemberList::new();

    /// Adds a member: [`MemberAdd`].
    add_member(peer_urls: impl IntoIterator<Item = impl Into<String>>) -> MemberAddResponse =
        MemberAdd::new(peer_urls);

    /// Adds a member without a vote: [`MemberAdd`].
    add_learner(peer_urls: impl IntoIterator<Item = impl Into<String>>) -> MemberAddResponse =
        MemberAdd::new(peer_urls).learner(true);

    /// Gives a learner its vote: [`MemberPromote`].
    promote_member(id: u64) -> Members = MemberPromote::new(id);

    /// Changes where the others reach a member: [`MemberUpdate`].
    update_member(id: u64, peer_urls: impl IntoIterator<Item = impl Into<String>>) -> Members =
        MemberUpdate::new(id, peer_urls);

    /// Removes a member: [`MemberRemove`].
    remove_member(id: u64) -> Members = MemberRemove::new(id);
}

short_forms! {
    Maintenance:

    /// Asks a member how it is: [`Status`].
    status() -> StatusResponse = Status::new();

    /// Lists the alarms of all members: [`AlarmList`].
    alarms() -> Vec<RaisedAlarm> = AlarmList::new();

    /// Raises an alarm: [`AlarmSet`].
    raise_alarm(kind: AlarmKind) -> Vec<RaisedAlarm> = AlarmSet::raise(kind);

    /// Lifts an alarm: [`AlarmSet`].
    lift_alarm(kind: AlarmKind) -> Vec<RaisedAlarm> = AlarmSet::lift(kind);

    /// Gives free room in a member's database back to its disk: [`Defragment`].
    defragment() -> Header = Defragment::new();

    /// A checksum of a member's database: [`HashDb`].
    hash() -> HashResponse = HashDb::new();

    /// A checksum of a member's keys: [`HashKv`].
    hash_kv() -> HashKvResponse = HashKv::new();

    /// Makes another member the leader: [`TransferLeadership`].
    transfer_leadership(member_id: u64) -> Header = TransferLeadership::new(member_id);

    /// Prepares a cluster for an older version of etcd: [`Downgrade`].
    downgrade(downgrade: Downgrade) -> DowngradeResponse = downgrade;
}

impl<T: Transport> Maintenance<'_, T> {
    /// The whole database of a member, piece by piece, verified: [`Snapshot`], which can write it to a file, too.
    ///
    /// ```
    /// # use etcd_http::{Client, Error, transport::Transport};
    /// use futures::TryStreamExt;
    ///
    /// # async fn example<T: Transport>(client: &Client<T>) -> Result<(), Error> {
    /// let pieces: Vec<_> = client.v3().maintenance().snapshot().try_collect().await?;
    /// println!("{} bytes", pieces.iter().map(|piece| piece.len()).sum::<usize>());
    /// # Ok(())
    /// # }
    /// ```
    pub fn snapshot(self) -> BoxStream<'static, Result<Bytes>> {
        self.by.open(Snapshot::new())
    }
}
