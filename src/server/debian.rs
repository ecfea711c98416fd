//! etcd from Debian's packages, without installing them.

use std::{
    ffi::{OsStr, OsString},
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use super::{
    error::{Doing, Error, Result},
    tools::{run, tool},
};

/// Leaves `etcd` in `staging`, and `etcdctl` if its package can be had. apt checks the signatures.
pub(super) fn fetch(staging: &Path, path: &OsStr) -> Result<()> {
    let work = staging.join("debian");
    for directory in ["debs", "lists/partial", "cache/archives/partial"] {
        fs::create_dir_all(work.join(directory))
            .doing(|| format!("make {}", work.join(directory).display()))?;
    }
    let apt = Apt { work: &work, path };
    let mut lists = Lists::OfTheMachine;
    if apt.download("etcd-server", lists).is_err() {
        // A fresh machine or container has no lists yet, and an old one wants what the mirror no longer has.
        lists = Lists::Ours;
        run(apt.command(lists).arg("update"))?;
        apt.download("etcd-server", lists)?;
    }
    // The server is enough.
    let _ = apt.download("etcd-client", lists);
    for package in packages(&work.join("debs"))? {
        run(tool("dpkg-deb", path)
            .arg("-x")
            .arg(package)
            .arg(work.join("root")))?;
    }
    for (name, needed) in [("etcd", true), ("etcdctl", false)] {
        let unpacked = work.join("root/usr/bin").join(name);
        if unpacked.is_file() {
            fs::rename(&unpacked, staging.join(name))
                .doing(|| format!("move {}", unpacked.display()))?;
        } else if needed {
            return Err(Error::Invalid {
                reason: "the package etcd-server has no /usr/bin/etcd".to_owned(),
            });
        }
    }
    fs::remove_dir_all(&work).doing(|| format!("remove {}", work.display()))
}

struct Apt<'a> {
    work: &'a Path,
    path: &'a OsStr,
}

#[derive(Clone, Copy)]
enum Lists {
    OfTheMachine,
    Ours,
}

impl Apt<'_> {
    fn download(&self, package: &str, lists: Lists) -> Result<()> {
        run(self
            .command(lists)
            .args(["download", package])
            .current_dir(self.work.join("debs")))
    }

    fn command(&self, lists: Lists) -> Command {
        let mut command = tool("apt-get", self.path);
        // Root's apt would otherwise fetch as another user, who may not write here.
        command.args([
            "-qq",
            "-o",
            "APT::Sandbox::User=root",
            "-o",
            "Acquire::Retries=1",
        ]);
        command.args([
            "-o",
            "Acquire::http::Timeout=20",
            "-o",
            "Acquire::https::Timeout=20",
        ]);
        if matches!(lists, Lists::Ours) {
            command
                .args(["-o", "Debug::NoLocking=1", "-o"])
                .arg(setting("Dir::State::Lists=", self.work.join("lists")));
            command
                .arg("-o")
                .arg(setting("Dir::Cache=", self.work.join("cache")));
        }
        command
    }
}

fn setting(name: &str, path: PathBuf) -> OsString {
    let mut setting = OsString::from(name);
    setting.push(path);
    setting
}

fn packages(directory: &Path) -> Result<Vec<PathBuf>> {
    let doing = || format!("list {}", directory.display());
    let entries = fs::read_dir(directory).doing(doing)?;
    let paths = entries
        .map(|entry| entry.map(|entry| entry.path()).doing(doing))
        .collect::<Result<Vec<_>>>()?;
    Ok(paths
        .into_iter()
        .filter(|path| path.extension() == Some(OsStr::new("deb")))
        .collect())
}
