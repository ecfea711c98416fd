//! The session that the other recipes are made from.

mod builder;
mod driver;
mod lane;
mod release;

use std::{
    collections::HashMap,
    fmt,
    pin::pin,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use bytes::Bytes;
use etcd_transport::Transport;
use futures::{
    FutureExt,
    channel::{mpsc, oneshot},
    future::{BoxFuture, Either, Shared, select},
    lock::{Mutex as AsyncMutex, OwnedMutexGuard},
};

use crate::{
    error::Result,
    recipes::{
        error::RecipeError,
        wait::{Pauses, beside, is_refused, while_held},
    },
    v3::{HeldLease, Key, LeaseId, LeaseKeeper, LeaseLoss, Namespace},
};

pub use builder::SessionBuilder;
pub use driver::SessionDriver;
pub(super) use release::{Release, delete};

/// A lease that is kept alive for as long as the session lives, and what the recipes do with it.
///
/// [`open`](Self::open) grants a lease and returns two things: the session, and its [driver](SessionDriver), a future that renews the lease
/// and does the session's background work. Spawn the driver on any runtime, or poll it beside the work with
/// [`run`](Self::run). A clone is the same session.
///
/// ```
/// # use etcd_http::{Client, transport::Transport, recipes::RecipeError};
/// use etcd_http::{recipes::Session, v3::Put};
/// use std::time::Duration;
///
/// # async fn example<T: Transport>(client: &Client<T>) -> Result<(), RecipeError> {
/// let (session, driver) = Session::open(client.v3(), Duration::from_secs(10)).await?;
/// // With tokio, `tokio::spawn(driver)` does as well, and `run` is not needed.
/// let work = async {
///     let here = Put::new("workers/7", "here").lease(session.lease());
///     client.send(here).await?;
///     println!("{}", session.lost().await);
///     Ok(())
/// };
/// session.run(driver, work).await
/// # }
/// ```
///
/// # What is promised
///
/// - **Loss is reported in time.** [`lost`](Self::lost) resolves when the lease may have ended: when etcd says so, or when its
///   time is up by the transport's clock, counted from when the last successful renewal was *sent*. It needs neither a
///   response nor the driver: it does so while no server responds, while the driver is not polled, and after the driver was
///   dropped. If the whole program was suspended, it resolves as soon as it goes on. Loss is permanent, until
///   [`reestablish`](Self::reestablish).
/// - **The end is bounded.** [`close`](Self::close) revokes the lease, which deletes its keys and lets others go on at once. If
///   no server confirms this within [`close_limit`](SessionBuilder::close_limit), it is an error, and the lease ends by itself.
///   When the last handle, with all guards, is dropped, the driver does the same, and ends.
/// - **Releases happen in the background.** A guard that is dropped, and a wait that is dropped, give up their keys
///   through the driver. Without a driver, the keys end with the lease.
///
/// # Limits
///
/// A lease can end unnoticed by its holder, since clocks differ and etcd may end one too early (see
/// [`HeldLease`]). What must not happen twice has to be checked by the store that it happens in: by
/// [`is_held_compare`](super::Held::is_held_compare) in a transaction of etcd, by a
/// [`fencing_token`](super::Held::fencing_token) elsewhere.
#[doc(alias = "keepalive")]
pub struct Session<T> {
    inner: Arc<Inner<T>>,
}

pub(super) struct Inner<T> {
    namespace: Namespace<T>,
    keeper: LeaseKeeper<T>,
    settings: Settings,
    state: Mutex<State<T>>,
    /// Held by the task that gets another lease.
    reestablishing: AsyncMutex<()>,
    releases: mpsc::UnboundedSender<Release>,
    /// Takes the lease to the driver when the last handle is dropped.
    end: Option<oneshot::Sender<HeldLease<T>>>,
    /// One for each key of a recipe: tasks of one session exclude one another by it, since they share the key.
    locks: Mutex<HashMap<Bytes, LocalLock>>,
    lanes: Mutex<lane::Lanes>,
    next_number: AtomicU64,
}

/// Resolves when a lease is lost. Guards have one, which threads share.
pub(super) type Lost = Shared<BoxFuture<'static, LeaseLoss>>;

pub(super) type LocalLock = Arc<AsyncMutex<()>>;

#[derive(Clone, Debug)]
pub(super) struct Settings {
    pub(super) ttl: Duration,
    pub(super) renewal_interval: Option<Duration>,
    pub(super) close_limit: Duration,
    pub(super) reestablish_limit: Duration,
}

/// The lease of a session, which is possibly lost.
struct State<T> {
    lease: HeldLease<T>,
    end: End,
}

/// How far the end of a session has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    Open,
    /// It may be that the lease is not revoked.
    Closed,
    Revoked,
}

