use std::{fmt, num::NonZeroUsize};

use bytes::Bytes;
use etcd_transport::Transport;

use crate::{
    recipes::{
        error::RecipeError,
        held::Held,
        session::{Session, join, name},
        traits::clone_and_debug,
        wait::{Pauses, gone, next_change, settle, while_held},
    },
    v3::{
        Compare, DeleteRange, Key, KeyRange, KeyValue, Put, Range, SortOrder, SortTarget, Txn,
        Watch,
    },
};

/// A barrier at which a number of participants begin together, and which they leave together.
///
/// ```
/// # use etcd_http::{transport::Transport, recipes::{DoubleBarrier, RecipeError, Session}};
/// # async fn example<T: Transport>(session: &Session<T>) -> Result<(), RecipeError> {
/// let five = 5.try_into().expect("not zero");
/// let round = DoubleBarrier::new(session, "barriers/round", five);
/// let entered = round.enter().await?; // Five have entered.
/// entered.leave().await // All have left.
/// # }
/// ```
///
/// # What is promised
///
/// - [`enter`](Self::enter) returns when this many participants have entered. [`leave`](Entered::leave) returns when
///   all have left, or have ended with their sessions: one that dies blocks others for no longer than its lease. Programs that
///   use Go's `recipe.DoubleBarrier` with the same name and number take part.
///
/// # Limits
///
/// All participants have to agree on the number. One that dies after all have entered is not noticed by the others before
/// they leave. A participant that enters while the others leave is one too many, and may try again. If all die, those that come
/// after them begin another round.
///
/// # Layout
///
/// A key `NAME/waiters/…` for each participant, and `NAME/ready` from when all have entered until all have left.
pub struct DoubleBarrier<T> {
    session: Session<T>,
    name: Bytes,
    count: NonZeroUsize,
}

impl<T: Transport> DoubleBarrier<T> {
    /// The barrier with this name, for this many participants. Nothing is sent.
    pub fn new(session: &Session<T>, name: impl Into<Key>, count: NonZeroUsize) -> Self {
        Self {
            session: session.clone(),
            name: self::name(name),
            count,
        }
    }

    /// Waits until all participants have entered. Dropping the future withdraws, by the session's driver.
    ///
    /// # Errors
    /// [`RecipeError::TooManyParticipants`]; [`RecipeError::SessionLost`], [`RecipeError::KeyDeleted`],
    /// [`RecipeError::Client`].
    pub async fn enter(&self) -> Result<Entered<T>, RecipeError> {
        let lease = self.session.held().await?;
        let unique = self.session.unique(lease.id());
        let key = join(&self.name, format!("/waiters/{unique}"));
        let participants = self.participants();
        let value = Default::default();
        let placed = Held::put(
            &self.session,
            lease.clone(),
            key,
            value,
            None,
            participants.clone(),
        )
        .await?;
        let entered = Entered {
            held: placed.held,
            participants,
            ready: join(&self.name, "/ready"),
        };
        while_held(&lease, self.wait(&entered)).await?;
        Ok(entered)
    }

    async fn wait(&self, entered: &Entered<T>) -> Result<(), RecipeError> {
        let namespace = self.session.namespace();
        let both = Txn::new()
            .then(entered.participants.clone())
            .then(Range::new(&entered.ready));
        let mut pauses = Pauses::default();
        loop {
            let read = settle(namespace, &both).await?.output;
            let participants = read.range(0).map_or(&[][..], |found| &found.kvs);
            let own = |kv: &KeyValue| kv.key == entered.held.key();
            let Some(position) = participants.iter().position(own) else {
                let key = entered.held.key().clone();
                return Err(self.session.key_deleted(key));
            };
            let count = self.count.get();
            if position >= count {
                return Err(RecipeError::TooManyParticipants { count });
            }
            let opened = read.range(1).and_then(|ready| ready.first());
            if let Some(opened) = opened.map(|ready| ready.mod_revision) {
                if entered.held.fencing_token() < opened {
                    return Ok(());
                }
                if participants.iter().any(|kv| kv.create_revision < opened) {
                    // Those of the round before have not left.
                    return Err(RecipeError::TooManyParticipants { count });
                }
                // All of them have died.
                let reset = Txn::new()
                    .when(Compare::mod_revision(&entered.ready).equal(opened))
                    .when(Compare::create_revision(self.waiters()).greater(opened))
                    .then(DeleteRange::new(&entered.ready));
                self.session.once(reset).await?;
                continue;
            }
            if participants.len() >= count {
                let open = Txn::new()
                    .when(Compare::missing(&entered.ready))
                    .when(entered.held.is_held_compare())
                    .then(Put::new(&entered.ready, ""));
                self.session.once(open).await?;
                continue;
            }
            let watch = Watch::new(KeyRange::prefix(join(&self.name, "/")));
            let changed = next_change(namespace, watch, read.header.revision, &pauses);
            if changed.await?.is_some() {
                pauses = Pauses::default();
            } else {
                pauses.pause(namespace.client().transport()).await;
            }
        }
    }

    /// Reads the participants, in the order in which they came.
    fn participants(&self) -> Range {
        Range::new(self.waiters()).sort(SortTarget::Create, SortOrder::Ascend)
    }

    fn waiters(&self) -> KeyRange {
        KeyRange::prefix(join(&self.name, "/waiters/"))
    }
}

/// A participant that has entered a [`DoubleBarrier`]. Dropping it leaves without waiting, by the session's driver.
pub struct Entered<T> {
    held: Held<T>,
    participants: Range,
    ready: Bytes,
}

impl<T: Transport> Entered<T> {
    /// Waits until all participants have left.
    ///
    /// # Errors
    /// [`RecipeError::SessionLost`], [`RecipeError::Client`].
    pub async fn leave(self) -> Result<(), RecipeError> {
        let lease = self.held.held_lease().clone();
        while_held(&lease, self.wait()).await
    }

    async fn wait(self) -> Result<(), RecipeError> {
        let session = self.held.session().clone();
        let namespace = session.namespace();
        let mut held = Some(self.held);
        loop {
            let read = settle(namespace, &self.participants).await?.output;
            let (Some(lowest), Some(highest)) = (read.kvs.first(), read.kvs.last()) else {
                return Ok(());
            };
            let is_own = |kv: &KeyValue| held.as_ref().is_some_and(|own| kv.key == own.key());
            let last = if is_own(lowest) {
                if read.kvs.len() == 1 {
                    let close = Txn::new()
                        .when(Compare::create_revision(&lowest.key).equal(lowest.create_revision))
                        .then(DeleteRange::new(&self.ready))
                        .then(DeleteRange::new(&lowest.key));
                    session.once(close).await?;
                    continue;
                }
                // The first one leaves last, so that the others know when to.
                highest
            } else {
                if let Some(held) = held.take() {
                    held.release().await?;
                }
                lowest
            };
            gone(
                namespace,
                &last.key,
                last.create_revision,
                read.header.revision,
            )
            .await?;
        }
    }
}

clone_and_debug!(DoubleBarrier {
    name,
    session,
    count
});

impl<T> fmt::Debug for Entered<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Entered").field(&self.held).finish()
    }
}
