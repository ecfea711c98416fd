use std::fmt;

use bytes::Bytes;
use http::{HeaderMap, Method, StatusCode};
use serde::{Serialize, de::DeserializeOwned};

use crate::{
    base::endpoint::Endpoint,
    endpoints::wire::Wire,
    error::{Error, ErrorContext, Outcome, Result, UnexpectedResponse},
    form::{Query, push_form_pair},
    operation::Operation,
    pipeline::{
        answer::{Answer, UnsupportedBy, Verdict},
        call::{Call, Repeat},
        exchange::{Encoded, Exchange, FORM, JSON, TypedExchange},
        protocol::Plain,
    },
};

/// A request with any method and path, for paths without an operation in this crate: debug paths, and additions of
/// later etcd versions.
///
/// It passes through the same pipeline as every operation: endpoints, credentials (of the API that the path belongs
/// to), limits, retries. A `GET` or `HEAD` is retried after a failure; any other request only if the failed attempt
/// definitely was not applied, unless it is [`repeatable`](Self::repeatable).
///
/// ```
/// # use etcd_http::{Client, Error};
/// # use etcd_http::transport::http::Method;
/// # #[cfg(feature = "fake")]
/// # futures::executor::block_on(async {
/// # let etcd = etcd_http::fake::FakeEtcd::new();
/// # let client = Client::new(etcd.clone(), etcd.endpoints())?;
/// # client.v2().set("/app/a", "1").await?;
/// let request = client.request(Method::GET, "/v2/keys/app").query("recursive", "true");
/// let response = client.send(request).await?;
/// println!("{} {}", response.status, response.text());
/// let listing: serde_json::Value = response.json()?;
/// println!("{}", listing["node"]["nodes"]);
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
    json: Option<Result<Bytes, String>>,
    repeatable: Option<bool>,
}

impl RawRequest {
    /// Creates a request for this path: percent-encoded, from etcd's root, with or without a query.
    pub fn new(method: Method, path: impl AsRef<str>) -> Self {
        Self {
            method,
            path: path.as_ref().to_owned(),
            query: Query::new(),
            form: None,
            json: None,
            repeatable: None,
        }
    }

    /// Adds a query parameter. Name and value are percent-encoded.
    pub fn query(mut self, name: &str, value: impl AsRef<str>) -> Self {
        self.query.push(name, value.as_ref());
        self
    }

    /// Adds a form field. The body is `application/x-www-form-urlencoded`.
    pub fn form(mut self, name: &str, value: impl AsRef<str>) -> Self {
        push_form_pair(self.form.get_or_insert_default(), name, value.as_ref());
        self
    }

    /// Sets a JSON body, which replaces any form. If the value cannot be serialized, sending the request fails.
    pub fn json<B: Serialize + ?Sized>(mut self, body: &B) -> Self {
        let json = serde_json::to_vec(body).map_err(|error| error.to_string());
        self.json = Some(json.map(Bytes::from));
        self
    }

    /// Sets whether the request may be retried after an attempt that may have been applied. Defaults to `true` for
    /// `GET` and `HEAD`, and to `false` otherwise.
    pub fn repeatable(mut self, repeatable: bool) -> Self {
        self.repeatable = Some(repeatable);
        self
    }
}

/// The response to a [`RawRequest`].
#[derive(Clone)]
#[non_exhaustive]
pub struct RawResponse {
    /// The status.
    pub status: StatusCode,
    /// The headers.
    pub headers: HeaderMap,
    /// The body.
    pub body: Bytes,
    context: ErrorContext,
}

impl RawResponse {
    /// A response of this endpoint without headers. For your own tests.
    ///
    /// ```
    /// use etcd_http::{RawResponse, transport::http::StatusCode};
    ///
    /// let endpoint = "http://127.0.0.1:2379".parse()?;
    /// let response = RawResponse::new(endpoint, StatusCode::OK, r#"["a","b"]"#);
    /// assert_eq!(response.json::<Vec<String>>()?, ["a", "b"]);
    /// # Ok::<(), etcd_http::Error>(())
    /// ```
    pub fn new(endpoint: Endpoint, status: StatusCode, body: impl Into<Bytes>) -> Self {
        Self {
            status,
            headers: HeaderMap::new(),
            body: body.into(),
            context: ErrorContext::new(RawRequest::NAME, endpoint),
        }
    }

    /// Decodes the body as JSON, whatever its content type is.
    ///
    /// # Errors
    /// [`Error::Unexpected`] if it is not JSON, or not of this type.
    pub fn json<D: DeserializeOwned>(&self) -> Result<D> {
        serde_json::from_slice(&self.body).map_err(|error| {
            let what = "the body is not the expected JSON";
            // A success was applied, whatever its body says.
            let unexpected = UnexpectedResponse::of(self.context.clone(), what, Outcome::Unknown);
            Error::Unexpected(unexpected.with_body(&self.body).with_source(error))
        })
    }

    /// Returns the body as text. Bytes that are not UTF-8 are replaced.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// Returns the endpoint that responded.
    pub fn endpoint(&self) -> &Endpoint {
        &self.context.endpoint
    }
}

