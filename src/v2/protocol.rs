//! The v2 API on the wire: paths, forms, headers, and the meaning of responses.

use http::{HeaderMap, Method, StatusCode, header::AUTHORIZATION};
use percent_encoding::utf8_percent_encode;
use serde::{Deserialize, Serialize};

use crate::{
    endpoints::{unsupported::Feature, wire::Wire},
    error::{Api, Error, EtcdCode, EtcdErrorKind as Kind, Outcome, Refusal, Result},
    form::{Query, RESERVED},
    pipeline::{
        answer::{Answer, Reply, UnsupportedBy, Verdict},
        call::{Call, Login, Repeat},
        exchange::{Encoded, JSON},
        protocol::{Origin, Protocol, Shown},
    },
    v2::number::{hexadecimal, number},
};

/// The v2 API's protocol.
#[derive(Debug)]
pub(crate) struct V2 {
    /// Whether the responses report the index of the store.
    is_keys: bool,
}

/// The keys API.
pub(crate) static KEYS: V2 = V2 { is_keys: true };

/// The members, stats and auth APIs.
pub(crate) static OTHER: V2 = V2 { is_keys: false };

impl V2 {
    /// Creates a call that changes nothing, by way of the majority if it is to be up to date.
    pub(crate) fn read_by(&'static self, operation: &'static str, quorum: bool) -> Call {
        Call {
            is_linearizable: quorum,
            ..self.read(operation)
        }
    }

    /// Creates a call that changes nothing.
    pub(crate) fn read(&'static self, operation: &'static str) -> Call {
        Call {
            is_read: true,
            ..self.call(operation, Repeat::Always)
        }
    }

    /// Creates a call that may change something.
    pub(crate) fn write(&'static self, operation: &'static str) -> Call {
        self.call(operation, Repeat::IfUnsent)
    }

    fn call(&'static self, operation: &'static str, repeat: Repeat) -> Call {
        let name = if self.is_keys { "/v2/keys" } else { "/v2" };
        Call {
            feature: Some(Feature {
                name,
                by_all_members: false,
            }),
            is_linearizable: self.is_keys && repeat == Repeat::IfUnsent,
            is_confidential: operation.starts_with("v2.auth."),
            ..Call::new(operation, self, repeat).login(Login::Basic)
        }
    }
}

impl Protocol for V2 {
    fn headers(&self, _: &Call, _: Wire, shown: Shown<'_>, headers: &mut HeaderMap) {
        if let Some(basic) = shown.basic {
            headers.insert(AUTHORIZATION, basic.clone());
        }
    }

    fn origin(&self, headers: &HeaderMap) -> Origin {
        let mut origin = Origin::default();
        // One pass over the few headers is faster than lookups by name, which hash.
        for (name, value) in headers {
            match name.as_str() {
                CLUSTER => origin.cluster = hexadecimal(value),
                INDEX if self.is_keys => origin.index = number(value),
                "x-raft-term" => origin.term = number(value),
                _ => {}
            }
        }
        origin
    }

    fn classify(&self, _: &Call, _: Wire, reply: &Reply) -> Verdict {
        if reply.status.is_success() {
            // The keys API never leaves it out.
            return if self.is_keys && !reply.headers.keys().any(|name| name == INDEX) {
                foreign(reply)
            } else {
                // Its headers tell the origin.
                Verdict::Success {
                    origin: Origin::default(),
                }
            };
        }
        if reply.status == StatusCode::NOT_FOUND && !reply.is_json() {
            return Verdict::Unsupported {
                reason: if reply.has_go_not_found_body() {
                    NO_API
                } else {
                    NOT_ETCD
                },
                by: UnsupportedBy::Foreign,
                message: None,
            };
        }
        match refusal(reply) {
            // https://github.com/etcd-io/etcd/issues/13589: etcd responds "internal error" and changes nothing.
            Some(refusal)
                if refusal.code == Some(EtcdCode::V2(300))
                    && refusal.cause.contains("Not a file (") =>
            {
                Verdict::Unsupported {
                    reason: NO_UPDATE_DIR,
                    by: UnsupportedBy::Cluster,
                    message: None,
                }
            }
            Some(refusal) => Verdict::Refused(Box::new(refusal)),
            None => foreign(reply),
        }
    }

