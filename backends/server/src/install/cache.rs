//! The cache of downloaded binaries.

use std::{
    fs::{self, File},
    path::{Path, PathBuf},
};

use rustix::fs::{FlockOperation, flock};

use super::{
    installed::{Installed, inspect},
    staging::{Staging, remove_stale},
    version::Version,
};
use crate::{
    error::{Context, Result, in_one_line, invalid},
    source::Source,
};

/// A directory with one entry for each etcd: `debian-3.4.23`, or `release-3.5.21-` and the digest of the archive. Entries
/// are added atomically, by renaming, and are never changed.
#[derive(Debug)]
pub(crate) struct Cache(PathBuf);

impl Cache {
    pub(crate) fn new(path: PathBuf) -> Self {
        Self(path)
    }

    /// The newest etcd in the cache, of this version and from the archive with this digest if they are given.
    pub(crate) fn find(&self, version: Option<Version>, sha256: Option<&str>) -> Result<Installed> {
        let mut entries: Vec<_> = self
            .entries()
            .into_iter()
            .filter(|entry| entry.matches(version, sha256))
            .collect();
        entries.sort_by_key(|entry| entry.version);
        let mut reason = format!("no matching entry in {}", self.0.display());
        for entry in entries.iter().rev() {
            match inspect(&entry.path.join("etcd"), Source::Cache) {
                Ok(installed) => return Ok(installed),
                Err(error) => reason = in_one_line(&error),
            }
        }
        Err(invalid(reason))
    }

    /// Waits until no other process is adding to the cache, and keeps others from doing so.
    pub(crate) fn lock(&self) -> Result<LockedCache<'_>> {
        fs::create_dir_all(&self.0).context(|| format!("create the cache {}", self.0.display()))?;
        let path = self.0.join("lock");
        let file = File::create(&path).context(|| format!("open {}", path.display()))?;
        flock(&file, FlockOperation::LockExclusive)
            .context(|| format!("lock {}", path.display()))?;
        Ok(LockedCache {
            cache: self,
            _lock: file,
        })
    }

    fn entries(&self) -> Vec<Entry> {
        let entries = fs::read_dir(&self.0).into_iter().flatten().flatten();
        entries
            .filter_map(|entry| Entry::new(entry.path()))
            .collect()
    }
}

/// The cache, locked by this process. Closing the file releases the lock.
pub(crate) struct LockedCache<'a> {
    cache: &'a Cache,
    _lock: File,
}

impl LockedCache<'_> {
    /// Adds an entry: `fetch` puts `etcd` into the empty directory that it is given, and returns the entry's name.
    pub(crate) fn put(
        &self,
        source: Source,
        fetch: impl FnOnce(&Path) -> Result<String>,
    ) -> Result<Installed> {
        remove_stale(&self.cache.0);
        let staging = Staging::new(&self.cache.0)?;
        let name = fetch(staging.path())?;
        let entry = self.cache.0.join(name);
        // Another process may be running the existing one.
        if let Ok(installed) = inspect(&entry.join("etcd"), source) {
            return Ok(installed);
        }
        staging.publish(&entry)?;
        inspect(&entry.join("etcd"), source)
    }
}

struct Entry {
    path: PathBuf,
    version: Version,
    sha256: Option<String>,
}

impl Entry {
    fn new(path: PathBuf) -> Option<Self> {
        let name = path.file_name()?.to_str()?;
        let (version, sha256) = match name.strip_prefix("release-") {
            Some(rest) => rest
                .split_once('-')
                .map(|(version, sha256)| (version, Some(sha256)))?,
            None => (name.strip_prefix("debian-")?, None),
        };
        let (version, sha256) = (version.parse().ok()?, sha256.map(str::to_owned));
        Some(Self {
            path,
            version,
            sha256,
        })
    }

    fn matches(&self, version: Option<Version>, sha256: Option<&str>) -> bool {
        version.is_none_or(|version| version == self.version)
            && (sha256.is_none() || sha256 == self.sha256.as_deref())
    }
}
