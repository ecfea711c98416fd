use std::{fs, mem};

use self::{
    fixture::{Fixture, prints},
    mirror::{Mirror, archive, digest, script},
};
use super::{staging::Staging, *};
use crate::temp_dir::TempDir;

mod fixture;
mod mirror;
mod release;

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
fn an_etcd_that_cannot_be_verified_does_not_satisfy_a_digest() {
    let fixture = Fixture::new();
    for program in ["path/etcd", "path/apt-get", "named"] {
        fixture.program(program, &prints(NEW));
    }
    let error = fixture.install().sha256("00").run().unwrap_err();
    let Error::NotInstalled { failures } = &error else {
        panic!("{error}")
    };
    for failure in failures {
        let is_unverifiable = failure.reason.contains("cannot be verified");
        let has_no_digest = matches!(failure.source, Source::Path | Source::Debian);
        assert_eq!(is_unverifiable, has_no_digest, "{failure:?}");
    }

    let mut install = fixture.install().sha256("00");
    install.environment.etcd_bin = Some(fixture.path("named").into());
    let error = install.run().unwrap_err();
    assert!(matches!(error, Error::Unusable { .. }), "{error}");

    let bytes = archive(&[("etcd", &script(NEW))]);
    let mirror = Mirror::of(&bytes);
    let mut install = fixture.release(&mirror).sha256(digest(&bytes));
    let directories = env::split_paths(&install.environment.path).collect::<Vec<_>>();
    let directories = [fixture.path("path")].into_iter().chain(directories);
    install.environment.path = env::join_paths(directories).unwrap();
    let sources = [Source::Path, Source::Debian, Source::Cache, Source::Release];
    let installed = install.sources(sources).run().unwrap();
    assert_eq!(installed.source, Source::Release);
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
fn the_remains_of_a_killed_installation_are_removed() {
    let fixture = Fixture::new();
    let cache = fixture.path("cache");
    fs::create_dir(&cache).unwrap();
    let staging = Staging::new(&cache).unwrap();
    let remains = staging.path().to_owned();
    mem::forget(staging);
    fs::create_dir(cache.join(format!("release-{NEW}-{}", "0".repeat(64)))).unwrap();
    let mirror = Mirror::of(&archive(&[("etcd", &script(NEW))]));
    let installed = fixture.release(&mirror).run().unwrap();
    assert_eq!(installed.source, Source::Release);
    assert!(!remains.exists());
}

#[test]
fn an_installation_removes_nothing_but_the_remains_of_others() {
    let fixture = Fixture::new();
    let cache = fixture.path("cache");
    fs::create_dir(&cache).unwrap();
    // The directory of a running server, and others with names like those of this crate.
    let server = TempDir::within(&cache, "etcd-server-").unwrap();
    let others = [
        "etcd-http-1-0",
        "etcd-server-1-0",
        "etcd-server-staging-1-0",
    ];
    let directories = others.map(|name| cache.join(name));
    for directory in &directories {
        fs::create_dir(directory).unwrap();
        fs::write(directory.join("data"), "data").unwrap();
    }
    fs::write(server.path().join("data"), "data").unwrap();
    let mirror = Mirror::of(&archive(&[("etcd", &script(NEW))]));
    fixture.release(&mirror).run().unwrap();
    for directory in directories
        .iter()
        .map(PathBuf::as_path)
        .chain([server.path()])
    {
        assert!(directory.join("data").is_file(), "{}", directory.display());
    }
}

#[test]
fn a_damaged_entry_is_replaced_and_a_foreign_one_is_kept() {
    let fixture = Fixture::new();
    let mirror = Mirror::of(&archive(&[("etcd", &script(NEW))]));
    let install = fixture.release(&mirror);
    let etcd = install.run().unwrap().etcd;
    fs::write(&etcd, "damaged").unwrap();
    assert_eq!(install.run().unwrap().source, Source::Release);
    assert_eq!(install.run().unwrap().source, Source::Cache);

    let entry = etcd.parent().unwrap();
    fs::remove_dir_all(entry).unwrap();
    fs::create_dir(entry).unwrap();
    fs::write(entry.join("data"), "data").unwrap();
    let error = install.run().unwrap_err().to_string();
    assert!(error.contains("was not created by etcd-server"), "{error}");
    assert!(entry.join("data").is_file());
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
