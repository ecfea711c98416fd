//! Temporary directories.

use std::{
    env,
    fs::{self, DirBuilder},
    io,
    os::unix::fs::DirBuilderExt,
    path::{Path, PathBuf},
    process,
    sync::atomic::{AtomicU64, Ordering},
};

use crate::error::{Context, Result};

/// A directory that is removed when dropped.
#[derive(Debug)]
pub(crate) struct TempDir(PathBuf);

impl TempDir {
    /// Makes a new directory in memory, or where temporary files go if there are less than `megabytes` free in memory.
    pub(crate) fn new(megabytes: u64) -> Result<Self> {
        let memory = Path::new("/dev/shm");
        if has_room(memory, megabytes)
            && let Ok(directory) = Self::within(memory, PREFIX)
        {
            return Ok(directory);
        }
        Self::within(&env::temp_dir(), PREFIX)
    }

    /// Makes a new directory in `parent` that only its owner can read, with a name that begins with `prefix`.
    pub(crate) fn within(parent: &Path, prefix: &str) -> Result<Self> {
        static COUNTER: AtomicU64 = AtomicU64::new(0);
        loop {
            let number = COUNTER.fetch_add(1, Ordering::Relaxed);
            let path = parent.join(format!("{prefix}{}-{number}", process::id()));
            match DirBuilder::new().mode(0o700).create(&path) {
                Ok(()) => return Ok(Self(path)),
                // An earlier process with the same id left it behind.
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                Err(error) => {
                    return Err(error)
                        .context(|| format!("create the directory {}", path.display()));
                }
            }
        }
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for TempDir {
    fn drop(&mut self) {
        // Drop cannot report an error, and the remains do no harm.
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// Whether `megabytes` are free. Docker gives a container 64 MB of `/dev/shm`, less than one segment of etcd's
/// write-ahead log.
fn has_room(path: &Path, megabytes: u64) -> bool {
    rustix::fs::statvfs(path)
        .is_ok_and(|stat| stat.f_bavail.saturating_mul(stat.f_frsize) >> 20 >= megabytes)
}

const PREFIX: &str = "etcd-server-";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_temporary_directory_is_gone_when_dropped() {
        let directory = TempDir::new(1).unwrap();
        let path = directory.path().to_owned();
        fs::write(path.join("file"), "data").unwrap();
        assert!(path.is_dir());
        drop(directory);
        assert!(!path.exists());
    }

    #[test]
    fn a_file_system_with_too_little_room_is_not_chosen() {
        assert!(has_room(&env::temp_dir(), 0));
        assert!(!has_room(&env::temp_dir(), u64::MAX >> 20));
        assert!(!has_room(Path::new("/nowhere"), 0));
        let elsewhere = TempDir::new(u64::MAX >> 20).unwrap();
        assert!(elsewhere.path().starts_with(env::temp_dir()));
    }
}
