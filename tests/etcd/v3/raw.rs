//! Requests that no operation makes, and answers as they came.

use std::time::Duration;

use base64::{Engine, prelude::BASE64_STANDARD};
use etcd_http::transport::{
    Body, IdleLimit, Request, Transport,
    http::{HeaderMap, Method, StatusCode, header::CONTENT_TYPE},
};
use serde_json::Value;

/// A `POST` of this body to this path.
pub(crate) fn post(url: &str, path: &str, body: impl Into<Body>) -> Request {
    let mut request = Request::new(body.into());
    *request.method_mut() = Method::POST;
    *request.uri_mut() = format!("{url}{path}").parse().unwrap();
    let json = "application/json".parse().unwrap();
    request.headers_mut().insert(CONTENT_TYPE, json);
    // For transports that notice a dropped answer no sooner.
    let idle = IdleLimit(Duration::from_secs(30));
    request.extensions_mut().insert(idle);
    request
}

/// The same request with one more header.
pub(crate) fn with(mut request: Request, name: &'static str, value: &str) -> Request {
    request.headers_mut().insert(name, value.parse().unwrap());
    request
}

/// Bytes as they are in JSON.
pub(crate) fn base64(bytes: impl AsRef<[u8]>) -> String {
    BASE64_STANDARD.encode(bytes)
}

/// An answer that is whole.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) text: String,
}

impl Answer {
    pub(crate) async fn to<T: Transport>(transport: &T, request: Request) -> Self {
        let (head, body) = transport.send(request).await.unwrap().into_parts();
        let body = body.collect(1 << 20).await.unwrap();
        Self {
            status: head.status,
            headers: head.headers,
            text: String::from_utf8(body.to_vec()).unwrap(),
        }
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// The code of a refusal, and its words.
    pub(crate) fn refusal(&self) -> (u64, String) {
        let json = self.json();
        let refusal = json.get("error").filter(|error| error.is_object());
        let refusal = refusal.unwrap_or(&json);
        let code = refusal.get("grpc_code").unwrap_or(&refusal["code"]);
        let message = refusal["message"].as_str().unwrap();
        (code.as_u64().unwrap(), message.to_owned())
    }
}
