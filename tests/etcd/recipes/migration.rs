//! Migrations from v2 to v3.

use std::time::Duration;

use etcd_http::{
    recipes::migration::{DifferenceKind, Migration, NoteKind},
    transport::Transport,
    v2::{CreateDir, Set},
    v3::KeyRange,
};
use harness::{case::Etcd, cases_and_grpc};

use crate::namespace;

cases_and_grpc! {
    any {
        Shared {
            a_tree_is_copied_verified_and_brought_up_to_date,
        }
    }
}

const MINUTE: Duration = Duration::from_secs(60);

/// More than etcd takes in v3, and more than its gRPC does.
const LARGE: usize = 2_200_000;

async fn a_tree_is_copied_verified_and_brought_up_to_date<T: Transport>(etcd: Etcd<T>) {
    let v2 = etcd.v2();
    let root = etcd.key("tree");
    for number in 0..300 {
        let key = format!("{root}/{}/{number}", number % 3);
        v2.set(key, number.to_string()).await.unwrap();
    }
    let odd = "odd \u{1f511}?#%2F+";
    v2.set(format!("{root}/{odd}"), "\u{0}\n").await.unwrap();
    v2.set(format!("{root}/large"), "x".repeat(LARGE))
        .await
        .unwrap();
    let leased = Set::new(format!("{root}/leased"), "").ttl(MINUTE);
    etcd.send(leased).await.unwrap();
    let empty = CreateDir::new(format!("{root}/empty"));
    etcd.send(empty).await.unwrap();

    let target = namespace(&etcd).namespace("copy/");
    target.kv().put("1/1", "others").await.unwrap();
    let migration = Migration::new(&etcd, &root, &target);
    let report = migration.run().await.unwrap();
    let mut notes: Vec<_> = report.notes.iter().map(|note| note.kind).collect();
    notes.sort_by_key(|kind| format!("{kind:?}"));
    assert_eq!(
        notes,
        [
            NoteKind::ChangedInTarget,
            NoteKind::EmptyDirectory,
            NoteKind::TooLarge { bytes: LARGE },
        ]
    );
    assert_eq!(report.written, 301);
    let copied = target.kv().get(odd).await.unwrap().unwrap();
    assert_eq!(copied.value, "\u{0}\n");
    let leased = target.kv().get("leased").await.unwrap().unwrap();
    let lease = etcd.v3().leases().get_time_to_live(leased.lease);
    let left = lease.await.unwrap().unwrap().ttl;
    assert!(left <= MINUTE && left > MINUTE / 2, "{left:?}");

    v2.set(format!("{root}/2/2"), "changed").await.unwrap();
    v2.delete(format!("{root}/0/0")).await.unwrap();
    let verified = migration.verify().await.unwrap();
    let kinds: Vec<_> = verified.differences.iter().map(|it| it.kind).collect();
    assert_eq!(
        kinds,
        [
            DifferenceKind::OnlyInTarget,
            DifferenceKind::Value,
            DifferenceKind::Value,
            DifferenceKind::Missing,
        ],
        "{verified}"
    );
    let all = migration.overwrite(true).delete_removed(true);
    let report = all.run().await.unwrap();
    assert_eq!((report.written, report.deleted), (2, 1));
    let verified = all.verify().await.unwrap();
    assert_eq!((verified.same, verified.differences.len()), (301, 1));
    all.forget().await.unwrap();
    let left = target.kv().count(KeyRange::all()).await;
    assert_eq!(left.unwrap(), 301);
}
