//! Keys in and out of a real etcd, in a minute.
//!
//! ```text
//! cargo run --example quickstart --features reqwest,server
//! cargo run --example quickstart --features reqwest,server -- --endpoint http://127.0.0.1:2379
//! cargo run --example quickstart --features reqwest,isahc,server -- --isahc
//! ```

mod common;

use std::{env, error::Error, time::Duration};

use etcd_http::{
    Client,
    reqwest::ReqwestTransport,
    transport::Transport,
    v2::{Condition, Get, Set, Watch},
};
use futures::StreamExt;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let etcd = common::etcd()?;
    // The HTTP stack is a type parameter, and all that follows is the same for each.
    if env::args().any(|argument| argument == "--isahc") {
        #[cfg(feature = "isahc")]
        return tour(Client::<etcd_http::isahc::IsahcTransport>::connect([
            &etcd.url,
        ])?)
        .await;
        #[cfg(not(feature = "isahc"))]
        return Err("isahc is not built in: add it to --features".into());
    }
    tour(Client::<ReqwestTransport>::connect([&etcd.url])?).await
}

async fn tour<T: Transport>(client: Client<T>) -> Result<(), Box<dyn Error>> {
    println!("over {:?}", client.transport());
    let v2 = client.v2();

    // Every answer is an event: what was done, the node as it is now, and as it was before.
    let set = v2.set("/quickstart/color", "red").await?;
    println!("set    {} = red at index {}", set.node.key, set.index());
    let get = v2.get("/quickstart/color").await?;
    println!("get    {:?}", get.node.value);

    // Options make an operation a value of its own, and `send` carries it out.
    let short_lived = Set::new("/quickstart/session", "me").ttl(Duration::from_secs(60));
    client.send(short_lived).await?;
    let list = client.send(Get::new("/quickstart").sorted(true)).await?;
    for node in &list.node.nodes {
        println!("list   {} {:?}, ttl {:?}", node.key, node.value, node.ttl);
    }

    // Compare-and-swap: of all who read «red», one may change it. «No» is an error with a name.
    let (key, was_red) = ("/quickstart/color", Condition::value_is("red"));
    v2.compare_and_swap(key, "green", was_red.clone()).await?;
    match v2.compare_and_swap(key, "blue", was_red).await {
        Err(error) if error.is_compare_failed() => println!("cas    {error}"),
        other => return Err(format!("this cannot be: {other:?}").into()),
    }

    // A watch from an index on misses nothing, be it in the past or in the future.
    let from = Watch::new(key).from_index(set.index());
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
