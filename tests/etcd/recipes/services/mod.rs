//! The modules of two services, which `docs/services` shows: alone on a server and on the fake, and while members of a cluster
//! are killed and halted.

mod cluster;
mod discovery;
mod metadata;

use std::{future::pending, time::Duration};

use etcd_http::{transport::Transport, v3::KeyRange};
use futures::{
    StreamExt,
    future::{Either, join, select},
    stream::BoxStream,
};
use harness::{case::Etcd, cases};

use self::{
    discovery::{Change, Discovery, Instance},
    metadata::{MetadataStore, Write, WriteError},
};
use crate::namespace;

cases! {
    any {
        Shared {
            instances_know_each_other_and_vanish_with_their_processes,
            an_instance_is_registered_again_when_its_lease_is_lost,
            a_batch_of_the_leader_is_applied_in_transactions_that_etcd_takes,
            a_condition_that_does_not_hold_ends_a_batch,
            who_does_not_lead_any_more_writes_nothing,
        }
    }
}

const TTL: Duration = Duration::from_secs(2);

fn instance(address: &str) -> Instance {
    Instance {
        address: address.to_owned(),
        zone: "a".to_owned(),
    }
}

/// The next change, without its data.
async fn next(changes: &mut BoxStream<'static, Change>) -> (&'static str, String) {
    match changes.next().await.unwrap() {
        Change::Up(id, _) => ("up", id),
        Change::Down(id) => ("down", id),
    }
}

/// Polls a driver beside work, until the work is done.
async fn beside<O>(driver: impl Future<Output = ()>, work: impl Future<Output = O>) -> O {
    match select(Box::pin(work), Box::pin(driver)).await {
        Either::Left((output, _)) => output,
        Either::Right(((), work)) => work.await,
    }
}

async fn instances_know_each_other_and_vanish_with_their_processes<T: Transport>(etcd: Etcd<T>) {
    let keys = namespace(&etcd);
    let join = async || Discovery::join(&keys, "web", TTL).await.unwrap();
    let (observer, follow) = join().await;
    let mut changes = observer.changes();
    let scene = async {
        let (first, driver) = join().await;
        let (second, other) = join().await;
        let [one, two] = ["10.0.0.1", "10.0.0.2"].map(instance);
        let work = async {
            assert_eq!(next(&mut changes).await, ("up", "a".to_owned()));
            let both = async {
                assert_eq!(next(&mut changes).await, ("up", "b".to_owned()));
                let expected = [("a".to_owned(), one.clone()), ("b".to_owned(), two.clone())];
                assert_eq!(observer.instances(), expected.into());
                assert!(observer.age().unwrap() < Duration::from_secs(60));
            };
            // The process ends with all its futures, and sends nothing.
            let served = beside(other, second.serve("b", &two, pending::<()>()));
            select(Box::pin(both), Box::pin(served)).await;
            assert_eq!(next(&mut changes).await, ("down", "b".to_owned()));
        };
        beside(driver, first.serve("a", &one, work)).await.unwrap();
        assert_eq!(next(&mut changes).await, ("down", "a".to_owned()));
        assert!(observer.instances().is_empty());
    };
    beside(follow, scene).await;
}

async fn an_instance_is_registered_again_when_its_lease_is_lost<T: Transport>(etcd: Etcd<T>) {
    let keys = namespace(&etcd);
    let (discovery, driver) = Discovery::join(&keys, "web", TTL * 3).await.unwrap();
    let mut changes = discovery.changes();
    let work = async {
        assert_eq!(next(&mut changes).await, ("up", "a".to_owned()));
        let key = keys.kv().get("services/web/a").await.unwrap().unwrap();
        etcd.v3().leases().revoke(key.lease).await.unwrap();
        assert_eq!(next(&mut changes).await, ("down", "a".to_owned()));
        assert_eq!(next(&mut changes).await, ("up", "a".to_owned()));
    };
    let here = instance("10.0.0.1");
    beside(driver, discovery.serve("a", &here, work))
        .await
        .unwrap();
}

