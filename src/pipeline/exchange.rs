use std::fmt;

use bytes::Bytes;
use http::{HeaderValue, Method, Version, uri::PathAndQuery};

use crate::{
    endpoints::wire::Wire,
    error::{Error, Result},
    pipeline::{answer::Answer, api::Apis, call::Call, confirm::Confirmation, probe::Probe},
};

/// A call that the pipeline executes. Its encoding depends on the wire, which depends on the endpoint.
pub trait Exchange: Send + Sync {
    /// Returns the properties that do not depend on the wire.
    fn call(&self) -> Call;

    /// Encodes the request for a wire.
    ///
    /// # Errors
    /// [`Error::Invalid`] if the options do not make a request that etcd could execute.
    fn encode(&self, wire: Wire) -> Result<Encoded>;

    /// Returns the path, if the call depends on the API that it belongs to: see [`call_of`].
    fn path(&self) -> Option<&str> {
        None
    }

    /// Returns the method and the path, if the operation's name does not tell them.
    fn method_and_path(&self) -> Option<String> {
        None
    }

    /// Returns what to ask of the member meanwhile, if this waits for something there.
    fn probe(&self) -> Option<Probe> {
        None
    }

    /// Returns what to ask after this response, if it is a success that must be confirmed.
    fn confirmation(&self, _answer: &Answer) -> Option<Confirmation> {
        None
    }
}

/// An [`Exchange`] with typed responses.
pub trait TypedExchange: Exchange {
    type Decoded: Send;

    /// Decodes a response to its output or its error.
    ///
    /// # Errors
    /// etcd's error; [`Error::Unexpected`] if the response cannot be decoded.
    fn decode(&self, answer: Box<Answer>) -> Result<Self::Decoded>;
}

/// Returns the call that an exchange makes: that of the API that its path belongs to, if it names a path.
pub(crate) fn call_of(exchange: &dyn Exchange, apis: Apis) -> Call {
    let call = exchange.call();
    let Some(path) = exchange.path() else {
        return call;
    };
    let mut calls = apis
        .iter()
        .filter_map(|api| api.call_to(path, call.operation, call.repeat));
    calls.next().unwrap_or(call)
}

/// An exchange with a mapped output. It is one that neither waits at the member nor is confirmed.
pub(crate) struct Mapped<E: TypedExchange, D>(pub(crate) E, pub(crate) fn(E::Decoded) -> D);

impl<E: TypedExchange, D> Exchange for Mapped<E, D> {
    fn call(&self) -> Call {
        self.0.call()
    }

    fn encode(&self, wire: Wire) -> Result<Encoded> {
        self.0.encode(wire)
    }
}

impl<E: TypedExchange, D: Send> TypedExchange for Mapped<E, D> {
    type Decoded = D;

    fn decode(&self, answer: Box<Answer>) -> Result<D> {
        self.0.decode(answer).map(self.1)
    }
}

/// The content types of requests. They are constants, since a value is checked byte by byte when it is made.
pub(crate) static FORM: HeaderValue = HeaderValue::from_static("application/x-www-form-urlencoded");
pub(crate) static GRPC: HeaderValue = HeaderValue::from_static("application/grpc");
pub(crate) static JSON: HeaderValue = HeaderValue::from_static("application/json");

/// A request without endpoint and credentials.
#[derive(Clone)]
pub struct Encoded {
    pub(crate) method: Method,
    pub(crate) target: PathAndQuery,
    pub(crate) content_type: Option<&'static HeaderValue>,
    pub(crate) body: Bytes,
    pub(crate) version: Version,
    /// The server should close the connection after the response.
    pub(crate) closes: bool,
}

impl Encoded {
    /// Creates a request without a body. `target` is the path and query from etcd's root, percent-encoded.
    ///
    /// # Errors
    /// [`Error::Invalid`] if the target does not fit a URL.
    pub(crate) fn new(operation: &'static str, method: Method, target: String) -> Result<Self> {
        let target = PathAndQuery::from_maybe_shared(Bytes::from(target)).map_err(|error| {
            Error::invalid(operation, format!("this path cannot be sent: {error}"))
        })?;
        Ok(Self::to(method, target))
    }

    /// Creates a request without a body.
    pub(crate) fn to(method: Method, target: PathAndQuery) -> Self {
        Self {
            method,
            target,
            content_type: None,
            body: Bytes::new(),
            version: Version::HTTP_11,
            closes: false,
        }
    }

    /// Sets the body.
    pub(crate) fn body(
        mut self,
        content_type: &'static HeaderValue,
        body: impl Into<Bytes>,
    ) -> Self {
        self.content_type = Some(content_type);
        self.body = body.into();
        self
    }

    /// Adds a query parameter of unreserved characters only.
    pub(crate) fn and_query(self, operation: &'static str, pair: &str) -> Result<Self> {
        let separator = if self.target.query().is_some() {
            '&'
        } else {
            '?'
        };
        let target = format!("{}{separator}{pair}", self.target);
        let with = Self::new(operation, self.method, target)?;
        Ok(Self {
            content_type: self.content_type,
            body: self.body,
            ..with
        })
    }
}

/// Shows the length of the body, not its content, which may be secret.
impl fmt::Debug for Encoded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Encoded")
            .field("method", &self.method)
            .field("target", &self.target)
            .field("body", &format_args!("{} bytes", self.body.len()))
            .finish_non_exhaustive()
    }
}

/// A call as it is sent: encoded for a wire, with its token.
#[derive(Clone, Debug)]
pub(crate) struct Prepared {
    pub(crate) call: Call,
    pub(crate) wire: Wire,
    pub(crate) encoded: Encoded,
    pub(crate) token: Option<HeaderValue>,
}

impl Prepared {
    /// Encodes an exchange for a wire.
    pub(crate) fn new(exchange: &dyn Exchange, call: Call, wire: Wire) -> Result<Self> {
        Ok(Self {
            call,
            wire,
            encoded: exchange.encode(wire)?,
            token: None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{pipeline::call::Repeat, pipeline::protocol::Plain};

    #[test]
    fn debug_shows_neither_body_nor_token() {
        let encoded = Encoded::new("test", Method::PUT, "/v2/auth/users/a".to_owned()).unwrap();
        let mut token = HeaderValue::from_static("token-secret");
        token.set_sensitive(true);
        let prepared = Prepared {
            call: Call::new("test", &Plain, Repeat::Always),
            wire: Wire::Http,
            encoded: encoded.body(&JSON, r#"{"password":"secret"}"#),
            token: Some(token),
        };
        let shown = format!("{prepared:?}");
        assert!(!shown.contains("secret"), "{shown}");
        for part in ["PUT", "/v2/auth/users/a", "21 bytes"] {
            assert!(shown.contains(part), "{shown}");
        }
    }
}
