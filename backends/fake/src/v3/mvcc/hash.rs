use super::Mvcc;
use crate::{profile::Profile, v3::{
    error::V3Error,
    message::{kv::KeyValue, proto},
}};

impl Mvcc {
    /// The hash of all versions up to a revision, as etcd computes it: the CRC-32C of the keys and values of its file.
    pub(crate) fn hash(&self, revision: i64, profile: Profile) -> Result<u32, V3Error> {
        // etcd lets a hash at the compacted revision itself pass.
        if revision > 0 && revision < self.compacted {
            return Err(V3Error::COMPACTED);
        }
        if revision > self.revision {
            return Err(V3Error::FUTURE_REVISION);
        }
        let revision = if revision <= 0 { self.revision } else { revision };
        let mut crc = Crc::new();
        crc.add(b"key");
        for (version, change) in self.log.iter() {
            if version.main > revision {
                break;
            }
            // Of what is as old as the compaction, only what a read at the revision shows.
            let is_old = version.main <= self.compacted;
            if is_old && !self.is_kept(*version, change.is_delete, &change.kv.key, revision, profile) {
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
        Ok(crc.0 ^ u32::MAX)
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
            crc = if crc & 1 == 1 { (crc >> 1) ^ 0x82f6_3b78 } else { crc >> 1 };
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
