//! Bodies of responses: streams that end cleanly or break off, and say which.

use std::time::Duration;

use etcd_transport::{Transport, http::Method, http_body::Body as _};

use super::{ENOUGH, MOMENT, broken, gate, get, request, send, text, within};
use crate::{Limits, Server};

const CHUNKED: &str = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n";

pub async fn frames_arrive_as_they_are_sent(transport: &dyn Transport, _: &Limits) {
    let (opener, gate) = gate();
    let server = Server::start(move |connection| {
        connection.read_request()?;
        connection.write(CHUNKED)?;
        for event in ["one", "two", "three"] {
            connection.write_chunk(event)?;
            gate.wait();
        }
        connection.write("0\r\n\r\n")
    });
    let mut body = send(transport, get(server.uri("/"))).await.into_body();
    for event in ["one", "two", "three"] {
        let frame = within(Duration::from_secs(5), body.frame()).await;
        let frame = frame.expect("a frame before the next one is sent");
        let data = frame.expect("not the end").expect("no error").into_data();
        assert_eq!(data.expect("data"), event);
        let early = within(MOMENT / 3, body.frame()).await;
        assert!(early.is_none(), "nothing more was sent: {early:?}");
        opener.open();
    }
    assert!(body.frame().await.is_none(), "a clean end");
}

pub async fn trailers_arrive(transport: &dyn Transport, _: &Limits) {
    let server = Server::responding(
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\ntrailer: grpc-status, x-sum\r\n\r\n\
         4\r\ndata\r\n0\r\ngrpc-status: 14\r\nx-sum: a b\r\n\r\n",
    );
    for _ in 0..2 {
        let mut body = send(transport, get(server.uri("/"))).await.into_body();
        let mut data = Vec::new();
        let mut trailers = None;
        while let Some(frame) = body.frame().await {
            assert!(trailers.is_none(), "trailers are the last frame");
            match frame.expect("a frame").into_data() {
                Ok(more) => data.extend_from_slice(&more),
                Err(frame) => trailers = frame.into_trailers().ok(),
            }
        }
        assert_eq!(data, b"data");
        let trailers = trailers.expect("trailers");
        assert_eq!(trailers["grpc-status"], "14");
        assert_eq!(trailers["x-sum"], "a b");
        assert!(body.frame().await.is_none(), "the end stays the end");
    }
}

pub async fn trailers_arrive_without_any_data(transport: &dyn Transport, limits: &Limits) {
    let server = Server::responding(format!("{CHUNKED}0\r\ngrpc-status: 5\r\n\r\n"));
    for _ in 0..2 {
        let response = send(transport, get(server.uri("/"))).await;
        let headers = response.headers().clone();
        let collected = response.into_body().collect_with_trailers(0).await;
        let trailers = collected.expect("no data").trailers;
        let trailers = if limits.joins_trailers {
            headers
        } else {
            trailers.expect("trailers")
        };
        assert_eq!(trailers["grpc-status"], "5");
    }
}

pub async fn an_empty_body_ends_at_once(transport: &dyn Transport, _: &Limits) {
    for answered in [
        "HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n",
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
        "HTTP/1.1 204 No Content\r\n\r\n",
        "HTTP/1.1 304 Not Modified\r\ncontent-length: 10\r\n\r\n",
    ] {
        let server = Server::responding(answered);
        let mut body = send(transport, get(server.uri("/"))).await.into_body();
        while let Some(frame) = body.frame().await {
            let frame = frame.expect("no error");
            assert!(
                frame.data_ref().is_none_or(|data| data.is_empty()),
                "{answered}: {frame:?}"
            );
        }
    }
}

pub async fn a_body_that_ends_with_the_connection_is_complete(
    transport: &dyn Transport,
    _: &Limits,
) {
    for head in ["HTTP/1.1 200 OK\r\n\r\n", "HTTP/1.0 200 OK\r\n\r\n"] {
        let server = Server::start(move |connection| {
            connection.read_request()?;
            connection.write(head)?;
            connection.write("no length")
        });
        let response = send(transport, get(server.uri("/"))).await;
        assert_eq!(text(response).await, "no length");
    }
}

