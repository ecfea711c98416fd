mod transitions;

use std::{marker::PhantomData, pin::pin, time::Duration};

use etcd_transport::Transport;
use futures::future::{Either, select};

use crate::{
    auth::token::Granted,
    client::Client,
    endpoints::state::EndpointState,
    error::{
        Error, ErrorContext, EtcdErrorKind, Outcome, Result, UnexpectedKind, UnexpectedResponse,
    },
    pipeline::reconnect::Reconnect,
    v3::{
        protocol::message::Encode,
        stream::{
            buffering::BufferingEndpoints,
            duplex::DuplexEndpoints,
            freshness::Freshness,
            message_stream::StreamMessage,
            open::StreamCall,
            quiet::Quiet,
            silence::{Silence, SilenceLimit},
            state::{ProbePurpose, Progress, State},
            wire,
        },
    },
};

/// A streaming call that goes on over cut connections, restarts and changes of endpoint: requests of type `Q`,
/// responses of type `M`.
///
/// It is a state machine (see [`State`]) that advances only in [`recv`](Self::recv). It chooses the endpoint, renews the
/// token, detects a silent server and pauses between attempts. Its caller supplies the messages that open each request,
/// knows what a message means, and decides about each loss: [`recover`](Self::recover), or stop.
pub(in crate::v3) struct Connection<T, Q, M> {
    client: Client<T>,
    options: ConnectionOptions,
    reconnect: Reconnect,
    duplex: DuplexEndpoints,
    buffering: BufferingEndpoints,
    /// The token that was refused. It is not sent again, and until the connection has settled or the server has shown that
    /// it is alive, a second refusal is final.
    refused: Option<Granted>,
    /// Report of each probe that the server answers.
    freshness: Option<Freshness>,
    state: State<T, M>,
    request: PhantomData<fn(Q)>,
}

/// How a connection behaves.
#[derive(Clone, Copy, Debug)]
pub(in crate::v3) struct ConnectionOptions {
    pub(in crate::v3) call: StreamCall,
    /// How long attempts may fail before the last error is final. Zero: no second attempt, except with a new token.
    pub(in crate::v3) outage_limit: Duration,
    pub(in crate::v3) silence: SilenceLimit,
    /// How soon after each opening the caller must have [settled](Connection::settled).
    pub(in crate::v3) expect_within: Option<Duration>,
    /// The server sends the present state first, if there is one: a request that is opened again loses nothing.
    pub(in crate::v3) sends_state_first: bool,
    /// How long fetching a token may take, where the client's own limits are too long.
    pub(in crate::v3) token_limit: Option<Duration>,
    /// Whether the request goes on while it is answered, at the endpoints that can: see [`send`](Connection::send).
    pub(in crate::v3) duplex: DuplexUse,
    /// It goes on from a call that has worked.
    pub(in crate::v3) has_worked: bool,
}

/// What a request that goes on while it is answered is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::v3) enum DuplexUse {
    /// Each request is complete when it is sent.
    Never,
    /// The caller sends more when it likes.
    Always,
    /// By gRPC, what is asked next is sent on the same request, after a rest of at most this long.
    Exchanges(Duration),
}

/// The result of waiting for a message.
pub(in crate::v3) enum Received<M> {
    /// A message, and its size in bytes.
    Message(M, usize),
    /// The request is over. The next step is the caller's: [`Connection::recover`], or nothing more.
    Lost(Loss),
}

/// How soon a server that drains its connections says that it does not process a request.
const DRAINED_WITHIN: Duration = Duration::from_secs(1);

/// Why a request is over.
pub(in crate::v3) enum Loss {
    /// It broke, was refused, or the server does not respond.
    Failed(Error),
    /// The server ended the response without an error; this error is for a caller that stops here.
    Ended(Error),
    /// Its response is withheld on the way, while other calls are answered.
    Withheld(Error),
    /// It was silent for too long to be trusted, though the server is alive.
    Stale,
}

