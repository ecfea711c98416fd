//! An etcd binary, and which one it is.

use std::{
    env, io,
    path::{self, Path, PathBuf},
    process::{Command, Output},
    thread,
    time::Duration,
};

use super::{
    error::{Error, Result},
    install::Source,
    process::without_settings,
    version::{self, Version},
};

/// An etcd binary that was found or put in place.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Installed {
    /// The server.
    pub etcd: PathBuf,
    /// The command line client, if there is one beside the server.
    pub etcdctl: Option<PathBuf>,
    /// What `etcd --version` says.
    pub version: Version,
    /// Where it comes from.
    pub source: Source,
}

impl Installed {
    /// The etcd at `path`, and its `etcdctl`.
    ///
    /// # Errors
    ///
    /// [`Error::Unusable`] if there is none, or it is older than 3.4.
    pub fn at(path: impl AsRef<Path>) -> Result<Self> {
        describe(path.as_ref(), Source::Given)
    }
}

/// Asks the binary at `path` which etcd it is.
pub(super) fn describe(path: &Path, source: Source) -> Result<Installed> {
    let unusable = |reason: String| Error::Unusable {
        path: path.to_owned(),
        reason,
    };
    // Not the path behind the links: there are programs that go by the name they are called.
    let etcd = path::absolute(path).map_err(|error| unusable(error.to_string()))?;
    let output = ask_version(&etcd).map_err(|error| unusable(error.to_string()))?;
    let Some(version) = version::reported(&String::from_utf8_lossy(&output.stdout)) else {
        return Err(unusable(
            "`--version` does not answer as etcd does".to_owned(),
        ));
    };
    if version < OLDEST {
        return Err(unusable(format!(
            "it is etcd {version}, and {OLDEST} is the oldest that will do"
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

/// Runs `etcd --version`. A file that was written a moment ago counts as busy while another thread's new process still has
/// it open, on its way to becoming another program.
fn ask_version(etcd: &Path) -> io::Result<Output> {
    let mut attempts = 1;
    loop {
        let mut command = Command::new(etcd);
        match without_settings(command.arg("--version"))
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

/// Refuses an etcd of another version.
pub(super) fn require(installed: &Installed, version: Version) -> Result<()> {
    if installed.version == version {
        return Ok(());
    }
    let reason = format!(
        "it is etcd {}, and {version} was asked for",
        installed.version
    );
    Err(Error::Unusable {
        path: installed.etcd.clone(),
        reason,
    })
}

/// etcd 3.4 runs on arm64 and others only if it is told that this is meant.
pub(super) fn unsupported_arch() -> Option<(&'static str, &'static str)> {
    (env::consts::ARCH != "x86_64").then(|| ("ETCD_UNSUPPORTED_ARCH", go_arch()))
}

/// This machine's architecture, as Go and the names of etcd's archives have it.
pub(super) fn go_arch() -> &'static str {
    match env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        "x86" => "386",
        "powerpc64" => "ppc64le",
        other => other,
    }
}

const OLDEST: Version = Version::new(3, 4, 0);
