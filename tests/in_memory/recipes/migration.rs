//! Migrations from v2 to v3: what becomes of what, resuming after each fault, and keys of others, which stay.

use std::{collections::BTreeMap, time::Duration};

use etcd_http::{
    Client, Outcome, Protocol,
    fake::{FakeEtcd, Fault, When},
    recipes::{
        RecipeError,
        migration::{DifferenceKind, Migration, NoteKind, Progress, Report, Verification},
    },
    transport::{Body, Transport, http},
    v2::{CreateDir, Set},
    v3::{GrantLease, Put},
};

use super::safety::explore;
use crate::support::{block_on, client, jumping, misfortunes, seconds};

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
fn a_run_after_any_fault_writes_what_is_missing_and_nothing_twice() {
    for misfortune in misfortunes() {
        for nth in 1..=12 {
            let etcd = jumping().build();
            block_on(async {
                for number in 0..6 {
                    set(&etcd, &format!("/app/{number}"), "x").await;
                }
                set_with_ttl(&etcd, "/app/leased", seconds(1000)).await;
                etcd.inject(When::any().nth(nth), misfortune.fault.clone());
                // Three transactions, the record of each included.
                let migration = migration(&etcd).max_operations(4);
                let report = migration.run().await.unwrap();
                let name = format!("{} {nth}: {report}", misfortune.name);
                assert_eq!((report.written, &report.notes[..]), (7, &[][..]), "{name}");
                assert!(puts(&etcd).values().all(|&puts| puts == 1), "{name}");
                assert_eq!(puts(&etcd).len(), 7, "{name}");
                let again = migration.run().await.unwrap();
                assert_eq!((again.written, again.unchanged), (0, 7), "{name}");
                assert!(migration.verify().await.unwrap().is_same(), "{name}");
            });
        }
    }
}