impl Loss {
    /// Whether the server did not respond in time.
    pub(in crate::v3) fn is_timeout(&self) -> bool {
        matches!(self, Self::Failed(Error::Timeout(_)))
    }

    /// Returns the error, unless the request is only too old.
    fn into_error(self) -> Option<Error> {
        match self {
            Self::Failed(error) | Self::Ended(error) | Self::Withheld(error) => Some(error),
            Self::Stale => None,
        }
    }
}

impl<T: Transport, Q: Encode, M: StreamMessage> Connection<T, Q, M> {
    /// A connection that sends nothing before the first [`recv`](Self::recv).
    pub(in crate::v3) fn new(client: &Client<T>, options: ConnectionOptions) -> Self {
        let mut reconnect = Reconnect::new(options.outage_limit);
        if options.has_worked {
            reconnect.worked();
        }
        Self {
            client: client.clone(),
            options,
            reconnect,
            duplex: DuplexEndpoints::default(),
            buffering: BufferingEndpoints::default(),
            refused: None,
            freshness: None,
            state: State::Closed,
            request: PhantomData,
        }
    }

    /// Confirms this freshness whenever the server shows that it is alive.
    pub(in crate::v3) fn confirming(mut self, freshness: Option<Freshness>) -> Self {
        self.freshness = freshness;
        self
    }

    /// What is delivered is up to date.
    pub(in crate::v3) fn confirm(&self) {
        if let Some(freshness) = &self.freshness {
            freshness.confirm(self.client.transport().now());
        }
    }

    /// Waits for the next message; opens the connection where it is not open. `request` returns the messages of a new
    /// request: it is called once for each, at the moment of sending.
    ///
    /// Nothing is lost, and no time limit starts again, when this future is dropped before it is ready.
    pub(in crate::v3) async fn recv(&mut self, mut request: impl FnMut() -> Vec<Q>) -> Received<M> {
        loop {
            match &mut self.state {
                State::Closed => self.opening(),
                State::Waiting(pause) => {
                    pause.await;
                    self.state = State::Closed;
                }
                State::Opening(opening) => match opening.await {
                    Ok(opening) => self.open(opening, request()),
                    Err(error) => {
                        self.state = State::Closed;
                        return Received::Lost(Loss::Failed(error));
                    }
                },
                State::Open(stream) => {
                    let must_be_told =
                        !stream.is_settled() || stream.is_poll() || self.freshness.is_some();
                    let endpoint = stream.messages.endpoint().clone();
                    let is_partial = stream.messages.partial();
                    let quiet = Quiet::new(
                        &self.client,
                        &endpoint,
                        &mut stream.silence,
                        is_partial,
                        must_be_told,
                    );
                    let next = match select(pin!(stream.messages.next()), quiet).await {
                        Either::Left((next, _)) => Some(next),
                        Either::Right(_) => None,
                    };
                    if let Some(next) = next {
                        return self.received(next);
                    }
                    if let Some(loss) = self.time_up() {
                        return Received::Lost(loss);
                    }
                }
                State::Probing(stream, probe) => {
                    let purpose = probe.purpose;
                    let response = &mut probe.response;
                    let first = match select(pin!(stream.messages.next()), response).await {
                        Either::Left((next, _)) => Either::Left(next),
                        Either::Right((alive, _)) => Either::Right(alive),
                    };
                    match first {
                        Either::Left(next) => return self.received(next),
                        Either::Right(Err(error)) => {
                            let now = self.client.transport().now();
                            stream.messages.endpoint().mark_unresponsive(now);
                            return Received::Lost(Loss::Failed(error));
                        }
                        Either::Right(Ok(())) => {}
                    }
                    let now = self.client.transport().now();
                    stream.messages.endpoint().mark_alive(now);
                    if let ProbePurpose::Withholding(limit) = purpose {
                        return Received::Lost(self.withheld(limit));
                    }
                    self.alive(now);
                    self.probed();
                    if let Some(loss) = self.suspect() {
                        return Received::Lost(loss);
                    }
                }
            }
        }
    }

