//! Registries.

use etcd_http::{
    recipes::{RecipeError, Registry, Session},
    transport::Transport,
};
use futures::{
    channel::mpsc,
    future::{Either, join, select},
};
use harness::{case::Etcd, cases_and_grpc};

use crate::{namespace, session};

cases_and_grpc! {
    any {
        Shared {
            an_instance_is_listed_while_its_session_lives,
            an_instance_is_registered_again_after_a_loss,
            of_two_instances_with_one_name_the_last_is_listed,
            an_instance_is_listed_with_its_data_while_it_is_healthy,
        }
    }
}

async fn listed<T: Transport>(registry: &Registry<T>) -> Vec<String> {
    let instances = registry.instances().await.unwrap();
    let text = |kv: &etcd_http::v3::KeyValue| {
        format!("{}={}", kv.key_str().unwrap(), kv.value_str().unwrap())
    };
    instances.iter().map(text).collect()
}

async fn an_instance_is_listed_while_its_session_lives<T: Transport>(etcd: Etcd<T>) {
    let (session, driver) = session(&etcd).await;
    let (other, others) = self::session(&etcd).await;
    let follower = Registry::new(&other, "web");
    let work = async {
        let mut known = follower.follow();
        known.next().await.unwrap();
        assert!(known.is_empty());
        let registry = Registry::new(&session, "web");
        let serve = async {
            known.next().await.unwrap();
            assert_eq!(known.get("web/a").unwrap().value, "10.0.0.7");
            assert_eq!(listed(&registry).await, ["web/a=10.0.0.7"]);
        };
        registry
            .run_registered("a", "10.0.0.7", serve)
            .await
            .unwrap();
        assert!(listed(&registry).await.is_empty(), "the session goes on");
        session.close().await.unwrap();
        known.next().await.unwrap();
        assert!(known.is_empty());
        let error = registry.register("a", "").await.unwrap_err();
        assert!(error.is_session_over(), "{error}");
    };
    session.run(driver, other.run(others, work)).await;
}

async fn an_instance_is_registered_again_after_a_loss<T: Transport>(etcd: Etcd<T>) {
    let ttl = std::time::Duration::from_secs(6);
    let (session, driver) = Session::open(namespace(&etcd), ttl).await.unwrap();
    let registry = Registry::new(&session, "web");
    let wait = async || {
        while listed(&registry).await.is_empty() {
            etcd.sleep(50).await;
        }
    };
    let serve = async {
        wait().await;
        let first = session.lease();
        etcd.v3().leases().revoke(first).await.unwrap();
        assert!(listed(&registry).await.is_empty());
        wait().await;
        assert!(session.lease() != first);
        namespace(&etcd).kv().delete("web/a").await.unwrap();
        wait().await;
    };
    let work = registry.run_registered("a", "here", serve);
    session.run(driver, work).await.unwrap();
}

async fn of_two_instances_with_one_name_the_last_is_listed<T: Transport>(etcd: Etcd<T>) {
    let (first, driver) = session(&etcd).await;
    let (second, other) = session(&etcd).await;
    let work = async {
        let (mine, theirs) = (Registry::new(&first, "web"), Registry::new(&second, "web"));
        let replace = async {
            etcd.until(async || listed(&theirs).await == ["web/a=first"])
                .await;
            let check = async {
                etcd.sleep(500).await;
                assert_eq!(listed(&theirs).await, ["web/a=second"]);
            };
            theirs.run_registered("a", "second", check).await.unwrap();
        };
        let (replaced, ()) = join(mine.register("a", "first"), replace).await;
        let error = replaced.unwrap_err();
        assert!(matches!(error, RecipeError::AlreadyHeld), "{error}");
    };
    first.run(driver, second.run(other, work)).await;
}

async fn an_instance_is_listed_with_its_data_while_it_is_healthy<T: Transport>(etcd: Etcd<T>) {
    let (session, driver) = session(&etcd).await;
    let registry = Registry::new(&session, "web");
    let (sender, states) = mpsc::unbounded();
    let check = async {
        for state in [Some("1"), Some("2"), None, Some("3")] {
            sender.unbounded_send(state).unwrap();
            let expected: Vec<_> = state.iter().map(|data| format!("web/a={data}")).collect();
            etcd.until(async || listed(&registry).await == expected)
                .await;
        }
    };
    let work = select(
        Box::pin(registry.register_changing("a", states)),
        Box::pin(check),
    );
    let Either::Right(_) = session.run(driver, work).await else {
        panic!("the registration has ended");
    };
}
