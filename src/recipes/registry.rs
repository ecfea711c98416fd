use std::{convert::Infallible, pin::pin};

use bytes::Bytes;
use etcd_transport::Transport;
use futures::{
    FutureExt, Stream, StreamExt,
    future::{Either, select},
    stream,
};

use crate::{
    error::{Outcome, Result as ClientResult},
    recipes::{
        error::RecipeError,
        session::{Release, Session, join, name},
        traits::clone_and_debug,
        wait::{Pauses, Settled, next_change, settle, while_held},
    },
    v3::{
        Compare, DeleteRange, HeldLease, Key, KeyRange, KeyValue, Mirror, Put, Range, Txn, Value,
        Watch,
    },
};

/// The instances of a service that are alive.
///
/// ```
/// # use etcd_http::{Client, transport::Transport, recipes::RecipeError};
/// use etcd_http::recipes::{Registry, Session};
/// use std::time::Duration;
///
/// # async fn example<T: Transport>(client: &Client<T>, serve: impl Future) -> Result<(), RecipeError> {
/// let (session, driver) = Session::open(client.v3(), Duration::from_secs(10)).await?;
/// let registry = Registry::new(&session, "services/web");
/// let work = registry.run_registered("web-7", "http://10.0.0.7:8080", serve);
/// session.run(driver, work).await?;
/// # Ok(())
/// # }
/// ```
///
/// # What is promised
///
/// - An instance is in the registry while [`register`](Self::register) is polled and its session is alive. It is registered
///   again after the loss of the session, and after its key was deleted. Its data may change, and it may be withdrawn while it is not
///   healthy: [`register_changing`](Self::register_changing).
/// - It leaves at once when the session is closed, and after the time to live when its process dies.
/// - [`follow`](Self::follow) delivers who is there, complete and in order, over outages and compaction.
///
/// # Limits
///
/// An instance that is listed may have died within its time to live, and one that is not may be alive without etcd. Of two that
/// register with the same name, the last is listed: the first notices, and its registration ends.
///
/// # Layout
///
/// A key `NAME/INSTANCE` for each instance, with its data, and with the lease of its session.
#[doc(alias = "service discovery")]
pub struct Registry<T> {
    session: Session<T>,
    name: Bytes,
}

impl<T: Transport> Registry<T> {
    /// The registry with this name. Nothing is sent.
    pub fn new(session: &Session<T>, name: impl Into<Key>) -> Self {
        Self {
            session: session.clone(),
            name: self::name(name),
        }
    }

    /// Registers an instance, and keeps it registered for as long as the future is polled: it returns only with an error.
    ///
    /// Dropping the future leaves the instance registered until the session ends.
    ///
    /// # Errors
    /// [`RecipeError::SessionClosed`]; [`RecipeError::AlreadyHeld`] if another session has registered an instance with this name
    /// since; [`RecipeError::Client`] if etcd refused, or if the session was lost, and could not be
    /// [reestablished](Session::reestablish).
    pub async fn register(
        &self,
        instance: impl AsRef<[u8]>,
        data: impl Into<Value>,
    ) -> Result<Infallible, RecipeError> {
        self.register_changing(instance, stream::iter([Some(data)]))
            .await
    }

    /// Registers an instance whose data and health change, and keeps it registered for as long as the future is polled: it returns
    /// only with an error.
    ///
    /// Each item of the stream is the present state: `Some` data, with which the instance is listed from then on, or `None`, with
    /// which it is not listed. When the stream ends, the last state stays.
    ///
    /// ```
    /// # use etcd_http::{transport::Transport, recipes::{RecipeError, Registry}};
    /// use futures::StreamExt;
    ///
    /// # async fn example<T: Transport>(
    /// #     registry: &Registry<T>,
    /// #     checks: impl futures::Stream<Item = bool> + Send,
    /// # ) -> Result<(), RecipeError> {
    /// let states = checks.map(|is_healthy| is_healthy.then_some("http://10.0.0.7:8080"));
    /// match registry.register_changing("web-7", states).await? {}
    /// # }
    /// ```
    ///
    /// # Errors
    /// As for [`register`](Self::register).
    pub async fn register_changing<V: Into<Value>>(
        &self,
        instance: impl AsRef<[u8]>,
        states: impl Stream<Item = Option<V>>,
    ) -> Result<Infallible, RecipeError> {
        self.keep_registered(&self.key(instance), states, AfterDrop::Stays)
            .await
    }

