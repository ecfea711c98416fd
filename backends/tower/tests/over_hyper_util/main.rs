//! The contract of `etcd-transport`, kept over the client of hyper-util with layers around it, and what the contract does not
//! specify.

mod classifier;
mod specifics;

use std::time::Duration;

use etcd_transport::Body;
use etcd_transport_tower::{HttpService, TowerTransport};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};
use tower::ServiceBuilder;
use tower_http::trace::TraceLayer;

etcd_transport_conformance::test_suite!(transport(), block_on);

/// A transport over hyper-util's client, with layers.
fn transport() -> TowerTransport {
    TowerTransport::new(layered(client(false)), tokio::time::sleep)
        .with_http2(|| layered(client(true)))
        .classify(classifier::kind)
}

/// Adds a limit of concurrency, a time limit and a trace.
fn layered(client: Client<HttpConnector, Body>) -> impl HttpService {
    ServiceBuilder::new()
        .layer(TraceLayer::new_for_http())
        .concurrency_limit(100)
        .timeout(Duration::from_secs(30))
        .service(client)
}

fn client(is_http2: bool) -> Client<HttpConnector, Body> {
    let mut connector = HttpConnector::new();
    connector.set_connect_timeout(Some(Duration::from_secs(2)));
    connector.set_nodelay(true);
    let mut client = Client::builder(TokioExecutor::new());
    client
        .http2_only(is_http2)
        // Streams that are not read would use up the window of the connection, and stop all others.
        .http2_initial_connection_window_size((1 << 31) - 1);
    client.build(connector)
}

fn block_on<F: Future>(future: F) -> F::Output {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    runtime.expect("a runtime").block_on(future)
}
