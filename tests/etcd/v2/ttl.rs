//! Keys that expire.

use std::time::{Duration, SystemTime};

use etcd_http::{
    Error, EtcdErrorKind, Outcome,
    transport::{Transport, http::Method},
    v2::{
        Action, CompareAndSwap, Condition, Create, CreateDir, CreateInOrder, CreateInOrderDir, Get,
        Node, Refresh, Set, SetDir, Update, Watch,
    },
};
use futures::{StreamExt, TryStreamExt};
use harness::{
    case::{Etcd, refusal},
    cases,
};

cases! {
    any {
        Shared {
            v2_71_a_ttl_is_shown_with_the_time_of_its_end,
            v2_72_a_ttl_runs_down,
            every_write_takes_a_ttl,
            v2_70_a_write_without_a_ttl_takes_it_away,
            v2_73_a_ttl_of_zero_expires_at_once,
            v2_75_an_expiry_is_an_event,
            v2_76_an_expired_directory_is_one_event,
            v2_77_a_child_expires_without_its_directory,
            v2_60_a_refresh_keeps_the_value_and_the_created_index,
            v2_61_a_refresh_needs_the_key_to_be_there,
            a_refresh_keeps_a_key_alive,
            v2_62_a_refresh_is_no_event,
            a_refresh_of_a_directory_is_as_an_update_of_it,
            v2_74_the_longest_ttl_is_kept,
            v2_74_a_ttl_that_would_overflow_is_refused_before_it_is_sent,
            a_ttl_of_a_fraction_of_a_second_is_refused_before_it_is_sent,
        }
        Alone {
            v2_76_keys_expire_in_the_order_of_their_times,
        }
    }
}

const HUNDRED: Duration = Duration::from_secs(100);

/// The server and the test have the same clock, since they run on the same machine.
#[track_caller]
fn assert_expires_in(node: &Node, seconds: u64, since: SystemTime) {
    assert_eq!(node.ttl, Some(Duration::from_secs(seconds)));
    let left = node.expiration.unwrap().duration_since(since).unwrap();
    let ttl = Duration::from_secs(seconds);
    assert!(
        ttl <= left && left < ttl + Duration::from_secs(10),
        "{left:?}"
    );
}

async fn gone<T: Transport>(etcd: &Etcd<T>, key: &str) {
    while etcd.v2().exists(key).await.unwrap() {
        etcd.sleep(20).await;
    }
}

async fn v2_71_a_ttl_is_shown_with_the_time_of_its_end<T: Transport>(etcd: Etcd<T>) {
    let since = etcd.host().time();
    let set = Set::new(etcd.key("a"), "1").ttl(HUNDRED);
    let set = etcd.send(set).await.unwrap();
    assert_expires_in(&set.node, 100, since);
    let read = etcd.v2().get(etcd.key("a")).await.unwrap().node;
    assert_eq!(read.expiration, set.node.expiration);
    let listed = etcd.v2().get(etcd.root()).await.unwrap().node.nodes;
    assert_eq!(listed[0].expiration, set.node.expiration);
}

async fn v2_72_a_ttl_runs_down<T: Transport>(etcd: Etcd<T>) {
    let set = Set::new(etcd.key("a"), "1").ttl(HUNDRED);
    let end = etcd.send(set).await.unwrap().node.expiration;
    etcd.sleep(1100).await;
    let read = etcd.v2().get(etcd.key("a")).await.unwrap().node;
    assert!(read.ttl.unwrap() < HUNDRED);
    assert_eq!(read.expiration, end);
}

