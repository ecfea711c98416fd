//! Sets of watches that change while they are open: over plain HTTP, by one request after the other.

use std::{
    collections::BTreeSet,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
};

use etcd_http::{
    Client, Error,
    transport::Transport,
    v3::{Permission, PermissionType, Put, Watch, WatchSet},
};
use futures::StreamExt;
use harness::{case::Etcd, cases, watch_set_churn::churn};

cases! {
    Shared {
        a_set_that_changes_loses_and_duplicates_nothing,
        changes_that_come_together_take_one_request,
        a_set_begins_with_nothing_and_ends_with_nothing,
        v3_86_hundreds_of_watches_are_created_by_one_request,
    }
    Alone {
        v3_89_what_is_added_and_not_permitted_ends_alone,
    }
}

#[cfg(all(feature = "reqwest", feature = "server"))]
harness::stamp!(
    reqwest_grpc,
    harness::backend::Grpc<harness::real::Real<etcd_http::reqwest::ReqwestTransport, harness::real::Tokio>>:
    Shared {
        a_set_begins_with_nothing_and_ends_with_nothing,
        v3_86_hundreds_of_watches_are_created_by_one_request,
        by_grpc_a_set_changes_on_one_request,
    }
    Alone {
        v3_89_what_is_added_and_not_permitted_ends_alone,
    }
);

/// A client, and how many requests for watches it has sent.
fn counting<T: Transport>(etcd: &Etcd<T>) -> (Client<T>, Arc<AtomicUsize>) {
    let requests = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&requests);
    let client = etcd.client(|builder| {
        builder.observe(move |attempt| {
            count.fetch_add(usize::from(attempt.operation == "v3.watch"), Relaxed);
        })
    });
    (client, requests)
}

async fn a_set_that_changes_loses_and_duplicates_nothing<T: Transport>(etcd: Etcd<T>) {
    let (client, requests) = counting(&etcd);
    churn(&client, &etcd.key("churn"), 60).await;
    let requests = requests.load(Relaxed);
    assert!(requests > 1, "over http a change takes another request");
}

async fn by_grpc_a_set_changes_on_one_request<T: Transport>(etcd: Etcd<T>) {
    let (client, requests) = counting(&etcd);
    churn(&client, &etcd.key("churn"), 60).await;
    assert_eq!(requests.load(Relaxed), 1);
}

async fn changes_that_come_together_take_one_request<T: Transport>(etcd: Etcd<T>) {
    let (client, requests) = counting(&etcd);
    let put = client.send(Put::new(etcd.key("a"), "")).await.unwrap();
    let watch = Watch::new(etcd.key("a")).from_revision(put.header.revision);
    let (set, control) = WatchSet::new([watch.clone()]).controlled();
    let mut items = client.open(set);
    assert_eq!(items.next().await.unwrap().unwrap().watch, 0);
    let mut added: BTreeSet<usize> = (0..20)
        .map(|_| control.add(watch.clone()).unwrap())
        .collect();
    while !added.is_empty() {
        assert!(added.remove(&items.next().await.unwrap().unwrap().watch));
    }
    assert_eq!(requests.load(Relaxed), 2);
}

/// etcd's server discards the unread rest of a request when it begins to respond, unless the connection closes.
async fn v3_86_hundreds_of_watches_are_created_by_one_request<T: Transport>(etcd: Etcd<T>) {
    let (client, requests) = counting(&etcd);
    let put = client.send(Put::new(etcd.key("a"), "")).await.unwrap();
    for round in 1..=10 {
        let watch = Watch::new(etcd.key("a")).from_revision(put.header.revision);
        let mut items = client.open(WatchSet::new(vec![watch; 300]));
        let mut seen = BTreeSet::new();
        while seen.len() < 300 {
            let item = items.next().await.unwrap().unwrap();
            assert!(item.changes.is_ok());
            seen.insert(item.watch);
        }
        assert_eq!(requests.load(Relaxed), round);
    }
}

async fn a_set_begins_with_nothing_and_ends_with_nothing<T: Transport>(etcd: Etcd<T>) {
    let (set, control) = WatchSet::default().controlled();
    let mut items = etcd.open(set);
    let put = |value| etcd.send(Put::new(etcd.key("a"), value));
    let before = put("0").await.unwrap().header.revision;
    let add = async {
        etcd.sleep(300).await;
        let watch = Watch::new(etcd.key("a")).from_revision(before + 1);
        assert_eq!(control.add(watch).unwrap(), 0);
        put("1").await.unwrap().header.revision
    };
    let (item, revision) = futures::join!(items.next(), add);
    assert_eq!(item.unwrap().unwrap().changes.unwrap().revision, revision);
    control.cancel(0);
    let first = put("2").await.unwrap().header.revision;
    // The same key again is another watch.
    let again = Watch::new(etcd.key("a")).from_revision(first);
    assert_eq!(control.add(again).unwrap(), 1);
    let item = items.next().await.unwrap().unwrap();
    assert_eq!((item.watch, item.changes.unwrap().revision), (1, first));
    control.cancel(1);
    drop(control);
    assert!(items.next().await.is_none());
}

async fn v3_89_what_is_added_and_not_permitted_ends_alone<T: Transport>(etcd: Etcd<T>) {
    let auth = etcd.v3().auth();
    for user in ["root", "reader"] {
        auth.add_user(user, "r").await.unwrap();
        auth.add_role(user).await.unwrap();
        auth.grant_role(user, user).await.unwrap();
    }
    let read = Permission::new(PermissionType::Read, "open");
    auth.grant_permission("reader", read).await.unwrap();
    auth.enable().await.unwrap();
    let root = etcd.client(|builder| builder.v3_auth("root", "r"));
    let reader = etcd.client(|builder| builder.v3_auth("reader", "r"));
    let put = |value| root.send(Put::new("open", value));
    let first = put("1").await.unwrap().header.revision;
    let watch = Watch::new("open").from_revision(first);
    let (set, control) = WatchSet::new([watch]).controlled();
    let mut items = reader.open(set);
    let next = async |items: &mut futures::stream::BoxStream<'_, Result<_, Error>>| {
        let item: etcd_http::v3::WatchSetItem = items.next().await.unwrap().unwrap();
        let changes = item.changes;
        (
            item.watch,
            changes
                .map(|changes| changes.revision)
                .map_err(|error| error.is_permission_denied()),
        )
    };
    assert_eq!(next(&mut items).await, (0, Ok(first)));
    for watch in [
        Watch::new("closed"),
        Watch::new("closed").from_revision(first),
    ] {
        let number = control.add(watch).unwrap();
        assert_eq!(next(&mut items).await, (number, Err(true)));
        let revision = put("2").await.unwrap().header.revision;
        assert_eq!(next(&mut items).await, (0, Ok(revision)));
    }
}
