//! etcd's gRPC API over this transport: HTTP/2 by prior knowledge, messages written by hand, against a real server.

mod etcd;

use std::time::Duration;

use etcd::Etcd;
use etcd_transport::{
    Body, Duplex, LongLived, Request, Transport, TransportError,
    bytes::{BufMut, Bytes, BytesMut},
    http::{HeaderMap, HeaderValue, Method, Version},
    http_body::Frame,
};
use etcd_transport_reqwest::ReqwestTransport;
use futures::channel::mpsc;
use http_body_util::StreamBody;

/// The result of a unary call: its messages, and its headers and trailers together.
type Outcome = (Bytes, HeaderMap);

struct Client {
    etcd: Etcd,
    transport: ReqwestTransport,
}

impl Client {
    async fn start() -> Self {
        Self::of(Etcd::start(), ReqwestTransport::default()).await
    }

    /// Waits until the server serves.
    async fn of(etcd: Etcd, transport: ReqwestTransport) -> Self {
        let client = Self { etcd, transport };
        let deadline = Etcd::deadline();
        loop {
            match client.call("KV/Range", &field(1, b"a")).await {
                Ok((_, status)) if status["grpc-status"] == "0" => return client,
                other => assert!(std::time::Instant::now() < deadline, "{other:?}"),
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    fn request(&self, call: &str, body: Body) -> Request {
        let mut request = Request::new(body);
        *request.method_mut() = Method::POST;
        *request.version_mut() = Version::HTTP_2;
        let uri = format!("{}/etcdserverpb.{call}", self.etcd.url);
        *request.uri_mut() = uri.parse().unwrap();
        let headers = request.headers_mut();
        headers.insert("content-type", HeaderValue::from_static("application/grpc"));
        headers.insert("te", HeaderValue::from_static("trailers"));
        request
    }

    async fn call(&self, call: &str, message: &[u8]) -> Result<Outcome, TransportError> {
        let request = self.request(call, framed(message).into());
        let response = self.transport.send(request).await?;
        assert_eq!(response.status(), 200);
        assert_eq!(response.version(), Version::HTTP_2);
        assert_eq!(response.headers()["content-type"], "application/grpc");
        let (head, body) = response.into_parts();
        let collected = body.collect_with_trailers(1 << 20).await.unwrap();
        let mut status = head.headers;
        status.extend(collected.trailers.unwrap_or_default());
        Ok((collected.data, status))
    }

    async fn put(&self, key: &[u8], value: &[u8]) {
        let message = [field(1, key), field(2, value)].concat();
        let (_, status) = self.call("KV/Put", &message).await.unwrap();
        assert_eq!(status["grpc-status"], "0", "{status:?}");
    }
}

#[tokio::test]
async fn a_unary_call_returns_its_message_and_its_status_in_the_trailers() {
    let client = Client::start().await;
    client.put(b"key", b"some value").await;
    let response = client.call("KV/Range", &field(1, b"key")).await;
    let (data, status) = response.unwrap();
    assert_eq!(status["grpc-status"], "0", "{status:?}");
    let [flag, a, b, c, d, message @ ..] = &*data else {
        panic!("no message: {data:?}");
    };
    assert_eq!(*flag, 0, "not compressed");
    let length = u32::from_be_bytes([*a, *b, *c, *d]);
    assert_eq!(length as usize, message.len());
    assert!(contains(message, &field(5, b"some value")), "{message:?}");
}

#[tokio::test]
async fn a_refusal_has_no_message_and_its_status_in_the_headers() {
    let client = Client::start().await;
    let request = client.request("KV/Put", framed(&[]).into());
    let response = client.transport.send(request).await.unwrap();
    assert_eq!(response.status(), 200);
    assert_eq!(response.headers()["grpc-status"], "3");
    let text = response.headers()["grpc-message"].to_str().unwrap();
    assert!(text.contains("key is not provided"), "{text}");
    assert!(response.into_body().collect(0).await.unwrap().is_empty());
}

#[tokio::test]
async fn a_watch_is_full_duplex() {
    watch_full_duplex(&Client::start().await).await;
}

#[cfg(feature = "rustls")]
#[tokio::test]
async fn over_tls_http2_is_negotiated_and_a_watch_is_full_duplex() {
    let own = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).unwrap();
    let etcd = Etcd::start_tls(&own.cert.pem(), &own.signing_key.serialize_pem());
    let trusted = etcd_transport_reqwest::reqwest::Certificate::from_der(own.cert.der()).unwrap();
    let transport =
        ReqwestTransport::configured(move |client| client.tls_certs_only([trusted.clone()]));
    watch_full_duplex(&Client::of(etcd, transport.unwrap()).await).await;
}

async fn watch_full_duplex(client: &Client) {
    let mut watch = Watch::open(client, b"a").await;
    client.put(b"a", b"first value").await;
    watch.wait_for(b"first value").await;
    // The body of the request is still open: another watch is created on the same stream.
    watch.create(b"b");
    client.put(b"b", b"before or after").await;
    watch.wait_for(b"").await;
    client.put(b"b", b"second value").await;
    watch.wait_for(b"second value").await;
    // etcd keeps sending events when the body of the request has ended.
    watch.requests.close_channel();
    client.put(b"a", b"third value").await;
    watch.wait_for(b"third value").await;
}

#[tokio::test]
async fn many_long_lived_streams_do_not_block_a_unary_call() {
    let client = Client::start().await;
    let mut watches = Vec::new();
    for _ in 0..200 {
        watches.push(Watch::open(&client, b"a").await);
    }
    client.put(b"a", b"for all of them").await;
    for watch in &mut watches {
        watch.wait_for(b"for all of them").await;
    }
}

/// An open watch call.
struct Watch {
    requests: mpsc::UnboundedSender<Result<Frame<Bytes>, TransportError>>,
    body: Body,
}

impl Watch {
    async fn open(client: &Client, key: &[u8]) -> Self {
        let (requests, body) = mpsc::unbounded();
        let mut request = client.request("Watch/Watch", Body::stream(StreamBody::new(body)));
        request.extensions_mut().insert(Duplex);
        request.extensions_mut().insert(LongLived);
        let create = framed(&field(1, &field(1, key)));
        requests.unbounded_send(Ok(Frame::data(create))).unwrap();
        let response = client.transport.send(request).await.unwrap();
        assert_eq!(response.status(), 200);
        let mut watch = Self {
            requests,
            body: response.into_body(),
        };
        // `created`, which is field 3.
        watch.wait_for(&[3 << 3, 1]).await;
        watch
    }

    fn create(&self, key: &[u8]) {
        let create = framed(&field(1, &field(1, key)));
        self.requests
            .unbounded_send(Ok(Frame::data(create)))
            .unwrap();
    }

    /// Reads until a message contains these bytes.
    async fn wait_for(&mut self, bytes: &[u8]) {
        let mut received = BytesMut::new();
        while !contains(&received, bytes) || received.is_empty() {
            let frame = tokio::time::timeout(Duration::from_secs(10), self.body.frame()).await;
            let frame = frame.expect("a message").expect("not the end");
            received.put(frame.unwrap().into_data().unwrap());
        }
    }
}

/// A gRPC message: not compressed, its length, and its bytes.
fn framed(message: &[u8]) -> Bytes {
    let mut framed = BytesMut::new();
    framed.put_u8(0);
    framed.put_u32(message.len() as u32);
    framed.put_slice(message);
    framed.freeze()
}

/// A field of bytes in protobuf, with a tag below 16 and at most 127 bytes.
fn field(tag: u8, bytes: &[u8]) -> Vec<u8> {
    [&[tag << 3 | 2, bytes.len() as u8], bytes].concat()
}

fn contains(all: &[u8], part: &[u8]) -> bool {
    part.is_empty() || all.windows(part.len()).any(|window| window == part)
}