    /// etcd reports "Insufficient credentials" for each of these reasons.
    fn hint(&self, refusal: &Refusal, has_credentials: bool) -> Option<&'static str> {
        if refusal.http_status != Some(StatusCode::UNAUTHORIZED) {
            return None;
        }
        Some(if has_credentials {
            "the client's user or password is wrong, or its roles do not allow this"
        } else {
            "this client has no credentials, and guests do not have the permission"
        })
    }
}

/// The header that tells the index of the store.
const INDEX: &str = "x-etcd-index";

/// The header that names the cluster.
const CLUSTER: &str = "x-etcd-cluster-id";

/// Why a server, likely an etcd, does not have this API.
const NO_API: &str = "no v2 API here: is this a peer port? If it is the port for clients, start etcd with --enable-v2 (3.4 and 3.5; \
     3.6 has none)";

/// Why a server that is likely no etcd does not have this API.
const NOT_ETCD: &str = "this is not etcd's v2 API: is the path of this endpoint wrong?";

const NO_UPDATE_DIR: &str =
    "this server (etcd 3.5) cannot update a directory or refresh its TTL: see etcd issue 13589";

/// Returns the call for a request to this path, if it belongs to the v2 API.
pub(crate) fn call_to(path: &str, operation: &'static str, repeat: Repeat) -> Option<Call> {
    let is_in = |root: &str| {
        let below = path.strip_prefix(root);
        below.is_some_and(|below| below.is_empty() || below.starts_with('/'))
    };
    let api = if is_in("/v2/keys") {
        &KEYS
    } else if is_in("/v2") {
        &OTHER
    } else {
        return None;
    };
    // What a server does not have at this path, it may have at others.
    Some(Call {
        feature: None,
        ..api.call(operation, repeat)
    })
}

/// What a response without an error of v2 means.
fn foreign(reply: &Reply) -> Verdict {
    Verdict::Foreign {
        has_etcd_headers: reply.headers.contains_key(CLUSTER),
    }
}

/// The body of an error response.
#[derive(Deserialize)]
pub(super) struct Body {
    #[serde(rename = "errorCode")]
    pub(super) code: Option<u32>,
    pub(super) message: String,
    #[serde(default)]
    pub(super) cause: String,
    pub(super) index: Option<u64>,
}

/// Reads the error in a response.
fn refusal(reply: &Reply) -> Option<Refusal> {
    let status = reply.status;
    if !status.is_client_error() && !status.is_server_error() {
        return None;
    }
    let body: Body = serde_json::from_slice(&reply.body).ok()?;
    Some(body.into_refusal(status))
}

impl Body {
    pub(super) fn into_refusal(self, status: StatusCode) -> Refusal {
        let is_server_error = status.is_server_error();
        let kind = self
            .code
            .map_or_else(|| kind_of_status(status), kind_of_code);
        let outcome = match self.code {
            // A proposal that raft gave up waiting for may still be committed.
            Some(300 | 301) => Outcome::Unknown,
            // Regardless of the code: a server that failed has not refused the request.
            _ if is_server_error => Outcome::Unknown,
            _ => Outcome::Rejected,
        };
        Refusal {
            api: Api::V2,
            kind,
            code: self.code.map(EtcdCode::V2),
            message: self.message,
            cause: self.cause,
            index: self.index,
            compact_revision: None,
            http_status: Some(status),
            outcome,
            is_retryable: kind == Kind::WatcherCleared || is_server_error,
            // A server, or a proxy, cannot serve at the moment.
            is_unavailable: matches!(status.as_u16(), 500 | 502 | 503 | 504),
            // A 500 comes from raft; every member would return it.
            is_endpoint_fault: status != StatusCode::INTERNAL_SERVER_ERROR,
            is_not_served: false,
            // It quotes neither a value nor a password.
            quotes_request: false,
            hint: None,
        }
    }
}

