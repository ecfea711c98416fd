use std::time::Duration;

use etcd_transport::Transport;
use futures::{StreamExt, stream::BoxStream};

use crate::v3::watch::{
    control::{ControlledWatchSet, WatchControl},
    cursor::{WatchCursor, WatchPosition},
    event::Changes,
    watcher::Watcher,
};
use crate::{
    client::Client,
    error::{Error, Result},
    operation::{StreamOperation, sealed::Sealed},
    v3::{
        KeyRange,
        stream::{freshness::Freshness, silence::check_limit},
    },
};

/// Delivers the changes of keys: `POST /v3/watch`.
///
/// An item is a revision with [all its changes](Changes) to the keys. Revisions arrive in order, each once and undivided, and
/// none is lost silently. A watch without a [start](Self::after_revision) first asks for the store's revision, and begins with
/// the next one. After a cut connection, a restart or a change of endpoint the watch resumes after the last complete
/// revision, provided that the [outage](Self::outage_limit) is not too long.
///
/// The stream ends after an error. Be ready for [`is_compacted`](crate::Error::is_compacted): the store's history no longer
/// has the next revisions, because it was compacted during an outage or before the watch began. Those changes cannot be
/// recovered: read the keys again and watch from there, or use a [`Mirror`](crate::v3::Mirror), which does so.
///
/// A slow consumer applies backpressure, and loses nothing. Dropping the stream ends the watch. Each watch is a request
/// of its own. For many watches in one request, and for a set that changes, see [`WatchSet`].
///
/// ```
/// # use etcd_http::{Client, Error, transport::Transport};
/// use etcd_http::v3::{KeyRange, Watch};
/// use futures::StreamExt;
///
/// # async fn example<T: Transport>(client: &Client<T>) -> Result<(), Error> {
/// let mut changes = client.open(Watch::new(KeyRange::prefix("config/")).prev_kv(true));
/// while let Some(changes) = changes.next().await {
///     let changes = changes?;
///     for event in &changes.events {
///         println!("{} {:?} {:?}", changes.revision, event.kind, event.key());
///     }
/// }
/// # Ok(())
/// # }
/// ```
///
/// etcd's documentation: <https://etcd.io/docs/v3.5/learning/api/#watch-api>.
#[doc(alias = "subscribe")]
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use = "an operation does nothing before `Client::open`"]
pub struct Watch {
    pub(in crate::v3) range: KeyRange,
    pub(super) from: Option<i64>,
    pub(super) prev_kv: bool,
    pub(super) puts: bool,
    pub(super) deletes: bool,
    pub(super) progress: bool,
    /// The start comes after what was delivered before: by a read, or up to a cursor.
    is_continued: bool,
    /// A call of the client itself has worked that it goes on from.
    has_worked: bool,
    /// Told how fresh is what the stream has delivered.
    freshness: Option<Freshness>,
    /// What the store must go on from.
    cursor: Option<WatchCursor>,
    /// Told how far the stream has come.
    position: Option<WatchPosition>,
    pub(super) settings: Settings,
}

/// The settings of a request, whatever the number of its watches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Settings {
    pub(super) outage_limit: Duration,
    pub(super) silence: Option<Duration>,
    pub(super) require_leader: bool,
}

impl Watch {
    /// Watches this key or range, beginning when the stream is first polled.
    pub fn new(range: impl Into<KeyRange>) -> Self {
        Self {
            range: range.into(),
            from: None,
            prev_kv: false,
            puts: true,
            deletes: true,
            progress: false,
            is_continued: false,
            has_worked: false,
            freshness: None,
            cursor: None,
            position: None,
            settings: Settings::default(),
        }
    }

    /// Begins after this revision, which is that of a response ([`Header::revision`](crate::v3::Header::revision)) or of
    /// [`Changes`]: what they have shown, and this watch, leave nothing out.
    ///
    /// If the next revision was compacted, the stream ends with [`is_compacted`](crate::Error::is_compacted). To go on in another
    /// process, see [`from_cursor`](Self::from_cursor).
    pub fn after_revision(self, revision: i64) -> Self {
        Self {
            is_continued: true,
            ..self.from_revision(revision.saturating_add(1))
        }
    }

