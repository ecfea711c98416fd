//! A server: a running etcd.

use std::{
    fmt,
    path::Path,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    thread,
    time::{Duration, Instant},
};

use rustix::process::Signal;

use crate::{
    error::{Error, Result},
    http,
    install::version::Version,
    process::{
        child::{Process, ProgramArgs},
        directory::ServerDirectory,
        lifecycle::{Lifecycle, TimeLimit},
        ports::Ports,
    },
};

/// An etcd on this machine. Dropping it ends the process and removes its data.
///
/// Every method takes `&self`, so threads can share a server.
///
/// ```
/// use etcd_server::Server;
///
/// let server = Server::start()?;
/// assert!(server.client_url().starts_with("http://127.0.0.1:"));
///
/// server.kill()?;
/// assert!(!server.is_running());
/// server.restart()?;
/// assert!(server.is_healthy());
/// # Ok::<(), etcd_server::Error>(())
/// ```
pub struct Server {
    // Fields are dropped in this order: the process and its watchdog, then the directory.
    lifecycle: Arc<Mutex<Lifecycle>>,
    config: Config,
    _time_limit: Option<TimeLimit>,
}

/// The properties of a server that never change.
#[derive(Debug)]
pub(crate) struct Config {
    pub(crate) name: String,
    pub(crate) version: Version,
    pub(crate) https: bool,
    pub(crate) ports: Ports,
    pub(crate) directory: ServerDirectory,
    pub(crate) startup_timeout: Duration,
    pub(crate) time_limit: Option<Duration>,
}

impl Server {
    /// The URL for clients, such as `http://127.0.0.1:12379`, without a trailing slash.
    pub fn client_url(&self) -> String {
        self.config.ports.client_url(self.config.https)
    }

    /// The URL for the other members of the cluster.
    pub fn peer_url(&self) -> String {
        self.config.ports.peer_url()
    }

    /// The name of this member.
    pub fn name(&self) -> &str {
        &self.config.name
    }

    /// The version of etcd.
    pub fn version(&self) -> Version {
        self.config.version
    }

    /// The data directory.
    pub fn data_dir(&self) -> &Path {
        self.config.directory.data_dir()
    }

    /// The log since the server was first started: warnings and errors, as JSON lines.
    pub fn log(&self) -> String {
        self.lifecycle().log_text()
    }

    /// The id of the process, or `None` if it is not running.
    pub fn pid(&self) -> Option<u32> {
        self.lifecycle().running().map(|process| process.pid())
    }

    /// Whether there is a process, running or paused.
    pub fn is_running(&self) -> bool {
        self.lifecycle().running().is_some()
    }

    /// Whether the server responds, has a leader and has no active alarm, such as `NOSPACE`.
    pub fn is_healthy(&self) -> bool {
        let is_ok = |port, path| {
            http::get(port, path, RESPONSE_TIMEOUT).is_ok_and(|response| response.status == 200)
        };
        // Clients are served once there is a leader; over https this cannot be checked here. The health is checked last
        // because etcd logs a warning each time it reports that it is unhealthy.
        let serves_clients = || self.config.https || is_ok(self.config.ports.client, "/version");
        self.is_running() && serves_clients() && is_ok(self.config.ports.status, "/health")
    }

    /// Whether the server reports itself as the leader. More than one member may do so for a moment:
    /// [`Cluster::leader`](crate::Cluster::leader) waits for an agreement.
    pub fn is_leader(&self) -> bool {
        let metrics = http::get(self.config.ports.status, "/metrics", RESPONSE_TIMEOUT);
        metrics.is_ok_and(|response| {
            response
                .body
                .lines()
                .any(|line| line == "etcd_server_is_leader 1")
        })
    }

    /// Waits until [`is_healthy`](Self::is_healthy).
    ///
    /// # Errors
    ///
    /// [`Error::Exited`] if the process exits, [`Error::Unhealthy`] after the timeout, [`Error::NotRunning`] if there is no
    /// process.
    pub fn wait_healthy(&self, timeout: Duration) -> Result<()> {
        self.wait_until(Instant::now() + timeout, Self::is_healthy)
    }

    /// Sends SIGTERM and waits until etcd exits; after 10 s it is killed. Does nothing if it is not running.
    ///
    /// # Errors
    ///
    /// [`Error::Io`] if the system refuses.
    pub fn stop(&self) -> Result<()> {
        self.lifecycle().end(|process| process.stop(STOP_GRACE))
    }

    /// Sends SIGKILL, which ends etcd as a crash would. Does nothing if it is not running.
    ///
    /// # Errors
    ///
    /// [`Error::Io`] if the system refuses.
    pub fn kill(&self) -> Result<()> {
        self.lifecycle().end(Process::kill)
    }

    /// Sends SIGSTOP: connections stay open and requests get no response, as when a network drops all packets.
    ///
    /// # Errors
    ///
    /// [`Error::NotRunning`], and [`Error::Io`] if the system refuses.
    pub fn pause(&self) -> Result<()> {
        self.lifecycle().signal(Process::pause)
    }

