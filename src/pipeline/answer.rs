use bytes::Bytes;
use http::{HeaderMap, StatusCode, header::CONTENT_TYPE};
use serde::de::DeserializeOwned;

use crate::{
    endpoints::{state::EndpointState, wire::Wire},
    error::{
        Error, ErrorContext, EtcdError, HttpError, Outcome, Refusal, Result, UnexpectedAnswer,
        UnexpectedKind, Unsupported,
    },
    json::{Decode, Json},
    pipeline::call::Call,
};

/// A complete response, as received.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) trailers: Option<HeaderMap>,
    pub(crate) body: Bytes,
}

impl Reply {
    /// Returns whether the content type is JSON.
    pub(crate) fn is_json(&self) -> bool {
        self.headers
            .get(CONTENT_TYPE)
            .and_then(|value| value.to_str().ok())
            .is_some_and(|value| value.starts_with("application/json"))
    }

    /// Returns whether the status says that a server or a proxy currently cannot serve.
    pub(crate) fn is_unavailable(&self) -> bool {
        matches!(self.status.as_u16(), 500 | 502 | 503 | 504)
    }
}

/// What a complete response means.
#[derive(Debug)]
pub(crate) enum Verdict {
    /// The call was executed, by this cluster if the response names one.
    Success { cluster: Option<u64> },
    /// etcd refused it.
    Refused(Box<Refusal>),
    /// The server does not support this call, for this reason. `is_etcd` is set if etcd says so, and not a proxy.
    Unsupported { reason: &'static str, is_etcd: bool },
    /// A status other than success, without an etcd error.
    Foreign,
}

/// A complete response, what it means, and where it came from.
#[derive(Debug)]
pub struct Answer {
    pub(crate) reply: Reply,
    pub(crate) verdict: Verdict,
    pub(crate) wire: Wire,
    pub(crate) context: ErrorContext,
    /// Returns the endpoint that responded.
    pub(crate) endpoint: EndpointState,
}

impl Answer {
    /// Returns this response if it is a success, and its error otherwise.
    pub(crate) fn success(self) -> Result<Self> {
        match self.verdict {
            Verdict::Success { .. } => Ok(self),
            _ => Err(self.into_error()),
        }
    }

    /// Decodes the JSON body of a success.
    pub(crate) fn json<D: DeserializeOwned>(self) -> Result<D> {
        let answer = self.success()?;
        serde_json::from_slice(&answer.reply.body).map_err(|error| {
            let what = "the response is not what etcd sends";
            Error::Unexpected(answer.unexpected(what).with_source(error))
        })
    }

    /// Decodes the JSON body of a success, of a public type.
    pub(crate) fn decode<D: Decode>(self) -> Result<D> {
        self.json().map(|Json(decoded)| decoded)
    }

    /// Returns the error of a response other than a success.
    pub(crate) fn into_error(self) -> Error {
        match self.verdict {
            Verdict::Refused(refusal) => Error::Etcd(EtcdError::new(self.context, *refusal)),
            Verdict::Unsupported { reason, is_etcd } => {
                Error::Unsupported(Unsupported::new(self.context, reason, is_etcd))
            }
            Verdict::Foreign if self.reply.status.as_u16() >= 400 => {
                let Reply { status, body, .. } = self.reply;
                Error::Http(HttpError::new(self.context, status, &body))
            }
            Verdict::Foreign | Verdict::Success { .. } => {
                let what = format!("a status that etcd does not send: {}", self.reply.status);
                Error::Unexpected(self.unexpected(what))
            }
        }
    }

    /// Returns the error for a response that cannot be decoded: what is wrong with it, and its beginning.
    pub(crate) fn unexpected(&self, what: impl Into<String>) -> UnexpectedAnswer {
        // With these redirects the request was not applied. With a success it was, whatever the body says; with a 303,
        // which continues with another method, it may have been.
        let outcome = match self.reply.status.as_u16() {
            301 | 302 | 307 | 308 => Outcome::Rejected,
            _ => Outcome::Unknown,
        };
        UnexpectedAnswer::new(self.context.clone(), what, outcome)
            .with_kind(UnexpectedKind::Foreign)
            .with_body(&self.reply.body)
    }

    /// Returns whether an earlier attempt of this call may have been applied.
    pub(crate) fn is_in_doubt(&self) -> bool {
        self.context.in_doubt
    }

    /// Returns whether this endpoint does not support the call and another one should be tried.
    pub(crate) fn is_unsupported(&self, call: &Call) -> bool {
        let is_certain = matches!(self.verdict, Verdict::Unsupported { is_etcd: true, .. });
        is_certain && call.feature.is_some()
    }

    /// Returns whether etcd requires another token.
    pub(crate) fn is_token_error(&self) -> bool {
        matches!(&self.verdict, Verdict::Refused(refusal) if refusal.kind.is_token_error())
    }

    /// Returns whether the server, or a proxy before it, currently cannot serve.
    pub(crate) fn is_unavailable(&self) -> bool {
        match &self.verdict {
            Verdict::Refused(refusal) => refusal.is_unavailable,
            Verdict::Foreign => self.reply.is_unavailable(),
            Verdict::Success { .. } | Verdict::Unsupported { .. } => false,
        }
    }

    /// Returns whether nothing was applied.
    pub(crate) fn is_rejected(&self) -> bool {
        match &self.verdict {
            Verdict::Refused(refusal) => refusal.outcome == Outcome::Rejected,
            Verdict::Unsupported { .. } => true,
            Verdict::Success { .. } | Verdict::Foreign => false,
        }
    }

    /// Returns whether another endpoint may succeed.
    pub(crate) fn is_endpoint_fault(&self) -> bool {
        match &self.verdict {
            Verdict::Refused(refusal) => refusal.is_endpoint_fault,
            // A 500 comes from raft; every member would return it.
            Verdict::Foreign => self.reply.status != StatusCode::INTERNAL_SERVER_ERROR,
            // The endpoint is healthy, except for this call.
            Verdict::Success { .. } | Verdict::Unsupported { .. } => false,
        }
    }
}
