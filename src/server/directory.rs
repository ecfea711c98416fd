//! Where a server keeps its data.

use std::{
    env,
    ffi::OsStr,
    fs::{self, DirBuilder},
    io,
    os::unix::fs::DirBuilderExt,
    path::{Path, PathBuf},
    process,
    sync::atomic::{AtomicU64, Ordering},
};

use super::error::{Doing, Result};

/// The data directory of a server, and its log beside it.
#[derive(Debug)]
pub(super) struct Place {
    data_dir: PathBuf,
    log: PathBuf,
    scratch: Option<Scratch>,
}

impl Place {
    /// A new place that is gone when dropped.
    pub(super) fn temporary() -> Result<Self> {
        let scratch = Scratch::new(ROOM_FOR_A_SERVER)?;
        Ok(Self {
            data_dir: scratch.path().join("data"),
            log: scratch.path().join("etcd.log"),
            scratch: Some(scratch),
        })
    }

    /// A place that stays as it is when dropped.
    pub(super) fn kept(data_dir: &Path) -> Result<Self> {
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(data_dir)
            .doing(|| format!("make the directory {}", data_dir.display()))?;
        let mut log = data_dir.as_os_str().to_owned();
        log.push(".log");
        Ok(Self {
            data_dir: data_dir.to_owned(),
            log: log.into(),
            scratch: None,
        })
    }

    pub(super) fn data_dir(&self) -> &Path {
        &self.data_dir
    }

    pub(super) fn log(&self) -> &Path {
        &self.log
    }

    /// What is to be removed in the end.
    pub(super) fn scratch(&self) -> Option<&Path> {
        self.scratch.as_ref().map(Scratch::path)
    }
}

/// A directory of our own, gone when dropped.
#[derive(Debug)]
pub(super) struct Scratch(PathBuf);

impl Scratch {
    /// Makes a new directory in memory, or where temporary files go if this machine has too little room there.
    pub(super) fn new(megabytes: u64) -> Result<Self> {
        let memory = Path::new("/dev/shm");
        if has_room(memory, megabytes)
            && let Ok(scratch) = Self::within(memory)
        {
            return Ok(scratch);
        }
        Self::within(&env::temp_dir())
    }

    /// Makes a new directory, readable by its owner alone, in `parent`.
    pub(super) fn within(parent: &Path) -> Result<Self> {
        static COUNTER: AtomicU64 = AtomicU64::new(0);
        loop {
            let number = COUNTER.fetch_add(1, Ordering::Relaxed);
            let path = parent.join(format!("{SCRATCH}{}-{number}", process::id()));
            match DirBuilder::new().mode(0o700).create(&path) {
                Ok(()) => return Ok(Self(path)),
                // Left behind by a process of the same id, long ago.
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                Err(error) => {
                    return Err(error).doing(|| format!("make the directory {}", path.display()));
                }
            }
        }
    }

    pub(super) fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // What cannot be removed now cannot be reported from here either, and harms nobody.
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// Whether this is the name of such a directory.
pub(super) fn is_scratch(name: &OsStr) -> bool {
    name.as_encoded_bytes().starts_with(SCRATCH.as_bytes())
}

/// Whether `megabytes` are free. Docker gives a container 64 MB of `/dev/shm`, which is less than one write-ahead log.
fn has_room(path: &Path, megabytes: u64) -> bool {
    rustix::fs::statvfs(path)
        .is_ok_and(|stat| stat.f_bavail.saturating_mul(stat.f_frsize) >> 20 >= megabytes)
}

const SCRATCH: &str = "etcd-http-";

/// In megabytes. etcd allocates two segments of its write-ahead log at once, 64 MB each, and the rest grows.
const ROOM_FOR_A_SERVER: u64 = 512;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scratch_directory_is_gone_when_dropped() {
        let scratch = Scratch::new(1).unwrap();
        let path = scratch.path().to_owned();
        fs::write(path.join("file"), "data").unwrap();
        assert!(path.is_dir());
        drop(scratch);
        assert!(!path.exists());
    }

    #[test]
    fn a_place_with_too_little_room_is_not_chosen() {
        assert!(has_room(&env::temp_dir(), 0));
        assert!(!has_room(&env::temp_dir(), u64::MAX >> 20));
        assert!(!has_room(Path::new("/nowhere"), 0));
        let elsewhere = Scratch::new(u64::MAX >> 20).unwrap();
        assert!(elsewhere.path().starts_with(env::temp_dir()));
    }
}
