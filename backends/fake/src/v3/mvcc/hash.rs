use super::{Change, Mvcc, Revision};
use crate::{
    profile::Profile,
    v3::{
        error::V3Error,
        message::{kv::KeyValue, proto},
    },
};

/// How many hashes are remembered.
const REMEMBERED: usize = 10;

/// The hash of all versions up to a revision.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct KvHash {
    pub(crate) hash: u32,
    pub(crate) compacted: i64,
    revision: i64,
}

impl Mvcc {
    /// The hash of all versions up to a revision, as etcd computes it: the CRC-32C of the keys and values of its file.
    ///
    /// 3.5 returns for the revision of a compaction what it computed then, even if that was revision 0, which
    /// otherwise means the current one.
    ///
    /// 3.4 refuses the compacted revision itself, too.
    pub(crate) fn hash(&self, revision: i64, profile: Profile) -> Result<KvHash, V3Error> {
        let is_3_4 = profile == Profile::V3_4;
        let mut remembered = self.hashes.iter().filter(|_| !is_3_4);
        if let Some(hash) = remembered.find(|hash| hash.revision == revision) {
            return Ok(*hash);
        }
        let first = if is_3_4 {
            self.compacted + 1
        } else {
            self.compacted
        };
        if revision > 0 && revision < first {
            return Err(V3Error::COMPACTED);
        }
        if revision > self.revision {
            return Err(V3Error::FUTURE_REVISION);
        }
        let revision = if revision == 0 {
            self.revision
        } else {
            revision
        };
        let is_kept = |version: Revision, change: &Change| {
            !change.is_delete && self.is_latest(version, change, revision)
        };
        Ok(self.hash_of(revision, &is_kept))
    }

    /// Remembers the hash of a compaction that is about to begin.
    pub(super) fn remember_hash(&mut self, revision: i64, profile: Profile) {
        let hash = self.hash_of(revision, &|version, change| {
            self.outlives(version, change, revision, profile)
        });
        self.hashes.push(hash);
        self.hashes.sort_by_key(|hash| hash.revision);
        if self.hashes.len() > REMEMBERED {
            self.hashes.remove(0);
        }
    }

    fn hash_of(&self, revision: i64, is_kept: &dyn Fn(Revision, &Change) -> bool) -> KvHash {
        let versions = || {
            let all = self.log.iter();
            all.take_while(|(version, _)| version.main <= revision)
        };
        let keeps_any = versions().any(|(&version, change)| is_kept(version, change));
        let mut crc = Crc::new();
        crc.add(b"key");
        for (&version, change) in versions() {
            // Versions before 3.5.16 have removed such a deletion, and all are to agree on the hash.
            if change.is_delete && version.main == self.compacted {
                continue;
            }
            // Of what is as old as the last compaction, only what a read at the revision shows.
            if version.main <= self.compacted && keeps_any && !is_kept(version, change) {
                continue;
            }
            let mut name = Vec::with_capacity(18);
            name.extend_from_slice(&version.main.to_be_bytes());
            name.push(b'_');
            name.extend_from_slice(&version.sub.to_be_bytes());
            let value = if change.is_delete {
                name.push(b't');
                proto::encode(&KeyValue {
                    key: change.kv.key.clone(),
                    ..KeyValue::default()
                })
            } else {
                proto::encode(&*change.kv)
            };
            crc.add(&name);
            crc.add(&value);
        }
        KvHash {
            hash: crc.0 ^ u32::MAX,
            compacted: self.compacted,
            revision,
        }
    }
}

/// CRC-32 with Castagnoli's polynomial.
struct Crc(u32);

impl Crc {
    fn new() -> Self {
        Self(u32::MAX)
    }

    fn add(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            let position = (self.0 as u8) ^ byte;
            self.0 = TABLE[usize::from(position)] ^ (self.0 >> 8);
        }
    }
}

const TABLE: [u32; 256] = {
    let mut table = [0; 256];
    let mut byte = 0;
    while byte < 256 {
        let mut crc = byte as u32;
        let mut bit = 0;
        while bit < 8 {
            crc = if crc & 1 == 1 {
                (crc >> 1) ^ 0x82f6_3b78
            } else {
                crc >> 1
            };
            bit += 1;
        }
        table[byte] = crc;
        byte += 1;
    }
    table
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_check_value_of_crc_32c_is_right() {
        let mut crc = Crc::new();
        crc.add(b"123456789");
        assert_eq!(crc.0 ^ u32::MAX, 0xe306_9283);
    }
}
