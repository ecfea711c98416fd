//! gRPC by hand, over the fake in process and over HTTP/2 to a port.

use std::{
    future::Future,
    pin::{Pin, pin},
    task::{Context, Poll, Waker},
    time::Duration,
};

use etcd_http_fake::FakeEtcd;
use etcd_transport::{
    Body, Duplex, Request, Response, Transport, TransportError, bytes::Bytes, http, http_body,
};
use futures::executor::block_on;
use hyper::client::conn::http2::{SendRequest, handshake};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::{
    net::TcpStream,
    runtime::{Handle, Runtime},
};

/// A request of gRPC.
#[derive(Clone, Debug)]
pub struct GrpcRequest {
    /// `POST`, unless the method is what a test is about.
    pub method: &'static str,
    /// Such as `/etcdserverpb.KV/Put`.
    pub path: String,
    /// Names and values, besides `te`.
    pub headers: Vec<(&'static str, String)>,
    /// Messages with their prefixes.
    pub body: Vec<u8>,
    /// Whether the client leaves its side open.
    pub stays_open: bool,
}

impl GrpcRequest {
    /// A call of a method with these messages.
    pub fn new(path: &str, messages: &[&[u8]]) -> Self {
        Self {
            method: "POST",
            path: path.to_owned(),
            headers: vec![("content-type", "application/grpc".to_owned())],
            body: messages
                .iter()
                .flat_map(|message| framed(0, message))
                .collect(),
            stays_open: false,
        }
    }

    /// Sets a header.
    pub fn header(mut self, name: &'static str, value: &str) -> Self {
        self.headers.retain(|(other, _)| *other != name);
        self.headers.push((name, value.to_owned()));
        self
    }

    fn to_http(&self, url: &str) -> Request {
        let frame = Bytes::from(self.body.clone());
        let body = Body::stream(Open {
            frame: (!frame.is_empty()).then_some(frame),
            stays_open: self.stays_open,
        });
        let mut request = http::Request::builder()
            .method(self.method)
            .uri(format!("{url}{}", self.path))
            .version(http::Version::HTTP_2)
            .extension(Duplex)
            .header("te", "trailers");
        for (name, value) in &self.headers {
            request = request.header(*name, value);
        }
        request.body(body).unwrap()
    }
}

/// The response, as far as it has arrived.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct GrpcResponse {
    /// The status of HTTP; 0 without a head.
    pub http: u16,
    /// Empty for none.
    pub content_type: String,
    /// The status of gRPC.
    pub code: Option<String>,
    /// The message of gRPC, as it is encoded.
    pub message: Option<String>,
    /// Whether the status is in the head.
    pub is_trailers_only: bool,
    /// Without their prefixes.
    pub messages: Vec<Vec<u8>>,
    /// Whether the stream broke off.
    pub is_reset: bool,
}

impl GrpcResponse {
    fn begin(&mut self, response: &Response) {
        self.http = response.status().as_u16();
        let content_type = response.headers().get("content-type");
        self.content_type = content_type.map_or(String::new(), text);
        self.end(response.headers());
        self.is_trailers_only = self.code.is_some();
    }

    fn end(&mut self, headers: &http::HeaderMap) {
        self.code = headers.get("grpc-status").map(text);
        self.message = headers.get("grpc-message").map(text);
    }

    /// Adds the messages of complete frames.
    fn split(&mut self, buffer: &mut Vec<u8>) {
        while let Some((prefix, rest)) = buffer.split_at_checked(5) {
            let length = u32::from_be_bytes(prefix[1..].try_into().unwrap()) as usize;
            let Some((message, rest)) = rest.split_at_checked(length) else {
                return;
            };
            assert_eq!(prefix[0], 0);
            self.messages.push(message.to_owned());
            *buffer = rest.to_owned();
        }
    }
}

/// Reads a response into `received`, to its end.
async fn read<E>(sent: impl Future<Output = Result<Response, E>>, received: &mut GrpcResponse) {
    let Ok(response) = sent.await else {
        received.is_reset = true;
        return;
    };
    received.begin(&response);
    let mut body = response.into_body();
    let mut buffer = Vec::new();
    loop {
        match body.frame().await.transpose() {
            Ok(None) => return assert_eq!(buffer, b""),
            Err(_) => return received.is_reset = true,
            Ok(Some(frame)) => match frame.into_data() {
                Ok(data) => {
                    buffer.extend_from_slice(&data);
                    received.split(&mut buffer);
                }
                Err(frame) => received.end(&frame.into_trailers().unwrap()),
            },
        }
    }
}

/// Asks a fake in process. Where it waits, a second passes.
pub fn ask_fake(etcd: &FakeEtcd, request: &GrpcRequest) -> GrpcResponse {
    let mut received = GrpcResponse::default();
    let url = etcd.endpoint(0).url();
    {
        let request = request.to_http(url.trim_end_matches('/'));
        let mut read = pin!(read(etcd.send(request), &mut received));
        let mut context = Context::from_waker(Waker::noop());
        if read.as_mut().poll(&mut context).is_pending() {
            etcd.advance(Duration::from_secs(1));
            let _ = read.as_mut().poll(&mut context);
        }
    }
    received
}

/// A connection over HTTP/2 with prior knowledge.
pub struct Http2 {
    runtime: Runtime,
    url: String,
    sender: SendRequest<Body>,
}

impl Http2 {
    /// A server that does not respond within this time hangs.
    const ANSWER: Duration = Duration::from_secs(60);

    /// How long a response may be silent before it counts as open.
    pub const SILENCE: Duration = Duration::from_millis(1_000);