    async fn keep_registered<V: Into<Value>>(
        &self,
        key: &Bytes,
        states: impl Stream<Item = Option<V>>,
        after_drop: AfterDrop,
    ) -> Result<Infallible, RecipeError> {
        // While this is polled, a late put of an earlier registration is corrected: its release waits.
        let lock = self.session.local_lock(key);
        let _alone = lock.try_lock();
        let states = states.map(|state| state.map(|data| data.into().into_bytes()));
        let mut states = pin!(states.chain(stream::pending()));
        let mut state = states.next().await.flatten();
        loop {
            let lease = self.session.held().await;
            let kept = match lease {
                Ok(lease) => {
                    let mut puts = Puts::new(&self.session, &lease, key, after_drop);
                    let keep = self.keep(&lease, key, &mut state, &mut states, &mut puts);
                    let kept = while_held(&lease, keep).await;
                    puts.is_listed = false;
                    kept
                }
                Err(error) => Err(error),
            };
            match kept {
                Err(RecipeError::SessionLost(_)) => self.session.reestablish().await?,
                end => return end,
            }
        }
    }

    /// Does work with an instance [registered](Self::register), and returns what the work returns, with the instance no longer
    /// registered. Where etcd does not confirm that, the instance stays until the session ends. A request that arrives late may list
    /// it for up to 15 s, until the session's driver deletes it.
    ///
    /// # Errors
    /// As for [`register`](Self::register): the work is dropped.
    pub async fn run_registered<O>(
        &self,
        instance: impl AsRef<[u8]>,
        data: impl Into<Value>,
        work: impl Future<Output = O>,
    ) -> Result<O, RecipeError> {
        let key = self.key(instance);
        let states = stream::iter([Some(data)]);
        let registered = Box::pin(self.keep_registered(&key, states, AfterDrop::Ends));
        let output = match select(registered, pin!(work)).await {
            Either::Left((Err(error), _)) => return Err(error),
            Either::Left((Ok(never), _)) => match never {},
            Either::Right((output, _)) => output,
        };
        if let Ok(lease) = self.session.held().await {
            let withdrawn = async {
                let own = self.own_deleted(&lease, &key);
                Ok(self.session.namespace().send(own).boxed().await?)
            };
            // It goes with the lease otherwise.
            let _ = while_held(&lease, withdrawn).await;
        }
        Ok(output)
    }

    /// Returns the instances that are registered: keys with their data.
    ///
    /// # Errors
    /// [`RecipeError::Client`].
    pub async fn instances(&self) -> Result<Vec<KeyValue>, RecipeError> {
        Ok(self.session.namespace().kv().range(self.range()).await?.kvs)
    }

    /// Follows the instances that are registered: a copy in memory that is read without a request.
    pub fn follow(&self) -> Mirror<T> {
        self.session.namespace().mirror(self.range())
    }

