use std::{
    mem,
    time::{Duration, Instant},
};

use futures::future::BoxFuture;

use crate::{
    auth::token::Granted,
    endpoints::{state::EndpointState, wire::Wire},
    error::Result,
    v3::stream::{body_sender::BodySender, message_stream::MessageStream, silence::Silence},
};

/// What a [`Connection`](super::connection::Connection) waits for.
///
/// ```text
///                                          silence
/// Closed ──▶ Opening ─────────▶ Open ◀───────────────▶ Probing
///   ▲ ▲         ▲ │              │         alive          │
///   │ │         │ └──────────────┴────────────────────────┘
///   │ │   token │                     a loss
///   │ │   again │                        ▼
///   │ └─────────┴──── at once ─────── recover ──▶ the error, for the caller
///   │                                    │
///   └────── time ────── Waiting ◀────────┘ after a pause
/// ```
///
/// A loss is a broken or refused request, the end of a response, or a server that does not respond. It leaves the state
/// as it is until the caller decides to recover. Where a first message is overdue for the second time, the probe shows
/// whether the server or a proxy on the way is the reason: the next request then has a short deadline.
pub(super) enum State<T, M> {
    /// Nothing: it opens when the caller waits for a message.
    Closed,
    /// A token, if the call needs one, and the wire of the best endpoint. Then the request is sent.
    Opening(BoxFuture<'static, Result<Opening>>),
    /// The next message.
    Open(Box<OpenStream<T, M>>),
    /// The next message, or the response of a silent server to a probe.
    Probing(Box<OpenStream<T, M>>, BoxFuture<'static, Result<()>>),
    /// The end of the pause before the next attempt.
    Waiting(BoxFuture<'static, ()>),
}

/// What a request needs that is about to be sent.
pub(super) struct Opening {
    pub(super) token: Granted,
    pub(super) endpoint: EndpointState,
    pub(super) wire: Wire,
}

/// A request under way.
pub(super) struct OpenStream<T, M> {
    pub(super) messages: MessageStream<T, M>,
    /// The rest of the request, where it goes on while it is answered.
    pub(super) sender: Option<BodySender>,
    pub(super) silence: Silence,
    /// The server has sent a message, or responded to a probe.
    pub(super) is_proven: bool,
    /// The caller had what it opened the connection for.
    pub(super) is_settled: bool,
    /// When it was sent.
    pub(super) opened: Instant,
    /// It has a short deadline, for an endpoint that withholds responses until their end.
    pub(super) is_poll: bool,
    /// Its first message is overdue, after this time: the probe shows whether responses are withheld.
    pub(super) overdue: Option<Duration>,
    /// So many bytes had arrived at the last silence within a message.
    pub(super) stalled: Option<u64>,
}

impl<T, M> State<T, M> {
    /// The request under way.
    pub(super) fn stream(&self) -> Option<&OpenStream<T, M>> {
        match self {
            Self::Open(stream) | Self::Probing(stream, _) => Some(stream),
            Self::Closed | Self::Opening(_) | Self::Waiting(_) => None,
        }
    }

    /// The request under way.
    pub(super) fn stream_mut(&mut self) -> Option<&mut OpenStream<T, M>> {
        match self {
            Self::Open(stream) | Self::Probing(stream, _) => Some(stream),
            Self::Closed | Self::Opening(_) | Self::Waiting(_) => None,
        }
    }

    /// The request under way. The state is [`Closed`](Self::Closed) afterwards.
    pub(super) fn take(&mut self) -> Option<Box<OpenStream<T, M>>> {
        match mem::replace(self, Self::Closed) {
            Self::Open(stream) | Self::Probing(stream, _) => Some(stream),
            Self::Closed | Self::Opening(_) | Self::Waiting(_) => None,
        }
    }
}
