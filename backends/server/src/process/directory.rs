//! The directory of a server.

use std::{
    fs::DirBuilder,
    os::unix::fs::DirBuilderExt,
    path::{Path, PathBuf},
};

use crate::{
    error::{Context, Result},
    temp_dir::TempDir,
};

/// The data directory of a server, and its log file.
#[derive(Debug)]
pub(crate) struct ServerDirectory {
    data_dir: PathBuf,
    log: PathBuf,
    temporary: Option<TempDir>,
}

impl ServerDirectory {
    /// A new directory that is removed when dropped.
    pub(crate) fn temporary() -> Result<Self> {
        let temporary = TempDir::new(ROOM_FOR_A_SERVER)?;
        Ok(Self {
            data_dir: temporary.path().join("data"),
            log: temporary.path().join("etcd.log"),
            temporary: Some(temporary),
        })
    }

    /// A directory that is not removed when dropped. The log is beside it, with `.log` appended to its name.
    pub(crate) fn persistent(data_dir: &Path) -> Result<Self> {
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(data_dir)
            .context(|| format!("create the directory {}", data_dir.display()))?;
        let mut log = data_dir.as_os_str().to_owned();
        log.push(".log");
        Ok(Self {
            data_dir: data_dir.to_owned(),
            log: log.into(),
            temporary: None,
        })
    }

    pub(crate) fn data_dir(&self) -> &Path {
        &self.data_dir
    }

    pub(crate) fn log(&self) -> &Path {
        &self.log
    }

    /// The directory to remove in the end, if it is temporary.
    pub(crate) fn temporary_path(&self) -> Option<&Path> {
        self.temporary.as_ref().map(TempDir::path)
    }
}

/// In megabytes. etcd preallocates two segments of its write-ahead log, 64 MB each; the rest is for growth.
const ROOM_FOR_A_SERVER: u64 = 512;
