//! Migrations from v2 to v3: what is copied, and what is not; and keys of others, which stay.

mod faults;
mod size;

use std::{collections::BTreeMap, time::Duration};

use etcd_http::{
    Client, Protocol,
    fake::FakeEtcd,
    recipes::{
        RecipeError,
        migration::{DifferenceKind, Migration, NoteKind, Report, Verification},
    },
    transport::{Body, Transport, http},
    v2::{CreateDir, Set},
    v3::{GrantLease, Put},
};

use crate::support::{block_on, client, jumping, seconds};

/// Transactions, on which copies depend.
const TXN: &str = "/v3/kv/txn";

type Copying = Migration<FakeEtcd, FakeEtcd>;

/// Of one store, from `/app` to `app/`.
fn migration(etcd: &FakeEtcd) -> Copying {
    let client = client(etcd);
    Migration::new(&client, "/app", client.v3().namespace("app/"))
}

async fn set(etcd: &FakeEtcd, key: &str, value: &str) {
    client(etcd).v2().set(key, value).await.unwrap();
}

/// Writes a key whose name and value need not be text.
async fn set_bytes(etcd: &FakeEtcd, path: &str, form: &str) {
    let request = http::Request::put(format!("{}/v2/keys{path}", etcd.endpoints()[0]))
        .header("content-type", "application/x-www-form-urlencoded")
        .body(Body::from(form.to_owned()));
    let response = etcd.send(request.unwrap()).await.unwrap();
    assert_eq!(response.status(), 201);
}

async fn set_with_ttl(etcd: &FakeEtcd, key: &str, ttl: Duration) {
    let set = Set::new(key, "x").ttl(ttl);
    client(etcd).send(set).await.unwrap();
}

/// The keys of the target, records aside.
fn copied(etcd: &FakeEtcd) -> BTreeMap<String, String> {
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    let kvs = etcd.get_prefix("app/").into_iter();
    kvs.map(|kv| (text(&kv.key), text(&kv.value)))
        .filter(|(key, _)| !key.starts_with("app/__migration/"))
        .collect()
}

fn map<const N: usize>(pairs: [(&str, &str); N]) -> BTreeMap<String, String> {
    let pairs = pairs.map(|(key, value)| (key.to_owned(), value.to_owned()));
    pairs.into()
}

fn notes(report: &Report) -> Vec<(&str, NoteKind)> {
    let notes = report.notes.iter();
    notes.map(|note| (note.path.as_str(), note.kind)).collect()
}

fn differences(verification: &Verification) -> Vec<(&str, DifferenceKind)> {
    let differences = verification.differences.iter();
    differences
        .map(|it| (std::str::from_utf8(&it.key).unwrap(), it.kind))
        .collect()
}

/// How often each key was written.
fn puts(etcd: &FakeEtcd) -> BTreeMap<String, i64> {
    let mut puts = BTreeMap::new();
    for change in etcd.history() {
        let key = String::from_utf8(change.key().to_vec()).unwrap();
        if !key.starts_with("app/__migration/") {
            *puts.entry(key).or_default() += 1;
        }
    }
    puts
}

#[test]
fn a_tree_becomes_keys_with_a_prefix_and_what_cannot_is_reported() {
    for protocol in [Protocol::Gateway, Protocol::Grpc] {
        let etcd = jumping().build();
        let client = Client::builder(etcd.clone()).endpoints(etcd.endpoints());
        let client = client.protocol(protocol).build().unwrap();
        let migration =
            Migration::new(&client, "app/", client.v3().namespace("app/")).hidden("/app/a/_secret");
        block_on(async {
            for (key, value) in [
                ("/app/a/b", "1"),
                ("/app/a-b", ""),
                ("/app/odd \u{1f511}?#%", "2"),
                ("/app/_hidden", "no"),
                ("/app/a/_secret/c", "3"),
                ("/apple", "no"),
            ] {
                client.v2().set(key, value).await.unwrap();
            }
            let empty = client.send(CreateDir::new("/app/empty")).await.unwrap();
            let dir = CreateDir::new("/app/dir").ttl(seconds(100));
            client.send(dir).await.unwrap();
            for (key, ttl) in [("/app/dir/short", 10), ("/app/dir/long", 1000)] {
                set_with_ttl(&etcd, key, seconds(ttl)).await;
            }
            set_bytes(&etcd, "/app/name%FF", "value=x").await;
            set_bytes(&etcd, "/app/value", "value=%FE").await;
            let index = etcd.index();
            let report = migration.run().await.unwrap();
            assert_eq!(
                notes(&report),
                [
                    ("/app/dir", NoteKind::DirectoryTtl { left: seconds(100) }),
                    ("/app/empty", NoteKind::EmptyDirectory),
                    ("/app/name\u{fffd}", NoteKind::UnreadableName),
                    ("/app/value", NoteKind::UncertainValue),
                ]
            );
            assert_eq!((report.written, report.source_index), (7, index));
            assert!(!report.is_complete());
            let shown = report.to_string();
            let first = "7 keys written, 0 unchanged, 0 deleted, 0 expired; up to the index ";
            assert!(shown.starts_with(first), "{shown}");
            let last = "\n\"/app/value\": copied as v2 shows it: parts of its value may not have been UTF-8";
            assert!(shown.ends_with(last), "{shown}");
            let all = [
                ("app/a-b", ""),
                ("app/a/_secret/c", "3"),
                ("app/a/b", "1"),
                ("app/dir/long", "x"),
                ("app/dir/short", "x"),
                ("app/odd \u{1f511}?#%", "2"),
                ("app/value", "\u{fffd}"),
            ];
            assert_eq!(copied(&etcd), map(all));
            let verified = migration.verify().await.unwrap();
            assert_eq!(
                differences(&verified),
                [("name\u{fffd}", DifferenceKind::Missing)]
            );
            assert_eq!(verified.same, 7);

            // Keys go when they go in v2, the directory's time to live included, or a few seconds later.
            etcd.sleep(seconds(9)).await;
            assert!(etcd.get("app/dir/short").is_some());
            etcd.sleep(seconds(4)).await;
            assert!(etcd.get("app/dir/short").is_none());
            etcd.sleep(seconds(86)).await;
            assert!(etcd.get("app/dir/long").is_some());
            etcd.sleep(seconds(5)).await;
            assert!(etcd.get("app/dir/long").is_none());

            let again = migration.run().await.unwrap();
            assert_eq!((again.written, again.unchanged), (0, 5));
            migration.forget().await.unwrap();
            assert!(etcd.get_prefix("app/__migration/").is_empty());
            assert!(migration.verify().await.unwrap().differences.len() == 1);
            drop(empty);
        });
    }
}

