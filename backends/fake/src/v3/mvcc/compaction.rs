use super::{Change, Mvcc, Revision};
use crate::{profile::Profile, v3::error::V3Error};

impl Mvcc {
    /// Forgets the versions that no read at `revision` or later needs.
    pub(crate) fn compact(&mut self, revision: i64, profile: Profile) -> Result<(), V3Error> {
        if revision <= self.compacted {
            return Err(V3Error::COMPACTED);
        }
        if revision > self.revision {
            return Err(V3Error::FUTURE_REVISION);
        }
        if profile == Profile::V3_5 {
            self.remember_hash(revision, profile);
        }
        self.compacted = revision;
        let old = self
            .log
            .iter()
            .take_while(|(version, _)| version.main <= revision);
        let obsolete: Vec<_> = old
            .filter(|(version, change)| !self.outlives(**version, change, revision, profile))
            .map(|(version, _)| *version)
            .collect();
        for version in obsolete {
            self.forget(version);
        }
        Ok(())
    }

    /// Whether a version outlives a compaction at a revision that is not older.
    pub(super) fn outlives(
        &self,
        version: Revision,
        change: &Change,
        compaction: i64,
        profile: Profile,
    ) -> bool {
        // 3.5.16 keeps a deletion at the very revision of the compaction: a watch may start there.
        let is_kept_deletion = profile == Profile::V3_5 && version.main == compaction;
        (!change.is_delete || is_kept_deletion) && self.is_latest(version, change, compaction)
    }

    /// Whether a version is the last of its key at a revision that is not older.
    pub(super) fn is_latest(&self, version: Revision, change: &Change, revision: i64) -> bool {
        let history = self.history(&change.kv.key);
        let next = history.and_then(|history| history.after(version));
        next.is_none_or(|next| next.main > revision)
    }
}
