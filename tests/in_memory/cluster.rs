//! Several endpoints: one down, one behind, none with a quorum, an election.

use etcd_http::{
    Client, EtcdErrorKind, Outcome, Protocol,
    fake::{FakeEtcd, Fault, When},
    transport::Transport,
    v2::{Get, Watch},
    v3::{self, Range, WatchSet},
};
use futures::{
    FutureExt, StreamExt,
    future::{join, join_all},
};

use crate::support::{block_on, client, jumping, millis, seconds};

fn three() -> FakeEtcd {
    jumping().members(3).build()
}

fn asked(etcd: &FakeEtcd) -> Vec<usize> {
    etcd.log()
        .iter()
        .map(|exchange| exchange.endpoint())
        .collect()
}

#[test]
fn an_endpoint_that_is_down_is_passed_over_at_once_and_tried_again_later() {
    let etcd = three();
    etcd.endpoint(0).stop();
    let client = client(&etcd);
    block_on(client.v2().set("/a", "1")).unwrap();
    block_on(client.v2().set("/a", "2")).unwrap();
    assert_eq!(asked(&etcd), [0, 1, 1]);
    assert_eq!(etcd.elapsed(), seconds(0));

    // It stays with the one that responds, as long as it does.
    etcd.endpoint(0).start();
    etcd.advance(seconds(60));
    block_on(client.v2().get("/a")).unwrap();
    etcd.endpoint(1).stop();
    etcd.clear_log();
    block_on(client.v2().get("/a")).unwrap();
    assert_eq!(asked(&etcd)[0], 1);
    assert_eq!(asked(&etcd).len(), 2);
}

#[test]
fn a_read_does_not_wait_for_an_endpoint_that_is_halted_and_a_write_is_not_sent_twice() {
    let etcd = three();
    let client = client(&etcd);
    block_on(client.v2().set("/a", "1")).unwrap();
    etcd.inject(When::any().endpoint(0), Fault::silence());
    etcd.clear_log();
    for quorum in [false, true] {
        let get = Get::new("/a").quorum(quorum);
        block_on(client.send(get)).unwrap();
        assert_eq!(etcd.elapsed(), seconds(2));
    }
    block_on(client.v2().list_members()).unwrap();
    assert_eq!(asked(&etcd), [0, 1, 1, 1]);

    etcd.inject(When::any().endpoint(1), Fault::silence());
    etcd.clear_log();
    let error = block_on(client.v2().set("/a", "2")).unwrap_err();
    assert_eq!(error.outcome(), Outcome::Unknown);
    assert_eq!(asked(&etcd), [1]);
}

#[test]
fn an_endpoint_that_comes_and_goes_costs_no_operation() {
    let etcd = three();
    let client = client(&etcd);
    block_on(async {
        client.v2().set("/n", "0").await.unwrap();
        for n in 1..=90 {
            etcd.endpoint(n % 3).stop();
            etcd.endpoint((n + 2) % 3).start();
            let before = client.v2().get("/n").await.unwrap().node.value;
            assert_eq!(before, Some((n - 1).to_string()));
            client.v2().set("/n", n.to_string()).await.unwrap();
            etcd.sleep(millis(300)).await;
        }
    });
    // The 90 and the first, and no write twice.
    assert_eq!(etcd.value("/n"), Some(b"90".to_vec()));
}

