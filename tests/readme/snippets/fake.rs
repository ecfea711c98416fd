use etcd_http::{
    Client, Outcome, Result,
    fake::{FakeEtcd, Fault, When},
    v2::Set,
};
use std::time::Duration;

async fn sessions_expire() -> Result<()> {
    let etcd = FakeEtcd::new();
    let client = Client::new(etcd.clone(), etcd.endpoints())?;
    let minute = Duration::from_secs(60);
    client.send(Set::new("/session", "me").ttl(minute)).await?;
    etcd.advance(minute + Duration::from_secs(1));
    assert!(!client.v2().exists("/session").await?);

    // etcd applies the write, and the response is lost.
    etcd.inject(When::method("PUT").once(), Fault::break_after());
    let set = client.v2().set("/color", "red").await;
    assert_eq!(set.unwrap_err().outcome(), Outcome::Unknown);
    assert_eq!(etcd.value("/color"), Some(b"red".to_vec()));
    Ok(())
}
