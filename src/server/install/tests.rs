use std::{fs, os::unix::fs::PermissionsExt, thread};

use self::mirror::{Mirror, archive, archive_name, digest, script};
use super::*;
use crate::server::directory::Scratch;

mod mirror;

const NEW: Version = Version::new(3, 5, 99);

#[test]
fn an_etcd_bin_that_is_no_etcd_is_an_error_and_nothing_else_is_tried() {
    let place = Place::new();
    place.program("path/etcd", &prints(NEW));
    place.program("true", "exit 0");
    for (name, said) in [
        ("missing", "No such file"),
        ("true", "does not answer as etcd does"),
    ] {
        let mut install = place.install();
        install.surroundings.etcd_bin = Some(place.path(name).into());
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
    let place = Place::new();
    place.program("path/etcd", &prints(NEW));
    place.program("path/etcdctl", "exit 0");
    let found = place.install().run().unwrap();
    assert_eq!(
        (found.etcd, found.etcdctl),
        (place.path("path/etcd"), Some(place.path("path/etcdctl")))
    );
    assert_eq!((found.version, found.source), (NEW, Source::Path));
}

#[test]
fn an_etcd_of_another_version_will_not_do() {
    let place = Place::new();
    place.program("path/etcd", &prints(Version::new(3, 4, 23)));
    let install = place.install().version(NEW).sources([Source::Path]);
    assert!(
        install
            .run()
            .unwrap_err()
            .to_string()
            .contains("it is etcd 3.4.23, and 3.5.99 was asked for")
    );
    place.program("path/etcd", &prints(Version::new(3, 3, 27)));
    let error = place.install().sources([Source::Path]).run().unwrap_err();
    assert!(
        error
            .to_string()
            .contains("3.4.0 is the oldest that will do"),
        "{error}"
    );
}

#[test]
fn what_every_source_answered_is_in_the_error() {
    let place = Place::new();
    let error = place.install().run().unwrap_err();
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
        "nothing that fits",
        "apt-get is not installed",
        "curl or wget",
    ] {
        assert!(text.contains(part), "{part:?} is missing in {text}");
    }
}

#[test]
fn a_release_is_fetched_once_and_then_found_in_the_cache() {
    let place = Place::new();
    let mirror = Mirror::of(&archive(&[
        ("etcd", &script(NEW)),
        ("etcdctl", b"#!/bin/sh\n"),
    ]));
    let install = place.with_network().mirror(&mirror.url).version(NEW);
    let fetched = install
        .clone()
        .sources([Source::Cache, Source::Release])
        .run()
        .unwrap();
    assert_eq!((fetched.version, fetched.source), (NEW, Source::Release));
    assert!(fetched.etcdctl.is_some() && fetched.etcd.starts_with(place.path("cache")));
    let found = install
        .clone()
        .sources([Source::Cache, Source::Release])
        .run()
        .unwrap();
    assert_eq!((&found.etcd, found.source), (&fetched.etcd, Source::Cache));
    assert_eq!(
        mirror.hits(),
        ["SHA256SUMS".to_owned(), archive_name()],
        "the second call fetched nothing"
    );
    assert!(
        install.sha256("00").sources([Source::Cache]).run().is_err(),
        "another digest was asked for"
    );
}

