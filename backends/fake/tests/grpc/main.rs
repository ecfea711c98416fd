//! gRPC over the fake, in process, and over real servers: status, text, and messages must be the same.

mod requests;

use std::time::SystemTime;

use etcd_http_fake::{FakeEtcd, Profile};
use fake_harness::http2::{GrpcResponse, Http2, ask_fake, without_ids};
use fake_harness::real::{Real, binaries};

/// A fake like a real server.
fn fake_like(real: &Real) -> FakeEtcd {
    let profile = if real.version.starts_with("3.4") {
        Profile::V3_4
    } else {
        Profile::V3_5
    };
    FakeEtcd::builder()
        .profile(profile)
        .member("default", &real.client_url)
        .start_time(SystemTime::now())
        .build()
}

/// A response with revisions in place of headers.
fn shown(answer: GrpcResponse) -> (GrpcResponse, Vec<i64>) {
    let (messages, revisions) = answer.messages.iter().map(|m| without_ids(m)).unzip();
    (GrpcResponse { messages, ..answer }, revisions)
}

#[test]
fn every_request_is_answered_as_the_real_servers_do() {
    for binary in binaries() {
        let real = Real::start_with(&binary, &[]);
        let etcd = fake_like(&real);
        let mut connection = Http2::connect(&real.client_url);
        let is_3_4 = real.version.starts_with("3.4");
        let mut different = String::new();
        for (name, request) in requests::all(is_3_4) {
            let fake = ask_fake(&etcd, &request);
            let has_ended = fake.code.is_some() || fake.is_reset;
            let real = if has_ended {
                connection.ask(&request)
            } else {
                connection.ask_within(Http2::SILENCE, &request)
            };
            let (fake, real) = (shown(fake), shown(real));
            if fake != real {
                different += &format!("{name}: {request:?}\n  real: {real:?}\n  fake: {fake:?}\n");
            }
        }
        assert!(different.is_empty(), "{}\n{different}", real.version);
    }
}
