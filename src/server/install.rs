//! Where an etcd binary comes from.

use std::{
    env,
    ffi::OsString,
    fmt,
    path::{Path, PathBuf},
    process::Command,
    sync::{Mutex, PoisonError},
};

use super::{
    error::{Error, Failure, Result, in_one_line},
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
    /// Where it was found.
    pub source: Source,
}

impl Installed {
    /// The etcd at `path`, and its `etcdctl`.
    ///
    /// # Errors
    ///
    /// [`Error::Unusable`] if there is none, or if it is none.
    pub fn at(path: impl AsRef<Path>) -> Result<Self> {
        describe(path.as_ref(), Source::Path)
    }
}

/// What [`Install::run`] finds, asked once.
pub(super) fn installed() -> Result<Installed> {
    static FOUND: Mutex<Option<Installed>> = Mutex::new(None);
    let mut found = FOUND.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(installed) = &*found {
        return Ok(installed.clone());
    }
    Ok(found.insert(Install::default().run()?).clone())
}

/// A place to get etcd from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Source {
    /// The binary the environment variable `ETCD_BIN` names.
    Env,
    /// The first `etcd` on `PATH`.
    Path,
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Env => "ETCD_BIN",
            Self::Path => "PATH",
        })
    }
}

/// How to find an etcd, or get one.
#[derive(Clone, Debug, Default)]
pub struct Install;

impl Install {
    /// Finds.
    pub fn run(&self) -> Result<Installed> {
        if let Some(bin) = env::var_os("ETCD_BIN") {
            return describe(Path::new(&bin), Source::Env);
        }
        let path = env::var_os("PATH").unwrap_or_else(OsString::new);
        for dir in env::split_paths(&path) {
            if dir.join("etcd").is_file() {
                return describe(&dir.join("etcd"), Source::Path);
            }
        }
        Err(Error::NotInstalled {
            failures: vec![Failure::new(
                Source::Path,
                in_one_line(&Error::Invalid {
                    reason: "none".into(),
                }),
            )],
        })
    }
}

/// Asks the binary at `path` which etcd it is.
pub(super) fn describe(path: &Path, source: Source) -> Result<Installed> {
    let unusable = |reason: String| Error::Unusable {
        path: path.to_owned(),
        reason,
    };
    let etcd = path
        .canonicalize()
        .map_err(|error| unusable(error.to_string()))?;
    let mut command = Command::new(&etcd);
    command
        .arg("--version")
        .env_clear()
        .envs(unsupported_arch());
    let output = command
        .output()
        .map_err(|error| unusable(error.to_string()))?;
    let Some(version) = version::reported(&String::from_utf8_lossy(&output.stdout)) else {
        return Err(unusable(
            "`--version` does not answer as etcd does".to_owned(),
        ));
    };
    let etcdctl = etcd.with_file_name("etcdctl");
    Ok(Installed {
        etcdctl: etcdctl.is_file().then_some(etcdctl),
        etcd,
        version,
        source,
    })
}

/// etcd 3.4 refuses to run on anything but amd64 unless it is told that this is meant.
pub(super) fn unsupported_arch() -> Option<(&'static str, &'static str)> {
    (env::consts::ARCH != "x86_64").then(|| ("ETCD_UNSUPPORTED_ARCH", go_arch()))
}

pub(super) fn go_arch() -> &'static str {
    match env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        "x86" => "386",
        "powerpc64" => "ppc64le",
        other => other,
    }
}
