//! Streams of the v3 API by gRPC: the request, and how a response ends.

use std::{
    collections::VecDeque,
    sync::Mutex,
    time::{Duration, Instant},
};

use etcd_http::{
    Client, Error, Protocol,
    transport::{
        Body, LongLived, Request, Response, Transport, TransportError, async_trait,
        bytes::Bytes,
        http::{HeaderMap, Version},
        http_body::Frame,
    },
    v3::{KeyValue, Observe},
};
use futures::StreamExt;
use harness::clock::VirtualClock;

/// A member of an etcd that speaks gRPC: it responds to each request with the next of these.
#[derive(Debug, Default)]
struct Member {
    responses: Mutex<VecDeque<Response>>,
    requests: Mutex<Vec<String>>,
    clock: VirtualClock,
}

#[async_trait]
impl Transport for Member {
    async fn send(&self, request: Request) -> Result<Response, TransportError> {
        assert_eq!(request.version(), Version::HTTP_2);
        assert!(request.extensions().get::<LongLived>().is_some());
        let (head, body) = request.into_parts();
        for (name, value) in [
            ("content-type", "application/grpc"),
            ("te", "trailers"),
            ("hasleader", "true"),
        ] {
            assert_eq!(head.headers[name], value);
        }
        let body = body.collect(100).await.unwrap();
        assert_eq!(body, &b"\0\0\0\0\x03\x0a\x01e"[..]);
        let request = format!("{} {}", head.method, head.uri);
        self.requests.lock().unwrap().push(request);
        let gone = || TransportError::connect("connection refused");
        self.responses.lock().unwrap().pop_front().ok_or_else(gone)
    }

    async fn sleep(&self, duration: Duration) {
        self.clock.sleep(duration).await;
    }

    fn now(&self) -> Instant {
        self.clock.now()
    }
}

/// The message that `key` leads, in its frame.
fn leader(key: &str) -> Bytes {
    let length = u8::try_from(key.len()).unwrap();
    let mut frame = vec![0, 0, 0, 0, length + 6, 0x12, length + 4, 0x0a, length];
    frame.extend(key.as_bytes());
    frame.extend([0x18, 7]);
    frame.into()
}

fn status(code: &str, message: &str) -> HeaderMap {
    let mut headers = HeaderMap::new();
    headers.insert("grpc-status", code.parse().unwrap());
    headers.insert("grpc-message", message.parse().unwrap());
    headers
}

fn response(data: &[Bytes], trailers: Option<HeaderMap>) -> Response {
    let data = data.iter().cloned().map(Frame::data);
    let frames: Vec<_> = data.chain(trailers.map(Frame::trailers)).collect();
    Response::new(Body::from_frames(frames.into_iter().map(Ok)))
}

/// What an observer delivers, and the requests that it makes: no outage is too short for it to end.
fn observed(
    responses: impl IntoIterator<Item = Response>,
) -> (Vec<Result<KeyValue, Error>>, Vec<String>) {
    observed_within(Duration::ZERO, responses)
}

/// The same, with this outage limit; after the last response the member is gone.
fn observed_within(
    limit: Duration,
    responses: impl IntoIterator<Item = Response>,
) -> (Vec<Result<KeyValue, Error>>, Vec<String>) {
    let member = Member {
        responses: Mutex::new(responses.into_iter().collect()),
        ..Member::default()
    };
    let client = Client::builder(member)
        .endpoints(["http://a", "http://b"])
        .protocol(Protocol::Grpc)
        .build()
        .unwrap();
    let leaders = client.open(Observe::new("e").outage_limit(limit));
    let items = client.transport().clock.run(leaders.collect());
    let requests = client.transport().requests.lock().unwrap().clone();
    (items, requests)
}

/// The keys that the observer delivers before its error.
fn leaders_and_error(response: Response) -> (Vec<Bytes>, Error) {
    let (mut items, _) = observed([response]);
    let error = items.pop().unwrap().unwrap_err();
    let keys = items.into_iter().map(|item| item.unwrap().key).collect();
    (keys, error)
}

