//! Writes with faults: the outcome that the client reports is that of the store, and no write is applied twice.

use etcd_http::{
    Client, Error, Outcome,
    fake::{FakeEtcd, When},
    v2::{Condition, DeleteDir, Refresh},
};

use crate::support::{Misfortune, Server, block_on, client, jumping, misfortunes, seconds};

type Written = Result<(), Error>;

/// Sends a write of this kind, to a key in the state that it requires.
async fn write(kind: &str, client: &Client<FakeEtcd>) -> Written {
    let v2 = client.v2();
    match kind {
        "set" => v2.set("/a", "new").await.map(drop),
        "create" => v2.create("/new", "new").await.map(drop),
        "create in order" => v2.create_in_order("/d", "new").await.map(drop),
        "update" => v2.update("/a", "new").await.map(drop),
        "refresh" => client
            .send(Refresh::new("/a", seconds(1000)))
            .await
            .map(drop),
        "delete" => v2.delete("/a").await.map(drop),
        "delete directory" => {
            let delete = DeleteDir::new("/d").recursive(true);
            client.send(delete).await.map(drop)
        }
        "compare and swap" => {
            let is_old = Condition::value_is("old");
            v2.compare_and_swap("/a", "new", is_old).await.map(drop)
        }
        "compare and delete" => {
            let is_old = Condition::value_is("old");
            v2.compare_and_delete("/a", is_old).await.map(drop)
        }
        "create directory" => v2.create_dir("/new").await.map(drop),
        other => panic!("{other}"),
    }
}

const KINDS: [&str; 10] = [
    "set",
    "create",
    "create in order",
    "update",
    "refresh",
    "delete",
    "delete directory",
    "compare and swap",
    "compare and delete",
    "create directory",
];

/// Prepares a store, sends the write, and returns its result and how far it moved the store's index.
fn attempt(kind: &str, prepare: impl FnOnce(&FakeEtcd)) -> (FakeEtcd, Written, u64) {
    let etcd = jumping().build();
    let client = client(&etcd);
    block_on(async {
        client.v2().set("/a", "old").await.unwrap();
        client.v2().set("/d/a", "old").await.unwrap();
    });
    etcd.clear_log();
    prepare(&etcd);
    let before = etcd.index();
    let written = block_on(write(kind, &client));
    let moved = etcd.index() - before;
    (etcd, written, moved)
}

#[test]
fn the_outcome_of_a_write_is_true_and_no_write_is_sent_twice() {
    for kind in KINDS {
        for Misfortune {
            name,
            fault,
            server,
        } in misfortunes()
        {
            let (etcd, written, moved) =
                attempt(kind, |etcd| etcd.inject(When::any().once(), fault));
            let what = format!("{kind}, {name}\n{}", etcd.log_text());
            assert_eq!(etcd.pending_faults(), 0, "{what}");
            // A request that definitely did nothing is retried, and no other.
            let sent = if server == Server::DefinitelyNotAsked {
                2
            } else {
                1
            };
            etcd.assert_count(&When::any(), sent);
            match written {
                Ok(()) => assert_eq!(moved, 1, "{what}"),
                Err(error) => {
                    assert_eq!(error.outcome(), Outcome::Unknown, "{what}");
                    assert_eq!(moved, u64::from(server == Server::Asked), "{what}");
                }
            }
        }
    }
}

#[test]
fn a_write_that_reaches_no_endpoint_is_not_sent() {
    for kind in KINDS {
        let (etcd, written, moved) = attempt(kind, |etcd| etcd.endpoint(0).stop());
        assert_eq!(written.unwrap_err().outcome(), Outcome::NotSent);
        assert_eq!((moved, etcd.count(&When::any())), (0, 5), "{kind}");
    }
}

#[test]
fn a_refused_write_is_rejected_and_changes_nothing() {
    let etcd = jumping().build();
    let client = client(&etcd);
    block_on(async {
        let v2 = client.v2();
        v2.set("/a", "1").await.unwrap();
        v2.set("/d/a", "1").await.unwrap();
        let before = etcd.dump();
        for refused in [
            v2.create("/a", "2").await,
            v2.update("/none", "2").await,
            v2.set("/d", "2").await,
            v2.set("/a/b", "2").await,
            v2.delete("/none").await,
            v2.delete_dir("/d").await,
            v2.compare_and_swap("/a", "2", Condition::index_is(1)).await,
            v2.compare_and_delete("/a", Condition::value_is("2")).await,
            v2.refresh("/none", seconds(1)).await,
        ] {
            assert_eq!(refused.unwrap_err().outcome(), Outcome::Rejected);
        }
        assert_eq!(etcd.dump(), before);
    });
}

/// Whatever requests of a process fail, its queue has each task at most once, and the acknowledged ones in order.
#[test]
fn a_queue_filled_over_faults_has_no_doubles() {
    for seed in 0..100 {
        let etcd = jumping().seed(seed).build();
        for misfortune in misfortunes() {
            etcd.inject(When::method("POST").with_chance(0.03), misfortune.fault);
        }
        let client = client(&etcd);
        let mut reported = Vec::new();
        let tasks = 20;
        for task in 0..tasks {
            match block_on(client.v2().create_in_order("/queue", format!("{task}"))) {
                Ok(_) => reported.push(task),
                Err(error) => assert_eq!(error.outcome(), Outcome::Unknown),
            }
        }
        etcd.clear_faults();
        let keys = etcd.keys();
        let values = keys.iter().filter_map(|key| etcd.value(key));
        let values = values.map(|value| String::from_utf8(value).unwrap());
        let queue: Vec<u32> = values.map(|value| value.parse().unwrap()).collect();
        assert!(queue.is_sorted_by(|a, b| a < b), "{queue:?}");
        assert!(
            reported.iter().all(|task| queue.contains(task)),
            "{queue:?}"
        );
    }
}
