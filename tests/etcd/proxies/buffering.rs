//! nginx with its defaults: it withholds a response until its end.

use std::{
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use etcd_http::{
    transport::Transport,
    v3::{DeleteRange, EventKind, KeyRange, Observe, Put, Watch},
};
use futures::{StreamExt, future::join};
use harness::{case::Etcd, cases, proxy::Nginx};

cases! {
    Shared {
        a_watch_through_an_nginx_that_buffers_misses_nothing_and_says_what_to_do,
        a_mirror_and_an_observer_go_through_an_nginx_that_buffers,
    }
}

const LIMIT: Duration = Duration::from_secs(20);

async fn a_watch_through_an_nginx_that_buffers_misses_nothing_and_says_what_to_do<T: Transport>(
    etcd: Etcd<T>,
) {
    const WRITES: usize = 40;
    let nginx = Nginx::before(etcd.url()).start();
    let reasons = Arc::new(Mutex::new(String::new()));
    let seen = Arc::clone(&reasons);
    let client = etcd
        .builder_of(nginx.url())
        .observe(move |attempt| *seen.lock().unwrap() += attempt.reason.as_deref().unwrap_or(""))
        .build()
        .unwrap();
    let began = Instant::now();
    let mut changes = client.open(Watch::new(KeyRange::prefix(etcd.key(""))));
    let writes = async {
        etcd.sleep(1_000).await;
        for number in 0..WRITES {
            let key = etcd.key("k");
            if number % 3 == 2 {
                etcd.send(DeleteRange::new(key)).await.unwrap();
            } else {
                etcd.send(Put::new(key, number.to_string())).await.unwrap();
            }
            etcd.sleep(500).await;
        }
    };
    let follow = async {
        let mut first = None;
        let mut kinds = Vec::new();
        while kinds.len() < WRITES {
            let changes = changes.next().await.unwrap().unwrap();
            first.get_or_insert(began.elapsed());
            kinds.extend(changes.events.into_iter().map(|event| event.kind));
        }
        (first.unwrap(), kinds)
    };
    let ((first, kinds), ()) = join(follow, writes).await;
    assert!(first < LIMIT, "{first:?}");
    for (number, kind) in kinds.into_iter().enumerate() {
        let is_delete = number % 3 == 2;
        assert_eq!(kind == EventKind::Delete, is_delete, "{number}");
    }
    let reasons = reasons.lock().unwrap();
    assert!(reasons.contains("proxy_buffering off"), "{reasons}");
}

async fn a_mirror_and_an_observer_go_through_an_nginx_that_buffers<T: Transport>(etcd: Etcd<T>) {
    let nginx = Nginx::before(etcd.url()).start();
    let client = etcd.client_of(nginx.url());
    let lease = etcd.v3().leases().grant(Duration::from_secs(60)).await;
    let name = etcd.key("e");
    let leader = etcd.v3();
    let campaign = leader.elections().campaign(&*name, lease.unwrap().id, "me");
    campaign.await.unwrap();
    let range = KeyRange::prefix(etcd.key("m"));
    let mut mirror = client.v3().mirror(range);
    mirror.next().await.unwrap();
    let began = Instant::now();
    let mut leaders = client.open(Observe::new(&*name));
    let (update, leads) = join(
        async {
            etcd.send(Put::new(etcd.key("m"), "x")).await.unwrap();
            mirror.next().await.unwrap()
        },
        leaders.next(),
    )
    .await;
    assert_eq!((update.changes.len(), update.is_listing), (1, false));
    assert_eq!(leads.unwrap().unwrap().value, "me");
    assert!(began.elapsed() < LIMIT, "{:?}", began.elapsed());
}
