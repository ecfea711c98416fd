use std::error::Error as StdError;

use bytes::Bytes;
use http::{HeaderMap, StatusCode, header::CONTENT_TYPE};

use crate::{
    base::budget,
    endpoints::{state::EndpointState, wire::Wire},
    error::{
        Error, ErrorContext, EtcdError, EtcdErrorKind, ForeignStatus, HttpError, Outcome, Refusal,
        Result, UnexpectedKind, UnexpectedResponse, Unsupported,
    },
    pipeline::{failure::too_large_decoded, protocol::Origin},
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

    /// Returns whether the body is that of Go's HTTP server for a path that it does not have, as of an etcd without the API
    /// or of a peer port. A response to `HEAD` has no body.
    pub(crate) fn has_go_not_found_body(&self) -> bool {
        matches!(self.body.trim_ascii(), b"" | b"404 page not found")
    }
}

/// What a complete response means.
#[derive(Debug)]
pub(crate) enum Verdict {
    /// The call was executed, by this server as far as the response names it.
    Success { origin: Origin },
    /// etcd refused it.
    Refused(Box<Refusal>),
    /// The server does not have this call.
    Unsupported {
        reason: &'static str,
        by: UnsupportedBy,
        /// The server's message, if it is not the body.
        message: Option<String>,
    },
    /// Not an etcd response, as far as the body tells: a status without an etcd error, or a success that does not look like
    /// one.
    Foreign {
        /// The headers are those of an etcd: a response to `HEAD` has no body for an error.
        has_etcd_headers: bool,
    },
}

impl Verdict {
    /// Not an etcd response.
    pub(crate) const FOREIGN: Self = Self::Foreign {
        has_etcd_headers: false,
    };
}

/// Who does not have a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum UnsupportedBy {
    /// This member, as etcd itself says.
    Member,
    /// The program that responded, which may not be an etcd.
    Foreign,
    /// Every member of the cluster.
    Cluster,
}

/// A complete response, what it means, and where it came from.
///
/// It is passed on in a box, since it is moved many times on its way to the caller.
#[derive(Debug)]
pub struct Answer {
    pub(crate) reply: Reply,
    pub(crate) verdict: Verdict,
    pub(crate) wire: Wire,
    pub(crate) context: ErrorContext,
    /// The endpoint that responded.
    pub(crate) endpoint: EndpointState,
    /// The client's limit, in bytes.
    pub(crate) max_response_size: usize,
    /// See [`Call::is_confidential`](crate::pipeline::call::Call::is_confidential).
    pub(crate) is_confidential: bool,
}

impl Answer {
    /// Returns this response if it is a success, and its error otherwise.
    pub(crate) fn success(self: Box<Self>) -> Result<Box<Self>> {
        match self.verdict {
            Verdict::Success { .. } => Ok(self),
            _ => Err(self.into_error()),
        }
    }

    /// Decodes the response within the [budget] of the client. The error says `what` is wrong otherwise.
    pub(crate) fn decode_within<D, E: Into<Box<dyn StdError + Send + Sync>>>(
        &self,
        what: &str,
        decode: impl FnOnce() -> Result<D, E>,
    ) -> Result<D> {
        let limit = self.max_response_size;
        let (decoded, is_too_large) = budget::within(limit, decode);
        decoded.map_err(|error| {
            if is_too_large {
                return too_large_decoded(self.context.clone(), limit);
            }
            Error::Unexpected(self.unexpected(what).with_source(error))
        })
    }

    /// Returns the error that a response other than a success stands for.
    pub(crate) fn into_error(mut self: Box<Self>) -> Error {
        if self.is_confidential {
            // It may quote the request.
            self.reply.body = Bytes::new();
        }
        match self.verdict {
            Verdict::Refused(refusal) => Error::Etcd(EtcdError::of(self.context, *refusal)),
            Verdict::Unsupported {
                reason,
                by,
                message,
            } => {
                let is_foreign = by == UnsupportedBy::Foreign;
                let message = message.filter(|_| !self.is_confidential);
                let words = message.map_or(self.reply.body, Bytes::from);
                let words = words.trim_ascii();
                Error::Unsupported(match by {
                    UnsupportedBy::Member => Unsupported::by_member(self.context, reason, words),
                    _ => Unsupported::of(self.context, reason, words, is_foreign),
                })
            }
            Verdict::Foreign { .. } if self.reply.status.as_u16() >= 400 => {
                let Reply { status, body, .. } = self.reply;
                Error::Http(HttpError::of(self.context, status, &body))
            }
            Verdict::Foreign { .. } | Verdict::Success { .. } => {
                let status = self.reply.status;
                let what = if status.is_success() {
                    NOT_ETCD.to_owned()
                } else {
                    format!("a status that etcd does not send: {status}")
                };
                Error::Unexpected(self.unexpected(what))
            }
        }
    }