async fn every_write_takes_a_ttl<T: Transport>(etcd: Etcd<T>) {
    let since = etcd.host().time();
    let file = etcd.key("file");
    let set = etcd.send(Set::new(&file, "1").ttl(HUNDRED)).await.unwrap();
    let update = etcd
        .send(Update::new(&file, "2").ttl(HUNDRED))
        .await
        .unwrap();
    let is_two = Condition::value_is("2");
    let swap = CompareAndSwap::new(&file, "3", is_two).ttl(HUNDRED);
    let nodes = [
        set.node,
        update.node,
        etcd.send(swap).await.unwrap().node,
        etcd.send(Refresh::new(&file, HUNDRED)).await.unwrap().node,
        etcd.send(Create::new(etcd.key("a"), "1").ttl(HUNDRED))
            .await
            .unwrap()
            .node,
        etcd.send(SetDir::new(etcd.key("b")).ttl(HUNDRED))
            .await
            .unwrap()
            .node,
        etcd.send(CreateDir::new(etcd.key("c")).ttl(HUNDRED))
            .await
            .unwrap()
            .node,
        etcd.send(CreateInOrder::new(etcd.key("q"), "1").ttl(HUNDRED))
            .await
            .unwrap()
            .node,
        etcd.send(CreateInOrderDir::new(etcd.key("q")).ttl(HUNDRED))
            .await
            .unwrap()
            .node,
    ];
    for node in nodes {
        assert_expires_in(&node, 100, since);
    }
}

async fn v2_70_a_write_without_a_ttl_takes_it_away<T: Transport>(etcd: Etcd<T>) {
    let with_ttl = async || {
        let set = Set::new(etcd.key("a"), "1").ttl(HUNDRED);
        assert!(etcd.send(set).await.unwrap().node.ttl.is_some());
    };
    let swap = CompareAndSwap::new(etcd.key("a"), "2", Condition::value_is("1"));
    with_ttl().await;
    let set = etcd.v2().set(etcd.key("a"), "1").await.unwrap();
    with_ttl().await;
    let update = etcd.v2().update(etcd.key("a"), "1").await.unwrap();
    with_ttl().await;
    let swapped = etcd.send(swap).await.unwrap();
    for event in [set, update, swapped] {
        assert_eq!((event.node.ttl, event.node.expiration), (None, None));
        assert!(event.prev_node.unwrap().ttl.is_some());
    }
    assert_eq!(etcd.v2().get(etcd.key("a")).await.unwrap().node.ttl, None);
}

async fn v2_73_a_ttl_of_zero_expires_at_once<T: Transport>(etcd: Etcd<T>) {
    let set = Set::new(etcd.key("a"), "1").ttl(Duration::ZERO);
    let set = etcd.send(set).await.unwrap();
    assert_eq!(set.node.ttl, Some(Duration::ZERO));
    assert!(set.node.expiration.is_some());
    gone(&etcd, &etcd.key("a")).await;
}

async fn v2_75_an_expiry_is_an_event<T: Transport>(etcd: Etcd<T>) {
    let set = Set::new(etcd.key("a"), "1").ttl(Duration::ZERO);
    let set = etcd.send(set).await.unwrap();
    let watch = Watch::new(etcd.key("a")).from_index(set.index() + 1);
    let expired = etcd.open(watch).next().await.unwrap().unwrap();
    assert_eq!(expired.action, Action::Expire);
    assert_eq!(expired.node.key, etcd.key("a"));
    assert_eq!((expired.node.value, expired.node.ttl), (None, None));
    assert_eq!(expired.node.created_index, set.index());
    let before = expired.prev_node.unwrap();
    assert_eq!(before.value.as_deref(), Some("1"));
    assert_eq!(before.expiration, set.node.expiration);
    assert_eq!(before.ttl, Some(Duration::ZERO));
}

async fn v2_76_an_expired_directory_is_one_event<T: Transport>(etcd: Etcd<T>) {
    let (made, last) = loop {
        let make = CreateDir::new(etcd.key("d")).ttl(Duration::from_secs(1));
        let made = etcd.send(make).await.unwrap();
        etcd.v2().set(etcd.key("d/a"), "1").await.unwrap();
        let last = etcd.v2().set(etcd.key("d/b/c"), "1").await.unwrap();
        let dir = etcd.v2().get(etcd.key("d")).await.unwrap().node;
        if dir.created_index == made.index() {
            break (made, last);
        }
        // The machine stalled until it had expired: the keys are in another directory.
        etcd.v2().delete_tree(etcd.key("d")).await.unwrap();
    };
    let watch = Watch::new(etcd.root())
        .recursive(true)
        .from_index(last.index() + 1);
    let mut events = etcd.open(watch);
    let expired = events.next().await.unwrap().unwrap();
    assert_eq!(expired.action, Action::Expire);
    assert!(expired.node.dir);
    assert_eq!(expired.node.key, etcd.key("d"));
    assert_eq!(expired.node.created_index, made.index());
    assert!(!etcd.v2().exists(etcd.key("d/b/c")).await.unwrap());
    let after = etcd.v2().set(etcd.key("after"), "").await.unwrap();
    let next = events.next().await.unwrap().unwrap();
    assert_eq!(next.node, after.node);
}

