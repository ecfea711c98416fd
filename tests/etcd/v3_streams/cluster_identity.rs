//! Two servers that are not a cluster, as endpoints of one client.

use std::{fs, time::Duration};

use etcd_http::{
    Client, Error,
    server::Server,
    transport::Transport,
    v3::{GetTimeToLive, Header, LeaseKeeper, Observe, Put, Snapshot, Watch},
};
use futures::{StreamExt, future::join};
use harness::{case::Etcd, cases_and_grpc};

cases_and_grpc! {
    Nothing {
        r_22_a_watch_does_not_go_on_in_another_cluster,
        r_22_an_observer_does_not_go_on_in_another_cluster,
        r_22_a_snapshot_of_another_cluster_is_none,
        r_22_a_lease_is_not_lost_because_another_cluster_does_not_have_it,
        a_recreated_store_that_has_overtaken_is_found_by_its_term,
        a_token_from_before_the_store_was_recreated_is_renewed_after_a_timeout,
    }
}

fn start() -> Server {
    let builder = Server::builder().heartbeat_interval(Duration::from_millis(10));
    let builder = builder.election_timeout(Duration::from_millis(100));
    builder.start().unwrap()
}

/// The server that responds first, and the other; and a client of both.
fn two<T: Transport>(etcd: &Etcd<T>) -> (Server, Server, Client<T>) {
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
        let lease = keeper.grant(Duration::from_secs(16)).await.unwrap();
        // Renewals go to the other one meanwhile.
        ours.pause().unwrap();
        etcd.sleep(9_000).await;
        ours.resume().unwrap();
        etcd.sleep(10_000).await;
        assert!(lease.is_alive());
        let there = etcd.client_of(ours.client_url());
        let there = there.send(GetTimeToLive::new(lease.id())).await.unwrap();
        assert!(there.is_some());
    };
    join(work, run).await;
}

/// Starts a server again without its data: its ids stay.
async fn recreate<T: Transport>(etcd: &Etcd<T>, server: &Server) {
    server.kill().unwrap();
    fs::remove_dir_all(server.data_dir().join("member")).unwrap();
    server.launch().unwrap();
    server.wait_healthy(Duration::from_secs(30)).unwrap();
    // libcurl checks once a second whether a connection that it keeps is still open.
    etcd.sleep(1_200).await;
}

async fn a_recreated_store_that_has_overtaken_is_found_by_its_term<T: Transport>(etcd: Etcd<T>) {
    let server = start();
    // Each restart of a single member begins a term.
    for _ in 0..3 {
        server.restart().unwrap();
    }
    let client = etcd.client_of(server.client_url());
    let before = client.send(Put::new("k", "old")).await.unwrap().header;
    recreate(&etcd, &server).await;
    let fresh = etcd.client_of(server.client_url());
    let mut after = before;
    for _ in 0..before.revision {
        after = fresh.send(Put::new("k", "new")).await.unwrap().header;
    }
    let ids = |header: &Header| (header.cluster_id, header.member_id);
    assert_eq!(ids(&after), ids(&before));
    assert!(after.revision > before.revision && after.raft_term < before.raft_term);

    let error = client.v3().kv().get("k").await.unwrap_err();
    assert!(error.is_cluster_changed(), "{error}");
    let mut watch = client.open(Watch::new("k").from_revision(before.revision));
    let error = watch.next().await.unwrap().unwrap_err();
    assert!(error.is_cluster_changed(), "{error}");
    let tolerant = etcd.builder_of(server.client_url());
    let tolerant = tolerant.allow_cluster_change(true).build().unwrap();
    tolerant.v3().kv().get("k").await.unwrap();
}

/// Creates the user root, with all rights, and enables authentication.
async fn enable_auth<T: Transport>(root: &Client<T>) {
    let auth = root.v3().auth();
    auth.add_user("root", "r").await.unwrap();
    auth.add_role("root").await.unwrap();
    auth.grant_role("root", "root").await.unwrap();
    auth.enable().await.unwrap();
}

async fn a_token_from_before_the_store_was_recreated_is_renewed_after_a_timeout<T: Transport>(
    etcd: Etcd<T>,
) {
    let server = start();
    // The token will name a raft index beyond these.
    let before = etcd.client_of(server.client_url());
    for _ in 0..100 {
        before.send(Put::new("k", "v")).await.unwrap();
    }
    let with_user = || {
        let builder = etcd.builder_of(server.client_url());
        let builder = builder.timeout(Duration::from_secs(4));
        builder.v3_auth("root", "r").build().unwrap()
    };
    enable_auth(&with_user()).await;
    let client = with_user();
    client.send(Put::new("k", "v")).await.unwrap();
    recreate(&etcd, &server).await;
    enable_auth(&with_user()).await;
    let error = client.send(Put::new("k", "v")).await.unwrap_err();
    assert!(matches!(error, Error::Timeout(_)), "{error}");
    client.send(Put::new("k", "v")).await.unwrap();
}
