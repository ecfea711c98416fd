use std::{collections::BTreeMap, fmt, mem, time::Duration};

use bytes::Bytes;
use etcd_transport::Transport;
use futures::{StreamExt, stream::BoxStream};

use crate::v3::{
    Changes, Event, EventKind, KeyRange, KeyValue, Namespace, RangeStream, Watch, kv::Pager,
};
use crate::{client::Client, error::Result, pipeline::reconnect::Reconnect};

/// How long a mirror tries to reconnect while no endpoint responds.
const OUTAGE_LIMIT: Duration = Duration::from_secs(300);

/// A copy of a range in memory that follows it, and reports what changes.
///
/// It lists the keys, page by page at one revision, and watches them from the next revision on. If the watch cannot resume,
/// because the history was compacted during an outage, the mirror lists the keys again and reports the differences. The
/// copy is always what the range was at [`revision`](Self::revision). Only keys that came and went during such a gap are
/// never reported.
///
/// ```
/// # use etcd_http::{Client, Error, transport::Transport};
/// use etcd_http::v3::{KeyRange, MirrorChange};
///
/// # async fn example<T: Transport>(client: &Client<T>) -> Result<(), Error> {
/// let mut config = client.v3().mirror(KeyRange::prefix("config/"));
/// loop {
///     for change in config.next().await?.changes {
///         match change {
///             MirrorChange::Added(new) => println!("{:?} is new", new.key),
///             MirrorChange::Changed { old, new } => println!("{:?} was {:?}", new.key, old.value),
///             MirrorChange::Removed(old) => println!("{:?} is gone", old.key),
///         }
///     }
///     println!("{} keys at revision {}", config.len(), config.revision());
/// }
/// # }
/// ```
pub struct Mirror<T> {
    keys: Namespace<T>,
    range: KeyRange,
    entries: BTreeMap<Bytes, KeyValue>,
    revision: i64,
    work: Work<T>,
    outage: Reconnect,
}

enum Work<T> {
    List(Pager<T>, BTreeMap<Bytes, KeyValue>),
    Watch(BoxStream<'static, Result<Changes>>),
}

/// The changes of a [`Mirror`] from one revision to another.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct MirrorUpdate {
    /// The present revision of the copy.
    pub revision: i64,
    /// Whether these are the differences to a new listing, such as the first one, instead of the changes of one
    /// revision.
    pub is_listing: bool,
    /// The changes: those of a listing in the order of the keys, those of a revision in the order of the writes. Empty
    /// if a listing found no difference.
    pub changes: Vec<MirrorChange>,
}

impl MirrorUpdate {
    /// The changes of one revision, not of a listing. For your own tests.
    pub fn new(revision: i64, changes: impl IntoIterator<Item = MirrorChange>) -> Self {
        Self {
            revision,
            is_listing: false,
            changes: changes.into_iter().collect(),
        }
    }
}

/// A change of a key of a [`Mirror`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MirrorChange {
    /// The key was created.
    Added(KeyValue),
    /// The key was changed.
    #[allow(missing_docs, reason = "what it was, and what it is")]
    Changed { old: KeyValue, new: KeyValue },
    /// The key was deleted. This is its last state.
    Removed(KeyValue),
}

impl<T: Transport> Mirror<T> {
    /// Creates a mirror of these keys, empty until the first [`next`](Self::next). Sends nothing yet.
    pub fn new(client: &Client<T>, range: impl Into<KeyRange>) -> Self {
        Self::within(Namespace::all(client), range.into())
    }

    /// Creates a mirror of a range of these keys.
    pub(super) fn within(keys: Namespace<T>, range: KeyRange) -> Self {
        Self {
            work: list(&keys, &range),
            keys,
            range,
            entries: BTreeMap::new(),
            revision: 0,
            outage: Reconnect::new(OUTAGE_LIMIT),
        }
    }

