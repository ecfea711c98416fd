//! A running etcd.

use std::{
    fmt,
    path::Path,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    thread,
    time::{Duration, Instant},
};

use rustix::process::Signal;

use super::{
    builder::ServerBuilder,
    directory::Place,
    error::{Error, Result},
    http,
    life::{Life, TimeLimit},
    ports::Ports,
    process::{Launch, Process},
    version::Version,
};

/// An etcd on this machine, ended and cleared away when dropped.
///
/// Every method takes `&self`, so a test can share the server with the threads that use it.
///
/// ```
/// use etcd_http::server::Server;
///
/// let server = Server::start()?;
/// assert!(server.client_url().starts_with("http://127.0.0.1:"));
///
/// server.kill()?;
/// assert!(!server.is_running());
/// server.restart()?;
/// assert!(server.is_healthy());
/// # Ok::<(), etcd_http::server::Error>(())
/// ```
pub struct Server {
    // In the order in which they go: the process, its watchdog, its directory.
    life: Arc<Mutex<Life>>,
    plan: Plan,
    _time_limit: Option<TimeLimit>,
}

/// What a server is to be, from its start to its end.
#[derive(Debug)]
pub(super) struct Plan {
    pub(super) name: String,
    pub(super) version: Version,
    pub(super) https: bool,
    pub(super) ports: Ports,
    pub(super) place: Place,
    pub(super) startup_timeout: Duration,
    pub(super) time_limit: Option<Duration>,
}

impl Server {
    /// Starts the etcd that [`install`](super::install()) finds, with the defaults of [`builder`](Self::builder).
    ///
    /// # Errors
    ///
    /// Those of [`ServerBuilder::start`].
    pub fn start() -> Result<Self> {
        Self::builder().start()
    }

    /// Options for a server, or for the members of a cluster.
    pub fn builder() -> ServerBuilder {
        ServerBuilder::new()
    }

    /// The URL for clients, such as `http://127.0.0.1:12379`: no slash at the end.
    pub fn client_url(&self) -> String {
        self.plan.ports.client_url(self.plan.https)
    }

    /// The URL for the other members of the cluster.
    pub fn peer_url(&self) -> String {
        self.plan.ports.peer_url()
    }

    /// The name etcd knows this server by.
    pub fn name(&self) -> &str {
        &self.plan.name
    }

    /// Which etcd this is.
    pub fn version(&self) -> Version {
        self.plan.version
    }

    /// Where it keeps its data.
    pub fn data_dir(&self) -> &Path {
        self.plan.place.data_dir()
    }

    /// What it has logged since it was first started: warnings and errors, as JSON lines.
    pub fn log(&self) -> String {
        self.life().log_text()
    }

    /// The id of the process; `None` when it is not running.
    pub fn pid(&self) -> Option<u32> {
        self.life().running().map(|process| process.pid())
    }

    /// Whether the process is there. A paused one is.
    pub fn is_running(&self) -> bool {
        self.life().running().is_some()
    }

    /// Whether it answers, has a leader and has raised no alarm, such as the one for the quota of its data.
    pub fn is_healthy(&self) -> bool {
        let answers = |port, path| {
            http::get(port, path, ANSWER_TIMEOUT).is_ok_and(|answer| answer.status == 200)
        };
        // Clients are served once there is a leader, and by https we cannot ask. The health comes second, because etcd
        // fills its log with the answer that it is not well.
        let serves_clients = || self.plan.https || answers(self.plan.ports.client, "/version");
        self.is_running() && serves_clients() && answers(self.plan.ports.status, "/health")
    }

    /// Whether it says of itself that it leads the cluster. To know who does, ask [`Cluster::leader`](super::Cluster::leader).
    pub fn is_leader(&self) -> bool {
        let metrics = http::get(self.plan.ports.status, "/metrics", ANSWER_TIMEOUT);
        metrics.is_ok_and(|answer| {
            answer
                .body
                .lines()
                .any(|line| line == "etcd_server_is_leader 1")
        })
    }

    /// Waits until [`is_healthy`](Self::is_healthy).
    ///
    /// # Errors
    ///
    /// [`Error::Exited`] if the process ended, [`Error::Unhealthy`] if the time is over.
    pub fn wait_healthy(&self, timeout: Duration) -> Result<()> {
        self.wait_until(Instant::now() + timeout, Self::is_healthy)
    }

    /// Asks etcd to end (SIGTERM) and waits until it has. After ten seconds it is killed. Does nothing if it is not running.
    pub fn stop(&self) -> Result<()> {
        self.life().end(|process| process.stop(STOP_GRACE))
    }

