use std::{collections::HashSet, fmt, ops::Deref};

use bytes::Bytes;
use etcd_transport::Transport;
use futures::future::{Either, select};

use crate::{
    recipes::{
        error::RecipeError,
        held::Held,
        session::{Session, join},
        wait::{Pauses, next_change, settle, while_held},
    },
    v3::{
        Compare, DeleteRange, Key, KeyRange, KeyValue, Put, Range, SortOrder, SortTarget, Txn,
        TxnOp, TxnResponse, Watch,
    },
};

/// An item of a [`Queue`](super::Queue) or a [`PriorityQueue`](super::PriorityQueue) that a session works on, until it
/// [acknowledges](Self::ack) it.
///
/// The item is kept in etcd meanwhile. If the session ends before, it is given to another consumer. Dropping the claim gives the
/// item back, by the session's driver. It is [`Held`], and has its methods: [`run`](Held::run) drops the work when the claim is
/// lost, and [`is_held_compare`](Held::is_held_compare) guards what is written.
pub struct Claim<T> {
    held: Held<T>,
    /// The item where it is kept.
    item: KeyValue,
}

impl<T: Transport> Claim<T> {
    /// Returns the item.
    pub fn value(&self) -> &Bytes {
        &self.item.value
    }

    /// Returns how often the item was claimed, this time included: more than 1 if a consumer before has died or given it back.
    pub fn attempts(&self) -> i64 {
        self.item.version
    }

    /// Tells that the item is done, and deletes it. Applied once, whatever responses are lost.
    ///
    /// # Errors
    /// [`KeyDeleted`](RecipeError::KeyDeleted): the claim was lost, and the item is given to another consumer;
    /// [`SessionLost`](RecipeError::SessionLost): it may be deleted, or is given to another consumer;
    /// [`RecipeError::Client`].
    pub async fn ack(mut self) -> Result<(), RecipeError> {
        let key = self.held.key().clone();
        let done = Txn::new()
            .when(self.held.is_held_compare())
            .then(DeleteRange::new(&self.item.key))
            .then(DeleteRange::new(&key));
        let session = self.held.session();
        if session.once(done).await?.revision.is_none() {
            return Err(session.key_deleted(key));
        }
        self.held.is_deleted();
        Ok(())
    }

    /// Gives the item back: another consumer can claim it at once.
    ///
    /// # Errors
    /// As for [`Held::release`].
    pub async fn release(self) -> Result<(), RecipeError> {
        self.held.release().await
    }
}

impl<T> Deref for Claim<T> {
    type Target = Held<T>;

    fn deref(&self) -> &Held<T> {
        &self.held
    }
}

impl<T> fmt::Debug for Claim<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Claim")
            .field("item", &self.item.key)
            .field("held", &self.held)
            .finish()
    }
}

/// The keys of a queue whose items are claimed.
pub(super) struct Claims {
    /// The items that are not claimed yet: `NAME/…`.
    items: Bytes,
    /// Those that were claimed, without a lease: `__claimed/NAME/…`.
    claimed: Bytes,
    /// Who works on them, with a lease: `__claims/NAME/…`.
    claims: Bytes,
    order: SortTarget,
}

/// What can be claimed.
enum Candidate {
    Item(KeyValue),
    /// An item whose claim has ended.
    Abandoned(KeyValue),
}

impl Claims {
    /// The items of the queue with this name, in this order.
    pub(super) fn new(name: &Bytes, order: SortTarget) -> Self {
        let at = |prefix: &str| [prefix.as_bytes(), name, b"/"].concat().into();
        Self {
            items: at(""),
            claimed: at("__claimed/"),
            claims: at("__claims/"),
            order,
        }
    }

    /// Claims the first item, and waits for one if there is none.
    pub(super) async fn claim<T: Transport>(
        &self,
        session: &Session<T>,
    ) -> Result<Claim<T>, RecipeError> {
        let namespace = session.namespace();
        let mut pauses = Pauses::default();
        loop {
            let revision = match self.try_claim(session).await? {
                Ok(claim) => return Ok(claim),
                Err(revision) => revision,
            };
            let lease = session.held().await?;
            let wait = async {
                let pushed = Watch::new(KeyRange::prefix(&self.items)).without_deletes();
                let ended = Watch::new(KeyRange::prefix(&self.claims)).without_puts();
                let pushed = Box::pin(next_change(namespace, pushed, revision, &pauses));
                let ended = Box::pin(next_change(namespace, ended, revision, &pauses));
                let (Either::Left((changed, _)) | Either::Right((changed, _))) =
                    select(pushed, ended).await;
                Ok(changed?)
            };
            if while_held(&lease, wait).await?.is_some() {
                pauses = Pauses::default();
            } else {
                pauses.pause(namespace.client().transport()).await;
            }
        }
    }

