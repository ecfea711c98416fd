use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use etcd_transport::{Body, PolledFrame, Response, TransportError};
use http_body::Frame;

use super::{
    Pending, call_of, credentials,
    limits::Limits,
    read,
    stream::{empty_head, head, line},
};
use crate::{
    cluster::exchanges::ExchangeId,
    front::subscription::Subscription,
    state::{EtcdCore, EtcdShared},
    v2::api::Incoming,
    v3::{
        api::{
            Call,
            observe::{Observation, Observed},
        },
        auth::Credentials,
        message::election::LeaderRequest,
    },
};

/// The leaders of an election, one after the other.
pub(in crate::front) struct ObserveBody {
    /// The message that the head travels with.
    first: Option<Vec<u8>>,
    observation: Observation,
    credentials: Credentials,
    /// Wakes the observation when it may have something.
    subscription: Subscription,
    has_ended: bool,
}

impl ObserveBody {
    pub(super) fn id(&self) -> ExchangeId {
        self.subscription.id()
    }
}

/// The next line, or the end; none if there is nothing at present.
fn next(
    core: &mut EtcdCore,
    endpoint: usize,
    credentials: &Credentials,
    observation: &mut Observation,
) -> Option<Option<Vec<u8>>> {
    let profile = core.cluster.profile;
    let mut call = Call {
        cluster: &mut core.cluster,
        endpoint,
        timed_out: false,
        credentials: credentials.clone(),
    };
    match call.observe(observation) {
        Observed::Leader(response) => Some(Some(line(&response, profile))),
        Observed::Nothing => None,
        Observed::End => Some(None),
    }
}

/// Opens the observation of an election.
pub(super) fn open(
    shared: &Arc<EtcdShared>,
    core: &mut EtcdCore,
    request: &Incoming<'_>,
    limits: Limits,
    pending: &mut Pending,
) -> Option<Response> {
    let profile = core.cluster.profile;
    let message: LeaderRequest = match read::message(request.body, profile) {
        Ok(message) => message,
        Err(error) => return Some(error.response(profile)),
    };
    let call = call_of(core, request);
    if let Err(error) = limits.check(&call, false) {
        return Some(error.stream_response(profile));
    }
    let subscription = Subscription::open(shared, core, request.watch_id, request.endpoint);
    let body = ObserveBody {
        first: None,
        observation: Observation::new(subscription.id(), &message),
        credentials: credentials(request.headers),
        subscription,
        has_ended: false,
    };
    begin(core, body, limits, pending)
}

/// Begins the response if there is a leader. Before that there is no head.
pub(super) fn begin(
    core: &mut EtcdCore,
    mut body: ObserveBody,
    limits: Limits,
    pending: &mut Pending,
) -> Option<Response> {
    let profile = core.cluster.profile;
    let endpoint = body.subscription.endpoint();
    match next(core, endpoint, &body.credentials, &mut body.observation) {
        None => {
            *pending = Pending::Observe(Box::new(body));
            None
        }
        Some(None) => {
            // Kept, so that it is dropped when the lock is free.
            *pending = Pending::Observe(Box::new(body));
            Some(empty_head(profile).map(|()| Body::empty()))
        }
        Some(Some(first)) => {
            let shared = Arc::clone(body.subscription.shared());
            body.first = Some(first);
            let body = limits.apply(body, &shared, endpoint, profile);
            Some(head().map(|()| Body::stream(body)))
        }
    }
}

impl http_body::Body for ObserveBody {
    type Data = Bytes;
    type Error = TransportError;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> PolledFrame {
        let this = &mut *self;
        if let Some(first) = this.first.take() {
            return Poll::Ready(Some(Ok(Frame::data(first.into()))));
        }
        if this.has_ended {
            return Poll::Ready(None);
        }
        let next = {
            let (observation, credentials) = (&mut this.observation, &this.credentials);
            let subscription = &this.subscription;
            subscription.poll(cx, |core| {
                next(core, subscription.endpoint(), credentials, observation)
            })
        };
        let next = ready!(next).transpose();
        this.has_ended = !matches!(next, Some(Ok(_)));
        Poll::Ready(next.map(|line| line.map(|line| Frame::data(line.into()))))
    }

    fn is_end_stream(&self) -> bool {
        self.first.is_none() && self.has_ended
    }
}
