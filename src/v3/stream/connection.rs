use std::{
    pin::pin,
    time::{Duration, Instant},
};

use etcd_transport::{IdleLimit, Transport};
use futures::future::{BoxFuture, Either, select};

use crate::v3::{
    protocol::gateway::{self, Decode},
    stream::message_stream::MessageStream,
};
use crate::{
    client::Client,
    endpoints::{endpoint::Endpoint, set::EndpointState},
    error::{Error, ErrorContext, EtcdErrorKind, Result},
    operation::{Call, Repeat},
    pipeline::execute::Failure,
    v3::stream::body_sender::BodySender,
};

/// After so many silences in a row, each found to be but a silence, a link is opened anew: the server lives, but the
/// connection may be dead.
const MAX_SILENCES: u32 = 4;

/// One streaming call under way, and whether the server at its other end is still there.
pub(in crate::v3) struct Connection<T, M> {
    client: Client<T>,
    call: Call,
    messages: MessageStream<T, M>,
    /// Where the request goes on while it is answered.
    feed: Option<BodySender>,
    silence: Duration,
    urgent: Option<Urgent>,
    /// Since when it has been listened to in vain. The time in which nobody listens does not count.
    since: Option<Instant>,
    /// The server is being asked whether it is there.
    asking: Option<BoxFuture<'static, Result<()>>>,
    silences: u32,
    is_proven: bool,
}

/// Something has to come that did not come yet.
struct Urgent {
    limit: Duration,
    /// How long it was listened to already, before the last message.
    waited: Duration,
}

/// What came of listening to a link.
pub(in crate::v3) enum Received<M> {
    /// A message, and how many bytes it took.
    Message(M, usize),
    /// The server ended the answer as if there was no more to say; the error is for those who see this too often.
    Ended(Error),
    /// The link broke, or the server refused, or is not there.
    Failed(Error),
    /// It was silent for too long to be trusted, though the server is there.
    Stale,
}

impl<T: Transport, M: Decode> Connection<T, M> {
    /// Will send `call` to the endpoint that is best at the moment, when it is first listened to; with a token, if it needs
    /// one, which may have to be fetched before.
    pub(in crate::v3) async fn open(
        client: &Client<T>,
        call: Call,
        silence: Duration,
    ) -> Result<Self> {
        Self::open_duplex_if(client, call, silence, |_| false).await
    }

    /// The same. Where `is_duplex` says so of the endpoint, the request goes on: see [`send`](Self::send).
    pub(in crate::v3) async fn open_duplex_if(
        client: &Client<T>,
        call: Call,
        silence: Duration,
        is_duplex: impl FnOnce(&Endpoint) -> bool,
    ) -> Result<Self> {
        let pipeline = client.pipeline();
        let call = pipeline.with_token(&call).await?.unwrap_or(call);
        // By then it was given up.
        let idle = IdleLimit(silence.saturating_mul(MAX_SILENCES + 2));
        let (messages, feed) =
            MessageStream::open_duplex_if(client, call.clone(), idle, is_duplex)?;
        Ok(Self {
            messages,
            feed,
            client: client.clone(),
            call,
            silence,
            urgent: None,
            since: None,
            asking: None,
            silences: 0,
            is_proven: false,
        })
    }

    /// Whether the request goes on while it is answered.
    pub(in crate::v3) fn is_duplex(&self) -> bool {
        self.feed.is_some()
    }

    /// Adds this to the request, if it is one that goes on.
    pub(in crate::v3) fn send(&self, body: String) {
        if let Some(feed) = &self.feed {
            feed.send(body);
        }
    }

    /// Whether etcd may have ended this link for its token, of which it does not say a word where it answers nothing.
    pub(in crate::v3) fn may_lack_token(&self) -> bool {
        !self.is_proven && self.client.pipeline().needs_token(&self.call)
    }

    /// etcd refused the token of this link: fetches another for the next one.
    pub(in crate::v3) async fn renew_token(self) -> Result<()> {
        self.client
            .pipeline()
            .with_new_token(self.call)
            .await
            .map(drop)
    }

    /// From now on something has to come within this time of listening, until it is [`settled`](Self::settled).
    pub(in crate::v3) fn expect(&mut self, limit: Duration) {
        let waited = Duration::ZERO;
        self.urgent = Some(Urgent { limit, waited });
        self.since = None;
    }

    /// What had to come has come: the endpoint is a good one.
    pub(in crate::v3) fn settled(&mut self) {
        self.urgent = None;
        self.client.pipeline().endpoints.answered(self.place());
    }