pub async fn a_body_shorter_than_its_length_is_an_error(transport: &dyn Transport, _: &Limits) {
    for body in ["", "12345"] {
        let server = Server::start(move |connection| {
            connection.read_request()?;
            connection.write(format!(
                "HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\n{body}"
            ))
        });
        broken(transport, get(server.uri("/"))).await;
        assert_eq!(server.received().len(), 1);
    }
}

pub async fn a_chunked_body_without_its_end_is_an_error(transport: &dyn Transport, _: &Limits) {
    for body in ["", "5\r\n12345\r\n", "5\r\n123", "5\r\n12345\r\n0\r\n"] {
        let server = Server::start(move |connection| {
            connection.read_request()?;
            connection.write(format!("{CHUNKED}{body}"))
        });
        broken(transport, get(server.uri("/"))).await;
        assert_eq!(server.received().len(), 1);
    }
}

pub async fn a_body_cut_by_a_reset_is_an_error(transport: &dyn Transport, _: &Limits) {
    let (opener, gate) = gate();
    let server = Server::start(move |connection| {
        connection.read_request()?;
        connection.write(CHUNKED)?;
        connection.write_chunk("event")?;
        gate.wait();
        connection.reset()
    });
    let mut body = send(transport, get(server.uri("/"))).await.into_body();
    let first = body.frame().await.expect("not the end").expect("no error");
    assert_eq!(first.into_data().expect("data"), "event");
    opener.open();
    let cut = body.frame().await.expect("not a clean end");
    assert!(cut.is_err(), "{cut:?}");
    assert_eq!(server.received().len(), 1);
}

pub async fn an_encoded_body_arrives_untouched(transport: &dyn Transport, _: &Limits) {
    for encoding in ["gzip", "deflate", "br", "zstd"] {
        let server = Server::responding(format!(
            "HTTP/1.1 200 OK\r\ncontent-encoding: {encoding}\r\ncontent-length: 11\r\n\r\nnot decoded"
        ));
        let response = send(transport, get(server.uri("/"))).await;
        assert_eq!(response.headers()["content-encoding"], encoding);
        assert_eq!(response.headers()["content-length"], "11");
        assert_eq!(text(response).await, "not decoded");
    }
}

pub async fn eight_mebibytes_arrive(transport: &dyn Transport, _: &Limits) {
    let length = 8 << 20;
    let mut answered = format!("HTTP/1.1 200 OK\r\ncontent-length: {length}\r\n\r\n").into_bytes();
    let head = answered.len();
    answered.extend((0..length).map(pattern));
    let server = Server::responding(answered.clone());
    let body = send(transport, request(Method::POST, server.uri("/"), "all")).await;
    let body = body.into_body();
    assert!(
        body.size_hint()
            .upper()
            .is_none_or(|most| most == length as u64),
        "{:?}",
        body.size_hint()
    );
    let body = body.collect(ENOUGH).await.expect("the whole body");
    assert!(body == answered[head..], "{} bytes, or others", body.len());
}

pub async fn eight_mebibytes_arrive_in_chunks(transport: &dyn Transport, _: &Limits) {
    let chunk: Vec<u8> = (0..64 << 10).map(pattern).collect();
    let expected = chunk.repeat(128);
    let server = Server::start(move |connection| {
        connection.read_request()?;
        connection.write(CHUNKED)?;
        for _ in 0..128 {
            connection.write(format!("{:x}\r\n", chunk.len()))?;
            connection.write(&chunk)?;
            connection.write("\r\n")?;
        }
        connection.write("0\r\n\r\n")
    });
    let body = send(transport, get(server.uri("/"))).await.into_body();
    let body = body.collect(ENOUGH).await.expect("the whole body");
    assert!(body == expected, "{} bytes, or others", body.len());
}

/// The period is no power of two: neighboring blocks of any usual size differ.
fn pattern(index: usize) -> u8 {
    (index % 251) as u8
}
