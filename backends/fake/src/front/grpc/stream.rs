use std::{
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context as TaskContext, Poll},
    time::Duration,
};

use bytes::Bytes;
use etcd_transport::{PolledFrame, TransportError};
use http_body::Frame;

use super::{
    frames::{Broken, Messages},
    head::Head,
    status::Status,
};
use crate::{
    cluster::{clock::nanos, exchanges::ExchangeId, replication::QUORUM_TIMEOUT, sleep::Sleep},
    front::{counter::StreamCounter, subscription::Subscription},
    state::{EtcdCore, EtcdShared, Stores},
    v3::{api::Call, auth::Credentials},
};

/// How long a stream that requires a leader goes on without one: three election timeouts.
const WITHOUT_LEADER: Duration = Duration::from_secs(3);

/// A call whose request or response is a stream.
pub(super) trait Streaming: Send {
    /// Whether the next message of the client can be received.
    fn is_ready(&self) -> bool {
        true
    }

    /// Receives a message of the client; `None` when it has ended them.
    ///
    /// # Errors
    /// With the status that ends the call when everything is sent.
    fn receive(&mut self, context: &mut Context<'_>, message: Option<&[u8]>) -> Result<(), Status>;

    /// What to send next.
    fn next(&mut self, context: &mut Context<'_>) -> Output;
}

/// What a call has to send.
pub(super) enum Output {
    /// A message with its prefix.
    Message(Vec<u8>),
    /// The end.
    End(Status),
    /// Nothing until there is a quorum.
    Blocked,
    Nothing,
}

/// The member that executes a call.
pub(super) struct Context<'a> {
    pub(super) core: &'a mut EtcdCore,
    pub(super) endpoint: usize,
    pub(super) id: ExchangeId,
    credentials: &'a Credentials,
    timed_out: bool,
}

impl Context<'_> {
    pub(super) fn call(&mut self) -> Call<'_> {
        Call {
            cluster: &mut self.core.cluster,
            endpoint: self.endpoint,
            timed_out: self.timed_out,
            credentials: self.credentials.clone(),
        }
    }
}

/// The body of a response, which owns that of the request.
pub(super) struct StreamBody {
    call: Box<dyn Streaming>,
    requests: Option<Messages>,
    subscription: Subscription,
    counter: StreamCounter,
    credentials: Credentials,
    requires_leader: bool,
    deadline: Option<(Timer, Status)>,
    /// Runs while the call waits for a quorum.
    quorum: Option<Timer>,
    /// Runs while there is no leader.
    leader: Option<Timer>,
    /// What ends the response when everything is sent.
    last: Option<Status>,
    has_ended: bool,
}

type Timer = Pin<Box<Sleep<Stores>>>;

impl StreamBody {
    pub(super) fn new(
        shared: &Arc<EtcdShared>,
        core: &mut EtcdCore,
        counter: StreamCounter,
        head: &Head,
        requests: Messages,
        call: Box<dyn Streaming>,
    ) -> Self {
        let profile = core.cluster.profile;
        let deadline = head.timeout.map(|timeout| {
            let due = (core.time.elapsed).saturating_add_signed(timeout);
            let timer = Box::pin(Sleep::until(Arc::clone(shared), due));
            (timer, Status::deadline_exceeded(profile))
        });
        let id = core.exchanges.next_id();
        Self {
            call,
            requests: Some(requests),
            subscription: Subscription::open(shared, core, id, counter.endpoint()),
            counter,
            credentials: head.credentials.clone(),
            requires_leader: head.requires_leader,
            deadline,
            quorum: None,
            leader: None,
            last: None,
            has_ended: false,
        }
    }

    /// Receives what the client has sent.
    fn receive(&mut self, cx: &mut TaskContext<'_>) -> Result<(), TransportError> {
        while self.last.is_none() && self.call.is_ready() {
            let Some(requests) = &mut self.requests else {
                return Ok(());
            };
            let Poll::Ready(message) = requests.poll_next(cx) else {
                return Ok(());
            };
            let received = match message {
                Some(Ok(message)) => {
                    self.with(false, |call, context| call.receive(context, Some(&message)))
                }
                None => {
                    self.requests = None;
                    self.with(false, |call, context| call.receive(context, None))
                }
                Some(Err(Broken::CutOff)) => Err(Status::new(13, "unexpected EOF")),
                Some(Err(Broken::Refused(status))) => Err(status),
                Some(Err(Broken::Transport(error))) => return Err(error),
            };
            self.last = received.err();
        }
        Ok(())
    }