#[test]
fn a_member_that_lags_answers_from_the_past_unless_it_must_not() {
    let etcd = three();
    let writer = Client::new(etcd.clone(), [etcd.endpoint(1).url()]).unwrap();
    let first_lags = || {
        block_on(writer.v2().set("/a", "old")).unwrap();
        etcd.endpoint(0).lag();
        block_on(writer.v2().set("/a", "new")).unwrap();
    };
    let value = |client: &Client<FakeEtcd>, quorum| {
        let get = Get::new("/a").quorum(quorum);
        block_on(client.send(get)).unwrap().node.value.unwrap()
    };
    first_lags();
    let plain = client(&etcd);
    assert_eq!(value(&plain, false), "old");
    // A quorum read makes it catch up.
    assert_eq!(value(&plain, true), "new");
    assert_eq!(value(&plain, false), "new");

    let builder = Client::builder(etcd.clone()).endpoints(etcd.endpoints());
    let monotonic = builder.reject_stale_reads(true).build().unwrap();
    first_lags();
    assert_eq!(
        value(&monotonic, false),
        "old",
        "it knows of nothing newer yet"
    );
    etcd.endpoint(0).stop();
    assert_eq!(value(&monotonic, false), "new");
    etcd.endpoint(0).start();
    for behind in [1, 2] {
        etcd.endpoint(behind).stop();
    }
    // Only the one that lags behind is left: an error is better than a stale response.
    assert!(block_on(monotonic.v2().get("/a")).is_err());
    etcd.endpoint(0).catch_up();
    assert_eq!(value(&monotonic, false), "new");
}

/// By either wire.
#[test]
fn a_serializable_read_does_not_go_back_where_it_must_not() {
    for protocol in [Protocol::Grpc, Protocol::Gateway] {
        let etcd = three();
        let endpoints = [1, 0].map(|number| etcd.endpoint(number).url());
        let builder = Client::builder(etcd.clone()).endpoints(endpoints);
        let free = builder.protocol(protocol).build().unwrap();
        let monotonic = free.with_reject_stale_reads(true);
        let read = |client: &Client<FakeEtcd>| {
            let local = Range::new("k").serializable(true);
            block_on(client.send(local)).map(|it| it.kvs[0].value.clone())
        };
        let writer = Client::new(etcd.clone(), [etcd.endpoint(2).url()]).unwrap();
        let put = |value| block_on(writer.v3().kv().put("k", value)).unwrap();
        put("old");
        etcd.endpoint(0).lag();
        put("new");
        assert_eq!(read(&monotonic).unwrap(), "new");
        etcd.endpoint(1).stop();
        assert_eq!(read(&free).unwrap(), "old");
        read(&monotonic).unwrap_err();
        etcd.endpoint(1).start();
        etcd.advance(seconds(60));
        assert_eq!(read(&monotonic).unwrap(), "new");
        etcd.endpoint(1).stop();
        etcd.endpoint(0).catch_up();
        etcd.advance(seconds(60));
        assert_eq!(read(&monotonic).unwrap(), "new");
    }
}

#[test]
fn a_watch_at_a_member_that_lags_is_late_and_complete() {
    let etcd = three();
    let writer = Client::new(etcd.clone(), [etcd.endpoint(1).url()]).unwrap();
    let mut events = client(&etcd).open(Watch::new("/a").from_index(etcd.index() + 1));
    etcd.endpoint(0).lag();
    block_on(async {
        for value in ["1", "2", "3"] {
            writer.v2().set("/a", value).await.unwrap();
        }
        assert!(events.next().now_or_never().is_none());
        let catch_up = async {
            etcd.sleep(seconds(5)).await;
            etcd.endpoint(0).catch_up_by(2);
            etcd.sleep(seconds(5)).await;
            etcd.endpoint(0).catch_up();
        };
        let (seen, ()) = join(events.take(3).collect::<Vec<_>>(), catch_up).await;
        let values = seen
            .into_iter()
            .map(|event| event.unwrap().node.value.unwrap());
        assert!(values.eq(["1", "2", "3"]));
        assert_eq!(etcd.elapsed(), seconds(10));
    });
}

