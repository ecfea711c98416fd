//! Encodes the v3 API's messages as requests, and decodes responses: over etcd's JSON gateway, or over gRPC.

pub(crate) mod gateway;
pub(crate) mod grpc;
pub(crate) mod header;
pub(crate) mod json;
pub(crate) mod length_prefixed;
pub(crate) mod message;
pub(crate) mod method;
mod operation;
pub(crate) mod protobuf;
pub(crate) mod status;
pub(crate) mod status_request;

pub(crate) use operation::operation;

use std::time::Duration;

use http::{
    HeaderMap, HeaderValue,
    header::{AUTHORIZATION, HeaderName, TE},
};

use crate::{
    base::budget,
    endpoints::{unsupported::Feature, wire::Wire},
    error::{Error, EtcdErrorKind, Refusal, Result},
    pipeline::{
        answer::{Answer, NOT_ETCD, Reply, Verdict},
        call::{Call, Login, Repeat},
        deadline::Deadline,
        exchange::{Encoded, Exchange},
        failure::too_large_decoded,
        protocol::{Protocol, Shown},
    },
    v3::{
        Header, LeaseId,
        protocol::{
            message::{Decode, Encode},
            method::Method,
            status_request::StatusRequest,
        },
    },
};

/// Calls that every member applies, whichever is asked. A member of 3.4 panics when one of 3.5 makes it: in a cluster
/// that is being upgraded, those that have them must not be asked.
const BY_ALL_MEMBERS: [Method; 2] = [method::AUTH_STATUS, method::DOWNGRADE];

/// Calls whose success need not name the cluster. All others have it in their header, in every release.
const WITHOUT_CLUSTER: [Method; 3] = [
    // No release has a header in it.
    method::DEFRAGMENT,
    method::MOVE_LEADER,
    // 3.4 has none in it.
    method::ALARM,
];

/// Calls that change nothing.
const READS: [Method; 10] = [
    method::RANGE,
    method::LEASE_TIME_TO_LIVE,
    method::LEASE_LEASES,
    method::LEADER,
    method::MEMBER_LIST,
    method::STATUS,
    method::USER_GET,
    method::USER_LIST,
    method::ROLE_GET,
    method::ROLE_LIST,
];

/// Calls with a password, which a response may quote.
const WITH_SECRET: [Method; 3] = [
    method::AUTHENTICATE,
    method::USER_ADD,
    method::USER_CHANGE_PASSWORD,
];

/// Calls that change something, and may be repeated.
const REPEATABLE_WRITES: [Method; 5] = [
    method::COMPACT,
    method::LEASE_GRANT,
    method::LEASE_REVOKE,
    method::RESIGN,
    method::MOVE_LEADER,
];

static TRAILERS: HeaderValue = HeaderValue::from_static("trailers");
const TIMEOUT: HeaderName = HeaderName::from_static("grpc-timeout");
const TOKEN: HeaderName = HeaderName::from_static("token");
const HAS_LEADER: HeaderName = HeaderName::from_static("hasleader");
const GATEWAY_HAS_LEADER: HeaderName = HeaderName::from_static("grpc-metadata-hasleader");

/// The v3 API's protocol, on each wire.
#[derive(Debug)]
struct V3;

impl Protocol for V3 {
    fn headers(&self, call: &Call, wire: Wire, shown: Shown<'_>, headers: &mut HeaderMap) {
        let (token, require_leader) = match wire {
            Wire::Http => (AUTHORIZATION, GATEWAY_HAS_LEADER),
            Wire::Grpc => {
                headers.insert(TE, TRAILERS.clone());
                (TOKEN, HAS_LEADER)
            }
        };
        if let Some(value) = shown.token {
            headers.insert(token, value.clone());
        }
        if call.require_leader {
            headers.insert(require_leader, HeaderValue::from_static("true"));
        }
        if let Some(timeout) = call.server_limit.and_then(timeout) {
            headers.insert(TIMEOUT, timeout);
        }
    }

