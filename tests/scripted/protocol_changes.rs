//! Calls to an endpoint that turns out to be asked by another protocol, and what the client knows of it then.

use std::time::Duration;

use etcd_http::{
    Error, Outcome, Protocol, RetryPolicy,
    v3::{AddUser, Put, Range, Watch},
};
use futures::{StreamExt, future::join};
use harness::{clock::block_on, scripted_transport::Step};

use crate::{
    protocol::{
        PUT, PUT_BY_GATEWAY, RANGE, RANGE_BY_GATEWAY, SECOND, STATUS, gateway_ok, grpc_ok,
        grpc_refusal, known, once, page, put, read, seen,
    },
    timed::{self, Timed},
};

#[test]
fn what_grpc_does_not_serve_the_gateway_may() {
    let unknown = grpc_refusal(12, "unknown method Put");
    let client = once([grpc_ok(), unknown, page(404), gateway_ok(), gateway_ok()]);
    read(&client).unwrap();
    assert!(matches!(put(&client).unwrap_err(), Error::Unsupported(_)));
    // It is not sent again by gRPC.
    assert!(matches!(put(&client).unwrap_err(), Error::Unsupported(_)));
    read(&client).unwrap();
    assert_eq!(known(&client).0, Some(Protocol::Gateway));
    put(&client).unwrap();
    let expected = [RANGE, PUT, RANGE, RANGE_BY_GATEWAY, PUT_BY_GATEWAY];
    assert_eq!(seen(&client), expected);
}

#[test]
fn what_etcd_says_of_a_call_that_it_does_not_have_is_shown_unless_it_may_quote_a_secret() {
    let words = "unknown method s3cret";
    let client = once([grpc_refusal(12, words)]);
    let text = read(&client).unwrap_err().to_string();
    assert!(text.contains(words), "{text}");
    let client = once([grpc_ok(), grpc_refusal(12, words)]);
    let add = AddUser::new("u", "s3cret");
    let error = block_on(client.send(add)).unwrap_err();
    assert!(matches!(error, Error::Unsupported(_)), "{error}");
    assert!(!error.to_string().contains("s3cret"), "{error}");
}

/// A proxy that passes the examination on, and nothing else.
#[test]
fn a_write_that_gets_a_page_each_time_is_not_sent_without_end() {
    let rounds = (0..3).flat_map(|_| [page(404), grpc_ok()]);
    let client = once([grpc_ok()].into_iter().chain(rounds).chain([page(404)]));
    read(&client).unwrap();
    let error = put(&client).unwrap_err();
    assert_eq!(error.outcome(), Outcome::Rejected, "{error}");
    let expected = [RANGE, PUT, STATUS, PUT, STATUS, PUT, STATUS, PUT];
    assert_eq!(seen(&client), expected);
}

#[test]
fn a_page_of_the_gateway_has_the_endpoint_examined_again() {
    let client = once([page(404), gateway_ok(), page(403), grpc_ok()]);
    read(&client).unwrap();
    read(&client).unwrap_err();
    read(&client).unwrap();
    let expected = [RANGE, RANGE_BY_GATEWAY, RANGE_BY_GATEWAY, RANGE];
    assert_eq!(seen(&client), expected);
    assert_eq!(known(&client).0, Some(Protocol::Grpc));
}

#[test]
fn a_page_for_a_stream_of_grpc_has_the_endpoint_examined_again() {
    let steps = [grpc_ok(), page(403), grpc_ok(), grpc_ok()];
    let steps = steps.map(|step| (Duration::ZERO, step));
    let client = timed::client(Timed::new(steps).with_grpc(), ["a"]);
    let clock = &client.transport().clock;
    clock.run(client.send(Range::new("k"))).unwrap();
    let mut watch = client.open(Watch::new("k").from_revision(5));
    clock.run(watch.next()).unwrap().unwrap_err();
    clock.run(client.send(Put::new("k", "v"))).unwrap();
    let expected = [RANGE, "POST a/etcdserverpb.Watch/Watch", STATUS, PUT];
    assert_eq!(client.transport().lines(), expected);
}

#[test]
fn a_call_does_not_fail_with_an_examination_that_began_before_it_came() {
    let steps = [
        (SECOND, Step::Refuse),
        (Duration::ZERO, grpc_ok()),
        (Duration::ZERO, grpc_ok()),
    ];
    let client = timed::client(Timed::new(steps).with_grpc(), ["a"]);
    let client = client.with_retry(RetryPolicy::never());
    let put = || client.send(Put::new("k", "v"));
    let (first, second) = client.transport().clock.run(join(put(), put()));
    let error = first.unwrap_err();
    assert_eq!(error.outcome(), Outcome::NotSent, "{error}");
    second.unwrap();
    assert_eq!(client.transport().lines(), [STATUS, STATUS, PUT]);
}
