use std::fmt;

use bytes::Bytes;
use http::Method;
use serde_json::Value;

use crate::{
    error::{Error, Result},
    operation::{Call, Operation, Repeat, Reply, is_v3, sealed::Sealed},
    v2::protocol::{Query, push_form_pair},
    v3::protocol::gateway,
};

/// Any request to etcd, for what this crate has no operation for: debug paths, metrics, what a later etcd brings.
///
/// It travels the same pipeline as every other: endpoints, credentials (on `/v2`), limits, retries. A `GET` or `HEAD` is sent
/// again after a failure; any other only when the server surely saw nothing.
///
/// ```
/// # use etcd_http::{Client, Error, Payload};
/// # use etcd_http::transport::http::Method;
/// # #[cfg(feature = "fake")]
/// # futures::executor::block_on(async {
/// # let etcd = etcd_http::fake::FakeEtcd::new();
/// # let client = Client::new(etcd.clone(), etcd.endpoints())?;
/// # client.v2().set("/app/a", "1").await?;
/// let request = client.request(Method::GET, "/v2/keys/app").query("recursive", "true");
/// match client.send(request).await? {
///     Payload::Json(value) => println!("{}", value["node"]["nodes"]),
///     Payload::Text(text) => println!("{text}"),
/// }
/// # Ok::<(), Error>(())
/// # }).unwrap();
/// ```
#[derive(Clone)]
#[must_use = "a request does nothing before `Client::send`"]
pub struct RawRequest {
    method: Method,
    path: String,
    query: Query,
    form: Option<String>,
    body: Option<(&'static str, Bytes)>,
}

impl RawRequest {
    /// A request for this path: percent-encoded, from etcd's root, with or without a query.
    pub fn new(method: Method, path: impl Into<String>) -> Self {
        Self {
            method,
            path: path.into(),
            query: Query::new(),
            form: None,
            body: None,
        }
    }

    /// With this query parameter; name and value are percent-encoded here.
    pub fn query(mut self, name: &str, value: impl AsRef<str>) -> Self {
        self.query.push(name, value.as_ref());
        self
    }

    /// With this form field; the body is `application/x-www-form-urlencoded`, then.
    pub fn form(mut self, name: &str, value: impl AsRef<str>) -> Self {
        push_form_pair(self.form.get_or_insert_default(), name, value.as_ref());
        self
    }

    /// With this JSON body, instead of any form.
    pub fn json(mut self, value: &Value) -> Self {
        self.body = Some(("application/json", value.to_string().into()));
        self
    }
}

/// What a raw request answers.
#[derive(Clone, Debug, PartialEq)]
pub enum Payload {
    /// The body is JSON, whatever its content type says.
    Json(Value),
    /// The body is anything else, empty included; bytes that are not UTF-8 are replaced.
    Text(String),
}

impl Sealed for RawRequest {}

impl Operation for RawRequest {
    type Output = Payload;
    const NAME: &'static str = "request";

    fn encode(&self) -> Result<Call> {
        if !self.path.starts_with('/') {
            let reason = format!("the path `{}` does not begin with `/`", self.path);
            return Err(Error::invalid(Self::NAME, reason));
        }
        if self.path.contains('#') {
            let reason = format!("the path `{}` has a `#`: write %23", self.path);
            return Err(Error::invalid(Self::NAME, reason));
        }
        let repeat = if matches!(self.method, Method::GET | Method::HEAD) {
            Repeat::Always
        } else {
            Repeat::IfUnsent
        };
        let target = self.query.append_to(self.path.clone());
        let call = Call::new(Self::NAME, self.method.clone(), target, repeat)?;
        Ok(match (&self.body, &self.form) {
            (Some((content_type, body)), _) => call.body(content_type, body.clone()),
            (None, Some(form)) => call.body("application/x-www-form-urlencoded", form.clone()),
            (None, None) => call,
        })
    }