    /// Waits for the next change, and applies it. The first update is the first listing, which may be empty.
    /// Cancel-safe: nothing is lost if this future is dropped.
    ///
    /// # Errors
    /// An error that another attempt would not resolve, or an outage of more than 5 minutes. The copy stays as it is;
    /// the next call lists the keys again.
    pub async fn next(&mut self) -> Result<MirrorUpdate> {
        loop {
            let result = match &mut self.work {
                Work::List(pager, found) => match pager.next().await {
                    Ok(Some(page)) => {
                        self.outage.over(self.keys.client().transport().now());
                        found.extend(page.kvs.into_iter().map(|kv| (kv.key.clone(), kv)));
                        continue;
                    }
                    Ok(None) => {
                        let (revision, found) = (pager.revision(), mem::take(found));
                        return Ok(self.listed(revision, found));
                    }
                    Err(error) if self.outage.survives(&error) => self
                        .outage
                        .pause(self.keys.client().pipeline(), error)
                        .await
                        .map(|()| None),
                    Err(error) => Err(error),
                },
                Work::Watch(watch) => watch.next().await.transpose(),
            };
            match result {
                // An unknown kind of event cannot be applied. A listing shows its effect.
                Ok(Some(changes)) if changes.events.iter().any(is_unknown) => {
                    self.work = list(&self.keys, &self.range);
                }
                Ok(Some(changes)) => return Ok(self.watched(changes)),
                Ok(None) => {}
                Err(error) => {
                    let is_gap = error.is_compacted();
                    self.work = list(&self.keys, &self.range);
                    if !is_gap {
                        return Err(error);
                    }
                }
            }
        }
    }

    /// Returns the revision of the copy; 0 before the first listing.
    pub fn revision(&self) -> i64 {
        self.revision
    }

    /// Returns a key of the copy.
    pub fn get(&self, key: impl AsRef<[u8]>) -> Option<&KeyValue> {
        self.entries.get(key.as_ref())
    }

    /// Returns all keys of the copy, in their order.
    pub fn iter(&self) -> impl Iterator<Item = &KeyValue> {
        self.entries.values()
    }

    /// Returns the number of keys.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Returns whether the copy is empty.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    fn listed(&mut self, revision: i64, found: BTreeMap<Bytes, KeyValue>) -> MirrorUpdate {
        let watch = Watch::new(&self.range).continuing(revision);
        self.work = Work::Watch(self.keys.open(watch.outage_limit(OUTAGE_LIMIT)));
        let before = mem::replace(&mut self.entries, found);
        self.revision = revision;
        MirrorUpdate {
            revision,
            is_listing: true,
            changes: differences(before, &self.entries),
        }
    }

    fn watched(&mut self, changes: Changes) -> MirrorUpdate {
        self.revision = changes.revision;
        let applied = changes.events.into_iter();
        MirrorUpdate {
            revision: changes.revision,
            is_listing: false,
            changes: applied.filter_map(|event| self.apply(event)).collect(),
        }
    }

    fn apply(&mut self, event: Event) -> Option<MirrorChange> {
        if event.is_delete() {
            return self.entries.remove(event.key()).map(MirrorChange::Removed);
        }
        let new = event.kv;
        Some(match self.entries.insert(new.key.clone(), new.clone()) {
            Some(old) => MirrorChange::Changed { old, new },
            None => MirrorChange::Added(new),
        })
    }
}

impl<T> fmt::Debug for Mirror<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Mirror")
            .field("range", &self.range)
            .field("revision", &self.revision)
            .field("keys", &self.entries.len())
            .finish_non_exhaustive()
    }
}

fn list<T: Transport>(keys: &Namespace<T>, range: &KeyRange) -> Work<T> {
    let pager = Pager::new(keys.clone(), RangeStream::new(range));
    Work::List(pager, BTreeMap::new())
}

fn is_unknown(event: &Event) -> bool {
    event.kind == EventKind::Unknown
}

/// Returns the changes that turn `before` into `now`, in the order of the keys.
fn differences(
    mut before: BTreeMap<Bytes, KeyValue>,
    now: &BTreeMap<Bytes, KeyValue>,
) -> Vec<MirrorChange> {
    let mut changes = BTreeMap::new();
    for (key, new) in now {
        let change = match before.remove(key) {
            // A key with the same last modification is unchanged.
            Some(old) if old.mod_revision == new.mod_revision => continue,
            Some(old) => MirrorChange::Changed {
                old,
                new: new.clone(),
            },
            None => MirrorChange::Added(new.clone()),
        };
        changes.insert(key.clone(), change);
    }
    let removed = before
        .into_iter()
        .map(|(key, old)| (key, MirrorChange::Removed(old)));
    changes.extend(removed);
    changes.into_values().collect()
}