fn kind_of_code(code: u32) -> Kind {
    match code {
        100 => Kind::KeyNotFound,
        101 => Kind::CompareFailed,
        102 => Kind::NotAFile,
        104 => Kind::NotADirectory,
        105 => Kind::AlreadyExists,
        107 => Kind::RootReadOnly,
        108 => Kind::DirectoryNotEmpty,
        110 => Kind::Unauthorized,
        201 => Kind::PreviousValueRequired,
        202 => Kind::InvalidTtl,
        203 => Kind::InvalidIndex,
        209 => Kind::InvalidField,
        210 => Kind::InvalidForm,
        211 => Kind::ValueOnRefresh,
        212 => Kind::TtlRequiredOnRefresh,
        300 => Kind::RaftInternal,
        301 => Kind::DuringLeaderElection,
        400 => Kind::WatcherCleared,
        401 => Kind::HistoryCleared,
        other => Kind::Other(other),
    }
}

fn kind_of_status(status: StatusCode) -> Kind {
    match status.as_u16() {
        400 | 415 => Kind::BadRequest,
        401 => Kind::Unauthorized,
        403 => Kind::Forbidden,
        404 => Kind::NotFound,
        409 => Kind::Conflict,
        410 => Kind::Gone,
        503 => Kind::DuringLeaderElection,
        other => Kind::Other(other.into()),
    }
}

/// etcd's limit on a form, in bytes. It rejects a larger one with code 210.
const FORM_LIMIT: usize = 10 << 20;

/// Returns `prefix` and the segments of `key`, percent-encoded.
///
/// A trailing slash stays: v2's auth distinguishes `/dir/?recursive=true` from `/dir?recursive=true`.
pub(crate) fn key_path(operation: &'static str, key: &str) -> Result<String> {
    let mut path = String::with_capacity("/v2/keys/".len() + key.len());
    path.push_str("/v2/keys");
    let segments = key.strip_prefix('/').unwrap_or(key);
    if segments.is_empty() {
        return Ok(path);
    }
    let inner = segments.strip_suffix('/').unwrap_or(segments);
    for segment in inner.split('/') {
        if matches!(segment, "" | "." | "..") {
            let reason = format!(
                "the key {key:?} has an empty, `.` or `..` segment, which etcd cannot store: \
                 remove or rename it"
            );
            return Err(Error::invalid(operation, reason));
        }
        path.push('/');
        path.extend(utf8_percent_encode(segment, RESERVED));
    }
    if inner.len() < segments.len() {
        path.push('/');
    }
    Ok(path)
}

/// Returns the name of a user, role or member as a single path segment.
pub(crate) fn segment(operation: &'static str, what: &str, name: &str) -> Result<String> {
    if matches!(name, "" | "." | "..") || name.contains('/') {
        let reason = format!(
            "the {what} {name:?} cannot be part of a path: it must not be empty, `.` or `..`, or contain a `/`"
        );
        return Err(Error::invalid(operation, reason));
    }
    Ok(utf8_percent_encode(name, RESERVED).to_string())
}

/// Returns the form, or an error if etcd would reject its size.
pub(crate) fn checked_form(operation: &'static str, form: String) -> Result<String> {
    if form.len() > FORM_LIMIT {
        let reason = format!(
            "the value makes a form of {} bytes, and etcd accepts at most {FORM_LIMIT}: store less in one key",
            form.len()
        );
        return Err(Error::invalid(operation, reason));
    }
    Ok(form)
}

/// Returns the request for a key.
pub(crate) fn at_key(
    operation: &'static str,
    method: Method,
    key: &str,
    query: &Query,
) -> Result<Encoded> {
    let target = query.append_to(key_path(operation, key)?);
    Encoded::new(operation, method, target)
}

