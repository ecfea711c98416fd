use etcd_transport::Transport;
use futures::FutureExt;

use super::{Connection, Loss, Received};
use crate::{
    auth::token::Granted,
    error::{Error, Result},
    pipeline::exchange::Prepared,
    v3::{
        protocol::{self, message::Encode},
        stream::{
            body_sender::BodySender,
            message_stream::{MessageStream, StreamMessage},
            open::StreamRequest,
            probe::probe,
            silence::Silence,
            state::{OpenStream, State},
        },
    },
};

/// The transitions of a connection's state.
impl<T: Transport, Q: Encode, M: StreamMessage> Connection<T, Q, M> {
    /// Begins to fetch the token of the next request, another one than was refused.
    pub(super) fn opening(&mut self) {
        let (client, options) = (self.client.clone(), self.options);
        let refused = self.refused.clone();
        self.state = State::Opening(Box::pin(async move {
            let (pipeline, call) = (client.pipeline(), options.call.call());
            if !pipeline.needs_token(&call) {
                return Ok(None);
            }
            let limit = call.deadline.overall(&pipeline.retry);
            let limit = options.token_limit.unwrap_or(limit);
            pipeline.token(&call, refused.as_ref(), limit).await
        }));
    }

    /// Sends these messages to the endpoint that is best at the moment.
    pub(super) fn open(&mut self, token: Granted, messages: Vec<Q>) -> Result<()> {
        let call = self.options.call.call();
        let endpoint = self.client.pipeline().place_for(&call)?;
        let wire = endpoint.wire();
        let prepared = Prepared {
            call,
            wire,
            encoded: protocol::encode_all(self.options.call.method, wire, &messages),
            token,
        };
        let is_duplex = self.options.is_duplex && self.duplex.is_for(endpoint.endpoint(), wire);
        let (sender, body) = is_duplex
            .then(|| BodySender::new(prepared.encoded.body.clone()))
            .unzip();
        let request = StreamRequest {
            prepared,
            lifetime: self.options.silence.lifetime(),
        };
        let mut silence = Silence::new(self.options.silence);
        if let Some(limit) = self.options.expect_within {
            silence.expect(limit);
        }
        self.state = State::Open(Box::new(OpenStream {
            messages: MessageStream::new(&self.client, request, endpoint, body),
            sender,
            silence,
            is_proven: false,
            is_settled: false,
        }));
        Ok(())
    }

    /// Open → Probing.
    pub(super) fn probe(&mut self) {
        if let Some(stream) = self.state.take() {
            let (client, endpoint) = (self.client.clone(), stream.messages.endpoint().clone());
            let operation = self.options.call.operation;
            let probe = async move { probe(&client, operation, &endpoint).await };
            self.state = State::Probing(stream, probe.boxed());
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
                stream.is_proven = true;
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
