use bytes::Bytes;
use http::{HeaderMap, StatusCode, header::CONTENT_TYPE};
use serde::de::DeserializeOwned;

use crate::{
    endpoints::{state::EndpointState, wire::Wire},
    error::{
        Error, ErrorContext, EtcdError, HttpError, Outcome, Refusal, Result, UnexpectedAnswer,
        Unsupported,
    },
    pipeline::call::Call,
};

/// A whole answer, as it came.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) trailers: Option<HeaderMap>,
    pub(crate) body: Bytes,
}

impl Reply {
    /// Whether the body claims to be JSON.
    pub(crate) fn is_json(&self) -> bool {
        self.headers
            .get(CONTENT_TYPE)
            .and_then(|value| value.to_str().ok())
            .is_some_and(|value| value.starts_with("application/json"))
    }

    /// Whether its status says that a server, or a proxy, cannot serve at the moment.
    pub(crate) fn is_unavailable(&self) -> bool {
        matches!(self.status.as_u16(), 500 | 502 | 503 | 504)
    }
}

/// What a whole answer means.
#[derive(Debug)]
pub(crate) enum Verdict {
    /// It was carried out, by this cluster if the answer names one.
    Success { cluster: Option<u64> },
    /// etcd refused it.
    Refused(Box<Refusal>),
    /// The server does not have this call, for this reason; `is_etcd` if the words are etcd's own, and not a proxy's.
    Unsupported { reason: &'static str, is_etcd: bool },
    /// A status other than success, without etcd's words.
    Foreign,
}

/// A whole answer, what it means, and where it came from.
#[derive(Debug)]
pub struct Answer {
    pub(crate) reply: Reply,
    pub(crate) verdict: Verdict,
    pub(crate) wire: Wire,
    pub(crate) context: ErrorContext,
    /// The endpoint that answered.
    pub(crate) endpoint: EndpointState,
}

impl Answer {
    /// Returns this answer if it is a success, and the error that it stands for otherwise.
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

    /// Returns the error that an answer other than a success stands for.
    pub(crate) fn into_error(self) -> Error {
        match self.verdict {
            Verdict::Refused(refusal) => Error::Etcd(EtcdError::new(self.context, *refusal)),
            Verdict::Unsupported { reason, .. } => {
                Error::Unsupported(Unsupported::new(self.context, reason))
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

    /// An answer without a meaning: what is wrong with it, and how it begins.
    pub(crate) fn unexpected(&self, what: impl Into<String>) -> UnexpectedAnswer {
        // These redirects were not carried out. A success was, whatever its body says; so may have been what goes on
        // elsewhere with another method (303).
        let outcome = match self.reply.status.as_u16() {
            301 | 302 | 307 | 308 => Outcome::Rejected,
            _ => Outcome::Unknown,
        };
        UnexpectedAnswer::new(self.context.clone(), what, outcome).with_body(&self.reply.body)
    }

    /// Whether an attempt of this call before this one may have been carried out.
    pub(crate) fn is_in_doubt(&self) -> bool {
        self.context.in_doubt
    }

    /// Whether another endpoint is to be asked, for this one does not have the call.
    pub(crate) fn is_unsupported(&self, call: &Call) -> bool {
        let is_certain = matches!(self.verdict, Verdict::Unsupported { is_etcd: true, .. });
        is_certain && call.feature.is_some()
    }

    /// Whether etcd wants another token.
    pub(crate) fn is_token_error(&self) -> bool {
        matches!(&self.verdict, Verdict::Refused(refusal) if refusal.kind.is_token_error())
    }

    /// Whether the server, or a proxy before it, cannot serve at the moment: its status says so, or its response is not
    /// etcd's, whatever its status promises.
    pub(crate) fn is_unavailable(&self) -> bool {
        match &self.verdict {
            Verdict::Refused(refusal) => refusal.is_unavailable,
            Verdict::Foreign => {
                let status = self.reply.status;
                status.is_server_error() || status.is_success()
            }
            Verdict::Success { .. } | Verdict::Unsupported { .. } => false,
        }
    }

    /// Whether nothing was carried out.
    pub(crate) fn is_rejected(&self) -> bool {
        match &self.verdict {
            Verdict::Refused(refusal) => refusal.outcome == Outcome::Rejected,
            Verdict::Unsupported { .. } => true,
            Verdict::Success { .. } | Verdict::Foreign => false,
        }
    }

    /// Whether another endpoint might do better.
    pub(crate) fn is_endpoint_fault(&self) -> bool {
        match &self.verdict {
            Verdict::Refused(refusal) => refusal.is_endpoint_fault,
            // A 500 comes from raft; every member would return it.
            Verdict::Foreign => self.reply.status != StatusCode::INTERNAL_SERVER_ERROR,
            // It is well, but for this call.
            Verdict::Success { .. } | Verdict::Unsupported { .. } => false,
        }
    }
}
