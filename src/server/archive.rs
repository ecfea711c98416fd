//! etcd from the archive its project releases.

use std::{
    env,
    ffi::OsStr,
    fs::{self, File, OpenOptions},
    io::{self, BufReader, Read},
    net::IpAddr,
    os::unix::fs::OpenOptionsExt,
    path::{Component, Path},
};

use flate2::read::GzDecoder;
use sha2::{Digest, Sha256};

use super::{
    error::{Doing, Error, Result},
    installed::go_arch,
    tools::{is_installed, run, tool},
    version::Version,
};

/// The project's own place for its archives.
pub(super) const RELEASES: &str = "https://github.com/etcd-io/etcd/releases/download";

/// What is taken unless another version is asked for: of those that still have the v2 API.
pub(super) const VERSION: Version = Version::new(3, 5, 21);

/// An archive to be fetched.
pub(super) struct Archive {
    directory: String,
    name: String,
    sha256: Option<String>,
}

impl Archive {
    pub(super) fn new(mirror: &str, version: Version, sha256: Option<&str>) -> Result<Self> {
        if env::consts::OS != "linux" {
            return Err(invalid(format!(
                "there is no such archive for {}",
                env::consts::OS
            )));
        }
        let sha256 = sha256
            .or_else(|| known_digest(version, go_arch()))
            .map(str::to_owned);
        if sha256.is_none() && !is_trustworthy(mirror) {
            return Err(invalid(format!(
                "{mirror} is not https, so it takes a digest given by `sha256` to trust it"
            )));
        }
        Ok(Self {
            directory: format!("{}/v{version}", mirror.trim_end_matches('/')),
            name: format!("etcd-v{version}-linux-{}.tar.gz", go_arch()),
            sha256,
        })
    }

    /// Leaves `etcd` and `etcdctl` in `staging`, and answers the digest of the archive.
    pub(super) fn fetch(&self, staging: &Path, path: &OsStr) -> Result<String> {
        let expected = match &self.sha256 {
            Some(digest) => digest.clone(),
            None => self.published_digest(staging, path)?,
        };
        let archive = staging.join("archive.tar.gz");
        let url = format!("{}/{}", self.directory, self.name);
        download(&url, &archive, path)?;
        let actual = digest_of(&archive)?;
        if actual != expected {
            return Err(invalid(format!(
                "{url} has the SHA-256 digest {actual}, and {expected} was expected"
            )));
        }
        unpack(&archive, staging)?;
        fs::remove_file(&archive).doing(|| format!("remove {}", archive.display()))?;
        Ok(actual)
    }

    fn published_digest(&self, staging: &Path, path: &OsStr) -> Result<String> {
        let file = staging.join("SHA256SUMS");
        let url = format!("{}/SHA256SUMS", self.directory);
        download(&url, &file, path)?;
        let sums = fs::read_to_string(&file).doing(|| format!("read {}", file.display()))?;
        fs::remove_file(&file).doing(|| format!("remove {}", file.display()))?;
        digest_in(&sums, &self.name)
            .ok_or_else(|| invalid(format!("{url} has no digest of {}", self.name)))
    }
}

/// Digests that several projects, independent of each other, have pinned.
fn known_digest(version: Version, arch: &str) -> Option<&'static str> {
    match (version, arch) {
        (VERSION, "amd64") => {
            Some("adddda4b06718e68671ffabff2f8cee48488ba61ad82900e639d108f2148501c")
        }
        (VERSION, "arm64") => {
            Some("95bf6918623a097c0385b96f139d90248614485e781ec9bee4768dbb6c79c53f")
        }
        _ => None,
    }
}

/// Whether the digest a mirror publishes is worth something: nobody on the way can have changed it.
fn is_trustworthy(mirror: &str) -> bool {
    let Some(rest) = mirror.strip_prefix("http://") else {
        return mirror.starts_with("https://");
    };
    let authority = rest.split('/').next().unwrap_or_default();
    if authority.contains('@') {
        return false;
    }
    let host = authority
        .rsplit_once(':')
        .map_or(authority, |(host, _)| host);
    host == "localhost"
        || host
            .trim_matches(['[', ']'])
            .parse()
            .is_ok_and(|address: IpAddr| address.is_loopback())
}

