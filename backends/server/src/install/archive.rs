//! The release archive of the etcd project.

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
    tools::{is_installed, run, tool},
    version::Version,
};
use crate::{
    environment::go_arch,
    error::{Context, Result, invalid},
};

/// Where the project publishes its archives.
pub(crate) const RELEASES: &str = "https://github.com/etcd-io/etcd/releases/download";

/// The version that is downloaded by default: a release that still has the v2 API.
pub(crate) const VERSION: Version = Version::new(3, 5, 21);

/// An archive to download.
pub(crate) struct Archive {
    directory: String,
    name: String,
    sha256: Option<String>,
}

impl Archive {
    pub(crate) fn new(mirror: &str, version: Version, sha256: Option<&str>) -> Result<Self> {
        if env::consts::OS != "linux" {
            return Err(invalid(format!(
                "release archives are supported for linux, not for {}",
                env::consts::OS
            )));
        }
        let sha256 = sha256
            .or_else(|| known_digest(version, go_arch()))
            .map(str::to_owned);
        if sha256.is_none() && !is_trustworthy(mirror) {
            return Err(invalid(format!(
                "{mirror} is not https: set the expected digest with `sha256`"
            )));
        }
        Ok(Self {
            directory: format!("{}/v{version}", mirror.trim_end_matches('/')),
            name: format!("etcd-v{version}-linux-{}.tar.gz", go_arch()),
            sha256,
        })
    }

    /// Puts `etcd` and `etcdctl` into `staging`, and returns the digest of the archive.
    pub(crate) fn fetch(&self, staging: &Path, path: &OsStr) -> Result<String> {
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
                "{url} has the SHA-256 digest {actual}; expected {expected}"
            )));
        }
        unpack(&archive, staging)?;
        fs::remove_file(&archive).context(|| format!("remove {}", archive.display()))?;
        Ok(actual)
    }

    fn published_digest(&self, staging: &Path, path: &OsStr) -> Result<String> {
        let file = staging.join("SHA256SUMS");
        let url = format!("{}/SHA256SUMS", self.directory);
        download(&url, &file, path)?;
        let sums = fs::read_to_string(&file).context(|| format!("read {}", file.display()))?;
        fs::remove_file(&file).context(|| format!("remove {}", file.display()))?;
        digest_in(&sums, &self.name)
            .ok_or_else(|| invalid(format!("{url} has no digest of {}", self.name)))
    }
}

/// Digests that several independent projects have pinned.
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

/// Whether a digest from this mirror can be trusted: the connection is authenticated, or does not leave this machine.
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
        // A redirect must not downgrade from https.
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
            "downloading {url} requires curl or wget; neither is installed"
        )));
    };
    run(&mut command).map_err(|error| invalid(format!("{url}: {error}")))
}

fn digest_of(file: &Path) -> Result<String> {
    let context = || format!("read {}", file.display());
    let mut reader = File::open(file).context(context)?;
    let mut hasher = Sha256::new();
    let mut buffer = vec![0; 64 * 1024];
    loop {
        match reader.read(&mut buffer).context(context)? {
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

/// Extracts the two programs. No name in the archive becomes a path here, and an archive with an entry that leads outside
/// of it is rejected.
fn unpack(archive: &Path, to: &Path) -> Result<()> {
    let context = || format!("unpack {}", archive.display());
    let file = File::open(archive).context(context)?;
    let mut tar = tar::Archive::new(GzDecoder::new(BufReader::new(file)));
    let mut found = false;
    for entry in tar.entries().context(context)? {
        let mut entry = entry.context(context)?;
        let path = entry.path().context(context)?.into_owned();
        if path
            .components()
            .any(|part| !matches!(part, Component::Normal(_) | Component::CurDir))
        {
            return Err(invalid(format!(
                "the archive has an entry with an unsafe path: {}",
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
                .context(context)?;
            io::copy(&mut entry, &mut program).context(context)?;
            found |= name == "etcd";
        }
    }
    if found {
        Ok(())
    } else {
        Err(invalid("the archive does not contain etcd"))
    }
}

const PROGRAMS: [&str; 2] = ["etcd", "etcdctl"];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_digest_is_that_of_the_named_file() {
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
    fn a_digest_from_a_plain_http_mirror_is_not_trusted() {
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
