//! gRPC by hand, over the fake in process and over HTTP/2 to a port.

#![allow(
    dead_code,
    unreachable_pub,
    reason = "each test file is a program of its own and uses its own part of this module"
)]

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
pub struct GrpcAsk {
    pub method: &'static str,
    pub path: String,
    pub headers: Vec<(&'static str, String)>,
    pub body: Vec<u8>,
    /// Whether the client leaves its side open.
    pub stays_open: bool,
}

impl GrpcAsk {
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

    pub fn header(mut self, name: &'static str, value: &str) -> Self {
        self.headers.retain(|(other, _)| *other != name);
        self.headers.push((name, value.to_owned()));
        self
    }

    fn request(&self, url: &str) -> Request {
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
pub struct GrpcAnswer {
    /// The status of HTTP; 0 without a head.
    pub http: u16,
    pub content_type: String,
    /// The status of gRPC.
    pub code: Option<String>,
    pub message: Option<String>,
    /// Whether the status is in the head.
    pub is_trailers_only: bool,
    pub messages: Vec<Vec<u8>>,
    /// Whether the stream broke off.
    pub is_reset: bool,
}

impl GrpcAnswer {
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

/// Reads a response into `answer`, to its end.
async fn read<E>(sent: impl Future<Output = Result<Response, E>>, answer: &mut GrpcAnswer) {
    let Ok(response) = sent.await else {
        answer.is_reset = true;
        return;
    };
    answer.begin(&response);
    let mut body = response.into_body();
    let mut buffer = Vec::new();
    loop {
        match body.frame().await.transpose() {
            Ok(None) => return assert_eq!(buffer, b""),
            Err(_) => return answer.is_reset = true,
            Ok(Some(frame)) => match frame.into_data() {
                Ok(data) => {
                    buffer.extend_from_slice(&data);
                    answer.split(&mut buffer);
                }
                Err(frame) => answer.end(&frame.into_trailers().unwrap()),
            },
        }
    }
}

/// Asks a fake in process. Where it waits, a second passes.
pub fn ask_fake(etcd: &FakeEtcd, ask: &GrpcAsk) -> GrpcAnswer {
    let mut answer = GrpcAnswer::default();
    let url = etcd.endpoint(0).url();
    {
        let request = ask.request(url.trim_end_matches('/'));
        let mut read = pin!(read(etcd.send(request), &mut answer));
        let mut context = Context::from_waker(Waker::noop());
        if read.as_mut().poll(&mut context).is_pending() {
            etcd.advance(Duration::from_secs(1));
            let _ = read.as_mut().poll(&mut context);
        }
    }
    answer
}

/// A connection over HTTP/2 with prior knowledge.
pub struct Http2 {
    runtime: Runtime,
    url: String,
    sender: SendRequest<Body>,
}

impl Http2 {
    /// A server that does not answer within this time hangs.
    const ANSWER: Duration = Duration::from_secs(60);

    /// How long a response may be silent before it counts as open.
    pub const SILENCE: Duration = Duration::from_millis(1_000);

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
    pub fn ask(&mut self, ask: &GrpcAsk) -> GrpcAnswer {
        self.ask_within(Self::ANSWER, ask)
    }

    /// Makes a request; returns what has arrived when the response ends, or after `limit`.
    pub fn ask_within(&mut self, limit: Duration, ask: &GrpcAsk) -> GrpcAnswer {
        let request = ask.request(&self.url);
        let mut answer = GrpcAnswer::default();
        let sent = self.sender.send_request(request);
        let sent = async {
            let response = sent.await?;
            Ok::<_, hyper::Error>(response.map(|body| Body::stream(Received(body))))
        };
        self.runtime.block_on(async {
            let _ = tokio::time::timeout(limit, read(sent, &mut answer)).await;
        });
        answer
    }

    /// Makes a request whose response goes on.
    pub fn open(&mut self, ask: &GrpcAsk) -> OpenStream {
        let request = ask.request(&self.url);
        let response = self.runtime.block_on(self.sender.send_request(request));
        let body = Body::stream(Received(response.unwrap().into_body()));
        OpenStream::new(body, Some(self.runtime.handle().clone()))
    }
}

/// Makes a request of a fake in process whose response goes on.
pub fn open_fake(etcd: &FakeEtcd, ask: &GrpcAsk) -> OpenStream {
    let url = etcd.endpoint(0).url();
    let request = ask.request(url.trim_end_matches('/'));
    let response = block_on(etcd.send(request)).unwrap();
    OpenStream::new(response.into_body(), None)
}

/// A response that goes on.
pub struct OpenStream {
    body: Body,
    /// Where time passes; none for a fake.
    runtime: Option<Handle>,
    buffer: Vec<u8>,
    answer: GrpcAnswer,
}

/// What a stream has.
#[derive(Debug, PartialEq, Eq)]
pub enum Next {
    Message(Vec<u8>),
    /// It has ended or broken off.
    End,
    Nothing,
}

impl OpenStream {
    fn new(body: Body, runtime: Option<Handle>) -> Self {
        Self {
            body,
            runtime,
            buffer: Vec::new(),
            answer: GrpcAnswer::default(),
        }
    }

    /// Waits this long for the next message.
    pub fn next(&mut self, limit: Duration) -> Next {
        loop {
            self.answer.split(&mut self.buffer);
            if !self.answer.messages.is_empty() {
                return Next::Message(self.answer.messages.remove(0));
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
