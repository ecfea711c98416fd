use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

use etcd_transport::Transport;

use crate::v3::watch::{
    event::WatchResponse,
    watch_state::{self, NO_WATCH, id},
};
use crate::{
    client::Client,
    endpoints::endpoint::Endpoint,
    error::{Error, ErrorContext, Result},
    operation::Call,
    v3::stream::connection::{Connection, Received},
};

/// For the server to say that it has created a watch, after the one before. What it cannot read it never answers.
const CREATED_LIMIT: Duration = Duration::from_secs(5);

/// A link with watches on it: what was asked for, and what of it is there.
pub(super) struct WatchConnection<T> {
    link: Connection<T, WatchResponse>,
    /// The watches that the server has not said to have created: it does so in the order in which they were asked for.
    /// Those that were cancelled meanwhile are among them.
    uncreated: VecDeque<usize>,
    /// Since when all that it began with is there.
    settled: Option<Instant>,
    /// Since when it is not what the set is.
    changed: Option<Instant>,
}

impl<T: Transport> WatchConnection<T> {
    /// Asks for these watches by `call`; in such a way that others can be asked for later, where `is_duplex` says so.
    pub(super) async fn open(
        client: &Client<T>,
        call: Call,
        silence: Duration,
        watches: VecDeque<usize>,
        is_duplex: impl FnOnce(&Endpoint) -> bool,
    ) -> Result<Self> {
        let mut link = Connection::open_duplex_if(client, call, silence, is_duplex).await?;
        link.expect(CREATED_LIMIT);
        Ok(Self {
            link,
            uncreated: watches,
            settled: None,
            changed: None,
        })
    }

    /// Asks for one more watch, by this request; or notes at what time it was that it could not.
    pub(super) fn add(&mut self, watch: usize, request: String, now: Instant) {
        if self.link.is_duplex() {
            self.link.send(request);
            if self.uncreated.is_empty() {
                self.link.expect(CREATED_LIMIT);
            }
            self.uncreated.push_back(watch);
        } else {
            self.changed.get_or_insert(now);
        }
    }

    /// Asks for no more of a watch; or notes at what time it was that it could not.
    pub(super) fn cancel(&mut self, watch: usize, now: Instant) {
        if self.link.is_duplex() {
            self.link.send(watch_state::cancel(id(watch)));
        } else {
            self.changed.get_or_insert(now);
        }
    }

    /// Since when it is not what the set is, and could have been of use all the same: if changes came faster than requests
    /// come about, none would ever deliver anything.
    pub(super) fn changed(&self) -> Option<Instant> {
        Some(self.changed?.max(self.settled?))
    }

    /// No message has begun to arrive whose end has not.
    pub(super) fn is_between(&self) -> bool {
        self.link.is_between()
    }

    /// Waits for the next message, see [`Connection::recv`].
    pub(super) async fn recv(&mut self) -> Received<WatchResponse> {
        self.link.recv().await
    }

    /// The watch that the server says to have created, or refused, by this id; `None` if it is another's turn.
    pub(super) fn created(&mut self, by: i64) -> Option<usize> {
        let watch = self.uncreated.pop_front()?;
        if !self.uncreated.is_empty() {
            self.link.expect(CREATED_LIMIT);
        }
        [NO_WATCH, id(watch)].contains(&by).then_some(watch)
    }

    /// Whether all that was asked for is there. The endpoint is a good one then.
    pub(super) fn settle(&mut self, now: impl FnOnce() -> Instant) -> bool {
        let is_all = self.uncreated.is_empty();
        if is_all {
            self.link.settled();
            self.settled.get_or_insert_with(now);
        }
        is_all
    }

    /// Whether all that it began with is there.
    pub(super) fn is_settled(&self) -> bool {
        self.settled.is_some()
    }

    /// Whether it can change.
    pub(super) fn is_duplex(&self) -> bool {
        self.link.is_duplex()
    }

    pub(super) fn endpoint(&self) -> &Endpoint {
        self.link.place().endpoint()
    }

    /// See [`Connection::blame`].
    pub(super) fn blame(&self) {
        self.link.blame();
    }

    /// See [`Connection::context`].
    pub(super) fn context(&self) -> ErrorContext {
        self.link.context()
    }

    /// See [`Connection::renew_token`].
    pub(super) async fn renew_token(self) -> Result<(), Error> {
        self.link.renew_token().await
    }
}
