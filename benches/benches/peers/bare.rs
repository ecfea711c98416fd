//! gRPC by hand over one connection of h2, and over reqwest: what a careful user would write for these requests alone.

use std::{sync::Arc, time::Duration};

use bytes::{Buf, BufMut, Bytes, BytesMut};
use etcd_http::reqwest::ReqwestTransport;
use h2::{
    RecvStream, SendStream,
    client::{ResponseFuture, SendRequest},
};
use http::{HeaderValue, Method, Request, Response, Uri, Version, header};
use http_body_util::BodyExt;
use prost::Message;
use tokio::{net::TcpStream, time::timeout};

use crate::{
    LIST, LISTED,
    contender::{Call, Contender, Keeper, Operation},
    messages::{
        Compare, KeepAliveRequest, KeepAliveResponse, PutRequest, PutResponse, RangeRequest,
        RangeResponse, RequestOp, TARGET_VALUE, TxnRequest, TxnResponse,
    },
};

/// The length of what precedes a message.
const PREFIX: usize = 5;

/// As long as the client's.
const TIME_LIMIT: Duration = Duration::from_secs(10);

/// The windows of the client's transport.
const STREAM_WINDOW: u32 = 2 << 20;
const MAX_WINDOW: u32 = (1 << 31) - 1;

#[derive(Clone)]
pub(crate) struct Bare {
    sender: SendRequest<Bytes>,
    uris: Arc<Uris>,
}

struct Uris {
    put: Uri,
    range: Uri,
    txn: Uri,
    keep_alive: Uri,
}

impl Contender for Bare {
    const NAME: &'static str = "h2, by hand";

    async fn connect(url: &str) -> Self {
        let address = url.strip_prefix("http://").expect("a URL without TLS");
        let stream = TcpStream::connect(address).await.expect("a connection");
        stream.set_nodelay(true).expect("an option of the socket");
        let mut builder = h2::client::Builder::new();
        let builder = builder
            .enable_push(false)
            .initial_window_size(STREAM_WINDOW)
            .initial_connection_window_size(MAX_WINDOW);
        let (sender, connection) = builder.handshake(stream).await.expect("HTTP/2");
        tokio::spawn(connection);
        Self {
            sender,
            uris: Arc::new(Uris::of(url)),
        }
    }

    async fn run(&mut self, call: Call<'_>) {
        run(self, &self.uris, call).await;
    }
}

impl Keeper for Bare {
    /// All on one stream.
    async fn renew(&mut self, leases: &[i64], times: usize) {
        let renewals = leases.iter().map(|&id| frame(&KeepAliveRequest { id }));
        let renewals: Vec<Bytes> = renewals.collect();
        let (response, mut sender) = self.open(&self.uris.keep_alive).await;
        let mut response = Some(response);
        let mut received = None;
        for _ in 0..times {
            for renewal in &renewals {
                sender.send_data(renewal.clone(), false).expect("sent");
            }
            if let Some(response) = response.take() {
                received = Some(head(response).await);
            }
            let received = received.as_mut().expect("a body");
            let mut part = Bytes::new();
            for _ in leases {
                let message = timeout(TIME_LIMIT, message(received, &mut part)).await;
                let renewed = KeepAliveResponse::decode(message.expect("in time"));
                assert!(renewed.expect("a message").ttl > 0);
            }
        }
    }
}

/// Executes an operation, and checks the response.
async fn run(stack: &impl Stack, uris: &Uris, call: Call<'_>) {
    let (operation, value) = (call.operation, call.value);
    let key = Bytes::copy_from_slice(call.key.as_bytes());
    match operation {
        Operation::Put => {
            let response: PutResponse = exchange(stack, &uris.put, &put(key, value)).await;
            assert!(response.header.expect("a header").revision > 0);
        }
        Operation::Get | Operation::SerializableGet => {
            let range = RangeRequest {
                key,
                range_end: Bytes::new(),
                serializable: operation == Operation::SerializableGet,
            };
            let response: RangeResponse = exchange(stack, &uris.range, &range).await;
            assert_eq!(response.kvs[0].value, value);
        }
        Operation::Cas => {
            let txn = TxnRequest {
                compare: vec![Compare {
                    target: TARGET_VALUE,
                    key: key.clone(),
                    value: Bytes::from_static(value.as_bytes()),
                }],
                success: vec![RequestOp {
                    put: put(key, value),
                }],
            };
            let response: TxnResponse = exchange(stack, &uris.txn, &txn).await;
            assert!(response.succeeded);
        }
        Operation::Batch => {
            let puts = call.keys().map(|key| RequestOp {
                put: put(key.into(), value),
            });
            let txn = TxnRequest {
                compare: Vec::new(),
                success: puts.collect(),
            };
            let response: TxnResponse = exchange(stack, &uris.txn, &txn).await;
            assert!(response.succeeded);
        }
        Operation::List => {
            let range = RangeRequest {
                key: Bytes::from_static(LIST.as_bytes()),
                // What follows everything that begins with the prefix: its last byte plus 1.
                range_end: Bytes::from_static(b"/list0"),
                serializable: false,
            };
            let response: RangeResponse = exchange(stack, &uris.range, &range).await;
            assert_eq!(response.kvs.len(), LISTED);
        }
    }
}

