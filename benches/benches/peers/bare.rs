//! gRPC by hand over one connection of h2: what a careful user would write for these requests alone.

use std::{sync::Arc, time::Duration};

use bytes::{BufMut, Bytes, BytesMut};
use h2::{RecvStream, client::SendRequest};
use http::{HeaderValue, Method, Request, Uri, Version, header};
use prost::Message;
use tokio::{net::TcpStream, time::timeout};

use crate::{
    LIST, LISTED, VALUE,
    contender::{Contender, Operation},
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
        let uri = |method: &str| {
            let uri = format!("{url}/etcdserverpb.KV/{method}");
            uri.parse().expect("a URI")
        };
        Self {
            sender,
            uris: Arc::new(Uris {
                put: uri("Put"),
                range: uri("Range"),
                txn: uri("Txn"),
            }),
        }
    }

    async fn run(&mut self, operation: Operation, key: &str) {
        let key = Bytes::copy_from_slice(key.as_bytes());
        match operation {
            Operation::Put => {
                let response: PutResponse = self.call(&self.uris.put, &put(key)).await;
                assert!(response.header.expect("a header").revision > 0);
            }
            Operation::Get | Operation::SerializableGet => {
                let range = RangeRequest {
                    key,
                    range_end: Bytes::new(),
                    serializable: operation == Operation::SerializableGet,
                };
                let response: RangeResponse = self.call(&self.uris.range, &range).await;
                assert_eq!(response.kvs[0].value, VALUE);
            }
            Operation::Cas => {
                let txn = TxnRequest {
                    compare: vec![Compare {
                        target: TARGET_VALUE,
                        key: key.clone(),
                        value: Bytes::from_static(VALUE.as_bytes()),
                    }],
                    success: vec![RequestOp { put: put(key) }],
                };
                let response: TxnResponse = self.call(&self.uris.txn, &txn).await;
                assert!(response.succeeded);
            }
            Operation::List => {
                let range = RangeRequest {
                    key: Bytes::from_static(LIST.as_bytes()),
                    // What follows everything that begins with the prefix: its last byte plus 1.
                    range_end: Bytes::from_static(b"/list0"),
                    serializable: false,
                };
                let response: RangeResponse = self.call(&self.uris.range, &range).await;
                assert_eq!(response.kvs.len(), LISTED);
            }
        }
    }
}

impl Bare {
    async fn call<A: Message + Default>(&self, uri: &Uri, message: &impl Message) -> A {
        let call = timeout(TIME_LIMIT, self.send(uri, message));
        A::decode(call.await.expect("in time")).expect("a message")
    }

    async fn send(&self, uri: &Uri, message: &impl Message) -> Bytes {
        let length = message.encoded_len();
        let mut body = BytesMut::with_capacity(PREFIX + length);
        body.put_u8(0);
        body.put_u32(length as u32);
        message.encode(&mut body).expect("room for it");

        let mut request = Request::new(());
        *request.method_mut() = Method::POST;
        *request.uri_mut() = uri.clone();
        *request.version_mut() = Version::HTTP_2;
        let headers = request.headers_mut();
        let grpc = HeaderValue::from_static("application/grpc");
        headers.insert(header::CONTENT_TYPE, grpc);
        headers.insert(header::TE, HeaderValue::from_static("trailers"));

        let mut sender = self.sender.clone().ready().await.expect("a connection");
        let (response, mut stream) = sender.send_request(request, false).expect("a stream");
        stream.send_data(body.freeze(), true).expect("sent");
        let response = response.await.expect("a head");
        assert_eq!(response.status(), 200);
        let mut body = response.into_body();
        let data = collect(&mut body).await;
        let trailers = body.trailers().await.expect("trailers").expect("some");
        assert_eq!(trailers["grpc-status"], "0");
        data.slice(PREFIX..)
    }
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

fn put(key: Bytes) -> PutRequest {
    PutRequest {
        key,
        value: Bytes::from_static(VALUE.as_bytes()),
    }
}

#[derive(Clone, PartialEq, Message)]
struct Header {
    #[prost(uint64, tag = "1")]
    cluster_id: u64,
    #[prost(uint64, tag = "2")]
    member_id: u64,
    #[prost(int64, tag = "3")]
    revision: i64,
    #[prost(uint64, tag = "4")]
    raft_term: u64,
}

#[derive(Clone, PartialEq, Message)]
struct KeyValue {
    #[prost(bytes = "bytes", tag = "1")]
    key: Bytes,
    #[prost(int64, tag = "2")]
    create_revision: i64,
    #[prost(int64, tag = "3")]
    mod_revision: i64,
    #[prost(int64, tag = "4")]
    version: i64,
    #[prost(bytes = "bytes", tag = "5")]
    value: Bytes,
    #[prost(int64, tag = "6")]
    lease: i64,
}

#[derive(Clone, PartialEq, Message)]
struct PutRequest {
    #[prost(bytes = "bytes", tag = "1")]
    key: Bytes,
    #[prost(bytes = "bytes", tag = "2")]
    value: Bytes,
}

#[derive(Clone, PartialEq, Message)]
struct PutResponse {
    #[prost(message, optional, tag = "1")]
    header: Option<Header>,
}

#[derive(Clone, PartialEq, Message)]
struct RangeRequest {
    #[prost(bytes = "bytes", tag = "1")]
    key: Bytes,
    #[prost(bytes = "bytes", tag = "2")]
    range_end: Bytes,
    #[prost(bool, tag = "7")]
    serializable: bool,
}

#[derive(Clone, PartialEq, Message)]
struct RangeResponse {
    #[prost(message, optional, tag = "1")]
    header: Option<Header>,
    #[prost(message, repeated, tag = "2")]
    kvs: Vec<KeyValue>,
    #[prost(bool, tag = "3")]
    more: bool,
    #[prost(int64, tag = "4")]
    count: i64,
}

/// `Compare.CompareTarget.VALUE`. The result that is compared for, `EQUAL`, is 0.
const TARGET_VALUE: i32 = 3;

#[derive(Clone, PartialEq, Message)]
struct Compare {
    #[prost(int32, tag = "2")]
    target: i32,
    #[prost(bytes = "bytes", tag = "3")]
    key: Bytes,
    #[prost(bytes = "bytes", tag = "7")]
    value: Bytes,
}

#[derive(Clone, PartialEq, Message)]
struct RequestOp {
    #[prost(message, required, tag = "2")]
    put: PutRequest,
}

#[derive(Clone, PartialEq, Message)]
struct TxnRequest {
    #[prost(message, repeated, tag = "1")]
    compare: Vec<Compare>,
    #[prost(message, repeated, tag = "2")]
    success: Vec<RequestOp>,
}

#[derive(Clone, PartialEq, Message)]
struct ResponseOp {
    #[prost(message, optional, tag = "2")]
    put: Option<PutResponse>,
}

#[derive(Clone, PartialEq, Message)]
struct TxnResponse {
    #[prost(message, optional, tag = "1")]
    header: Option<Header>,
    #[prost(bool, tag = "2")]
    succeeded: bool,
    #[prost(message, repeated, tag = "3")]
    responses: Vec<ResponseOp>,
}
