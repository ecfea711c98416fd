//! The short forms for keys, leases, locks and elections.

use std::time::Duration;

use etcd_transport::Transport;
use futures::stream::BoxStream;

use crate::v3::handle::{Elections, Kv, Leases, V3, short_forms};
use crate::v3::namespace::Namespace;
use crate::{
    error::Result,
    v3::{
        Campaign, CampaignResponse, Compact, DeleteRange, DeleteRangeResponse, ExactlyOnce,
        ExactlyOnceResponse, GetLeader, GetTimeToLive, GrantLease, GrantLeaseResponse, Header,
        KeepAlive, KeepAliveOnce, KeepAliveResponse, Key, KeyRange, KeyValue, LeaderKey, LeaseId,
        LeaseKeeper, LeaseStatus, ListLeases, Lock, LockResponse, Observe, Proclaim, Put,
        PutResponse, Range, RangeResponse, RangeStream, Resign, RevokeLease, Txn, TxnResponse,
        Unlock, Value,
    },
};

impl<T: Transport> Kv<'_, T> {
    /// Reads one key: [`Range`]. Returns `None` if it does not exist.
    ///
    /// # Errors
    /// See the operation, and [`Error`](crate::Error).
    pub async fn get(self, key: impl Into<Key>) -> Result<Option<KeyValue>> {
        let range = KeyRange::key(key);
        let found = self.by.send(Range::new(range)).await?;
        Ok(found.into_first())
    }

    /// Counts the keys of a range: [`Range::count_only`].
    ///
    /// # Errors
    /// See the operation, and [`Error`](crate::Error).
    pub async fn count(self, range: impl Into<KeyRange>) -> Result<i64> {
        let found = self.by.send(Range::new(range).count_only(true)).await?;
        Ok(found.count)
    }

    /// Discards the history before a revision, for all keys of the store, even in a namespace: [`Compact`].
    ///
    /// # Errors
    /// See the operation, and [`Error`](crate::Error).
    pub async fn compact(self, revision: i64) -> Result<Header> {
        self.by.client().send(Compact::new(revision)).await
    }

    /// Reads a range of any size, page by page, all at one revision: [`RangeStream`].
    ///
    /// ```
    /// # use etcd_http::{Client, Error, transport::Transport};
    /// use etcd_http::v3::KeyRange;
    /// use futures::TryStreamExt;
    ///
    /// # async fn example<T: Transport>(client: &Client<T>) -> Result<(), Error> {
    /// let mut jobs = client.v3().kv().range_stream(KeyRange::prefix("jobs/"));
    /// while let Some(job) = jobs.try_next().await? {
    ///     println!("{:?}", job.key);
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub fn range_stream(self, range: impl Into<KeyRange>) -> BoxStream<'static, Result<KeyValue>> {
        self.by.open(RangeStream::new(range))
    }
}

short_forms! {
    Kv:

    /// Reads the keys of a range: [`Range`].
    range(range: impl Into<KeyRange>) -> RangeResponse = Range::new(range);

    /// Writes one key: [`Put`].
    put(key: impl Into<Key>, value: impl Into<Value>) -> PutResponse = Put::new(key, value);

    /// Deletes one key, or the keys of a range: [`DeleteRange`].
    delete(range: impl Into<KeyRange>) -> DeleteRangeResponse = DeleteRange::new(range);

    /// Executes a transaction: [`Txn`].
    txn(txn: Txn) -> TxnResponse = txn;

    /// Executes a transaction that is applied once, however often it is sent: [`ExactlyOnce`].
    exactly_once(marker: impl Into<Key>, txn: Txn) -> ExactlyOnceResponse =
        ExactlyOnce::new(marker, txn);
}

short_forms! {
    Leases:

    /// Grants a lease with a random id: [`GrantLease`].
    grant(ttl: Duration) -> GrantLeaseResponse = GrantLease::new(ttl);

    /// Revokes a lease and deletes its keys: [`RevokeLease`].
    revoke(id: impl Into<LeaseId>) -> Header = RevokeLease::new(id);

    /// Returns the remaining time of a lease and its keys: [`GetTimeToLive`].
    get_time_to_live(id: impl Into<LeaseId>) -> Option<LeaseStatus> = GetTimeToLive::new(id).keys(true);

    /// Lists all leases: [`ListLeases`].
    list() -> Vec<LeaseId> = ListLeases::new();
}