    /// Sends SIGCONT, which resumes a paused etcd.
    ///
    /// # Errors
    ///
    /// [`Error::NotRunning`], and [`Error::Io`] if the system refuses.
    pub fn resume(&self) -> Result<()> {
        self.lifecycle()
            .signal(|process| process.signal(Signal::CONT))
    }

    /// Stops etcd if it is running, starts it with the same ports and data, and waits until it is healthy.
    ///
    /// A member without a quorum never becomes healthy, nor does one with an active alarm: use [`launch`](Self::launch)
    /// for these.
    ///
    /// # Errors
    ///
    /// Those of [`launch`](Self::launch), and [`Error::Unhealthy`].
    pub fn restart(&self) -> Result<()> {
        let deadline = Instant::now() + self.config.startup_timeout;
        self.launch()?;
        self.wait_until(deadline, Self::is_healthy)
    }

    /// Stops etcd if it is running, starts it with the same ports and data, and waits until it listens, but not for a leader.
    ///
    /// # Errors
    ///
    /// [`Error::Exited`] if it fails to start, [`Error::Unhealthy`] if it does not listen in time, [`Error::TimeLimit`] if its
    /// time limit has passed.
    pub fn launch(&self) -> Result<()> {
        self.stop()?;
        let deadline = Instant::now() + self.config.startup_timeout;
        loop {
            self.spawn()?;
            match self.wait_until(deadline, Self::is_listening) {
                // Another program may have bound a port of the stopped server for a moment: try again.
                Err(Error::Exited { log, .. })
                    if is_port_taken(&log) && Instant::now() < deadline =>
                {
                    thread::sleep(PORT_RETRY_INTERVAL);
                }
                result => return result,
            }
        }
    }

    pub(crate) fn new(config: Config, program: ProgramArgs) -> Result<Self> {
        let lifecycle = Lifecycle::new(&config.name, config.version, program, &config.directory)?;
        let lifecycle = Arc::new(Mutex::new(lifecycle));
        let time_limit = config
            .time_limit
            .map(|limit| TimeLimit::new(limit, &lifecycle));
        Ok(Self {
            lifecycle,
            config,
            _time_limit: time_limit,
        })
    }

    /// Starts the process without waiting for it. It must not be running.
    pub(crate) fn spawn(&self) -> Result<()> {
        self.lifecycle().spawn()
    }

    /// Whether the server responds at all, possibly with an error.
    pub(crate) fn is_listening(&self) -> bool {
        http::get(self.config.ports.status, "/", RESPONSE_TIMEOUT).is_ok()
    }

    /// Whether the member list has this member's client URL. A new member publishes it once there is a leader, a moment after
    /// it is healthy. True where this cannot be checked: over https, or without the JSON gateway.
    pub(crate) fn is_published(&self) -> bool {
        if self.config.https {
            return true;
        }
        let port = self.config.ports.client;
        match http::post(port, "/v3/cluster/member/list", "{}", RESPONSE_TIMEOUT) {
            Ok(response) if response.status == 200 => response.body.contains(&self.client_url()),
            Ok(_) => true,
            Err(_) => false,
        }
    }

    pub(crate) fn wait_until(
        &self,
        deadline: Instant,
        reached: impl Fn(&Self) -> bool,
    ) -> Result<()> {
        let start = Instant::now();
        loop {
            self.lifecycle().check()?;
            if reached(self) {
                return Ok(());
            }
            if Instant::now() >= deadline {
                let (name, log) = (self.config.name.clone(), self.lifecycle().log_tail());
                return Err(Error::Unhealthy {
                    version: self.config.version,
                    name,
                    waited: start.elapsed(),
                    log,
                });
            }
            thread::sleep(POLL_INTERVAL);
        }
    }

    fn lifecycle(&self) -> MutexGuard<'_, Lifecycle> {
        self.lifecycle
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

/// What runs, and where: `etcd 3.4.23 default at http://127.0.0.1:40001`.
impl fmt::Display for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (version, name) = (self.config.version, &self.config.name);
        write!(f, "etcd {version} {name} at {}", self.client_url())
    }
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Server")
            .field("name", &self.config.name)
            .field("client_url", &self.client_url())
            .field("version", &self.config.version)
            .finish_non_exhaustive()
    }
}

/// Whether etcd exited because another process listens on one of its ports.
pub(crate) fn is_port_taken(log: &str) -> bool {
    log.contains("address already in use")
}

const POLL_INTERVAL: Duration = Duration::from_millis(10);
const RESPONSE_TIMEOUT: Duration = Duration::from_secs(1);
const PORT_RETRY_INTERVAL: Duration = Duration::from_millis(100);
/// etcd itself waits up to 7 s for its clients' requests.
const STOP_GRACE: Duration = Duration::from_secs(10);
