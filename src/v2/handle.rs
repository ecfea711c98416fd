use std::time::Duration;

use etcd_transport::Transport;
use futures::stream::BoxStream;

use crate::v2::{
    AddMember, ChangePassword, CompareAndDelete, CompareAndSwap, Condition, Create, CreateDir,
    CreateInOrder, CreateRole, CreateUser, Delete, DeleteDir, DeleteRole, DeleteUser, DisableAuth,
    EnableAuth, Event, Exists, Get, GetAuthStatus, GetLeader, GetLeaderStats, GetRole,
    GetSelfStats, GetStoreStats, GetUser, GrantPermissions, GrantRoles, LeaderStats, ListMachines,
    ListMembers, ListRoles, ListUsers, Member, Once, Permissions, Refresh, RemoveMember,
    RevokePermissions, RevokeRoles, Role, SelfStats, Set, SetDir, StoreStats, Update, UpdateDir,
    UpdateMember, User, UserDetails, Watch, WatchUpdate, once, watch::request,
};
use crate::{client::Client, error::Result, operation::StreamOperation, pipeline::observe::trace};

/// The v2 API of a [`Client`]: a short form of every operation.
///
/// Each sends or opens the operation that it names, with its defaults, and fails as that documents. For options, send the
/// operation itself: `client.send(Get::new("/dir").sorted(true))`, `client.open(Watch::new("/dir").from_index(7))`.
///
/// Its futures borrow the client alone, so they can be kept, joined and raced.
#[derive(Debug)]
pub struct V2<'a, T> {
    client: &'a Client<T>,
}

impl<T: Transport> Client<T> {
    /// The v2 API: keys, members, stats, auth. etcd 3.4 and 3.5 have it when started with `--enable-v2`.
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
            /// As the operation documents; see [`Error`](crate::Error).
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

        /// Whether a key exists, file or directory: [`Exists`].
        #[doc(alias = "haskey")]
        exists(key: impl AsRef<str>) -> bool = Exists::new(key);

        /// Creates or replaces a file: [`Set`].
        set(key: impl AsRef<str>, value: impl AsRef<str>) -> Event = Set::new(key, value);

        /// Creates a file that must not exist: [`Create`].
        create(key: impl AsRef<str>, value: impl AsRef<str>) -> Event = Create::new(key, value);

        /// Creates a file under a directory, with a key greater than all before: [`CreateInOrder`].
        create_in_order(dir: impl AsRef<str>, value: impl AsRef<str>) -> Event =
            CreateInOrder::new(dir, value);

        /// Replaces the value of a file that must exist: [`Update`].
        update(key: impl AsRef<str>, value: impl AsRef<str>) -> Event = Update::new(key, value);

        /// Gives a file another TTL, and tells no watcher: [`Refresh`].
        refresh(key: impl AsRef<str>, ttl: Duration) -> Event = Refresh::new(key, ttl);

        /// Makes a directory, in the place of a file if one is there: [`SetDir`].
        #[doc(alias = "setdir")]
        set_dir(key: impl AsRef<str>) -> Event = SetDir::new(key);

        /// Creates a directory that must not exist: [`CreateDir`].
        #[doc(alias = "createdir")]
        create_dir(key: impl AsRef<str>) -> Event = CreateDir::new(key);

        /// Takes the TTL from a directory: [`UpdateDir`], which can give it one, too.
        #[doc(alias = "updatedir")]
        update_dir(key: impl AsRef<str>) -> Event = UpdateDir::new(key);

        /// Deletes a file: [`Delete`].
        delete(key: impl AsRef<str>) -> Event = Delete::new(key);

        /// Deletes an empty directory: [`DeleteDir`].
        #[doc(alias = "deletedir")]
        delete_dir(key: impl AsRef<str>) -> Event = DeleteDir::new(key);

        /// Deletes a directory with all that is below it: [`DeleteDir`], recursive.
        delete_tree(key: impl AsRef<str>) -> Event = DeleteDir::new(key).recursive(true);

        /// Replaces the value of a file that is what it is expected to be: [`CompareAndSwap`].
        #[doc(alias = "cas")]
        compare_and_swap(
            key: impl AsRef<str>, value: impl AsRef<str>, condition: Condition
        ) -> Event = CompareAndSwap::new(key, value, condition);

