//! One request and its response: the log, faults, and waiting for a quorum. It is the same for every front.

use std::{
    future::{Future, poll_fn},
    pin::{Pin, pin},
    sync::Arc,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use etcd_transport::{Body, Response, TransportError};
use http::{HeaderValue, Uri, header, response};
use http_body::Body as _;

use super::{
    body::{BegunBody, CutBody, LateBody},
    timer::Timer,
};
use crate::{
    cluster::{
        clock::nanos,
        core::ServerRun,
        exchanges::ExchangeId,
        fault::{Cut, Ending, Kind},
        replication::QUORUM_TIMEOUT,
        request_log::{Exchange, Outcome, Texts},
        sleep::Sleep,
    },
    state::{EtcdCore, EtcdShared, Stores},
};

/// A request of one of the fronts.
pub(super) trait Call {
    fn uri(&self) -> &Uri;

    /// The request as the log has it.
    fn exchange(&self, texts: &mut Texts) -> Exchange;

    /// Responds to the request; `None` while it takes a quorum that is missing. `timed_out`: it has waited for one as long
    /// as etcd does, and must be answered.
    fn answer(
        &mut self,
        shared: &Arc<EtcdShared>,
        core: &mut EtcdCore,
        endpoint: usize,
        timed_out: bool,
    ) -> Option<Answered>;

    /// The exchange whose next event may bring the response; `None` if it waits for a quorum.
    fn event(&self) -> Option<ExchangeId> {
        None
    }

    /// When the call is to be answered again, even if there was no event by then.
    fn due(&self) -> Option<u64> {
        None
    }

    /// How many nanoseconds the server takes for the response at most, from the arrival of the request.
    fn timeout(&self) -> Option<u64> {
        None
    }

    /// The response when that time is over.
    fn time_out(&self, core: &mut EtcdCore) -> Response;

    /// Whether the response is a body whose head travels with its first frame.
    fn is_stream(&self) -> bool {
        false
    }
}

/// Marks a response that is ready, and that etcd sends only after it has waited for as long as it waits for a quorum.
#[derive(Clone, Copy, Debug)]
pub(super) struct Late;

/// The response to a request, or how it failed.
pub(super) type Answered = Result<Response, TransportError>;

/// Logs a request and responds to it, or fails as an injected fault says.
pub(super) async fn answer<C: Call + Send>(shared: &Arc<EtcdShared>, call: &mut C) -> Answered {
    let finished = match shared.with(|core| receive(shared, core, call)) {
        Received::Answered(answered) => return answered,
        // Boxed, so that a request that is answered at once does not pay for the larger future.
        Received::Waiting(waiting, fault, late) => Box::pin(waiting.finish(call, fault, late)),
    };
    finished.await
}

/// How far a request got at once.
enum Received {
    Answered(Answered),
    /// The response is there if it is late.
    Waiting(Waiting, Option<Kind>, Option<Response>),
}

/// Takes a request in, and responds to it if nothing is in the way.
fn receive<C: Call>(shared: &Arc<EtcdShared>, core: &mut EtcdCore, call: &mut C) -> Received {
    let arrived = match core.receive(call.uri(), |texts| call.exchange(texts)) {
        Ok(arrived) => arrived,
        Err(number) => {
            let refused = Err(TransportError::connect("connection refused"));
            core.set_outcome(number, outcome(&refused));
            return Received::Answered(refused);
        }
    };
    let (endpoint, number) = (arrived.endpoint, arrived.number);
    let mut late = None;
    if arrived.fault.is_none()
        && !call.is_stream()
        && let Some(answered) = call.answer(shared, core, endpoint, false)
    {
        match answered {
            Ok(response) if is_late(&response) => late = Some(response),
            answered => {
                core.set_outcome(number, outcome(&answered));
                if core.time.sleeping() == 0 {
                    core.wake_next_candidate();
                }
                return Received::Answered(answered);
            }
        }
    }
    let id = core.exchanges.next_id();
    core.exchanges.open(id, endpoint);
    let waiting = Waiting {
        shared: Arc::clone(shared),
        id,
        endpoint,
        number,
        outcome: Outcome::Dropped,
    };
    Received::Waiting(waiting, arrived.fault, late)
}

/// An exchange that could not be answered at once. It is open until this is dropped, and its outcome is logged then.
struct Waiting {
    shared: Arc<EtcdShared>,
    id: ExchangeId,
    endpoint: usize,
    /// Its number in the log.
    number: u64,
    outcome: Outcome,
}

impl Waiting {
    async fn finish<C: Call>(
        mut self,
        call: &mut C,
        fault: Option<Kind>,
        late: Option<Response>,
    ) -> Answered {
        let answered = match late {
            Some(response) => self.hold(call, response).await,
            None => self.answer_with(call, fault).await,
        };
        self.outcome = outcome(&answered);
        answered
    }

    async fn answer_with<C: Call>(&self, call: &mut C, fault: Option<Kind>) -> Answered {
        let broken = |what: &str| Err(TransportError::interrupted(what.to_owned()));
        match fault {
            None => self.ask(call).await,
            Some(Kind::Refuse) => Err(TransportError::connect("connection refused")),
            Some(Kind::BreakBefore) => broken("the connection broke before the server acted"),
            Some(Kind::BreakAfter) => {
                self.ask(call).await?;
                broken("the connection broke before the response")
            }
            Some(Kind::SilenceBefore) => std::future::pending().await,
            Some(Kind::SilenceAfter) => {
                self.ask(call).await?;
                std::future::pending().await
            }
            Some(Kind::DelayBefore(duration)) => {
                self.sleep(nanos(duration)).await;
                self.ask(call).await
            }
            Some(Kind::DelayPastExpiry(duration)) => {
                if let Some(expiry) = self.shared.with(|core| core.next_sweep()) {
                    let due = expiry.saturating_add(nanos(duration));
                    Sleep::until(Arc::clone(&self.shared), due).await;
                }
                self.ask(call).await
            }
            Some(Kind::DelayAfter(duration)) => {
                let answer = self.ask(call).await;
                self.sleep(nanos(duration)).await;
                answer
            }
            Some(Kind::Instead(response)) => Ok(response.map(Body::from)),
            Some(Kind::InsteadAfter(response)) => {
                self.ask(call).await?;
                Ok(response.map(Body::from))
            }
            Some(Kind::Cut(left, ending)) => {
                let response = self.ask(call).await?;
                Ok(response.map(|body| Body::stream(CutBody::new(body, left, ending))))
            }
            Some(Kind::Before(event)) => {
                event.0();
                self.ask(call).await
            }
            Some(Kind::After(event)) => {
                let response = self.ask(call).await;
                event.0();
                response
            }
            Some(Kind::DelayBody(duration)) => {
                let response = self.ask(call).await?;
                let shared = Arc::clone(&self.shared);
                Ok(response.map(|body| Body::stream(LateBody::new(body, shared, nanos(duration)))))
            }
            Some(Kind::Truncate(length)) => {
                let (head, body) = self.ask(call).await?.into_parts();
                Ok(match body.try_into_bytes() {
                    Ok(mut bytes) => {
                        bytes.truncate(length);
                        with_length(head, bytes)
                    }
                    // An open response has no length that could agree.
                    Err(body) => {
                        let cut = CutBody::new(body, Cut::Bytes(length), Ending::Error);
                        Response::from_parts(head, Body::stream(cut))
                    }
                })
            }
            Some(Kind::Append(more)) => {
                let (head, body) = self.ask(call).await?.into_parts();
                Ok(match body.try_into_bytes() {
                    Ok(bytes) => with_length(head, [&bytes[..], &more].concat().into()),
                    Err(body) => Response::from_parts(head, body),
                })
            }
        }
    }

    /// Holds a response back until it is due, or the call's time is up.
    async fn hold<C: Call>(&self, call: &mut C, response: Response) -> Answered {
        let wait = nanos(QUORUM_TIMEOUT);
        match call.timeout().filter(|&timeout| timeout < wait) {
            Some(timeout) => {
                self.sleep(timeout).await;
                Ok(self.shared.with(|core| call.time_out(core)))
            }
            None => {
                self.sleep(wait).await;
                Ok(response)
            }
        }
    }

    /// Asks the server, which responds by the deadline.
    async fn ask<C: Call>(&self, call: &mut C) -> Answered {
        let Some(timeout) = call.timeout() else {
            return self.ask_without_deadline(call).await;
        };
        let answered = {
            let mut asked = pin!(self.ask_without_deadline(call));
            let mut timeout = pin!(self.sleep(timeout));
            let answered = poll_fn(|cx| match asked.as_mut().poll(cx) {
                Poll::Ready(answered) => Poll::Ready(Some(answered)),
                Poll::Pending => timeout.as_mut().poll(cx).map(|()| None),
            });
            answered.await
        };
        answered.unwrap_or_else(|| Ok(self.shared.with(|core| call.time_out(core))))
    }

    /// Asks the server, and waits for a quorum where it takes one.
    async fn ask_without_deadline<C: Call>(&self, call: &mut C) -> Answered {
        let shared = &self.shared;
        let (server_run, deadline) = shared.with(|core| {
            let timeout = nanos(QUORUM_TIMEOUT);
            (
                core.server_run(self.endpoint),
                core.time.elapsed.saturating_add(timeout),
            )
        });
        let mut timed_out = false;
        loop {
            let answer = shared.with(|core| {
                if core.server_run(self.endpoint) != server_run {
                    return Err(TransportError::interrupted("the server stopped"));
                }
                Ok(call.answer(shared, core, self.endpoint, timed_out))
            });
            if let Some(answered) = answer? {
                let response = answered?;
                if is_late(&response) {
                    self.sleep(nanos(QUORUM_TIMEOUT)).await;
                }
                return if call.is_stream() {
                    begin(response).await
                } else {
                    Ok(response)
                };
            }
            if let Some(id) = call.event() {
                return NextEvent {
                    waiting: self,
                    id,
                    call,
                    server_run,
                    timer: Timer::default(),
                }
                .await;
            }
            let change = ClusterChange {
                waiting: self,
                server_run,
                timeout: Sleep::until(Arc::clone(shared), deadline),
            };
            timed_out = change.await;
        }
    }

    async fn sleep(&self, nanos: u64) {
        let now = self.shared.with(|core| core.time.elapsed);
        Sleep::until(Arc::clone(&self.shared), now.saturating_add(nanos)).await;
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        self.shared.with(|core| {
            core.close_exchange(self.id);
            core.set_outcome(self.number, self.outcome);
        });
    }
}

/// Resolves to false when the cluster has a quorum or the server has stopped, and to true after the timeout.
struct ClusterChange<'a> {
    waiting: &'a Waiting,
    server_run: ServerRun,
    timeout: Sleep<Stores>,
}