    fn classify(&self, call: &Call, wire: Wire, reply: &Reply) -> Verdict {
        let verdict = match wire {
            Wire::Http => gateway::classify(reply),
            Wire::Grpc => grpc::classify(reply),
        };
        match verdict {
            Verdict::Success { origin } if call.names_cluster && origin.cluster.is_none() => {
                Verdict::FOREIGN
            }
            Verdict::Refused(mut refusal) => {
                add_cause(call, &mut refusal);
                if call.is_confidential {
                    redact(&mut refusal);
                }
                Verdict::Refused(refusal)
            }
            verdict => verdict,
        }
    }

    fn status_request(&self) -> Option<Box<dyn Exchange>> {
        Some(Box::new(StatusRequest {
            operation: "v3.maintenance.status",
        }))
    }

    fn hint(&self, refusal: &Refusal, has_credentials: bool) -> Option<&'static str> {
        match refusal.kind {
            EtcdErrorKind::UserNameEmpty if !has_credentials => {
                Some("this client shows no user: set `v3_auth`")
            }
            _ if refusal.message.starts_with(gateway::COMMON_NAME) => {
                Some("use a certificate without a common name, or gRPC")
            }
            _ => None,
        }
    }
}

/// Removes what may quote a password.
fn redact(refusal: &mut Refusal) {
    if refusal.quotes_request {
        refusal.message = "a refusal that may quote the password, and is not shown".to_owned();
    }
    refusal.cause.clear();
}

/// Adds what etcd does not say: which lease is gone, and how long was waited.
fn add_cause(call: &Call, refusal: &mut Refusal) {
    match (refusal.kind, call.deadline) {
        (EtcdErrorKind::LeaseNotFound, _) if call.subject != 0 => {
            refusal.cause = format!("lease {}", LeaseId::from(call.subject));
        }
        (EtcdErrorKind::RequestTimedOut, Deadline::AtMost(limit)) => {
            refusal.cause = match call.operation {
                "v3.lock.lock" => format!("not held within {limit:?}"),
                "v3.election.campaign" => format!("not elected within {limit:?}"),
                _ => format!("not done within {limit:?}"),
            };
            // The limit is the caller's. etcd's own words for a store that is too slow are others.
            if refusal.message.ends_with("context deadline exceeded") {
                refusal.is_endpoint_fault = false;
            }
        }
        _ => {}
    }
}

/// Returns a call of the v3 API, which a server may not support.
pub(crate) fn call(operation: &'static str, method: Method, repeat: Repeat) -> Call {
    Call {
        feature: Some(Feature {
            name: method.gateway,
            by_all_members: BY_ALL_MEMBERS.contains(&method),
        }),
        is_read: READS.contains(&method),
        reads_keys: method == method::RANGE,
        on_any_wire: true,
        names_cluster: !WITHOUT_CLUSTER.contains(&method),
        is_confidential: WITH_SECRET.contains(&method),
        is_write: repeat == Repeat::IfUnsent || REPEATABLE_WRITES.contains(&method),
        ..base(operation, method.gateway, repeat)
    }
}

/// Returns the call for a request to this path, if it belongs to the v3 API.
pub(crate) fn call_to(path: &str, operation: &'static str, repeat: Repeat) -> Option<Call> {
    let is_v3 = path.starts_with("/v3/");
    is_v3.then(|| base(operation, path, repeat))
}

fn base(operation: &'static str, path: &str, repeat: Repeat) -> Call {
    let login = if path == method::AUTHENTICATE.gateway {
        Login::None
    } else {
        Login::Token
    };
    Call::new(operation, &V3, repeat).login(login)
}

/// Encodes a message for a wire, once its own [`check`](Encode::check) is passed.
pub(crate) fn encode(
    operation: &'static str,
    method: Method,
    wire: Wire,
    message: &impl Encode,
) -> Result<Encoded> {
    message.check(operation)?;
    Ok(encode_all(method, wire, std::slice::from_ref(message)))
}

