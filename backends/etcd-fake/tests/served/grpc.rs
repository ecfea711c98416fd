//! gRPC on the port of the program, beside HTTP/1.1.

use std::{
    io::{BufRead, BufReader},
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use fake_harness::{
    Request,
    http2::{GrpcRequest, Http2, Next},
    raw::Connection,
};

use crate::Served;

const RANGE: &str = "/etcdserverpb.KV/Range";
const PUT: &str = "/etcdserverpb.KV/Put";
const WATCH: &str = "/etcdserverpb.Watch/Watch";

/// Longer than any message takes.
const TIME_LIMIT: Duration = Duration::from_secs(10);

fn put(value: &[u8]) -> GrpcRequest {
    let length = value.len();
    let mut message = b"\x0a\x01a\x12".to_vec();
    // Three bytes are enough for a length.
    message.extend([
        (length & 0x7f) as u8 | 0x80,
        (length >> 7 & 0x7f) as u8 | 0x80,
        (length >> 14) as u8,
    ]);
    message.extend_from_slice(value);
    GrpcRequest::new(PUT, &[&message])
}

#[test]
fn one_port_serves_json_and_grpc() {
    let served = Served::start(&[]);
    let mut grpc = Http2::connect(&served.url);
    let done = grpc.ask(&put(b"from gRPC"));
    assert_eq!((done.http, done.code.as_deref()), (200, Some("0")));
    let mut json = Connection::new(served.address());
    let reply = json.ask(&Request::new("POST", "/v3/kv/range").json("{\"key\":\"YQ==\"}"));
    assert_eq!(reply.json()["kvs"][0]["value"], "ZnJvbSBnUlBD");
}

#[test]
fn messages_larger_than_a_window_flow() {
    let served = Served::start(&[]);
    let mut grpc = Http2::connect(&served.url);
    let value = vec![b'x'; 1_000_000];
    assert_eq!(grpc.ask(&put(&value)).code.as_deref(), Some("0"));
    let read = grpc.ask(&GrpcRequest::new(RANGE, &[b"\x0a\x01a"]));
    let message = &read.messages[0];
    assert!(message.windows(value.len()).any(|part| part == value));
}

#[test]
fn metadata_may_be_large() {
    let served = Served::start(&[]);
    let mut grpc = Http2::connect(&served.url);
    for size in [20_000, 100_000, 1_000_000] {
        let request = put(b"x").header("x", &"y".repeat(size));
        assert_eq!(grpc.ask(&request).code.as_deref(), Some("0"), "{size}");
    }
}

#[test]
fn a_stream_that_is_not_grpc_is_reset_and_the_connection_goes_on() {
    let served = Served::start(&["--profile", "3.4"]);
    let mut grpc = Http2::connect(&served.url);
    let range = GrpcRequest::new(RANGE, &[b"\x0a\x01a"]);
    let json = range.clone().header("content-type", "application/json");
    assert!(grpc.ask(&json).is_reset);
    assert_eq!(grpc.ask(&range).code.as_deref(), Some("0"));
}

#[test]
fn hundreds_of_streams_share_a_connection() {
    let served = Served::start(&[]);
    let mut grpc = Http2::connect(&served.url);
    let watch = GrpcRequest {
        stays_open: true,
        ..GrpcRequest::new(WATCH, &[b"\x0a\x03\x0a\x01a"])
    };
    let mut watches: Vec<_> = (0..500).map(|_| grpc.open(&watch)).collect();
    for watch in &mut watches {
        assert!(
            matches!(watch.next(TIME_LIMIT), Next::Message(_)),
            "created"
        );
    }
    grpc.ask(&put(b"x"));
    for watch in &mut watches {
        assert!(
            matches!(watch.next(TIME_LIMIT), Next::Message(_)),
            "an event"
        );
    }
}

#[test]
fn at_sigterm_clients_are_notified_and_streams_end() {
    let mut process = Command::new(env!("CARGO_BIN_EXE_etcd-fake"))
        .args(["--listen-client-urls", "http://127.0.0.1:0"])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(process.stdout.take().unwrap()).lines();
    let line = lines.next().unwrap().unwrap();
    let url = line.split_once("serving ").unwrap().1;
    let mut grpc = Http2::connect(url);
    let watch = GrpcRequest {
        stays_open: true,
        ..GrpcRequest::new(WATCH, &[b"\x0a\x03\x0a\x01a"])
    };
    let mut watch = grpc.open(&watch);
    assert!(matches!(watch.next(TIME_LIMIT), Next::Message(_)));
    let pid = process.id().to_string();
    let began = Instant::now();
    assert!(Command::new("kill").arg(&pid).status().unwrap().success());
    assert_eq!(watch.next(TIME_LIMIT), Next::End, "the stream is cut");
    assert!(process.wait().unwrap().success());
    assert!(began.elapsed() < Duration::from_secs(5));
    let refused = grpc.ask(&GrpcRequest::new(RANGE, &[b"\x0a\x01a"]));
    assert!(refused.is_reset);
}
