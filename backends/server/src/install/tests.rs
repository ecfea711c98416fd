use std::{fs, os::unix::fs::PermissionsExt, thread};

use self::mirror::{Mirror, archive, archive_name, digest, script};
use super::*;
use crate::temp_dir::TempDir;

mod mirror;

const NEW: Version = Version::new(3, 5, 99);

#[test]
fn an_etcd_bin_that_is_not_an_etcd_is_an_error_and_nothing_else_is_tried() {
    let fixture = Fixture::new();
    fixture.program("path/etcd", &prints(NEW));
    fixture.program("true", "exit 0");
    for (name, said) in [("missing", "No such file"), ("true", "is not etcd's")] {
        let mut install = fixture.install();
        install.environment.etcd_bin = Some(fixture.path(name).into());
        let error = install.run().unwrap_err();
        assert!(
            matches!(&error, Error::Unusable { path, .. } if path.ends_with(name)),
            "{error}"
        );
        assert!(error.to_string().contains(said), "{error}");
    }
}

#[test]
fn an_etcd_on_the_path_is_found_with_its_etcdctl() {
    let fixture = Fixture::new();
    fixture.program("path/etcd", &prints(NEW));
    fixture.program("path/etcdctl", "exit 0");
    let found = fixture.install().run().unwrap();
    assert_eq!(
        (found.etcd, found.etcdctl),
        (
            fixture.path("path/etcd"),
            Some(fixture.path("path/etcdctl"))
        )
    );
    assert_eq!((found.version, found.source), (NEW, Source::Path));
}

#[test]
fn an_etcd_of_another_version_is_rejected() {
    let fixture = Fixture::new();
    fixture.program("path/etcd", &prints(Version::new(3, 4, 23)));
    let install = fixture.install().version(NEW).sources([Source::Path]);
    assert!(
        install
            .run()
            .unwrap_err()
            .to_string()
            .contains("it is etcd 3.4.23; version 3.5.99 is required")
    );
    fixture.program("path/etcd", &prints(Version::new(3, 3, 27)));
    let error = fixture.install().sources([Source::Path]).run().unwrap_err();
    assert!(
        error
            .to_string()
            .contains("the oldest supported version is 3.4.0"),
        "{error}"
    );
}

#[test]
fn the_error_says_why_each_source_failed() {
    let fixture = Fixture::new();
    let error = fixture.install().run().unwrap_err();
    let Error::NotInstalled { failures } = &error else {
        panic!("{error}")
    };
    let sources: Vec<_> = failures.iter().map(|failure| failure.source).collect();
    assert_eq!(
        sources,
        [
            Source::Env,
            Source::Path,
            Source::Cache,
            Source::Debian,
            Source::Release
        ]
    );
    let text = error.to_string();
    for part in [
        "ETCD_BIN: not set",
        "PATH: has no etcd",
        "no matching entry",
        "apt-get is not installed",
        "curl or wget",
    ] {
        assert!(text.contains(part), "{part:?} is missing in {text}");
    }
}

#[test]
fn a_release_is_downloaded_once_and_then_found_in_the_cache() {
    let fixture = Fixture::new();
    let mirror = Mirror::of(&archive(&[
        ("etcd", &script(NEW)),
        ("etcdctl", b"#!/bin/sh\n"),
    ]));
    let install = fixture.with_network().mirror(&mirror.url).version(NEW);
    let fetched = install
        .clone()
        .sources([Source::Cache, Source::Release])
        .run()
        .unwrap();
    assert_eq!((fetched.version, fetched.source), (NEW, Source::Release));
    assert!(fetched.etcdctl.is_some() && fetched.etcd.starts_with(fixture.path("cache")));
    let found = install
        .clone()
        .sources([Source::Cache, Source::Release])
        .run()
        .unwrap();
    assert_eq!((&found.etcd, found.source), (&fetched.etcd, Source::Cache));
    assert_eq!(
        mirror.hits(),
        ["SHA256SUMS".to_owned(), archive_name()],
        "the second call downloaded nothing"
    );
    assert!(
        install.sha256("00").sources([Source::Cache]).run().is_err(),
        "another digest is required"
    );
}

#[test]
fn a_release_can_be_downloaded_by_wget() {
    let fixture = Fixture::new();
    let bytes = archive(&[("etcd", &script(NEW))]);
    fs::write(fixture.path("archive"), &bytes).unwrap();
    let copy = format!(
        "while [ \"$1\" != -O ]; do shift; done; /bin/cp {} \"$2\"",
        fixture.path("archive").display()
    );
    fixture.program("path/wget", &copy);
    let install = fixture
        .install()
        .version(NEW)
        .mirror("https://mirror.invalid")
        .sha256(digest(&bytes));
    assert_eq!(
        install.sources([Source::Release]).run().unwrap().version,
        NEW
    );
}

#[test]
fn an_archive_with_another_digest_than_published_is_rejected() {
    let fixture = Fixture::new();
    let mirror = Mirror::of(&archive(&[("etcd", &script(NEW))]));
    mirror.replace(
        "SHA256SUMS",
        format!("{}  {}\n", "0".repeat(64), archive_name()).as_bytes(),
    );
    let error = fixture.rejected(&mirror);
    assert!(error.contains("expected 0000"), "{error}");
}

#[test]
fn an_archive_truncated_on_the_way_is_rejected() {
    let fixture = Fixture::new();
    let mirror = Mirror::of(&archive(&[("etcd", &script(NEW))]));
    mirror.truncate();
    let error = fixture.rejected(&mirror);
    assert!(
        error.contains("curl failed") || error.contains("; expected "),
        "{error}"
    );
}

