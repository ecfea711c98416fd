use std::error::Error as StdError;

use bytes::Bytes;
use http::{HeaderMap, StatusCode, header::CONTENT_TYPE};

use crate::{
    base::budget,
    endpoints::{state::EndpointState, wire::Wire},
    error::{
        Api, Error, ErrorContext, EtcdError, EtcdErrorKind, ForeignStatus, HttpError, Outcome,
        Refusal, Result, UnexpectedAnswer, UnexpectedKind, Unsupported,
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

    /// The text of a trailer, or of a header where there is no body.
    fn trailer_text(&self, name: &str) -> Option<String> {
        let trailer = self.trailers.as_ref().and_then(|all| all.get(name));
        let text = trailer.or_else(|| self.headers.get(name))?;
        let text = percent_encoding::percent_decode(text.as_bytes());
        Some(text.decode_utf8_lossy().into_owned())
    }

    /// Whether it is what Go's HTTP server says of a path that it does not have: etcd's, of a peer port or without an API. A
    /// response to HEAD has no body.
    pub(crate) fn is_of_go(&self) -> bool {
        matches!(self.body.trim_ascii(), b"" | b"404 page not found")
    }

    /// Whether its status says that a server, or a proxy, cannot serve at the moment.
    pub(crate) fn is_unavailable(&self) -> bool {
        matches!(self.status.as_u16(), 500 | 502 | 503 | 504)
    }
}

/// What a complete response means.
#[derive(Debug)]
pub(crate) enum Verdict {
    /// The call was executed, by this server as far as the response names it.
    Success { origin: Origin },
    /// etcd refused it.
    Refused(Box<Refusal>),
    /// The server does not have this call, for this reason.
    Unsupported {
        reason: &'static str,
        by: UnsupportedBy,
    },
    /// Not an etcd response: a status without an etcd error, or a success that does not look like one.
    Foreign,
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
    pub(crate) fn success(self) -> Result<Self> {
        match self.verdict {
            Verdict::Success { .. } => Ok(self),
            _ => Err(self.into_error()),
        }
    }

    /// Decodes the response within the [budget](crate::base::budget) of the client. The error says `what` is wrong otherwise.
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
    pub(crate) fn into_error(mut self) -> Error {
        if self.is_confidential {
            self.hide_secret();
        }
        match self.verdict {
            Verdict::Refused(refusal) => Error::Etcd(EtcdError::new(self.context, *refusal)),
            Verdict::Unsupported { reason, by } => {
                let is_foreign = by == UnsupportedBy::Foreign;
                let words = match (
                    self.reply.trailer_text("grpc-message"),
                    self.is_confidential,
                ) {
                    (Some(words), false) => words.into(),
                    _ => self.reply.body,
                };
                let error = Unsupported::new(self.context, reason, words.trim_ascii(), is_foreign);
                Error::Unsupported(error)
            }
            Verdict::Foreign if self.reply.status.as_u16() >= 400 => {
                let Reply { status, body, .. } = self.reply;
                Error::Http(HttpError::new(self.context, status, &body))
            }
            Verdict::Foreign | Verdict::Success { .. } => {
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

    /// Drops what may quote the request.
    fn hide_secret(&mut self) {
        self.reply.body = Bytes::new();
        // v2 has no such refusal: its errors are etcd's own words.
        if let Verdict::Refused(refusal) = &mut self.verdict
            && refusal.api == Api::V3
        {
            if !has_fixed_words(refusal) {
                refusal.message =
                    "a refusal that may quote the password, and is not shown".to_owned();
            }
            refusal.cause.clear();
        }
    }

    /// Why this is no success, without keys, values and secrets.
    pub(crate) fn reason(&self) -> Option<String> {
        Some(match &self.verdict {
            Verdict::Success { .. } => return None,
            // Its cause may name a key.
            Verdict::Refused(refusal) if has_fixed_words(refusal) => refusal.message.clone(),
            Verdict::Refused(_) => "refused by etcd".to_owned(),
            Verdict::Unsupported { reason, .. } => (*reason).to_owned(),
            Verdict::Foreign => {
                format!("HTTP status {}, not an etcd response", self.reply.status)
            }
        })
    }

    /// Returns the error for a response that cannot be decoded: what is wrong with it, and its beginning.
    pub(crate) fn unexpected(&self, what: impl Into<String>) -> UnexpectedAnswer {
        // With a success the request was applied, whatever the body says.
        let outcome = ForeignStatus::of(self.reply.status).outcome();
        UnexpectedAnswer::new(self.context.clone(), what, outcome)
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
            // A response to HEAD has no body for an etcd error: v2 names its cluster in the headers.
            Verdict::Foreign => {
                ForeignStatus::of(self.reply.status) == ForeignStatus::NotServed
                    && !self.reply.headers.contains_key("x-etcd-cluster-id")
            }
            Verdict::Refused(refusal) => refusal.kind == EtcdErrorKind::NotSupportedByLearner,
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

    /// Returns whether the server, or a proxy before it, currently cannot serve: its status says so, or its response is not
    /// from etcd, whatever its status.
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

    /// Returns whether nothing was applied.
    pub(crate) fn is_rejected(&self) -> bool {
        match &self.verdict {
            Verdict::Refused(refusal) => refusal.outcome == Outcome::Rejected,
            Verdict::Unsupported { .. } => true,
            Verdict::Foreign => ForeignStatus::of(self.reply.status).outcome() == Outcome::Rejected,
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
            Verdict::Foreign => self.reply.status != StatusCode::INTERNAL_SERVER_ERROR,
            // The endpoint is healthy, except for this call.
            Verdict::Success { .. } | Verdict::Unsupported { .. } => false,
        }
    }
}

/// Whether the message of a refusal is one of etcd's own, in fixed words, and does not quote the request. In v3, a gateway
/// may have others. The last one is about a client certificate.
fn has_fixed_words(refusal: &Refusal) -> bool {
    let fixed = ["etcdserver: ", "auth: ", "CommonName of client "];
    let is_fixed = fixed.iter().any(|known| refusal.message.starts_with(known));
    refusal.api == Api::V2 || is_fixed
}

/// What is wrong with a success that is none.
pub(crate) const NOT_ETCD: &str = "the response is not what etcd sends";
