//! The bare HTTP stacks.

use std::time::Duration;

use bytes::Bytes;
use etcd_transport_reqwest::ReqwestTransport;
use futures::lock::Mutex;
use http_body_util::{BodyExt, Full};
use hyper::{
    Method,
    client::conn::http1::{self, SendRequest},
    header::{CONTENT_TYPE, HOST, HeaderValue},
};
use hyper_util::rt::TokioIo;
use isahc::{
    AsyncReadResponseExt, HttpClient,
    config::{Configurable, RedirectPolicy, VersionNegotiation},
};
use tokio::{net::TcpStream, time::timeout};

use crate::{
    Contender,
    operation::{Operation, Request},
};

const TIME_LIMIT: Duration = Duration::from_secs(10);

/// reqwest, with the settings of this client's transport.
pub struct BareReqwest {
    client: reqwest::Client,
    endpoint: String,
}

impl BareReqwest {
    /// Creates a contender for this etcd.
    pub fn new(endpoint: &str) -> Self {
        Self {
            client: ReqwestTransport::client_builder()
                .build()
                .expect("a client"),
            endpoint: endpoint.to_owned(),
        }
    }
}

impl Contender for BareReqwest {
    async fn run(&self, operation: Operation) {
        let Request {
            method,
            path,
            content_type,
            body,
        } = operation.request();
        let method = Method::from_bytes(method.as_bytes()).expect("a method");
        let url = format!("{}{path}", self.endpoint);
        let mut request = self.client.request(method, url).timeout(TIME_LIMIT);
        if let Some(content_type) = content_type {
            request = request.header(CONTENT_TYPE, content_type).body(body);
        }
        let response = request.send().await.expect("a head");
        let status = response.status().as_u16();
        operation.check(status, &response.bytes().await.expect("a body"));
    }
}

/// hyper, by hand: one connection, without a pool.
pub struct BareHyper {
    sender: Mutex<SendRequest<Full<Bytes>>>,
    host: HeaderValue,
}

impl BareHyper {
    /// Creates a contender for this etcd.
    pub async fn new(endpoint: &str) -> Self {
        let host = endpoint.strip_prefix("http://").expect("a URL without TLS");
        let stream = TcpStream::connect(host).await.expect("a connection");
        stream.set_nodelay(true).expect("an option of the socket");
        let handshake = http1::handshake(TokioIo::new(stream)).await;
        let (sender, connection) = handshake.expect("a connection");
        tokio::spawn(connection);
        Self {
            sender: Mutex::new(sender),
            host: HeaderValue::from_str(host).expect("a header"),
        }
    }
}

impl Contender for BareHyper {
    async fn run(&self, operation: Operation) {
        let Request {
            method,
            path,
            content_type,
            body,
        } = operation.request();
        let mut request = hyper::Request::new(Full::from(body));
        *request.method_mut() = Method::from_bytes(method.as_bytes()).expect("a method");
        *request.uri_mut() = path.parse().expect("a path");
        let headers = request.headers_mut();
        headers.insert(HOST, self.host.clone());
        if let Some(content_type) = content_type {
            headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
        }
        let exchange = timeout(TIME_LIMIT, async {
            let mut sender = self.sender.lock().await;
            sender.ready().await.expect("a connection");
            let response = sender.send_request(request).await.expect("a head");
            let status = response.status().as_u16();
            let body = response.into_body().collect().await.expect("a body");
            (status, body.to_bytes())
        });
        let (status, body) = exchange.await.expect("in time");
        operation.check(status, &body);
    }
}

/// isahc, with the settings of this client's transport.
pub struct BareIsahc {
    client: HttpClient,
    endpoint: String,
}

impl BareIsahc {
    /// Creates a contender for this etcd.
    pub fn new(endpoint: &str) -> Self {
        let builder = HttpClient::builder().tcp_nodelay().proxy(None);
        Self {
            client: builder.build().expect("a client"),
            endpoint: endpoint.to_owned(),
        }
    }
}

impl Contender for BareIsahc {
    async fn run(&self, operation: Operation) {
        let Request {
            method,
            path,
            content_type,
            body,
        } = operation.request();
        let mut request = isahc::Request::builder()
            .method(method)
            .uri(format!("{}{path}", self.endpoint))
            .redirect_policy(RedirectPolicy::None)
            .version_negotiation(VersionNegotiation::http11())
            .timeout(TIME_LIMIT);
        if let Some(content_type) = content_type {
            request = request.header(CONTENT_TYPE, content_type);
        }
        // With an empty body there would be a header of its length.
        let sent = if body.is_empty() {
            let request = request.body(()).expect("a request");
            self.client.send_async(request).await
        } else {
            let request = request.body(body).expect("a request");
            self.client.send_async(request).await
        };
        let mut response = sent.expect("a head");
        let body = response.bytes().await.expect("a body");
        operation.check(response.status().as_u16(), &body);
    }
}