    /// Has the key be as the state says, with this lease.
    async fn keep(
        &self,
        lease: &HeldLease<T>,
        key: &Bytes,
        state: &mut Option<Bytes>,
        states: &mut (impl Stream<Item = Option<Bytes>> + Unpin),
        puts: &mut Puts<T>,
    ) -> Result<Infallible, RecipeError> {
        let namespace = self.session.namespace();
        let mut pauses = Pauses::default();
        loop {
            // What is repeated, or late, is corrected: it is an event. One whose lease has ended is refused.
            puts.is_listed = state.is_some();
            let mut revision = match &*state {
                Some(data) => {
                    let put = Put::new(key, data.clone()).lease(lease.id());
                    puts.note(settle(namespace, &put)).await?.header.revision
                }
                None => {
                    let delete = self.own_deleted(lease, key);
                    settle(namespace, &delete).await?.output.header.revision
                }
            };
            loop {
                let changed = next_change(namespace, Watch::new(key), revision, &pauses);
                let event = match select(states.next(), Box::pin(changed)).await {
                    Either::Left((next, _)) => Either::Left(next.flatten()),
                    Either::Right((changed, _)) => Either::Right(changed?),
                };
                match event {
                    Either::Left(next) if *state == next => continue,
                    Either::Left(next) => {
                        *state = next;
                        break;
                    }
                    Either::Right(Some(_)) => pauses = Pauses::default(),
                    Either::Right(None) => {}
                }
                let read = settle(namespace, &Range::new(key)).await?.output;
                let found = read.first();
                if found.is_some_and(|kv| kv.lease != lease.id()) {
                    return Err(RecipeError::AlreadyHeld);
                }
                pauses.pause(namespace.client().transport()).await;
                if found.map(|kv| &kv.value) != state.as_ref() {
                    break;
                }
                revision = read.header.revision;
            }
        }
    }

    /// Deletes the key, unless another session has registered it.
    fn own_deleted(&self, lease: &HeldLease<T>, key: &Bytes) -> Txn {
        let own = Compare::lease(key).equal(lease.id());
        Txn::new().when(own).then(DeleteRange::new(key))
    }

    fn key(&self, instance: impl AsRef<[u8]>) -> Bytes {
        join(&join(&self.name, "/"), instance)
    }

    fn range(&self) -> KeyRange {
        KeyRange::prefix(join(&self.name, "/"))
    }
}

clone_and_debug!(Registry { name, session });

/// What dropping the future of a registration means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum AfterDrop {
    /// The last state stays.
    Stays,
    /// The instance is withdrawn.
    Ends,
}

/// The puts of an instance with one lease. When nothing corrects them any more, one that may still arrive is given up.
struct Puts<T> {
    session: Session<T>,
    release: Option<Release>,
    after_drop: AfterDrop,
    /// Whether the instance is to be in the registry.
    is_listed: bool,
}

impl<T: Transport> Puts<T> {
    fn new(session: &Session<T>, lease: &HeldLease<T>, key: &Bytes, after_drop: AfterDrop) -> Self {
        let release = Release {
            key: key.clone(),
            lease: lease.id(),
            lost: lease.lost().boxed().shared(),
            created: None,
            value: None,
            in_doubt: false,
            is_deleted: true,
            lock: Some(session.local_lock(key)),
            guard: None,
        };
        Self {
            session: session.clone(),
            release: Some(release),
            after_drop,
            is_listed: false,
        }
    }

    /// Waits for the outcome of a put, which is in doubt if this is dropped before.
    async fn note<O>(
        &mut self,
        put: impl Future<Output = ClientResult<Settled<O>>>,
    ) -> ClientResult<O> {
        let was_in_doubt = self
            .release
            .as_ref()
            .is_some_and(|release| release.in_doubt);
        self.set_in_doubt(true);
        let settled = put.await;
        let is_in_doubt = match &settled {
            Ok(settled) => settled.in_doubt,
            Err(error) => error.outcome() == Outcome::Unknown,
        };
        self.set_in_doubt(was_in_doubt || is_in_doubt);
        Ok(settled?.output)
    }

    fn set_in_doubt(&mut self, in_doubt: bool) {
        if let Some(release) = &mut self.release {
            release.in_doubt = in_doubt;
        }
    }
}

impl<T> Drop for Puts<T> {
    fn drop(&mut self) {
        let stays = self.is_listed && self.after_drop == AfterDrop::Stays;
        if let Some(release) = self.release.take()
            && release.in_doubt
            && !stays
        {
            self.session.release(release);
        }
    }
}