fn download(url: &str, to: &Path, path: &OsStr) -> Result<()> {
    let mut command = if is_installed("curl", path) {
        let mut curl = tool("curl", path);
        // Nothing may lead from https to anything less.
        curl.args([
            "--proto",
            if url.starts_with("https:") {
                "=https"
            } else {
                "=http,https"
            },
        ]);
        curl.args([
            "-fsSL",
            "--connect-timeout",
            "20",
            "--speed-time",
            "30",
            "--speed-limit",
            "1024",
        ]);
        curl.arg("-o").arg(to).arg("--").arg(url);
        curl
    } else if is_installed("wget", path) {
        let mut wget = tool("wget", path);
        wget.args(["-nv", "--tries=2", "--timeout=30", "-O"])
            .arg(to)
            .arg("--")
            .arg(url);
        wget
    } else {
        return Err(invalid(format!(
            "it takes curl or wget to fetch {url}, and neither is installed"
        )));
    };
    run(&mut command).map_err(|error| invalid(format!("{url}: {error}")))
}

fn digest_of(file: &Path) -> Result<String> {
    let doing = || format!("read {}", file.display());
    let mut reader = File::open(file).doing(doing)?;
    let mut hasher = Sha256::new();
    let mut buffer = vec![0; 64 * 1024];
    loop {
        match reader.read(&mut buffer).doing(doing)? {
            0 => {
                return Ok(hasher
                    .finalize()
                    .iter()
                    .map(|byte| format!("{byte:02x}"))
                    .collect());
            }
            length => hasher.update(buffer.get(..length).unwrap_or_default()),
        }
    }
}

/// The digest of the file `name` in the output of `sha256sum`.
fn digest_in(sums: &str, name: &str) -> Option<String> {
    let mut lines = sums
        .lines()
        .filter_map(|line| line.split_once(char::is_whitespace));
    let (digest, _) = lines.find(|(_, file)| file.trim_start().trim_start_matches('*') == name)?;
    let is_digest = digest.len() == 64 && digest.bytes().all(|byte| byte.is_ascii_hexdigit());
    is_digest.then(|| digest.to_ascii_lowercase())
}

/// Takes the two programs from the archive. No name in it becomes a path here, so none can lead elsewhere; an archive
/// that tries to is not touched further.
fn unpack(archive: &Path, to: &Path) -> Result<()> {
    let doing = || format!("unpack {}", archive.display());
    let file = File::open(archive).doing(doing)?;
    let mut tar = tar::Archive::new(GzDecoder::new(BufReader::new(file)));
    let mut found = false;
    for entry in tar.entries().doing(doing)? {
        let mut entry = entry.doing(doing)?;
        let path = entry.path().doing(doing)?.into_owned();
        if path
            .components()
            .any(|part| !matches!(part, Component::Normal(_) | Component::CurDir))
        {
            return Err(invalid(format!(
                "the archive has an entry outside of itself: {}",
                path.display()
            )));
        }
        let Some(name) = PROGRAMS
            .into_iter()
            .find(|name| path.file_name() == Some(OsStr::new(name)))
        else {
            continue;
        };
        if entry.header().entry_type().is_file() && path.components().count() == 2 {
            let to = to.join(name);
            let mut program = OpenOptions::new()
                .write(true)
                .create_new(true)
                .mode(0o755)
                .open(&to)
                .doing(doing)?;
            io::copy(&mut entry, &mut program).doing(doing)?;
            found |= name == "etcd";
        }
    }
    if found {
        Ok(())
    } else {
        Err(invalid("the archive has no etcd".to_owned()))
    }
}

fn invalid(reason: String) -> Error {
    Error::Invalid { reason }
}

const PROGRAMS: [&str; 2] = ["etcd", "etcdctl"];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_digest_is_the_one_of_the_named_file() {
        let digest = "ab".repeat(32);
        let sums = format!("{}  etcd.zip\n{digest}  etcd.tar.gz\n", "00".repeat(32));
        assert_eq!(digest_in(&sums, "etcd.tar.gz"), Some(digest.clone()));
        assert_eq!(
            digest_in(&format!("{digest} *etcd.tar.gz"), "etcd.tar.gz"),
            Some(digest)
        );
        assert_eq!(digest_in(&sums, "tar.gz"), None);
        assert_eq!(digest_in("<html>  etcd.tar.gz", "etcd.tar.gz"), None);
    }

    #[test]
    fn a_digest_that_came_over_plain_http_counts_for_nothing() {
        for mirror in [
            "https://mirror.example/etcd",
            "http://127.0.0.1:8080",
            "http://localhost/x",
            "http://[::1]:1",
        ] {
            assert!(is_trustworthy(mirror), "{mirror}");
        }
        for mirror in [
            "http://mirror.example",
            "http://127.0.0.1.example",
            "ftp://127.0.0.1",
            "mirror",
        ] {
            assert!(!is_trustworthy(mirror), "{mirror}");
        }
        assert!(Archive::new("http://mirror.example", Version::new(3, 5, 0), None).is_err());
        assert!(Archive::new("http://mirror.example", Version::new(3, 5, 0), Some("00")).is_ok());
    }
}
