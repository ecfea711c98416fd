mod gap;
mod reader;
mod state;
mod update;

use std::{
    collections::BTreeMap,
    fmt, mem,
    time::{Duration, Instant},
};

use bytes::Bytes;
use etcd_transport::Transport;
use futures::{StreamExt, stream::BoxStream};

use crate::{
    base::trace,
    client::Client,
    error::{Error, Result},
    operation::StreamOperation,
    pipeline::reconnect::Reconnect,
    v3::{
        Changes, Event, EventKind, KeyRange, KeyValue, Namespace, RangeStream, Watch, WatchCursor,
        WatchPosition, kv::Pager, stream::silence::check_limit,
    },
};

use gap::Gap;
pub use gap::MirrorGap;
pub use reader::MirrorReader;
pub use state::MirrorState;
pub use update::{MirrorChange, MirrorUpdate};

/// How long a mirror tries to reconnect while no endpoint responds.
const OUTAGE_LIMIT: Duration = Duration::from_secs(300);

/// A copy of a range in memory that follows it, and reports what changes.
///
/// It lists the keys, page by page at one revision, and watches them from the next revision on. If the watch cannot resume,
/// because the history was compacted during an outage or the store was restored, the mirror lists the keys again and reports
/// the differences. The copy is always what the range was at [`revision`](Self::revision). Only keys that came and went during
/// such a gap are never reported. A [`reader`](Self::reader) reads the copy elsewhere while [`next`](Self::next) runs.
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
#[doc(alias = "informer")]
pub struct Mirror<T> {
    keys: Namespace<T>,
    range: KeyRange,
    settings: Settings,
    copy: MirrorReader<T>,
    work: Work<T>,
    /// Why the next listing is one, if it is not the first.
    gap: Option<Gap>,
    reconnect: Reconnect,
}

/// How a mirror reads and follows.
#[derive(Clone, Copy, Debug)]
struct Settings {
    page: Option<u32>,
    outage_limit: Duration,
    silence: Option<Duration>,
    fails_on_gap: bool,
}

enum Work<T> {
    /// To list the keys.
    Start,
    /// To go on from a state.
    Resume(Box<MirrorState>),
    List(Box<Listing<T>>),
    Watch(Following),
}

/// A watch under way.
struct Following {
    changes: BoxStream<'static, Result<Changes>>,
    position: WatchPosition,
    /// It goes on from a state that nothing has confirmed yet.
    is_resumed: bool,
}

/// A listing under way.
struct Listing<T> {
    pager: Pager<T>,
    found: BTreeMap<Bytes, KeyValue>,
    /// When the first page was asked for that arrived.
    asked: Option<Instant>,
    /// What its response says of the store.
    cursor: Option<WatchCursor>,
}

impl<T: Transport> Mirror<T> {
    /// Creates a mirror of these keys, empty until the first [`next`](Self::next). Sends nothing yet.
    pub fn new(client: &Client<T>, range: impl Into<KeyRange>) -> Self {
        Self::within(Namespace::all(client), range.into())
    }

    /// Creates a mirror of a range of these keys.
    pub(super) fn within(keys: Namespace<T>, range: KeyRange) -> Self {
        Self {
            copy: MirrorReader::new(&keys, &range),
            work: Work::Start,
            gap: None,
            settings: Settings {
                page: None,
                outage_limit: OUTAGE_LIMIT,
                silence: None,
                fails_on_gap: false,
            },
            reconnect: Reconnect::new(OUTAGE_LIMIT),
            keys,
            range,
        }
    }

    /// How many keys each page of a listing has. See [`RangeStream::page`].
    #[must_use]
    pub fn page(mut self, keys: u32) -> Self {
        self.settings.page = Some(keys);
        self
    }

    /// How long [`next`](Self::next) goes on while no endpoint responds, from the first listing on. Defaults to 5 minutes.
    /// See [`Watch::outage_limit`].
    #[must_use]
    pub fn outage_limit(mut self, limit: Duration) -> Self {
        self.settings.outage_limit = limit;
        self.reconnect = Reconnect::new(limit);
        self
    }

    /// See [`Watch::silence_limit`].
    #[must_use]
    pub fn silence_limit(mut self, limit: Duration) -> Self {
        self.settings.silence = Some(limit);
        self
    }

