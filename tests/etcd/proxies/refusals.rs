//! Proxies that refuse every request: etcd did nothing, so the next endpoint is asked, for writes too.

use std::{pin::pin, time::Duration};

use etcd_http::{
    Client, Outcome, RetryPolicy,
    transport::Transport,
    v2::Watch as WatchV2,
    v3::{KeyRange, LeaseKeeper, Mirror, Put, Range, Watch},
};
use futures::{
    StreamExt,
    future::{Either, join, join_all, select},
};
use harness::{
    case::Etcd,
    cases,
    proxy::{Nginx, Page, Proxy},
};

use crate::works::works;

cases! {
    Shared {
        a_proxy_that_refuses_is_passed_over_by_every_call,
        a_proxy_that_refuses_is_passed_over_by_every_stream,
        a_proxy_that_refuses_alone_is_named_with_its_reason,
        a_page_in_place_of_a_response_leaves_a_write_unknown_and_a_read_goes_on,
    }
}

/// What proves that nothing was done.
const REFUSALS: [Page; 5] = [
    Page::NotFound,
    Page::Unauthorized,
    Page::Forbidden,
    Page::TooManyRequests,
    Page::Moved,
];

fn refusing<T: Transport>(etcd: &Etcd<T>, page: Page) -> Proxy {
    let nginx = Nginx::before(etcd.url()).unbuffered().start();
    nginx.show(Some(page));
    nginx
}

/// A client that asks a proxy first.
fn client<T: Transport>(etcd: &Etcd<T>, proxy: &Proxy) -> Client<T> {
    let builder = etcd.builder_of(proxy.url());
    builder.endpoints([etcd.url()]).build().unwrap()
}

async fn a_proxy_that_refuses_is_passed_over_by_every_call<T: Transport>(etcd: Etcd<T>) {
    for page in REFUSALS {
        let proxy = refusing(&etcd, page);
        // Each begins with the proxy.
        let fresh = || client(&etcd, &proxy);
        let key = etcd.key(format!("{page:?}"));
        fresh().v2().set(&key, "1").await.unwrap();
        fresh().v2().get(&key).await.unwrap();
        fresh()
            .v2()
            .create_in_order(&*etcd.key("queue"), "job")
            .await
            .unwrap();
        fresh().v3().kv().put(&*key, "1").await.unwrap();
        fresh().v3().kv().get(&*key).await.unwrap().unwrap();
        let minute = Duration::from_secs(60);
        let lease = fresh().v3().leases().grant(minute).await.unwrap().id;
        let left = fresh().v3().leases().keep_alive_once(lease).await.unwrap();
        assert_eq!(left, Some(minute));
        let held = fresh().v3().lock(etcd.key("lock"), lease).await.unwrap();
        fresh().v3().unlock(held.key).await.unwrap();
        let name = etcd.key("election");
        let campaign = fresh().v3().elections().campaign(&*name, lease, "x").await;
        fresh()
            .v3()
            .elections()
            .resign(campaign.unwrap().leader)
            .await
            .unwrap();
        works(&fresh(), &etcd.key(format!("all/{page:?}"))).await;
    }
}

async fn a_proxy_that_refuses_is_passed_over_by_every_stream<T: Transport>(etcd: Etcd<T>) {
    let passed_over = async |page| {
        let proxy = refusing(&etcd, page);
        let fresh = || client(&etcd, &proxy);
        let key = etcd.key(format!("{page:?}"));
        let set = etcd.v2().set(&key, "1").await.unwrap();
        let mut events = fresh().open(WatchV2::new(&key).from_index(set.index()));
        assert_eq!(events.next().await.unwrap().unwrap().index(), set.index());
        let put = etcd.send(Put::new(&*key, "1")).await.unwrap().header;
        let mut changes = fresh().open(Watch::new(&*key).from_revision(put.revision));
        let seen = changes.next().await.unwrap().unwrap();
        assert_eq!(seen.revision, put.revision);
        let mut mirror = Mirror::new(&fresh(), KeyRange::key(&*key));
        assert_eq!(mirror.next().await.unwrap().changes.len(), 1);
        let (keeper, run) = LeaseKeeper::new(&fresh());
        let held = async {
            // Longer than a likely stall of the machine.
            let lease = keeper.grant(Duration::from_secs(5)).await.unwrap();
            etcd.sleep(7_000).await;
            assert!(lease.is_alive());
        };
        // The keeper runs as long as it has leases.
        let (held, run) = (pin!(held), pin!(run));
        assert!(matches!(select(held, run).await, Either::Left(_)));
    };
    join_all(REFUSALS.map(passed_over)).await;
}

async fn a_proxy_that_refuses_alone_is_named_with_its_reason<T: Transport>(etcd: Etcd<T>) {
    for page in REFUSALS {
        let proxy = refusing(&etcd, page);
        let alone = etcd
            .builder_of(proxy.url())
            .retry(RetryPolicy::default().attempts(2))
            .build()
            .unwrap();
        let key = etcd.key("a");
        let (v2, v3) = join(alone.v2().set(&key, "1"), alone.v3().kv().put(&*key, "1")).await;
        for error in [v2.unwrap_err(), v3.unwrap_err()] {
            let text = error.to_string();
            assert_eq!(error.outcome(), Outcome::Rejected, "{text}");
            assert!(text.contains(&proxy.url()), "{text}");
            let reason = match page {
                Page::NotFound => "is the path of this endpoint wrong?".to_owned(),
                Page::Moved => "redirected to".to_owned(),
                page => page.status().to_string(),
            };
            assert!(text.contains(&reason), "{text}");
            assert!(!text.contains("enable-v2"), "{text}");
        }
    }
}

async fn a_page_in_place_of_a_response_leaves_a_write_unknown_and_a_read_goes_on<T: Transport>(
    etcd: Etcd<T>,
) {
    for page in [Page::Maintenance, Page::Unavailable] {
        let proxy = refusing(&etcd, page);
        let fresh = || client(&etcd, &proxy);
        let (set, key) = (etcd.key("a"), etcd.key("b"));
        let written = fresh().v2().set(&set, "1").await.map(drop);
        let put = fresh().v3().kv().put(&*key, "1").await.map(drop);
        for error in [written.unwrap_err(), put.unwrap_err()] {
            assert_eq!(error.outcome(), Outcome::Unknown, "{error}");
        }
        assert!(!fresh().v2().exists(&set).await.unwrap());
        let range = fresh().send(Range::new(KeyRange::key(&*key))).await;
        assert_eq!(range.unwrap().count, 0);
    }
}