    /// Ends etcd at once (SIGKILL), as a power failure would. Does nothing if it is not running.
    pub fn kill(&self) -> Result<()> {
        self.life().end(Process::kill)
    }

    /// Halts etcd (SIGSTOP): its connections stay open and nothing answers, as behind a network that lost its way.
    ///
    /// # Errors
    ///
    /// [`Error::NotRunning`].
    pub fn pause(&self) -> Result<()> {
        self.life().signal(Process::pause)
    }

    /// Lets a paused etcd go on (SIGCONT).
    ///
    /// # Errors
    ///
    /// [`Error::NotRunning`].
    pub fn resume(&self) -> Result<()> {
        self.life().signal(|process| process.signal(Signal::CONT))
    }

    /// Stops etcd if it runs, starts it with the same ports and data, and waits until it is healthy.
    ///
    /// A member of a cluster whose majority is gone cannot be healthy, nor can one that has raised an alarm:
    /// [`launch`](Self::launch) does not wait for that.
    ///
    /// # Errors
    ///
    /// Those of [`launch`](Self::launch), and [`Error::Unhealthy`].
    pub fn restart(&self) -> Result<()> {
        let deadline = Instant::now() + self.plan.startup_timeout;
        self.launch()?;
        self.wait_until(deadline, Self::is_healthy)
    }

    /// Stops etcd if it runs, starts it with the same ports and data, and waits until it listens, but not for a leader.
    ///
    /// # Errors
    ///
    /// [`Error::Exited`] if it did not start, [`Error::Unhealthy`] if it does not listen in time, [`Error::TimeLimit`] if
    /// its time is over.
    pub fn launch(&self) -> Result<()> {
        self.stop()?;
        let deadline = Instant::now() + self.plan.startup_timeout;
        loop {
            self.spawn()?;
            match self.wait_until(deadline, Self::is_listening) {
                // The ports of a stopped server are free for others, who may be about to give them back.
                Err(Error::Exited { log, .. })
                    if is_port_taken(&log) && Instant::now() < deadline =>
                {
                    thread::sleep(PAUSE_FOR_A_PORT);
                }
                result => return result,
            }
        }
    }

    pub(super) fn new(plan: Plan, launch: Launch) -> Result<Self> {
        let life = Arc::new(Mutex::new(Life::new(&plan.name, launch, &plan.place)?));
        let time_limit = plan.time_limit.map(|limit| TimeLimit::new(limit, &life));
        Ok(Self {
            life,
            plan,
            _time_limit: time_limit,
        })
    }

    /// Starts the process, which must not be running, and waits for nothing.
    pub(super) fn spawn(&self) -> Result<()> {
        self.life().spawn()
    }

    /// Whether it answers at all, be it that it is not well.
    pub(super) fn is_listening(&self) -> bool {
        http::get(self.plan.ports.status, "/", ANSWER_TIMEOUT).is_ok()
    }

    /// Whether the cluster knows where clients reach this member. A new member tells it once there is a leader, a moment
    /// after it is healthy. True where we cannot ask: by https, or without the gateway.
    pub(super) fn is_published(&self) -> bool {
        if self.plan.https {
            return true;
        }
        let port = self.plan.ports.client;
        match http::post(port, "/v3/cluster/member/list", "{}", ANSWER_TIMEOUT) {
            Ok(answer) if answer.status == 200 => answer.body.contains(&self.client_url()),
            Ok(_) => true,
            Err(_) => false,
        }
    }

    pub(super) fn wait_until(
        &self,
        deadline: Instant,
        reached: impl Fn(&Self) -> bool,
    ) -> Result<()> {
        let start = Instant::now();
        loop {
            self.life().check()?;
            if reached(self) {
                return Ok(());
            }
            if Instant::now() >= deadline {
                let (name, log) = (self.plan.name.clone(), self.life().log_tail());
                return Err(Error::Unhealthy {
                    name,
                    waited: start.elapsed(),
                    log,
                });
            }
            thread::sleep(POLL);
        }
    }

    fn life(&self) -> MutexGuard<'_, Life> {
        self.life.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Server")
            .field("name", &self.plan.name)
            .field("client_url", &self.client_url())
            .field("version", &self.plan.version)
            .finish_non_exhaustive()
    }
}

/// Whether etcd ended because another process listens on one of its ports.
pub(super) fn is_port_taken(log: &str) -> bool {
    log.contains("address already in use")
}

const POLL: Duration = Duration::from_millis(10);
const ANSWER_TIMEOUT: Duration = Duration::from_secs(1);
const PAUSE_FOR_A_PORT: Duration = Duration::from_millis(100);
/// etcd itself gives its clients up to seven seconds to finish.
const STOP_GRACE: Duration = Duration::from_secs(10);
