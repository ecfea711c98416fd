//! The sources that an etcd binary can come from.

use std::fmt;

/// A source of etcd binaries.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Source {
    /// The binary that the environment variable `ETCD_BIN` names. If it cannot be used, that is an error, and no other
    /// source is tried.
    Env,
    /// The `etcd` on `PATH`.
    Path,
    /// A binary that [`Source::Debian`] or [`Source::Release`] downloaded before.
    Cache,
    /// The packages `etcd-server` and `etcd-client` of Debian or a derivative, downloaded and verified by `apt-get` and
    /// unpacked into the cache. Nothing is installed, and apt's own package lists are not modified.
    Debian,
    /// The release archive of the etcd project, for Linux. It is downloaded by `curl` or `wget`, which know the proxies and
    /// certificates of this machine, and verified against its SHA-256 digest.
    Release,
    /// A path that the caller passes to [`Installed::at`](crate::Installed::at) or
    /// [`ServerBuilder::binary`](crate::ServerBuilder::binary).
    Given,
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Env => "ETCD_BIN",
            Self::Path => "PATH",
            Self::Cache => "the cache",
            Self::Debian => "the Debian package",
            Self::Release => "the release archive",
            Self::Given => "a given path",
        })
    }
}

/// A source that had no usable etcd, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Failure {
    /// The source.
    pub source: Source,
    /// Why it has no usable etcd.
    pub reason: String,
}

impl Failure {
    pub(crate) fn new(source: Source, reason: impl Into<String>) -> Self {
        Self {
            source,
            reason: reason.into(),
        }
    }
}
