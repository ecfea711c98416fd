//! A proxy that says 404, 429 or a page with status 200 for two seconds, under streams that have worked before.

use std::{pin::pin, time::Duration};

use etcd_http::{
    transport::Transport,
    v2::Watch as WatchV2,
    v3::{KeyRange, LeaseKeeper, Mirror, Observe, Put, Watch},
};
use futures::{
    StreamExt,
    future::{Either, join, select},
};
use harness::{
    case::Etcd,
    cases,
    proxy::{Nginx, Page},
};

cases! {
    Shared {
        every_stream_goes_on_after_two_seconds_of_pages,
    }
}

/// Renewed every two seconds, it survives two seconds of pages.
const TTL: Duration = Duration::from_secs(6);

async fn every_stream_goes_on_after_two_seconds_of_pages<T: Transport>(etcd: Etcd<T>) {
    let proxy = Nginx::before(etcd.url()).unbuffered().start();
    let client = etcd.client_of(proxy.url());
    let (a, b, election) = (etcd.key("a"), etcd.key("b"), etcd.key("election"));
    let minute = Duration::from_secs(60);
    let lease = etcd.v3().leases().grant(minute).await.unwrap().id;
    let elections = || etcd.v3().elections();
    let leader = elections().campaign(&*election, lease, "0").await.unwrap();
    let leader = leader.leader;

    let start = etcd.v2().set(&a, "0").await.unwrap().index();
    let mut events = client.open(WatchV2::new(&a).from_index(start + 1));
    let mut changes = client.open(Watch::new(&*b));
    let mut mirror = Mirror::new(&client, KeyRange::prefix(&*b));
    mirror.next().await.unwrap();
    let mut leaders = client.open(Observe::new(&*election));
    assert_eq!(leaders.next().await.unwrap().unwrap().value, "0");
    let (keeper, keep) = LeaseKeeper::new(&client);

    let streams = async {
        let kept = keeper.grant(TTL).await.unwrap();
        let mut number = 0;
        let mut tell = async || {
            number += 1;
            let value = number.to_string();
            let write = async {
                let set = etcd.v2().set(&a, &value).await.unwrap();
                // After the streams have asked: the watch began at no revision.
                etcd.sleep(200).await;
                let put = etcd.send(Put::new(&*b, &*value)).await.unwrap();
                let proclaim = elections().proclaim(leader.clone(), &*value).await;
                proclaim.unwrap();
                (set.index(), put.header.revision)
            };
            let reported = async {
                let event = events.next().await.unwrap().unwrap();
                let change = changes.next().await.unwrap().unwrap();
                let update = mirror.next().await.unwrap();
                let leader = leaders.next().await.unwrap().unwrap();
                (
                    event.index(),
                    change.revision,
                    update.revision,
                    leader.value,
                )
            };
            let ((index, revision), reported) = join(write, reported).await;
            assert_eq!(reported, (index, revision, revision, value.into()));
        };
        tell().await;
        for page in [Page::NotFound, Page::TooManyRequests, Page::Maintenance] {
            proxy.show(Some(page));
            // Open streams break off, and what reconnects is shown the page.
            proxy.restart();
            let back = async {
                etcd.sleep(2_000).await;
                proxy.show(None);
            };
            // Something is written meanwhile.
            join(tell(), back).await;
            tell().await;
            // Long enough for a renewal before the next page.
            etcd.sleep(3_000).await;
            assert!(kept.is_alive());
        }
    };
    let (streams, keep) = (pin!(streams), pin!(keep));
    assert!(matches!(select(streams, keep).await, Either::Left(_)));
}
