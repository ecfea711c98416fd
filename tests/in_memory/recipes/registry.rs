//! Registries: instances whose data and health change, under faults.

use etcd_http::{
    fake::{FakeEtcd, When},
    recipes::{RecipeError, Registry},
    transport::Transport,
    v3::Put,
};
use futures::{
    StreamExt,
    channel::mpsc,
    future::{Either, join, select},
};

use super::session;
use crate::support::{block_on, client, jumping, misfortunes, seconds};

/// What is listed as the instance's data.
fn listed(etcd: &FakeEtcd) -> Option<String> {
    let kv = etcd.get("web/a")?;
    Some(String::from_utf8(kv.value.to_vec()).unwrap())
}

/// Registers an instance, with the states that `work` sends.
async fn registered(
    etcd: &FakeEtcd,
    work: impl AsyncFnOnce(mpsc::UnboundedSender<Option<&'static str>>),
) {
    let (session, driver) = session(etcd).await;
    let registry = Registry::new(&session, "web");
    let (sender, states) = mpsc::unbounded();
    let register = async {
        let kept = Box::pin(registry.register_changing("a", states));
        match select(kept, Box::pin(work(sender))).await {
            Either::Left((ended, _)) => panic!("{ended:?}"),
            Either::Right(_) => {}
        }
    };
    session.run(driver, register).await;
}

#[test]
fn an_instance_is_listed_with_its_present_data_while_it_is_healthy() {
    for misfortune in misfortunes() {
        for nth in 1..=3 {
            let etcd = jumping().build();
            let when = When::any().path("/v3/kv/*").nth(nth);
            etcd.inject(when, misfortune.fault.clone());
            block_on(registered(&etcd, async |states| {
                for state in [None, Some("1"), Some("2"), None, Some("3"), Some("3")] {
                    states.unbounded_send(state).unwrap();
                    // What is late has arrived, and is corrected.
                    etcd.sleep(seconds(30)).await;
                    let state = state.map(str::to_owned);
                    assert_eq!(listed(&etcd), state, "{} {nth}", misfortune.name);
                }
                // The last state stays.
                drop(states);
                let lease = etcd.get("web/a").unwrap().lease;
                client(&etcd).v3().leases().revoke(lease).await.unwrap();
                etcd.sleep(seconds(30)).await;
                assert_eq!(listed(&etcd).as_deref(), Some("3"));
                client(&etcd).v3().kv().delete("web/a").await.unwrap();
                etcd.sleep(seconds(5)).await;
                assert_eq!(listed(&etcd).as_deref(), Some("3"));
            }));
            assert_eq!(listed(&etcd), None, "the session has ended");
        }
    }
}

/// As an earlier request that arrives late writes them.
#[test]
fn late_data_of_an_instance_are_corrected() {
    let etcd = jumping().build();
    block_on(registered(&etcd, async |states| {
        states.unbounded_send(Some("1")).unwrap();
        etcd.sleep(seconds(1)).await;
        let lease = etcd.get("web/a").unwrap().lease;
        for state in [Some("2"), None] {
            states.unbounded_send(state).unwrap();
            etcd.sleep(seconds(1)).await;
            let late = Put::new("web/a", "1").lease(lease);
            client(&etcd).send(late).await.unwrap();
            etcd.sleep(seconds(1)).await;
            assert_eq!(listed(&etcd).as_deref(), state);
        }
    }));
}

#[test]
fn an_instance_that_is_not_listed_leaves_its_name_to_another() {
    let etcd = jumping().build();
    block_on(async {
        let (first, driver) = session(&etcd).await;
        let (second, other) = session(&etcd).await;
        let (one, two) = (Registry::new(&first, "web"), Registry::new(&second, "web"));
        let states = futures::stream::iter([None::<&str>]);
        let replace = async {
            etcd.sleep(seconds(1)).await;
            two.run_registered("a", "other", etcd.sleep(seconds(5)))
                .await
                .unwrap();
        };
        let work = join(one.register_changing("a", states.boxed()), replace);
        let (ended, ()) = first.run(driver, second.run(other, work)).await;
        assert!(matches!(ended, Err(RecipeError::AlreadyHeld)), "{ended:?}");
    });
}
