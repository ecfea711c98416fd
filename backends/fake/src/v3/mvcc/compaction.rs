use bytes::Bytes;

use super::{Mvcc, Revision};
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
        self.compacted = revision;
        let old = self.log.iter().take_while(|(version, _)| version.main <= revision);
        let obsolete: Vec<_> = old
            .filter(|(version, change)| {
                !self.is_kept(**version, change.is_delete, &change.kv.key, revision, profile)
            })
            .map(|(version, change)| (*version, change.kv.key.clone()))
            .collect();
        for (version, key) in obsolete {
            let change = self.log.remove(&version);
            self.size -= change.map_or(0, |change| change.size());
            self.versions.remove(&(key, version));
        }
        Ok(())
    }

    /// Whether a version outlives a compaction at a revision that is not older.
    pub(super) fn is_kept(
        &self,
        version: Revision,
        is_delete: bool,
        key: &Bytes,
        compaction: i64,
        profile: Profile,
    ) -> bool {
        // 3.5.16 keeps a deletion at the very revision of the compaction: a watch may start there.
        if is_delete && (profile == Profile::V3_4 || version.main < compaction) {
            return false;
        }
        let mut versions = self.versions_of(key);
        let next = versions.find(|(other, _)| **other > version);
        next.is_none_or(|(next, _)| next.main > compaction)
    }
}
