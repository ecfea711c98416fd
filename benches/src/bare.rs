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
    AsyncReadResponseExt, HttpClient, Request,
    config::{Configurable, RedirectPolicy, VersionNegotiation},
};
use serde::Deserialize;
use tokio::{net::TcpStream, time::timeout};

use crate::{Contender, KEY, VALUE};

const TIME_LIMIT: Duration = Duration::from_secs(10);
const FORM: &str = "application/x-www-form-urlencoded";

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
#[expect(dead_code, reason = "decoded as a user would, all of it")]
struct Answer {
    action: String,
    node: Node,
    prev_node: Option<Node>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
#[expect(dead_code, reason = "decoded as a user would, all of it")]
struct Node {
    key: String,
    value: Option<String>,
    #[serde(default)]
    dir: bool,
    #[serde(default)]
    nodes: Vec<Node>,
    modified_index: u64,
    created_index: u64,
}

fn check(status: u16, body: &[u8]) {
    assert!(status < 300, "status {status}");
    let answer: Answer = serde_json::from_slice(body).expect("etcd's JSON");
    assert_eq!(answer.node.value.as_deref(), Some(VALUE));
}

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

    async fn send(&self, request: reqwest::RequestBuilder) {
        let response = request.timeout(TIME_LIMIT).send().await.expect("a head");
        let status = response.status().as_u16();
        check(status, &response.bytes().await.expect("a body"));
    }
}

impl Contender for BareReqwest {
    async fn get(&self) {
        let url = format!("{}/v2/keys{KEY}", self.endpoint);
        self.send(self.client.get(url)).await;
    }

    async fn set(&self) {
        let url = format!("{}/v2/keys{KEY}", self.endpoint);
        let put = self.client.put(url).header("content-type", FORM);
        self.send(put.body(format!("value={VALUE}"))).await;
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

    async fn send(&self, method: Method, content_type: Option<&'static str>, body: Bytes) {
        let mut request = hyper::Request::new(Full::new(body));
        *request.method_mut() = method;
        *request.uri_mut() = format!("/v2/keys{KEY}").parse().expect("a path");
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
        check(status, &body);
    }
}

impl Contender for BareHyper {
    async fn get(&self) {
        self.send(Method::GET, None, Bytes::new()).await;
    }

    async fn set(&self) {
        let form = format!("value={VALUE}").into();
        self.send(Method::PUT, Some(FORM), form).await;
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

    fn request(&self, method: &str) -> isahc::http::request::Builder {
        Request::builder()
            .method(method)
            .uri(format!("{}/v2/keys{KEY}", self.endpoint))
            .redirect_policy(RedirectPolicy::None)
            .version_negotiation(VersionNegotiation::http11())
            .timeout(TIME_LIMIT)
    }
}

impl Contender for BareIsahc {
    async fn get(&self) {
        let request = self.request("GET").body(()).expect("a request");
        let mut response = self.client.send_async(request).await.expect("a head");
        let body = response.bytes().await.expect("a body");
        check(response.status().as_u16(), &body);
    }

    async fn set(&self) {
        let request = self.request("PUT").header("content-type", FORM);
        let request = request.body(format!("value={VALUE}")).expect("a request");
        let mut response = self.client.send_async(request).await.expect("a head");
        let body = response.bytes().await.expect("a body");
        check(response.status().as_u16(), &body);
    }
}
