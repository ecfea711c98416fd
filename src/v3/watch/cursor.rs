use std::{
    fmt,
    sync::{Arc, Mutex, PoisonError},
};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use crate::v3::Header;

/// Where a watch has come to: to be stored, and to go on from after a restart of the program.
///
/// It has the cluster's id, its raft term and a revision. [`WatchPosition::cursor`] returns that of a watch, and
/// [`Watch::from_cursor`](super::Watch::from_cursor) goes on from it. With serde it is a map with three fields, the numbers that
/// may be large as hexadecimal text, so that any format can store it.
///
/// ```
/// use etcd_http::v3::WatchCursor;
///
/// let stored = r#"{"cluster_id":"cdf818194e3a8c32","raft_term":"2","revision":7}"#;
/// let cursor: WatchCursor = serde_json::from_str(stored)?;
/// assert_eq!(cursor.revision(), 7);
/// assert_eq!(serde_json::to_string(&cursor)?, stored);
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct WatchCursor {
    #[serde(serialize_with = "to_hex", deserialize_with = "from_hex")]
    cluster_id: u64,
    #[serde(serialize_with = "to_hex", deserialize_with = "from_hex")]
    raft_term: u64,
    revision: i64,
}

impl WatchCursor {
    /// The cursor after everything that this response reflects: to read keys, and watch them from there even if the program
    /// restarts in between. Not of a read at an older [revision](crate::v3::Range::revision): its header has the revision of
    /// the store, and what came between would be skipped.
    pub fn after(header: &Header) -> Self {
        Self {
            cluster_id: header.cluster_id,
            raft_term: header.raft_term,
            revision: header.revision,
        }
    }

    /// Returns the id of the cluster.
    pub fn cluster_id(&self) -> u64 {
        self.cluster_id
    }

    /// Returns the revision: everything up to it has been delivered.
    pub fn revision(&self) -> i64 {
        self.revision
    }

    /// Returns why a store that a majority describes so does not go on from here.
    pub(super) fn mismatch(&self, now: &Header) -> Option<String> {
        let Self {
            cluster_id,
            raft_term,
            revision,
        } = *self;
        if now.cluster_id != cluster_id {
            return Some(format!(
                "the cursor is of cluster {cluster_id:x}, and this is cluster {:x}",
                now.cluster_id
            ));
        }
        // A response that omits it does not tell it.
        if now.raft_term != 0 && now.raft_term < raft_term {
            return Some(format!(
                "the raft term is {}, and was {raft_term} at the cursor: the cluster's data were lost or restored",
                now.raft_term
            ));
        }
        (now.revision < revision).then(|| {
            format!(
                "the store's revision is {}, and was {revision} at the cursor: the cluster's data were lost or restored",
                now.revision
            )
        })
    }
}

/// The position of a watch that is made with [`Watch::positioned`](super::Watch::positioned). A clone is the same.
#[derive(Clone, Default)]
pub struct WatchPosition(Arc<Mutex<Option<WatchCursor>>>);

impl WatchPosition {
    /// Returns the cursor after what the stream has yielded so far; `None` until a server has responded.
    ///
    /// Store it when you have done what the last item asks for, before you poll the stream again: after a restart that item does
    /// not come again, and the next one does.
    ///
    /// While nothing happens to the keys, it goes on with the reports of the server. These come every ten minutes by default, which is
    /// too late: a silent watch is opened again before that, and the cursor of a quiet watch is lost with a compaction. With
    /// `--experimental-watch-progress-notify-interval=1m`, in etcd 3.5 and later, it is two minutes behind at most.
    pub fn cursor(&self) -> Option<WatchCursor> {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn set(&self, cursor: WatchCursor) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(cursor);
    }
}

/// Two are equal where each is a clone of the other.
impl PartialEq for WatchPosition {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl Eq for WatchPosition {}

impl fmt::Debug for WatchPosition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("WatchPosition")
            .field(&self.cursor())
            .finish()
    }
}

fn to_hex<S: Serializer>(number: &u64, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(&format_args!("{number:x}"))
}

fn from_hex<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u64, D::Error> {
    let text = String::deserialize(deserializer)?;
    u64::from_str_radix(&text, 16)
        .map_err(|_| de::Error::invalid_value(de::Unexpected::Str(&text), &"a hexadecimal number"))
}