    /// Why this is no success, without keys, values and secrets.
    pub(crate) fn reason(&self) -> Option<String> {
        Some(match &self.verdict {
            Verdict::Success { .. } => return None,
            Verdict::Refused(refusal) if refusal.quotes_request => "refused by etcd".to_owned(),
            // Its cause may name a key.
            Verdict::Refused(refusal) => refusal.message.clone(),
            Verdict::Unsupported {
                reason,
                by: UnsupportedBy::Member,
                ..
            } => Unsupported::reason_at(&self.context.endpoint, reason).to_owned(),
            Verdict::Unsupported { reason, .. } => (*reason).to_owned(),
            Verdict::Foreign { .. } => {
                format!("HTTP status {}, not an etcd response", self.reply.status)
            }
        })
    }

    /// Returns the error for a response that cannot be decoded: what is wrong with it, and its beginning.
    pub(crate) fn unexpected(&self, what: impl Into<String>) -> UnexpectedResponse {
        // With a success the request was applied, whatever the body says.
        let outcome = ForeignStatus::of(self.reply.status).outcome();
        UnexpectedResponse::of(self.context.clone(), what, outcome)
            .with_kind(UnexpectedKind::Foreign)
            .with_body(&self.reply.body)
    }

    /// Returns whether an earlier attempt of this call may have been applied.
    pub(crate) fn is_in_doubt(&self) -> bool {
        self.context.in_doubt
    }

    /// Whether it shows that nothing was done here, and that another endpoint may serve the call.
    pub(crate) fn is_not_served(&self) -> bool {
        match &self.verdict {
            Verdict::Unsupported { by, .. } => *by != UnsupportedBy::Cluster,
            Verdict::Foreign { has_etcd_headers } => {
                !has_etcd_headers
                    && ForeignStatus::of(self.reply.status) == ForeignStatus::NotServed
            }
            Verdict::Refused(refusal) => refusal.is_not_served,
            Verdict::Success { .. } => false,
        }
    }

    /// Whether etcd itself says that this member does not have the call.
    pub(crate) fn is_unsupported_by_etcd(&self) -> bool {
        let by = UnsupportedBy::Member;
        matches!(self.verdict, Verdict::Unsupported { by: it, .. } if it == by)
    }

    /// Returns whether etcd requires another token.
    pub(crate) fn is_token_error(&self) -> bool {
        matches!(&self.verdict, Verdict::Refused(refusal) if refusal.kind.is_token_error())
    }

    /// Returns whether etcd refuses the user: the password is wrong, or the user may not do this.
    pub(crate) fn is_unauthorized(&self) -> bool {
        let kind = EtcdErrorKind::Unauthorized;
        matches!(&self.verdict, Verdict::Refused(refusal) if refusal.kind == kind)
    }

    /// Returns whether the server, or a proxy before it, currently cannot serve: its status says so, or its response is not
    /// from etcd, whatever its status.
    pub(crate) fn is_unavailable(&self) -> bool {
        match &self.verdict {
            Verdict::Refused(refusal) => refusal.is_unavailable,
            Verdict::Foreign { .. } => {
                let status = self.reply.status;
                status.is_server_error() || status.is_success()
            }
            Verdict::Success { .. } | Verdict::Unsupported { .. } => false,
        }
    }

    /// Returns whether nothing was applied.
    pub(crate) fn is_rejected(&self) -> bool {
        match &self.verdict {
            Verdict::Refused(refusal) => refusal.outcome == Outcome::Rejected,
            Verdict::Unsupported { .. } => true,
            Verdict::Foreign { .. } => {
                ForeignStatus::of(self.reply.status).outcome() == Outcome::Rejected
            }
            Verdict::Success { .. } => false,
        }
    }

    /// Returns whether another endpoint may succeed.
    pub(crate) fn is_endpoint_fault(&self) -> bool {
        // It may serve other calls.
        if self.is_not_served() {
            return false;
        }
        match &self.verdict {
            Verdict::Refused(refusal) => refusal.is_endpoint_fault,
            // A 500 comes from raft; every member would return it.
            Verdict::Foreign { .. } => self.reply.status != StatusCode::INTERNAL_SERVER_ERROR,
            // The endpoint is healthy, except for this call.
            Verdict::Success { .. } | Verdict::Unsupported { .. } => false,
        }
    }
}

/// What is wrong with a success that is none.
pub(crate) const NOT_ETCD: &str = "the response is not what etcd sends";
