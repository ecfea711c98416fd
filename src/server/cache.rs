//! Binaries that were brought here once.

use std::{
    fs::{self, File},
    path::{Path, PathBuf},
};

use rustix::fs::{FlockOperation, flock};

use super::{
    directory::{Scratch, is_scratch},
    error::{Doing, Error, Result, in_one_line},
    install::Source,
    installed::{Installed, describe},
    version::Version,
};

/// A directory with one entry for each etcd: `debian-3.4.23`, or `release-3.5.21-` and the digest of the archive. Entries
/// come whole, by renaming, and are never changed.
#[derive(Debug)]
pub(super) struct Cache(PathBuf);

impl Cache {
    pub(super) fn new(path: PathBuf) -> Self {
        Self(path)
    }

    /// The newest etcd in the cache; the one of this version, and from the archive with this digest, if they are given.
    pub(super) fn find(&self, version: Option<Version>, sha256: Option<&str>) -> Result<Installed> {
        let mut entries: Vec<_> = self
            .entries()
            .into_iter()
            .filter(|entry| entry.answers(version, sha256))
            .collect();
        entries.sort_by_key(|entry| entry.version);
        let mut reason = format!("nothing that fits in {}", self.0.display());
        for entry in entries.iter().rev() {
            match describe(&entry.path.join("etcd"), Source::Cache) {
                Ok(installed) => return Ok(installed),
                Err(error) => reason = in_one_line(&error),
            }
        }
        Err(Error::Invalid { reason })
    }

    /// Waits until no other process adds to the cache.
    pub(super) fn lock(&self) -> Result<Held<'_>> {
        fs::create_dir_all(&self.0).doing(|| format!("make the cache {}", self.0.display()))?;
        let path = self.0.join("lock");
        let file = File::create(&path).doing(|| format!("open {}", path.display()))?;
        flock(&file, FlockOperation::LockExclusive).doing(|| format!("lock {}", path.display()))?;
        Ok(Held {
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

/// The cache, with nobody else adding to it. The lock goes with the file.
pub(super) struct Held<'a> {
    cache: &'a Cache,
    _lock: File,
}

impl Held<'_> {
    /// Adds the entry that `fetch` makes: it is given an empty directory, leaves `etcd` there, and answers the name.
    pub(super) fn put(
        &self,
        source: Source,
        fetch: impl FnOnce(&Path) -> Result<String>,
    ) -> Result<Installed> {
        self.sweep();
        let staging = Scratch::within(&self.cache.0)?;
        let name = fetch(staging.path())?;
        let entry = self.cache.0.join(name);
        // Somebody may be running the one that is there.
        if let Ok(installed) = describe(&entry.join("etcd"), source) {
            return Ok(installed);
        }
        if entry.exists() {
            fs::remove_dir_all(&entry).doing(|| format!("remove {}", entry.display()))?;
        }
        fs::rename(staging.path(), &entry)
            .doing(|| format!("move the binaries to {}", entry.display()))?;
        describe(&entry.join("etcd"), source)
    }

    /// Removes what a process that was killed left half done.
    fn sweep(&self) {
        for entry in fs::read_dir(&self.cache.0).into_iter().flatten().flatten() {
            if is_scratch(&entry.file_name()) {
                // What cannot be removed is in nobody's way.
                let _ = fs::remove_dir_all(entry.path());
            }
        }
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

    fn answers(&self, version: Option<Version>, sha256: Option<&str>) -> bool {
        version.is_none_or(|version| version == self.version)
            && (sha256.is_none() || sha256 == self.sha256.as_deref())
    }
}