/// Encodes messages for a wire, one after the other.
pub(crate) fn encode_all<M: Encode>(method: Method, wire: Wire, messages: &[M]) -> Encoded {
    match wire {
        Wire::Http => gateway::encode(method, messages),
        Wire::Grpc => grpc::encode(method, messages),
    }
}

/// Decodes the message of a success. Otherwise returns the error of the response.
pub(crate) fn answer<M: Decode>(answer: Box<Answer>) -> Result<M> {
    let answer = answer.success()?;
    decode(&answer)
}

/// Like [`answer`], for a call of which an earlier attempt may have been applied. A refusal that says so is then a
/// success without a message.
pub(crate) fn answer_or_done<M: Decode>(
    reply: Box<Answer>,
    is_done: fn(&Error) -> bool,
) -> Result<M> {
    let in_doubt = reply.is_in_doubt();
    match answer(reply) {
        Err(refused) if in_doubt && is_done(&refused) => Ok(M::default()),
        result => result,
    }
}

/// Decodes the message of a success.
pub(crate) fn decode<M: Decode>(answer: &Answer) -> Result<M> {
    let message: M = answer.decode_within(NOT_ETCD, || decode_quietly(answer))?;
    if message.is_complete() {
        Ok(message)
    } else {
        Err(Error::Unexpected(answer.unexpected(NOT_ETCD)))
    }
}

/// Decodes the message of a response, if that is a success that can be decoded.
pub(crate) fn decode_success<M: Decode>(answer: &Answer) -> Option<M> {
    let is_success = matches!(answer.verdict, Verdict::Success { .. });
    is_success.then(|| decode(answer).ok()).flatten()
}

/// Like [`decode`], with an error that does not quote the response.
pub(crate) fn decode_quietly<M: Decode>(
    answer: &Answer,
) -> Result<M, Box<dyn std::error::Error + Send + Sync>> {
    let body = &answer.reply.body;
    let header = match &answer.verdict {
        Verdict::Success { origin } => Header::of(origin),
        _ => None,
    };
    Ok(match (answer.wire, header) {
        // A header within a result is not that of the message.
        (Wire::Http, Some(header)) if !body.starts_with(br#"{"result":"#) => {
            json::parse_after_header(body, header)?
        }
        (Wire::Http, _) => json::parse(body)?,
        (Wire::Grpc, Some(header)) => {
            protobuf::parse_after_header(&length_prefixed::only(body)?, header)?
        }
        (Wire::Grpc, None) => protobuf::parse(&length_prefixed::only(body)?)?,
    })
}

/// Decodes the messages in the response to a streaming call, which has one for each request.
pub(crate) fn answers<M: Decode>(answer: Box<Answer>, count: usize) -> Result<Vec<M>> {
    let answer = answer.success()?;
    let limit = answer.max_response_size;
    let ((messages, refusal), is_too_large) = budget::within(limit, || match answer.wire {
        Wire::Http => gateway::messages(&answer.reply.body),
        Wire::Grpc => (grpc::messages(&answer.reply.body), None),
    });
    if is_too_large {
        return Err(too_large_decoded(answer.context, limit));
    }
    if messages.len() == count {
        return Ok(messages);
    }
    if let Some(status) = refusal {
        return Err(status.into_error(answer.context));
    }
    let what = format!("{} responses to {count} requests", messages.len());
    Err(Error::Unexpected(answer.unexpected(what)))
}

/// Returns the deadline for the server: at most eight digits, and a unit.
fn timeout(limit: Duration) -> Option<HeaderValue> {
    const MAX: u128 = 99_999_999;
    let millis = limit.as_micros().div_ceil(1000).max(1);
    let text = if millis <= MAX {
        format!("{millis}m")
    } else {
        format!("{}S", u128::from(limit.as_secs()).min(MAX))
    };
    HeaderValue::try_from(text).ok()
}

#[cfg(test)]
mod tests {
    use http::Method;

    use super::*;
    use crate::{
        error::{Error, EtcdCode, EtcdErrorKind, Outcome},
        raw::RawRequest,
        testing::decoded,
    };

