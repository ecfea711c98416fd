use std::{
    collections::BTreeMap,
    fmt,
    sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard},
    time::Duration,
};

use bytes::Bytes;
use etcd_transport::Transport;

use crate::v3::{
    KeyRange, KeyValue, MirrorState, Namespace, WatchCursor, stream::freshness::Freshness,
};

/// Reads the copy of a [`Mirror`](super::Mirror), even while [`next`](super::Mirror::next) runs. A clone reads the same copy.
///
/// The copy changes with each update that `next` returns, and stays as it is once the mirror is dropped.
///
/// ```
/// # use etcd_http::{Client, Error, transport::Transport};
/// use etcd_http::v3::KeyRange;
/// use std::time::Duration;
///
/// # async fn example<T: Transport>(client: &Client<T>) -> Result<(), Error> {
/// let mut config = client.v3().mirror(KeyRange::prefix("config/"));
/// let reader = config.reader();
/// let follow = async move {
///     let error = loop {
///         if let Err(error) = config.next().await {
///             break error;
///         }
///     };
///     eprintln!("the mirror ended: {error}");
/// };
/// # drop(follow);
/// // Elsewhere, meanwhile:
/// if reader.age().is_some_and(|age| age < Duration::from_secs(60)) {
///     println!("{:?}", reader.get("config/color"));
/// }
/// # Ok(())
/// # }
/// ```
pub struct MirrorReader<T> {
    keys: Namespace<T>,
    range: KeyRange,
    copy: Arc<RwLock<Copy>>,
    freshness: Freshness,
}

/// The keys at one revision.
#[derive(Debug, Default)]
pub(super) struct Copy {
    pub(super) entries: BTreeMap<Bytes, KeyValue>,
    pub(super) revision: i64,
    /// Up to where it is known to be what the range is; `None` before the first listing.
    pub(super) cursor: Option<WatchCursor>,
    /// Whether a watch keeps it up to date; otherwise it is being listed, or about to be.
    pub(super) is_followed: bool,
}

impl<T: Transport> MirrorReader<T> {
    pub(super) fn new(keys: &Namespace<T>, range: &KeyRange) -> Self {
        Self {
            keys: keys.clone(),
            range: range.clone(),
            copy: Arc::default(),
            freshness: Freshness::default(),
        }
    }

    /// The copy and its cursor, to be stored; `None` before the first listing. See [`Mirror::resume`](super::Mirror::resume).
    pub fn state(&self) -> Option<MirrorState> {
        let copy = self.read();
        let cursor = copy.cursor?;
        let prefix = self.keys.prefix();
        Some(MirrorState::new(cursor, prefix, &self.range, &copy.entries))
    }

    /// How long ago a server last confirmed the copy, or showed that it was alive while the copy is followed; `None` before
    /// the first listing.
    ///
    /// It stays below the mirror's [`silence_limit`](super::Mirror::silence_limit) as long as the server responds, and grows
    /// during an outage.
    pub fn age(&self) -> Option<Duration> {
        let now = self.keys.client().transport().now();
        let confirmed = self.freshness.confirmed()?;
        Some(now.saturating_duration_since(confirmed))
    }
}

impl<T> MirrorReader<T> {
    /// The revision of the copy; 0 before the first listing.
    pub fn revision(&self) -> i64 {
        self.read().revision
    }

    /// A key of the copy.
    pub fn get(&self, key: impl AsRef<[u8]>) -> Option<KeyValue> {
        self.read().entries.get(key.as_ref()).cloned()
    }

    /// All keys of the copy, in their order: as they are at one revision.
    pub fn iter(&self) -> impl Iterator<Item = KeyValue> + use<T> {
        let all: Vec<_> = self.read().entries.values().cloned().collect();
        all.into_iter()
    }

    /// How many keys there are.
    pub fn len(&self) -> usize {
        self.read().entries.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.read().entries.is_empty()
    }

    /// Whether a watch keeps the copy up to date, and no listing replaces it.
    pub(crate) fn is_followed(&self) -> bool {
        self.read().is_followed
    }

    pub(super) fn cursor(&self) -> Option<WatchCursor> {
        self.read().cursor
    }

    pub(super) fn freshness(&self) -> &Freshness {
        &self.freshness
    }

    /// Changes the copy, undivided.
    pub(super) fn write(&self) -> RwLockWriteGuard<'_, Copy> {
        self.copy.write().unwrap_or_else(PoisonError::into_inner)
    }

    fn read(&self) -> RwLockReadGuard<'_, Copy> {
        self.copy.read().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T> Clone for MirrorReader<T> {
    fn clone(&self) -> Self {
        Self {
            keys: self.keys.clone(),
            range: self.range.clone(),
            copy: Arc::clone(&self.copy),
            freshness: self.freshness.clone(),
        }
    }
}

impl<T> fmt::Debug for MirrorReader<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let copy = self.read();
        f.debug_struct("MirrorReader")
            .field("revision", &copy.revision)
            .field("keys", &copy.entries.len())
            .finish_non_exhaustive()
    }
}
