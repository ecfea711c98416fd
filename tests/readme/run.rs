// What runs the README's snippets, included by each: an etcd in memory, or one of its own and a client over reqwest.

fn run() -> Result<(), Box<dyn std::error::Error>> {
    #[cfg(feature = "fake")]
    {
        use etcd_http::fake::{Clock, FakeEtcd};
        let etcd = FakeEtcd::builder().clock(Clock::auto()).build();
        let client = etcd_http::Client::new(etcd.clone(), etcd.endpoints())?;
        futures::executor::block_on(example(&client))?;
    }
    run_on_a_server()
}

/// For what the fake has not: the v3 API.
#[cfg(all(feature = "reqwest", feature = "server"))]
fn run_on_a_server() -> Result<(), Box<dyn std::error::Error>> {
    let etcd = etcd_http::server::start()?;
    let runtime = tokio::runtime::Runtime::new()?;
    runtime.block_on(async {
        let client = etcd_http::Client::<etcd_http::reqwest::ReqwestTransport>::connect([etcd.client_url()])?;
        Ok(example(&client).await?)
    })
}

/// Without these features the snippets are only compiled.
#[cfg(not(all(feature = "reqwest", feature = "server")))]
fn run_on_a_server() -> Result<(), Box<dyn std::error::Error>> {
    let _ = example::<std::sync::Arc<dyn etcd_http::transport::Transport>>;
    Ok(())
}