/// Sends a message, and decodes the response.
async fn exchange<A: Message + Default>(
    stack: &impl Stack,
    uri: &Uri,
    message: &impl Message,
) -> A {
    let sent = timeout(TIME_LIMIT, stack.send(uri, frame(message)));
    A::decode(sent.await.expect("in time").slice(PREFIX..)).expect("a message")
}

/// What carries the requests.
trait Stack: Sync {
    /// Sends the body of a request, and returns that of the response. It is a success.
    fn send(&self, uri: &Uri, frame: Bytes) -> impl Future<Output = Bytes> + Send;
}

impl Stack for Bare {
    async fn send(&self, uri: &Uri, frame: Bytes) -> Bytes {
        let (response, mut stream) = self.open(uri).await;
        stream.send_data(frame, true).expect("sent");
        let mut body = head(response).await;
        let data = collect(&mut body).await;
        let trailers = body.trailers().await.expect("trailers").expect("some");
        assert_eq!(trailers["grpc-status"], "0");
        data
    }
}

/// With the settings of this client's transport.
#[derive(Clone)]
pub(crate) struct BareReqwest {
    client: reqwest::Client,
    uris: Arc<Uris>,
}

impl Contender for BareReqwest {
    const NAME: &'static str = "reqwest, by hand";

    async fn connect(url: &str) -> Self {
        let builder = ReqwestTransport::client_builder().http2_prior_knowledge();
        Self {
            client: builder.build().expect("a client"),
            uris: Arc::new(Uris::of(url)),
        }
    }

    async fn run(&mut self, call: Call<'_>) {
        run(self, &self.uris, call).await;
    }
}

impl Stack for BareReqwest {
    async fn send(&self, uri: &Uri, frame: Bytes) -> Bytes {
        let request = self.client.post(uri.to_string());
        let request = request
            .header(header::CONTENT_TYPE, "application/grpc")
            .header(header::TE, "trailers");
        let response = request.body(frame).send().await.expect("a head");
        assert_eq!(response.status(), 200);
        let body = Response::<reqwest::Body>::from(response).into_body();
        let body = body.collect().await.expect("a body");
        let trailers = body.trailers().expect("trailers");
        assert_eq!(trailers["grpc-status"], "0");
        body.to_bytes()
    }
}

impl Uris {
    fn of(url: &str) -> Self {
        let uri = |method: &str| {
            let uri = format!("{url}/etcdserverpb.{method}");
            uri.parse().expect("a URI")
        };
        Self {
            put: uri("KV/Put"),
            range: uri("KV/Range"),
            txn: uri("KV/Txn"),
            keep_alive: uri("Lease/LeaseKeepAlive"),
        }
    }
}

impl Bare {
    async fn open(&self, uri: &Uri) -> (ResponseFuture, SendStream<Bytes>) {
        let mut request = Request::new(());
        *request.method_mut() = Method::POST;
        *request.uri_mut() = uri.clone();
        *request.version_mut() = Version::HTTP_2;
        let headers = request.headers_mut();
        let grpc = HeaderValue::from_static("application/grpc");
        headers.insert(header::CONTENT_TYPE, grpc);
        headers.insert(header::TE, HeaderValue::from_static("trailers"));

        let mut sender = self.sender.clone().ready().await.expect("a connection");
        sender.send_request(request, false).expect("a stream")
    }
}

/// A message with its prefix.
fn frame(message: &impl Message) -> Bytes {
    let length = message.encoded_len();
    let mut frame = BytesMut::with_capacity(PREFIX + length);
    frame.put_u8(0);
    frame.put_u32(length as u32);
    message.encode(&mut frame).expect("room for it");
    frame.freeze()
}

async fn head(response: ResponseFuture) -> RecvStream {
    let response: Response<RecvStream> = response.await.expect("a head");
    assert_eq!(response.status(), 200);
    response.into_body()
}

/// The next message of a stream, of which `part` is the beginning. No message is in two frames here.
async fn message(received: &mut RecvStream, part: &mut Bytes) -> Bytes {
    if part.is_empty() {
        *part = received.data().await.expect("data").expect("data");
        let flow = received.flow_control();
        flow.release_capacity(part.len()).expect("a window");
    }
    part.advance(1);
    let length = part.get_u32() as usize;
    part.split_to(length)
}

async fn collect(body: &mut RecvStream) -> Bytes {
    let mut first = Bytes::new();
    let mut joined = BytesMut::new();
    while let Some(data) = body.data().await {
        let data = data.expect("data");
        let flow = body.flow_control();
        flow.release_capacity(data.len()).expect("a window");
        if first.is_empty() {
            first = data;
            continue;
        }
        if joined.is_empty() {
            joined.extend_from_slice(&first);
        }
        joined.extend_from_slice(&data);
    }
    if joined.is_empty() {
        first
    } else {
        joined.freeze()
    }
}

fn put(key: Bytes, value: &'static str) -> PutRequest {
    PutRequest {
        key,
        value: Bytes::from_static(value.as_bytes()),
    }
}
