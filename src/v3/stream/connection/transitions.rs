use std::time::{Duration, Instant};

use etcd_transport::{IdleLimit, Transport};
use futures::FutureExt;

use super::{Connection, DuplexUse, Loss, Received};
use crate::{
    endpoints::{
        liveness::{LivenessCheck, PROBE_LIMIT},
        wire::Wire,
    },
    error::{Error, ErrorContext, EtcdErrorKind, Result},
    pipeline::{
        call::Call,
        exchange::Prepared,
        failure::Failure,
        lifetime::Lifetime,
        observe::{AttemptOutcome, Report},
    },
    v3::{
        protocol::{self, message::Encode},
        stream::{
            body_sender::BodySender,
            buffering::POLL,
            message_stream::{MessageStream, StreamMessage},
            open::{self, StreamRequest},
            probe::probe,
            silence::{Silence, TimeUp},
            state::{OpenStream, Opening, Probe, ProbePurpose, Progress, RequestKind, State},
        },
    },
};

/// The transitions of a connection's state.
impl<T: Transport, Q: Encode, M: StreamMessage> Connection<T, Q, M> {
    /// Begins to fetch the token of the next request, another one than was refused, and chooses the endpoint that is best then.
    pub(super) fn opening(&mut self) {
        let (client, options) = (self.client.clone(), self.options);
        let refused = self.refused.clone();
        self.state = State::Opening(Box::pin(async move {
            let (pipeline, call) = (client.pipeline(), options.call.call());
            let limit = call.deadline.overall(&pipeline.retry);
            let limit = options.token_limit.unwrap_or(limit);
            let token = if pipeline.needs_token(&call) {
                pipeline.token(&call, refused.as_ref(), limit).await?
            } else {
                None
            };
            let (endpoint, wire) = open::choose(pipeline, &call, limit).await?;
            Ok(Opening {
                token,
                endpoint,
                wire,
            })
        }));
    }

    /// Sends these messages.
    pub(super) fn open(&mut self, opening: Opening, messages: Vec<Q>) {
        let call = self.options.call.call();
        let Opening {
            token,
            endpoint,
            wire,
        } = opening;
        // An endpoint that withholds a response may withhold a request as well.
        let is_poll = self.buffering.is_for(endpoint.endpoint());
        let prepared = Prepared {
            call: Call {
                server_limit: is_poll.then_some(POLL),
                ..call
            },
            wire,
            encoded: protocol::encode_all(self.options.call.method, wire, &messages),
            token,
        };
        let is_wanted = match self.options.duplex {
            DuplexUse::Never => false,
            DuplexUse::Always => true,
            DuplexUse::Exchanges(_) => wire == Wire::Grpc,
        };
        let is_duplex = is_wanted && !is_poll && self.duplex.is_for(endpoint.endpoint(), wire);
        let (kind, body) = if is_duplex {
            let (sender, body) = BodySender::new(prepared.encoded.body.clone());
            (RequestKind::Duplex(sender), Some(body))
        } else if is_poll {
            (RequestKind::Poll, None)
        } else {
            (RequestKind::Complete, None)
        };
        let lifetime = match self.options.duplex {
            DuplexUse::Exchanges(rest) if is_duplex => Lifetime::LongLived(IdleLimit(rest)),
            _ => self.options.silence.lifetime(),
        };
        let request = StreamRequest { prepared, lifetime };
        let mut silence = Silence::new(self.options.silence);
        if let Some(limit) = self.options.expect_within {
            let wait = if is_poll { POLL } else { Duration::ZERO };
            silence.expect(limit.saturating_add(wait));
        }
        self.state = State::Open(Box::new(OpenStream {
            messages: MessageStream::new(&self.client, request, endpoint, body),
            kind,
            progress: Progress::Sent,
            silence,
            opened: self.client.transport().now(),
            stalled: None,
        }));
    }

    /// The stream has been silent for its time: Open → Probing, or a loss.
    pub(super) fn time_up(&mut self) -> Option<Loss> {
        let now = self.client.transport().now();
        let stream = self.state.stream_mut()?;
        match stream.silence.time_up() {
            TimeUp::Probe(limit) => {
                match stream.messages.endpoint().check_liveness(now, limit) {
                    LivenessCheck::Ask => self.probe(ProbePurpose::Liveness),
                    LivenessCheck::Wait(time) => stream.silence.wait(time, now),
                    LivenessCheck::Alive(at) => {
                        self.alive(at);
                        return self.suspect();
                    }
                    LivenessCheck::Lost => {
                        let error = Failure::TimedOut(PROBE_LIMIT).into_error(self.context());
                        return Some(Loss::Failed(error));
                    }
                }
                None
            }
            TimeUp::Stale => Some(Loss::Stale),
            TimeUp::Failed(limit) => {
                let is_first = !stream.is_proven() && !stream.is_poll();
                if is_first && self.options.expect_within.is_some() && self.buffering.missed() {
                    // A duplex request may be withheld itself.
                    if stream.sender().is_none() {
                        self.probe(ProbePurpose::Withholding(limit));
                        return None;
                    }
                }
                let error = Failure::TimedOut(limit).into_error(self.context());
                Some(Loss::Failed(error))
            }
        }
    }

