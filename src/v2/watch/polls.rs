use std::{pin::pin, time::Duration};

use etcd_transport::Transport;
use futures::future::{Either, select};

use crate::v2::watch::event::ClusterInfo;
use crate::{
    client::Client,
    endpoints::set::EndpointState,
    error::Result,
    operation::{Call, Reply},
    v2::watch::long_poll::{LongPoll, Polled},
};

/// How long a poll is silent after its head before its silence means something: an event that was on its way then has
/// arrived, even if a packet had to be sent again.
pub(super) const SETTLED: Duration = Duration::from_secs(1);

/// The polls that a watch has open: one, and on a fast store the one before it.
///
/// The server answers each with the first event from its index on: whichever it brings, the other may be dropped.
pub(super) struct Polls<T> {
    pub(super) newer: Poll<T>,
    pub(super) older: Option<Poll<T>>,
}

/// A poll, and the first index that it is to bring.
pub(super) struct Poll<T> {
    pub(super) from: u64,
    poll: LongPoll<T>,
}

/// An answer, and the first index that it was to bring.
pub(super) struct Answer {
    pub(super) from: u64,
    pub(super) reply: Reply,
}

impl<T: Transport> Polls<T> {
    /// Waits for an answer to either, or for the head of the newer one, which is `None`. The older one may fail.
    pub(super) async fn recv(&mut self) -> Result<Option<Answer>> {
        while let Some(older) = &mut self.older {
            let heard = match select(pin!(older.recv()), pin!(self.newer.recv())).await {
                Either::Left((heard, _)) => heard,
                Either::Right((heard, _)) => return heard,
            };
            match heard {
                Ok(Some(answer)) => return Ok(Some(answer)),
                // Its head, which came with the answer.
                Ok(None) => {}
                Err(_) => self.older = None,
            }
        }
        self.newer.recv().await
    }

    /// Waits for an answer to either.
    pub(super) async fn answer(&mut self) -> Result<Answer> {
        loop {
            if let Some(answer) = self.recv().await? {
                return Ok(answer);
            }
        }
    }
}

impl<T: Transport> Poll<T> {
    /// Will ask this endpoint for what comes `from` an index on.
    pub(super) fn new(
        client: &Client<T>,
        call: Call,
        place: EndpointState,
        idle: Duration,
        from: u64,
    ) -> Self {
        let poll = LongPoll::new(client, call, place, idle);
        Self { from, poll }
    }

    /// The store's index when the server had dealt with it, if its head is there and the answer is not.
    pub(super) fn index(&self) -> Option<u64> {
        ClusterInfo::of(self.poll.headers()?).etcd_index
    }

    pub(super) fn place(&self) -> &EndpointState {
        self.poll.place()
    }

    pub(super) fn age(&self) -> Duration {
        self.poll.age()
    }

    pub(super) fn fall_silent(&mut self) {
        self.poll.fall_silent();
    }

    async fn recv(&mut self) -> Result<Option<Answer>> {
        Ok(match self.poll.recv().await? {
            Polled::Head => None,
            Polled::Answer(reply) => Some(Answer {
                from: self.from,
                reply,
            }),
        })
    }
}
