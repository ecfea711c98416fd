use std::time::Duration;

use etcd_transport::Transport;
use futures::{StreamExt, stream::BoxStream};

use crate::v3::watch::{
    control::{ControlledWatchSet, WatchControl},
    event::Changes,
    watcher::Watcher,
};
use crate::{
    client::Client,
    error::{Error, Result},
    operation::{StreamOperation, sealed::Sealed},
    v3::KeyRange,
};

/// Delivers what happens to keys, for ever: `POST /v3/watch`.
///
/// An item is a revision with [all that it did](Changes) to the keys; revisions come in order, each once, none is split,
/// none is dropped in silence. A watch «from now» first asks for the store's revision, and begins with the next one.
/// After a cut connection, a restart or a change of endpoint it goes on after the last revision that it had whole, for as
/// long as an [outage](Self::outage_limit) may last.
///
/// The stream ends after an error. [`is_compacted`](crate::Error::is_compacted) is the one to be ready for: the revisions from where
/// the watch was on are no longer in the store's history, because it was compacted while the watch was cut off, or
/// before it began. What happened in between cannot be had; read the keys again and watch from there, or let a
/// [`Mirror`](crate::v3::Mirror) do it.
///
/// Who is slow to take the next item makes the server wait, and loses nothing. Dropping the stream ends the watch. Over
/// HTTP/1.1 one request is one fixed set of watches: to watch more, open another. For many at once, and for a set that
/// changes, see [`WatchSet`].
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
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use = "an operation does nothing before `Client::open`"]
pub struct Watch {
    pub(in crate::v3) range: KeyRange,
    pub(super) from: Option<i64>,
    pub(super) prev_kv: bool,
    pub(super) puts: bool,
    pub(super) deletes: bool,
    pub(super) progress: bool,
    pub(super) settings: Settings,
}

/// What holds for a request, with however many watches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Settings {
    pub(super) outage: Duration,
    pub(super) silence: Duration,
    pub(super) require_leader: bool,
}

impl Watch {
    /// Watches this key, or these, from when the stream is first polled.
    pub fn new(range: impl Into<KeyRange>) -> Self {
        Self {
            range: range.into(),
            from: None,
            prev_kv: false,
            puts: true,
            deletes: true,
            progress: false,
            settings: Settings::default(),
        }
    }

    /// Begins with this revision, in the past or in the future: for all that came after an answer, its
    /// `header.revision + 1`; after [`Changes`], their `revision + 1`. Less than 1 is refused.
    #[doc(alias = "start_revision")]
    pub fn from_revision(mut self, revision: i64) -> Self {
        self.from = Some(revision);
        self
    }

    /// With each event the key as it was before, unless that has been compacted.
    pub fn prev_kv(mut self, prev_kv: bool) -> Self {
        self.prev_kv = prev_kv;
        self
    }

    /// Leaves out what is written.
    #[doc(alias = "NOPUT")]
    pub fn without_puts(mut self) -> Self {
        self.puts = false;
        self
    }

    /// Leaves out what is deleted.
    #[doc(alias = "NODELETE")]
    pub fn without_deletes(mut self) -> Self {
        self.deletes = false;
        self
    }

    /// Delivers [`Changes`] without events, too, when etcd says how far it has come while nothing happened: every ten
    /// minutes, unless the server is set otherwise. (The watch makes use of it in any case.)
    #[doc(alias = "progress_notify")]
    pub fn progress(mut self, progress: bool) -> Self {
        self.progress = progress;
        self
    }

    /// How long it goes on trying while no endpoint answers: 5 minutes unless set. Nothing is lost by an outage shorter
    /// than this, and then the stream ends in the last attempt's error.
    pub fn outage_limit(mut self, limit: Duration) -> Self {
        self.settings.outage = limit;
        self
    }

    /// After how much silence the server is asked whether it is still there: 30 seconds unless set. If it is not, the watch
    /// goes on with another.
    pub fn silence_limit(mut self, limit: Duration) -> Self {
        self.settings.silence = limit;
        self
    }

    /// Whether a member without a leader is to refuse, or to end, the watch, so that it goes on with another: yes, unless
    /// set. A member that is cut off from the others is silent otherwise.
    pub fn require_leader(mut self, require: bool) -> Self {
        self.settings.require_leader = require;
        self
    }

    /// Whether etcd could carry it out.
    pub(super) fn check(&self) -> Result<()> {
        self.range.check(Self::NAME)?;
        if self.from.is_some_and(|revision| revision < 1) {
            let reason = "there is no revision below 1: to begin now, leave it out";
            return Err(Error::invalid(Self::NAME, reason));
        }
        Ok(())
    }
}

/// Many watches over one request. Each item says which of them it is from. To add others later, and to cancel some, see
/// [`controlled`](Self::controlled).
///
/// A set of a thousand watches is one connection. A watch that etcd refuses or cancels ends with its error, and the
/// others go on; the stream ends when none is left, or with an error of all of them. Between the watches of a set no
/// order is promised.
///
/// The request has the set's own [`outage_limit`](Self::outage_limit), [`silence_limit`](Self::silence_limit) and
/// [`require_leader`](Self::require_leader); those of the single watches do not count.
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

/// What a [`WatchSet`] delivers.
#[derive(Debug)]
#[non_exhaustive]
pub struct WatchSetItem {
    /// The number of the watch in its set, from 0.
    pub watch: usize,
    /// What happened; or why this watch, and this one alone, is over.
    pub changes: Result<Changes>,
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
        self.settings.outage = limit;
        self
    }

    /// See [`Watch::silence_limit`].
    pub fn silence_limit(mut self, limit: Duration) -> Self {
        self.settings.silence = limit;
        self
    }

    /// See [`Watch::require_leader`].
    pub fn require_leader(mut self, require: bool) -> Self {
        self.settings.require_leader = require;
        self
    }

    /// This set, to be opened, and what adds watches to it and cancels them while it is open.
    ///
    /// However the set changes, every watch delivers all that is its own, each revision once. The stream ends when no watch
    /// is left and every [`WatchControl`] is dropped; until then a set without watches waits for the next one.
    ///
    /// How a change travels depends on the endpoint. etcd takes it **on the same stream** where that is HTTP/2: by
    /// `https://`, over a transport that can send and receive at once ([`Duplex`](etcd_transport::Duplex); reqwest's can). One
    /// stream lasts as long as the set then, and a change costs one small message. **Otherwise** one request is one fixed
    /// set: 50 milliseconds after a change, and with all others that came by then, another request takes its place, in
    /// which each watch goes on after the last revision that it had whole. That costs as much as to open the set, so for
    /// many changes of a large set, use TLS. An endpoint by `https://` where the first fails (the transport refuses; or a
    /// proxy does not let it through, which is found out by two such failures before a request of the other kind comes
    /// about) is asked in the second way from then on, as long as the set is open.
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
        // The only watch is over with its error, and so is the stream.
        Watcher::new(client.clone(), vec![self], settings)
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
        Watcher::new(client.clone(), self.watches, self.settings).into_stream()
    }
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            outage: Duration::from_secs(300),
            silence: Duration::from_secs(30),
            require_leader: true,
        }
    }
}
