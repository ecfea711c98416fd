//! The meaning of the v3 API's errors: decided by the message first, then by the gRPC code, never by the HTTP status,
//! which differs between versions for the same error.

mod body;
mod texts;

use http::StatusCode;

use crate::{
    error::{
        Api, Error, ErrorContext, EtcdCode, EtcdError, EtcdErrorKind as Kind, Outcome, Refusal,
    },
    v3::{
        LeaseId,
        protocol::status::{
            body::{Body, Part},
            texts::TEXTS,
        },
    },
};

/// The gRPC codes that are used here.
pub(crate) mod code {
    pub(crate) const CANCELED: u8 = 1;
    pub(crate) const UNKNOWN: u8 = 2;
    pub(crate) const INVALID_ARGUMENT: u8 = 3;
    pub(crate) const DEADLINE_EXCEEDED: u8 = 4;
    pub(crate) const NOT_FOUND: u8 = 5;
    pub(crate) const PERMISSION_DENIED: u8 = 7;
    pub(crate) const OUT_OF_RANGE: u8 = 11;
    pub(crate) const UNIMPLEMENTED: u8 = 12;
    pub(crate) const INTERNAL: u8 = 13;
    pub(crate) const UNAVAILABLE: u8 = 14;
    pub(crate) const DATA_LOSS: u8 = 15;
    pub(crate) const UNAUTHENTICATED: u8 = 16;
}

/// How etcd's own messages begin. The last one is about a client certificate.
const OWN_WORDS: [&str; 3] = ["etcdserver: ", "auth: ", "CommonName of client "];

/// A refusal of the v3 API.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct GrpcStatus {
    /// The gRPC code, from 1 to 16.
    pub(crate) code: u8,
    pub(crate) message: String,
}

impl GrpcStatus {
    /// Reads the refusal in a body, or in a message of a stream, in any of the shapes that gateways use:
    /// `{"error":M,"message":M,"code":N}`, `{"error":M,"code":N,"message":M}`, `{"code":N,"message":M}`, and in streams
    /// `{"error":{"grpc_code":N,"message":M,…}}` or `{"error":{"code":N,"message":M}}`.
    pub(crate) fn parse(body: &[u8]) -> Option<Self> {
        let mut refusal = Body::parse(body)?;
        if let Some(Part::Object(inner)) = refusal.error {
            refusal = *inner;
        }
        let code = refusal.grpc_code.or(refusal.code)?;
        let message = refusal.message.or(refusal.error)?;
        // The codes of a proxy's own errors may not be gRPC codes.
        let (Part::Number(code @ 1..=16), Part::Text(message)) = (code, message) else {
            return None;
        };
        Some(Self {
            code: u8::try_from(code).ok()?,
            message,
        })
    }

    /// Reads the refusal that ends a stream of the gateway: as in [`parse`](Self::parse), or `{"error":"EOF"}` without
    /// a code, if the gateway has lost its server.
    pub(crate) fn of_stream(message: &[u8]) -> Option<Self> {
        Self::parse(message).or_else(|| match Body::parse(message)?.error {
            Some(Part::Text(text)) => Some(Self::of_text(&text)),
            _ => None,
        })
    }

    /// Reads the refusal in a text such as the `cancel_reason` of a watch:
    /// `rpc error: code = PermissionDenied desc = …`. Without a code, only the text counts.
    pub(crate) fn of_text(text: &str) -> Self {
        Self {
            code: code::UNKNOWN,
            message: text.to_owned(),
        }
    }

    pub(crate) fn kind(&self) -> Kind {
        let text = bare(&self.message);
        if text.starts_with("grpc: received message larger than max") {
            return if text.contains(GATEWAY_LIMIT) {
                Kind::ResponseTooLarge
            } else {
                Kind::RequestTooLarge
            };
        }
        // These texts continue with the reason.
        if text.starts_with("request timed out") {
            return Kind::RequestTimedOut;
        }
        if text.starts_with("re-configuration failed") {
            return Kind::NotEnoughStartedMembers;
        }
        let known = TEXTS.iter().find(|(known, _)| *known == text);
        known.map_or_else(|| of_code(self.code), |(_, kind)| *kind)
    }