    /// The link is given up because of its endpoint, which is not to be the next one, if there are others.
    pub(in crate::v3) fn blame(&self) {
        self.place().failed(self.client.transport().now());
    }

    /// Whether the server has shown that it is there: with a message, or when asked.
    pub(in crate::v3) fn is_proven(&self) -> bool {
        self.is_proven
    }

    /// No message has begun to arrive whose end has not.
    pub(in crate::v3) fn is_between(&self) -> bool {
        self.messages.is_between()
    }

    /// Waits for the next message, and for signs of life. Nothing is lost, and no time begins anew, when this future is
    /// dropped, and asked for again.
    pub(in crate::v3) async fn recv(&mut self) -> Received<M> {
        let next = loop {
            if let Some(asking) = &mut self.asking {
                match select(pin!(self.messages.next()), asking).await {
                    Either::Left((next, _)) => break next,
                    Either::Right((alive, _)) => {
                        self.asking = None;
                        if let Err(error) = alive {
                            return Received::Failed(error);
                        }
                    }
                }
                self.since = None;
                self.silences += 1;
                self.is_proven = true;
                continue;
            }
            let deadline = self.deadline();
            let sleep = self.client.transport().sleep(deadline);
            match select(pin!(self.messages.next()), sleep).await {
                Either::Left((next, _)) => break next,
                Either::Right(_) => {}
            }
            if let Some(Urgent { limit, .. }) = self.urgent {
                return Received::Failed(self.failed(Failure::TimedOut(limit)));
            }
            if self.silences >= MAX_SILENCES {
                return Received::Stale;
            }
            let (client, place) = (self.client.clone(), self.place().clone());
            let operation = self.call.operation;
            let asking = async move { is_alive(&client, operation, &place).await };
            self.asking = Some(Box::pin(asking));
        };
        let since = self.since.take();
        self.asking = None;
        match next {
            Some(Ok((message, size))) => {
                if let (Some(urgent), Some(since)) = (&mut self.urgent, since) {
                    urgent.waited += self.client.pipeline().since(since);
                }
                self.silences = 0;
                self.is_proven = true;
                Received::Message(message, size)
            }
            Some(Err(error)) => Received::Failed(error),
            None => Received::Ended(self.messages.unexpected("the server ended the stream")),
        }
    }

    /// For how long silence still means nothing.
    fn deadline(&mut self) -> Duration {
        let limit = match &self.urgent {
            Some(urgent) => urgent.limit.saturating_sub(urgent.waited),
            None => self.silence,
        };
        let now = self.client.transport().now();
        let since = *self.since.get_or_insert(now);
        limit.saturating_sub(now.saturating_duration_since(since))
    }

    /// The endpoint.
    pub(in crate::v3) fn place(&self) -> &EndpointState {
        self.messages.place()
    }

    /// Which operation this is, and where.
    pub(in crate::v3) fn context(&self) -> ErrorContext {
        self.messages.context()
    }

    fn failed(&self, failure: Failure) -> Error {
        failure.into_error(self.context())
    }
}

/// Whether etcd wants another token than the one it was shown.
pub(in crate::v3) fn is_token_error(error: &Error) -> bool {
    error.etcd_kind().is_some_and(EtcdErrorKind::is_token_error)
}

/// Asks a member whether it is there, once: `POST /v3/maintenance/status`. Whatever it answers, it is; unless it says
/// that it cannot serve, or is of another cluster.
pub(in crate::v3) async fn is_alive<T: Transport>(
    client: &Client<T>,
    operation: &'static str,
    place: &EndpointState,
) -> Result<()> {
    let path = "/v3/maintenance/status";
    let call = gateway::post(operation, path, Repeat::Always, "{}".to_owned())?;
    let pipeline = client.pipeline();
    let call = pipeline.with_token(&call).await?.unwrap_or(call);
    let reply = match pipeline
        .send_once(
            &call,
            place,
            &pipeline.endpoints.current(),
            pipeline.timeout,
        )
        .await
    {
        Ok(reply) => reply,
        Err(failure) => {
            // What else can go wrong is for the caller to act on.
            if let Failure::Refused(_) = failure {
                pipeline.note(&failure, place, pipeline.transport.now());
            }
            return Err(failure.into_error(pipeline.context(&call, place, 1)));
        }
    };
    match gateway::success(reply) {
        Err(error) if error.is_retryable() => Err(error),
        _ => Ok(()),
    }
}
