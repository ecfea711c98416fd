//! Where an etcd binary comes from.

use std::{
    env,
    ffi::OsString,
    fmt,
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
};

use super::{
    archive::{self, Archive},
    cache::Cache,
    debian,
    error::{Error, Failure, Result, in_one_line},
    installed::{Installed, describe, require},
    version::Version,
};

/// How to find an etcd on this machine, or bring one to it, without root rights.
///
/// The sources are asked one after the other; [`Source`] describes them in the order they have by default.
///
/// ```
/// use etcd_http::server::{Install, Source};
///
/// // Nothing from the network: what is here must do.
/// match Install::new().sources([Source::Path, Source::Cache]).run() {
///     Ok(installed) => println!("etcd {} at {}", installed.version, installed.etcd.display()),
///     Err(error) => println!("{error}"),
/// }
/// ```
#[derive(Clone, Debug)]
#[must_use = "nothing is looked for before `run`"]
pub struct Install {
    version: Option<Version>,
    sha256: Option<String>,
    mirror: Option<String>,
    cache_dir: Option<PathBuf>,
    sources: Vec<Source>,
    surroundings: Surroundings,
}

/// A place to get etcd from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Source {
    /// The binary the environment variable `ETCD_BIN` names. If it cannot be used that is an error: no other source is
    /// asked in its place.
    Env,
    /// The `etcd` on `PATH`.
    Path,
    /// What [`Source::Debian`] or [`Source::Release`] brought before.
    Cache,
    /// The packages `etcd-server` and `etcd-client` of this Debian or its kin, fetched and checked by `apt-get` and
    /// unpacked in the cache. Nothing is installed, and apt's own lists are left as they are.
    Debian,
    /// The archive of the etcd project, for Linux: fetched by `curl` or `wget`, which know the proxies and certificates
    /// of this machine, and checked against its SHA-256 digest.
    Release,
    /// A path given by the caller, to [`Installed::at`] or [`ServerBuilder::binary`](super::ServerBuilder::binary).
    Given,
}

/// What of the environment matters here: read once, and made up in tests.
#[derive(Clone, Debug, Default)]
struct Surroundings {
    etcd_bin: Option<OsString>,
    mirror: Option<String>,
    path: OsString,
    cache_home: Option<PathBuf>,
}

impl Install {
    /// All sources, in their order; any version of etcd from 3.4 on.
    pub fn new() -> Self {
        Self {
            version: None,
            sha256: None,
            mirror: None,
            cache_dir: None,
            sources: vec![
                Source::Env,
                Source::Path,
                Source::Cache,
                Source::Debian,
                Source::Release,
            ],
            surroundings: Surroundings::of_this_process(),
        }
    }

    /// Takes this version and no other. By default any will do, and [`Source::Release`] brings 3.5.21.
    pub fn version(mut self, version: Version) -> Self {
        self.version = Some(version);
        self
    }

    /// The SHA-256 digest, in hex, the release archive must have, be it new or from the cache. By default it is the one
    /// known here (3.5.21 for amd64 and arm64), else the one in the mirror's `SHA256SUMS`.
    pub fn sha256(mut self, digest: impl Into<String>) -> Self {
        self.sha256 = Some(digest.into().to_ascii_lowercase());
        self
    }

    /// Where [`Source::Release`] finds `v3.5.21/etcd-v3.5.21-linux-amd64.tar.gz` and `v3.5.21/SHA256SUMS`. By default it is
    /// what the environment variable `ETCD_MIRROR` says, else the project's page of releases.
    pub fn mirror(mut self, url: impl Into<String>) -> Self {
        self.mirror = Some(url.into());
        self
    }

    /// Where binaries are kept: `etcd-http` in `$XDG_CACHE_HOME` or `~/.cache` by default.
    pub fn cache_dir(mut self, path: impl Into<PathBuf>) -> Self {
        self.cache_dir = Some(path.into());
        self
    }

    /// Asks these sources and no other, in this order.
    pub fn sources(mut self, sources: impl IntoIterator<Item = Source>) -> Self {
        self.sources = sources.into_iter().collect();
        self
    }