    /// The server was alive at this time, though the stream is silent.
    pub(super) fn alive(&mut self, at: Instant) {
        if let Some(stream) = self.state.stream_mut() {
            stream.silence.alive(at);
            stream.advance(Progress::Proven);
        }
        self.refused = None;
        self.reconnect.over(self.client.transport().now());
        if let Some(freshness) = &self.freshness {
            freshness.confirm(at);
        }
    }

    /// The first message is overdue, and other calls are answered.
    pub(super) fn withheld(&mut self, limit: Duration) -> Loss {
        let context = ErrorContext {
            is_withheld: true,
            ..self.context()
        };
        if let Some(stream) = self.state.stream() {
            let endpoint = stream.messages.endpoint();
            self.buffering.learn(endpoint.endpoint());
            // The next request goes there.
            self.client.pipeline().endpoints.answered(endpoint);
        }
        Loss::Withheld(Failure::TimedOut(limit).into_error(context))
    }

    /// Whether this is how a request with a short deadline ends, after what it was opened for. Whether responses are still
    /// withheld is known by when the first message came.
    pub(super) fn is_end_of_poll(
        &mut self,
        stream: &OpenStream<T, M>,
        is_end: bool,
        error: &Error,
    ) -> bool {
        let lasted = self
            .client
            .transport()
            .now()
            .saturating_duration_since(stream.opened);
        let is_late = error.etcd_kind() == Some(EtcdErrorKind::RequestTimedOut);
        let is_end = lasted >= POLL / 2 && (is_end || is_late);
        if is_end && !stream.is_settled() && self.options.sends_state_first {
            // There was nothing to tell.
            self.buffering
                .without_result(stream.messages.endpoint().endpoint());
            return true;
        }
        is_end && stream.is_settled()
    }

    /// A stream that is silent although its server is alive. The rest of a message that has begun is withheld if not a byte
    /// has arrived during two silences. One that begins with a message about the present state is suspect: that message is
    /// missing. A request with a short deadline shows whether responses are withheld.
    pub(super) fn suspect(&mut self) -> Option<Loss> {
        let stream = self.state.stream_mut()?;
        if stream.is_poll() {
            return None;
        }
        if stream.messages.is_partial() {
            let received = stream.messages.received();
            if stream.stalled.replace(received) != Some(received) {
                return None;
            }
            let limit = stream.silence.limit();
            return Some(self.withheld(limit));
        }
        if !self.options.sends_state_first || stream.is_settled() {
            return None;
        }
        let endpoint = stream.messages.endpoint().endpoint();
        self.buffering
            .suspects(endpoint, stream.silence.probes())
            .then_some(Loss::Stale)
    }

    /// Reports the failure of a request that was under way.
    pub(super) fn report_failure(&self, stream: &OpenStream<T, M>, error: &Error, is_end: bool) {
        if stream.messages.is_reported() {
            return;
        }
        let pipeline = self.client.pipeline();
        pipeline.observer.report(|| {
            let mut report = Report::of_error(error);
            if is_end {
                report.outcome = AttemptOutcome::Interrupted;
            }
            let elapsed = pipeline.since(stream.opened);
            report.attempt(
                self.options.call.operation,
                stream.messages.endpoint(),
                1,
                elapsed,
            )
        });
    }

    /// Open → Probing.
    pub(super) fn probe(&mut self, purpose: ProbePurpose) {
        if let Some(stream) = self.state.take() {
            let (client, endpoint) = (self.client.clone(), stream.messages.endpoint().clone());
            let operation = self.options.call.operation;
            let response = async move { probe(&client, operation, &endpoint).await }.boxed();
            self.state = State::Probing(stream, Probe { response, purpose });
        }
    }

    /// Probing → Open.
    pub(super) fn probed(&mut self) {
        if let Some(stream) = self.state.take() {
            self.state = State::Open(stream);
        }
    }

    pub(super) fn received(&mut self, next: Option<Result<(M, usize)>>) -> Received<M> {
        self.probed();
        let now = self.client.transport().now();
        match (next, self.state.stream_mut()) {
            (Some(Ok((message, size))), Some(stream)) => {
                stream.silence.message(now);
                if !stream.is_proven() {
                    if stream.is_poll() {
                        let is_early = now.saturating_duration_since(stream.opened) < POLL / 2;
                        let endpoint = stream.messages.endpoint().endpoint();
                        self.buffering.polled(endpoint, is_early);
                    } else {
                        self.buffering.arrived();
                    }
                }
                stream.advance(Progress::Proven);
                Received::Message(message, size)
            }
            (Some(Ok((message, size))), None) => Received::Message(message, size),
            (Some(Err(error)), _) => Received::Lost(Loss::Failed(error)),
            (None, _) => {
                Received::Lost(Loss::Ended(self.unexpected("the server ended the stream")))
            }
        }
    }

    /// Waits before the next attempt where one may help.
    pub(super) fn retry(&mut self, error: Error) -> Result<()> {
        if self.reconnect.survives(&error) {
            self.wait(error)
        } else {
            Err(error)
        }
    }

    /// Waits before the next attempt, unless the outage has lasted too long.
    pub(super) fn wait(&mut self, error: Error) -> Result<()> {
        let pause = self.reconnect.next_pause(self.client.pipeline(), error)?;
        if !pause.is_zero() {
            let client = self.client.clone();
            self.state = State::Waiting(Box::pin(
                async move { client.transport().sleep(pause).await },
            ));
        }
        Ok(())
    }
}
