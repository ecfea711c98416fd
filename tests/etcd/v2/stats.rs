//! Statistics of members and of the store; version and health.

use etcd_http::{
    EtcdErrorKind,
    transport::Transport,
    v2::{Condition, StoreStats},
};
use harness::{case::Etcd, cases};

cases! {
    any {
        Shared {
            v2_112_a_single_member_says_of_itself_that_it_leads,
            v2_112_the_version_is_that_of_the_server,
            v2_112_a_server_that_serves_is_healthy,
        }
        Alone {
            v2_101_the_store_counts_reads_and_writes,
            v2_102_the_store_counts_some_refusals_as_successes,
            v2_103_a_create_through_a_file_counts_twice,
        }
        Three {
            v2_112_only_the_leader_knows_of_its_followers,
            v2_112_each_member_says_who_leads,
            a_member_without_a_leader_is_not_healthy,
        }
    }
}

async fn v2_112_a_single_member_says_of_itself_that_it_leads<T: Transport>(etcd: Etcd<T>) {
    let stats = etcd.v2().get_self_stats().await.unwrap();
    let member = etcd.v2().get_leader().await.unwrap();
    assert_eq!((&stats.id, &stats.name), (&member.id, &member.name));
    assert_eq!(stats.state, "StateLeader");
    assert_eq!(stats.leader_info.leader, member.id);
    assert!(!stats.start_time.is_empty() && !stats.leader_info.uptime.is_empty());
    let leader = etcd.v2().get_leader_stats().await.unwrap();
    assert_eq!(leader.leader, member.id);
    assert!(leader.followers.is_empty());
}

async fn v2_112_the_version_is_that_of_the_server<T: Transport>(etcd: Etcd<T>) {
    let version = etcd.version().await.unwrap();
    assert_eq!(version.server, etcd.host().version());
    let minor = version.server.rsplit_once('.').unwrap().0;
    assert_eq!(version.cluster, format!("{minor}.0"));
}

async fn v2_112_a_server_that_serves_is_healthy<T: Transport>(etcd: Etcd<T>) {
    let health = etcd.health().await.unwrap();
    assert!(health.healthy);
    assert_eq!(health.reason, "");
}

/// The counters that have changed, without reads: each other request counts as one read.
async fn counted<T: Transport>(etcd: &Etcd<T>, before: &StoreStats) -> StoreStats {
    let now = etcd.v2().get_store_stats().await.unwrap();
    let mut counted = StoreStats::default();
    counted.sets_success = now.sets_success - before.sets_success;
    counted.sets_fail = now.sets_fail - before.sets_fail;
    counted.delete_success = now.delete_success - before.delete_success;
    counted.delete_fail = now.delete_fail - before.delete_fail;
    counted.update_success = now.update_success - before.update_success;
    counted.update_fail = now.update_fail - before.update_fail;
    counted.create_success = now.create_success - before.create_success;
    counted.create_fail = now.create_fail - before.create_fail;
    counted.compare_and_swap_success =
        now.compare_and_swap_success - before.compare_and_swap_success;
    counted.compare_and_swap_fail = now.compare_and_swap_fail - before.compare_and_swap_fail;
    counted.compare_and_delete_success =
        now.compare_and_delete_success - before.compare_and_delete_success;
    counted.compare_and_delete_fail = now.compare_and_delete_fail - before.compare_and_delete_fail;
    counted
}

async fn v2_101_the_store_counts_reads_and_writes<T: Transport>(etcd: Etcd<T>) {
    let v2 = etcd.v2();
    let before = v2.get_store_stats().await.unwrap();
    v2.get("/").await.unwrap();
    v2.exists("/none").await.unwrap();
    let after = v2.get_store_stats().await.unwrap();
    assert_eq!(after.gets_success - before.gets_success, 1);
    // One read that was not found, and two for the state of authentication.
    assert_eq!(after.gets_fail - before.gets_fail, 3);
    assert_eq!(after.watchers, 0);

    let is = Condition::value_is;
    v2.set("/a", "1").await.unwrap();
    v2.set("/a/b", "1").await.unwrap_err();
    v2.create("/b", "1").await.unwrap();
    v2.create("/b", "1").await.unwrap_err();
    v2.update("/a", "2").await.unwrap();
    v2.update("/none", "2").await.unwrap_err();
    v2.compare_and_swap("/a", "3", is("2")).await.unwrap();
    v2.compare_and_swap("/a", "3", is("2")).await.unwrap_err();
    v2.compare_and_delete("/a", is("3")).await.unwrap();
    v2.compare_and_delete("/a", is("3")).await.unwrap_err();
    v2.delete("/b").await.unwrap();
    v2.delete("/b").await.unwrap_err();
    let mut expected = StoreStats::default();
    expected.sets_success = 1;
    expected.sets_fail = 1;
    expected.create_success = 1;
    expected.create_fail = 1;
    expected.update_success = 1;
    expected.update_fail = 1;
    expected.compare_and_swap_success = 1;
    expected.compare_and_swap_fail = 1;
    expected.compare_and_delete_success = 1;
    expected.compare_and_delete_fail = 1;
    expected.delete_success = 1;
    expected.delete_fail = 1;
    assert_eq!(counted(&etcd, &after).await, expected);
}