impl<T: Transport> Session<T> {
    /// Grants a lease, and returns its session and the driver. Takes `client.v3()`, or a [`Namespace`]: the recipes of the
    /// session are in it.
    ///
    /// etcd rounds `ttl` up to whole seconds, and usually grants at least 2 s. A process that dies keeps others waiting for
    /// this long; one that cannot reach etcd loses the session after it. See [`builder`](Self::builder) for settings.
    ///
    /// # Errors
    /// [`RecipeError::Client`] if the lease cannot be granted.
    pub async fn open(
        within: impl Into<Namespace<T>>,
        ttl: Duration,
    ) -> Result<(Self, SessionDriver), RecipeError> {
        Self::builder(within).ttl(ttl).open().await
    }

    /// Returns a builder, for a session with settings.
    pub fn builder(within: impl Into<Namespace<T>>) -> SessionBuilder<T> {
        SessionBuilder::new(within.into())
    }

    /// Returns the id of the present lease, for a put. Keys with this lease are deleted when the session ends.
    pub fn lease(&self) -> LeaseId {
        self.inner.state().lease.id()
    }

    /// Returns whether the session is neither lost nor closed.
    pub fn is_alive(&self) -> bool {
        self.inner.state().lease.is_alive()
    }

    /// Returns how long the lease certainly lives without another renewal.
    pub fn remaining(&self) -> Duration {
        self.inner.state().lease.remaining()
    }

    /// Returns the namespace of the session's recipes.
    pub fn namespace(&self) -> &Namespace<T> {
        &self.inner.namespace
    }

    /// Resolves when the present lease is lost: in time, even if no server responds and the driver is not polled.
    ///
    /// The future borrows nothing, and does not keep the session. It concerns one lease: after
    /// [`reestablish`](Self::reestablish), call it again.
    pub fn lost(&self) -> impl Future<Output = LeaseLoss> + Send + 'static + use<T> {
        self.lost_before(Duration::ZERO)
    }

    /// Resolves when only this much time of the present lease is left, or when it is [lost](Self::lost): in time to finish
    /// what only its holder may do. See [`HeldLease::lost_before`].
    pub fn lost_before(
        &self,
        margin: Duration,
    ) -> impl Future<Output = LeaseLoss> + Send + 'static + use<T> {
        self.inner.state().lease.lost_before(margin)
    }

    /// Gets another lease if the present one is lost; otherwise does nothing. Clones that call it together get one lease.
    ///
    /// What the session held stays lost: keys with the former lease are gone, guards report it. Failures are retried, with
    /// pauses, for [`reestablish_limit`](SessionBuilder::reestablish_limit).
    ///
    /// # Errors
    /// [`SessionClosed`](RecipeError::SessionClosed); [`RecipeError::Client`] with the last failure, or one that is final.
    pub async fn reestablish(&self) -> Result<(), RecipeError> {
        let _alone = self.inner.reestablishing.lock().await;
        {
            let state = self.inner.state();
            match state.end {
                End::Open if state.lease.is_alive() => return Ok(()),
                End::Open => {}
                End::Closed | End::Revoked => return Err(RecipeError::SessionClosed),
            }
        }
        let Inner {
            keeper, settings, ..
        } = &*self.inner;
        let transport = self.transport();
        let until = transport.now().checked_add(settings.reestablish_limit);
        let mut pauses = Pauses::default();
        let lease = loop {
            match grant(keeper, settings.ttl).boxed().await {
                Ok(lease) => break lease,
                Err(error) => {
                    let is_over = until.is_some_and(|until| transport.now() >= until);
                    if is_over || is_refused(&error) {
                        return Err(error.into());
                    }
                }
            }
            pauses.pause(transport).await;
        };
        let mut state = self.inner.state();
        if state.end != End::Open {
            return Err(RecipeError::SessionClosed);
        }
        state.lease = lease;
        Ok(())
    }

    /// Ends the session: revokes its lease, which deletes its keys. For all clones and guards, which hold nothing from the call on.
    ///
    /// # Errors
    /// [`TimedOut`](RecipeError::TimedOut) if no server confirmed it within
    /// [`close_limit`](SessionBuilder::close_limit), [`RecipeError::Client`] if it failed. Call it again; the driver tries again
    /// when the last handle is dropped, and otherwise the lease ends by itself, when its time is up. It is not an error if the
    /// lease has ended already.
    pub async fn close(&self) -> Result<(), RecipeError> {
        let lease = {
            let mut state = self.inner.state();
            if state.end == End::Revoked {
                return Ok(());
            }
            state.end = End::Closed;
            state.lease.clone()
        };
        revoke(lease, self.transport(), self.inner.settings.close_limit).await?;
        self.inner.state().end = End::Revoked;
        Ok(())
    }

    /// Polls the driver beside the work, and closes the session when the work is done. Returns what the work returns.
    ///
    /// This is for programs that do not spawn. A failure to close is not reported: the lease ends by itself then.
    pub async fn run<O>(
        &self,
        driver: impl Future<Output = ()>,
        work: impl Future<Output = O>,
    ) -> O {
        let work = async {
            let output = work.await;
            if self.inner.state().end == End::Open {
                // The lease ends by itself otherwise.
                let _ = self.close().await;
            }
            output
        };
        beside(driver, work).await
    }

    pub(super) fn transport(&self) -> &T {
        self.inner.namespace.client().transport()
    }

    /// Returns the lease, if it is neither lost nor closed.
    pub(super) async fn held(&self) -> Result<HeldLease<T>, RecipeError> {
        let lease = {
            let state = self.inner.state();
            if state.end != End::Open {
                return Err(RecipeError::SessionClosed);
            }
            state.lease.clone()
        };
        if !lease.is_alive() {
            return Err(RecipeError::session_over(lease.lost().await));
        }
        Ok(lease)
    }

    /// A key of the session is deleted: by the session's own end, which is known before it is done, or by something else.
    pub(super) fn key_deleted(&self, key: Bytes) -> RecipeError {
        if self.inner.state().end == End::Open {
            RecipeError::KeyDeleted { key }
        } else {
            RecipeError::SessionClosed
        }
    }

    /// Returns whether the session is closed, or all its handles are dropped, for what does not keep it.
    pub(super) fn closed(&self) -> impl Fn() -> bool + Send + 'static + use<T> {
        let session = Arc::downgrade(&self.inner);
        move || {
            let inner = session.upgrade();
            inner.is_none_or(|inner| inner.state().end != End::Open)
        }
    }

    /// Returns the lock by which tasks of this session exclude one another at a key.
    pub(super) fn local_lock(&self, key: &Bytes) -> LocalLock {
        let mut locks = lock(&self.inner.locks);
        if let Some(lock) = locks.get(key) {
            return Arc::clone(lock);
        }
        locks.retain(|_, lock| Arc::strong_count(lock) > 1);
        Arc::clone(locks.entry(key.clone()).or_default())
    }

    /// Waits for that lock, for as long as the lease is not lost.
    pub(super) async fn lock_locally(
        &self,
        lease: &HeldLease<T>,
        key: &Bytes,
    ) -> Result<(LocalLock, OwnedMutexGuard<()>), RecipeError> {
        let lock = self.local_lock(key);
        let guard = lock.clone().lock_owned();
        let guard = while_held(lease, async { Ok(guard.await) }).await?;
        Ok((lock, guard))
    }

    /// Returns the end of a key that no other task of any session uses: the lease, and a number.
    pub(super) fn unique(&self, lease: LeaseId) -> String {
        let number = self.inner.next_number.fetch_add(1, Relaxed);
        format!("{lease}-{number}")
    }
}