    /// Begins with this revision, in the past or in the future. It must be at least 1. To continue after a response or after
    /// [`Changes`], use [`after_revision`](Self::after_revision).
    ///
    /// As in etcd, it may be the very revision at which history was compacted. **etcd 3.4 then leaves out the deletes of this
    /// revision, silently** ([etcd issue 18089](https://github.com/etcd-io/etcd/issues/18089)); `after_revision`, with the revision
    /// before, reports this as compacted. So does a watch that was open, and is opened again before anything was delivered.
    #[doc(alias = "start_revision")]
    pub fn from_revision(mut self, revision: i64) -> Self {
        self.from = Some(revision);
        self.is_continued = false;
        self.has_worked = false;
        self.cursor = None;
        self
    }

    /// Goes on after this cursor, which a watch of the same keys had come to, perhaps days ago and in another process.
    ///
    /// The store is read first, so that a majority tells whether it is the same one. The stream ends with
    ///
    /// - [`is_compacted`](crate::Error::is_compacted) if the history after the cursor was compacted;
    /// - [`is_cluster_changed`](crate::Error::is_cluster_changed) if the cluster is another one, or its data were lost or restored
    ///   from a backup: the raft term or the revision is lower than at the cursor. The error says which.
    ///
    /// In both cases read the keys, and watch from there.
    ///
    /// A store that was restored, and has had as many elections and writes since as before, is not told apart from the former one,
    /// unless its cluster id differs: restore with another `--initial-cluster-token`.
    ///
    /// ```
    /// # use etcd_http::{Client, Error, transport::Transport};
    /// use etcd_http::v3::{KeyRange, Watch, WatchCursor};
    /// use futures::TryStreamExt;
    ///
    /// # async fn example<T: Transport>(
    /// #     client: &Client<T>,
    /// #     load: impl Fn() -> Option<WatchCursor>,
    /// #     store: impl Fn(WatchCursor),
    /// # ) -> Result<(), Error> {
    /// let mut watch = Watch::new(KeyRange::prefix("orders/"));
    /// if let Some(cursor) = load() {
    ///     watch = watch.from_cursor(cursor);
    /// }
    /// let (watch, position) = watch.positioned();
    /// let mut changes = client.open(watch);
    /// while let Some(changes) = changes.try_next().await? {
    ///     println!("{} orders changed", changes.events.len());
    ///     if let Some(cursor) = position.cursor() {
    ///         store(cursor);
    ///     }
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub fn from_cursor(self, cursor: WatchCursor) -> Self {
        Self {
            cursor: Some(cursor),
            ..self.after_revision(cursor.revision())
        }
    }

    /// Returns the watch, and the position that its stream comes to, from now on.
    pub fn positioned(mut self) -> (Self, WatchPosition) {
        let position = WatchPosition::default();
        self.position = Some(position.clone());
        (self, position)
    }

    /// Sets whether each event includes the key before the change, unless that was compacted. Defaults to `false`.
    pub fn prev_kv(mut self, prev_kv: bool) -> Self {
        self.prev_kv = prev_kv;
        self
    }

    /// Leaves out puts.
    #[doc(alias = "NOPUT")]
    pub fn without_puts(mut self) -> Self {
        self.puts = false;
        self
    }

    /// Leaves out deletes.
    #[doc(alias = "NODELETE")]
    pub fn without_deletes(mut self) -> Self {
        self.deletes = false;
        self
    }

    /// Sets whether to deliver [`Changes`] without events when etcd reports its progress while nothing happens: every
    /// ten minutes by default. Defaults to `false`. (The watch itself always uses these reports.)
    #[doc(alias = "progress_notify")]
    pub fn progress(mut self, progress: bool) -> Self {
        self.progress = progress;
        self
    }

    /// Sets how long the stream tries to reconnect while no endpoint responds. Defaults to 5 minutes. A shorter outage
    /// loses nothing; after a longer one the stream ends in the error of the last attempt. Once the stream has worked,
    /// a response that is not etcd's, such as the 404 or the maintenance page of a proxy, is an outage as well.
    pub fn outage_limit(mut self, limit: Duration) -> Self {
        self.settings.outage_limit = limit;
        self
    }