    /// Sends more messages on the open request. Returns `false` where the request cannot go on.
    pub(in crate::v3) fn send<'a>(&self, messages: impl IntoIterator<Item = &'a Q>) -> bool
    where
        Q: 'a,
    {
        let Some(stream) = self.state.stream() else {
            return false;
        };
        let sender = stream.sender();
        if let Some(sender) = sender {
            sender.send(wire::encode(stream.messages.wire(), messages));
        }
        sender.is_some()
    }

    /// Begins another exchange, with these limits: on the open request if there is one that can go on. What was learned of the
    /// endpoints is kept.
    pub(in crate::v3) fn begin(&mut self, client: &Client<T>, options: ConnectionOptions) {
        self.client = client.clone();
        self.options = options;
        self.refused = None;
        self.reconnect = Reconnect::new(options.outage_limit);
        match self.state.stream_mut() {
            Some(stream) if stream.sender().is_some() => {
                stream.silence = Silence::new(options.silence);
            }
            _ => self.close(),
        }
    }

    /// The caller has to [settle](Self::settled) within this time of waiting from now on.
    pub(in crate::v3) fn expect(&mut self, limit: Duration) {
        if let Some(stream) = self.state.stream_mut() {
            stream.silence.expect(limit);
        }
    }

    /// The caller has what it opened the connection for: the endpoint is good, and an outage is over.
    pub(in crate::v3) fn settled(&mut self) {
        let Some(stream) = self.state.stream_mut() else {
            return;
        };
        stream.silence.settled();
        let endpoint = stream.messages.endpoint();
        if !stream.is_settled() {
            let is_duplex = stream.sender().is_some();
            self.duplex.worked(endpoint.endpoint(), is_duplex);
        }
        endpoint.mark_alive(self.client.transport().now());
        self.client.pipeline().endpoints.answered(endpoint);
        stream.advance(Progress::Settled);
        self.refused = None;
        self.reconnect.over(self.client.transport().now());
    }

    /// Goes on after a loss: at once, after a pause, or with another token. A request that is still open is dropped.
    ///
    /// # Errors
    /// The error of the loss where another attempt would not help, and where the outage has lasted too long.
    pub(in crate::v3) fn recover(&mut self, loss: Loss) -> Result<()> {
        let stream = self.state.take();
        let is_end = matches!(loss, Loss::Ended(_));
        let is_withheld = matches!(loss, Loss::Withheld(_));
        let Some(error) = loss.into_error() else {
            return Ok(());
        };
        let Some(stream) = stream else {
            return self.retry(error);
        };
        if stream.is_poll() && self.is_end_of_poll(&stream, is_end, &error) {
            return Ok(());
        }
        self.report_failure(&stream, &error, is_end);
        if let Error::Timeout(_) = error {
            let token = &stream.messages.prepared().token;
            self.client.pipeline().token_timed_out(token);
        }
        let endpoint = stream.messages.endpoint();
        if is_withheld {
            // It serves all other calls.
            return self.wait(error);
        }
        if stream.is_poll() {
            self.buffering.forget(endpoint.endpoint());
        }
        let is_duplex = stream.sender().is_some();
        let may_be_duplex = self.duplex.failed(endpoint.endpoint(), is_duplex, &error);
        let may_be_token = if is_end {
            // To a token that is not good etcd may respond with success, and no message (V3-139).
            !stream.is_proven()
                && self
                    .client
                    .pipeline()
                    .needs_token(&self.options.call.call())
        } else {
            error.etcd_kind().is_some_and(EtcdErrorKind::is_token_error)
        };
        if may_be_token && self.refused.is_none() {
            self.refused = Some(stream.messages.prepared().token.clone());
            self.opening();
            return Ok(());
        }
        if error.is_not_served() && self.is_served_elsewhere(endpoint, &error) {
            return Ok(());
        }
        // Once etcd has spoken, what is not understood is no page of a proxy.
        let survives = if stream.is_proven() {
            error.is_retryable()
        } else {
            self.reconnect.survives(&error)
        };
        // A server may drain a connection at any time, but not one after the other. It says so at once: one that is halted is
        // waited for.
        let elapsed = self.client.pipeline().since(stream.opened);
        let is_drained =
            error.is_unprocessed() && elapsed < DRAINED_WITHIN && !self.reconnect.is_outage();
        if (is_end || survives) && !is_drained {
            endpoint.failed(self.client.transport().now());
        }
        if may_be_duplex && error.is_rejected() {
            // Nothing was sent, and the next request will not go on while it is answered.
            return Ok(());
        }
        if is_end || may_be_duplex || survives {
            return self.wait(error);
        }
        Err(error)
    }

    /// Passes over this endpoint, which does not serve the call by this error, from now on. Returns whether another one may
    /// serve it, as far as is known.
    fn is_served_elsewhere(&self, endpoint: &EndpointState, error: &Error) -> bool {
        let (pipeline, call) = (self.client.pipeline(), self.options.call.call());
        pipeline.pass_over(&call, endpoint, error.is_unsupported_by_etcd());
        pipeline.other_endpoint(&call).is_some()
    }

    /// Returns the error of a loss that the caller does not recover from. The endpoint is not chosen next if another may
    /// succeed.
    pub(in crate::v3) fn give_up(&mut self, loss: Loss) -> Error {
        let is_end = matches!(loss, Loss::Ended(_));
        let Some(error) = loss.into_error() else {
            return self.unexpected("the server has been silent for too long");
        };
        if let Some(stream) = self.state.take() {
            self.report_failure(&stream, &error, is_end);
            if error.is_endpoint_fault() {
                let now = self.client.transport().now();
                stream.messages.endpoint().failed(now);
            }
        }
        self.close();
        error
    }

    /// Drops the request, and any attempt to open one.
    pub(in crate::v3) fn close(&mut self) {
        self.state = State::Closed;
    }

    /// Drops any attempt to open a request, and forgets the outage: nothing is wanted from the server.
    pub(in crate::v3) fn rest(&mut self) {
        if !self.is_open() {
            self.state = State::Closed;
            self.reconnect.rest();
        }
    }

    /// Whether the stream goes on after this failure of another call that it depends on.
    pub(in crate::v3) fn survives(&self, error: &Error) -> bool {
        self.reconnect.survives(error)
    }

    /// Pauses after a failure of another call that the stream depends on. The open request, if any, stays open.
    ///
    /// # Errors
    /// This error, where the outage has lasted too long.
    pub(in crate::v3) async fn pause(&mut self, error: Error) -> Result<()> {
        self.reconnect.pause(self.client.pipeline(), error).await
    }

    /// Whether a request is under way.
    pub(in crate::v3) fn is_open(&self) -> bool {
        self.state.stream().is_some()
    }

    /// Whether a part of a message has arrived.
    pub(in crate::v3) fn is_partial(&self) -> bool {
        self.state
            .stream()
            .is_some_and(|stream| stream.messages.is_partial())
    }

    /// The endpoint of the open request.
    pub(in crate::v3) fn endpoint(&self) -> Option<&EndpointState> {
        self.state.stream().map(|stream| stream.messages.endpoint())
    }

    /// Which operation this is, and where: at the endpoint of the open request, or at the next one.
    pub(in crate::v3) fn context(&self) -> ErrorContext {
        match self.state.stream() {
            Some(stream) => stream.messages.context(),
            None => {
                let pipeline = self.client.pipeline();
                pipeline.next_context(self.options.call.operation)
            }
        }
    }

    /// The error for a response that is not etcd's.
    pub(in crate::v3) fn unexpected(&self, what: impl Into<String>) -> Error {
        let unexpected = UnexpectedResponse::of(self.context(), what, Outcome::Unknown);
        Error::Unexpected(unexpected)
    }

    /// The error for another cluster, or another store.
    pub(in crate::v3) fn cluster_changed(&self, what: impl Into<String>) -> Error {
        let unexpected = UnexpectedResponse::of(self.context(), what, Outcome::Unknown);
        Error::Unexpected(unexpected.with_kind(UnexpectedKind::ClusterChanged))
    }
}
