//! How a server is to be started.

use std::{
    ffi::OsString,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use super::{
    cluster::Cluster,
    directory::Place,
    error::{Error, Result},
    handle::{Plan, Server, is_port_taken},
    install::installed,
    installed::{Installed, unsupported_arch},
    ports::Ports,
    process::Launch,
};

/// Options for a server, or for each member of a cluster. [`Server::builder`] makes one.
///
/// ```
/// use std::time::Duration;
///
/// use etcd_http::server::Server;
///
/// let server = Server::builder()
///     .v2(false)
///     .arg("--max-request-bytes=4096")
///     .time_limit(Duration::from_secs(60))
///     .start()?;
/// assert!(server.is_running());
/// # Ok::<(), etcd_http::server::Error>(())
/// ```
#[derive(Clone, Debug)]
#[must_use = "nothing runs before `start`"]
pub struct ServerBuilder {
    binary: Option<PathBuf>,
    name: String,
    v2: bool,
    heartbeat: Duration,
    election: Duration,
    args: Vec<OsString>,
    envs: Vec<(OsString, OsString)>,
    data_dir: Option<PathBuf>,
    https: Option<(PathBuf, PathBuf)>,
    time_limit: Option<Duration>,
    startup_timeout: Duration,
}

impl ServerBuilder {
    pub(super) fn new() -> Self {
        Self {
            binary: None,
            name: "etcd".to_owned(),
            v2: true,
            heartbeat: Duration::from_millis(100),
            election: Duration::from_secs(1),
            args: Vec::new(),
            envs: Vec::new(),
            data_dir: None,
            https: None,
            time_limit: None,
            startup_timeout: Duration::from_secs(30),
        }
    }

    /// Runs this binary. By default it is the one [`install`](super::install()) finds.
    pub fn binary(mut self, etcd: impl Into<PathBuf>) -> Self {
        self.binary = Some(etcd.into());
        self
    }

    /// The name of the server, `etcd` by default. The members of a cluster add their number: `etcd-0`.
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.name = name.into();
        self
    }

    /// Whether to serve the v2 API, as is the default. It makes no difference to etcd 3.6, which has none:
    /// [`Version::has_v2`](super::Version::has_v2) tells.
    pub fn v2(mut self, enabled: bool) -> Self {
        self.v2 = enabled;
        self
    }

    /// How often the leader tells the others that it is there: 100 ms by default, etcd's own.
    pub fn heartbeat_interval(mut self, interval: Duration) -> Self {
        self.heartbeat = interval;
        self
    }

    /// How long the others wait without a word of the leader before they elect another: one second by default, etcd's
    /// own. It must be at least five heartbeats. A fifth of it makes a server start and a cluster recover several times
    /// faster, at the price of needless elections on a busy machine; and the shortest lease, 1.5 election timeouts in
    /// whole seconds, becomes one second in place of two.
    pub fn election_timeout(mut self, timeout: Duration) -> Self {
        self.election = timeout;
        self
    }

    /// Adds an argument for etcd. It comes after those given here, and etcd takes the last of two that contradict.
    pub fn arg(mut self, arg: impl Into<OsString>) -> Self {
        self.args.push(arg.into());
        self
    }

    /// Adds arguments for etcd, as [`arg`](Self::arg) does.
    pub fn args<I: IntoIterator<Item: Into<OsString>>>(mut self, args: I) -> Self {
        self.args.extend(args.into_iter().map(Into::into));
        self
    }

    /// Sets an environment variable for etcd. It inherits ours, but for those that begin with `ETCD_`, which would
    /// configure it.
    pub fn env(mut self, name: impl Into<OsString>, value: impl Into<OsString>) -> Self {
        self.envs.push((name.into(), value.into()));
        self
    }

    /// Keeps the data in `path`, and the log beside it in `path` with `.log` appended; nothing is removed in the end. The
    /// members of a cluster have a directory each in `path`, by their names. By default the data is in memory
    /// (`/dev/shm`) where there is room, else where temporary files go, and is removed when the server is dropped.
    pub fn data_dir(mut self, path: impl Into<PathBuf>) -> Self {
        self.data_dir = Some(path.into());
        self
    }

    /// Serves clients by https with this certificate and key, PEM files both. More is set by [`arg`](Self::arg), such as
    /// `--client-cert-auth` and `--trusted-ca-file`.
    pub fn https(mut self, certificate: impl Into<PathBuf>, key: impl Into<PathBuf>) -> Self {
        self.https = Some((certificate.into(), key.into()));
        self
    }

    /// Ends the server for good when this much time has passed, whoever still holds it. By default there is no limit.
    pub fn time_limit(mut self, limit: Duration) -> Self {
        self.time_limit = Some(limit);
        self
    }

    /// How long the server may take until it is healthy: 30 seconds by default. It normally takes a fraction of one.
    pub fn startup_timeout(mut self, timeout: Duration) -> Self {
        self.startup_timeout = timeout;
        self
    }

    /// Starts a server and waits until it is healthy.
    ///
    /// # Errors
    ///
    /// [`Error::NotInstalled`] and [`Error::Unusable`] if there is no etcd; [`Error::Exited`] if it did not like its
    /// arguments; [`Error::Unhealthy`] if it took too long.
    pub fn start(self) -> Result<Server> {
        let mut started = self.start_members(std::slice::from_ref(&self.name))?;
        started.pop().ok_or_else(|| Error::Invalid {
            reason: "no server was started".to_owned(),
        })
    }

    /// Starts a cluster of `members`, all with these options, and waits until each of them is healthy.
    ///
    /// # Errors
    ///
    /// Those of [`start`](Self::start), and [`Error::Invalid`] for a cluster of none.
    pub fn start_cluster(self, members: usize) -> Result<Cluster> {
        if members == 0 {
            return Err(Error::Invalid {
                reason: "a cluster has at least one member".to_owned(),
            });
        }
        let names: Vec<_> = (0..members)
            .map(|index| format!("{}-{index}", self.name))
            .collect();
        self.start_members(&names).map(Cluster::new)
    }

    fn start_members(&self, names: &[String]) -> Result<Vec<Server>> {
        let installed = match &self.binary {
            Some(path) => Installed::at(path)?,
            None => installed()?,
        };
        let mut attempts = 1;
        loop {
            match self.attempt(&installed, names) {
                // Somebody took a port between our look at it and etcd's: try others.
                Err(Error::Exited { log, .. }) if attempts < ATTEMPTS && is_port_taken(&log) => {
                    attempts += 1;
                }
                result => return result,
            }
        }
    }

    fn attempt(&self, installed: &Installed, names: &[String]) -> Result<Vec<Server>> {
        let deadline = Instant::now() + self.startup_timeout;
        let ports = names
            .iter()
            .map(|_| Ports::reserve())
            .collect::<Result<Vec<_>>>()?;
        let peers = names
            .iter()
            .zip(&ports)
            .map(|(name, ports)| format!("{name}={}", ports.peer_url()));
        let cluster = peers.collect::<Vec<_>>().join(",");
        let mut servers = Vec::with_capacity(names.len());
        for (name, ports) in names.iter().zip(ports) {
            let place = match &self.data_dir {
                None => Place::temporary()?,
                Some(path) if names.len() == 1 => Place::kept(path)?,
                Some(path) => Place::kept(&path.join(name))?,
            };
            let launch = Launch {
                program: installed.etcd.clone(),
                args: self.arguments(installed, name, &ports, &place, &cluster),
                envs: self.environment(),
            };
            let plan = Plan {
                name: name.clone(),
                version: installed.version,
                https: self.https.is_some(),
                ports,
                place,
                startup_timeout: self.startup_timeout,
                time_limit: self.time_limit,
            };
            servers.push(Server::new(plan, launch)?);
        }
        for server in &servers {
            server.spawn()?;
            // One after the other: each asks those before it about the cluster, and one that has its port but does not
            // answer there yet holds it up for a second.
            server.wait_until(deadline, Server::is_listening)?;
        }
        for server in &servers {
            server.wait_until(deadline, Server::is_healthy)?;
            server.wait_until(deadline, Server::is_published)?;
        }
        Ok(servers)
    }

    fn arguments(
        &self,
        etcd: &Installed,
        name: &str,
        ports: &Ports,
        place: &Place,
        cluster: &str,
    ) -> Vec<OsString> {
        let client = ports.client_url(self.https.is_some());
        let mut args: Vec<OsString> = [
            format!("--name={name}"),
            format!("--listen-client-urls={client}"),
            format!("--advertise-client-urls={client}"),
            format!("--listen-peer-urls={}", ports.peer_url()),
            format!("--initial-advertise-peer-urls={}", ports.peer_url()),
            format!("--listen-metrics-urls={}", ports.status_url()),
            format!("--initial-cluster={cluster}"),
            format!("--initial-cluster-token={cluster}"),
            format!("--heartbeat-interval={}", self.heartbeat.as_millis()),
            format!("--election-timeout={}", self.election.as_millis()),
            "--logger=zap".to_owned(),
            "--log-outputs=stderr".to_owned(),
            "--log-level=warn".to_owned(),
        ]
        .map(OsString::from)
        .into();
        args.push(joined("--data-dir=", place.data_dir()));
        if self.v2 && etcd.version.has_v2() {
            args.push("--enable-v2=true".into());
        }
        if let Some((certificate, key)) = &self.https {
            args.push(joined("--cert-file=", certificate));
            args.push(joined("--key-file=", key));
        }
        args.extend(self.args.iter().cloned());
        args
    }

    fn environment(&self) -> Vec<(OsString, OsString)> {
        let arch = unsupported_arch().map(|(name, value)| (name.into(), value.into()));
        arch.into_iter().chain(self.envs.iter().cloned()).collect()
    }
}

fn joined(flag: &str, path: &Path) -> OsString {
    let mut arg = OsString::from(flag);
    arg.push(path);
    arg
}

/// How often other ports are tried when somebody was faster.
const ATTEMPTS: usize = 5;
