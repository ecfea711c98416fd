use std::{pin::pin, time::Duration};

use etcd_transport::Transport;
use futures::future::{Either, select};

use crate::{
    client::Client,
    endpoints::state::EndpointState,
    error::Result,
    pipeline::{answer::Answer, exchange::Prepared},
    v2::watch::{
        event::ClusterInfo,
        long_poll::{LongPoll, Polled},
    },
};

/// How long a poll must be silent after its head before the silence counts: an event that was in flight has then
/// arrived, even after a retransmission.
pub(super) const SETTLED: Duration = Duration::from_secs(1);

/// The open polls of a watch: one and, on a fast store, the one before it.
///
/// The server responds to each with the first event from its index on: whichever responds first, the other may be
/// dropped.
pub(super) struct Polls<T> {
    pub(super) newer: Poll<T>,
    pub(super) older: Option<Poll<T>>,
}

/// A poll and the first index that it requests.
pub(super) struct Poll<T> {
    pub(super) from: u64,
    poll: LongPoll<T>,
}

/// What a poll delivered and the first index that it requested.
pub(super) struct Brought {
    pub(super) from: u64,
    pub(super) answer: Box<Answer>,
}

impl<T: Transport> Polls<T> {
    /// Waits for a response to either, or for the head of the newer one, which is `None`. The older one may fail.
    pub(super) async fn recv(&mut self) -> Result<Option<Brought>> {
        while let Some(older) = &mut self.older {
            let received = match select(pin!(older.recv()), pin!(self.newer.recv())).await {
                Either::Left((received, _)) => received,
                Either::Right((received, _)) => return received,
            };
            match received {
                Ok(Some(brought)) => {
                    self.older = None;
                    return Ok(Some(brought));
                }
                // The head, which arrived with the response.
                Ok(None) => {}
                Err(_) => self.older = None,
            }
        }
        self.newer.recv().await
    }

    /// Waits for a response to either.
    pub(super) async fn answer(&mut self) -> Result<Brought> {
        loop {
            if let Some(brought) = self.recv().await? {
                return Ok(brought);
            }
        }
    }

    /// Whether a response to either is arriving, which may take long and has a limit of its own: they are not silent.
    pub(super) fn are_arriving(&self) -> bool {
        let older = self.older.as_ref();
        self.newer.poll.is_arriving() || older.is_some_and(|older| older.poll.is_arriving())
    }

    /// Closes the older one, which is not needed.
    pub(super) fn close_older(&mut self) {
        self.older.take_if(|older| !older.poll.is_arriving());
    }
}

impl<T: Transport> Poll<T> {
    /// Creates a poll of this endpoint for events `from` an index on.
    pub(super) fn new(
        client: &Client<T>,
        prepared: Prepared,
        endpoint: EndpointState,
        idle: Duration,
        from: u64,
    ) -> Self {
        let poll = LongPoll::new(client, prepared, endpoint, idle);
        Self { from, poll }
    }

    /// Returns the store's index when the server processed the request, if its head has arrived and the response has
    /// not.
    pub(super) fn index(&self) -> Option<u64> {
        ClusterInfo::of(self.poll.headers()?).etcd_index
    }

    /// Waits for the complete response for as long as an event may be in flight.
    pub(super) async fn in_flight(mut self, clock: &impl Transport) -> Option<Brought> {
        let mut end = clock.sleep(SETTLED);
        loop {
            let received = match select(pin!(self.recv()), &mut end).await {
                Either::Left((received, _)) => Some(received),
                Either::Right(_) => None,
            };
            match received {
                // The head.
                Some(Ok(None)) => {}
                Some(brought) => return brought.ok().flatten(),
                None if self.poll.is_arriving() => end = clock.sleep(SETTLED),
                None => return None,
            }
        }
    }

    pub(super) fn endpoint(&self) -> &EndpointState {
        self.poll.endpoint()
    }

    pub(super) fn age(&self) -> Duration {
        self.poll.age()
    }

    pub(super) fn fall_silent(&mut self) {
        self.poll.fall_silent();
    }

    async fn recv(&mut self) -> Result<Option<Brought>> {
        Ok(match self.poll.recv().await? {
            Polled::Head => None,
            Polled::Answer(answer) => Some(Brought {
                from: self.from,
                answer,
            }),
        })
    }
}
