//! An etcd binary on this machine.

use std::{
    io,
    path::{self, Path, PathBuf},
    process::{Command, Output},
    thread,
    time::Duration,
};

use super::version::{self, Version};
use crate::{
    environment::{unsupported_arch, without_etcd_settings},
    error::{Error, Result},
    source::Source,
};

/// An etcd binary that was found or downloaded.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Installed {
    /// The server.
    pub etcd: PathBuf,
    /// The command-line client, if there is one in the same directory.
    pub etcdctl: Option<PathBuf>,
    /// The version that `etcd --version` reports.
    pub version: Version,
    /// The source it comes from.
    pub source: Source,
}

impl Installed {
    /// Inspects the etcd at `path`, which runs `etcd --version`.
    ///
    /// # Errors
    ///
    /// [`Error::Unusable`] if there is no etcd at this path, or if it is older than 3.4.
    pub fn at(path: impl AsRef<Path>) -> Result<Self> {
        inspect(path.as_ref(), Source::Given)
    }
}

/// Runs the binary at `path` to learn its version.
pub(crate) fn inspect(path: &Path, source: Source) -> Result<Installed> {
    let unusable = |reason: String| Error::Unusable {
        path: path.to_owned(),
        reason,
    };
    // Symbolic links are not resolved: some programs depend on the name they are called by.
    let etcd = path::absolute(path).map_err(|error| unusable(error.to_string()))?;
    let output = query_version(&etcd).map_err(|error| unusable(error.to_string()))?;
    let Some(version) = version::reported(&String::from_utf8_lossy(&output.stdout)) else {
        return Err(unusable(
            "the output of `--version` is not etcd's".to_owned(),
        ));
    };
    if version < OLDEST {
        return Err(unusable(format!(
            "it is etcd {version}; the oldest supported version is {OLDEST}"
        )));
    }
    let etcdctl = etcd.with_file_name("etcdctl");
    Ok(Installed {
        etcdctl: etcdctl.is_file().then_some(etcdctl),
        etcd,
        version,
        source,
    })
}

/// Runs `etcd --version`. A file that this process has just written is busy (ETXTBSY) while a child that another thread
/// forked meanwhile still has it open, until that child calls `exec`.
fn query_version(etcd: &Path) -> io::Result<Output> {
    let mut attempts = 1;
    loop {
        let mut command = Command::new(etcd);
        match without_etcd_settings(command.arg("--version"))
            .envs(unsupported_arch())
            .output()
        {
            Err(error) if error.kind() == io::ErrorKind::ExecutableFileBusy && attempts < 50 => {
                attempts += 1;
                thread::sleep(Duration::from_millis(20));
            }
            result => return result,
        }
    }
}

/// Fails if the etcd has another version.
pub(crate) fn require(installed: &Installed, version: Version) -> Result<()> {
    if installed.version == version {
        return Ok(());
    }
    let reason = format!(
        "it is etcd {}; version {version} is required",
        installed.version
    );
    Err(Error::Unusable {
        path: installed.etcd.clone(),
        reason,
    })
}

const OLDEST: Version = Version::new(3, 4, 0);
