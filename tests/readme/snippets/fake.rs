use etcd_http::{
    Client, Outcome, Result,
    fake::{FakeEtcd, Fault, When},
    v3::Put,
};
use std::time::Duration;

#[tokio::test]
async fn sessions_expire() -> Result<()> {
    let etcd = FakeEtcd::new();
    let client = Client::new(etcd.clone(), etcd.endpoints())?;
    let v3 = client.v3();
    let minute = Duration::from_secs(60);
    let lease = v3.leases().grant(minute).await?.id;
    client.send(Put::new("session", "me").lease(lease)).await?;
    etcd.advance(minute + Duration::from_secs(1));
    assert_eq!(v3.kv().get("session").await?, None);

    // etcd applies the write, and the response is lost.
    etcd.inject(When::any().once(), Fault::break_after());
    let put = v3.kv().put("color", "red").await;
    assert_eq!(put.unwrap_err().outcome(), Outcome::Unknown);
    assert_eq!(etcd.get("color").unwrap().value, "red");
    Ok(())
}
