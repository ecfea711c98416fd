//! The span of one attempt, if the feature `tracing` is enabled: by gRPC with the names of OpenTelemetry's conventions for RPC,
//! otherwise with those for HTTP. It has no key, no value and no credentials.

#[cfg(feature = "tracing")]
pub(crate) use enabled::AttemptSpan;

#[cfg(not(feature = "tracing"))]
pub(crate) use disabled::AttemptSpan;

#[cfg(feature = "tracing")]
mod enabled {
    use http::StatusCode;
    use tracing::{Instrument, Level, Span, debug_span, field::Empty};

    use crate::{
        base::{endpoint::Endpoint, trace},
        endpoints::wire::Wire,
        error::EtcdCode,
        pipeline::{
            answer::{Answer, Verdict},
            exchange::Prepared,
            failure::Failure,
            observe::Report,
        },
    };

    pub(crate) struct AttemptSpan(Span);

    impl AttemptSpan {
        pub(crate) fn begin(prepared: &Prepared, endpoint: &Endpoint) -> Self {
            if !tracing::enabled!(target: "etcd_http", Level::DEBUG) {
                return Self(Span::none());
            }
            let path = prepared.encoded.target.path();
            let span = match prepared.wire {
                Wire::Grpc => {
                    let method = path.trim_start_matches('/');
                    debug_span!(
                        target: "etcd_http",
                        "etcd attempt",
                        otel.name = method,
                        otel.kind = "client",
                        otel.status_code = Empty,
                        rpc.system.name = "grpc",
                        rpc.method = method,
                        rpc.response.status_code = Empty,
                        server.address = endpoint.host(),
                        server.port = endpoint.port(),
                        "error.type" = Empty,
                    )
                }
                Wire::Http => {
                    let (method, path) = (prepared.encoded.method.as_str(), template(path));
                    debug_span!(
                        target: "etcd_http",
                        "etcd attempt",
                        otel.name = format!("{method} {path}"),
                        otel.kind = "client",
                        otel.status_code = Empty,
                        http.request.method = method,
                        http.response.status_code = Empty,
                        url.scheme = if endpoint.is_https() { "https" } else { "http" },
                        url.template = path,
                        server.address = endpoint.host(),
                        server.port = endpoint.port(),
                        "error.type" = Empty,
                    )
                }
            };
            Self(span)
        }

        /// Runs the attempt in it.
        pub(crate) fn around<F: Future>(
            &self,
            work: F,
        ) -> impl Future<Output = F::Output> + use<F> {
            work.instrument(self.0.clone())
        }

        /// Records a response, or why there is none.
        pub(crate) fn end(&self, result: &Result<Box<Answer>, Failure>) {
            if self.0.is_disabled() {
                return;
            }
            match result {
                Ok(answer) => self.answered(answer),
                Err(failure) => self.failed(failure),
            }
        }

        /// Records the head of a response.
        pub(crate) fn head(&self, result: Result<StatusCode, &Failure>) {
            match result {
                Ok(status) => self.status(status),
                Err(failure) => self.failed(failure),
            }
        }

        fn answered(&self, answer: &Answer) {
            self.status(answer.reply.status);
            let code = match &answer.verdict {
                Verdict::Success { .. } => "OK",
                Verdict::Refused(refusal) => match refusal.code {
                    Some(EtcdCode::Grpc(code)) => grpc_name(code),
                    _ => return,
                },
                _ => return,
            };
            self.0.record("rpc.response.status_code", code);
            if code != "OK" {
                trace::failed(&self.0, code);
            }
        }

        fn status(&self, status: StatusCode) {
            self.0.record("http.response.status_code", status.as_u16());
            if status.is_client_error() || status.is_server_error() {
                trace::failed(&self.0, status.as_str());
            }
        }

        fn failed(&self, failure: &Failure) {
            trace::failed(&self.0, Report::of_failure(failure).outcome.as_str());
        }
    }

    /// Returns the path without names of keys, users and roles.
    fn template(path: &str) -> &str {
        let named = NAMED.iter().find(|(root, _)| path.starts_with(root));
        named.map_or(path, |(_, template)| template)
    }

    /// The paths of v2 that go on with a name.
    const NAMED: [(&str, &str); 4] = [
        ("/v2/keys", "/v2/keys/{key}"),
        ("/v2/auth/users/", "/v2/auth/users/{name}"),
        ("/v2/auth/roles/", "/v2/auth/roles/{name}"),
        ("/v2/members/", "/v2/members/{id}"),
    ];

    /// The name of a gRPC status.
    fn grpc_name(code: u8) -> &'static str {
        GRPC_NAMES
            .get(usize::from(code))
            .copied()
            .unwrap_or("UNKNOWN")
    }

    const GRPC_NAMES: [&str; 17] = [
        "OK",
        "CANCELLED",
        "UNKNOWN",
        "INVALID_ARGUMENT",
        "DEADLINE_EXCEEDED",
        "NOT_FOUND",
        "ALREADY_EXISTS",
        "PERMISSION_DENIED",
        "RESOURCE_EXHAUSTED",
        "FAILED_PRECONDITION",
        "ABORTED",
        "OUT_OF_RANGE",
        "UNIMPLEMENTED",
        "INTERNAL",
        "UNAVAILABLE",
        "DATA_LOSS",
        "UNAUTHENTICATED",
    ];

    #[cfg(test)]
    mod tests {
        use super::*;

        #[test]
        fn a_path_names_no_key_and_no_user() {
            for (path, expected) in [
                ("/v2/keys/secret/a", "/v2/keys/{key}"),
                ("/v2/keys", "/v2/keys/{key}"),
                ("/v2/auth/users/root", "/v2/auth/users/{name}"),
                ("/v2/auth/users", "/v2/auth/users"),
                ("/v2/members/1f", "/v2/members/{id}"),
                ("/v3/kv/put", "/v3/kv/put"),
            ] {
                assert_eq!(template(path), expected);
            }
        }

        #[test]
        fn a_code_of_grpc_has_its_name() {
            assert_eq!(grpc_name(14), "UNAVAILABLE");
            assert_eq!(grpc_name(200), "UNKNOWN");
        }
    }
}

#[cfg(not(feature = "tracing"))]
mod disabled {
    use http::StatusCode;

    use crate::{
        base::endpoint::Endpoint,
        pipeline::{answer::Answer, exchange::Prepared, failure::Failure},
    };

    pub(crate) struct AttemptSpan;

    impl AttemptSpan {
        pub(crate) fn begin(_: &Prepared, _: &Endpoint) -> Self {
            Self
        }

        pub(crate) fn around<F: Future>(&self, work: F) -> F {
            work
        }

        pub(crate) fn end(&self, _: &Result<Box<Answer>, Failure>) {}

        pub(crate) fn head(&self, _: Result<StatusCode, &Failure>) {}
    }
}