/// Whether the store was set back concerns all watches of a request alike.
#[test]
fn a_set_that_resumes_at_a_member_that_lags_asks_the_majority_once() {
    let etcd = three();
    let writer = Client::new(etcd.clone(), [etcd.endpoint(2).url()]).unwrap();
    let urls = [1, 0, 2].map(|number| etcd.endpoint(number).url());
    let builder = Client::builder(etcd.clone()).endpoints(urls);
    let watcher = builder.protocol(Protocol::Gateway).build().unwrap();
    let set = WatchSet::new((0..50).map(|n| v3::Watch::new(format!("/k/{n}"))));
    let seen = watcher.open(set).take(3).collect::<Vec<_>>();
    let put = async |value| writer.v3().kv().put("/k/1", value).await.unwrap();
    let writes = async {
        etcd.sleep(seconds(1)).await;
        etcd.endpoint(0).lag();
        put("1").await;
        put("2").await;
        etcd.sleep(seconds(1)).await;
        etcd.clear_log();
        etcd.endpoint(1).stop();
        etcd.sleep(seconds(2)).await;
        etcd.endpoint(0).catch_up();
        put("3").await;
    };
    let (seen, ()) = block_on(join(seen, writes));
    let values = seen.into_iter().map(|item| {
        let changes = item.unwrap().changes.unwrap();
        changes.events[0].kv.value.clone()
    });
    assert!(values.eq(["1", "2", "3"]));
    etcd.assert_count(&When::any().path("/v3/kv/range"), 1);
}

#[test]
fn without_a_quorum_a_write_is_unknown_after_the_servers_seven_seconds_and_may_yet_be_done() {
    let etcd = three();
    let client = client(&etcd);
    block_on(client.v2().set("/a", "old")).unwrap();
    etcd.lose_quorum();
    let error = block_on(client.v2().set("/a", "new")).unwrap_err();
    assert_eq!(error.outcome(), Outcome::Unknown);
    assert_eq!(error.etcd_kind(), Some(EtcdErrorKind::RaftInternal));
    assert_eq!(etcd.elapsed(), FakeEtcd::QUORUM_TIMEOUT);
    assert_eq!(etcd.value("/a"), Some(b"old".to_vec()));
    etcd.regain_quorum();
    assert_eq!(etcd.value("/a"), Some(b"new".to_vec()));
}

#[test]
fn an_election_delays_writes_and_loses_none() {
    let etcd = three();
    let client = client(&etcd);
    block_on(async {
        etcd.begin_election();
        let leader = client.v2().get_leader();
        let writes = join_all((0..10).map(|n| client.v2().set(format!("/{n}"), "1")));
        let elected = async {
            etcd.sleep(seconds(1)).await;
            etcd.endpoint(2).lead();
        };
        let ((writes, ()), leader) = join(join(writes, elected), leader).await;
        assert!(writes.iter().all(Result::is_ok));
        if let Ok(leader) = leader {
            assert_eq!(leader.name, "infra2");
        }
    });
    etcd.assert_count(&When::method("PUT"), 10);
    assert_eq!(etcd.keys().len(), 10);
}

#[test]
fn a_sync_brings_members_and_leader_and_outlives_the_first() {
    let etcd = three();
    let builder = Client::builder(etcd.clone()).endpoints([etcd.endpoint(0).url()]);
    let client = builder.prefer_leader(true).build().unwrap();
    etcd.endpoint(2).lead();
    let sync = block_on(client.sync()).unwrap();
    assert_eq!(sync.endpoints.len(), 3);
    assert_eq!(sync.leader.unwrap().to_string(), etcd.endpoint(2).url());
    etcd.clear_log();
    block_on(client.v2().set("/a", "1")).unwrap();
    block_on(client.v2().get("/a")).unwrap();
    assert_eq!(asked(&etcd)[0], 2, "a write goes to the leader");
    etcd.endpoint(0).stop();
    block_on(client.v2().get("/a")).unwrap();
}

#[test]
fn a_store_that_lost_its_data_does_not_keep_a_watch_waiting_silently() {
    let etcd = jumping().build();
    let client = client(&etcd);
    for n in 0..20 {
        block_on(client.v2().set("/a", n.to_string())).unwrap();
    }
    let mut events = client.open(Watch::new("/a").from_index(etcd.index() + 1));
    etcd.wipe();
    let error = block_on(events.next()).unwrap().unwrap_err();
    assert!(
        error.to_string().contains("restored from a backup"),
        "{error}"
    );
    assert!(etcd.elapsed() < seconds(60));
}