fn put(key: impl Into<String>, value: &str, expected: Option<i64>) -> Write {
    Write {
        key: key.into(),
        value: Some(value.into()),
        expected,
    }
}

fn new_keys(count: usize) -> Vec<Write> {
    let new = |n| put(format!("nodes/{n:03}"), "here", Some(0));
    (0..count).map(new).collect()
}

async fn a_batch_of_the_leader_is_applied_in_transactions_that_etcd_takes<T: Transport>(
    etcd: Etcd<T>,
) {
    let store = MetadataStore::new(&namespace(&etcd), TTL * 5);
    let mut copy = store.watch("");
    copy.next().await.unwrap();
    let work = store.lead("a", async |leader| {
        leader.commit(&new_keys(300)).await.unwrap();
        // In three transactions, each of one revision.
        for expected in [126, 252, 300] {
            copy.next().await.unwrap();
            assert_eq!(copy.len(), expected);
        }
        let nodes = store.list("nodes/").await.unwrap();
        assert_eq!(nodes.len(), 300);
        // A key twice, and values of which two do not fit into one request.
        let large = "x".repeat(700_000);
        let again = [
            put("nodes/000", "gone", Some(nodes[0].mod_revision)),
            put("nodes/000", "there", None),
            put("large/1", &large, None),
            put("large/2", &large, None),
        ];
        leader.commit(&again).await.unwrap();
        assert_eq!(store.list("large/").await.unwrap().len(), 2);
        let first = store.get("nodes/000").await.unwrap().unwrap();
        assert_eq!((first.value, first.version), ("there".into(), 3));
        leader.put("nodes/000", "back").await.unwrap();
        leader.delete("nodes/001").await.unwrap();
        assert_eq!(store.get("nodes/001").await.unwrap(), None);
    });
    work.await.unwrap();
}

async fn a_condition_that_does_not_hold_ends_a_batch<T: Transport>(etcd: Etcd<T>) {
    let store = MetadataStore::new(&namespace(&etcd), TTL * 5);
    let work = store.lead("a", async |leader| {
        leader.put("nodes/200", "other").await.unwrap();
        let conflict = leader.commit(&new_keys(300)).await;
        assert!(matches!(
            conflict,
            Err(WriteError::Conflict { applied: 126 })
        ));
        // What was applied, and none of the transaction that was not.
        assert_eq!(store.list("nodes/").await.unwrap().len(), 127);
        leader.put("nodes/200", "mine").await.unwrap();
    });
    work.await.unwrap();
}

async fn who_does_not_lead_any_more_writes_nothing<T: Transport>(etcd: Etcd<T>) {
    let keys = namespace(&etcd);
    let store = MetadataStore::new(&keys, TTL * 5);
    let rival = MetadataStore::new(&keys, TTL * 5);
    let (deposed, elected) = futures::channel::oneshot::channel();
    let (mut deposed, mut turns) = (Some(deposed), 0);
    let first = store.lead("a", async |leader| {
        turns += 1;
        if turns > 1 {
            // It was elected again, when the rival had done its work.
            return;
        }
        leader.put("color", "blue").await.unwrap();
        let Some(deposed) = deposed.take() else {
            return;
        };
        // An operator deletes its key.
        let queue = keys.kv().range(KeyRange::prefix("leader/"));
        let queue = queue.await.unwrap().kvs;
        let own = queue.iter().min_by_key(|kv| kv.create_revision).unwrap();
        deposed.send(()).unwrap();
        keys.kv().delete(&own.key).await.unwrap();
        // If it has noticed by now, this is dropped.
        let refused = leader.put("color", "red").await;
        assert!(matches!(refused, Err(WriteError::Deposed { applied: 0 })));
        pending::<()>().await;
    });
    let second = async {
        elected.await.unwrap();
        let write = rival.lead("b", async |leader| leader.put("color", "green").await);
        write.await.unwrap().unwrap();
    };
    let (led, ()) = join(first, second).await;
    led.unwrap();
    let color = store.get("color").await.unwrap().unwrap();
    assert_eq!((color.value, color.version), ("green".into(), 2));
}