    /// Goes on from a stored [`state`](Self::state) of the same range and namespace: the copy is there at once, and only what has
    /// changed since is read. Call it before the first [`next`](Self::next).
    ///
    /// The first update has the changes of the next revision, and [`age`](Self::age) tells when a server has confirmed the copy. If the
    /// history after the state was compacted, the store was restored, or the cluster is another one, the keys are listed
    /// instead: the update has the differences to the state, and says [why](MirrorUpdate::gap); see
    /// [`fail_on_gap`](Self::fail_on_gap). How this is found out, and what cannot be, is that of
    /// [`Watch::from_cursor`]. The state of another range or namespace is an error of `next`.
    #[must_use]
    pub fn resume(mut self, state: MirrorState) -> Self {
        if state.is_of(self.keys.prefix(), &self.range) {
            let mut copy = self.copy.write();
            copy.entries = state.iter().map(|kv| (kv.key.clone(), kv)).collect();
            copy.revision = state.cursor().revision();
            copy.cursor = Some(state.cursor());
        }
        self.work = Work::Resume(Box::new(state));
        self
    }

    /// Sets whether [`next`](Self::next) returns an error where the keys would be listed again because changes are lost:
    /// [`is_compacted`](Error::is_compacted), or [`is_cluster_changed`](Error::is_cluster_changed). The copy stays, and the
    /// call after it lists the keys. Defaults to `false`.
    #[must_use]
    pub fn fail_on_gap(mut self, fail: bool) -> Self {
        self.settings.fails_on_gap = fail;
        self
    }

    /// A handle that reads the copy, even while [`next`](Self::next) runs.
    pub fn reader(&self) -> MirrorReader<T> {
        self.copy.clone()
    }

    /// Waits for the next change, and applies it. The first update is the first listing, which may be empty. Cancel-safe:
    /// nothing is lost if this future is dropped.
    ///
    /// # Errors
    /// An error that another attempt would not resolve, or an outage that is longer than the
    /// [limit](Self::outage_limit). The copy stays as it is; the next call lists the keys again.
    pub async fn next(&mut self) -> Result<MirrorUpdate> {
        if let Some(limit) = self.settings.silence {
            check_limit(Watch::NAME, limit)?;
        }
        loop {
            let now = self.keys.client().transport().now();
            let result = match &mut self.work {
                Work::Start => {
                    self.work = Work::List(Box::new(self.list()));
                    continue;
                }
                Work::Resume(state) => {
                    if !state.is_of(self.keys.prefix(), &self.range) {
                        self.work = Work::Start;
                        let reason = "the state is of other keys: another range or namespace";
                        return Err(Error::invalid(Watch::NAME, reason));
                    }
                    let cursor = state.cursor();
                    self.follow(Watch::new(&self.range).from_cursor(cursor), true);
                    continue;
                }
                Work::List(listing) => match listing.pager.next().await {
                    Ok(Some(page)) => {
                        self.reconnect.over(self.keys.client().transport().now());
                        listing.asked.get_or_insert(now);
                        let cursor = WatchCursor::after(&page.header);
                        listing.cursor.get_or_insert(cursor);
                        listing
                            .found
                            .extend(page.kvs.into_iter().map(update::entry));
                        continue;
                    }
                    Ok(None) => {
                        if let Some(asked) = listing.asked {
                            self.copy.freshness().confirm(asked);
                        }
                        let (revision, found) =
                            (listing.pager.revision(), mem::take(&mut listing.found));
                        let cursor = listing.cursor;
                        return Ok(self.listed(revision, cursor, found));
                    }
                    Err(error) if self.reconnect.survives(&error) => self
                        .reconnect
                        .pause_after_call(self.keys.client().pipeline(), now, error)
                        .await
                        .map(|()| None),
                    Err(error) => Err(error),
                },
                Work::Watch(watch) => {
                    let next = watch.changes.next().await.transpose();
                    if next.is_ok() {
                        watch.is_resumed = false;
                    }
                    next
                }
            };
            match result {
                // An unknown kind of event cannot be applied. A listing shows its effect.
                Ok(Some(changes)) if changes.events.iter().any(is_unknown) => {
                    trace::resynced(Watch::NAME, "an event of an unknown kind");
                    self.restart(Gap::Other);
                }
                Ok(Some(changes)) => {
                    // Without events it is the server's progress.
                    let is_progress = changes.events.is_empty();
                    let update = self.watched(changes);
                    if !is_progress {
                        return Ok(update);
                    }
                }
                Ok(None) => {}
                Err(error) => {
                    let (is_watch, is_resumed) = match &self.work {
                        Work::Watch(watch) => (true, watch.is_resumed),
                        _ => (false, false),
                    };
                    let gap = if error.is_compacted() {
                        Some(Gap::Compacted)
                    } else if is_watch && error.is_cluster_changed() {
                        self.copy.cursor().map(Gap::OtherStore)
                    } else {
                        None
                    };
                    if gap.is_none() && is_resumed {
                        // Nothing is known to be lost.
                        self.work = self.resumption();
                    } else {
                        self.restart(gap.unwrap_or(Gap::Other));
                    }
                    // What is compacted during a listing was lost before it, if at all.
                    if gap.is_none() || is_watch && self.settings.fails_on_gap {
                        self.reconnect.rest();
                        return Err(error);
                    }
                    trace::resynced(Watch::NAME, &error);
                    // It may be one endpoint among others, which the next watch would meet again.
                    if let Some(Gap::OtherStore(_)) = gap {
                        let pipeline = self.keys.client().pipeline();
                        self.reconnect.pause(pipeline, error).await?;
                    }
                }
            }
        }
    }

