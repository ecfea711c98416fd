//! Streams of a member that is halted: it keeps its connections, and says nothing.

use std::time::{Duration, Instant};

use etcd_http::{
    server::Cluster,
    transport::Transport,
    v3::{KeyRange, Observe, Put, Watch},
};
use futures::StreamExt;
use harness::{case::Etcd, cases_and_grpc, stall_monitor::StallMonitor};

cases_and_grpc! {
    Nothing {
        a_watch_and_an_observer_of_a_halted_member_are_at_another_within_ten_seconds,
        a_read_of_a_halted_member_is_answered_by_another_within_three_seconds,
    }
}

const LIMIT: Duration = Duration::from_secs(10);

async fn a_watch_and_an_observer_of_a_halted_member_are_at_another_within_ten_seconds<
    T: Transport,
>(
    etcd: Etcd<T>,
) {
    let cluster = Cluster::start(3).unwrap();
    let leader = cluster.leader().unwrap();
    let (halted, others) = (cluster.member((leader + 1) % 3), cluster.member(leader));
    let client = etcd.builder_of(halted.client_url());
    let client = client.endpoints([others.client_url()]).build().unwrap();
    let writer = etcd.client_of(others.client_url());
    let lease = writer.v3().leases().grant(Duration::from_secs(60)).await;
    let elections = writer.v3();
    let campaign = elections.elections().campaign("e", lease.unwrap().id, "1");
    let won = campaign.await.unwrap();
    let leads = won.leader;
    let watch = Watch::new(KeyRange::prefix("k")).from_revision(won.header.revision + 1);
    let mut watch = client.open(watch);
    let mut leaders = client.open(Observe::new("e"));
    assert_eq!(leaders.next().await.unwrap().unwrap().value, "1");
    let first = writer.send(Put::new("k", "1"));
    let (changes, first) = futures::join!(watch.next(), first);
    first.unwrap();
    assert_eq!(changes.unwrap().unwrap().events.len(), 1);

    halted.pause().unwrap();
    let machine = StallMonitor::start();
    let began = Instant::now();
    let write = async {
        etcd.sleep(500).await;
        writer.send(Put::new("k", "2")).await.unwrap();
        let proclaim = writer.v3();
        proclaim.elections().proclaim(leads, "2").await.unwrap();
    };
    let next = async { (watch.next().await, machine.elapsed(began)) };
    let leader = async { (leaders.next().await, machine.elapsed(began)) };
    let ((changes, watched), (leader, observed), ()) = futures::join!(next, leader, write);
    assert_eq!(changes.unwrap().unwrap().events[0].kv.value, "2");
    assert_eq!(leader.unwrap().unwrap().value, "2");
    assert!(
        watched < LIMIT && observed < LIMIT,
        "{watched:?} {observed:?}"
    );
    halted.resume().unwrap();
}

async fn a_read_of_a_halted_member_is_answered_by_another_within_three_seconds<T: Transport>(
    etcd: Etcd<T>,
) {
    let cluster = Cluster::start(3).unwrap();
    let leader = cluster.leader().unwrap();
    let (halted, other) = (cluster.member((leader + 1) % 3), cluster.member(leader));
    let client = etcd.builder_of(halted.client_url());
    let client = client.endpoints([other.client_url()]).build().unwrap();
    client.v3().kv().put("k", "1").await.unwrap();
    halted.pause().unwrap();
    let machine = StallMonitor::start();
    let began = Instant::now();
    let found = client.v3().kv().get("k").await.unwrap();
    assert_eq!(found.unwrap().value, "1");
    let read = machine.elapsed(began);
    assert!(read < Duration::from_secs(3), "{read:?}");
    // It stays there, writes included.
    let began = Instant::now();
    client.v3().kv().put("k", "2").await.unwrap();
    let write = machine.elapsed(began);
    assert!(write < Duration::from_secs(1), "{write:?}");
    halted.resume().unwrap();
}
