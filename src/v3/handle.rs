use std::time::Duration;

use etcd_transport::Transport;

use super::{
    AlarmKind, AlarmList, AlarmSet, AuthDisable, AuthEnable, AuthStatus, AuthStatusResponse,
    Authenticate, AuthenticateResponse, Campaign, CampaignResponse, Compact, Defragment,
    DeleteRange, DeleteRangeResponse, Downgrade, DowngradeResponse, ExactlyOnce,
    ExactlyOnceResponse, GetLeader, Grant, GrantResponse, HashDb, HashKv, HashKvResponse,
    HashResponse, Header, KeepAliveOnce, KeptAlive, KeyRange, KeyValue, LeaderKey, LeaseId,
    LeaseStatus, ListLeases, Lock, LockResponse, MemberAdd, MemberAddResponse, MemberList,
    MemberPromote, MemberRemove, MemberUpdate, Members, Namespace, Permission, Proclaim, Put,
    PutResponse, RaisedAlarm, Range, RangeResponse, Resign, Revoke, RoleAdd, RoleDelete, RoleGet,
    RoleGrantPermission, RoleList, RoleRevokePermission, Status, StatusResponse, TimeToLive,
    TransferLeadership, Txn, TxnResponse, Unlock, UserAdd, UserChangePassword, UserDelete, UserGet,
    UserGrantRole, UserList, UserRevokeRole,
};
use crate::{Client, Result};

/// The v3 API of a [`Client`]: a short form of every operation, by family.
///
/// Each sends the operation that it names, with its defaults, and fails as that documents. For options, send the
/// operation itself: `client.send(Range::new("key").revision(7))`.
#[derive(Debug)]
pub struct V3<'a, T> {
    client: &'a Client<T>,
}

