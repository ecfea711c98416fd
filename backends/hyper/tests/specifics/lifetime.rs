//! When a connection of HTTP/2 ends.

use std::{pin::pin, time::Duration};

use etcd_transport::Transport;
use etcd_transport_hyper::HyperTransport;
use futures::future::select;

use crate::{http2, pass, silent_http2_server};

/// None of the requests is open for long enough to be pinged for.
#[tokio::test]
async fn a_peer_that_is_gone_is_noticed_by_short_requests_too() {
    let server = silent_http2_server();
    let transport = HyperTransport::default();
    for _ in 0..8 {
        let sent = transport.send(http2(server.uri("/")));
        let moment = pin!(tokio::time::sleep(Duration::from_millis(100)));
        select(sent, moment).await;
        // What gives up the request is sent.
        tokio::time::sleep(Duration::from_millis(20)).await;
        pass(Duration::from_secs(5)).await;
    }
    assert_eq!(server.connections(), 2);
}
