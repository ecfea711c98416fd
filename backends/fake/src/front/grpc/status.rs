use std::{borrow::Cow, error::Error, fmt, sync::LazyLock};

use etcd_transport::{Body, Response};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header::CONTENT_TYPE};

use crate::{front::exchange::Late, profile::Profile, v3::error::V3Error};

/// How a call has ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Status {
    code: u8,
    message: Cow<'static, str>,
    /// Anything but 200 where grpc-go refuses a request that is not gRPC.
    http: StatusCode,
    /// Whether it comes only after etcd has waited.
    is_late: bool,
}

impl Status {
    pub(super) const OK: Self = Self::new(0, "");
    /// The client has ended its messages before the first.
    pub(super) const NO_MESSAGE: Self = Self::new(2, "EOF");
    pub(super) const NO_LEADER: Self = Self::new(14, "etcdserver: no leader");

    pub(super) const fn new(code: u8, message: &'static str) -> Self {
        Self {
            code,
            message: Cow::Borrowed(message),
            http: StatusCode::OK,
            is_late: false,
        }
    }

    pub(super) fn with(code: u8, message: String) -> Self {
        Self {
            code,
            message: Cow::Owned(message),
            http: StatusCode::OK,
            is_late: false,
        }
    }

    /// The request is not one of gRPC.
    pub(super) fn not_grpc(http: StatusCode, code: u8, message: String) -> Self {
        Self {
            code,
            message: Cow::Owned(message),
            http,
            is_late: false,
        }
    }

    /// The time is over that the client gives the server.
    pub(super) fn deadline_exceeded(profile: Profile) -> Self {
        let code = match profile {
            Profile::V3_4 => 2,
            Profile::V3_5 => 4,
        };
        Self::new(code, "context deadline exceeded")
    }

    /// The message of a stream is not protobuf.
    pub(super) fn malformed(problem: &str, profile: Profile) -> Self {
        let colon = match profile {
            Profile::V3_4 => "",
            Profile::V3_5 => ":",
        };
        let message = format!("grpc: failed to unmarshal the received message{colon} {problem}");
        Self::with(13, message)
    }

    pub(super) fn code(&self) -> u8 {
        self.code
    }

    /// A response that is nothing but this.
    pub(super) fn response(&self, content_type: &HeaderValue) -> Response {
        let mut response = Response::new(Body::empty());
        *response.status_mut() = self.http;
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, content_type.clone());
        headers.extend(self.trailers());
        if self.is_late {
            response.extensions_mut().insert(Late);
        }
        response
    }

    pub(super) fn trailers(&self) -> HeaderMap {
        if *self == Self::OK {
            return OK_TRAILERS.clone();
        }
        let mut trailers = HeaderMap::with_capacity(2);
        let code = HeaderValue::from(u16::from(self.code));
        trailers.insert(&GRPC_STATUS, code);
        if let Ok(message) = HeaderValue::try_from(percent_encoded(&self.message)) {
            trailers.insert(&GRPC_MESSAGE, message);
        }
        trailers
    }
}

pub(super) static GRPC_STATUS: HeaderName = HeaderName::from_static("grpc-status");
static GRPC_MESSAGE: HeaderName = HeaderName::from_static("grpc-message");

/// Those of a call that succeeds, which most do.
static OK_TRAILERS: LazyLock<HeaderMap> = LazyLock::new(|| {
    let mut trailers = HeaderMap::with_capacity(2);
    trailers.insert(&GRPC_STATUS, HeaderValue::from_static("0"));
    trailers.insert(&GRPC_MESSAGE, HeaderValue::from_static(""));
    trailers
});

impl From<V3Error> for Status {
    fn from(error: V3Error) -> Self {
        Self {
            code: error.code as u8,
            message: error.message,
            http: StatusCode::OK,
            is_late: error.is_late,
        }
    }
}

/// The server has reset the stream with `PROTOCOL_ERROR`.
#[derive(Debug)]
pub(in crate::front) struct StreamReset;

impl fmt::Display for StreamReset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the server reset the stream: PROTOCOL_ERROR")
    }
}

impl Error for StreamReset {}

/// A message as a header has it: anything but printable ASCII is escaped, and the percent sign.
fn percent_encoded(message: &str) -> String {
    let mut out = String::with_capacity(message.len());
    for byte in message.bytes() {
        match byte {
            b'%' => out.push_str("%25"),
            b' '..=b'~' => out.push(char::from(byte)),
            _ => out.push_str(&format!("%{byte:02X}")),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_printable_in_a_header() {
        let status = Status::with(12, "unknown service foo%é.B\n".to_owned());
        let trailers = status.trailers();
        assert_eq!(trailers["grpc-status"], "12");
        let message = "unknown service foo%25%C3%A9.B%0A";
        assert_eq!(trailers["grpc-message"], message);
    }

    #[test]
    fn success_has_an_empty_message() {
        let trailers = Status::OK.trailers();
        assert_eq!(trailers["grpc-status"], "0");
        assert_eq!(trailers["grpc-message"], "");
    }
}
