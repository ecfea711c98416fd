use etcd_http::{
    Client, Result,
    v3::{Put, Txn},
};
use std::time::Duration;

async fn lead(client: &Client, me: &str) -> Result<bool> {
    let v3 = client.v3();
    let elections = v3.elections();
    let lease = v3.leases().grant(Duration::from_secs(30)).await?.id;

    // Waits until it is this candidate's turn.
    let won = elections.campaign("leader", lease, me).await?;
    let leader = won.leader;

    // Whatever a leader writes, it writes only while it leads.
    let plan = Put::new("plan", format!("by {me}"));
    let txn = Txn::new().when(leader.still_leads()).then(plan);
    let is_leader = client.send(txn).await?.succeeded;

    elections.resign(leader).await?;
    v3.leases().revoke(lease).await?;
    Ok(is_leader)
}
