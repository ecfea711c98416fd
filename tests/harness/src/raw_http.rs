//! Requests that no operation makes, and responses as they are on the wire.

use std::time::Duration;

use base64::{Engine, prelude::BASE64_STANDARD};
use etcd_http::transport::{
    Body, IdleLimit, Request, Transport,
    http::{HeaderMap, Method, StatusCode, header::CONTENT_TYPE},
};
use serde_json::Value;

/// A `POST` of this body to this path, with the content type JSON.
pub fn post(url: &str, path: &str, body: impl Into<Body>) -> Request {
    let mut request = Request::new(body.into());
    *request.method_mut() = Method::POST;
    *request.uri_mut() = format!("{url}{path}").parse().unwrap();
    let json = "application/json".parse().unwrap();
    request.headers_mut().insert(CONTENT_TYPE, json);
    // Some transports notice only then that a response was dropped.
    let idle = IdleLimit(Duration::from_secs(30));
    request.extensions_mut().insert(idle);
    request
}

/// The same request with one more header.
pub fn with(mut request: Request, name: &'static str, value: &str) -> Request {
    request.headers_mut().insert(name, value.parse().unwrap());
    request
}

/// Bytes as they are in the JSON of etcd.
pub fn base64(bytes: impl AsRef<[u8]>) -> String {
    BASE64_STANDARD.encode(bytes)
}

/// A complete response.
#[derive(Debug)]
pub struct Answer {
    /// The HTTP status.
    pub status: StatusCode,
    /// The headers.
    pub headers: HeaderMap,
    /// The body.
    pub text: String,
}

impl Answer {
    /// Sends the request, and reads the whole response.
    pub async fn to<T: Transport>(transport: &T, request: Request) -> Self {
        let (head, body) = transport.send(request).await.unwrap().into_parts();
        let body = body.collect(1 << 20).await.unwrap();
        Self {
            status: head.status,
            headers: head.headers,
            text: String::from_utf8(body.to_vec()).unwrap(),
        }
    }

    /// The body as JSON.
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// The gRPC code and the message of an error.
    pub fn refusal(&self) -> (u64, String) {
        let json = self.json();
        let refusal = json.get("error").filter(|error| error.is_object());
        let refusal = refusal.unwrap_or(&json);
        let code = refusal.get("grpc_code").unwrap_or(&refusal["code"]);
        let message = refusal["message"].as_str().unwrap();
        (code.as_u64().unwrap(), message.to_owned())
    }
}