/// Shows the length of the body, not its content, which may be secret.
impl fmt::Debug for RawResponse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RawResponse")
            .field("status", &self.status)
            .field("headers", &self.headers)
            .field("body", &format_args!("{} bytes", self.body.len()))
            .finish_non_exhaustive()
    }
}

impl Operation for RawRequest {
    type Output = RawResponse;
    const NAME: &'static str = "request";
}

impl Exchange for RawRequest {
    fn call(&self) -> Call {
        let is_read = matches!(self.method, Method::GET | Method::HEAD);
        let repeat = if self.repeatable.unwrap_or(is_read) {
            Repeat::Always
        } else {
            Repeat::IfUnsent
        };
        Call::new(Self::NAME, &Plain, repeat)
    }

    /// Without the query.
    fn path(&self) -> Option<&str> {
        self.path.split('?').next()
    }

    /// Without the query, which may have a value in it.
    fn method_and_path(&self) -> Option<String> {
        Some(format!("{} {}", self.method, self.path()?))
    }

    fn encode(&self, _: Wire) -> Result<Encoded> {
        if !self.path.starts_with('/') {
            let reason = format!("the path `{}` does not begin with `/`", self.path);
            return Err(Error::invalid(Self::NAME, reason));
        }
        if self.path.contains('#') {
            let reason = format!("the path `{}` contains a `#`: encode it as %23", self.path);
            return Err(Error::invalid(Self::NAME, reason));
        }
        let target = self.query.append_to(self.path.clone());
        let encoded = Encoded::new(Self::NAME, self.method.clone(), target)?;
        Ok(match (&self.json, &self.form) {
            (Some(Ok(json)), _) => encoded.body(&JSON, json.clone()),
            (Some(Err(error)), _) => {
                let reason = format!("the body cannot be serialized as JSON: {error}");
                return Err(Error::invalid(Self::NAME, reason));
            }
            (None, Some(form)) => encoded.body(&FORM, form.clone()),
            (None, None) => encoded,
        })
    }
}

impl TypedExchange for RawRequest {
    type Decoded = RawResponse;

    fn decode(&self, answer: Box<Answer>) -> Result<RawResponse> {
        // The caller knows which paths a server has.
        let answer = match answer.verdict {
            Verdict::Unsupported {
                by: UnsupportedBy::Foreign,
                ..
            } => Box::new(Answer {
                verdict: Verdict::FOREIGN,
                ..*answer
            }),
            _ => answer,
        };
        let Answer { reply, context, .. } = *answer.success()?;
        Ok(RawResponse {
            status: reply.status,
            headers: reply.headers,
            body: reply.body,
            context: context.with_request(self.method_and_path()),
        })
    }
}

/// Shows method and path, but no values, which may be secret.
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
    use crate::testing::decoded;

    #[test]
    fn query_form_and_json_are_encoded() {
        let put = RawRequest::new(Method::PUT, "/v2/keys/a")
            .query("prev Value", "a&b")
            .form("value", "50% + more;")
            .form("ttl", "5");
        let call = put.encode(Wire::Http).unwrap();
        assert_eq!(call.target, "/v2/keys/a?prev%20Value=a%26b");
        assert_eq!(&call.body[..], b"value=50%25 %2B more%3B&ttl=5");
        assert_eq!(call.content_type, Some(&FORM));
        assert_eq!(put.call().repeat, Repeat::IfUnsent);
        assert_eq!(put.repeatable(true).call().repeat, Repeat::Always);

        let post = RawRequest::new(Method::POST, "/v3/kv/range?x=1")
            .query("y", "2")
            .json(&json!({"key": "YQ=="}));
        let call = post.encode(Wire::Http).unwrap();
        assert_eq!(call.target, "/v3/kv/range?x=1&y=2");
        assert_eq!(&call.body[..], br#"{"key":"YQ=="}"#);
        assert_eq!(call.content_type, Some(&JSON));
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
                "request: the path `/v2/keys/a#b` contains a `#`: encode it as %23",
            ),
            (
                "/v2/a b",
                "request: this path cannot be sent: invalid uri character",
            ),
        ] {
            let error = RawRequest::new(Method::GET, path)
                .encode(Wire::Http)
                .unwrap_err();
            assert_eq!(error.to_string(), reason);
        }
    }

    #[test]
    fn a_response_of_no_api_is_read_by_its_status() {
        let metrics = RawRequest::new(Method::GET, "/metrics");
        assert_eq!(decoded(&metrics, 200, "a 1\n").unwrap().text(), "a 1\n");
        let error = decoded(&metrics, 404, r#"{"message":"no route"}"#).unwrap_err();
        assert!(matches!(error, Error::Http(_)), "{error}");
        let error = decoded(&metrics, 200, "a 1\n").unwrap().json::<u8>();
        assert!(matches!(error, Err(Error::Unexpected(_))), "{error:?}");
    }

    #[test]
    fn debug_shows_no_values() {
        let request = RawRequest::new(Method::PUT, "/v2/auth/users/a").form("password", "secret");
        assert!(!format!("{request:?}").contains("secret"));
    }
}
