//! The short forms of administration: auth, cluster, maintenance.

use bytes::Bytes;
use etcd_transport::Transport;
use futures::stream::BoxStream;

use crate::v3::handle::{Auth, Cluster, Maintenance, short_forms};
use crate::{
    error::Result,
    v3::{
        AddMember, AddMemberResponse, AddRole, AddUser, AlarmKind, AuthStatusResponse,
        Authenticate, AuthenticateResponse, ChangePassword, Defragment, DeleteRole, DeleteUser,
        DisableAuth, Downgrade, DowngradeResponse, EnableAuth, GetAuthStatus, GetHash, GetHashKv,
        GetRole, GetStatus, GetUser, GrantPermission, GrantRole, HashKvResponse, HashResponse,
        Header, KeyRange, ListAlarms, ListMembers, ListRoles, ListUsers, Members, Permission,
        PromoteMember, RaisedAlarm, RemoveMember, RevokePermission, RevokeRole, SetAlarm, Snapshot,
        StatusResponse, TransferLeadership, UpdateMember,
    },
};

short_forms! {
    Auth:

    /// Enables authentication: [`EnableAuth`].
    enable() -> Header = EnableAuth::new();

    /// Disables authentication: [`DisableAuth`].
    disable() -> Header = DisableAuth::new();

    /// Returns whether authentication is enabled: [`GetAuthStatus`].
    get_status() -> AuthStatusResponse = GetAuthStatus::new();

    /// Requests a token: [`Authenticate`].
    authenticate(name: impl AsRef<str>, password: impl AsRef<str>) -> AuthenticateResponse =
        Authenticate::new(name, password);

    /// Creates a user: [`AddUser`].
    add_user(name: impl AsRef<str>, password: impl AsRef<str>) -> Header =
        AddUser::new(name, password);

    /// Lists the roles of a user: [`GetUser`].
    get_user(name: impl AsRef<str>) -> Vec<String> = GetUser::new(name);

    /// Lists the names of all users: [`ListUsers`].
    list_users() -> Vec<String> = ListUsers::new();

    /// Deletes a user: [`DeleteUser`].
    delete_user(name: impl AsRef<str>) -> Header = DeleteUser::new(name);

    /// Changes a user's password: [`ChangePassword`].
    change_password(name: impl AsRef<str>, password: impl AsRef<str>) -> Header =
        ChangePassword::new(name, password);

    /// Grants a role to a user: [`GrantRole`].
    grant_role(name: impl AsRef<str>, role: impl AsRef<str>) -> Header =
        GrantRole::new(name, role);

    /// Revokes a role from a user: [`RevokeRole`].
    revoke_role(name: impl AsRef<str>, role: impl AsRef<str>) -> Header =
        RevokeRole::new(name, role);

    /// Creates a role: [`AddRole`].
    add_role(name: impl AsRef<str>) -> Header = AddRole::new(name);

    /// Lists the permissions of a role: [`GetRole`].
    get_role(name: impl AsRef<str>) -> Vec<Permission> = GetRole::new(name);

    /// Lists the names of all roles: [`ListRoles`].
    list_roles() -> Vec<String> = ListRoles::new();

    /// Deletes a role: [`DeleteRole`].
    delete_role(name: impl AsRef<str>) -> Header = DeleteRole::new(name);

    /// Grants a permission to a role: [`GrantPermission`].
    grant_permission(name: impl AsRef<str>, permission: Permission) -> Header =
        GrantPermission::new(name, permission);

    /// Revokes the permission of a role for these keys: [`RevokePermission`].
    revoke_permission(name: impl AsRef<str>, range: impl Into<KeyRange>) -> Header =
        RevokePermission::new(name, range);
}

short_forms! {
    Cluster:

    /// Lists the members: [`ListMembers`].
    list_members() -> Members = ListMembers::new();

    /// Adds a member: [`AddMember`].
    add_member(peer_urls: impl IntoIterator<Item = impl AsRef<str>>) -> AddMemberResponse =
        AddMember::new(peer_urls);

    /// Adds a learner, a member without a vote: [`AddMember`].
    add_learner(peer_urls: impl IntoIterator<Item = impl AsRef<str>>) -> AddMemberResponse =
        AddMember::new(peer_urls).learner(true);

    /// Promotes a learner to a voting member: [`PromoteMember`].
    promote_member(id: u64) -> Members = PromoteMember::new(id);

    /// Changes the peer URLs of a member: [`UpdateMember`].
    update_member(id: u64, peer_urls: impl IntoIterator<Item = impl AsRef<str>>) -> Members =
        UpdateMember::new(id, peer_urls);

    /// Removes a member: [`RemoveMember`].
    remove_member(id: u64) -> Members = RemoveMember::new(id);
}

short_forms! {
    Maintenance:

    /// Returns the status of a member: [`GetStatus`].
    get_status() -> StatusResponse = GetStatus::new();

    /// Lists the alarms of all members: [`ListAlarms`].
    list_alarms() -> Vec<RaisedAlarm> = ListAlarms::new();

    /// Raises an alarm: [`SetAlarm`].
    raise_alarm(kind: AlarmKind) -> Vec<RaisedAlarm> = SetAlarm::raise(kind);

    /// Gives free room in a member's database back to its disk: [`Defragment`].
    defragment() -> Header = Defragment::new();

    /// Returns a checksum of a member's database: [`GetHash`].
    get_hash() -> HashResponse = GetHash::new();

    /// Returns a checksum of a member's keys: [`GetHashKv`].
    get_hash_kv() -> HashKvResponse = GetHashKv::new();

    /// Makes another member the leader: [`TransferLeadership`].
    transfer_leadership(member_id: u64) -> Header = TransferLeadership::new(member_id);

    /// Prepares a cluster for an older version of etcd: [`Downgrade`].
    downgrade(downgrade: Downgrade) -> DowngradeResponse = downgrade;
}

impl<T: Transport> Maintenance<'_, T> {
    /// Lifts an alarm of all members that have it, as etcdctl does: [`ListAlarms`], then a [`SetAlarm`] for each.
    /// [`AlarmKind::None`] lifts all alarms. Returns those that were lifted.
    ///
    /// # Errors
    /// The first one: alarms that were lifted before it stay lifted.
    pub async fn lift_alarm(self, kind: AlarmKind) -> Result<Vec<RaisedAlarm>> {
        let mut lifted = Vec::new();
        for alarm in self.by.send(ListAlarms::new()).await? {
            if kind == AlarmKind::None || alarm.kind == kind {
                let lift = SetAlarm::lift(alarm.kind).member(alarm.member_id);
                lifted.extend(self.by.send(lift).await?);
            }
        }
        Ok(lifted)
    }

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
