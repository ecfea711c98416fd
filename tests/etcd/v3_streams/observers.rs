//! Observers of elections.

use std::time::Duration;

use etcd_http::{transport::Transport, v3::Observe};
use futures::{StreamExt, future::join};
use harness::{case::Etcd, cases_and_grpc};

cases_and_grpc! {
    any {
        Shared {
            v3_106_nothing_is_observed_before_there_is_a_leader_and_then_each_proclamation,
        }
        Alone {
            an_observer_survives_the_restart_of_its_server_and_receives_nothing_twice,
        }
    }
}

async fn v3_106_nothing_is_observed_before_there_is_a_leader_and_then_each_proclamation<
    T: Transport,
>(
    etcd: Etcd<T>,
) {
    let minute = Duration::from_secs(60);
    let name = etcd.key("election");
    let observe = Observe::new(&*name).silence_limit(Duration::from_millis(200));
    let mut leaders = etcd.open(observe);
    let v3 = etcd.v3();
    let elections = v3.elections();
    let lead = async |value: &'static str| {
        let lease = v3.leases().grant(minute).await.unwrap().id;
        let won = elections.campaign(&*name, lease, value).await;
        won.unwrap().leader
    };
    let elect = async {
        etcd.sleep(1_000).await;
        lead("one").await
    };
    let (first, won) = join(leaders.next(), elect).await;
    assert_eq!(first.unwrap().unwrap().value, "one");
    let proclaim = elections.proclaim(won.clone(), "two");
    let (second, proclaimed) = join(leaders.next(), proclaim).await;
    proclaimed.unwrap();
    assert_eq!(second.unwrap().unwrap().value, "two");
    let elect = async {
        elections.resign(won).await.unwrap();
        lead("three").await
    };
    let (third, _) = join(leaders.next(), elect).await;
    assert_eq!(third.unwrap().unwrap().value, "three");
}

async fn an_observer_survives_the_restart_of_its_server_and_receives_nothing_twice<T: Transport>(
    etcd: Etcd<T>,
) {
    let v3 = etcd.v3();
    let lease = v3.leases().grant(Duration::from_secs(60)).await.unwrap().id;
    let won = v3.elections().campaign("e", lease, "one").await.unwrap();
    let mut leaders = etcd.open(Observe::new("e"));
    assert_eq!(leaders.next().await.unwrap().unwrap().value, "one");
    etcd.meanwhile(|server| {
        server.kill(0);
        server.restart();
    })
    .await;
    let (leader, ()) = futures::join!(leaders.next(), async {
        etcd.sleep(1_500).await;
        etcd.v3()
            .elections()
            .proclaim(won.leader, "two")
            .await
            .unwrap();
    });
    assert_eq!(leader.unwrap().unwrap().value, "two");
}
