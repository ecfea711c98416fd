//! How long hyper's transport may take to connect.

use std::{
    fs,
    time::{Duration, Instant},
};

use etcd_http::{Client, Outcome, Protocol, RetryPolicy, hyper::HyperTransport};
use harness::certificates::Authority;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, copy},
    net::{TcpListener, TcpStream},
    time::sleep,
};

use crate::servers::server;

const LIMIT: Duration = Duration::from_secs(4);

/// One limit for both, and not one for each.
#[test]
fn the_limit_for_connecting_includes_the_wait_for_the_servers_settings() {
    crate::run(async {
        let mut authority = Authority::new();
        let server = server(&authority.issue("127.0.0.1"));
        let address = server.client_url().replace("https://", "");
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let slow = format!("https://{}", listener.local_addr().unwrap());
        let relay = tokio::spawn(async move { relay_handshake(&listener, &address).await });
        let transport = HyperTransport::builder()
            .root_certificates(fs::read(authority.certificate()).unwrap())
            .connect_timeout(LIMIT)
            .build()
            .unwrap();
        let client = Client::builder(transport).endpoints([slow]);
        let client = client
            .protocol(Protocol::Grpc)
            .retry(RetryPolicy::never())
            .build()
            .unwrap();
        let began = Instant::now();
        let error = client.v3().kv().put("a", "1").await.unwrap_err();
        let elapsed = began.elapsed();
        relay.abort();
        assert!(error.to_string().contains("SETTINGS"), "{error}");
        assert_eq!(error.outcome(), Outcome::NotSent);
        assert!(elapsed < LIMIT * 3 / 2, "{elapsed:?}");
    });
}

/// Passes the server's part of the handshake on after most of the limit, and nothing of what the server sends later.
async fn relay_handshake(listener: &TcpListener, server: &str) {
    let (mut client, _) = listener.accept().await.unwrap();
    let (mut from_client, mut to_client) = client.split();
    let mut server = TcpStream::connect(server).await.unwrap();
    let (mut from_server, mut to_server) = server.split();
    let held_back = async {
        sleep(LIMIT * 3 / 4).await;
        let mut handshake = [0; 1 << 16];
        let count = from_server.read(&mut handshake).await.unwrap();
        to_client.write_all(&handshake[..count]).await.unwrap();
        std::future::pending::<()>().await;
    };
    let (passed, ()) = futures::join!(copy(&mut from_client, &mut to_server), held_back);
    passed.unwrap();
}