    fn with<T>(
        &mut self,
        timed_out: bool,
        f: impl FnOnce(&mut dyn Streaming, &mut Context<'_>) -> T,
    ) -> T {
        let shared = Arc::clone(self.subscription.shared());
        let (call, credentials) = (&mut *self.call, &self.credentials);
        shared.with(|core| {
            let mut context = Context {
                core,
                endpoint: self.subscription.endpoint(),
                id: self.subscription.id(),
                credentials,
                timed_out,
            };
            f(call, &mut context)
        })
    }

    /// Polls for the end that time brings.
    fn poll_time(&mut self, cx: &mut TaskContext<'_>) -> Poll<Status> {
        if let Some((timer, status)) = &mut self.deadline
            && timer.as_mut().poll(cx).is_ready()
        {
            return Poll::Ready(status.clone());
        }
        let shared = Arc::clone(self.subscription.shared());
        let endpoint = self.subscription.endpoint();
        let has_leader = || shared.with(|core| core.cluster.leader_at(endpoint).is_some());
        if !self.requires_leader || has_leader() {
            self.leader = None;
            return Poll::Pending;
        }
        let timer = self
            .leader
            .get_or_insert_with(|| after(&shared, WITHOUT_LEADER));
        let over = timer.as_mut().poll(cx);
        over.map(|()| Status::NO_LEADER)
    }

    /// Polls for what the call has to send.
    fn poll_output(&mut self, cx: &mut TaskContext<'_>) -> Poll<Result<Output, TransportError>> {
        let mut timed_out = false;
        loop {
            let mut is_blocked = false;
            let (call, subscription) = (&mut self.call, &self.subscription);
            let (credentials, last) = (&self.credentials, &mut self.last);
            let polled = subscription.poll(cx, |core| {
                let mut context = Context {
                    core,
                    endpoint: subscription.endpoint(),
                    id: subscription.id(),
                    credentials,
                    timed_out,
                };
                let output = call.next(&mut context);
                is_blocked = matches!(output, Output::Blocked);
                match output {
                    Output::Message(_) | Output::End(_) => Some(output),
                    Output::Blocked => None,
                    Output::Nothing => last.take().map(Output::End),
                }
            });
            if !is_blocked {
                self.quorum = None;
                return polled;
            }
            let shared = subscription.shared();
            let timer = (self.quorum).get_or_insert_with(|| after(shared, QUORUM_TIMEOUT));
            if timed_out || timer.as_mut().poll(cx).is_pending() {
                return polled;
            }
            timed_out = true;
        }
    }
}

impl http_body::Body for StreamBody {
    type Data = Bytes;
    type Error = TransportError;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut TaskContext<'_>) -> PolledFrame {
        let this = &mut *self;
        if this.has_ended {
            return Poll::Ready(None);
        }
        if let Err(error) = this.receive(cx) {
            this.has_ended = true;
            return Poll::Ready(Some(Err(error)));
        }
        let output = match this.poll_time(cx) {
            Poll::Ready(status) => Ok(Output::End(status)),
            Poll::Pending => std::task::ready!(this.poll_output(cx)),
        };
        let frame = match output {
            Ok(Output::Message(message)) => Ok(Frame::data(message.into())),
            Ok(Output::End(status)) => {
                this.counter.end(status.code());
                Ok(Frame::trailers(status.trailers()))
            }
            Ok(Output::Blocked | Output::Nothing) => return Poll::Pending,
            Err(error) => Err(error),
        };
        this.has_ended = !matches!(&frame, Ok(frame) if frame.is_data());
        Poll::Ready(Some(frame))
    }

    fn is_end_stream(&self) -> bool {
        self.has_ended
    }
}

fn after(shared: &Arc<EtcdShared>, duration: Duration) -> Timer {
    let now = shared.with(|core| core.time.elapsed);
    let due = now.saturating_add(nanos(duration));
    Box::pin(Sleep::until(Arc::clone(shared), due))
}
