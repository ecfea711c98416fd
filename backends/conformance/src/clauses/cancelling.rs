//! Silence, and dropping an exchange.

use std::{pin::pin, time::Duration};

use etcd_transport::{IdleLimit, Request, Transport};
use futures::future::{Either, select};

use super::{MOMENT, eventually, get, send, text, within};
use crate::{Limits, Server};

/// How long a request may travel on a busy machine.
const SOON: Duration = Duration::from_secs(10);

pub async fn silence_does_not_end_an_exchange(transport: &dyn Transport, _: &Limits) {
    let server = Server::start(|connection| {
        connection.read_request()?;
        std::thread::sleep(Duration::from_millis(2500));
        connection.write("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nfirst\r\n")?;
        std::thread::sleep(Duration::from_millis(2500));
        connection.write("6\r\nsecond\r\n0\r\n\r\n")
    });
    // The request's limit is ten seconds: the transport must have no shorter timeout of its own.
    let response = send(transport, get(server.uri("/"))).await;
    assert_eq!(text(response).await, "firstsecond");
}

pub async fn dropping_send_frees_the_connection(transport: &dyn Transport, limits: &Limits) {
    let server = Server::start(|connection| {
        connection.read_request()?;
        connection.wait_until_closed()
    });
    let mut sending = transport.send(impatient(&server));
    let arrives = eventually(SOON, || server.received().len() == 1);
    match select(&mut sending, pin!(arrives)).await {
        Either::Left((early, _)) => panic!("silence is no response: {early:?}"),
        Either::Right((has_arrived, _)) => assert!(has_arrived),
    }
    let early = within(MOMENT, &mut sending).await;
    assert!(early.is_none(), "silence is no response: {early:?}");
    drop(sending);
    assert_freed(&server, limits).await;
}

pub async fn dropping_a_body_frees_the_connection(transport: &dyn Transport, limits: &Limits) {
    let server = Server::start(|connection| {
        connection.read_request()?;
        connection.write("HTTP/1.1 200 OK\r\ncontent-length: 1000000\r\n\r\n")?;
        // Sends until the client closes the connection.
        while connection.write([7; 1000]).is_ok() {
            std::thread::sleep(Duration::from_millis(20));
        }
        connection.wait_until_closed()
    });
    let mut body = send(transport, impatient(&server)).await.into_body();
    assert!(body.frame().await.is_some_and(|frame| frame.is_ok()));
    drop(body);
    assert_freed(&server, limits).await;
}

pub async fn dropping_a_silent_body_frees_the_connection(
    transport: &dyn Transport,
    limits: &Limits,
) {
    let server = Server::start(|connection| {
        connection.read_request()?;
        connection.write("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nfirst\r\n")?;
        connection.wait_until_closed()
    });
    let mut body = send(transport, impatient(&server)).await.into_body();
    assert!(body.frame().await.is_some_and(|frame| frame.is_ok()));
    drop(body);
    assert_freed(&server, limits).await;
}

fn impatient(server: &Server) -> Request {
    let mut request = get(server.uri("/"));
    let limit = IdleLimit(Duration::from_secs(1));
    request.extensions_mut().insert(limit);
    request
}

async fn assert_freed(server: &Server, limits: &Limits) {
    let limit = limits.frees_dropped_within;
    let freed = eventually(limit, || server.closed() == 1).await;
    assert!(freed, "the connection is still there after {limit:?}");
}