    /// Sets how long the server may be silent before it is probed. Defaults to 5 s. If it does not respond to the
    /// probe within 3 s, the stream continues at another endpoint: by default it leaves a halted member within 10 s. All
    /// streams of a client share the probes of an endpoint. Must be longer than zero.
    ///
    /// A probe is `POST /v3/maintenance/status`, over gRPC `Maintenance/Status`: a proxy that lets watches through
    /// must let it through, too.
    ///
    /// A connection that stays silent though the server responds to probes may be dead, and is opened again: after 150 s by
    /// default, after five times a limit that is set.
    pub fn silence_limit(mut self, limit: Duration) -> Self {
        self.settings.silence = Some(limit);
        self
    }

    /// Sets whether a member without a leader rejects or ends the watch, so that it continues at another member.
    /// Defaults to `true`. Otherwise a member that is cut off from the others stays silent.
    pub fn require_leader(mut self, require: bool) -> Self {
        self.settings.require_leader = require;
        self
    }

    /// Goes on after a read of the client itself, at this revision.
    pub(in crate::v3) fn continuing(self, revision: i64) -> Self {
        Self {
            has_worked: true,
            ..self.after_revision(revision)
        }
    }

    /// Confirms this freshness while it is open.
    pub(in crate::v3) fn confirming(mut self, freshness: &Freshness) -> Self {
        self.freshness = Some(freshness.clone());
        self
    }

    /// What it confirms.
    pub(super) fn freshness(&self) -> Option<&Freshness> {
        self.freshness.as_ref()
    }

    /// What the store must go on from.
    pub(super) fn cursor(&self) -> Option<&WatchCursor> {
        self.cursor.as_ref()
    }

    /// Where the stream reports how far it has come.
    pub(super) fn position(&self) -> Option<&WatchPosition> {
        self.position.as_ref()
    }

    /// Whether a call of this process has worked that it goes on from.
    pub(super) fn has_worked(&self) -> bool {
        self.has_worked
    }

    /// Whether the start comes from what was delivered before.
    pub(super) fn is_continued(&self) -> bool {
        self.is_continued
    }

    /// Checks whether etcd could execute it.
    pub(super) fn check(&self) -> Result<()> {
        self.range.check(Self::NAME)?;
        if self.from.is_some_and(|revision| revision < 1) {
            let reason = "there is no revision below 1: to begin now, omit it";
            return Err(Error::invalid(Self::NAME, reason));
        }
        Ok(())
    }
}

/// Many watches in one request. Each item says which watch it is from. To add and cancel watches later, see
/// [`controlled`](Self::controlled).
///
/// A set of a thousand watches is one connection. A watch that etcd refuses or cancels, or with a revision that comes in
/// fragments and is larger than [`max_response_size`](crate::ClientBuilder::max_response_size), ends with its error, and the
/// others continue. The stream ends when no watch is left, or with an error of all of them. There is no order between
/// the watches of a set.
///
/// The set has its own [`outage_limit`](Self::outage_limit), [`silence_limit`](Self::silence_limit) and
/// [`require_leader`](Self::require_leader). Those of its watches are ignored.
///
/// ```
/// # use etcd_http::{Client, Error, transport::Transport};
/// use etcd_http::v3::{KeyRange, Watch, WatchSet};
/// use futures::StreamExt;
///
/// # async fn example<T: Transport>(client: &Client<T>) -> Result<(), Error> {
/// let set = WatchSet::new([Watch::new("leader"), Watch::new(KeyRange::prefix("jobs/"))]);
/// let mut items = client.open(set);
/// while let Some(item) = items.next().await {
///     let item = item?;
///     match (item.watch, item.changes?) {
///         (0, _) => println!("another leader"),
///         (_, jobs) => println!("{} jobs changed", jobs.events.len()),
///     }
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[must_use = "an operation does nothing before `Client::open`"]
pub struct WatchSet {
    pub(in crate::v3) watches: Vec<Watch>,
    pub(super) settings: Settings,
}

/// An item of a [`WatchSet`].
#[derive(Debug)]
#[non_exhaustive]
pub struct WatchSetItem {
    /// The number of the watch in its set, from 0.
    pub watch: usize,
    /// The changes, or the error that has ended this watch alone.
    pub changes: Result<Changes>,
}

impl WatchSetItem {
    /// An item of the watch with this number. For your own tests.
    pub fn new(watch: usize, changes: Result<Changes>) -> Self {
        Self { watch, changes }
    }
}