    /// Returns whether the server currently cannot serve: another server may, or this one later.
    pub(crate) fn is_unavailable(&self) -> bool {
        is_unavailable(self.kind())
    }

    /// Returns whether the token is missing, invalid, expired, or older than the last change of users and roles.
    pub(crate) fn is_token_error(&self) -> bool {
        self.kind().is_token_error()
    }

    /// Whether a learner was asked for what it does not do.
    pub(crate) fn is_learner_refusal(&self) -> bool {
        self.kind() == Kind::NotSupportedByLearner
    }

    /// Whether there is no such call.
    pub(crate) fn is_unimplemented(&self) -> bool {
        match self.code {
            // The gateway's text for an unknown path. etcd's own texts name what was not found.
            code::NOT_FOUND => self.message == UNKNOWN_PATH,
            code => code == code::UNIMPLEMENTED,
        }
    }

    /// Returns the etcd error for the caller.
    pub(crate) fn into_refusal(self, http_status: Option<StatusCode>) -> Refusal {
        let kind = self.kind();
        let outcome = outcome(kind);
        // A gateway gives these codes the status 500, which comes from raft: every member would return it.
        let is_internal = match http_status {
            Some(status) => status == StatusCode::INTERNAL_SERVER_ERROR,
            None => matches!(self.code, code::UNKNOWN | code::INTERNAL | code::DATA_LOSS),
        };
        Refusal {
            api: Api::V3,
            kind,
            code: Some(EtcdCode::Grpc(self.code)),
            cause: String::new(),
            index: None,
            compact_revision: None,
            http_status,
            outcome,
            is_retryable: is_retryable(kind),
            is_unavailable: is_unavailable(kind),
            is_endpoint_fault: outcome == Outcome::Rejected || !is_internal,
            is_not_served: self.is_learner_refusal(),
            quotes_request: !self.has_fixed_words(),
            hint: None,
            message: self.message,
        }
    }

    /// Whether the message is one of etcd's own, in fixed words that do not quote the request. A gateway may have others.
    fn has_fixed_words(&self) -> bool {
        OWN_WORDS
            .iter()
            .any(|known| self.message.starts_with(known))
    }

    /// Returns the error of a stream, or of one message.
    pub(crate) fn into_error(self, context: ErrorContext) -> Error {
        Error::Etcd(EtcdError::of(context, self.into_refusal(None)))
    }
}

/// Returns the error of a watch whose history was compacted. The remaining history begins with `compact_revision`.
pub(crate) fn compacted(context: ErrorContext, compact_revision: i64) -> Error {
    let status = GrpcStatus {
        code: code::OUT_OF_RANGE,
        message: "etcdserver: mvcc: required revision has been compacted".to_owned(),
    };
    let refusal = Refusal {
        cause: format!("history begins with revision {compact_revision}"),
        compact_revision: Some(compact_revision),
        ..status.into_refusal(None)
    };
    Error::Etcd(EtcdError::of(context, refusal))
}

/// Returns the error of a renewal that found no lease with this id.
pub(crate) fn lease_not_found(context: ErrorContext, id: i64) -> Error {
    Error::Etcd(EtcdError::of(context, no_lease(id)))
}

/// Returns the refusal of a request that needs a lease, where none has this id.
pub(crate) fn no_lease(id: i64) -> Refusal {
    let status = GrpcStatus {
        code: code::NOT_FOUND,
        message: "etcdserver: requested lease not found".to_owned(),
    };
    Refusal {
        cause: format!("lease {}", LeaseId::from(id)),
        ..status.into_refusal(None)
    }
}

fn outcome(kind: Kind) -> Outcome {
    match kind {
        Kind::ResponseTooLarge
        | Kind::RequestTimedOut
        | Kind::LeaderChanged
        | Kind::ServerStopped
        | Kind::Canceled => Outcome::Unknown,
        kind if is_vague(kind) => Outcome::Unknown,
        _ => Outcome::Rejected,
    }
}

fn is_unavailable(kind: Kind) -> bool {
    const UNAVAILABLE: Kind = Kind::Other(code::UNAVAILABLE as u32);
    matches!(
        kind,
        Kind::NoLeader
            | Kind::LeaderChanged
            | Kind::RequestTimedOut
            | Kind::ServerStopped
            | Kind::UnhealthyCluster
            | Kind::TooManyRequests
            | UNAVAILABLE
    )
}