/// Declares the families, each a handle of its own.
macro_rules! families {
    ($($(#[$doc:meta])* $method:ident -> $family:ident;)+) => {
        impl<'a, T: Transport> V3<'a, T> {
            pub(crate) fn new(client: &'a Client<T>) -> Self {
                Self { client }
            }

            /// The keys with this prefix, as if there were no others.
            pub fn namespace(&self, prefix: impl Into<Vec<u8>>) -> Namespace<T> {
                Namespace::new(self.client, prefix)
            }

            $(
                $(#[$doc])*
                pub fn $method(&self) -> $family<'a, T> {
                    $family { client: self.client }
                }
            )+
        }

        $(
            $(#[$doc])*
            #[derive(Debug)]
            pub struct $family<'a, T> {
                client: &'a Client<T>,
            }
        )+
    };
}

families! {
    /// Keys and values.
    kv -> Kv;
    /// Leases.
    lease -> Leases;
    /// Locks.
    lock -> Locks;
    /// Elections.
    election -> Elections;
    /// Users, roles, and whether they count.
    auth -> Auth;
    /// The members of the cluster.
    cluster -> Cluster;
    /// Looking after a member, and the cluster.
    maintenance -> Maintenance;
}

/// Declares methods that send an operation made of their arguments.
macro_rules! short_forms {
    ($family:ident: $(
        $(#[$doc:meta])*
        $method:ident($($argument:ident: $type:ty),*) -> $output:ty = $operation:expr;
    )+) => {
        impl<T: Transport> $family<'_, T> {
            $(
                $(#[$doc])*
                ///
                /// # Errors
                /// As the operation documents; see [`Error`](crate::Error).
                pub async fn $method(&self, $($argument: $type),*) -> Result<$output> {
                    self.client.send($operation).await
                }
            )+
        }
    };
}

impl<T: Transport> Kv<'_, T> {
    /// Reads one key: [`Range`]. `None` when there is none.
    ///
    /// # Errors
    /// As the operation documents; see [`Error`](crate::Error).
    pub async fn get(&self, key: impl Into<Vec<u8>>) -> Result<Option<KeyValue>> {
        let range = KeyRange::key(key);
        let found = self.client.send(Range::new(range)).await?;
        Ok(found.into_first())
    }

    /// Counts the keys of a range: [`Range`], only counting.
    ///
    /// # Errors
    /// As the operation documents; see [`Error`](crate::Error).
    pub async fn count(&self, range: impl Into<KeyRange>) -> Result<i64> {
        let found = self.client.send(Range::new(range).count_only(true)).await?;
        Ok(found.count)
    }
}

short_forms! {
    Kv:

    /// Reads the keys of a range: [`Range`].
    range(range: impl Into<KeyRange>) -> RangeResponse = Range::new(range);

    /// Writes one key: [`Put`].
    put(key: impl Into<Vec<u8>>, value: impl Into<Vec<u8>>) -> PutResponse = Put::new(key, value);

    /// Deletes one key, or the keys of a range: [`DeleteRange`].
    delete(range: impl Into<KeyRange>) -> DeleteRangeResponse = DeleteRange::new(range);

    /// Carries out a transaction: [`Txn`].
    txn(txn: Txn) -> TxnResponse = txn;

    /// Carries out a transaction once, however often it is sent: [`ExactlyOnce`].
    exactly_once(marker: impl Into<Vec<u8>>, txn: Txn) -> ExactlyOnceResponse =
        ExactlyOnce::new(marker, txn);

    /// Forgets what was before a revision: [`Compact`].
    compact(revision: i64) -> Header = Compact::new(revision);
}

short_forms! {
    Leases:

    /// Makes a lease with a random id: [`Grant`].
    grant(ttl: Duration) -> GrantResponse = Grant::new(ttl);

    /// Ends a lease, and deletes its keys: [`Revoke`].
    revoke(id: impl Into<LeaseId>) -> Header = Revoke::new(id);

    /// How long a lease has still to live, and its keys: [`TimeToLive`].
    time_to_live(id: impl Into<LeaseId>) -> Option<LeaseStatus> = TimeToLive::new(id).keys(true);

    /// Lists all leases: [`ListLeases`].
    list() -> Vec<LeaseId> = ListLeases::new();

    /// Renews several leases, once: [`KeepAliveOnce`].
    keep_all_alive_once(ids: impl IntoIterator<Item = LeaseId>) -> Vec<KeptAlive> =
        KeepAliveOnce::all(ids);
}

impl<T: Transport> Leases<'_, T> {
    /// Renews a lease, once: [`KeepAliveOnce`]. Answers how long it lives now; `None` when it is gone.
    ///
    /// # Errors
    /// As the operation documents; see [`Error`](crate::Error).
    pub async fn keep_alive_once(&self, id: impl Into<LeaseId>) -> Result<Option<Duration>> {
        let answers = self.client.send(KeepAliveOnce::new(id)).await?;
        Ok(answers.first().and_then(|kept| kept.ttl))
    }
}

short_forms! {
    Locks:

    /// Waits for a lock, and holds it as long as the lease lives: [`Lock`].
    lock(name: impl Into<Vec<u8>>, lease: impl Into<LeaseId>) -> LockResponse =
        Lock::new(name, lease);

    /// Gives a lock up: [`Unlock`].
    unlock(key: impl Into<Vec<u8>>) -> Header = Unlock::new(key);
}

short_forms! {
    Elections:

    /// Waits to be elected, and leads as long as the lease lives: [`Campaign`].
    campaign(
        name: impl Into<Vec<u8>>, lease: impl Into<LeaseId>, value: impl Into<Vec<u8>>
    ) -> CampaignResponse = Campaign::new(name, lease, value);

    /// Changes the value that a leader proclaims: [`Proclaim`].
    proclaim(leader: LeaderKey, value: impl Into<Vec<u8>>) -> Header = Proclaim::new(leader, value);

    /// Asks who leads: [`GetLeader`].
    leader(name: impl Into<Vec<u8>>) -> Option<KeyValue> = GetLeader::new(name);

    /// Gives the leadership up: [`Resign`].
    resign(leader: LeaderKey) -> Header = Resign::new(leader);
}

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
