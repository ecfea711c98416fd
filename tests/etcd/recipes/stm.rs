//! Transactions that are repeated after conflicts.

use std::cell::Cell;

use etcd_http::{
    recipes::{Isolation, RecipeError, Stm},
    transport::Transport,
};
use futures::future::join_all;
use harness::{case::Etcd, cases_and_grpc};

use crate::{namespace, session};

cases_and_grpc! {
    any {
        Shared {
            a_counter_loses_no_increment,
            a_counter_is_incremented_exactly_once,
            a_conflict_names_the_keys,
            reads_are_of_one_revision,
            each_level_has_its_own_conflicts,
            a_transaction_sees_its_own_writes,
            a_transaction_that_is_aborted_writes_nothing,
        }
    }
}

const LEVELS: [Isolation; 4] = [
    Isolation::SerializableSnapshot,
    Isolation::Serializable,
    Isolation::RepeatableReads,
    Isolation::ReadCommitted,
];

async fn increment<T: Transport>(stm: &Stm<T>) -> Result<i64, RecipeError> {
    let done = stm
        .run(async |txn| {
            let count: i64 = txn.get_parsed("count").await?.unwrap_or(0);
            txn.put("count", (count + 1).to_string());
            Ok(count + 1)
        })
        .await?;
    Ok(done.output)
}

async fn a_counter_loses_no_increment<T: Transport>(etcd: Etcd<T>) {
    for level in &LEVELS[..3] {
        let stm = Stm::new(namespace(&etcd)).isolation(*level).tries(1_000);
        let worker = async |_| {
            for _ in 0..5 {
                increment(&stm).await.unwrap();
            }
        };
        join_all((0..3).map(worker)).await;
        let count = namespace(&etcd).kv().get("count").await.unwrap().unwrap();
        assert_eq!(count.value, "15", "{level:?}");
        namespace(&etcd).kv().delete("count").await.unwrap();
    }
}

async fn a_counter_is_incremented_exactly_once<T: Transport>(etcd: Etcd<T>) {
    let (session, driver) = session(&etcd).await;
    let stm = Stm::new(namespace(&etcd)).exactly_once(&session);
    let work = async {
        let results = join_all((0..5).map(|_| increment(&stm))).await;
        let mut numbers: Vec<_> = results.into_iter().map(Result::unwrap).collect();
        numbers.sort_unstable();
        assert_eq!(numbers, [1, 2, 3, 4, 5]);
    };
    session.run(driver, work).await;
}

async fn a_conflict_names_the_keys<T: Transport>(etcd: Etcd<T>) {
    let kv = namespace(&etcd);
    let tries = Cell::new(0);
    let stm = Stm::new(namespace(&etcd)).tries(3);
    let run = stm.run(async |txn| {
        txn.get("read").await?;
        txn.get("unchanged").await?;
        txn.put("written", "mine");
        tries.set(tries.get() + 1);
        kv.kv().put("read", tries.get().to_string()).await?;
        kv.kv().put("written", "theirs").await?;
        Ok(())
    });
    let error = run.await.unwrap_err();
    let RecipeError::Conflict { tries: 3, keys } = &error else {
        panic!("{error}");
    };
    assert_eq!(*keys, ["read", "written"]);
    assert_eq!(
        error.to_string(),
        "3 tries were in conflict with other clients, the last one over b\"read\", b\"written\""
    );
    assert_eq!(tries.get(), 3);
    assert_eq!(
        kv.kv().get("written").await.unwrap().unwrap().value,
        "theirs"
    );
}

async fn reads_are_of_one_revision<T: Transport>(etcd: Etcd<T>) {
    let kv = namespace(&etcd);
    for level in &LEVELS[..2] {
        for key in ["a", "b"] {
            kv.kv().put(key, "0").await.unwrap();
        }
        let tries = Cell::new(0);
        let stm = Stm::new(namespace(&etcd)).isolation(*level);
        let run = stm.run(async |txn| {
            tries.set(tries.get() + 1);
            let a = txn.get("a").await?;
            if tries.get() == 1 {
                for key in ["a", "b"] {
                    kv.kv().put(key, "1").await?;
                }
            }
            let b = txn.get("b").await?;
            assert_eq!(a, b, "{level:?}");
            Ok(a)
        });
        let done = run.await.unwrap();
        assert_eq!(done.output.unwrap(), "1");
        assert_eq!((done.tries, tries.get()), (2, 2));
    }
}

/// A read that changed is a conflict at all levels but the last; a write to what others wrote, at the first only.
async fn each_level_has_its_own_conflicts<T: Transport>(etcd: Etcd<T>) {
    let kv = namespace(&etcd);
    for (level, read, write) in [
        (Isolation::SerializableSnapshot, 2, 2),
        (Isolation::Serializable, 2, 1),
        (Isolation::RepeatableReads, 2, 1),
        (Isolation::ReadCommitted, 1, 1),
    ] {
        let stm = Stm::new(namespace(&etcd)).isolation(level);
        for (others_write, expected) in [("read", read), ("written", write)] {
            let tries = Cell::new(0);
            let run = stm.run(async |txn| {
                txn.get("read").await?;
                txn.put("written", "mine");
                tries.set(tries.get() + 1);
                if tries.get() == 1 {
                    kv.kv().put(others_write, "theirs").await?;
                }
                Ok(())
            });
            assert_eq!(
                run.await.unwrap().tries,
                expected,
                "{level:?}: {others_write}"
            );
            let written = kv.kv().get("written").await.unwrap().unwrap();
            assert_eq!(written.value, "mine");
        }
    }
}

async fn a_transaction_sees_its_own_writes<T: Transport>(etcd: Etcd<T>) {
    let kv = namespace(&etcd);
    kv.kv().put("gone", "x").await.unwrap();
    let stm = Stm::new(namespace(&etcd));
    let run = stm.run(async |txn| {
        assert_eq!(txn.get("new").await?, None);
        txn.put("new", "1");
        assert_eq!(txn.get("new").await?.unwrap(), "1");
        assert_eq!(txn.mod_revision("new").await?, 0);
        assert!(txn.mod_revision("gone").await? > 0);
        txn.delete("gone");
        assert_eq!(txn.get("gone").await?, None);
        Ok(())
    });
    let revision = run.await.unwrap().revision;
    let new = kv.kv().get("new").await.unwrap().unwrap();
    assert_eq!((new.mod_revision, &*new.value), (revision, &b"1"[..]));
    assert_eq!(kv.kv().get("gone").await.unwrap(), None);
}

async fn a_transaction_that_is_aborted_writes_nothing<T: Transport>(etcd: Etcd<T>) {
    let stm = Stm::new(namespace(&etcd));
    let run = stm.run(async |txn| {
        txn.put("a", "1");
        Err::<(), _>(RecipeError::abort("not enough"))
    });
    assert_eq!(run.await.unwrap_err().to_string(), "aborted: not enough");
    assert_eq!(namespace(&etcd).kv().get("a").await.unwrap(), None);
}
