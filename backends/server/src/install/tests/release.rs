//! Downloads of release archives.

use std::{fs, thread};

use super::{
    NEW,
    fixture::Fixture,
    mirror::{Mirror, archive, archive_name, digest, script},
};
use crate::source::Source;

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