#[test]
fn keys_of_others_stay_as_they_are_unless_asked() {
    let etcd = jumping().build();
    block_on(async {
        for key in ["/app/a", "/app/b", "/app/c", "/app/d", "/app/e"] {
            set(&etcd, key, "1").await;
        }
        etcd.put("app/a", "others");
        etcd.put("app/b", "1");
        let migration = migration(&etcd);
        let report = migration.run().await.unwrap();
        assert_eq!(notes(&report), [("/app/a", NoteKind::ChangedInTarget)]);
        assert_eq!((report.written, report.unchanged), (3, 1));
        // Changed, deleted, and written again as it was.
        etcd.put("app/c", "others");
        client(&etcd).v3().kv().delete("app/d").await.unwrap();
        etcd.put("app/e", "1");
        for key in ["/app/b", "/app/c", "/app/d", "/app/e"] {
            set(&etcd, key, "2").await;
        }
        let report = migration.run().await.unwrap();
        assert_eq!(report.written, 0);
        assert_eq!(
            notes(&report),
            [
                ("/app/a", NoteKind::ChangedInTarget),
                ("/app/b", NoteKind::ChangedInTarget),
                ("/app/c", NoteKind::ChangedInTarget),
                ("/app/d", NoteKind::DeletedInTarget),
                ("/app/e", NoteKind::ChangedInTarget),
            ]
        );
        let verified = migration.verify().await.unwrap();
        assert_eq!(
            differences(&verified),
            [
                ("a", DifferenceKind::Value),
                ("b", DifferenceKind::Value),
                ("c", DifferenceKind::Value),
                ("d", DifferenceKind::Missing),
                ("e", DifferenceKind::Value),
            ]
        );
        let shown = verified.to_string();
        assert!(
            shown.starts_with("0 keys are the same, 5 differ\nb\"a\": the values differ"),
            "{shown}"
        );
        let report = migration.clone().overwrite(true).run().await.unwrap();
        assert_eq!((report.written, report.is_complete()), (5, true));
        assert!(migration.verify().await.unwrap().is_same());
        // From now on they are copies.
        set(&etcd, "/app/a", "3").await;
        assert_eq!(migration.run().await.unwrap().written, 1);
        assert_eq!(etcd.get("app/a").unwrap().value, "3");
    });
}