#[test]
fn a_release_can_be_fetched_by_wget_too() {
    let place = Place::new();
    let bytes = archive(&[("etcd", &script(NEW))]);
    fs::write(place.path("archive"), &bytes).unwrap();
    let copy = format!(
        "while [ \"$1\" != -O ]; do shift; done; /bin/cp {} \"$2\"",
        place.path("archive").display()
    );
    place.program("path/wget", &copy);
    let install = place
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
fn an_archive_that_is_not_what_was_published_is_refused() {
    let place = Place::new();
    let mirror = Mirror::of(&archive(&[("etcd", &script(NEW))]));
    mirror.replace(
        "SHA256SUMS",
        format!("{}  {}\n", "0".repeat(64), archive_name()).as_bytes(),
    );
    let error = place.refused(&mirror);
    assert!(
        error.contains("and 0000") && error.contains("was expected"),
        "{error}"
    );
}

#[test]
fn an_archive_cut_short_on_the_way_is_refused() {
    let place = Place::new();
    let mirror = Mirror::of(&archive(&[("etcd", &script(NEW))]));
    mirror.cut();
    let error = place.refused(&mirror);
    assert!(
        error.contains("curl failed") || error.contains("was expected"),
        "{error}"
    );
}

#[test]
fn an_archive_that_was_cut_short_before_it_was_published_is_refused() {
    let place = Place::new();
    let whole = archive(&[("etcd", &script(NEW))]);
    let error = place.refused(&Mirror::of(&whole[..whole.len() / 2]));
    assert!(error.contains("cannot unpack"), "{error}");
}

#[test]
fn a_mirror_without_the_version_is_refused() {
    let place = Place::new();
    let mirror = Mirror::of(&archive(&[("etcd", &script(NEW))]));
    mirror.clear();
    let error = place.refused(&mirror);
    assert!(
        error.contains("SHA256SUMS") && error.contains("404"),
        "{error}"
    );
}

#[test]
fn an_archive_that_leads_elsewhere_is_refused() {
    let place = Place::new();
    for evil in ["../../evil/etcd", "/tmp/etcd", "etcd-v3.5.99/../../etcd"] {
        let bytes = archive(&[("etcd", &script(NEW)), (evil, b"evil")]);
        let error = place.refused(&Mirror::of(&bytes));
        assert!(error.contains("outside of itself"), "{evil}: {error}");
    }
}

#[test]
fn an_archive_without_an_etcd_is_refused() {
    let place = Place::new();
    let error = place.refused(&Mirror::of(&archive(&[
        ("etcdctl", b"x"),
        ("elsewhere/bin/etcd", b"x"),
    ])));
    assert!(error.contains("the archive has no etcd"), "{error}");
}

#[test]
fn two_installations_at_once_fetch_one_archive() {
    let place = Place::new();
    let mirror = Mirror::of(&archive(&[("etcd", &script(NEW))]));
    let install = place
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
fn what_a_killed_installation_left_is_swept_away() {
    let place = Place::new();
    fs::create_dir_all(place.path("cache/etcd-http-1-0")).unwrap();
    fs::create_dir_all(place.path(&format!("cache/release-{NEW}-{}", "0".repeat(64)))).unwrap();
    let mirror = Mirror::of(&archive(&[("etcd", &script(NEW))]));
    let install = place.with_network().mirror(&mirror.url).version(NEW);
    assert_eq!(
        install
            .sources([Source::Cache, Source::Release])
            .run()
            .unwrap()
            .source,
        Source::Release
    );
    assert!(!place.path("cache/etcd-http-1-0").exists());
}

#[test]
fn the_debian_package_is_unpacked_after_lists_were_fetched() {
    let place = Place::new();
    // Stands in for apt on a machine without lists: there is no package before an update into a directory of our own.
    place.program(
        "path/apt-get",
        r#"for arg; do case $arg in
             Dir::State::Lists=*) lists=${arg#*=} ;;
             update) : >"$lists/updated"; exit ;;
             etcd-*) package=$arg ;;
           esac; done
           [ -e "$lists/updated" ] && : >"${package}_3.5.99-1_amd64.deb""#,
    );
    place.program("etcd", &prints(NEW));
    let unpack = format!(
        "/bin/mkdir -p \"$3/usr/bin\" && /bin/cp {} \"$3/usr/bin/etcd\"",
        place.path("etcd").display()
    );
    place.program("path/dpkg-deb", &unpack);
    let install = place.install().sources([Source::Cache, Source::Debian]);
    let fetched = install.run().unwrap();
    assert_eq!((fetched.version, fetched.source), (NEW, Source::Debian));
    assert_eq!(fetched.etcd, place.path("cache/debian-3.5.99/etcd"));
    assert_eq!(install.run().unwrap().source, Source::Cache);
}

/// A directory with a `PATH` and a cache of its own.
struct Place(Scratch);

impl Place {
    fn new() -> Self {
        let scratch = Scratch::within(&env::temp_dir()).unwrap();
        fs::create_dir(scratch.path().join("path")).unwrap();
        Self(scratch)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn program(&self, name: &str, body: &str) {
        fs::write(self.path(name), format!("#!/bin/sh\n{body}\n")).unwrap();
        fs::set_permissions(self.path(name), fs::Permissions::from_mode(0o755)).unwrap();
    }

    fn install(&self) -> Install {
        let surroundings = Surroundings {
            path: self.path("path").into(),
            ..Surroundings::default()
        };
        Install {
            surroundings,
            ..Install::new()
        }
        .cache_dir(self.path("cache"))
    }

    fn with_network(&self) -> Install {
        let mut install = self.install();
        install.surroundings.path = env::var_os("PATH").unwrap();
        install
    }

    /// Why this mirror's archive will not do; nothing of it may be left.
    fn refused(&self, mirror: &Mirror) -> String {
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
