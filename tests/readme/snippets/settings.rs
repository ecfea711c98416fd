use etcd_http::{
    Client, Result, RetryPolicy, SyncPolicy, transport::Transport,
};
use std::time::Duration;

fn connect(transport: impl Transport) -> Result<Client> {
    let inside = SyncPolicy::new().allow(|it| it.host().starts_with("10."));
    let client = Client::builder(transport)
        .endpoints(["https://10.0.0.1:2379", "https://10.0.0.2:2379"])
        .v3_auth("app", "secret")
        .timeout(Duration::from_secs(8))
        .retry(RetryPolicy::default().attempts(3))
        .sync_policy(inside)
        .observe(|it| println!("{} {}", it.operation, it.outcome))
        .build()?;
    Ok(client.into_dyn())
}
