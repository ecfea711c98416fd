use std::collections::VecDeque;

use etcd_transport::{Body, Response};
use http::{
    HeaderValue, StatusCode,
    header::{TRAILER, WWW_AUTHENTICATE},
};

use super::body::{Lines, Trailed};
use crate::{
    front::exchange::Late,
    go::{json::push_string, reply::Reply},
    profile::Profile,
    v3::{error::V3Error, message::write::push_protojson_string},
};

/// The code with which etcd has refused a call, beside the response that says so.
#[derive(Clone, Copy, Debug)]
pub(super) struct EtcdCode(pub(super) u8);

/// An error as a gateway sends it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct GatewayError {
    code: u8,
    message: String,
    /// Whether etcd itself has refused the call, and not the gateway before it.
    is_from_etcd: bool,
    /// Whether it comes only after etcd has waited.
    is_late: bool,
}

impl GatewayError {
    pub(super) fn new(code: u8, message: &str) -> Self {
        Self {
            code,
            message: message.to_owned(),
            is_from_etcd: false,
            is_late: false,
        }
    }

    /// The caller's time is up. The gateway says so itself.
    pub(super) fn deadline_exceeded() -> Self {
        let error = V3Error::DEADLINE_EXCEEDED;
        Self::new(error.code as u8, &error.message)
    }

    /// The request is not one.
    pub(super) fn invalid(message: String) -> Self {
        Self {
            code: 3,
            message,
            is_from_etcd: false,
            is_late: false,
        }
    }

    /// The whole response.
    pub(super) fn response(self, profile: Profile) -> Response {
        let (code, is_from_etcd, is_late) = (self.code, self.is_from_etcd, self.is_late);
        let mut reply = self.reply(profile);
        let mut response = if profile == Profile::V3_4 && is_from_etcd {
            // The first version of the gateway passes the trailers of the call on.
            let name = HeaderValue::from_static("Grpc-Trailer-Content-Type");
            reply.headers.insert(TRAILER, name);
            let body = std::mem::take(&mut reply.body);
            reply.begin().map(|()| Body::stream(Trailed::new(body)))
        } else {
            reply.finish(&http::Method::POST).map(Body::from)
        };
        if is_from_etcd {
            response.extensions_mut().insert(EtcdCode(code));
        }
        if is_late {
            response.extensions_mut().insert(Late);
        }
        response
    }

    /// The whole response of a stream that has no message.
    pub(super) fn stream_response(self, profile: Profile) -> Response {
        let reply = Reply::new().json().status(self.status(profile));
        let lines = Lines(VecDeque::from([self.line(profile)]));
        let mut response = reply.begin().map(|()| Body::stream(lines));
        if self.is_from_etcd {
            response.extensions_mut().insert(EtcdCode(self.code));
        }
        response
    }

    /// The code with which etcd's metrics count a stream that ends so. When its time is up, the gateway ends it itself: to etcd,
    /// its client has gone.
    pub(super) fn counted_as(&self, profile: Profile) -> u8 {
        match profile {
            _ if self.is_from_etcd => self.code,
            Profile::V3_4 => 2,
            Profile::V3_5 => 1,
        }
    }

    /// The last line of a stream.
    pub(super) fn line(&self, profile: Profile) -> Vec<u8> {
        let (code, status) = (self.code, self.status(profile));
        let mut out = Vec::new();
        match profile {
            Profile::V3_4 => {
                let begin = format!(
                    "{{\"error\":{{\"grpc_code\":{code},\"http_code\":{status},\"message\":"
                );
                out.extend_from_slice(begin.as_bytes());
                push_string(&mut out, self.message.as_bytes(), profile);
                let status = StatusCode::from_u16(status).ok();
                let reason = status.and_then(|status| status.canonical_reason());
                let reason = reason.unwrap_or_default();
                out.extend_from_slice(format!(",\"http_status\":\"{reason}\"}}}}").as_bytes());
            }
            Profile::V3_5 => {
                out.extend_from_slice(
                    format!("{{\"error\":{{\"code\":{code},\"message\":").as_bytes(),
                );
                push_protojson_string(&mut out, &self.message);
                out.extend_from_slice(b"}}\n");
            }
        }
        out
    }

    pub(super) fn reply(self, profile: Profile) -> Reply {
        let mut reply = Reply::new().json().status(self.status(profile));
        reply.body = self.body(profile);
        if self.code == 16
            && profile == Profile::V3_5
            && let Ok(message) = HeaderValue::try_from(&self.message)
        {
            reply.headers.insert(WWW_AUTHENTICATE, message);
        }
        reply
    }

    fn body(&self, profile: Profile) -> Vec<u8> {
        let mut out = Vec::new();
        let code = self.code;
        let message = self.message.as_bytes();
        match profile {
            Profile::V3_4 => {
                out.extend_from_slice(b"{\"error\":");
                push_string(&mut out, message, profile);
                out.extend_from_slice(b",\"message\":");
                push_string(&mut out, message, profile);
                out.extend_from_slice(format!(",\"code\":{code}}}").as_bytes());
            }
            Profile::V3_5 => {
                out.extend_from_slice(format!("{{\"code\":{code}, \"message\":").as_bytes());
                push_protojson_string(&mut out, &self.message);
                out.push(b'}');
            }
        }
        out
    }

    /// The status of HTTP for the code of gRPC.
    fn status(&self, profile: Profile) -> u16 {
        match self.code {
            3 | 11 => 400,
            4 => 504,
            5 => 404,
            6 | 10 => 409,
            7 => 403,
            8 => 429,
            9 if profile == Profile::V3_4 => 412,
            9 => 400,
            12 => 501,
            14 => 503,
            16 => 401,
            _ => 500,
        }
    }
}

impl From<V3Error> for GatewayError {
    fn from(error: V3Error) -> Self {
        Self {
            code: error.code as u8,
            message: error.message.into_owned(),
            is_from_etcd: true,
            is_late: error.is_late,
        }
    }
}
