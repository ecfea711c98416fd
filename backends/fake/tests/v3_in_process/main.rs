//! What a test sees of the v3 API that has the fake in its own process: time limits, queues, reports of progress, members
//! without a leader, faults, and the data.

mod cluster;
mod faults;
mod inspection;
mod queues;
mod time;

use std::{
    future::Future,
    pin::Pin,
    task::{Context, Poll, Waker},
};

use etcd_http_fake::FakeEtcd;
use etcd_transport::{Body, Response, Transport, TransportError, http};
use futures::executor::block_on;
use serde_json::Value;

/// A call whose response is awaited.
type Sent = Pin<Box<dyn Future<Output = Result<Response, TransportError>> + Send>>;

/// Makes a call of an endpoint with these headers.
fn send_to(
    etcd: &FakeEtcd,
    endpoint: usize,
    path: &str,
    body: &str,
    headers: &[(&str, &str)],
) -> Sent {
    let etcd = etcd.clone();
    let url = etcd.endpoint(endpoint).url();
    let mut request = http::Request::post(format!("{url}/v3/{path}"));
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let request = request.body(Body::from(body.to_owned())).unwrap();
    Box::pin(async move { etcd.send(request).await })
}

/// The status and the text of a response that comes at once.
#[track_caller]
fn ask(
    etcd: &FakeEtcd,
    endpoint: usize,
    path: &str,
    body: &str,
    headers: &[(&str, &str)],
) -> (u16, String) {
    let sent = send_to(etcd, endpoint, path, body, headers);
    reply(block_on(sent).unwrap())
}

/// Makes a call that succeeds.
#[track_caller]
fn call(etcd: &FakeEtcd, path: &str, body: &str) -> Value {
    let (status, text) = ask(etcd, 0, path, body, &[]);
    assert_eq!(status, 200, "{path} {body}: {text}");
    serde_json::from_str(&text).unwrap()
}

/// Enables auth; returns a token of root.
fn token_of_root(etcd: &FakeEtcd) -> String {
    let root = r#"{"name":"root","password":"x"}"#;
    call(etcd, "auth/user/add", root);
    call(etcd, "auth/user/grant", r#"{"user":"root","role":"root"}"#);
    call(etcd, "auth/enable", "{}");
    let authenticated = call(etcd, "auth/authenticate", root);
    authenticated["token"].as_str().unwrap().to_owned()
}

fn reply(response: Response) -> (u16, String) {
    let status = response.status().as_u16();
    let body = block_on(response.into_body().collect(1 << 20)).unwrap();
    (status, String::from_utf8(body.to_vec()).unwrap())
}

/// The metrics of the first endpoint.
fn metrics(etcd: &FakeEtcd) -> String {
    let request = http::Request::get("http://localhost:2379/metrics");
    let request = request.body(Body::empty()).unwrap();
    let (status, text) = reply(block_on(etcd.send(request)).unwrap());
    assert_eq!(status, 200);
    text
}

/// Opens a stream.
fn open(etcd: &FakeEtcd, path: &str, body: &str, headers: &[(&str, &str)]) -> Body {
    let response = block_on(send_to(etcd, 0, path, body, headers)).unwrap();
    assert_eq!(response.status(), 200);
    response.into_body()
}

/// The next line of a stream; `None` while there is nothing.
fn poll_line(body: &mut Body) -> Option<String> {
    let mut frame = std::pin::pin!(body.frame());
    match poll(&mut frame) {
        Poll::Ready(Some(frame)) => {
            let data = frame.unwrap().into_data().unwrap();
            Some(String::from_utf8(data.to_vec()).unwrap())
        }
        Poll::Ready(None) => panic!("the stream has ended"),
        Poll::Pending => None,
    }
}

/// The next line of a stream, which is there.
#[track_caller]
fn line(body: &mut Body) -> String {
    poll_line(body).expect("there is a message")
}

#[track_caller]
fn assert_end(body: &mut Body) {
    assert!(matches!(
        poll(&mut std::pin::pin!(body.frame())),
        Poll::Ready(None)
    ));
}

fn poll<F: Future + Unpin>(future: &mut F) -> Poll<F::Output> {
    let mut context = Context::from_waker(Waker::noop());
    Pin::new(future).poll(&mut context)
}
