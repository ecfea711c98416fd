use std::sync::Arc;

use bytes::Bytes;
use etcd_transport::{Body, Response, TransportError};
use http::{Uri, header::CONTENT_TYPE, request};
use http_body::Frame;

use super::{
    frames::{Broken, Messages, frame},
    head::Head,
    health::{self, HealthWatch},
    keep_alive::KeepAlive,
    method::{OneRequest, Stream},
    observe::Observe,
    shown::to_json,
    status::{GRPC_STATUS, Status, StreamReset},
    stream::{StreamBody, Streaming},
    watch::Watch,
};
use crate::{
    cluster::{
        exchanges::ExchangeId,
        request_log::{Exchange, Texts},
    },
    front::{
        counter::StreamCounter,
        exchange::{Answered, Call},
        queue::{self, Arrival, Turn, Wait},
        unary::{self, Codec, Problem},
    },
    profile::Profile,
    state::{EtcdCore, EtcdShared},
    v3::{
        api::{self, Failure, queue::Acquired},
        auth::Credentials,
        message::{Message, decode::decode},
    },
};

/// A call by gRPC.
pub(in crate::front) struct GrpcCall {
    parts: request::Parts,
    head: Head,
    plan: Plan,
    profile: Profile,
    /// A place in the queue for a lock, or of an election.
    wait: Option<Box<Wait>>,
}

/// How to respond to a call.
pub(super) enum Plan {
    /// The server has no such call, or cannot read the request.
    Refused(Status),
    /// The request is not gRPC: the stream is reset.
    Reset,
    /// The message is still to be read.
    Unread(OneRequest, Messages),
    Unary(OneRequest, Bytes),
    /// The messages are there until the response begins.
    Stream(Stream, Option<Messages>),
}

impl GrpcCall {
    pub(super) fn new(parts: request::Parts, head: Head, plan: Plan, profile: Profile) -> Self {
        Self {
            parts,
            head,
            plan,
            profile,
            wait: None,
        }
    }

    /// Reads the message of a call that has one.
    pub(super) async fn read(&mut self) -> Result<(), TransportError> {
        let Plan::Unread(request, messages) = &mut self.plan else {
            return Ok(());
        };
        self.plan = match messages.next().await {
            Some(Ok(message)) => Plan::Unary(*request, message),
            Some(Err(Broken::Transport(error))) => return Err(error),
            Some(Err(Broken::CutOff)) => Plan::Refused(Status::new(2, "unexpected EOF")),
            Some(Err(Broken::Refused(status))) => Plan::Refused(status),
            None => Plan::Refused(Status::NO_MESSAGE),
        };
        Ok(())
    }

    fn refused(&self, status: &Status) -> Response {
        status.response(&self.head.content_type)
    }

    fn begun(&self, body: Body) -> Response {
        let mut response = Response::new(body);
        let content_type = self.head.content_type.clone();
        response.headers_mut().insert(CONTENT_TYPE, content_type);
        response
    }

    /// The response with a message, or without.
    fn response(&self, result: Result<Vec<u8>, Problem<Status>>) -> Option<Response> {
        match result {
            Ok(message) => {
                let frames = [
                    Ok(Frame::data(message.into())),
                    Ok(Frame::trailers(Status::OK.trailers())),
                ];
                Some(self.begun(Body::from_frames(frames)))
            }
            Err(Problem::Front(status)) => Some(self.refused(&status)),
            Err(Problem::Call(Failure::Refused(error))) => Some(self.refused(&error.into())),
            Err(Problem::Call(Failure::Blocked)) => None,
        }
    }

    /// Counts a call that has ended.
    fn count(&self, core: &mut EtcdCore, endpoint: usize, response: &Response) {
        let name = match self.plan {
            Plan::Unary(request, _) => request.name(),
            Plan::Stream(stream, _) => stream.name().name,
            Plan::Refused(_) | Plan::Reset | Plan::Unread(..) => return,
        };
        let status = response.headers().get(&GRPC_STATUS);
        let status = status.and_then(|status| status.to_str().ok()?.parse().ok());
        core.calls.count(endpoint, name, status.unwrap_or_default());
    }

    fn answer_unary(
        &mut self,
        shared: &Arc<EtcdShared>,
        core: &mut EtcdCore,
        endpoint: usize,
        timed_out: bool,
    ) -> Option<Response> {
        if let Some(wait) = &mut self.wait {
            let turn = queue::go_on(core, wait)?;
            return self.response(acquired(turn));
        }
        let Plan::Unary(request, message) = &self.plan else {
            return None;
        };
        let arrival = Arrival {
            endpoint,
            timed_out,
            credentials: self.head.credentials.clone(),
            id: core.exchanges.next_id(),
        };
        let requires_leader = self.head.requires_leader;
        let message = Protobuf {
            message,
            requires_leader,
        };
        if !matches!(request, OneRequest::Call(_))
            && let is_for_learners = *request == OneRequest::Snapshot
            && let Err(status) = admitted(core, endpoint, is_for_learners, requires_leader)
        {
            return Some(self.refused(&status));
        }
        let turn = match request {
            OneRequest::Lock => message.decode().map(|request| {
                queue::begin(shared, core, arrival, |call| call.enter_lock(&request))
            }),
            OneRequest::Campaign => message.decode().map(|request| {
                queue::begin(shared, core, arrival, |call| call.enter_campaign(&request))
            }),
            OneRequest::Health => {
                let response = message.decode().and_then(|request| health::check(&request));
                let response = response.map(|response| message.encode(&response));
                return self.response(response.map_err(Problem::Front));
            }
            OneRequest::Snapshot => {
                let mut context = api::Call {
                    cluster: &mut core.cluster,
                    endpoint,
                    timed_out,
                    credentials: arrival.credentials,
                };
                let status = Status::from(context.refuse_snapshot());
                return Some(self.refused(&status));
            }
            OneRequest::Call(call) => {
                let mut context = api::Call {
                    cluster: &mut core.cluster,
                    endpoint,
                    timed_out,
                    credentials: arrival.credentials,
                };
                return self.response(unary::answer(&mut context, &message, *call));
            }
        };
        match turn {
            Ok(Turn::Own(turn)) => self.response(acquired(turn)),
            Ok(Turn::Other(wait)) => {
                self.wait = Some(wait);
                None
            }
            Err(status) => Some(self.refused(&status)),
        }
    }
}

