//! How the v3 API's messages become requests, and answers messages: by etcd's JSON gateway, or by gRPC.

pub(crate) mod gateway;
pub(crate) mod status;

use http::{
    HeaderMap, HeaderValue,
    header::{AUTHORIZATION, HeaderName},
};

use crate::{
    endpoints::wire::Wire,
    error::Result,
    pipeline::{
        answer::{Reply, Verdict},
        call::{Call, Feature, Login, Repeat},
        deadline::Deadline,
        exchange::Encoded,
        protocol::{Protocol, Shown},
    },
    v3::{Authenticate, protocol::gateway::Encode},
};

/// Calls that every member carries out, whichever is asked. A member of 3.4 panics when one of 3.5 makes it: in a cluster
/// that is being upgraded, those that have them must not be asked.
const BY_ALL_MEMBERS: [&str; 2] = ["/v3/auth/status", "/v3/maintenance/downgrade"];

const GATEWAY_REQUIRE_LEADER: HeaderName = HeaderName::from_static("grpc-metadata-hasleader");
const TIMEOUT: HeaderName = HeaderName::from_static("grpc-timeout");

/// The v3 API's protocol, on each wire.
#[derive(Debug)]
struct V3;

impl Protocol for V3 {
    fn headers(&self, call: &Call, _: Wire, shown: Shown<'_>, headers: &mut HeaderMap) {
        if let Some(token) = shown.token {
            headers.insert(AUTHORIZATION, token.clone());
        }
        if call.require_leader {
            headers.insert(GATEWAY_REQUIRE_LEADER, HeaderValue::from_static("true"));
        }
        if let Some(timeout) = timeout(call.deadline) {
            headers.insert(TIMEOUT, timeout);
        }
    }

    fn classify(&self, _: &Call, _: Wire, reply: &Reply) -> Verdict {
        gateway::classify(reply)
    }
}

/// A call of the v3 API that a server may lack, by its path in the gateway.
pub(crate) fn call(operation: &'static str, path: &'static str, repeat: Repeat) -> Call {
    base(operation, path, repeat).feature(Feature {
        name: path,
        by_all_members: BY_ALL_MEMBERS.contains(&path),
    })
}

/// The call that a request to this path is, if the path is one of the v3 API.
pub(crate) fn call_to(path: &str, operation: &'static str, repeat: Repeat) -> Option<Call> {
    let is_v3 = path.starts_with("/v3/");
    is_v3.then(|| base(operation, path, repeat))
}

fn base(operation: &'static str, path: &str, repeat: Repeat) -> Call {
    let login = if path == Authenticate::PATH {
        Login::None
    } else {
        Login::Token
    };
    Call::new(operation, &V3, repeat).login(login)
}

/// Encodes a message for a wire, once its own [`check`](Encode::check) is passed.
pub(crate) fn encode(
    operation: &'static str,
    path: &'static str,
    _wire: Wire,
    message: &impl Encode,
) -> Result<Encoded> {
    message.check(operation)?;
    Ok(gateway::encode(path, gateway::to_json(message)))
}

/// The deadline for the server: eight digits at most, and a unit.
fn timeout(deadline: Deadline) -> Option<HeaderValue> {
    const MAX: u128 = 99_999_999;
    let Deadline::AtMost(limit) = deadline else {
        return None;
    };
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
    use std::time::Duration;

    use http::Method;

    use super::*;
    use crate::{
        error::{Error, EtcdCode, EtcdErrorKind, Outcome},
        raw::RawRequest,
        testing::decoded,
    };

    #[test]
    fn the_server_is_told_a_deadline_that_it_can_read() {
        for (limit, text) in [
            (Duration::ZERO, "1m"),
            (Duration::from_micros(699_001), "700m"),
            (Duration::from_secs(99_999), "99999000m"),
            (Duration::from_secs(100_000), "100000S"),
            (Duration::MAX, "99999999S"),
        ] {
            assert_eq!(timeout(Deadline::AtMost(limit)).unwrap(), text);
        }
        assert_eq!(timeout(Deadline::Usual), None);
        assert_eq!(timeout(Deadline::Unlimited), None);
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
}