    fn decode(&self, reply: Reply) -> Result<Payload> {
        // Each API says no in words of its own.
        let reply = if is_v3(&self.path) {
            gateway::success(reply)?
        } else {
            reply.success()?
        };
        Ok(match serde_json::from_slice(&reply.body) {
            Ok(value) => Payload::Json(value),
            Err(_) => Payload::Text(String::from_utf8_lossy(&reply.body).into_owned()),
        })
    }
}

/// Says what is sent where, but no values: they may be secrets.
impl fmt::Debug for RawRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RawRequest")
            .field("method", &self.method)
            .field("path", &self.path)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::{
        error::{EtcdErrorKind, Outcome},
        v3::testing::decoded,
    };

    #[test]
    fn query_form_and_json_are_encoded() {
        let put = RawRequest::new(Method::PUT, "/v2/keys/a")
            .query("prev Value", "a&b")
            .form("value", "50% + more;")
            .form("ttl", "5");
        let call = put.encode().unwrap();
        assert_eq!(call.target(), "/v2/keys/a?prev%20Value=a%26b");
        assert_eq!(call.body_bytes(), b"value=50%25 %2B more%3B&ttl=5");
        assert_eq!(
            call.content_type(),
            Some("application/x-www-form-urlencoded")
        );
        assert_eq!(call.repeat(), Repeat::IfUnsent);

        let post = RawRequest::new(Method::POST, "/v3/kv/range?x=1")
            .query("y", "2")
            .json(&json!({"key": "YQ=="}));
        let call = post.encode().unwrap();
        assert_eq!(call.target(), "/v3/kv/range?x=1&y=2");
        assert_eq!(call.body_bytes(), br#"{"key":"YQ=="}"#);
        assert_eq!(call.content_type(), Some("application/json"));
    }

    #[test]
    fn a_path_that_cannot_be_sent_is_refused() {
        for (path, reason) in [
            (
                "v2/keys",
                "request: the path `v2/keys` does not begin with `/`",
            ),
            (
                "/v2/keys/a#b",
                "request: the path `/v2/keys/a#b` has a `#`: write %23",
            ),
            (
                "/v2/a b",
                "request: this path cannot be sent: invalid uri character",
            ),
        ] {
            let error = RawRequest::new(Method::GET, path).encode().unwrap_err();
            assert_eq!(error.to_string(), reason);
        }
    }

    #[test]
    fn v3_16_what_v3_says_no_with_is_read_as_v3s() {
        let put = RawRequest::new(Method::POST, "/v3/kv/put");
        let gone = r#"{"error":"etcdserver: requested lease not found","code":2,"message":"etcdserver: requested lease not found"}"#;
        let error = decoded(&put, 500, gone).unwrap_err();
        assert_eq!(error.etcd_kind(), Some(EtcdErrorKind::LeaseNotFound));
        assert_eq!(error.as_etcd().unwrap().code(), Some(2));
        assert_eq!(error.outcome(), Outcome::Rejected);

        let late = r#"{"code":14,"message":"etcdserver: request timed out"}"#;
        let error = decoded(&put, 503, late).unwrap_err();
        assert_eq!(error.outcome(), Outcome::Unknown);

        let nothing = RawRequest::new(Method::POST, "/v3/nothing");
        for text in ["Not Found\n", r#"{"code":5,"message":"Not Found"}"#] {
            let error = decoded(&nothing, 404, text).unwrap_err();
            assert!(matches!(error, Error::Unsupported(_)), "{error}");
        }

        let v2 = RawRequest::new(Method::PUT, "/v2/keys/a");
        let exists = r#"{"errorCode":105,"message":"Key already exists","cause":"/a","index":7}"#;
        let error = decoded(&v2, 412, exists).unwrap_err();
        assert_eq!(error.etcd_kind(), Some(EtcdErrorKind::AlreadyExists));
    }

    #[test]
    fn debug_shows_no_values() {
        let request = RawRequest::new(Method::PUT, "/v2/auth/users/a").form("password", "secret");
        assert!(!format!("{request:?}").contains("secret"));
    }
}