async fn v2_77_a_child_expires_without_its_directory<T: Transport>(etcd: Etcd<T>) {
    etcd.v2().set(etcd.key("d/stays"), "1").await.unwrap();
    let set = Set::new(etcd.key("d/goes"), "1").ttl(Duration::ZERO);
    etcd.send(set).await.unwrap();
    gone(&etcd, &etcd.key("d/goes")).await;
    let dir = etcd.v2().get(etcd.key("d")).await.unwrap().node;
    assert_eq!(dir.nodes.len(), 1);
    assert_eq!(dir.nodes[0].name(), "stays");
}

async fn v2_60_a_refresh_keeps_the_value_and_the_created_index<T: Transport>(etcd: Etcd<T>) {
    let since = etcd.host().time();
    let set = etcd.v2().set(etcd.key("a"), "kept").await.unwrap();
    let refreshed = etcd.v2().refresh(etcd.key("a"), HUNDRED).await.unwrap();
    assert_eq!(refreshed.action, Action::Update);
    assert_eq!(refreshed.node.value.as_deref(), Some("kept"));
    assert_eq!(refreshed.node.created_index, set.index());
    assert!(refreshed.index() > set.index());
    assert_expires_in(&refreshed.node, 100, since);
    assert_eq!(refreshed.prev_node, Some(set.node));
}

async fn v2_61_a_refresh_needs_the_key_to_be_there<T: Transport>(etcd: Etcd<T>) {
    let error = etcd.v2().refresh(etcd.key("a"), HUNDRED).await;
    assert!(error.unwrap_err().is_key_not_found());
    assert!(!etcd.v2().exists(etcd.key("a")).await.unwrap());
}

async fn a_refresh_keeps_a_key_alive<T: Transport>(etcd: Etcd<T>) {
    let end = Duration::from_secs(600);
    loop {
        let set = Set::new(etcd.key("a"), "1").ttl(Duration::from_secs(1));
        etcd.send(set).await.unwrap();
        match etcd.v2().refresh(etcd.key("a"), end).await {
            Ok(_) => break,
            // The machine stalled until it had expired.
            Err(error) => assert!(error.is_key_not_found(), "{error}"),
        }
    }
    etcd.sleep(1700).await;
    assert!(etcd.v2().exists(etcd.key("a")).await.unwrap());
}

async fn v2_62_a_refresh_is_no_event<T: Transport>(etcd: Etcd<T>) {
    let set = etcd.v2().set(etcd.key("a"), "1").await.unwrap();
    etcd.v2().refresh(etcd.key("a"), HUNDRED).await.unwrap();
    let after = etcd.v2().set(etcd.key("a"), "2").await.unwrap();
    let from = |index| Watch::new(etcd.key("a")).from_index(index);
    let events = etcd.open(from(set.index())).take(2);
    let events: Vec<_> = events.try_collect().await.unwrap();
    assert_eq!(events[0].node, set.node);
    assert_eq!(events[1].node, after.node);

    // It is not an event of an open watch either.
    let mut waiting = etcd.open(from(after.index() + 1));
    let (event, update) = futures::join!(waiting.next(), async {
        etcd.sleep(100).await;
        etcd.v2().refresh(etcd.key("a"), HUNDRED).await.unwrap();
        etcd.v2().update(etcd.key("a"), "3").await.unwrap()
    });
    assert_eq!(event.unwrap().unwrap().index(), update.index());
}

/// <https://github.com/etcd-io/etcd/issues/13589>
async fn a_refresh_of_a_directory_is_as_an_update_of_it<T: Transport>(etcd: Etcd<T>) {
    etcd.v2().set_dir(etcd.key("d")).await.unwrap();
    let refreshed = etcd.v2().refresh(etcd.key("d"), HUNDRED).await;
    if etcd.is_3_5() {
        let error = refreshed.unwrap_err();
        assert!(matches!(error, Error::Unsupported(_)), "{error:?}");
    } else {
        assert_eq!(refreshed.unwrap().node.ttl, Some(HUNDRED));
    }
}