#[test]
fn a_run_that_broke_off_is_resumed_where_it_was() {
    for protocol in [Protocol::Gateway, Protocol::Grpc] {
        let etcd = jumping().build();
        let client = Client::builder(etcd.clone()).endpoints(etcd.endpoints());
        let client = client.protocol(protocol).build().unwrap();
        let target = client.v3().namespace("app/");
        let migration = Migration::new(&client, "/app", target)
            .max_operations(11)
            .outage_limit(seconds(30));
        block_on(async {
            for number in 0..100 {
                set(&etcd, &format!("/app/{number}"), "x").await;
            }
            let mut seen = Progress::default();
            let run = migration.run_with(|now| {
                seen = now;
                if now.done == 40 {
                    etcd.inject(When::any(), Fault::silence_after());
                }
            });
            let error = run.await.unwrap_err();
            assert_eq!((seen.total, seen.done, seen.written), (100, 40, 40));
            let RecipeError::Client(error) = error else {
                panic!("{error}");
            };
            // It was a read.
            assert_eq!(error.outcome(), Outcome::Unknown);
            etcd.clear_faults();
            let report = migration.run().await.unwrap();
            assert_eq!((report.written, report.unchanged), (60, 40));
            assert!(puts(&etcd).values().all(|&puts| puts == 1));
            assert!(migration.verify().await.unwrap().is_same());
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
fn a_key_that_another_client_writes_during_the_copy_is_not_overwritten() {
    for overwrite in [false, true] {
        let etcd = jumping().build();
        block_on(async {
            for key in ["/app/a", "/app/b"] {
                set(&etcd, key, "1").await;
            }
            // Between the read and the write.
            let change = Fault::before(|etcd| {
                etcd.put("app/a", "others");
            });
            etcd.inject(When::any().path(TXN).nth(2), change);
            let migration = migration(&etcd).overwrite(overwrite);
            let report = migration.run().await.unwrap();
            let (a, expected) = if overwrite {
                ("1", vec![])
            } else {
                ("others", vec![("/app/a", NoteKind::ChangedInTarget)])
            };
            assert_eq!(notes(&report), expected);
            assert_eq!(copied(&etcd), map([("app/a", a), ("app/b", "1")]));
            assert_eq!(report.written, 1 + u64::from(overwrite));
        });
    }
}

#[test]
fn a_key_that_others_write_all_the_time_ends_in_a_conflict_if_it_is_to_be_overwritten() {
    let etcd = jumping().build();
    block_on(async {
        set(&etcd, "/app/a", "1").await;
        let change = Fault::before(|etcd| {
            etcd.put("app/a", "others");
        });
        etcd.inject(When::any().path(TXN), change);
        let error = migration(&etcd).overwrite(true).run().await.unwrap_err();
        assert!(error.is_conflict(), "{error}");
        assert_eq!(etcd.get("app/a").unwrap().value, "others");
        let report = migration(&etcd).run().await.unwrap();
        assert_eq!(notes(&report), [("/app/a", NoteKind::ChangedInTarget)]);
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
fn a_lease_that_ends_during_the_copy_is_granted_again() {
    let (source, target) = (jumping().build(), jumping().build());
    block_on(async {
        for number in 0..4 {
            set_with_ttl(&source, &format!("/app/{number}"), seconds(100)).await;
        }
        // The clock of the target's leader is set forward, after two keys have been written with the lease.
        let expire = Fault::before(|target| target.advance(seconds(200)));
        target.inject(When::any().path(TXN).nth(4), expire);
        let new = client(&target).v3().namespace("app/");
        let migration = Migration::new(&client(&source), "/app", new).max_operations(3);
        let report = migration.run().await.unwrap();
        assert_eq!((report.written, copied(&target).len()), (4, 2));
        // The next run copies again what went with the first lease.
        let report = migration.run().await.unwrap();
        assert_eq!((report.written, report.unchanged), (2, 2));
        assert!(migration.verify().await.unwrap().is_same());
    });
}

#[test]
fn ten_thousand_keys_take_two_requests_for_a_hundred_of_them() {
    let source = jumping().build();
    let target = jumping().build();
    block_on(async {
        for number in 0..10_000 {
            let key = format!("/app/{}/{number}", number % 100);
            if number % 10 == 0 {
                set_with_ttl(&source, &key, seconds(1000)).await;
            } else {
                set(&source, &key, "x").await;
            }
        }
        source.clear_log();
        let (old, new) = (client(&source), client(&target));
        let migration = Migration::new(&old, "/app", new.v3().namespace("app/"));
        let mut seen = Vec::new();
        let report = migration.run_with(|now| seen.push(now)).await.unwrap();
        assert_eq!((report.written, report.is_complete()), (10_000, true));
        assert_eq!((seen[0].total, seen[0].done), (10_000, 0));
        assert!(seen.is_sorted_by(|a, b| a.done < b.done), "{seen:?}");
        assert_eq!(seen.last().unwrap().done, 10_000);
        // The tree, in one request; the records, 79 batches, and a lease, if the keys were set within one second.
        source.assert_count(&When::any(), 1);
        target.assert_count(&When::any(), 1 + 2 * 79 + 1);
        assert!(migration.verify().await.unwrap().is_same());
        target.clear_log();
        let report = migration.run().await.unwrap();
        assert_eq!((report.written, report.unchanged), (0, 10_000));
        target.assert_count(&When::any(), 1 + 79 + 1);
    });
}

#[test]
fn a_tree_that_is_too_large_for_a_response_is_read_directory_by_directory() {
    let etcd = jumping().build();
    let client = Client::builder(etcd.clone()).endpoints(etcd.endpoints());
    let client = client.protocol(Protocol::Gateway).max_response_size(20_000);
    let client = client.build().unwrap();
    block_on(async {
        for dir in 0..10 {
            for number in 0..10 {
                set(&etcd, &format!("/app/a/{dir}/{number}"), &"x".repeat(100)).await;
            }
        }
        client.send(CreateDir::new("/app/a/empty")).await.unwrap();
        let dir = CreateDir::new("/app/b").ttl(seconds(100));
        client.send(dir).await.unwrap();
        set(&etcd, "/app/b/c", "x").await;
        etcd.clear_log();
        let target = client.v3().namespace("app/");
        let migration = Migration::new(&client, "/app", target);
        let report = migration.run().await.unwrap();
        assert_eq!(report.written, 101);
        assert_eq!(
            notes(&report),
            [
                ("/app/a/empty", NoteKind::EmptyDirectory),
                ("/app/b", NoteKind::DirectoryTtl { left: seconds(100) }),
            ]
        );
        assert_ne!(etcd.get("app/b/c").unwrap().lease, 0);
        assert!(migration.verify().await.unwrap().is_same());
    });
}

#[test]
fn a_server_or_a_proxy_that_takes_less_gets_less() {
    for protocol in [Protocol::Gateway, Protocol::Grpc] {
        let etcd = jumping().max_txn_ops(20).max_request_bytes(10_000).build();
        let client = Client::builder(etcd.clone()).endpoints(etcd.endpoints());
        let client = client.protocol(protocol).build().unwrap();
        block_on(async {
            for number in 0..100 {
                set(&etcd, &format!("/app/{number}"), &"x".repeat(300)).await;
            }
            set(&etcd, "/app/large", &"x".repeat(11_000)).await;
            // gRPC refuses it before etcd does.
            set(&etcd, "/app/larger", &"x".repeat(3_000_000)).await;
            let target = client.v3().namespace("app/");
            let migration = Migration::new(&client, "/app", target);
            let report = migration.run().await.unwrap();
            assert_eq!(report.written, 100);
            assert_eq!(
                notes(&report),
                [
                    ("/app/large", NoteKind::TooLarge { bytes: 11_000 }),
                    ("/app/larger", NoteKind::TooLarge { bytes: 3_000_000 }),
                ]
            );
        });
    }
    let etcd = jumping().build();
    block_on(async {
        for number in 0..4 {
            set(&etcd, &format!("/app/{number}"), "x").await;
        }
        let has_two = |it: &etcd_http::fake::Exchange| it.body().len() > 700;
        let when = When::any().path(TXN).matching(has_two);
        etcd.inject(when, Fault::html(413));
        let report = migration(&etcd).run().await.unwrap();
        assert_eq!((report.written, report.is_complete()), (4, true));
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

/// Whatever happens to requests: what a run says is copied is, a key of another client stays, and nothing is written twice.
#[test]
fn a_migration_is_exact_under_faults() {
    explore("migration", async |etcd: FakeEtcd| {
        for number in 0..9 {
            let path = format!("/app/{number}");
            while client(&etcd).v2().set(&path, "x").await.is_err() {
                etcd.sleep(seconds(1)).await;
            }
        }
        etcd.put("app/4", "others");
        let client = client(&etcd);
        let target = client.v3().namespace("app/");
        let migration = Migration::new(&client, "/app", target).max_operations(4);
        for _ in 0..20 {
            let Ok(report) = migration.run().await else {
                etcd.sleep(seconds(1)).await;
                continue;
            };
            if notes(&report) != [("/app/4", NoteKind::ChangedInTarget)] {
                return Err(report.to_string());
            }
            let mut expected = vec!["x"; 9];
            expected[4] = "others";
            let copied: Vec<_> = copied(&etcd).into_values().collect();
            if copied != expected {
                return Err(format!("{copied:?}"));
            }
            let puts = puts(&etcd);
            if puts.values().any(|&puts| puts != 1) {
                return Err(format!("{puts:?}"));
            }
            return Ok(());
        }
        Err("no end of failures".to_owned())
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