    /// Claims the first item. Returns the revision at which there was none.
    pub(super) async fn try_claim<T: Transport>(
        &self,
        session: &Session<T>,
    ) -> Result<Result<Claim<T>, i64>, RecipeError> {
        let first = Range::new(KeyRange::prefix(&self.items));
        let all = |prefix| Range::new(KeyRange::prefix(prefix)).keys_only(true);
        let read = Txn::new()
            .then(first.sort(self.order, SortOrder::Ascend).limit(1))
            .then(all(&self.claimed).sort(self.claimed_order(), SortOrder::Ascend))
            .then(all(&self.claims));
        loop {
            let lease = session.held().await?;
            let state = async { Ok(settle(session.namespace(), &read).await?) };
            let state = while_held(&lease, state).await?.output;
            let Some(candidate) = self.candidate(&state) else {
                return Ok(Err(state.header.revision));
            };
            let rest = self.rest(&candidate);
            let (item, claim) = (join(&self.claimed, &rest), join(&self.claims, &rest));
            let unique = session.unique(lease.id());
            let (when, first): (_, Vec<TxnOp>) = match candidate {
                Candidate::Item(found) => (
                    Compare::mod_revision(&found.key).equal(found.mod_revision),
                    vec![
                        DeleteRange::new(&found.key).into(),
                        Put::new(&item, found.value).into(),
                    ],
                ),
                Candidate::Abandoned(found) => (
                    Compare::mod_revision(&item).equal(found.mod_revision),
                    vec![Put::keep_value(&item).into()],
                ),
            };
            let take = Txn::new()
                .when(when)
                .when(Compare::missing(Key::from(&claim)));
            let take = first.into_iter().fold(take, Txn::then);
            let take = take
                .then(Range::new(&item))
                .then(Put::new(&claim, unique.as_str()).lease(lease.id()))
                .otherwise(Range::new(&item))
                .otherwise(Range::new(&claim));
            let mut held = Held::unsure(session, lease, claim, None);
            held.is_put_with(Bytes::from(unique.clone()));
            let taken = held.send(&take).await?;
            if let Some((item, created)) = taken_by(&taken, &unique) {
                held.is_created_by(created);
                return Ok(Ok(Claim { held, item }));
            }
            held.is_deleted();
        }
    }

    /// Those that were claimed before come first, unless priorities say otherwise.
    fn candidate(&self, state: &TxnResponse) -> Option<Candidate> {
        let kvs = |index| state.range(index).map_or(&[][..], |range| &range.kvs);
        let claims: HashSet<_> = kvs(2)
            .iter()
            .filter_map(|kv| kv.key.strip_prefix(&*self.claims))
            .collect();
        let is_abandoned = |kv: &&KeyValue| {
            let rest = kv.key.strip_prefix(&*self.claimed);
            rest.is_some_and(|rest| !claims.contains(rest))
        };
        let abandoned = kvs(1).iter().find(is_abandoned).cloned();
        let abandoned = abandoned.map(Candidate::Abandoned);
        let item = kvs(0).first().cloned().map(Candidate::Item);
        match (abandoned, item) {
            (Some(abandoned), Some(item)) if self.order == SortTarget::Key => {
                let is_before = self.rest(&abandoned) < self.rest(&item);
                Some(if is_before { abandoned } else { item })
            }
            (abandoned, item) => abandoned.or(item),
        }
    }

    /// The order in which those that were claimed are claimed again.
    fn claimed_order(&self) -> SortTarget {
        match self.order {
            SortTarget::Key => SortTarget::Key,
            _ => SortTarget::Create,
        }
    }

    /// What follows the prefix in the keys of a claim. It has the item's revision, since the keys of items may be used again.
    fn rest(&self, candidate: &Candidate) -> Bytes {
        let rest = |prefix: &Bytes, key: &Bytes| key.slice(prefix.len().min(key.len())..);
        match candidate {
            Candidate::Item(kv) => {
                let revision = format!("-{:016x}", kv.mod_revision);
                join(&rest(&self.items, &kv.key), revision)
            }
            Candidate::Abandoned(kv) => rest(&self.claimed, &kv.key),
        }
    }
}

/// Returns the item, and the revision of the claim, if this one was put: by this attempt, or by an earlier one.
fn taken_by(taken: &TxnResponse, unique: &str) -> Option<(KeyValue, i64)> {
    let range = |index| taken.range(index)?.first().cloned();
    if taken.succeeded {
        let index = taken.responses.len().checked_sub(2)?;
        return Some((range(index)?, taken.header.revision));
    }
    let claim = range(1).filter(|claim| claim.value == unique)?;
    Some((range(0)?, claim.create_revision))
}