impl Future for ClusterChange<'_> {
    type Output = bool;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<bool> {
        let this = &mut *self;
        let waiting = this.waiting;
        let has_changed = waiting.shared.with(|core| {
            core.wait_for_event(waiting.id, cx.waker());
            core.cluster.can_commit_at(waiting.endpoint)
                || core.server_run(waiting.endpoint) != this.server_run
        });
        if has_changed {
            return Poll::Ready(false);
        }
        Pin::new(&mut this.timeout).poll(cx).map(|()| true)
    }
}

/// Asks the server again at each event, and when it is due, until there is a response or the server has stopped.
struct NextEvent<'a, C> {
    waiting: &'a Waiting,
    id: ExchangeId,
    call: &'a mut C,
    server_run: ServerRun,
    timer: Timer,
}

impl<C: Call> Future for NextEvent<'_, C> {
    type Output = Answered;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Answered> {
        let this = &mut *self;
        let (shared, endpoint) = (&this.waiting.shared, this.waiting.endpoint);
        let server = (endpoint, this.server_run);
        loop {
            let answered = shared.with(|core| {
                core.poll_exchange(this.id, server, cx, |core| {
                    this.call.answer(shared, core, endpoint, false)
                })
            });
            if let Poll::Ready(answered) = answered {
                return Poll::Ready(answered.and_then(|answered| answered));
            }
            ready!(this.timer.poll(shared, this.call.due(), cx));
        }
    }
}

