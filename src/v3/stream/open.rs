use std::{
    pin::pin,
    time::{Duration, Instant},
};

use etcd_transport::{Body, Duplex, Request, Transport};
use futures::future::BoxFuture;
use http::{Version, header::CONNECTION};

use crate::{
    client::Client,
    endpoints::{state::EndpointState, wire::Wire},
    error::{ErrorContext, Result},
    pipeline::{
        Pipeline,
        answer::Answer,
        attempt::Begun,
        attempt_span::AttemptSpan,
        call::{Call, Repeat},
        exchange::Prepared,
        failure::Failure,
        lifetime::Lifetime,
        observe::Report,
        wire::doubt_page,
    },
    v3::protocol::{self, grpc, method::Method, status::GrpcStatus},
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
    /// What the pipeline knows of the call.
    pub(super) fn call(self) -> Call {
        Call {
            require_leader: self.require_leader,
            ..protocol::call(self.operation, self.method, Repeat::Always)
        }
    }
}

/// The response to a request that was sent.
pub(super) enum Opened {
    /// A success: messages follow.
    Body(Body),
    /// A gRPC status, and no messages.
    Status(GrpcStatus),
    /// An HTTP status other than success.
    Refused(Box<Answer>),
}

/// A request as it is sent.
#[derive(Clone)]
pub(super) struct StreamRequest {
    pub(super) prepared: Prepared,
    pub(super) lifetime: Lifetime,
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
        let prepared = &stream.prepared;
        let pipeline = client.pipeline();
        let sent = pipeline.transport.now();
        let target = &prepared.encoded.target;
        let begun = match pipeline.request(prepared, target, &endpoint, stream.lifetime) {
            Ok(request) => {
                let request = with_body(request, body);
                let span = AttemptSpan::begin(prepared, endpoint.endpoint());
                let head = pipeline.send_request(&prepared.call, request);
                let begun = span.around(head).await;
                span.head(begun.as_ref().map(|begun| begun.head.status));
                begun
            }
            Err(failure) => Err(failure),
        };
        let opened = match begun {
            Ok(begun) => opened(pipeline, prepared, &endpoint, begun, sent).await,
            Err(failure) => Err(failure),
        };
        opened.inspect_err(|failure| {
            let attempt = || Report::of_failure(failure);
            report(pipeline, &prepared.call, &endpoint, sent, attempt);
        })
    })
}

/// Goes on after the head of a response. A success is reported here; a refusal by its reader, with its reason.
async fn opened<T: Transport>(
    pipeline: &Pipeline<T>,
    prepared: &Prepared,
    endpoint: &EndpointState,
    begun: Begun,
    sent: Instant,
) -> Result<Opened, Failure> {
    let status = begun.head.status;
    if !status.is_success() {
        let refusal = pin!(pipeline.collect(prepared, endpoint, begun));
        let refusal = pipeline.within(pipeline.timeout, refusal).await?;
        doubt_page(&refusal, endpoint);
        return Ok(Opened::Refused(refusal));
    }
    let ended = match prepared.wire {
        Wire::Grpc => grpc::status(&begun.head.headers),
        Wire::Http => None,
    };
    if ended.as_ref().is_none_or(|status| status.code == 0) {
        let attempt = || Report::answered(status);
        report(pipeline, &prepared.call, endpoint, sent, attempt);
    }
    Ok(ended.map_or(Opened::Body(begun.body), Opened::Status))
}

/// Reports an attempt that was sent at this time.
fn report<T: Transport>(
    pipeline: &Pipeline<T>,
    call: &Call,
    endpoint: &EndpointState,
    sent: Instant,
    report: impl FnOnce() -> Report,
) {
    pipeline
        .observer
        .report(|| report().attempt(call.operation, endpoint, 1, pipeline.since(sent)));
}

/// Chooses the endpoint of a call, and returns the wire for it.
///
/// # Errors
/// If no endpoint supports the call. If the wire is not known, and the endpoint does not respond, or not within this time.
pub(super) async fn choose<T: Transport>(
    pipeline: &Pipeline<T>,
    call: &Call,
    limit: Duration,
) -> Result<(EndpointState, Wire)> {
    let came = pipeline.transport.now();
    loop {
        let endpoint = pipeline.endpoint_for(call)?;
        let began = pipeline.transport.now();
        if let Some(wire) = call.settled_wire_to(&endpoint, began) {
            return Ok((endpoint, wire));
        }
        let left = limit.saturating_sub(began.saturating_duration_since(came));
        let found = pipeline.find_wire(call, &endpoint, false, came, left);
        match found.await {
            Ok(Some(wire)) => return Ok((endpoint, wire)),
            // Another one may be chosen by what is known now.
            Ok(None) => {}
            Err(failure) => {
                report(pipeline, call, &endpoint, began, || {
                    Report::of_failure(&failure)
                });
                return Err(failure.into_error(pipeline.context(call, &endpoint)));
            }
        }
    }
}

/// Which operation this is, and where.
pub(super) fn context<T: Transport>(
    client: &Client<T>,
    call: &Call,
    endpoint: &EndpointState,
) -> ErrorContext {
    client.pipeline().context(call, endpoint)
}

/// Replaces the body of a request by one that goes on while the request is answered.
fn with_body(mut request: Request, body: Option<Body>) -> Request {
    if let Some(body) = body {
        *request.version_mut() = Version::HTTP_2;
        *request.body_mut() = body;
        request.headers_mut().remove(CONNECTION);
        request.extensions_mut().insert(Duplex);
    }
    request
}
