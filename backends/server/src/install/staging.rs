//! Directories of the cache that this crate created, and may remove.

use std::{
    fs,
    path::{Path, PathBuf},
};

use crate::{
    error::{Context, Result, invalid},
    temp_dir::TempDir,
};

/// A directory in which a cache entry is prepared. It has a marker file, so that it can be told from other directories
/// even after it was renamed, or left behind by a killed process.
#[derive(Debug)]
pub(crate) struct Staging(TempDir);

impl Staging {
    /// Makes a new directory in `cache`, empty but for the marker.
    pub(crate) fn new(cache: &Path) -> Result<Self> {
        let directory = TempDir::within(cache, PREFIX)?;
        let marker = directory.path().join(MARKER);
        fs::write(&marker, MARKER_TEXT).context(|| format!("write {}", marker.display()))?;
        Ok(Self(directory))
    }

    pub(crate) fn path(&self) -> &Path {
        self.0.path()
    }

    /// Renames the directory to `entry`, and replaces what a previous installation left there.
    ///
    /// # Errors
    ///
    /// If `entry` exists and was not created by this crate.
    pub(crate) fn publish(self, entry: &Path) -> Result<()> {
        if is_marked(entry) {
            fs::remove_dir_all(entry).context(|| format!("remove {}", entry.display()))?;
        } else if entry.exists() {
            return Err(invalid(format!(
                "{} is in the way: it has no usable etcd and was not created by etcd-server; remove it, or set another `cache_dir`",
                entry.display()
            )));
        }
        fs::rename(self.path(), entry)
            .context(|| format!("move the binaries to {}", entry.display()))
    }
}

/// Removes the staging directories that killed installations left in `cache`. The cache must be locked: then none of them
/// is in use.
pub(crate) fn remove_stale(cache: &Path) {
    for path in stale(cache) {
        // Remains that cannot be removed do no harm.
        let _ = fs::remove_dir_all(path);
    }
}

fn stale(cache: &Path) -> impl Iterator<Item = PathBuf> {
    let entries = fs::read_dir(cache).into_iter().flatten().flatten();
    entries
        .filter(|entry| {
            let name = entry.file_name();
            name.as_encoded_bytes().starts_with(PREFIX.as_bytes())
        })
        .map(|entry| entry.path())
        .filter(|path| is_marked(path))
}

/// Whether this is a directory, not a link to one, that [`Staging::new`] created.
fn is_marked(path: &Path) -> bool {
    path.symlink_metadata()
        .is_ok_and(|metadata| metadata.is_dir())
        && fs::read(path.join(MARKER)).is_ok_and(|text| text == MARKER_TEXT.as_bytes())
}

const PREFIX: &str = "etcd-server-staging-";
const MARKER: &str = ".etcd-server";
const MARKER_TEXT: &str = "Created by etcd-server, which may remove this directory.\n";