/// Waits for the first frame of a body. If there are trailers alone, they become headers.
async fn begin(response: Response) -> Answered {
    let (mut head, mut body) = response.into_parts();
    let first = poll_fn(|cx| Pin::new(&mut body).poll_frame(cx)).await;
    let Some(first) = first.transpose()? else {
        return Ok(Response::from_parts(head, Body::empty()));
    };
    Ok(match first.into_trailers() {
        Ok(trailers) => {
            head.headers.extend(trailers);
            Response::from_parts(head, Body::empty())
        }
        Err(first) => Response::from_parts(head, Body::stream(BegunBody::new(first, body))),
    })
}

fn is_late(response: &Response) -> bool {
    response.extensions().get::<Late>().is_some()
}

fn outcome(answered: &Answered) -> Outcome {
    match answered {
        Ok(response) => Outcome::Answered(response.status().as_u16()),
        Err(error) => Outcome::Failed(error.kind()),
    }
}

/// The same response with another body, and the length of that.
fn with_length(mut head: response::Parts, body: Bytes) -> Response {
    head.headers.remove(header::TRANSFER_ENCODING);
    let length = HeaderValue::from(body.len());
    head.headers.insert(header::CONTENT_LENGTH, length);
    Response::from_parts(head, body.into())
}

#[cfg(test)]
mod tests;