    /// Connects to a server.
    pub fn connect(url: &str) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap();
        let url = url.trim_end_matches('/').to_owned();
        let sender = runtime.block_on(async {
            let address = url.trim_start_matches("http://");
            let stream = TcpStream::connect(address).await.unwrap();
            stream.set_nodelay(true).unwrap();
            let (sender, connection) = handshake(TokioExecutor::new(), TokioIo::new(stream))
                .await
                .unwrap();
            tokio::spawn(connection);
            sender
        });
        Self {
            runtime,
            url,
            sender,
        }
    }

    /// Makes a request whose response ends.
    pub fn ask(&mut self, request: &GrpcRequest) -> GrpcResponse {
        self.ask_within(Self::ANSWER, request)
    }

    /// Makes a request; returns what has arrived when the response ends, or after `limit`.
    pub fn ask_within(&mut self, limit: Duration, request: &GrpcRequest) -> GrpcResponse {
        let request = request.to_http(&self.url);
        let mut received = GrpcResponse::default();
        let sent = self.sender.send_request(request);
        let sent = async {
            let response = sent.await?;
            Ok::<_, hyper::Error>(response.map(|body| Body::stream(Received(body))))
        };
        self.runtime.block_on(async {
            let _ = tokio::time::timeout(limit, read(sent, &mut received)).await;
        });
        received
    }

    /// Makes a request whose response goes on.
    pub fn open(&mut self, request: &GrpcRequest) -> OpenStream {
        let request = request.to_http(&self.url);
        let response = self.runtime.block_on(self.sender.send_request(request));
        let body = Body::stream(Received(response.unwrap().into_body()));
        OpenStream::new(body, Some(self.runtime.handle().clone()))
    }
}

/// Makes a request of a fake in process whose response goes on.
pub fn open_fake(etcd: &FakeEtcd, request: &GrpcRequest) -> OpenStream {
    let url = etcd.endpoint(0).url();
    let request = request.to_http(url.trim_end_matches('/'));
    let response = block_on(etcd.send(request)).unwrap();
    OpenStream::new(response.into_body(), None)
}

/// A response that goes on.
pub struct OpenStream {
    body: Body,
    /// Where time passes; none for a fake.
    runtime: Option<Handle>,
    buffer: Vec<u8>,
    received: GrpcResponse,
}

/// What a stream has.
#[derive(Debug, PartialEq, Eq)]
pub enum Next {
    /// A message without its prefix.
    Message(Vec<u8>),
    /// It has ended or broken off.
    End,
    /// Nothing has arrived in time.
    Nothing,
}

impl OpenStream {
    fn new(body: Body, runtime: Option<Handle>) -> Self {
        Self {
            body,
            runtime,
            buffer: Vec::new(),
            received: GrpcResponse::default(),
        }
    }

    /// Waits this long for the next message.
    pub fn next(&mut self, limit: Duration) -> Next {
        loop {
            self.received.split(&mut self.buffer);
            if !self.received.messages.is_empty() {
                return Next::Message(self.received.messages.remove(0));
            }
            let next = self.body.frame();
            let polled = match &self.runtime {
                Some(runtime) => {
                    let next = async { tokio::time::timeout(limit, next).await };
                    runtime.block_on(next).map_or(Poll::Pending, Poll::Ready)
                }
                None => pin!(next).poll(&mut Context::from_waker(Waker::noop())),
            };
            match polled {
                Poll::Pending => return Next::Nothing,
                Poll::Ready(Some(Ok(frame))) if frame.is_data() => {
                    self.buffer.extend_from_slice(&frame.into_data().unwrap());
                }
                Poll::Ready(_) => return Next::End,
            }
        }
    }
}

/// The body of a request: one frame, and perhaps no end.
struct Open {
    frame: Option<Bytes>,
    stays_open: bool,
}

impl http_body::Body for Open {
    type Data = Bytes;
    type Error = TransportError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<http_body::Frame<Bytes>, TransportError>>> {
        match self.frame.take() {
            Some(frame) => Poll::Ready(Some(Ok(http_body::Frame::data(frame)))),
            None if self.stays_open => Poll::Pending,
            None => Poll::Ready(None),
        }
    }
}

/// The body of a response.
struct Received(hyper::body::Incoming);

impl http_body::Body for Received {
    type Data = Bytes;
    type Error = TransportError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<http_body::Frame<Bytes>, TransportError>>> {
        let frame = Pin::new(&mut self.0).poll_frame(cx);
        frame.map_err(TransportError::interrupted)
    }
}

/// A message with its prefix.
pub fn framed(flag: u8, message: &[u8]) -> Vec<u8> {
    let length = u32::try_from(message.len()).unwrap().to_be_bytes();
    [&[flag][..], &length, message].concat()
}

fn text(value: &http::HeaderValue) -> String {
    String::from_utf8_lossy(value.as_bytes()).into_owned()
}

/// The message without its header, whose ids differ, but with the revision of it.
pub fn without_ids(message: &[u8]) -> (Vec<u8>, i64) {
    let mut rest = message;
    let mut revision = 0;
    if message.first() == Some(&0x0a) {
        let length = usize::from(message[1]);
        let (mut header, after) = message[2..].split_at(length);
        rest = after;
        while !header.is_empty() {
            let tag = varint(&mut header);
            let value = varint(&mut header);
            if tag == 0x18 {
                revision = value.cast_signed();
            }
        }
    }
    (rest.to_owned(), revision)
}

fn varint(bytes: &mut &[u8]) -> u64 {
    let mut number = 0;
    for shift in (0..64).step_by(7) {
        let (first, rest) = bytes.split_first().unwrap();
        *bytes = rest;
        number |= u64::from(first & 0x7f) << shift;
        if *first < 0x80 {
            break;
        }
    }
    number
}
