//! Migrations that are interrupted, and keys that change during a copy.

use etcd_http::{
    Client, Outcome, Protocol,
    fake::{FakeEtcd, Fault, When},
    recipes::{
        RecipeError,
        migration::{Migration, NoteKind, Progress},
    },
    transport::Transport,
};

use super::{TXN, copied, map, migration, notes, puts, set, set_with_ttl};
use crate::{
    recipes::safety::explore,
    support::{block_on, client, jumping, misfortunes, seconds},
};

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