#[test]
fn a_response_without_a_body_is_a_refusal() {
    let mut refused = response(&[], None);
    *refused.headers_mut() = status("14", "etcdserver: no leader");
    let (leaders, error) = leaders_and_error(refused);
    assert!(leaders.is_empty() && error.is_no_leader(), "{error}");
}

#[test]
fn trailers_end_a_stream_with_the_error_of_etcd() {
    let trailers = status("14", "etcdserver:%20no%20leader");
    let (leaders, error) = leaders_and_error(response(&[leader("one")], Some(trailers)));
    assert_eq!(leaders, ["one"]);
    assert!(error.is_no_leader(), "{error}");
}

#[test]
fn a_status_of_0_is_the_proper_end() {
    let all = [leader("one"), leader("two")].concat().into();
    let (leaders, error) = leaders_and_error(response(&[all], Some(status("0", ""))));
    assert_eq!(leaders, ["one", "two"]);
    let what = "v3.election.observe at http://a: the server ended the stream";
    assert_eq!(error.to_string(), what);
}

#[test]
fn without_a_status_or_within_a_message_the_stream_was_cut() {
    let all = leader("one");
    for end in 0..all.len() {
        let trailers = (end > 0).then(|| status("0", ""));
        let (leaders, error) = leaders_and_error(response(&[all.slice(..end)], trailers));
        assert!(leaders.is_empty());
        assert!(matches!(error, Error::Transport(_)), "{end}: {error}");
    }
    let (leaders, error) = leaders_and_error(response(&[all], None));
    assert_eq!(leaders, ["one"]);
    assert!(matches!(error, Error::Transport(_)), "{error}");
}

#[test]
fn what_is_not_a_message_ends_the_stream() {
    let message = |frame: &'static [u8]| response(&[Bytes::from_static(frame)], None);
    for (frame, what) in [
        (&b"\x01\0\0\0\x01a"[..], "compressed"),
        (b"<html>", "not what etcd sends"),
        (b"\0\0\0\0\x01\x0a", "not what etcd sends"),
        (b"\0\xff\xff\xff\xff", "larger than the client's limit"),
    ] {
        let (leaders, error) = leaders_and_error(message(frame));
        assert!(leaders.is_empty());
        assert!(error.to_string().contains(what), "{error}");
    }
}

/// Asserts that another member is asked after one has refused with this status.
fn assert_passed_over(code: &str, message: &str) {
    let mut refused = response(&[], None);
    *refused.headers_mut() = status(code, message);
    let (items, requests) = observed([refused, response(&[leader("one")], Some(status("0", "")))]);
    assert_eq!(items[0].as_ref().unwrap().key, "one");
    let path = "/v3electionpb.Election/Observe";
    let expected = ["a", "b"].map(|host| format!("POST http://{host}{path}"));
    assert_eq!(requests, expected);
}

#[test]
fn a_member_without_the_call_is_passed_over() {
    assert_passed_over("12", "unknown service v3electionpb.Election");
}

#[test]
fn a_learner_is_passed_over() {
    assert_passed_over("14", "etcdserver: rpc not supported for learner");
}

#[test]
fn an_observer_that_has_worked_waits_out_the_pages_of_a_proxy() {
    let pages = [404, 429, 403, 302, 200].map(|status| {
        let mut page = response(
            &[Bytes::from_static(b"<html>We will be back soon.</html>")],
            None,
        );
        *page.status_mut() = status.try_into().unwrap();
        page
    });
    let first = response(&[leader("one")], Some(status("0", "")));
    let last = response(&[leader("two")], Some(status("0", "")));
    let responses = [first].into_iter().chain(pages).chain([last]);
    let minute = Duration::from_secs(60);
    let (items, _) = observed_within(minute, responses);
    let keys: Vec<_> = items[..2]
        .iter()
        .map(|leader| &leader.as_ref().unwrap().key)
        .collect();
    assert_eq!(keys, ["one", "two"]);
    assert!(items[2].is_err() && items.len() == 3);
    let page = response(&[Bytes::from_static(b"<html>")], None);
    let (items, requests) = observed_within(minute, [page]);
    assert!(items[0].is_err() && requests.len() == 1);
}
