use crate::v3::WatchCursor;

/// Why a [`Mirror`](super::Mirror) could not go on from where it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum MirrorGap {
    /// The history was compacted: what came and went is not known.
    Compacted,
    /// The cluster's data were lost or restored from a backup: what was seen after the backup is undone.
    Restored,
    /// It is another cluster.
    OtherCluster,
    /// The call before ended in an error, or there was an event of an unknown kind.
    Other,
}

/// What leads to a listing.
#[derive(Clone, Copy, Debug)]
pub(super) enum Gap {
    /// The history was compacted.
    Compacted,
    /// The store does not go on from this cursor.
    OtherStore(WatchCursor),
    Other,
}

impl Gap {
    /// What it is, once the store has responded.
    pub(super) fn told(self, now: Option<WatchCursor>) -> MirrorGap {
        match self {
            Self::Compacted => MirrorGap::Compacted,
            Self::OtherStore(before)
                if now.is_some_and(|now| now.cluster_id() != before.cluster_id()) =>
            {
                MirrorGap::OtherCluster
            }
            Self::OtherStore(_) => MirrorGap::Restored,
            Self::Other => MirrorGap::Other,
        }
    }
}
