//! Finding an etcd binary on this machine, or downloading one.

mod archive;
mod cache;
mod debian;
pub(crate) mod installed;
mod staging;
mod tools;
pub(crate) mod version;

use std::{
    env,
    ffi::OsString,
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
};

use self::{
    archive::Archive,
    cache::Cache,
    installed::{Installed, inspect, require},
    version::Version,
};
use crate::{
    error::{Error, Result, in_one_line, invalid},
    source::{Failure, Source},
};

/// Finds an etcd on this machine, or downloads one, without root rights.
///
/// The sources are tried one after the other; [`Source`] lists them in their default order.
///
/// ```
/// use etcd_server::{Install, Source};
///
/// // Without network access: only what is on this machine.
/// match Install::new().sources([Source::Path, Source::Cache]).run() {
///     Ok(installed) => println!("etcd {} at {}", installed.version, installed.etcd.display()),
///     Err(error) => println!("{error}"),
/// }
/// ```
#[derive(Clone, Debug)]
#[must_use = "does nothing until `run` is called"]
pub struct Install {
    version: Option<Version>,
    sha256: Option<String>,
    mirror: Option<String>,
    cache_dir: Option<PathBuf>,
    sources: Vec<Source>,
    environment: Environment,
}

/// The environment variables that matter here. Tests replace them.
#[derive(Clone, Debug, Default)]
struct Environment {
    etcd_bin: Option<OsString>,
    mirror: Option<String>,
    path: OsString,
    cache_home: Option<PathBuf>,
}

impl Install {
    /// All sources in their default order, and any version of etcd from 3.4 on.
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
            environment: Environment::from_process(),
        }
    }

    /// Requires exactly this version. By default any version is accepted, and [`Source::Release`] downloads 3.5.21.
    pub fn version(mut self, version: Version) -> Self {
        self.version = Some(version);
        self
    }

    /// The SHA-256 digest, in hex, that the release archive must have, whether downloaded now or cached. Defaults to the one
    /// built into this crate (3.5.21 for amd64 and arm64), else to the one in the mirror's `SHA256SUMS`.
    ///
    /// If it is set, only [`Source::Cache`] and [`Source::Release`] can succeed. Binaries from other sources cannot be verified;
    /// setting `ETCD_BIN`, too, is an error.
    pub fn sha256(mut self, digest: impl Into<String>) -> Self {
        self.sha256 = Some(digest.into().to_ascii_lowercase());
        self
    }

    /// The URL below which [`Source::Release`] finds `v3.5.21/etcd-v3.5.21-linux-amd64.tar.gz` and `v3.5.21/SHA256SUMS`.
    /// Defaults to the environment variable `ETCD_MIRROR`, else to the project's releases on GitHub.
    pub fn mirror(mut self, url: impl Into<String>) -> Self {
        self.mirror = Some(url.into());
        self
    }

    /// The directory of the cached binaries. Defaults to `etcd-http` in `$XDG_CACHE_HOME` or `~/.cache`.
    pub fn cache_dir(mut self, path: impl Into<PathBuf>) -> Self {
        self.cache_dir = Some(path.into());
        self
    }

    /// Tries only these sources, in this order.
    pub fn sources(mut self, sources: impl IntoIterator<Item = Source>) -> Self {
        self.sources = sources.into_iter().collect();
        self
    }

    /// Finds an etcd, or downloads one. The call blocks until the download is complete.
    ///
    /// Concurrent calls, in one process or several, download once: the others wait, and find the first one's download in the
    /// cache.
    ///
    /// # Errors
    ///
    /// [`Error::Unusable`] if `ETCD_BIN` is set and does not name an etcd of the required version, or a digest is required;
    /// [`Error::NotInstalled`] if no source had one.
    pub fn run(&self) -> Result<Installed> {
        let mut failures = Vec::new();
        for &source in &self.sources {
            let found = match source {
                Source::Env => match &self.environment.etcd_bin {
                    Some(path) => return self.check(Path::new(path), source),
                    None => Err(invalid("not set")),
                },
                Source::Path => self.on_path(),
                Source::Cache => self
                    .cache()
                    .and_then(|cache| cache.find(self.version, self.sha256.as_deref())),
                Source::Debian => self.fetch_debian(),
                Source::Release => self.fetch_release(),
                Source::Given => Err(invalid("pass the path to `Installed::at`")),
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
            env::split_paths(&self.environment.path).map(|directory| directory.join("etcd"));
        match candidates.into_iter().find(|path| path.is_file()) {
            Some(path) => self.check(&path, Source::Path),
            None => Err(invalid("has no etcd")),
        }
    }

    fn fetch_debian(&self) -> Result<Installed> {
        if self.sha256.is_some() {
            return Err(invalid(UNVERIFIABLE));
        }
        self.fetch_into_cache(Source::Debian, |staging| {
            debian::fetch(staging, &self.environment.path)?;
            let installed = self.check(&staging.join("etcd"), Source::Debian)?;
            Ok(format!("debian-{}", installed.version))
        })
    }

    fn fetch_release(&self) -> Result<Installed> {
        let mirror = self
            .mirror
            .as_deref()
            .or(self.environment.mirror.as_deref())
            .unwrap_or(archive::RELEASES);
        let version = self.version.unwrap_or(archive::VERSION);
        let archive = Archive::new(mirror, version, self.sha256.as_deref())?;
        self.fetch_into_cache(Source::Release, |staging| {
            let digest = archive.fetch(staging, &self.environment.path)?;
            require(&inspect(&staging.join("etcd"), Source::Release)?, version)?;
            Ok(format!("release-{version}-{digest}"))
        })
    }

    /// Adds to the cache what `fetch` downloads, unless another process did while this one waited for the lock.
    fn fetch_into_cache(
        &self,
        source: Source,
        fetch: impl FnOnce(&Path) -> Result<String>,
    ) -> Result<Installed> {
        let cache = self.cache()?;
        let locked = cache.lock()?;
        if self.sources.contains(&Source::Cache)
            && let Ok(installed) = cache.find(self.version, self.sha256.as_deref())
        {
            return Ok(installed);
        }
        locked.put(source, fetch)
    }

    /// Inspects a binary that no digest was verified for.
    fn check(&self, path: &Path, source: Source) -> Result<Installed> {
        if self.sha256.is_some() {
            return Err(Error::Unusable {
                path: path.to_owned(),
                reason: UNVERIFIABLE.to_owned(),
            });
        }
        let installed = inspect(path, source)?;
        if let Some(version) = self.version {
            require(&installed, version)?;
        }
        Ok(installed)
    }

    fn cache(&self) -> Result<Cache> {
        let default = || {
            self.environment
                .cache_home
                .as_ref()
                .map(|home| home.join("etcd-http"))
        };
        let path = self.cache_dir.clone().or_else(default);
        path.map(Cache::new)
            .ok_or_else(|| invalid("no cache directory: set XDG_CACHE_HOME, HOME or `cache_dir`"))
    }
}

impl Default for Install {
    fn default() -> Self {
        Self::new()
    }
}

impl Environment {
    fn from_process() -> Self {
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

/// What [`Install`] finds with its defaults. A success is remembered for the life of the process.
pub(crate) fn find_installed() -> Result<Installed> {
    static FOUND: Mutex<Option<Installed>> = Mutex::new(None);
    let mut found = FOUND.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(installed) = &*found {
        return Ok(installed.clone());
    }
    Ok(found.insert(Install::new().run()?).clone())
}

const UNVERIFIABLE: &str = "it cannot be verified: `sha256` is the digest of a release archive, which only a download or the cache can match";

#[cfg(test)]
mod tests;