#[test]
fn a_run_takes_over_what_has_changed_in_v2_since() {
    let etcd = jumping().build();
    block_on(async {
        for key in ["/app/a", "/app/b", "/app/c/d", "/app/e/_f"] {
            set(&etcd, key, "1").await;
        }
        set_with_ttl(&etcd, "/app/ttl", seconds(100)).await;
        set_with_ttl(&etcd, "/app/kept", seconds(100)).await;
        let migration = migration(&etcd);
        migration.clone().hidden("/app/e/_f").run().await.unwrap();
        etcd.sleep(seconds(50)).await;
        set(&etcd, "/app/a", "2").await;
        set(&etcd, "/app/new", "2").await;
        client(&etcd).v2().delete_tree("/app/c").await.unwrap();
        // A service refreshes its key.
        set_with_ttl(&etcd, "/app/ttl", seconds(100)).await;
        let verified = migration.verify().await.unwrap();
        assert_eq!(
            differences(&verified),
            [
                ("a", DifferenceKind::Value),
                ("c/d", DifferenceKind::OnlyInTarget),
                ("e/_f", DifferenceKind::OnlyInTarget),
                ("new", DifferenceKind::Missing),
                (
                    "ttl",
                    DifferenceKind::TimeToLive {
                        source: Some(seconds(100)),
                        target: Some(seconds(50)),
                    }
                ),
            ]
        );
        let report = migration.run().await.unwrap();
        assert_eq!((report.written, report.unchanged), (3, 2));
        // What is hidden is not known to be gone.
        assert_eq!(
            notes(&report),
            [
                ("/app/c/d", NoteKind::RemovedFromSource),
                ("/app/e", NoteKind::EmptyDirectory),
            ]
        );
        let deleting = migration.clone().delete_removed(true);
        let report = deleting.run().await.unwrap();
        assert_eq!((report.written, report.deleted), (0, 1));
        assert!(etcd.get("app/c/d").is_none() && etcd.get("app/e/_f").is_some());
        // It comes back, and another client's key of the same name does not go.
        set(&etcd, "/app/c/d", "3").await;
        assert_eq!(deleting.run().await.unwrap().written, 1);
        etcd.put("app/c/d", "others");
        client(&etcd).v2().delete_tree("/app/c").await.unwrap();
        let report = deleting.run().await.unwrap();
        assert_eq!((report.deleted, etcd.get("app/c/d").is_some()), (0, true));
        etcd.sleep(seconds(60)).await;
        assert!(etcd.get("app/kept").is_none() && etcd.get("app/ttl").is_some());
    });
}

#[test]
fn what_cannot_be_copied_is_an_error_before_anything_is_written() {
    let etcd = jumping().build();
    block_on(async {
        set(&etcd, "/file", "1").await;
        set(&etcd, "/app/a", "1").await;
        let client = client(&etcd);
        let to = || client.v3().namespace("app/");
        let missing = Migration::new(&client, "/missing", to()).run().await;
        let RecipeError::Client(error) = missing.unwrap_err() else {
            panic!("not etcd's error");
        };
        assert!(error.is_key_not_found(), "{error}");
        for (invalid, reason) in [
            (
                Migration::new(&client, "/file", to()),
                "migration: \"/file\" is a file, and not a directory",
            ),
            (
                migration(&etcd).hidden("/other/_a"),
                "migration: the hidden key \"/other/_a\" is not below \"/app\", or is a record of a migration",
            ),
            (
                migration(&etcd).hidden("/app/__migration"),
                "migration: the hidden key \"/app/__migration\" is not below \"/app\", or is a record of a migration",
            ),
        ] {
            assert_eq!(invalid.run().await.unwrap_err().to_string(), reason);
        }
        etcd.put("app/__migration//app//1", "not a record");
        let error = migration(&etcd).run().await.unwrap_err();
        assert!(
            matches!(error, RecipeError::UnexpectedValue { .. }),
            "{error}"
        );
        assert!(copied(&etcd).is_empty());
    });
}

/// Two trees in one namespace, and a tree that another one contains.
#[test]
fn migrations_do_not_know_each_others_copies() {
    let etcd = jumping().build();
    block_on(async {
        set(&etcd, "/app/a", "1").await;
        set(&etcd, "/app/sub/b", "1").await;
        let client = client(&etcd);
        let of = |root: &str| {
            Migration::new(&client, root, client.v3().namespace("app/")).delete_removed(true)
        };
        of("/app").run().await.unwrap();
        of("/app/sub").run().await.unwrap();
        let all = [("app/a", "1"), ("app/b", "1"), ("app/sub/b", "1")];
        assert_eq!(copied(&etcd), map(all));
        for root in ["/app", "/app/sub", "/"] {
            let report = of(root).run().await.unwrap();
            assert_eq!(report.deleted, 0);
        }
        let lease = client.send(GrantLease::new(seconds(60))).await.unwrap().id;
        let put = Put::new("app/a", "1").lease(lease);
        client.send(put).await.unwrap();
        // The same value, and another client's lease.
        let report = of("/app").run().await.unwrap();
        assert_eq!(notes(&report), [("/app/a", NoteKind::ChangedInTarget)]);
    });
}

#[test]
fn futures_can_be_sent_to_other_threads() {
    fn check<S: Transport, T: Transport>(migration: &Migration<S, T>) {
        fn can_be_sent(_: impl Future + Send) {}
        can_be_sent(migration.run());
        can_be_sent(migration.run_with(|now| println!("{}", now.done)));
        can_be_sent(migration.verify());
        can_be_sent(migration.forget());
    }
    check(&migration(&jumping().build()));
}

#[test]
fn a_root_that_is_written_in_another_way_is_the_same_directory() {
    let etcd = jumping().build();
    block_on(async {
        set(&etcd, "/app/db/host", "a").await;
        let client = client(&etcd);
        let migration = Migration::new(&client, "//app/./x/..//db/", client.v3().namespace("app/"));
        assert_eq!(migration.run().await.unwrap().written, 1);
    });
    assert_eq!(copied(&etcd), map([("app/host", "a")]));
}
