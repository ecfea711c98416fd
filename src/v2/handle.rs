use std::time::Duration;

use etcd_transport::Transport;
use futures::stream::BoxStream;

use crate::v2::{
    AddMember, AddRole, AddUser, ChangePassword, CompareAndDelete, CompareAndSwap, Condition,
    Create, CreateDir, CreateInOrder, Delete, DeleteDir, DeleteRole, DeleteUser, DisableAuth,
    EnableAuth, Event, Exists, Get, GetAuthStatus, GetLeader, GetLeaderStats, GetRole,
    GetSelfStats, GetStoreStats, GetUser, GrantPermissions, GrantRoles, LeaderStats, ListMachines,
    ListMembers, ListRoles, ListUsers, Member, Once, Permissions, Refresh, RemoveMember,
    RevokePermissions, RevokeRoles, Role, SelfStats, Set, SetDir, StoreStats, Update, UpdateDir,
    UpdateMember, User, UserDetails, Watch, WatchUpdate, once, watch::request,
};
use crate::{
    base::trace,
    client::Client,
    error::{Error, Result},
    operation::StreamOperation,
};

/// The v2 API of a [`Client`]: a short form of every operation.
///
/// Each method sends or opens the operation that it names, with its defaults and its errors. For options, send the
/// operation itself: `client.send(Get::new("/dir").sorted(true))`, `client.open(Watch::new("/dir").from_index(7))`.
///
/// The futures borrow only the client, so they can be stored, joined and raced.
#[derive(Debug)]
pub struct V2<'a, T> {
    client: &'a Client<T>,
}

impl<T: Transport> Client<T> {
    /// Returns the v2 API: keys, members, stats, auth. etcd 3.4 and 3.5 have it if started with `--enable-v2`.
    pub fn v2(&self) -> V2<'_, T> {
        V2 { client: self }
    }
}

impl<T> Clone for V2<'_, T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for V2<'_, T> {}

