//! A cluster of several servers.

use std::{
    thread,
    time::{Duration, Instant},
};

use crate::{
    error::{Error, Result},
    server::Server,
};

/// An etcd of several members on this machine. Dropping it ends all processes and removes their data.
///
/// Each member is a [`Server`] that can be stopped, paused or killed.
///
/// ```
/// use std::time::Duration;
///
/// use etcd_server::Cluster;
///
/// let cluster = Cluster::start(3)?;
/// assert_eq!(cluster.client_urls().len(), 3);
///
/// let leader = cluster.leader()?;
/// cluster.member(leader).kill()?;
/// assert_ne!(cluster.leader()?, leader);
///
/// cluster.member(leader).restart()?;
/// cluster.wait_healthy(Duration::from_secs(10))?;
/// # Ok::<(), etcd_server::Error>(())
/// ```
#[derive(Debug)]
pub struct Cluster {
    members: Vec<Server>,
}

impl Cluster {
    /// The members, in the order of their indexes.
    pub fn members(&self) -> &[Server] {
        &self.members
    }

    /// The member with this index, counted from 0.
    ///
    /// # Panics
    ///
    /// If `index` is out of bounds.
    pub fn member(&self, index: usize) -> &Server {
        &self.members[index]
    }

    /// The client URL of each member.
    pub fn client_urls(&self) -> Vec<String> {
        self.members.iter().map(Server::client_url).collect()
    }

    /// Waits until every member is healthy.
    ///
    /// # Errors
    ///
    /// Those of [`Server::wait_healthy`].
    pub fn wait_healthy(&self, timeout: Duration) -> Result<()> {
        let deadline = Instant::now() + timeout;
        self.members
            .iter()
            .try_for_each(|member| member.wait_until(deadline, Server::is_healthy))
    }

    /// The index of the leader. If there is none, this waits for an election, up to 10 s.
    ///
    /// # Errors
    ///
    /// [`Error::NoLeader`] if there is still none.
    pub fn leader(&self) -> Result<usize> {
        let deadline = Instant::now() + ELECTION_TIMEOUT;
        loop {
            let mut leaders =
                (0..self.members.len()).filter(|&index| self.member(index).is_leader());
            // Two: a member that was paused does not know yet that another was elected.
            if let (Some(leader), None) = (leaders.next(), leaders.next()) {
                return Ok(leader);
            }
            if Instant::now() >= deadline {
                return Err(Error::NoLeader {
                    waited: ELECTION_TIMEOUT,
                });
            }
            thread::sleep(POLL_INTERVAL);
        }
    }

    pub(crate) fn new(members: Vec<Server>) -> Self {
        Self { members }
    }
}

const ELECTION_TIMEOUT: Duration = Duration::from_secs(10);
const POLL_INTERVAL: Duration = Duration::from_millis(20);