impl WatchSet {
    /// These watches, numbered from 0.
    pub fn new(watches: impl IntoIterator<Item = Watch>) -> Self {
        Self {
            watches: watches.into_iter().collect(),
            settings: Settings::default(),
        }
    }

    /// See [`Watch::outage_limit`].
    pub fn outage_limit(mut self, limit: Duration) -> Self {
        self.settings.outage_limit = limit;
        self
    }

    /// See [`Watch::silence_limit`].
    pub fn silence_limit(mut self, limit: Duration) -> Self {
        self.settings.silence = Some(limit);
        self
    }

    /// See [`Watch::require_leader`].
    pub fn require_leader(mut self, require: bool) -> Self {
        self.settings.require_leader = require;
        self
    }

    /// Returns the set, to be opened, and a control that adds and cancels watches while it is open.
    ///
    /// However the set changes, every watch delivers all its revisions, each once. The stream ends when no watch is
    /// left and every [`WatchControl`] is dropped. Until then a set without watches waits for the next one.
    ///
    /// How a change travels depends on the endpoint. Over HTTP/2 etcd takes it **on the same stream**: by gRPC, with `http://`
    /// and `https://`, and by the JSON gateway with `https://` alone; over a transport that can send and receive at once
    /// ([`Duplex`](etcd_transport::Duplex); those of hyper and reqwest can). A change then costs one small message.
    /// **Otherwise** a request has a fixed set of watches: 50 ms after a change another request replaces it, with all changes
    /// up to then, in which each watch resumes after its last complete revision. That costs as much as opening the set, so use
    /// gRPC or TLS for a large set that changes often. An endpoint where the first way fails (the transport rejects it, or a
    /// proxy blocks it, which takes two failures to find out) gets requests of the second kind for as long as the set is open.
    ///
    /// ```
    /// # use etcd_http::{Client, Error, transport::Transport};
    /// use etcd_http::v3::{KeyRange, Watch, WatchSet};
    /// use futures::StreamExt;
    ///
    /// # async fn example<T: Transport>(client: &Client<T>) -> Result<(), Error> {
    /// let (set, control) = WatchSet::new([Watch::new(KeyRange::prefix("services/"))]).controlled();
    /// let mut items = client.open(set);
    /// let details = control.add(Watch::new(KeyRange::prefix("details/web/")))?;
    /// while let Some(item) = items.next().await {
    ///     let item = item?;
    ///     let changes = item.changes?;
    ///     if item.watch == details && changes.events.iter().any(|event| event.is_delete()) {
    ///         control.cancel(details);
    ///     }
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub fn controlled(self) -> (ControlledWatchSet, WatchControl) {
        ControlledWatchSet::new(self)
    }
}

impl Sealed for Watch {}

impl StreamOperation for Watch {
    type Item = Changes;
    const NAME: &'static str = "v3.watch";

    fn open<T: Transport>(self, client: &Client<T>) -> BoxStream<'static, Result<Changes>> {
        let settings = self.settings;
        // The error of the only watch is that of the stream.
        Watcher::new(client.clone(), vec![self], settings, None)
            .into_stream()
            .map(|item| item.and_then(|item| item.changes))
            .boxed()
    }
}

impl Sealed for WatchSet {}

impl StreamOperation for WatchSet {
    type Item = WatchSetItem;
    const NAME: &'static str = Watch::NAME;

    fn open<T: Transport>(self, client: &Client<T>) -> BoxStream<'static, Result<WatchSetItem>> {
        Watcher::new(client.clone(), self.watches, self.settings, None).into_stream()
    }
}

impl Settings {
    /// Checks that a stream can have these settings.
    pub(super) fn check(&self) -> Result<()> {
        check_limit(Watch::NAME, self.silence)
    }
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            outage_limit: Duration::from_secs(300),
            silence: None,
            require_leader: true,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn watches_are_equal_that_deliver_and_confirm_the_same() {
        let (one, other) = (Freshness::default(), Freshness::default());
        let clone = one.clone();
        let watch = |freshness| Watch::new("a").confirming(freshness);
        assert_eq!(watch(&one), watch(&clone));
        assert_ne!(watch(&one), watch(&other));
        assert_ne!(watch(&one), Watch::new("a"));
        assert_ne!(watch(&one), watch(&one).from_revision(5));
    }
}
