use bytes::Bytes;
use etcd_transport::{Body, Duplex, IdleLimit, Request, Transport};
use futures::future::BoxFuture;
use http::{Version, header::CONNECTION};

use crate::{
    client::Client,
    endpoints::set::EndpointState,
    error::{ErrorContext, Result},
    operation::{Call, Repeat, Reply},
    pipeline::{
        execute::Failure,
        observe::{Attempt, AttemptOutcome},
    },
    v3::protocol::{gateway, json, message::Encode, method::Method, status},
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

/// The bytes of these messages, one after the other.
pub(super) fn encode<'a, M: Encode + 'a>(messages: impl IntoIterator<Item = &'a M>) -> Bytes {
    let json: String = messages.into_iter().map(json::to_json).collect();
    json.into()
}

/// The response to a request that was sent.
pub(super) enum Opened {
    /// A success: messages follow.
    Body(Body),
    /// Any other status.
    Refused(Box<Reply>),
}

/// Sends a call to one endpoint, once, and waits for the head of the response. `body` takes the place of the call's own
/// where the request goes on while it is answered.
pub(super) fn open<T: Transport>(
    client: &Client<T>,
    call: &Call,
    endpoint: &EndpointState,
    idle: IdleLimit,
    body: Option<Body>,
) -> BoxFuture<'static, Result<Opened, Failure>> {
    let (client, call, endpoint) = (client.clone(), call.clone(), endpoint.clone());
    Box::pin(async move {
        let pipeline = client.pipeline();
        let sent = pipeline.transport.now();
        let head = match pipeline.request(&call, &call.target, &endpoint, Some(idle)) {
            Ok(request) => {
                let request = with_body(request, body);
                pipeline.send_request(&call, request).await
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
            return Ok(Opened::Body(body));
        }
        let refusal = pipeline.collect(&call, &endpoint, (head, body));
        let refusal = pipeline.within(pipeline.timeout, refusal).await?;
        Ok(Opened::Refused(Box::new(refusal)))
    })
}

/// The endpoint to ask next, where this response says that the server does not have the call.
pub(super) fn endpoint_after<T: Transport>(
    client: &Client<T>,
    call: &Call,
    endpoint: &EndpointState,
    reply: &Reply,
) -> Option<EndpointState> {
    let refusal = status::of(call, reply)?;
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

/// The request with a body that goes on, where there is one.
fn with_body(mut request: Request, body: Option<Body>) -> Request {
    if let Some(body) = body {
        *request.version_mut() = Version::HTTP_2;
        *request.body_mut() = body;
        request.headers_mut().remove(CONNECTION);
        request.extensions_mut().insert(Duplex);
    }
    request
}
