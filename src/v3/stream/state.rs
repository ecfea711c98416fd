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
    Probing(Box<OpenStream<T, M>>, Probe),
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
    pub(super) kind: RequestKind,
    pub(super) progress: Progress,
    pub(super) silence: Silence,
    /// When it was sent.
    pub(super) opened: Instant,
    /// So many bytes had arrived at the last silence within a message.
    pub(super) stalled: Option<u64>,
}

/// How a request is sent.
pub(super) enum RequestKind {
    /// All at once.
    Complete,
    /// It goes on while it is answered: the sender has the rest of it.
    Duplex(BodySender),
    /// All at once, with a short deadline, for an endpoint that withholds responses until their end.
    Poll,
}

/// How far the response to a request is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Progress {
    /// The server has shown nothing yet.
    Sent,
    /// The server has sent a message, or responded to a probe.
    Proven,
    /// The caller had what it opened the connection for.
    Settled,
}

/// A question to a server whose stream is silent.
pub(super) struct Probe {
    pub(super) response: BoxFuture<'static, Result<()>>,
    pub(super) purpose: ProbePurpose,
}

/// What the response to a probe shows.
#[derive(Clone, Copy, Debug)]
pub(super) enum ProbePurpose {
    /// Whether the server is alive.
    Liveness,
    /// Whether something on the way withholds responses: the first message is overdue, after this time.
    Withholding(Duration),
}

impl<T, M> OpenStream<T, M> {
    /// Records how far the response is at least.
    pub(super) fn advance(&mut self, progress: Progress) {
        self.progress = self.progress.max(progress);
    }

    pub(super) fn is_proven(&self) -> bool {
        self.progress >= Progress::Proven
    }

    pub(super) fn is_settled(&self) -> bool {
        self.progress == Progress::Settled
    }

    pub(super) fn is_poll(&self) -> bool {
        matches!(self.kind, RequestKind::Poll)
    }

    /// The sender of the rest of the request, if it goes on while it is answered.
    pub(super) fn sender(&self) -> Option<&BodySender> {
        match &self.kind {
            RequestKind::Duplex(sender) => Some(sender),
            RequestKind::Complete | RequestKind::Poll => None,
        }
    }
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
