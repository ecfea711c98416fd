use etcd_http::{
    Client, Result,
    v2::{Condition, Get, Watch},
};
use futures::TryStreamExt;

async fn colors(client: &Client) -> Result<()> {
    let v2 = client.v2();
    let red = v2.set("/app/color", "red").await?;

    // Of several concurrent swaps, one succeeds.
    let is_red = Condition::value_is("red");
    let green = v2.compare_and_swap("/app/color", "green", is_red);
    assert_eq!(green.await?.node.value.as_deref(), Some("green"));

    // A linearizable listing.
    let list = Get::new("/app").sorted(true).quorum(true);
    let list = client.send(list).await?;
    assert_eq!(list.node.nodes[0].name(), "color");

    // Every event from an index on, once, in order.
    let watch = Watch::new("/app").recursive(true);
    let mut events = client.open(watch.from_index(red.index() + 1));
    let event = events.try_next().await?;
    assert_eq!(event.map(|it| it.node.key), Some("/app/color".into()));

    v2.delete_tree("/app").await?;
    Ok(())
}