impl<T: Transport> Leases<'_, T> {
    /// Renews a lease once: [`KeepAliveOnce`]. Returns its time to live, or `None` if it does not exist.
    ///
    /// # Errors
    /// See the operation, and [`Error`](crate::Error).
    pub async fn keep_alive_once(self, id: impl Into<LeaseId>) -> Result<Option<Duration>> {
        let answers = self.by.send(KeepAliveOnce::new(id)).await?;
        Ok(answers.first().and_then(|kept| kept.ttl))
    }

    /// Renews several leases once, in one request for each [512](KeepAliveOnce::MAX_LEASES), one after the other:
    /// [`KeepAliveOnce`]. Returns a response for each lease, in order.
    ///
    /// # Errors
    /// See the operation, and [`Error`](crate::Error). The leases of earlier requests are renewed.
    pub async fn keep_all_alive_once(
        self,
        ids: impl IntoIterator<Item = LeaseId>,
    ) -> Result<Vec<KeepAliveResponse>> {
        let ids: Vec<LeaseId> = ids.into_iter().collect();
        let (first, rest) = ids.split_at(ids.len().min(KeepAliveOnce::MAX_LEASES));
        let renew = |ids: &[LeaseId]| self.by.send(KeepAliveOnce::all(ids.iter().copied()));
        let mut renewed = renew(first).await?;
        for ids in rest.chunks(KeepAliveOnce::MAX_LEASES) {
            renewed.extend(renew(ids).await?);
        }
        Ok(renewed)
    }

    /// Keeps a lease alive while the stream is polled, and delivers its time to live: [`KeepAlive`].
    ///
    /// ```
    /// # use etcd_http::{Client, Error, transport::Transport};
    /// # use std::time::Duration;
    /// use futures::TryStreamExt;
    ///
    /// # async fn example<T: Transport>(client: &Client<T>) -> Result<(), Error> {
    /// let leases = client.v3().leases();
    /// let lease = leases.grant(Duration::from_secs(30)).await?;
    /// let mut renewals = leases.keep_alive(lease.id);
    /// while let Some(ttl) = renewals.try_next().await? {
    ///     println!("alive for {ttl:?}");
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub fn keep_alive(self, id: impl Into<LeaseId>) -> BoxStream<'static, Result<Duration>> {
        self.by.open(KeepAlive::new(id))
    }

    /// Returns a keeper for any number of leases, and the future that does its work: [`LeaseKeeper`].
    ///
    /// ```
    /// # use etcd_http::{Client, Error, transport::Transport};
    /// # use std::time::Duration;
    /// # async fn example<T: Transport>(client: &Client<T>) -> Result<(), Error> {
    /// let (keeper, run) = client.v3().leases().keeper();
    /// let work = async {
    ///     let lease = keeper.grant(Duration::from_secs(10)).await?;
    ///     println!("{} is lost: {}", lease.id(), lease.lost().await);
    ///     Ok(())
    /// };
    /// // With tokio, `tokio::spawn(run)` works as well.
    /// let (result, ()) = futures::join!(work, run);
    /// result
    /// # }
    /// ```
    pub fn keeper(
        self,
    ) -> (
        LeaseKeeper<T>,
        impl Future<Output = ()> + Send + 'static + use<T>,
    ) {
        LeaseKeeper::new(self.by)
    }
}

/// Declares the short forms of locks, for all keys and for those of a namespace.
macro_rules! lock_forms {
    ($($handle:ty as $this:ty: $by:ident;)+) => {$(
        impl<T: Transport> $handle {
            /// Waits for a lock and holds it as long as the lease lives: [`Lock`].
            ///
            /// # Errors
            /// See the operation, and [`Error`](crate::Error).
            pub async fn lock(
                self: $this,
                name: impl Into<Key>,
                lease: impl Into<LeaseId>,
            ) -> Result<LockResponse> {
                self.$by().send(Lock::new(name, lease)).await
            }

            /// Releases a lock: [`Unlock`].
            ///
            /// # Errors
            /// See the operation, and [`Error`](crate::Error).
            pub async fn unlock(self: $this, key: impl Into<Key>) -> Result<Header> {
                self.$by().send(Unlock::new(key)).await
            }
        }
    )+};
}

lock_forms! {
    // The future of a handle borrows only the client.
    V3<'_, T> as Self: client;
    Namespace<T> as &Self: keys;
}

short_forms! {
    Elections:

    /// Waits to be elected and leads as long as the lease lives: [`Campaign`].
    campaign(
        name: impl Into<Key>, lease: impl Into<LeaseId>, value: impl Into<Value>
    ) -> CampaignResponse = Campaign::new(name, lease, value);

    /// Changes the value that a leader proclaims: [`Proclaim`].
    proclaim(leader: LeaderKey, value: impl Into<Value>) -> Header = Proclaim::new(leader, value);

    /// Returns the leader: [`GetLeader`].
    get_leader(name: impl Into<Key>) -> Option<KeyValue> = GetLeader::new(name);

    /// Gives up the leadership: [`Resign`].
    resign(leader: LeaderKey) -> Header = Resign::new(leader);
}

impl<T: Transport> Elections<'_, T> {
    /// Delivers the leader of an election, and each one after it: [`Observe`].
    ///
    /// ```
    /// # use etcd_http::{Client, Error, transport::Transport};
    /// use futures::TryStreamExt;
    ///
    /// # async fn example<T: Transport>(client: &Client<T>) -> Result<(), Error> {
    /// let mut leaders = client.v3().elections().observe("scheduler");
    /// while let Some(leader) = leaders.try_next().await? {
    ///     println!("{:?} leads", leader.value);
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub fn observe(self, name: impl Into<Key>) -> BoxStream<'static, Result<KeyValue>> {
        self.by.open(Observe::new(name))
    }
}