async fn v2_74_the_longest_ttl_is_kept<T: Transport>(etcd: Etcd<T>) {
    let longest = Duration::from_secs(6_000_000_000);
    let set = Set::new(etcd.key("a"), "1").ttl(longest);
    assert_eq!(etcd.send(set).await.unwrap().node.ttl, Some(longest));
    let update = Update::new(etcd.key("a"), "1").ttl(longest);
    let updated = etcd.send(update).await.unwrap().node;
    assert_eq!(updated.ttl, Some(longest));
    assert!(updated.expiration > Some(etcd.host().time()));
}

async fn v2_74_a_ttl_that_would_overflow_is_refused_before_it_is_sent<T: Transport>(etcd: Etcd<T>) {
    for seconds in [6_000_000_001, u64::MAX] {
        let set = Set::new(etcd.key("a"), "1").ttl(Duration::from_secs(seconds));
        let error = etcd.send(set).await.unwrap_err();
        assert_eq!(error.outcome(), Outcome::NotSent);
        assert_eq!(
            error.to_string(),
            format!(
                "v2.keys.set: a TTL of {seconds} s is more than etcd's limit of 6000000000 s: \
                 for a key that does not expire, omit the TTL"
            )
        );
    }
    assert!(!etcd.v2().exists(etcd.key("a")).await.unwrap());
    // etcd itself silently ignores one that ends after 2262.
    let put = etcd
        .request(Method::PUT, format!("/v2/keys{}", etcd.key("b")))
        .form("value", "1")
        .form("ttl", "7500000000");
    etcd.send(put).await.unwrap();
    assert_eq!(etcd.v2().get(etcd.key("b")).await.unwrap().node.ttl, None);
    // etcd rejects a TTL that is not a number.
    let put = etcd
        .request(Method::PUT, format!("/v2/keys{}", etcd.key("b")))
        .form("ttl", "-1");
    let (kind, code, _) = refusal(etcd.send(put).await);
    assert_eq!((kind, code), (EtcdErrorKind::InvalidTtl, Some(202)));
}

async fn a_ttl_of_a_fraction_of_a_second_is_refused_before_it_is_sent<T: Transport>(etcd: Etcd<T>) {
    let ttl = Duration::from_millis(1500);
    let error = etcd.send(Create::new(etcd.key("a"), "1").ttl(ttl)).await;
    assert_eq!(
        error.unwrap_err().to_string(),
        "v2.keys.create: a TTL of 1.5s is not a whole number of seconds, which the v2 API requires"
    );
    let error = etcd.v2().refresh(etcd.key("a"), ttl).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "v2.keys.refresh: a TTL of 1.5s is not a whole number of seconds, which the v2 API requires"
    );
    let none = etcd.send(Get::new(etcd.key("a"))).await;
    assert!(none.unwrap_err().is_key_not_found());
}

async fn v2_76_keys_expire_in_the_order_of_their_times<T: Transport>(etcd: Etcd<T>) {
    // The last is written first. Even if the machine stalls for two seconds, none has expired by then.
    let names = [("/c", 6), ("/a", 3), ("/b", 3)];
    let mut last = 0;
    for (key, seconds) in names {
        let set = Set::new(key, "1").ttl(Duration::from_secs(seconds));
        last = etcd.send(set).await.unwrap().index();
    }
    let watch = Watch::new("/").recursive(true).from_index(last + 1);
    let expired: Vec<_> = etcd.open(watch).take(3).try_collect().await.unwrap();
    let keys: Vec<_> = expired
        .iter()
        .map(|event| event.node.key.as_str())
        .collect();
    assert_eq!(keys, ["/a", "/b", "/c"]);
    let indexes: Vec<_> = expired.iter().map(|event| event.index()).collect();
    assert_eq!(indexes, [last + 1, last + 2, last + 3]);
    assert_eq!(etcd.v2().get_store_stats().await.unwrap().expire_count, 3);
}