    #[test]
    fn a_deadline_is_sent_in_a_form_that_the_server_can_read() {
        for (limit, text) in [
            (Duration::ZERO, "1m"),
            (Duration::from_micros(699_001), "700m"),
            (Duration::from_secs(99_999), "99999000m"),
            (Duration::from_secs(100_000), "100000S"),
            (Duration::MAX, "99999999S"),
        ] {
            assert_eq!(timeout(limit).unwrap(), text);
        }
        let call = call("test", method::LOCK, Repeat::IfUnsent);
        assert_eq!(call.server_limit, None);
        let limited = call.deadline(Deadline::AtMost(Duration::ZERO));
        assert_eq!(limited.server_limit, Some(Duration::ZERO));
        assert_eq!(limited.deadline(Deadline::Unlimited).server_limit, None);
    }

    #[test]
    fn each_wire_spells_the_headers_in_its_own_way() {
        let call = Call {
            require_leader: true,
            ..call("test", method::RANGE, Repeat::Always)
        };
        let token = HeaderValue::from_static("t");
        let shown = Shown {
            basic: None,
            token: Some(&token),
        };
        let names = |wire| {
            let mut headers = HeaderMap::new();
            V3.headers(&call, wire, shown, &mut headers);
            let names = headers.keys().map(HeaderName::as_str);
            let mut names: Vec<_> = names.map(str::to_owned).collect();
            names.sort_unstable();
            names
        };
        assert_eq!(
            names(Wire::Http),
            ["authorization", "grpc-metadata-hasleader"]
        );
        assert_eq!(names(Wire::Grpc), ["hasleader", "te", "token"]);
    }

    #[test]
    fn a_token_goes_with_every_call_but_the_one_that_asks_for_it() {
        let login = |path| call_to(path, "test", Repeat::Always).map(|call| call.login);
        assert_eq!(login("/v3/kv/range"), Some(Login::Token));
        assert_eq!(login("/v3/auth/authenticate"), Some(Login::None));
        for elsewhere in ["/v2/keys/a", "/version", "/v3", "/v3beta/kv/range"] {
            assert_eq!(login(elsewhere), None, "{elsewhere}");
        }
    }

    #[test]
    fn v3_16_what_v3_refuses_a_raw_request_with_is_read_as_v3s() {
        let put = RawRequest::new(Method::POST, "/v3/kv/put");
        let gone = r#"{"error":"etcdserver: requested lease not found","code":2,"message":"etcdserver: requested lease not found"}"#;
        let error = decoded(&put, 500, gone).unwrap_err();
        assert_eq!(error.etcd_kind(), Some(EtcdErrorKind::LeaseNotFound));
        assert_eq!(error.as_etcd().unwrap().code(), Some(EtcdCode::Grpc(2)));
        assert_eq!(error.outcome(), Outcome::Rejected);

        let late = r#"{"code":14,"message":"etcdserver: request timed out"}"#;
        let error = decoded(&put, 503, late).unwrap_err();
        assert_eq!(error.outcome(), Outcome::Unknown);

        let nothing = RawRequest::new(Method::POST, "/v3/nothing");
        for text in ["Not Found\n", r#"{"code":5,"message":"Not Found"}"#] {
            let error = decoded(&nothing, 404, text).unwrap_err();
            assert!(matches!(error, Error::Unsupported(_)), "{error}");
        }
    }

    #[test]
    fn a_header_within_a_result_is_not_that_of_the_message() {
        let inner = r#"{"cluster_id":"7","member_id":"8","revision":"9","raft_term":"2"}"#;
        let own = r#"{"cluster_id":"7","member_id":"8","revision":"10","raft_term":"2"}"#;
        let put = crate::v3::Put::new("a", "b");
        for body in [
            format!(r#"{{"header":{own}}}"#),
            format!(r#"{{"result":{{"header":{inner}}},"header":{own}}}"#),
        ] {
            let response = decoded(&put, 200, &body).unwrap();
            assert_eq!(response.header.revision, 10, "{body}");
        }
    }
}
