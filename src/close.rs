use std::{error::Error as StdError, fmt, pin::pin, time::Duration};

use etcd_transport::Transport;
use futures::future::select;

use crate::{
    client::Client,
    error::{Error, Result},
};

/// # Start and end
impl<T: Transport> Client<T> {
    /// Asks an endpoint for its status, and returns whether one responds as an etcd does. With a user of the v3 API, its token is
    /// fetched first, so that wrong credentials are found.
    ///
    /// A client sends nothing before its first call. This is for a program that must not start without etcd; see also
    /// [`ClientBuilder::connect`](crate::ClientBuilder::connect).
    ///
    /// # Errors
    /// See [`Error`]: that of the last endpoint, after the attempts that the [`RetryPolicy`](crate::RetryPolicy) allows.
    pub async fn ping(&self) -> Result<()> {
        let [first, _] = self.pipeline().apis.map(|api| api.member_source());
        match self.perform(&*first.leader).await {
            Err(Error::Unsupported(_)) => self.version().await.map(drop),
            result => result.map(drop),
        }
    }

    /// Ends what was begun with this client and its clones, in order, and closes it. It takes at most this long, by the
    /// transport's clock.
    ///
    /// 1. Calls and streams that begin from now on fail with [`Error::is_closed`], and nothing is sent. Streams that are open
    ///    end with this error at once, also those that nobody polls.
    /// 2. Each [`Session`](crate::recipes::Session) ends as by [`Session::close`](crate::recipes::Session::close), if its driver
    ///    is polled: its lease is revoked, so that others need not wait for its end. What a
    ///    [`LeaseKeeper`](crate::v3::LeaseKeeper) keeps is renewed no more. Calls that are under way go on to their ends.
    /// 3. When the last of these has ended, or the time is up, nothing is sent any more, be it for a call that is still under way. One
    ///    that is waiting for its response goes on to its own limits. A wait for a lock or an election has none, and ends with
    ///    [`Error::is_closed`]: whether it is acquired is unknown then.
    ///
    /// A second call waits for the same. If this future is dropped, the client stays in the state that it has come to: it does
    /// not open again.
    ///
    /// ```
    /// # #[cfg(feature = "fake")]
    /// # futures::executor::block_on(async {
    /// use std::time::Duration;
    ///
    /// # let etcd = etcd_http::fake::FakeEtcd::new();
    /// # let client = etcd_http::Client::new(etcd.clone(), etcd.endpoints())?;
    /// client.v3().kv().put("color", "blue").await?;
    /// client.close(Duration::from_secs(5)).await?;
    /// assert!(client.v3().kv().get("color").await.unwrap_err().is_closed());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # }).unwrap();
    /// ```
    ///
    /// # Errors
    /// How many calls and sessions had not ended in time. The client is closed nevertheless.
    pub async fn close(&self, limit: Duration) -> Result<(), CloseError> {
        let lifecycle = &self.pipeline().lifecycle;
        lifecycle.begin_closing();
        let settled = pin!(lifecycle.settled());
        select(settled, self.transport().sleep(limit)).await;
        match lifecycle.close() {
            (0, 0) => Ok(()),
            (calls, sessions) => Err(CloseError {
                limit,
                calls,
                sessions,
            }),
        }
    }

    /// Returns whether [`close`](Self::close) was called.
    pub fn is_closed(&self) -> bool {
        self.pipeline().lifecycle.refuses(false)
    }
}

/// What had not ended when the time of [`Client::close`] was up.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct CloseError {
    /// How long it was waited for.
    pub limit: Duration,
    /// How many calls were under way.
    pub calls: usize,
    /// How many sessions had not ended: their leases end by themselves.
    pub sessions: usize,
}

impl CloseError {
    /// This many calls and sessions, and a limit of zero. For your own tests.
    pub fn new(calls: usize, sessions: usize) -> Self {
        Self {
            limit: Duration::ZERO,
            calls,
            sessions,
        }
    }
}

impl fmt::Display for CloseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            limit,
            calls,
            sessions,
        } = self;
        write!(
            f,
            "the client was closed after {limit:?}, while {calls} calls and {sessions} sessions had not ended"
        )
    }
}

impl StdError for CloseError {}