    /// Returns the copy and its cursor, to be stored: see [`resume`](Self::resume). `None` before the first listing.
    ///
    /// It is up to date with the last update that [`next`](Self::next) has returned. While the keys are quiet, the cursor moves on with the
    /// server's reports of progress, and else stays, so that a compaction may overtake it: see
    /// [`WatchPosition::cursor`].
    pub fn state(&self) -> Option<MirrorState> {
        self.copy.state()
    }

    /// See [`MirrorReader::age`].
    pub fn age(&self) -> Option<Duration> {
        self.copy.age()
    }

    /// The revision of the copy; 0 before the first listing.
    pub fn revision(&self) -> i64 {
        self.copy.revision()
    }

    /// Returns a key of the copy.
    pub fn get(&self, key: impl AsRef<[u8]>) -> Option<KeyValue> {
        self.copy.get(key)
    }

    /// Returns all keys of the copy, in their order.
    pub fn iter(&self) -> impl Iterator<Item = KeyValue> + use<T> {
        self.copy.iter()
    }

    /// Returns the number of keys.
    pub fn len(&self) -> usize {
        self.copy.len()
    }

    /// Returns whether the copy is empty.
    pub fn is_empty(&self) -> bool {
        self.copy.is_empty()
    }

    /// A listing that begins.
    fn list(&self) -> Listing<T> {
        let read = RangeStream::new(&self.range);
        let read = match self.settings.page {
            Some(keys) => read.page(keys),
            None => read,
        };
        // A call does not take longer than an outage may.
        let pipeline = self.keys.client().pipeline();
        let limit = self.settings.outage_limit.max(pipeline.timeout);
        let retry = pipeline.retry.clone();
        let overall = retry.overall.min(limit);
        Listing {
            pager: Pager::new(self.keys.with_retry(retry.overall(overall)), read),
            found: BTreeMap::new(),
            asked: None,
            cursor: None,
        }
    }

    /// Lists the keys next.
    fn restart(&mut self, gap: Gap) {
        self.work = Work::Start;
        self.copy.write().is_followed = false;
        // Before the first listing nothing can be lost. The first reason counts until the keys are listed.
        if self.copy.cursor().is_some() {
            self.gap.get_or_insert(gap);
        }
    }

    /// Goes on from the copy as it is.
    fn resumption(&self) -> Work<T> {
        match self.state() {
            Some(state) => Work::Resume(Box::new(state)),
            None => Work::Start,
        }
    }

    fn follow(&mut self, watch: Watch, is_resumed: bool) {
        let mut watch = watch
            .confirming(self.copy.freshness())
            .outage_limit(self.settings.outage_limit)
            .progress(true);
        if let Some(limit) = self.settings.silence {
            watch = watch.silence_limit(limit);
        }
        let (watch, position) = watch.positioned();
        self.work = Work::Watch(Following {
            changes: self.keys.open(watch),
            position,
            is_resumed,
        });
        self.copy.write().is_followed = true;
    }

    fn listed(
        &mut self,
        revision: i64,
        cursor: Option<WatchCursor>,
        found: BTreeMap<Bytes, KeyValue>,
    ) -> MirrorUpdate {
        self.follow(Watch::new(&self.range).continuing(revision), false);
        let gap = self.gap.take().map(|gap| gap.told(cursor));
        let mut copy = self.copy.write();
        let before = mem::replace(&mut copy.entries, found);
        copy.revision = revision;
        copy.cursor = cursor;
        MirrorUpdate {
            revision,
            is_listing: true,
            gap,
            changes: update::differences(before, &copy.entries),
        }
    }

    fn watched(&self, changes: Changes) -> MirrorUpdate {
        let mut copy = self.copy.write();
        copy.revision = changes.revision;
        if let Work::Watch(watch) = &self.work
            && let Some(cursor) = watch.position.cursor()
        {
            copy.cursor = Some(cursor);
        }
        let applied = changes.events.into_iter();
        MirrorUpdate {
            revision: changes.revision,
            is_listing: false,
            gap: None,
            changes: applied
                .filter_map(|event| update::apply(&mut copy.entries, event))
                .collect(),
        }
    }
}

impl<T> fmt::Debug for Mirror<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Mirror")
            .field("range", &self.range)
            .field("revision", &self.copy.revision())
            .field("keys", &self.copy.len())
            .finish_non_exhaustive()
    }
}

fn is_unknown(event: &Event) -> bool {
    event.kind == EventKind::Unknown
}