/// Declares methods that send an operation made of their arguments.
macro_rules! short_forms {
    ($(
        $(#[$doc:meta])*
        $method:ident($($argument:ident: $type:ty),*) -> $output:ty = $operation:expr;
    )+) => {
        $(
            $(#[$doc])*
            ///
            /// # Errors
            /// See the operation, and [`Error`](crate::Error).
            pub async fn $method(self, $($argument: $type),*) -> Result<$output> {
                self.client.send($operation).await
            }
        )+
    };
}

/// # Keys
impl<T: Transport> V2<'_, T> {
    short_forms! {
        /// Reads a key, or lists a directory: [`Get`].
        get(key: impl AsRef<str>) -> Event = Get::new(key);

        /// Returns whether a key exists, file or directory: [`Exists`].
        #[doc(alias = "haskey")]
        exists(key: impl AsRef<str>) -> bool = Exists::new(key);

        /// Creates or replaces a file: [`Set`].
        set(key: impl AsRef<str>, value: impl AsRef<str>) -> Event = Set::new(key, value);

        /// Creates a file that must not exist: [`Create`].
        create(key: impl AsRef<str>, value: impl AsRef<str>) -> Event = Create::new(key, value);

        /// Creates a file in a directory, with a key greater than all before: [`CreateInOrder`].
        create_in_order(dir: impl AsRef<str>, value: impl AsRef<str>) -> Event =
            CreateInOrder::new(dir, value);

        /// Replaces the value of a file that must exist: [`Update`].
        update(key: impl AsRef<str>, value: impl AsRef<str>) -> Event = Update::new(key, value);

        /// Sets the TTL of a file without notifying watches: [`Refresh`].
        refresh(key: impl AsRef<str>, ttl: Duration) -> Event = Refresh::new(key, ttl);

        /// Creates a directory, and replaces a file: [`SetDir`].
        #[doc(alias = "setdir")]
        set_dir(key: impl AsRef<str>) -> Event = SetDir::new(key);

        /// Creates a directory that must not exist: [`CreateDir`].
        #[doc(alias = "createdir")]
        create_dir(key: impl AsRef<str>) -> Event = CreateDir::new(key);

        /// Removes the TTL of a directory: [`UpdateDir`], which can also set one.
        #[doc(alias = "updatedir")]
        update_dir(key: impl AsRef<str>) -> Event = UpdateDir::new(key);

        /// Deletes a file: [`Delete`].
        delete(key: impl AsRef<str>) -> Event = Delete::new(key);

        /// Deletes an empty directory: [`DeleteDir`].
        #[doc(alias = "deletedir")]
        delete_dir(key: impl AsRef<str>) -> Event = DeleteDir::new(key);

        /// Deletes a directory with everything below it: [`DeleteDir`], recursive.
        delete_tree(key: impl AsRef<str>) -> Event = DeleteDir::new(key).recursive(true);

        /// Replaces the value of a file if a condition holds: [`CompareAndSwap`].
        #[doc(alias = "cas")]
        compare_and_swap(
            key: impl AsRef<str>, value: impl AsRef<str>, condition: Condition
        ) -> Event = CompareAndSwap::new(key, value, condition);

        /// Deletes a file if a condition holds: [`CompareAndDelete`].
        #[doc(alias = "cad")]
        compare_and_delete(key: impl AsRef<str>, condition: Condition) -> Event =
            CompareAndDelete::new(key, condition);
    }

    /// Applies a write exactly once, or reports that it cannot know. If a response is lost, it reads the store to see
    /// whether the write is there, and sends it again where that is safe. See [`Once`] for what the write must store,
    /// and for the guarantees.
    ///
    /// Returns the event of the write. If that was lost, returns the read ([`Action::Get`](super::Action::Get)) that
    /// found the write in the store, or its event from the history.
    ///
    /// ```
    /// # use etcd_http::{Client, Error, Outcome};
    /// use etcd_http::v2::{CompareAndSwap, Condition};
    ///
    /// # #[cfg(feature = "fake")]
    /// # futures::executor::block_on(async {
    /// # let etcd = etcd_http::fake::FakeEtcd::new();
    /// # let client = Client::new(etcd.clone(), etcd.endpoints())?;
    /// # client.v2().set("/stock", "42").await?;
    /// # let unique = "host-7 1";
    /// let stock = client.v2().get("/stock").await?.node;
    /// let swap = CompareAndSwap::new(
    ///     "/stock",
    ///     format!("41 {unique}"), // another client may write 41, too
    ///     Condition::index_is(stock.modified_index),
    /// );
    /// match client.v2().once(swap).await {
    ///     Ok(_) => println!("taken, once"),
    ///     Err(error) if error.outcome() == Outcome::Unknown => println!("at most once: {error}"),
    ///     Err(error) => println!("not taken: {error}"),
    /// }
    /// # Ok::<(), Error>(())
    /// # }).unwrap();
    /// ```
    ///
    /// # Errors
    /// See the operation; [`Error::Invalid`](crate::Error::Invalid) for a write that could not be recognized: an empty
    /// value, or a swap that does not compare an index.
    pub async fn once<W: Once>(self, write: W) -> Result<Event> {
        once::once(self.client, &write).await
    }

    /// Waits for the next event of a key: [`Watch`], once. Dropping the future ends the request.
    ///
    /// # Errors
    /// See the operation, and [`Error`](crate::Error).
    pub async fn wait(self, key: impl AsRef<str>) -> Result<Event> {
        let watch = request::once(self.client, Watch::new(key));
        trace::future(Watch::NAME, watch, Error::type_name).await
    }

    /// Delivers the events of a key from now on: [`Watch`].
    #[doc(alias = "watchloop")]
    pub fn watch(self, key: impl AsRef<str>) -> BoxStream<'static, Result<Event>> {
        self.client.open(Watch::new(key))
    }

    /// Delivers the events of a key and everything below it from now on: [`Watch`], recursive.
    pub fn watch_tree(self, key: impl AsRef<str>) -> BoxStream<'static, Result<Event>> {
        self.client.open(Watch::new(key).recursive(true))
    }

    /// Delivers the events of a key from now on and, if history was lost, the current state of the key:
    /// [`Watch::resyncing`].
    ///
    /// ```
    /// # use etcd_http::{Client, Error};
    /// use etcd_http::v2::WatchUpdate;
    /// use futures::TryStreamExt;
    ///
    /// # #[cfg(feature = "fake")]
    /// # futures::executor::block_on(async {
    /// # let etcd = etcd_http::fake::FakeEtcd::new();
    /// # let client = Client::new(etcd.clone(), etcd.endpoints())?;
    /// # client.v2().set("/level", "info").await?;
    /// let mut updates = client.v2().watch_resyncing("/level");
    /// # futures::future::join(updates.try_next(), client.v2().set("/level", "debug")).await.0?;
    /// # client.v2().set("/level", "warn").await?;
    /// while let Some(update) = updates.try_next().await? {
    ///     match update {
    ///         WatchUpdate::Event(event) => println!("{:?}", event.node.value),
    ///         WatchUpdate::Resync(resync) => println!("events were lost; now {:?}", resync.state),
    ///     }
    /// #   break;
    /// }
    /// # Ok::<(), Error>(())
    /// # }).unwrap();
    /// ```
    pub fn watch_resyncing(self, key: impl AsRef<str>) -> BoxStream<'static, Result<WatchUpdate>> {
        self.client.open(Watch::new(key).resyncing())
    }
}

