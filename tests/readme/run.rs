// What runs the README's snippets, included by each: an etcd of its own, and a client over reqwest.

#[cfg(all(feature = "reqwest", feature = "server"))]
fn run() -> Result<(), Box<dyn std::error::Error>> {
    let etcd = etcd_http::server::start()?;
    let runtime = tokio::runtime::Runtime::new()?;
    runtime.block_on(async {
        let client = etcd_http::Client::<etcd_http::reqwest::ReqwestTransport>::connect([etcd.client_url()])?;
        Ok(example(&client).await?)
    })
}

/// Without these features the snippets are only compiled.
#[cfg(not(all(feature = "reqwest", feature = "server")))]
fn run() -> Result<(), Box<dyn std::error::Error>> {
    let _ = example::<std::sync::Arc<dyn etcd_http::transport::Transport>>;
    Ok(())
}