impl<T> Session<T> {
    /// Has the driver give up a key.
    pub(super) fn release(&self, release: Release) {
        // Without a driver, the key ends with its lease.
        let _ = self.inner.releases.unbounded_send(release);
    }
}

impl<T> Inner<T> {
    fn state(&self) -> MutexGuard<'_, State<T>> {
        lock(&self.state)
    }
}

impl<T> Drop for Inner<T> {
    fn drop(&mut self) {
        let state = self.state.get_mut().unwrap_or_else(PoisonError::into_inner);
        if let (End::Open | End::Closed, Some(end)) = (state.end, self.end.take()) {
            // Without a driver, the lease ends by itself.
            let _ = end.send(state.lease.clone());
        }
    }
}

impl<T> Clone for Session<T> {
    fn clone(&self) -> Self {
        Self {
            inner: Arc::clone(&self.inner),
        }
    }
}

impl<T> fmt::Debug for Session<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = self.inner.state();
        f.debug_struct("Session")
            .field("lease", &state.lease)
            .field("end", &state.end)
            .finish_non_exhaustive()
    }
}

/// Grants a lease. One that has ended before its first renewal was confirmed is replaced by another.
async fn grant<T: Transport>(keeper: &LeaseKeeper<T>, ttl: Duration) -> Result<HeldLease<T>> {
    loop {
        match keeper.grant(ttl).await {
            Err(error) if error.is_lease_not_found() => {}
            granted => return granted,
        }
    }
}

/// Revokes a lease within this time: again after each failure that another attempt may resolve.
async fn revoke<T: Transport>(
    lease: HeldLease<T>,
    transport: &T,
    limit: Duration,
) -> Result<(), RecipeError> {
    let revoked = async {
        let mut pauses = Pauses::default();
        loop {
            match lease.clone().revoke().boxed().await {
                Err(error) if !is_refused(&error) => pauses.pause(transport).await,
                revoked => return revoked,
            }
        }
    };
    match select(pin!(revoked), transport.sleep(limit)).await {
        Either::Left((result, _)) => Ok(result?),
        Either::Right(_) => Err(RecipeError::TimedOut(limit)),
    }
}

fn lock<V>(mutex: &Mutex<V>) -> MutexGuard<'_, V> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Appends to a name, as in `jobs/` and what follows.
pub(super) fn join(name: &Bytes, rest: impl AsRef<[u8]>) -> Bytes {
    [name, rest.as_ref()].concat().into()
}

/// Returns the bytes of a name.
pub(super) fn name(name: impl Into<Key>) -> Bytes {
    name.into().into_bytes()
}
