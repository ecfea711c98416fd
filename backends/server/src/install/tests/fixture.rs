//! Installations in an environment of their own.

use std::{env, fs, os::unix::fs::PermissionsExt, path::PathBuf};

use super::{NEW, mirror::Mirror};
use crate::{
    install::{Environment, Install, version::Version},
    source::Source,
    temp_dir::TempDir,
};

/// A directory with its own `PATH` and cache.
pub(super) struct Fixture(TempDir);

impl Fixture {
    pub(super) fn new() -> Self {
        let directory = TempDir::within(&env::temp_dir(), "etcd-server-test-").unwrap();
        fs::create_dir(directory.path().join("path")).unwrap();
        Self(directory)
    }

    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    pub(super) fn program(&self, name: &str, body: &str) {
        fs::write(self.path(name), format!("#!/bin/sh\n{body}\n")).unwrap();
        fs::set_permissions(self.path(name), fs::Permissions::from_mode(0o755)).unwrap();
    }

    pub(super) fn install(&self) -> Install {
        let environment = Environment {
            path: self.path("path").into(),
            ..Environment::default()
        };
        Install {
            environment,
            ..Install::new()
        }
        .cache_dir(self.path("cache"))
    }

    pub(super) fn with_network(&self) -> Install {
        let mut install = self.install();
        install.environment.path = env::var_os("PATH").unwrap();
        install
    }

    /// An installation of the mirror's release, from the cache or the mirror.
    pub(super) fn release(&self, mirror: &Mirror) -> Install {
        let install = self.with_network().mirror(&mirror.url).version(NEW);
        install.sources([Source::Cache, Source::Release])
    }

    /// The error for this mirror's archive. Nothing of it may be left in the cache.
    pub(super) fn rejected(&self, mirror: &Mirror) -> String {
        let error = self.release(mirror).run().unwrap_err();
        let left: Vec<_> = fs::read_dir(self.path("cache"))
            .unwrap()
            .map(|entry| entry.unwrap().file_name())
            .collect();
        assert_eq!(left, ["lock"]);
        error.to_string()
    }
}

/// A script that prints this version as etcd does.
pub(super) fn prints(version: Version) -> String {
    format!("echo 'etcd Version: {version}'")
}
