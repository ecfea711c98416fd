use etcd_http::{
    Client, Result,
    v3::{Compare, Put, Txn},
};

async fn claim(client: &Client, job: &str) -> Result<bool> {
    let is_free = Compare::missing(job);
    let claim = Put::new(job, "worker-7");
    let txn = Txn::new().when(is_free).then(claim);
    Ok(client.send(txn).await?.succeeded)
}
