use etcd_transport::{Body, Duplex, IdleLimit, LongLived, Request, Transport};
use futures::future::BoxFuture;
use http::{
    HeaderMap, HeaderValue, Version,
    header::{CONNECTION, CONTENT_TYPE, TE},
    uri::PathAndQuery,
};

use crate::{
    client::Client,
    endpoints::{set::EndpointState, wire::Wire},
    error::{ErrorContext, Result},
    operation::{Call, Repeat, Reply},
    pipeline::{
        execute::Failure,
        observe::{Attempt, AttemptOutcome},
    },
    v3::{
        protocol::{
            gateway,
            method::Method,
            status::{self, GrpcStatus},
        },
        stream::wire,
    },
};

/// Which call a stream makes.
#[derive(Clone, Copy, Debug)]
pub(in crate::v3) struct StreamCall {
    /// The operation's name in errors.
    pub(in crate::v3) operation: &'static str,
    /// The call.
    pub(in crate::v3) method: Method,
    /// Whether a member without a leader refuses it.
    pub(in crate::v3) require_leader: bool,
}

impl StreamCall {
    /// The call without messages and without a token.
    fn call(self) -> Result<Call> {
        let call = gateway::post(self.operation, self.method, Repeat::Always, String::new())?;
        Ok(call.require_leader(self.require_leader))
    }

    /// The call with the current token, which is fetched where there is none.
    pub(super) async fn with_token<T: Transport>(self, client: &Client<T>) -> Result<Call> {
        let call = self.call()?;
        let with_token = client.pipeline().with_token(&call).await?;
        Ok(with_token.unwrap_or(call))
    }
}

/// The response to a request that was sent.
pub(super) enum Opened {
    /// A success: messages follow.
    Body(Body),
    /// A gRPC status, and no messages.
    Status(GrpcStatus),
    /// An HTTP status other than success.
    Refused(Box<Reply>),
}

/// A request as it is sent.
#[derive(Clone)]
pub(super) struct StreamRequest {
    pub(super) call: Call,
    pub(super) method: Method,
    pub(super) wire: Wire,
    pub(super) idle: IdleLimit,
    /// It has connections of its own.
    pub(super) is_long_lived: bool,
}

/// Sends a request to one endpoint, once, and waits for the head of the response. `body` takes the place of the request's
/// own where the request goes on while it is answered.
pub(super) fn open<T: Transport>(
    client: &Client<T>,
    request: &StreamRequest,
    endpoint: &EndpointState,
    body: Option<Body>,
) -> BoxFuture<'static, Result<Opened, Failure>> {
    let (client, stream, endpoint) = (client.clone(), request.clone(), endpoint.clone());
    Box::pin(async move {
        let call = &stream.call;
        let pipeline = client.pipeline();
        let sent = pipeline.transport.now();
        let target = match stream.wire {
            Wire::Http => call.target.clone(),
            Wire::Grpc => PathAndQuery::from_static(stream.method.grpc),
        };
        let head = match pipeline.request(call, &target, &endpoint, Some(stream.idle)) {
            Ok(request) => {
                let request = stream.complete(request, body);
                pipeline.send_request(call, request).await
            }
            Err(failure) => Err(failure),
        };
        pipeline.observer.tell(|| {
            let (outcome, status) = match &head {
                Ok((head, _)) => (AttemptOutcome::Answered, Some(head.status)),
                Err(failure) => AttemptOutcome::of_failure(failure),
            };
            Attempt {
                operation: call.operation,
                endpoint: endpoint.endpoint().clone(),
                number: 1,
                status,
                elapsed: pipeline.since(sent),
                outcome,
            }
        });
        let (head, body) = head?;
        if head.status.is_success() {
            return Ok(match stream.wire {
                Wire::Grpc => {
                    wire::grpc_status(&head.headers).map_or(Opened::Body(body), Opened::Status)
                }
                Wire::Http => Opened::Body(body),
            });
        }
        let refusal = pipeline.collect(call, &endpoint, (head, body));
        let refusal = pipeline.within(pipeline.timeout, refusal).await?;
        Ok(Opened::Refused(Box::new(refusal)))
    })
}

/// The endpoint to ask next, where a server does not have the call, as this refusal says.
pub(super) fn endpoint_after<T: Transport>(
    client: &Client<T>,
    call: &Call,
    endpoint: &EndpointState,
    refusal: Option<&GrpcStatus>,
) -> Option<EndpointState> {
    let refusal = refusal?;
    if !refusal.is_missing(call) {
        return None;
    }
    let pipeline = client.pipeline();
    let now = pipeline.transport.now();
    pipeline.endpoints.lacks(endpoint, call, now);
    pipeline.place_for(call).ok()
}

/// Which operation this is, and where.
pub(super) fn context<T: Transport>(
    client: &Client<T>,
    call: &Call,
    endpoint: &EndpointState,
) -> ErrorContext {
    client.pipeline().context(call, endpoint, 1)
}

/// What the gateway refuses a call with, in this response.
pub(super) fn refusal(call: &Call, reply: &Reply) -> Option<GrpcStatus> {
    status::of(call, reply)
}

impl StreamRequest {
    /// Completes a request with what this wire, and a long-lived or duplex exchange, need.
    fn complete(&self, mut request: Request, body: Option<Body>) -> Request {
        if self.is_long_lived {
            request.extensions_mut().insert(LongLived);
        }
        if self.wire == Wire::Grpc {
            *request.version_mut() = Version::HTTP_2;
            grpc_headers(&self.call, request.headers_mut());
        }
        if let Some(body) = body {
            *request.version_mut() = Version::HTTP_2;
            *request.body_mut() = body;
            request.headers_mut().remove(CONNECTION);
            request.extensions_mut().insert(Duplex);
        }
        request
    }
}

/// Spells the headers of the gateway as gRPC does.
fn grpc_headers(call: &Call, headers: &mut HeaderMap) {
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
    headers.insert(TE, HeaderValue::from_static("trailers"));
    headers.remove(CONNECTION);
    if headers.remove("grpc-metadata-hasleader").is_some() {
        headers.insert("hasleader", HeaderValue::from_static("true"));
    }
    if let Some(token) = &call.token {
        headers.insert("token", token.clone());
    }
}
