//! Debian's packages of etcd, unpacked without being installed.

use std::{
    ffi::{OsStr, OsString},
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use super::tools::{run, tool};
use crate::error::{Context, Result, invalid};

/// Puts `etcd` into `staging`, and `etcdctl` if its package is available. apt verifies the signatures.
pub(crate) fn fetch(staging: &Path, path: &OsStr) -> Result<()> {
    let work = staging.join("debian");
    for directory in ["debs", "lists/partial", "cache/archives/partial"] {
        fs::create_dir_all(work.join(directory))
            .context(|| format!("create {}", work.join(directory).display()))?;
    }
    let apt = Apt { work: &work, path };
    let mut lists = Lists::System;
    if apt.download("etcd-server", lists).is_err() {
        // A fresh machine or container has no package lists yet, and old lists name packages that the mirror has removed.
        lists = Lists::Own;
        run(apt.command(lists).arg("update"))?;
        apt.download("etcd-server", lists)?;
    }
    // etcdctl is optional.
    let _ = apt.download("etcd-client", lists);
    for package in packages(&work.join("debs"))? {
        run(tool("dpkg-deb", path)
            .arg("-x")
            .arg(package)
            .arg(work.join("root")))?;
    }
    for (name, is_required) in [("etcd", true), ("etcdctl", false)] {
        let unpacked = work.join("root/usr/bin").join(name);
        if unpacked.is_file() {
            fs::rename(&unpacked, staging.join(name))
                .context(|| format!("move {}", unpacked.display()))?;
        } else if is_required {
            return Err(invalid(
                "the package etcd-server does not contain /usr/bin/etcd",
            ));
        }
    }
    fs::remove_dir_all(&work).context(|| format!("remove {}", work.display()))
}

/// apt-get with directories of its own.
struct Apt<'a> {
    work: &'a Path,
    path: &'a OsStr,
}

/// Which package lists apt reads.
#[derive(Clone, Copy)]
enum Lists {
    System,
    Own,
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
        // As root, apt would otherwise download as another user, who cannot write here.
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
        if matches!(lists, Lists::Own) {
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
    let context = || format!("list {}", directory.display());
    let entries = fs::read_dir(directory).context(context)?;
    let paths = entries
        .map(|entry| entry.map(|entry| entry.path()).context(context))
        .collect::<Result<Vec<_>>>()?;
    Ok(paths
        .into_iter()
        .filter(|path| path.extension() == Some(OsStr::new("deb")))
        .collect())
}
