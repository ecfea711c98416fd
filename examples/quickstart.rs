//! Writes and reads keys, by the v3 API and by the v2 API.
//!
//! ```text
//! cargo run --example quickstart --features fake
//! cargo run --example quickstart --features fake,reqwest -- --endpoint http://127.0.0.1:2379
//! cargo run --example quickstart --features fake,isahc -- --isahc --endpoint http://127.0.0.1:2379
//! cargo run --example quickstart --features fake,reqwest,server -- --server
//! ```

use std::{env, error::Error, time::Duration};

#[cfg(feature = "isahc")]
use etcd_http::isahc::IsahcTransport;
#[cfg(feature = "reqwest")]
use etcd_http::reqwest::ReqwestTransport;
#[cfg(feature = "server")]
use etcd_http::server;
use etcd_http::{
    Client,
    fake::FakeEtcd,
    transport::Transport,
    v2::{self, Condition},
    v3::{Compare, EventKind, KeyRange, Put, Range, Txn, Watch},
};
use futures::StreamExt;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<_> = env::args().skip(1).collect();
    let arguments: Vec<_> = arguments.iter().map(String::as_str).collect();
    // The HTTP stack is a type parameter. The rest is the same for each.
    match arguments[..] {
        [] => {
            // An etcd in memory. It responds like a real one and starts in microseconds.
            let etcd = FakeEtcd::new();
            tour(Client::new(etcd.clone(), etcd.endpoints())?).await
        }
        #[cfg(feature = "reqwest")]
        ["--endpoint", url] => tour(Client::<ReqwestTransport>::connect([url])?).await,
        #[cfg(feature = "isahc")]
        ["--isahc", "--endpoint", url] => tour(Client::<IsahcTransport>::connect([url])?).await,
        #[cfg(all(feature = "reqwest", feature = "server"))]
        ["--server"] => {
            // A real etcd, installed first if necessary, and stopped when dropped.
            let etcd = server::start()?;
            tour(Client::<ReqwestTransport>::connect([etcd.client_url()])?).await
        }
        #[cfg(all(feature = "isahc", feature = "server"))]
        ["--isahc", "--server"] => {
            let etcd = server::start()?;
            tour(Client::<IsahcTransport>::connect([etcd.client_url()])?).await
        }
        _ => Err("usage: quickstart [[--isahc] (--endpoint URL | --server)], each with the feature that it requires".into()),
    }
}

async fn tour<T: Transport>(client: Client<T>) -> Result<(), Box<dyn Error>> {
    println!("over {:?}", client.transport());
    tour_of_v3(&client).await?;
    tour_of_v2(&client).await
}

async fn tour_of_v3<T: Transport>(client: &Client<T>) -> Result<(), Box<dyn Error>> {
    let v3 = client.v3();
    let kv = v3.kv();

    // Every write has a revision, which counts for all keys of the store.
    let key = "quickstart/color";
    let put = kv.put(key, "red").await?;
    println!("put    {key} = red at revision {}", put.header.revision);
    let color = kv.get(key).await?.ok_or("there is one")?;
    println!("get    {}, version {}", color.value_str()?, color.version);

    // An operation with options is a value, and `send` executes it. This key goes away with its lease.
    let lease = v3.leases().grant(Duration::from_secs(60)).await?;
    let session = Put::new("quickstart/session", "me").lease(lease.id);
    client.send(session).await?;
    let range = client
        .send(Range::new(KeyRange::prefix("quickstart/")))
        .await?;
    for kv in &range.kvs {
        println!("range  {:?} = {:?}", kv.key, kv.value);
    }

    // A transaction compares and writes: of several clients that have read "red", one changes it.
    for new in ["green", "blue"] {
        let was_red = Compare::value(key).equal("red");
        let txn = Txn::new().when(was_red).then(Put::new(key, new));
        let succeeded = client.send(txn).await?.succeeded;
        println!("txn    red to {new}: {succeeded}");
    }

    // A watch delivers every revision from one on, whether it is in the past or in the future.
    let mut revisions = client.open(Watch::new(key).from_revision(put.header.revision));
    kv.delete(KeyRange::prefix("quickstart/")).await?;
    while let Some(changes) = revisions.next().await {
        let changes = changes?;
        for event in &changes.events {
            println!("watch  {:?} at {}", event.kind, changes.revision);
        }
        if changes
            .events
            .iter()
            .any(|event| event.kind == EventKind::Delete)
        {
            break;
        }
    }
    v3.leases().revoke(lease.id).await?;
    Ok(())
}

/// The API of etcd up to 3.5 that has directories.
async fn tour_of_v2<T: Transport>(client: &Client<T>) -> Result<(), Box<dyn Error>> {
    let v2 = client.v2();

    // Every response is an event: an action, and the node after and before it.
    let set = v2.set("/quickstart/color", "red").await?;
    println!("set    {} = red at index {}", set.node.key, set.index());
    let get = v2.get("/quickstart/color").await?;
    println!("get    {:?}", get.node.value);

    // An operation with options is a value, and `send` executes it.
    let short_lived = v2::Set::new("/quickstart/session", "me").ttl(Duration::from_secs(60));
    client.send(short_lived).await?;
    let list = client
        .send(v2::Get::new("/quickstart").sorted(true))
        .await?;
    for node in &list.node.nodes {
        println!("list   {} {:?}, ttl {:?}", node.key, node.value, node.ttl);
    }

    // Compare-and-swap: of several clients that have read "red", one succeeds. For the others it is an error with a
    // predicate.
    let (key, was_red) = ("/quickstart/color", Condition::value_is("red"));
    v2.compare_and_swap(key, "green", was_red.clone()).await?;
    match v2.compare_and_swap(key, "blue", was_red).await {
        Err(error) if error.is_compare_failed() => println!("cas    {error}"),
        other => return Err(format!("unexpected: {other:?}").into()),
    }

    // A watch from an index on delivers every event, whether the index is in the past or in the future.
    let from = v2::Watch::new(key).from_index(set.index());
    let mut events = client.open(from.until(|event| event.node.value.is_none()));
    v2.delete(key).await?;
    while let Some(event) = events.next().await {
        let event = event?;
        println!("watch  {:?} {:?}", event.action, event.node.value);
    }

    v2.delete_tree("/quickstart").await?;
    println!("exists {}", v2.exists("/quickstart").await?);
    Ok(())
}