#[test]
fn an_archive_that_was_published_truncated_is_rejected() {
    let fixture = Fixture::new();
    let whole = archive(&[("etcd", &script(NEW))]);
    let error = fixture.rejected(&Mirror::of(&whole[..whole.len() / 2]));
    assert!(error.contains("cannot unpack"), "{error}");
}

#[test]
fn a_mirror_without_the_version_is_an_error() {
    let fixture = Fixture::new();
    let mirror = Mirror::of(&archive(&[("etcd", &script(NEW))]));
    mirror.clear();
    let error = fixture.rejected(&mirror);
    assert!(
        error.contains("SHA256SUMS") && error.contains("404"),
        "{error}"
    );
}

#[test]
fn an_archive_with_an_unsafe_path_is_rejected() {
    let fixture = Fixture::new();
    for evil in ["../../evil/etcd", "/tmp/etcd", "etcd-v3.5.99/../../etcd"] {
        let bytes = archive(&[("etcd", &script(NEW)), (evil, b"evil")]);
        let error = fixture.rejected(&Mirror::of(&bytes));
        assert!(error.contains("unsafe path"), "{evil}: {error}");
    }
}

#[test]
fn an_archive_without_an_etcd_is_rejected() {
    let fixture = Fixture::new();
    let error = fixture.rejected(&Mirror::of(&archive(&[
        ("etcdctl", b"x"),
        ("elsewhere/bin/etcd", b"x"),
    ])));
    assert!(
        error.contains("the archive does not contain etcd"),
        "{error}"
    );
}

#[test]
fn concurrent_installations_download_one_archive() {
    let fixture = Fixture::new();
    let mirror = Mirror::of(&archive(&[("etcd", &script(NEW))]));
    let install = fixture
        .with_network()
        .mirror(&mirror.url)
        .version(NEW)
        .sources([Source::Cache, Source::Release]);
    thread::scope(|scope| {
        let calls: Vec<_> = (0..4)
            .map(|_| scope.spawn(|| install.run().unwrap()))
            .collect();
        let found: Vec<_> = calls
            .into_iter()
            .map(|call| call.join().unwrap().etcd)
            .collect();
        assert!(found.iter().all(|path| *path == found[0]));
    });
    assert_eq!(mirror.hits().len(), 2);
}

#[test]
fn the_remains_of_a_killed_installation_are_removed() {
    let fixture = Fixture::new();
    fs::create_dir_all(fixture.path("cache/etcd-http-1-0")).unwrap();
    fs::create_dir_all(fixture.path(&format!("cache/release-{NEW}-{}", "0".repeat(64)))).unwrap();
    let mirror = Mirror::of(&archive(&[("etcd", &script(NEW))]));
    let install = fixture.with_network().mirror(&mirror.url).version(NEW);
    assert_eq!(
        install
            .sources([Source::Cache, Source::Release])
            .run()
            .unwrap()
            .source,
        Source::Release
    );
    assert!(!fixture.path("cache/etcd-http-1-0").exists());
}

#[test]
fn the_debian_package_is_unpacked_after_an_update_of_the_lists() {
    let fixture = Fixture::new();
    // Replaces apt on a machine without package lists: there is no package before an update of the crate's own lists.
    fixture.program(
        "path/apt-get",
        r#"for arg; do case $arg in
             Dir::State::Lists=*) lists=${arg#*=} ;;
             update) : >"$lists/updated"; exit ;;
             etcd-*) package=$arg ;;
           esac; done
           [ -e "$lists/updated" ] && : >"${package}_3.5.99-1_amd64.deb""#,
    );
    fixture.program("etcd", &prints(NEW));
    let unpack = format!(
        "/bin/mkdir -p \"$3/usr/bin\" && /bin/cp {} \"$3/usr/bin/etcd\"",
        fixture.path("etcd").display()
    );
    fixture.program("path/dpkg-deb", &unpack);
    let install = fixture.install().sources([Source::Cache, Source::Debian]);
    let fetched = install.run().unwrap();
    assert_eq!((fetched.version, fetched.source), (NEW, Source::Debian));
    assert_eq!(fetched.etcd, fixture.path("cache/debian-3.5.99/etcd"));
    assert_eq!(install.run().unwrap().source, Source::Cache);
}

/// A directory with its own `PATH` and cache.
struct Fixture(TempDir);

impl Fixture {
    fn new() -> Self {
        let directory = TempDir::within(&env::temp_dir()).unwrap();
        fs::create_dir(directory.path().join("path")).unwrap();
        Self(directory)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn program(&self, name: &str, body: &str) {
        fs::write(self.path(name), format!("#!/bin/sh\n{body}\n")).unwrap();
        fs::set_permissions(self.path(name), fs::Permissions::from_mode(0o755)).unwrap();
    }

    fn install(&self) -> Install {
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

    fn with_network(&self) -> Install {
        let mut install = self.install();
        install.environment.path = env::var_os("PATH").unwrap();
        install
    }

    /// The error for this mirror's archive. Nothing of it may be left in the cache.
    fn rejected(&self, mirror: &Mirror) -> String {
        let install = self.with_network().mirror(&mirror.url).version(NEW);
        let error = install
            .sources([Source::Cache, Source::Release])
            .run()
            .unwrap_err();
        let left: Vec<_> = fs::read_dir(self.path("cache"))
            .unwrap()
            .map(|entry| entry.unwrap().file_name())
            .collect();
        assert_eq!(left, ["lock"]);
        error.to_string()
    }
}

fn prints(version: Version) -> String {
    format!("echo 'etcd Version: {version}'")
}