/// Returns whether another attempt may succeed, if repeating the request is safe.
fn is_retryable(kind: Kind) -> bool {
    is_unavailable(kind) || kind == Kind::Canceled || is_vague(kind)
}

/// Returns whether the text is generic.
fn is_vague(kind: Kind) -> bool {
    [code::UNKNOWN, code::INTERNAL, code::UNAVAILABLE]
        .into_iter()
        .any(|code| kind == Kind::Other(code.into()))
}

/// Why a member does not have a call.
pub(crate) const NO_CALL: &str = "this server does not have this call: its etcd is too old for it";

/// The gateway's text for an unknown path: the complete body in 3.4, the message of an error later.
pub(crate) const UNKNOWN_PATH: &str = "Not Found";

/// An old gateway's limit for responses, in bytes, is exceeded. The request was applied.
const GATEWAY_LIMIT: &str = "vs. 4194304)";

/// Returns a message without the prefix that names a part of the server.
fn bare(message: &str) -> &str {
    let mut text = message;
    if let Some(described) = text.strip_prefix("rpc error: code = ") {
        text = described
            .split_once(" desc = ")
            .map_or(text, |(_, desc)| desc);
    }
    // `election: …` stays: `no leader` of an election is not that of the cluster.
    for prefix in ["etcdserver: ", "mvcc: ", "auth: "] {
        text = text.strip_prefix(prefix).unwrap_or(text);
    }
    text
}

