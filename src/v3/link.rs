use std::{
    pin::pin,
    time::{Duration, Instant},
};

use etcd_transport::{IdleLimit, Transport};
use futures::future::{Either, select};

use super::{
    messages::Messages,
    wire::{self, Decode},
};
use crate::{
    Call, Client, Error, EtcdErrorKind, Repeat, Result, endpoints::Place, error::Site,
    exchange::Failure,
};

/// After so many silences in a row, each found to be but a silence, a link is opened anew: the server lives, but the
/// connection may be dead.
const MAX_SILENCES: u32 = 4;

/// One streaming call under way, and whether the server at its other end is still there.
pub(super) struct Link<T, M> {
    client: Client<T>,
    call: Call,
    messages: Messages<T, M>,
    opened: Instant,
    silence: Duration,
    /// Within this time of its opening something has to come that did not come yet.
    urgent: Option<Duration>,
    silences: u32,
    is_proven: bool,
}

/// What came of listening to a link.
pub(super) enum Heard<M> {
    /// A message, and how many bytes it took.
    Message(M, usize),
    /// The server ended the answer as if there was no more to say; the error is for those who see this too often.
    Ended(Error),
    /// The link broke, or the server refused, or is not there.
    Failed(Error),
    /// It was silent for too long to be trusted, though the server is there.
    Stale,
}

impl<T: Transport, M: Decode> Link<T, M> {
    /// Will send `call` to the endpoint that is best at the moment, when it is first listened to; with a token, if it needs
    /// one, which may have to be fetched before.
    pub(super) async fn open(client: &Client<T>, call: Call, silence: Duration) -> Result<Self> {
        let road = client.road();
        let call = road.with_token(&call).await?.unwrap_or(call);
        let opened = road.transport.now();
        // By then it was given up.
        let idle = IdleLimit(silence.saturating_mul(MAX_SILENCES + 2));
        Ok(Self {
            messages: Messages::open(client, call.clone(), idle)?,
            client: client.clone(),
            call,
            opened,
            silence,
            urgent: None,
            silences: 0,
            is_proven: false,
        })
    }

    /// Whether etcd may have ended this link for its token, of which it does not say a word where it answers nothing.
    pub(super) fn may_lack_token(&self) -> bool {
        !self.is_proven && self.client.road().needs_token(&self.call)
    }

    /// etcd refused the token of this link: fetches another for the next one.
    pub(super) async fn renew_token(self) -> Result<()> {
        self.client.road().with_new_token(self.call).await.map(drop)
    }

    /// Something has to come within this time of the opening, until it is [`settled`](Self::settled).
    pub(super) fn urgent(mut self, limit: Duration) -> Self {
        self.urgent = Some(limit);
        self
    }

    /// What had to come has come: the endpoint is a good one.
    pub(super) fn settled(&mut self) {
        self.urgent = None;
        self.client.road().endpoints.answered(self.messages.place());
    }

    /// The link is given up because of its endpoint, which is not to be the next one, if there are others.
    pub(super) fn blame(&self) {
        self.messages.place().failed(self.client.transport().now());
    }

    /// Whether the server has shown that it is there: with a message, or when asked.
    pub(super) fn is_proven(&self) -> bool {
        self.is_proven
    }

    /// Waits for the next message, and for signs of life.
    pub(super) async fn hear(&mut self) -> Heard<M> {
        let next = loop {
            let patience = self.patience();
            let sleep = self.client.transport().sleep(patience);
            match select(pin!(self.messages.next()), sleep).await {
                Either::Left((next, _)) => break next,
                Either::Right(_) => {}
            }
            if let Some(limit) = self.urgent {
                return Heard::Failed(self.failed(Failure::TimedOut(limit)));
            }
            if self.silences >= MAX_SILENCES {
                return Heard::Stale;
            }
            self.silences += 1;
            let place = self.messages.place().clone();
            let alive = is_alive(&self.client, self.call.operation, &place);
            match select(pin!(self.messages.next()), pin!(alive)).await {
                Either::Left((next, _)) => break next,
                Either::Right((Ok(()), _)) => self.is_proven = true,
                Either::Right((Err(error), _)) => return Heard::Failed(error),
            }
        };
        match next {
            Some(Ok((message, size))) => {
                self.silences = 0;
                self.is_proven = true;
                Heard::Message(message, size)
            }
            Some(Err(error)) => Heard::Failed(error),
            None => Heard::Ended(self.messages.unexpected("the server ended the stream")),
        }
    }

    /// For how long silence means nothing.
    fn patience(&self) -> Duration {
        match self.urgent {
            Some(limit) => {
                let now = self.client.transport().now();
                limit.saturating_sub(now.saturating_duration_since(self.opened))
            }
            None => self.silence,
        }
    }

    /// Which operation this is, and where.
    pub(super) fn site(&self) -> Site {
        self.messages.site()
    }

    fn failed(&self, failure: Failure) -> Error {
        failure.into_error(self.site())
    }
}

/// Whether etcd wants another token than the one it was shown.
pub(super) fn is_of_the_token(error: &Error) -> bool {
    use EtcdErrorKind as Kind;
    let kind = error.etcd_kind();
    matches!(
        kind,
        Some(Kind::InvalidAuthToken | Kind::AuthRevisionOld | Kind::UserNameEmpty)
    )
}

/// Asks a member whether it is there, once: `POST /v3/maintenance/status`. Whatever it answers, it is; unless it says
/// that it cannot serve, or is of another cluster.
pub(super) async fn is_alive<T: Transport>(
    client: &Client<T>,
    operation: &'static str,
    place: &Place,
) -> Result<()> {
    let path = "/v3/maintenance/status";
    let call = wire::post(operation, path, Repeat::Always, "{}".to_owned())?;
    let road = client.road();
    let call = road.with_token(&call).await?.unwrap_or(call);
    let reply = match road
        .attempt(&call, place, &road.endpoints.current(), road.timeout)
        .await
    {
        Ok(reply) => reply,
        Err(failure) => {
            // What else can go wrong is for the caller to act on.
            if let Failure::Refused(_) = failure {
                road.note(&failure, place, road.transport.now());
            }
            return Err(failure.into_error(road.site(&call, place, 1)));
        }
    };
    match wire::success(reply) {
        Err(error) if error.is_passing() => Err(error),
        _ => Ok(()),
    }
}
