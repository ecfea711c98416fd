use std::{
    pin::pin,
    sync::Arc,
    time::{Duration, Instant},
};

use etcd_transport::{Transport, TransportError, TransportErrorKind};
use http::{HeaderMap, StatusCode, header::CONTENT_TYPE};

use crate::{
    endpoints::{
        examination::{Examination, unanswered, unsent},
        state::EndpointState,
        wire::Wire,
        wire_choice::NoGrpc,
    },
    error::with_cause,
    pipeline::{
        Pipeline,
        answer::{Answer, Reply, Verdict},
        call::Call,
        exchange::{Exchange, Prepared},
        failure::Failure,
        lifetime::Lifetime,
    },
};

/// What an attempt says about the wire that it used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum WireLesson {
    /// Nothing that the call could act on.
    None,
    /// The call is asked again: by the other wire, if it may find out the wire itself, and otherwise after an examination.
    Again,
    /// The call is asked again, after an examination.
    Examine,
}

/// Finds out which wire an endpoint is asked by.
impl<T: Transport> Pipeline<T> {
    /// Finds out the wire for a call to this endpoint. A read does so by itself: it is sent by gRPC. Other calls, and those
    /// with `must_examine`, wait for an examination, which all calls at that time share.
    ///
    /// Returns `None` if that has failed, and had begun before the call came, at this instant: then it says nothing about now,
    /// for nobody may have polled it. This happens once for each endpoint, which is to be chosen again.
    ///
    /// # Errors
    /// If the endpoint does not respond, or not within this time. Nothing of the call was sent then.
    pub(crate) async fn find_wire(
        &self,
        call: &Call,
        endpoint: &EndpointState,
        must_examine: bool,
        came: Instant,
        limit: Duration,
    ) -> Result<Option<Wire>, Failure> {
        if call.is_read && !must_examine {
            return Ok(Some(Wire::Grpc));
        }
        let now = self.transport.now();
        let begin = || self.examine(call, endpoint);
        let (examination, joined) = endpoint.examination().join(now, begin);
        let examined = pin!(async { Ok(examination.await) });
        let result = self.within(limit, examined).await;
        if self.lifecycle.is_closed() {
            return Err(Failure::Closed { is_unsent: true });
        }
        match result {
            Ok(Ok(())) => Ok(Some(endpoint.wire().last())),
            Ok(Err(_)) if joined.is_some_and(|began| began <= came) => Ok(None),
            Ok(Err(error)) => Err(Failure::Transport(unsent(&error))),
            // The time is the caller's, and says nothing about the endpoint.
            Err(_) => {
                let error = TransportError::unprocessed(silent(limit));
                Err(Failure::Transport(error))
            }
        }
    }

    /// Asks an endpoint for its status by gRPC. If the connection breaks off twice, and the gateway responds then, the server
    /// does not speak HTTP/2.
    fn examine(&self, call: &Call, endpoint: &EndpointState) -> Examination {
        let (pipeline, endpoint) = (self.clone(), endpoint.clone());
        let question = call.protocol.status_request();
        Box::pin(async move {
            let Some(question) = question else {
                return Ok(());
            };
            let mut was_broken = false;
            loop {
                let failure = match pipeline.status(&*question, &endpoint, Wire::Grpc).await {
                    Ok(reply) => {
                        pipeline.learn_from(&reply, &endpoint);
                        return Ok(());
                    }
                    Err(failure) => failure,
                };
                let now = pipeline.transport.now();
                match failure {
                    Failure::Transport(error) if is_without_http2(&error) => {
                        let why = NoGrpc::Certain(with_cause(&error));
                        endpoint.found_no_grpc(why, now);
                        return Ok(());
                    }
                    Failure::Transport(error) if is_break(&error) && !was_broken => {
                        was_broken = true;
                    }
                    failure => {
                        let is_break = matches!(&failure, Failure::Transport(it) if is_break(it));
                        if is_break
                            && let Ok(_) = pipeline.status(&*question, &endpoint, Wire::Http).await
                        {
                            let why = failure.reason().unwrap_or_default();
                            endpoint.found_no_grpc(NoGrpc::Suspected(why), now);
                            return Ok(());
                        }
                        endpoint.failed(now);
                        return Err(Arc::new(not_asked(failure)));
                    }
                }
            }
        })
    }

    /// Asks for the status, without a token: a refusal is a response, too.
    async fn status(
        &self,
        question: &dyn Exchange,
        endpoint: &EndpointState,
        wire: Wire,
    ) -> Result<Reply, Failure> {
        let prepared = match Prepared::new(question, question.call(), wire) {
            Ok(prepared) => prepared,
            Err(error) => return Err(Failure::Transport(TransportError::rejected(error))),
        };
        let target = &prepared.encoded.target;
        let request = self.request(&prepared, target, endpoint, Lifetime::Brief)?;
        let work = pin!(async {
            let response = self.transport.send(request).await;
            let (head, body) = response.map_err(Failure::Transport)?.into_parts();
            let collected = body.collect_with_trailers(self.max_response_size).await?;
            Ok(Reply {
                status: head.status,
                headers: head.headers,
                trailers: collected.trailers,
                body: collected.data,
            })
        });
        self.within(self.timeout, work).await
    }

    /// Takes in whether a response to a request by gRPC is one of gRPC.
    fn learn_from(&self, reply: &Reply, endpoint: &EndpointState) {
        if is_grpc(reply) {
            endpoint.found_grpc();
        } else {
            let why = NoGrpc::Certain(page(reply.status));
            endpoint.found_no_grpc(why, self.transport.now());
        }
    }