fn of_code(code: u8) -> Kind {
    match code {
        code::CANCELED => Kind::Canceled,
        code::INVALID_ARGUMENT => Kind::BadRequest,
        code::DEADLINE_EXCEEDED => Kind::RequestTimedOut,
        code::NOT_FOUND => Kind::NotFound,
        code::PERMISSION_DENIED => Kind::PermissionDenied,
        code::DATA_LOSS => Kind::Corrupt,
        code::UNAUTHENTICATED => Kind::InvalidAuthToken,
        other => Kind::Other(other.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(code: u8, message: &str) -> GrpcStatus {
        GrpcStatus {
            code,
            message: message.to_owned(),
        }
    }

    #[test]
    fn v3_9_every_shape_of_an_error_is_read() {
        let expected = refusal(5, "etcdserver: requested lease not found");
        for body in [
            // 3.4; the gateway 1.16; 3.5 as Debian builds it, and 3.6; streams of 3.4; streams of 3.5.
            r#"{"error":"etcdserver: requested lease not found","message":"etcdserver: requested lease not found","code":5}"#,
            r#"{"error":"etcdserver: requested lease not found","code":5,"message":"etcdserver: requested lease not found"}"#,
            r#"{"code":5, "message":"etcdserver: requested lease not found", "details":[]}"#,
            r#"{"error":{"grpc_code":5,"http_code":404,"message":"etcdserver: requested lease not found","http_status":"Not Found"}}"#,
            r#"{"error":{"code":5,"message":"etcdserver: requested lease not found"}}"#,
            r#"{"error":"etcdserver: requested lease not found","code":5}"#,
        ] {
            assert_eq!(
                GrpcStatus::parse(body.as_bytes()),
                Some(expected.clone()),
                "{body}"
            );
        }
        for body in [
            "",
            "Not Found",
            "{}",
            "<html>",
            r#"{"message":"x"}"#,
            r#"{"code":"x"}"#,
            r#"{"code":502,"message":"bad gateway"}"#,
        ] {
            assert_eq!(GrpcStatus::parse(body.as_bytes()), None, "{body}");
        }
    }

    #[test]
    fn v3_20_words_decide_whatever_the_code_and_the_prefix() {
        for (code, message, kind) in [
            (
                11,
                "etcdserver: mvcc: required revision has been compacted",
                Kind::Compacted,
            ),
            (
                2,
                "etcdserver: requested lease not found",
                Kind::LeaseNotFound,
            ),
            (
                5,
                "etcdserver: requested lease not found",
                Kind::LeaseNotFound,
            ),
            (7, "etcdserver: permission denied", Kind::PermissionDenied),
            (2, "auth: permission denied", Kind::PermissionDenied),
            (14, "etcdserver: no leader", Kind::NoLeader),
            (2, "election: no leader", Kind::ElectionWithoutLeader),
            (9, "etcdserver: not leader", Kind::NotLeader),
            (2, "election: not leader", Kind::NotElectionLeader),
            (2, "context deadline exceeded", Kind::RequestTimedOut),
            (4, "context deadline exceeded", Kind::RequestTimedOut),
            (
                14,
                "etcdserver: request timed out, possibly due to connection lost",
                Kind::RequestTimedOut,
            ),
            (
                8,
                "grpc: received message larger than max (2200000 vs. 2097152)",
                Kind::RequestTooLarge,
            ),
            (
                8,
                "grpc: received message larger than max (5000000 vs. 4194304)",
                Kind::ResponseTooLarge,
            ),
            (
                2,
                "rpc error: code = PermissionDenied desc = etcdserver: permission denied",
                Kind::PermissionDenied,
            ),
            (
                3,
                "invalid character 'x' looking for beginning of value",
                Kind::BadRequest,
            ),
            (99, "?", Kind::Other(99)),
        ] {
            assert_eq!(refusal(code, message).kind(), kind, "{message}");
        }
    }

    #[test]
    fn r_2_what_may_have_been_applied_is_unknown() {
        for (code, message, outcome) in [
            (3, "etcdserver: key is not provided", Outcome::Rejected),
            (
                5,
                "etcdserver: requested lease not found",
                Outcome::Rejected,
            ),
            (7, "etcdserver: permission denied", Outcome::Rejected),
            (9, "etcdserver: lease already exists", Outcome::Rejected),
            (
                11,
                "etcdserver: mvcc: required revision has been compacted",
                Outcome::Rejected,
            ),
            (16, "etcdserver: invalid auth token", Outcome::Rejected),
            (
                8,
                "etcdserver: mvcc: database space exceeded",
                Outcome::Rejected,
            ),
            (8, "etcdserver: too many requests", Outcome::Rejected),
            (
                8,
                "grpc: received message larger than max (2200000 vs. 2097152)",
                Outcome::Rejected,
            ),
            (
                8,
                "grpc: received message larger than max (5000000 vs. 4194304)",
                Outcome::Unknown,
            ),
            (14, "etcdserver: no leader", Outcome::Rejected),
            (14, "etcdserver: not capable", Outcome::Rejected),
            (14, "etcdserver: unhealthy cluster", Outcome::Rejected),
            (14, "etcdserver: leader changed", Outcome::Unknown),
            (14, "etcdserver: request timed out", Outcome::Unknown),
            (
                14,
                "etcdserver: request timed out, possibly due to previous leader failure",
                Outcome::Unknown,
            ),
            (14, "etcdserver: server stopped", Outcome::Unknown),
            (14, "error reading from server: EOF", Outcome::Unknown),
            (14, "transport is closing", Outcome::Unknown),
            (13, "whatever", Outcome::Unknown),
            (1, "context canceled", Outcome::Unknown),
            (4, "context deadline exceeded", Outcome::Unknown),
            (2, "context deadline exceeded", Outcome::Unknown),
            (2, "whatever", Outcome::Unknown),
            (
                2,
                "etcdserver: requested lease not found",
                Outcome::Rejected,
            ),
        ] {
            assert_eq!(
                refusal(code, message).into_refusal(None).outcome,
                outcome,
                "{code} {message}"
            );
        }
    }

    #[test]
    fn r_12_texts_that_call_for_a_new_token() {
        for text in [
            "invalid auth token",
            "revision of auth store is old",
            "user name is empty",
        ] {
            assert!(refusal(3, &format!("etcdserver: {text}")).is_token_error());
        }
        let wrong = "etcdserver: authentication failed, invalid user ID or password";
        assert!(!refusal(3, wrong).is_token_error());
    }

    #[test]
    fn a_missing_call_is_not_a_missing_key() {
        assert!(refusal(5, "Not Found").is_unimplemented());
        assert!(refusal(12, "Method Not Allowed").is_unimplemented());
        assert!(!refusal(5, "etcdserver: requested lease not found").is_unimplemented());
    }
}