async fn v2_102_the_store_counts_some_refusals_as_successes<T: Transport>(etcd: Etcd<T>) {
    let v2 = etcd.v2();
    v2.set("/a", "1").await.unwrap();
    v2.set_dir("/d").await.unwrap();
    let before = v2.get_store_stats().await.unwrap();
    let condition = || Condition::value_is("other");
    v2.update("/", "1").await.unwrap_err();
    v2.update("/d", "1").await.unwrap_err();
    v2.compare_and_swap("/", "1", condition())
        .await
        .unwrap_err();
    v2.delete("/").await.unwrap_err();
    v2.compare_and_delete("/d", condition()).await.unwrap_err();
    v2.compare_and_delete("/a", condition()).await.unwrap_err();
    let mut expected = StoreStats::default();
    expected.update_success = 2;
    expected.compare_and_swap_success = 1;
    expected.delete_success = 1;
    expected.compare_and_delete_success = 2;
    assert_eq!(counted(&etcd, &before).await, expected);
}

async fn v2_103_a_create_through_a_file_counts_twice<T: Transport>(etcd: Etcd<T>) {
    let v2 = etcd.v2();
    v2.set("/a", "1").await.unwrap();
    let before = v2.get_store_stats().await.unwrap();
    v2.create("/a/b", "1").await.unwrap_err();
    v2.create_in_order("/a", "1").await.unwrap_err();
    v2.set("/a/b", "1").await.unwrap_err();
    let mut expected = StoreStats::default();
    expected.create_fail = 2;
    expected.sets_fail = 3;
    assert_eq!(counted(&etcd, &before).await, expected);
}

async fn v2_112_only_the_leader_knows_of_its_followers<T: Transport>(etcd: Etcd<T>) {
    etcd.v2().set(etcd.key("a"), "1").await.unwrap();
    let leader = etcd.v2().get_leader().await.unwrap();
    for member in etcd.v2().list_members().await.unwrap() {
        let stats = etcd.client_of(&member.client_urls[0]);
        let stats = stats.v2().get_leader_stats().await;
        if member == leader {
            let stats = stats.unwrap();
            assert_eq!(stats.leader, leader.id);
            assert_eq!(stats.followers.len(), 2);
            for follower in stats.followers.values() {
                assert!(follower.counts.success > 0);
                assert!(follower.latency.minimum <= follower.latency.maximum);
            }
        } else {
            let error = stats.unwrap_err();
            assert_eq!(error.etcd_kind(), Some(EtcdErrorKind::Forbidden));
            let url = &member.client_urls[0];
            let text = format!("v2.stats.leader at {url}: not current leader (status 403)");
            assert_eq!(error.to_string(), text);
        }
    }
}

async fn v2_112_each_member_says_who_leads<T: Transport>(etcd: Etcd<T>) {
    let leader = etcd.v2().get_leader().await.unwrap();
    for member in etcd.v2().list_members().await.unwrap() {
        let client = etcd.client_of(&member.client_urls[0]);
        let stats = client.v2().get_self_stats().await.unwrap();
        assert_eq!((&stats.id, &stats.name), (&member.id, &member.name));
        assert_eq!(stats.leader_info.leader, leader.id);
        let (state, counts) = if member == leader {
            ("StateLeader", stats.sent_appends)
        } else {
            ("StateFollower", stats.received_appends)
        };
        assert_eq!(stats.state, state);
        assert!(counts > 0);
        let counted = client.v2().get_store_stats().await.unwrap();
        assert!(counted.sets_success > 0);
    }
}

async fn a_member_without_a_leader_is_not_healthy<T: Transport>(etcd: Etcd<T>) {
    for index in [1, 2] {
        etcd.host().kill(index);
    }
    let client = etcd.client_of(etcd.url());
    loop {
        let health = client.health().await.unwrap();
        if !health.healthy {
            assert_eq!(health.reason.is_empty(), !etcd.is_3_5(), "{health:?}");
            break;
        }
        etcd.sleep(50).await;
    }
    assert!(client.version().await.is_ok());
}