    /// Takes in what an attempt shows about an endpoint that may be asked by more than one wire.
    pub(crate) fn learn(
        &self,
        call: &Call,
        wire: Wire,
        endpoint: &EndpointState,
        result: &Result<Box<Answer>, Failure>,
    ) -> WireLesson {
        if !call.on_any_wire || !endpoint.wire().is_auto() {
            return WireLesson::None;
        }
        let answer = match result {
            Ok(answer) => answer,
            Err(Failure::Answer(answer)) => answer,
            Err(Failure::Transport(error)) if wire == Wire::Grpc => {
                return self.learn_from_error(call, endpoint, error);
            }
            Err(Failure::Redirect(_)) if wire == Wire::Grpc => {
                let why = "a redirect, not a gRPC response".to_owned();
                return self.learn_no_grpc(call, endpoint, why);
            }
            Err(_) => return WireLesson::None,
        };
        match wire {
            Wire::Http => {
                doubt_page(answer, endpoint);
                WireLesson::None
            }
            Wire::Grpc if is_answer_of_grpc(answer) => {
                endpoint.found_grpc();
                WireLesson::None
            }
            Wire::Grpc if call.is_read => {
                let why = NoGrpc::Certain(page(answer.reply.status));
                endpoint.found_no_grpc(why, self.transport.now());
                WireLesson::Again
            }
            Wire::Grpc => {
                endpoint.wire().doubt();
                if answer.is_rejected() {
                    WireLesson::Again
                } else {
                    WireLesson::None
                }
            }
        }
    }

    /// A request by gRPC came to nothing. A write shows it only where gRPC has worked before: then it is examined.
    fn learn_no_grpc(&self, call: &Call, endpoint: &EndpointState, why: String) -> WireLesson {
        if call.is_read {
            endpoint.found_no_grpc(NoGrpc::Certain(why), self.transport.now());
        } else {
            endpoint.wire().doubt();
        }
        WireLesson::Again
    }

    fn learn_from_error(
        &self,
        call: &Call,
        endpoint: &EndpointState,
        error: &TransportError,
    ) -> WireLesson {
        if is_without_http2(error) {
            return self.learn_no_grpc(call, endpoint, with_cause(error));
        }
        // Where gRPC has worked, a connection that breaks off is a failure like any other.
        if call.is_read && is_break(error) && !endpoint.wire().is_grpc() {
            return WireLesson::Examine;
        }
        WireLesson::None
    }
}

/// Takes in a response that is not etcd's: what was found out may hold no more.
pub(crate) fn doubt_page(answer: &Answer, endpoint: &EndpointState) {
    let is_page = match answer.wire {
        Wire::Http => matches!(answer.verdict, Verdict::Foreign { .. }),
        Wire::Grpc => !is_answer_of_grpc(answer),
    };
    if is_page {
        endpoint.wire().doubt();
    }
}

/// Takes in that an endpoint has responded by gRPC, though it cannot serve.
pub(crate) fn confirm(answer: &Answer, endpoint: &EndpointState) {
    if answer.wire == Wire::Grpc && endpoint.wire().is_auto() && is_answer_of_grpc(answer) {
        endpoint.found_grpc();
    }
}

/// Whether a response to a request by gRPC is one of gRPC: a success has its status, which was read.
fn is_answer_of_grpc(answer: &Answer) -> bool {
    matches!(answer.verdict, Verdict::Success { .. }) || is_grpc(&answer.reply)
}

/// Whether a response to a request by gRPC comes from a program that speaks gRPC.
fn is_grpc(reply: &Reply) -> bool {
    let has_status = |headers: &HeaderMap| headers.contains_key("grpc-status");
    let content_type = reply.headers.get(CONTENT_TYPE);
    has_status(&reply.headers)
        || reply.trailers.as_ref().is_some_and(has_status)
        || content_type.is_some_and(|it| it.as_bytes().starts_with(b"application/grpc"))
}

/// Whether the transport cannot send the request over HTTP/2, or not to this server.
fn is_without_http2(error: &TransportError) -> bool {
    error.kind() == TransportErrorKind::Rejected
}

/// Whether a connection was made, and has failed: this may be how a server without HTTP/2 responds to it.
fn is_break(error: &TransportError) -> bool {
    !matches!(
        error.kind(),
        TransportErrorKind::Connect | TransportErrorKind::Untrusted | TransportErrorKind::Rejected
    )
}

/// The error of the calls that wait for an examination that has failed: nothing of them was sent.
fn not_asked(failure: Failure) -> TransportError {
    match failure {
        Failure::Transport(error) if !is_break(&error) && !is_without_http2(&error) => error,
        Failure::TimedOut(limit) => unanswered(silent(limit)),
        other => unanswered(other.reason().unwrap_or_default()),
    }
}

fn silent(limit: Duration) -> String {
    format!("no response within {limit:?} to the question whether it speaks gRPC")
}

fn page(status: StatusCode) -> String {
    format!("HTTP status {status}, not a gRPC response")
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use http::HeaderValue;

    use super::*;

    #[test]
    fn a_status_or_the_content_type_makes_a_response_one_of_grpc() {
        let map = |name: &'static str, value: &'static str| {
            HeaderMap::from_iter([(
                http::HeaderName::from_static(name),
                HeaderValue::from_static(value),
            )])
        };
        let of = |headers, trailers| {
            is_grpc(&Reply {
                status: StatusCode::OK,
                headers,
                trailers,
                body: Bytes::new(),
            })
        };
        let none = HeaderMap::new;
        assert!(of(map("grpc-status", "12"), None));
        assert!(of(none(), Some(map("grpc-status", "0"))));
        assert!(of(map("content-type", "application/grpc+proto"), None));
        assert!(!of(map("content-type", "application/json"), Some(none())));
        assert!(!of(none(), None));
    }
}
