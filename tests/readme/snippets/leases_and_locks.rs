use etcd_http::{Client, Result, v3::Put};
use std::time::Duration;

async fn guarded(client: &Client) -> Result<()> {
    let v3 = client.v3();
    let lease = v3.leases().grant(Duration::from_secs(30)).await?;
    let lock = v3.lock("locks/report", lease.id).await?;

    // The key goes away with the lease, as the lock does.
    let status = Put::new("status/report", "running").lease(lease.id);
    client.send(status).await?;

    v3.unlock(lock.key).await?;
    v3.leases().revoke(lease.id).await?;
    Ok(())
}
