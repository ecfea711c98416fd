//! Several servers that are one etcd.

use std::{
    thread,
    time::{Duration, Instant},
};

use super::{
    error::{Error, Result},
    handle::Server,
};

/// An etcd of several members on this machine, all ended and cleared away when dropped.
///
/// Each member is a [`Server`] of its own, to be stopped, paused or killed.
///
/// ```
/// use std::time::Duration;
///
/// use etcd_http::server::Cluster;
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
/// # Ok::<(), etcd_http::server::Error>(())
/// ```
#[derive(Debug)]
pub struct Cluster {
    members: Vec<Server>,
}

impl Cluster {
    /// Starts a cluster with the defaults. For others, use [`ServerBuilder::start_cluster`](super::ServerBuilder::start_cluster).
    ///
    /// # Errors
    ///
    /// Those of [`ServerBuilder::start_cluster`](super::ServerBuilder::start_cluster).
    pub fn start(members: usize) -> Result<Self> {
        Server::builder().start_cluster(members)
    }

    /// The members, in the order of their names.
    pub fn members(&self) -> &[Server] {
        &self.members
    }

    /// The member with the number `index`, counted from 0.
    ///
    /// # Panics
    ///
    /// If the cluster has no such member.
    pub fn member(&self, index: usize) -> &Server {
        &self.members[index]
    }

    /// The URLs for clients, one of each member.
    pub fn client_urls(&self) -> Vec<String> {
        self.members.iter().map(Server::client_url).collect()
    }

    /// Waits until every member is healthy.
    ///
    /// # Errors
    ///
    /// Those of [`Server::wait_healthy`], and [`Error::NotRunning`] if a member was stopped.
    pub fn wait_healthy(&self, timeout: Duration) -> Result<()> {
        let deadline = Instant::now() + timeout;
        self.members
            .iter()
            .try_for_each(|member| member.wait_until(deadline, Server::is_healthy))
    }

    /// The number of the member that leads. If there is none at the moment it waits for an election, up to ten seconds.
    ///
    /// # Errors
    ///
    /// [`Error::NoLeader`] if there was none even then.
    pub fn leader(&self) -> Result<usize> {
        let deadline = Instant::now() + ELECTION;
        loop {
            let mut leaders =
                (0..self.members.len()).filter(|&index| self.member(index).is_leader());
            // Two: the one that was paused has not heard yet of the other.
            if let (Some(leader), None) = (leaders.next(), leaders.next()) {
                return Ok(leader);
            }
            if Instant::now() >= deadline {
                return Err(Error::NoLeader { waited: ELECTION });
            }
            thread::sleep(POLL);
        }
    }

    pub(super) fn new(members: Vec<Server>) -> Self {
        Self { members }
    }
}

const ELECTION: Duration = Duration::from_secs(10);
const POLL: Duration = Duration::from_millis(20);
