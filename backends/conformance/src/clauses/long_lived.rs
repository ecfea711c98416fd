//! Long-lived exchanges: others do not wait for them, and they do not wait for one another.

use std::{pin::pin, time::Duration};

use etcd_transport::{
    Body, LongLived, Request, Transport,
    http::{Method, Version},
};
use futures::future::{Either, join_all, select};

use super::{http2, request, send, text, within};
use crate::{Limits, Server, http2::Http2Server};

/// The least limit of concurrent streams that RFC 9113 recommends to servers.
const RECOMMENDED: u32 = 100;

const SOON: Duration = Duration::from_secs(5);

pub async fn long_lived_requests_do_not_exhaust_a_pool(transport: &dyn Transport, _: &Limits) {
    let server = Server::start(|connection| {
        loop {
            let number = connection.read_request()?;
            if connection.target(number) == "/open" {
                connection.write("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n")?;
                connection.write_chunk("open")?;
                return connection.wait_until_closed();
            }
            connection.write(super::OK)?;
        }
    });
    let mut open = Vec::new();
    for _ in 0..40 {
        let long = long_lived(request(Method::POST, server.uri("/open"), "{}"));
        open.push(opened(transport, long).await);
    }
    for _ in 0..3 {
        let short = request(Method::POST, server.uri("/short"), "{}");
        answered_soon(transport, short).await;
    }
    drop(open);
}

pub async fn http2_long_lived_streams_do_not_block_others(
    transport: &dyn Transport,
    limits: &Limits,
) {
    if limits.refuses_http2 {
        return;
    }
    // Until a connection knows its server's limit, a transport may exceed it, and the server refuses the streams beyond. A
    // transport that cannot tell these from others fails their requests, unless the limit is the one that it assumes.
    let max_streams = if limits.cannot_tell_unprocessed {
        RECOMMENDED
    } else {
        4
    };
    let server = Http2Server::with_max_streams(max_streams);
    let long = || long_lived(http2(Method::POST, server.uri("/open"), "body"));
    let short = || http2(Method::POST, server.uri("/short"), "body");
    answered_soon(transport, short()).await;
    let mut open = Vec::new();
    for _ in 0..max_streams {
        open.push(opened(transport, long()).await);
    }
    // These may have to wait, if the transport cannot learn so low a limit.
    let waiting = join_all((0..4).map(|_| transport.send(long())));
    let others = async {
        for _ in 0..3 {
            join_all((0..8).map(|_| answered_soon(transport, short()))).await;
        }
    };
    let (waiting, others) = (pin!(waiting), pin!(others));
    if let Either::Left((opened, others)) = select(waiting, others).await {
        others.await;
        assert!(opened.iter().all(Result::is_ok), "{opened:?}");
    }
    drop(open);
}

pub async fn http2_long_lived_streams_are_not_limited_by_one_connection(
    transport: &dyn Transport,
    limits: &Limits,
) {
    if limits.refuses_http2 {
        return;
    }
    let server = Http2Server::with_max_streams(RECOMMENDED);
    let mut open = Vec::new();
    for _ in 0..RECOMMENDED + 20 {
        let long = http2(Method::POST, server.uri("/open"), "body");
        open.push(opened(transport, long_lived(long)).await);
    }
    let short = http2(Method::POST, server.uri("/short"), "body");
    answered_soon(transport, short).await;
    drop(open);
}

pub async fn http2_long_lived_streams_that_are_dropped_make_room(
    transport: &dyn Transport,
    limits: &Limits,
) {
    if limits.refuses_http2 {
        return;
    }
    let server = Http2Server::with_max_streams(4);
    for _ in 0..8 {
        let mut open = Vec::new();
        for _ in 0..3 {
            let long = http2(Method::POST, server.uri("/open"), "body");
            open.push(opened(transport, long_lived(long)).await);
        }
        drop(open);
    }
    let short = http2(Method::POST, server.uri("/short"), "body");
    answered_soon(transport, short).await;
}

fn long_lived(mut request: Request) -> Request {
    request.extensions_mut().insert(LongLived);
    request
}

/// Sends, reads the first frame, and returns the body, which stays open.
async fn opened(transport: &dyn Transport, request: Request) -> Body {
    let version = request.version();
    let opening = async {
        let mut body = send(transport, request).await.into_body();
        let frame = body.frame().await.expect("not the end").expect("no error");
        assert_eq!(frame.into_data().expect("data"), "open");
        body
    };
    let body = within(SOON, opening).await;
    body.unwrap_or_else(|| panic!("a long-lived request waits ({version:?})"))
}

async fn answered_soon(transport: &dyn Transport, request: Request) {
    let is_http2 = request.version() == Version::HTTP_2;
    let answered = within(SOON, async { text(send(transport, request).await).await }).await;
    let answered = answered.expect("a short request waits for long-lived ones");
    assert_eq!(answered, "ok", "over HTTP/2: {is_http2}");
}