/// Returns the request with a body of JSON.
pub(crate) fn with_json(
    operation: &'static str,
    method: Method,
    target: String,
    body: &impl Serialize,
) -> Result<Encoded> {
    let body = serde_json::to_vec(body).map_err(|error| {
        Error::invalid(operation, format!("cannot be written as JSON: {error}"))
    })?;
    Ok(Encoded::new(operation, method, target)?.body(&JSON, body))
}

/// A success without content.
pub(crate) fn empty(answer: Box<Answer>) -> Result<()> {
    answer.success().map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{raw::RawRequest, testing::decoded};

    #[test]
    fn every_byte_of_a_key_is_encoded_but_its_slashes() {
        for (key, path) in [
            ("", "/v2/keys"),
            ("/", "/v2/keys"),
            ("a", "/v2/keys/a"),
            ("/a/b", "/v2/keys/a/b"),
            ("/a/b/", "/v2/keys/a/b/"),
            ("/a b%?#+;&=", "/v2/keys/a%20b%25%3F%23%2B%3B%26%3D"),
            ("/ключ", "/v2/keys/%D0%BA%D0%BB%D1%8E%D1%87"),
            ("/\0\r\n\\", "/v2/keys/%00%0D%0A%5C"),
            ("/.../.a/_hidden~", "/v2/keys/.../.a/_hidden~"),
            ("/%2e%2e", "/v2/keys/%252e%252e"),
        ] {
            assert_eq!(key_path("test", key).unwrap(), path, "{key:?}");
        }
    }

    #[test]
    fn keys_that_the_server_would_redirect_are_refused() {
        for key in [
            "//",
            "/a//b",
            "/a/./b",
            "..",
            "/../members",
            "/a//",
            "//a",
            "/a/..",
        ] {
            assert_eq!(
                key_path("v2.keys.get", key).unwrap_err().to_string(),
                format!(
                    "v2.keys.get: the key {key:?} has an empty, `.` or `..` segment, which etcd \
                     cannot store: remove or rename it"
                )
            );
        }
    }

    #[test]
    fn a_name_is_one_segment_or_refused() {
        assert_eq!(segment("t", "user", "a b").unwrap(), "a%20b");
        for name in ["", ".", "..", "a/b"] {
            assert!(segment("t", "user", name).is_err(), "{name:?}");
        }
    }

    #[test]
    fn what_v2_refuses_a_raw_request_with_is_read_as_v2s() {
        let put = RawRequest::new(Method::PUT, "/v2/keys/a");
        let exists = r#"{"errorCode":105,"message":"Key already exists","cause":"/a","index":7}"#;
        let error = decoded(&put, 412, exists).unwrap_err();
        assert_eq!(error.etcd_kind(), Some(Kind::AlreadyExists));
        let error = decoded(&put, 404, "404 page not found\n").unwrap_err();
        assert!(matches!(error, Error::Http(_)), "{error}");
    }

    #[test]
    fn credentials_go_to_v2_and_nowhere_else() {
        let login = |path| call_to(path, "test", Repeat::Always).map(|call| call.login);
        for path in ["/v2", "/v2/keys/a", "/v2/members"] {
            assert_eq!(login(path), Some(Login::Basic), "{path}");
        }
        for elsewhere in ["/version", "/v3/kv/range", "/v2keys", "/metrics"] {
            assert_eq!(login(elsewhere), None, "{elsewhere}");
        }
    }

    #[test]
    fn only_the_keys_api_tells_the_index_of_the_store() {
        let headers = [
            ("x-etcd-index", "7"),
            ("x-etcd-cluster-id", "ff"),
            ("x-raft-term", "2"),
        ];
        let headers = headers.map(|(name, value)| {
            let name = http::HeaderName::from_static(name);
            (name, http::HeaderValue::from_static(value))
        });
        let headers = HeaderMap::from_iter(headers);
        let keys = KEYS.origin(&headers);
        assert_eq!(
            (keys.cluster, keys.index, keys.term),
            (Some(255), Some(7), Some(2))
        );
        assert_eq!(OTHER.origin(&headers).index, None);
    }
}