/// # Members
impl<T: Transport> V2<'_, T> {
    short_forms! {
        /// Lists the members: [`ListMembers`].
        list_members() -> Vec<Member> = ListMembers::new();

        /// Returns the leader: [`GetLeader`].
        get_leader() -> Member = GetLeader::new();

        /// Adds a member: [`AddMember`].
        add_member(peer_urls: impl IntoIterator<Item = impl AsRef<str>>) -> Member =
            AddMember::new(peer_urls);

        /// Changes the peer URLs of a member: [`UpdateMember`].
        update_member(
            id: impl AsRef<str>, peer_urls: impl IntoIterator<Item = impl AsRef<str>>
        ) -> () = UpdateMember::new(id, peer_urls);

        /// Removes a member permanently: [`RemoveMember`].
        remove_member(id: impl AsRef<str>) -> () = RemoveMember::new(id);

        /// Lists the client URLs of all members: [`ListMachines`].
        list_machines() -> Vec<String> = ListMachines::new();
    }
}

/// # Statistics
impl<T: Transport> V2<'_, T> {
    short_forms! {
        /// Returns the statistics of a member: [`GetSelfStats`].
        get_self_stats() -> SelfStats = GetSelfStats::new();

        /// Returns the operation counters of a member: [`GetStoreStats`].
        get_store_stats() -> StoreStats = GetStoreStats::new();

        /// Returns the leader's statistics of its followers: [`GetLeaderStats`].
        get_leader_stats() -> LeaderStats = GetLeaderStats::new();
    }
}

/// # Authentication
impl<T: Transport> V2<'_, T> {
    short_forms! {
        /// Returns whether authentication is enabled: [`GetAuthStatus`].
        get_auth_status() -> bool = GetAuthStatus::new();

        /// Enables authentication: [`EnableAuth`].
        enable_auth() -> () = EnableAuth::new();

        /// Disables authentication: [`DisableAuth`].
        disable_auth() -> () = DisableAuth::new();

        /// Lists the users: [`ListUsers`].
        list_users() -> Vec<UserDetails> = ListUsers::new();

        /// Reads a user: [`GetUser`].
        get_user(name: impl AsRef<str>) -> UserDetails = GetUser::new(name);

        /// Creates a user: [`AddUser`].
        add_user(name: impl AsRef<str>, password: impl AsRef<str>) -> User =
            AddUser::new(name, password);

        /// Changes a user's password: [`ChangePassword`].
        change_password(name: impl AsRef<str>, password: impl AsRef<str>) -> User =
            ChangePassword::new(name, password);

        /// Grants roles to a user: [`GrantRoles`].
        grant_roles(
            user: impl AsRef<str>, roles: impl IntoIterator<Item = impl AsRef<str>>
        ) -> User = GrantRoles::new(user, roles);

        /// Revokes roles of a user: [`RevokeRoles`].
        revoke_roles(
            user: impl AsRef<str>, roles: impl IntoIterator<Item = impl AsRef<str>>
        ) -> User = RevokeRoles::new(user, roles);

        /// Deletes a user: [`DeleteUser`].
        delete_user(name: impl AsRef<str>) -> () = DeleteUser::new(name);

        /// Lists the roles: [`ListRoles`].
        list_roles() -> Vec<Role> = ListRoles::new();

        /// Reads a role: [`GetRole`].
        get_role(name: impl AsRef<str>) -> Role = GetRole::new(name);

        /// Creates a role: [`AddRole`].
        add_role(name: impl AsRef<str>, permissions: Permissions) -> Role =
            AddRole::new(name, permissions);

        /// Grants permissions to a role: [`GrantPermissions`].
        grant_permissions(role: impl AsRef<str>, permissions: Permissions) -> Role =
            GrantPermissions::new(role, permissions);

        /// Revokes permissions of a role: [`RevokePermissions`].
        revoke_permissions(role: impl AsRef<str>, permissions: Permissions) -> Role =
            RevokePermissions::new(role, permissions);

        /// Deletes a role: [`DeleteRole`].
        delete_role(name: impl AsRef<str>) -> () = DeleteRole::new(name);
    }
}