        /// Deletes a file that is what it is expected to be: [`CompareAndDelete`].
        #[doc(alias = "cad")]
        compare_and_delete(key: impl AsRef<str>, condition: Condition) -> Event =
            CompareAndDelete::new(key, condition);
    }

    /// Carries out a write exactly once, or says that it cannot know: where an answer is lost, it reads the store to see
    /// whether the write is there, and sends it again where that is safe. See [`Once`] for what it must store, and
    /// for what is promised.
    ///
    /// Answers the write's own event; where that was lost, the reading ([`Action::Get`](super::Action::Get)) that found
    /// the write in the store, or the event that the history has of it.
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
    ///     format!("41 {unique}"), // 41 alone could be anybody's
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
    /// As the operation documents; [`Error::Invalid`](crate::Error::Invalid) for what could not be recognised: an empty
    /// value, or a swap that compares without an index.
    pub async fn once<W: Once>(self, write: W) -> Result<Event> {
        once::once(self.client, &write).await
    }

    /// Waits for the next thing that happens to a key: [`Watch`], once. Drop the future to wait no longer.
    ///
    /// # Errors
    /// As the operation documents; see [`Error`](crate::Error).
    pub async fn wait(self, key: impl AsRef<str>) -> Result<Event> {
        let watch = request::once(self.client, Watch::new(key));
        trace::future(Watch::NAME, watch).await
    }

    /// What happens to a key from now on: [`Watch`].
    #[doc(alias = "watchloop")]
    pub fn watch(self, key: impl AsRef<str>) -> BoxStream<'static, Result<Event>> {
        self.client.open(Watch::new(key))
    }

    /// What happens to a key and all that is below it from now on: [`Watch`], recursive.
    pub fn watch_tree(self, key: impl AsRef<str>) -> BoxStream<'static, Result<Event>> {
        self.client.open(Watch::new(key).recursive(true))
    }

    /// What happens to a key from now on; where history was lost, what the key is now: [`Watch::resyncing`].
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
    ///         WatchUpdate::Resync(resync) => println!("lost some; now {:?}", resync.state),
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
        members() -> Vec<Member> = ListMembers::new();

        /// Asks who leads: [`GetLeader`].
        leader() -> Member = GetLeader::new();

        /// Adds a member: [`AddMember`].
        add_member(peer_urls: impl IntoIterator<Item = impl AsRef<str>>) -> Member =
            AddMember::new(peer_urls);

        /// Changes where the others reach a member: [`UpdateMember`].
        update_member(
            id: impl AsRef<str>, peer_urls: impl IntoIterator<Item = impl AsRef<str>>
        ) -> () = UpdateMember::new(id, peer_urls);

        /// Removes a member permanently: [`RemoveMember`].
        remove_member(id: impl AsRef<str>) -> () = RemoveMember::new(id);

        /// The client URLs of all members: [`ListMachines`].
        machines() -> Vec<String> = ListMachines::new();
    }
}

/// # Statistics
impl<T: Transport> V2<'_, T> {
    short_forms! {
        /// What a member says of itself: [`GetSelfStats`].
        stats_self() -> SelfStats = GetSelfStats::new();

        /// What a member has counted: [`GetStoreStats`].
        stats_store() -> StoreStats = GetStoreStats::new();

        /// What the leader knows of its followers: [`GetLeaderStats`].
        stats_leader() -> LeaderStats = GetLeaderStats::new();
    }
}

/// # Authentication
impl<T: Transport> V2<'_, T> {
    short_forms! {
        /// Whether authentication is on: [`GetAuthStatus`].
        auth_status() -> bool = GetAuthStatus::new();

        /// Switches authentication on: [`EnableAuth`].
        enable_auth() -> () = EnableAuth::new();

        /// Switches authentication off: [`DisableAuth`].
        disable_auth() -> () = DisableAuth::new();

        /// Lists the users: [`ListUsers`].
        users() -> Vec<UserDetails> = ListUsers::new();

        /// Reads a user: [`GetUser`].
        user(name: impl AsRef<str>) -> UserDetails = GetUser::new(name);

        /// Creates a user: [`CreateUser`].
        create_user(name: impl AsRef<str>, password: impl AsRef<str>) -> User =
            CreateUser::new(name, password);

        /// Changes a user's password: [`ChangePassword`].
        change_password(name: impl AsRef<str>, password: impl AsRef<str>) -> User =
            ChangePassword::new(name, password);

        /// Gives a user roles: [`GrantRoles`].
        grant_roles(
            user: impl AsRef<str>, roles: impl IntoIterator<Item = impl AsRef<str>>
        ) -> User = GrantRoles::new(user, roles);

        /// Takes roles from a user: [`RevokeRoles`].
        revoke_roles(
            user: impl AsRef<str>, roles: impl IntoIterator<Item = impl AsRef<str>>
        ) -> User = RevokeRoles::new(user, roles);

        /// Deletes a user: [`DeleteUser`].
        delete_user(name: impl AsRef<str>) -> () = DeleteUser::new(name);

        /// Lists the roles: [`ListRoles`].
        roles() -> Vec<Role> = ListRoles::new();

        /// Reads a role: [`GetRole`].
        role(name: impl AsRef<str>) -> Role = GetRole::new(name);

        /// Creates a role: [`CreateRole`].
        create_role(name: impl AsRef<str>, permissions: Permissions) -> Role =
            CreateRole::new(name, permissions);

        /// Gives a role permissions: [`GrantPermissions`].
        grant_permissions(role: impl AsRef<str>, permissions: Permissions) -> Role =
            GrantPermissions::new(role, permissions);

        /// Takes permissions from a role: [`RevokePermissions`].
        revoke_permissions(role: impl AsRef<str>, permissions: Permissions) -> Role =
            RevokePermissions::new(role, permissions);

        /// Deletes a role: [`DeleteRole`].
        delete_role(name: impl AsRef<str>) -> () = DeleteRole::new(name);
    }
}
