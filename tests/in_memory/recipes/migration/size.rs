//! Migrations of many keys, and of large ones.

use etcd_http::{
    Client, Protocol,
    fake::{Exchange, Fault, When},
    recipes::migration::{Migration, NoteKind},
    v2::CreateDir,
};

use super::{TXN, migration, notes, set, set_with_ttl};
use crate::support::{block_on, client, jumping, seconds};

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
    let client = client.protocol(Protocol::Gateway).max_response_size(10_000);
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
        super::set_bytes(&etcd, "/app/d%FF/e", "value=x").await;
        etcd.clear_log();
        let target = client.v3().namespace("app/");
        let migration = Migration::new(&client, "/app", target);
        let report = migration.run().await.unwrap();
        // /app and /app/a are too large, and what is below is not.
        let reads = When::any().path("/v2/keys/*");
        assert!(etcd.count(&reads) > 10, "{}", etcd.count(&reads));
        assert_eq!(report.written, 101);
        assert_eq!(
            notes(&report),
            [
                ("/app/a/empty", NoteKind::EmptyDirectory),
                ("/app/b", NoteKind::DirectoryTtl { left: seconds(100) }),
                ("/app/d\u{fffd}", NoteKind::UnreadableName),
            ]
        );
        assert_ne!(etcd.get("app/b/c").unwrap().lease, 0);
        let verified = migration.verify().await.unwrap();
        let missing: Vec<_> = verified.differences.iter().map(|it| &*it.key).collect();
        assert_eq!(missing, ["d\u{fffd}".as_bytes()]);
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
        let has_two = |it: &Exchange| it.body().len() > 700;
        let when = When::any().path(TXN).matching(has_two);
        etcd.inject(when, Fault::html(413));
        let report = migration(&etcd).run().await.unwrap();
        assert_eq!((report.written, report.is_complete()), (4, true));
    });
}