    /// Finds an etcd, or gets one. It blocks: a download takes as long as it takes.
    ///
    /// Two processes may do this at once: the second waits, and finds what the first one brought.
    ///
    /// # Errors
    ///
    /// [`Error::Unusable`] if `ETCD_BIN` names something that is no etcd, or one of another version;
    /// [`Error::NotInstalled`] if no source had one.
    pub fn run(&self) -> Result<Installed> {
        let mut failures = Vec::new();
        for &source in &self.sources {
            let found = match source {
                Source::Env => match &self.surroundings.etcd_bin {
                    Some(path) => return self.check(Path::new(path), source),
                    None => Err(Error::Invalid {
                        reason: "not set".to_owned(),
                    }),
                },
                Source::Path => self.on_path(),
                Source::Cache => self
                    .cache()
                    .and_then(|cache| cache.find(self.version, self.sha256.as_deref())),
                Source::Debian => self.bring_debian(),
                Source::Release => self.bring_release(),
                Source::Given => Err(Error::Invalid {
                    reason: "`Installed::at` takes the path".to_owned(),
                }),
            };
            match found {
                Ok(installed) => return Ok(installed),
                Err(error) => failures.push(Failure::new(source, in_one_line(&error))),
            }
        }
        Err(Error::NotInstalled { failures })
    }

    fn on_path(&self) -> Result<Installed> {
        let candidates =
            env::split_paths(&self.surroundings.path).map(|directory| directory.join("etcd"));
        match candidates.into_iter().find(|path| path.is_file()) {
            Some(path) => self.check(&path, Source::Path),
            None => Err(Error::Invalid {
                reason: "has no etcd".to_owned(),
            }),
        }
    }

    fn bring_debian(&self) -> Result<Installed> {
        self.bring(Source::Debian, |staging| {
            debian::fetch(staging, &self.surroundings.path)?;
            let installed = self.check(&staging.join("etcd"), Source::Debian)?;
            Ok(format!("debian-{}", installed.version))
        })
    }

    fn bring_release(&self) -> Result<Installed> {
        let mirror = self
            .mirror
            .as_deref()
            .or(self.surroundings.mirror.as_deref())
            .unwrap_or(archive::RELEASES);
        let version = self.version.unwrap_or(archive::VERSION);
        let archive = Archive::new(mirror, version, self.sha256.as_deref())?;
        self.bring(Source::Release, |staging| {
            let digest = archive.fetch(staging, &self.surroundings.path)?;
            require(&describe(&staging.join("etcd"), Source::Release)?, version)?;
            Ok(format!("release-{version}-{digest}"))
        })
    }

    /// Has `fetch` make an entry of the cache, unless another process did while we waited for it.
    fn bring(
        &self,
        source: Source,
        fetch: impl FnOnce(&Path) -> Result<String>,
    ) -> Result<Installed> {
        let cache = self.cache()?;
        let held = cache.lock()?;
        if self.sources.contains(&Source::Cache)
            && let Ok(installed) = cache.find(self.version, self.sha256.as_deref())
        {
            return Ok(installed);
        }
        held.put(source, fetch)
    }

    fn check(&self, path: &Path, source: Source) -> Result<Installed> {
        let installed = describe(path, source)?;
        if let Some(version) = self.version {
            require(&installed, version)?;
        }
        Ok(installed)
    }

    fn cache(&self) -> Result<Cache> {
        let default = || {
            self.surroundings
                .cache_home
                .as_ref()
                .map(|home| home.join("etcd-http"))
        };
        self.cache_dir.clone().or_else(default).map(Cache::new).ok_or_else(|| Error::Invalid {
            reason: "there is no cache: neither XDG_CACHE_HOME nor HOME is set, nor was a directory given".to_owned(),
        })
    }
}

impl Default for Install {
    fn default() -> Self {
        Self::new()
    }
}

impl Surroundings {
    fn of_this_process() -> Self {
        let directory = |name| {
            env::var_os(name)
                .filter(|value| !value.is_empty())
                .map(PathBuf::from)
        };
        let home = || directory("HOME").map(|home| home.join(".cache"));
        Self {
            etcd_bin: env::var_os("ETCD_BIN").filter(|value| !value.is_empty()),
            mirror: env::var("ETCD_MIRROR")
                .ok()
                .filter(|value| !value.is_empty()),
            path: env::var_os("PATH").unwrap_or_default(),
            cache_home: directory("XDG_CACHE_HOME").or_else(home),
        }
    }
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

/// What a plain [`Install`] finds, looked for once in this process.
pub(super) fn installed() -> Result<Installed> {
    static FOUND: Mutex<Option<Installed>> = Mutex::new(None);
    let mut found = FOUND.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(installed) = &*found {
        return Ok(installed.clone());
    }
    Ok(found.insert(Install::new().run()?).clone())
}

#[cfg(test)]
mod tests;
