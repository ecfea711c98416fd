use etcd_http::{
    Client, Result,
    v3::{Compare, LeaseKeeper, Lock, Put, Txn},
};
use futures::future::{Either, select};
use std::{pin::pin, time::Duration};

async fn report(client: &Client, work: impl Future) -> Result<bool> {
    let (keeper, renewals) = LeaseKeeper::new(client);
    let held = async move {
        let lease = keeper.grant(Duration::from_secs(10)).await?;
        let lock = Lock::new("locks/report", lease.id());
        let key = client.send(lock).await?.key;

        // The work stops two seconds before the lock could be lost.
        let margin = Duration::from_secs(2);
        let lost = pin!(lease.lost_before(margin));
        if let Either::Right((loss, _)) = select(pin!(work), lost).await {
            println!("stopped: {loss}");
            return Ok(false);
        }
        // What the lock protects changes only while it is held.
        let done = Put::new("report", "done");
        let txn = Txn::new().when(Compare::exists(key)).then(done);
        let is_done = client.send(txn).await?.succeeded;
        // The lock goes with its lease.
        client.v3().leases().revoke(lease.id()).await?;
        Ok(is_done)
    };
    // `renewals` may be spawned on any runtime instead.
    let (is_done, ()) = futures::join!(held, renewals);
    is_done
}