impl Call for GrpcCall {
    fn uri(&self) -> &Uri {
        &self.parts.uri
    }

    fn exchange(&self, texts: &mut Texts) -> Exchange {
        let (method, uri) = (&self.parts.method, &self.parts.uri);
        let headers = &self.parts.headers;
        match &self.plan {
            Plan::Unary(request, message) => {
                let exchange = Exchange::new(method, uri, headers, message, texts);
                exchange.with_message(to_json(*request))
            }
            _ => Exchange::new(method, uri, headers, &Bytes::new(), texts),
        }
    }

    fn answer(
        &mut self,
        shared: &Arc<EtcdShared>,
        core: &mut EtcdCore,
        endpoint: usize,
        timed_out: bool,
    ) -> Option<Answered> {
        match &self.plan {
            Plan::Reset => return Some(Err(TransportError::interrupted(StreamReset))),
            Plan::Refused(status) => return Some(Ok(self.refused(status))),
            Plan::Unread(..) | Plan::Unary(..) | Plan::Stream(..) => {}
        }
        if self.head.timeout.is_some_and(|timeout| timeout <= 0) {
            let status = Status::deadline_exceeded(self.profile);
            let response = self.refused(&status);
            self.count(core, endpoint, &response);
            return Some(Ok(response));
        }
        let requires_leader = self.head.requires_leader;
        let Plan::Stream(stream, requests) = &mut self.plan else {
            let response = self.answer_unary(shared, core, endpoint, timed_out)?;
            self.count(core, endpoint, &response);
            return Some(Ok(response));
        };
        if let Err(status) = admitted(core, endpoint, false, requires_leader) {
            let response = self.refused(&status);
            self.count(core, endpoint, &response);
            return Some(Ok(response));
        }
        let name = stream.name();
        let call: Box<dyn Streaming> = match stream {
            Stream::Watch => Box::new(Watch),
            Stream::KeepAlive => Box::new(KeepAlive::default()),
            Stream::Observe => Box::new(Observe::default()),
            Stream::Health => Box::new(HealthWatch::default()),
        };
        let requests = requests.take()?;
        // Under the lock, it must not be dropped.
        let counter = StreamCounter::new(shared, endpoint, name);
        let body = StreamBody::new(shared, core, counter, &self.head, requests, call);
        Some(Ok(self.begun(Body::stream(body))))
    }

    fn event(&self) -> Option<ExchangeId> {
        self.wait.as_ref().map(|wait| wait.id())
    }

    /// A stream looks at the time itself.
    fn timeout(&self) -> Option<u64> {
        let timeout = self.head.timeout.filter(|_| !self.is_stream())?;
        Some(u64::try_from(timeout).unwrap_or_default())
    }

    fn time_out(&self, _: &mut EtcdCore) -> Response {
        self.refused(&Status::deadline_exceeded(self.profile))
    }

    fn is_stream(&self) -> bool {
        matches!(self.plan, Plan::Stream(..))
    }
}

/// Whether the member serves a call.
fn admitted(
    core: &mut EtcdCore,
    endpoint: usize,
    is_for_learners: bool,
    requires_leader: bool,
) -> Result<(), Status> {
    let call = api::Call {
        cluster: &mut core.cluster,
        endpoint,
        timed_out: false,
        credentials: Credentials::None,
    };
    Ok(call.admit(is_for_learners, requires_leader)?)
}

/// A message of protobuf, and what its caller demands.
struct Protobuf<'a> {
    message: &'a [u8],
    requires_leader: bool,
}

impl Codec for Protobuf<'_> {
    type Error = Status;

    fn decode<M: Message + Default>(&self) -> Result<M, Status> {
        decode(self.message).map_err(|problem| {
            let problem = format!("grpc: error unmarshalling request: {problem}");
            Status::with(13, problem)
        })
    }

    fn admit(&self, call: &api::Call<'_>, is_for_learners: bool) -> Result<(), Status> {
        Ok(call.admit(is_for_learners, self.requires_leader)?)
    }

    fn encode(&self, message: &dyn Message) -> Vec<u8> {
        frame(message)
    }
}

fn acquired(turn: Result<Acquired, Failure>) -> Result<Vec<u8>, Problem<Status>> {
    match turn {
        Ok(acquired) => Ok(frame(acquired.message())),
        Err(failure) => Err(Problem::Call(failure)),
    }
}
