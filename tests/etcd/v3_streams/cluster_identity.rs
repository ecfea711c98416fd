//! Two servers that are not a cluster, as endpoints of one client.

use std::time::Duration;

use etcd_http::{
    Client,
    server::Server,
    transport::Transport,
    v3::{GetTimeToLive, LeaseKeeper, Observe, Put, Snapshot, Watch},
};
use futures::{StreamExt, future::join};
use harness::{case::Etcd, cases_and_grpc};

cases_and_grpc! {
    Nothing {
        r_22_a_watch_does_not_go_on_in_another_cluster,
        r_22_an_observer_does_not_go_on_in_another_cluster,
        r_22_a_snapshot_of_another_cluster_is_none,
        r_22_a_lease_is_not_lost_because_another_cluster_does_not_have_it,
    }
}

/// The server that responds first, and the other; and a client of both.
fn two<T: Transport>(etcd: &Etcd<T>) -> (Server, Server, Client<T>) {
    let start = || {
        let builder = Server::builder().heartbeat_interval(Duration::from_millis(10));
        builder
            .election_timeout(Duration::from_millis(100))
            .start()
            .unwrap()
    };
    let (ours, other) = (start(), start());
    let client = etcd.builder_of(ours.client_url());
    let client = client.endpoints([other.client_url()]).build().unwrap();
    (ours, other, client)
}

async fn r_22_a_watch_does_not_go_on_in_another_cluster<T: Transport>(etcd: Etcd<T>) {
    let (ours, other, client) = two(&etcd);
    let revision = client
        .send(Put::new("k", "ours"))
        .await
        .unwrap()
        .header
        .revision;
    let elsewhere = etcd.client_of(other.client_url());
    for _ in 0..3 {
        elsewhere.send(Put::new("k", "theirs")).await.unwrap();
    }
    let mut watch = client.open(Watch::new("k").from_revision(revision));
    let event = watch.next().await.unwrap().unwrap().events.remove(0);
    assert_eq!(event.kv.value, "ours");
    ours.kill().unwrap();
    let error = watch.next().await.unwrap().unwrap_err();
    assert!(error.is_cluster_changed(), "{error}");
    assert!(watch.next().await.is_none());
    let error = client.v3().kv().get("k").await.unwrap_err();
    assert!(!error.is_key_not_found(), "{error}");
}

async fn r_22_an_observer_does_not_go_on_in_another_cluster<T: Transport>(etcd: Etcd<T>) {
    let (ours, other, client) = two(&etcd);
    for (server, name) in [(&ours, "ours"), (&other, "theirs")] {
        let leader = etcd.client_of(server.client_url());
        let lease = leader.v3().leases().grant(Duration::from_secs(60)).await;
        let election = leader.v3().elections();
        election
            .campaign("e", lease.unwrap().id, name)
            .await
            .unwrap();
    }
    let mut leaders = client.open(Observe::new("e"));
    assert_eq!(leaders.next().await.unwrap().unwrap().value, "ours");
    ours.kill().unwrap();
    let error = leaders.next().await.unwrap().unwrap_err();
    assert!(error.is_cluster_changed(), "{error}");
}

async fn r_22_a_snapshot_of_another_cluster_is_none<T: Transport>(etcd: Etcd<T>) {
    let (ours, _other, client) = two(&etcd);
    let pieces = client.open(Snapshot::new()).collect::<Vec<_>>().await;
    assert!(pieces.iter().all(Result::is_ok));
    ours.kill().unwrap();
    // The server is gone, so the next request goes to the other one.
    let nobody = client.open(Snapshot::new()).next().await.unwrap();
    assert!(!nobody.unwrap_err().is_cluster_changed());
    let theirs = client.open(Snapshot::new()).next().await.unwrap();
    assert!(theirs.unwrap_err().is_cluster_changed());
}

async fn r_22_a_lease_is_not_lost_because_another_cluster_does_not_have_it<T: Transport>(
    etcd: Etcd<T>,
) {
    let (ours, _other, client) = two(&etcd);
    let (keeper, run) = LeaseKeeper::new(&client);
    let work = async move {
        let lease = keeper.grant(Duration::from_secs(12)).await.unwrap();
        // Renewals go to the other one meanwhile.
        ours.pause().unwrap();
        etcd.sleep(9_000).await;
        ours.resume().unwrap();
        etcd.sleep(7_000).await;
        assert!(lease.is_alive());
        let there = etcd.client_of(ours.client_url());
        let there = there.send(GetTimeToLive::new(lease.id())).await.unwrap();
        assert!(there.is_some());
    };
    join(work, run).await;
}
