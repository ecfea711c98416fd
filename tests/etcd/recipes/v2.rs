//! Recipes over the v2 API.

use std::{
    cell::{Cell, RefCell},
    time::Duration,
};

use etcd_http::{
    recipes::{
        RecipeError,
        v2::{Election, Mutex, Registry},
    },
    transport::Transport,
};
use futures::future::{join, join_all, pending, select};
use harness::{case::Etcd, cases};

cases! {
    any {
        Shared {
            clients_hold_a_mutex_in_turn_with_rising_tokens,
            a_leader_is_known_and_ends_when_its_key_is_deleted,
            an_instance_is_listed_while_it_works_and_again_after_a_loss,
            a_holder_that_dies_is_followed_by_the_next_one,
        }
    }
}

const MINUTE: Duration = Duration::from_secs(60);

/// A third of it is how long a deleted key goes unnoticed.
const SHORT: Duration = Duration::from_secs(2);

async fn clients_hold_a_mutex_in_turn_with_rising_tokens<T: Transport>(etcd: Etcd<T>) {
    let (holders, tokens) = (Cell::new(0), RefCell::new(Vec::new()));
    let turn = async |_| {
        let client = etcd.client(|builder| builder);
        let mutex = Mutex::new(&client, etcd.key("lock"), MINUTE);
        let work = mutex.run(async |held| {
            holders.set(holders.get() + 1);
            assert_eq!(holders.get(), 1);
            tokens.borrow_mut().push(held.fencing_token());
            let holder = mutex.holder().await.unwrap().unwrap();
            assert_eq!(holder.key, held.key);
            etcd.sleep(20).await;
            holders.set(holders.get() - 1);
        });
        work.await.unwrap();
    };
    join_all((0..5).map(turn)).await;
    let tokens = tokens.into_inner();
    assert!(
        tokens.len() == 5 && tokens.is_sorted_by(|a, b| a < b),
        "{tokens:?}"
    );
    let mutex = Mutex::new(&etcd, etcd.key("lock"), MINUTE);
    assert_eq!(mutex.holder().await.unwrap(), None);
}

async fn a_leader_is_known_and_ends_when_its_key_is_deleted<T: Transport>(etcd: Etcd<T>) {
    let election = Election::new(&etcd, etcd.key("leader"), MINUTE);
    assert_eq!(election.leader().await.unwrap(), None);
    let led = election.run_while_leader("here", async |_| election.leader().await);
    let leader = led.await.unwrap().unwrap().unwrap();
    assert_eq!(leader.value.as_deref(), Some("here"));
    assert_eq!(election.leader().await.unwrap(), None);

    let short = Election::new(&etcd, etcd.key("leader"), SHORT);
    let lead = short.run_while_leader("here", async |held| {
        // On a halted machine it has expired already.
        let _ = etcd.v2().delete(&held.key).await;
        pending::<()>().await;
    });
    let error = lead.await.unwrap_err();
    assert!(matches!(error, RecipeError::KeyExpired { .. }), "{error}");
}

async fn an_instance_is_listed_while_it_works_and_again_after_a_loss<T: Transport>(etcd: Etcd<T>) {
    let registry = Registry::new(&etcd, etcd.key("web"), SHORT);
    let listed = async || {
        let instances = registry.instances().await.unwrap();
        instances.iter().any(|node| node.name() == "a")
    };
    let wait = async || {
        while !listed().await {
            etcd.sleep(50).await;
        }
    };
    let serve = async {
        wait().await;
        let _ = etcd.v2().delete(etcd.key("web/a")).await;
        wait().await;
    };
    registry.run_registered("a", "here", serve).await.unwrap();
    assert!(!listed().await);
}

async fn a_holder_that_dies_is_followed_by_the_next_one<T: Transport>(etcd: Etcd<T>) {
    let first = Cell::new(0);
    let is_held = async || {
        while first.get() == 0 {
            etcd.sleep(10).await;
        }
    };
    let die = async {
        let mutex = Mutex::new(&etcd, etcd.key("lock"), Duration::from_secs(1));
        while first.get() == 0 {
            let work = mutex.run(async |held| {
                first.set(held.fencing_token());
                pending::<()>().await;
            });
            // The future is dropped: its key stays for its time to live.
            drop(select(Box::pin(work), Box::pin(is_held())).await);
        }
    };
    let next = async {
        is_held().await;
        let mutex = Mutex::new(&etcd, etcd.key("lock"), MINUTE);
        mutex.run(async |held| held.fencing_token()).await.unwrap()
    };
    let ((), token) = join(die, next).await;
    assert!(token > first.get());
}
