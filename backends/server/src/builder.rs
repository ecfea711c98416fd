//! Options for servers, and starting them.

use std::{
    ffi::OsString,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use crate::{
    cluster::Cluster,
    environment::unsupported_arch,
    error::{Error, Result, invalid},
    install::{find_installed, installed::Installed},
    process::{child::ProgramArgs, directory::ServerDirectory, ports::Ports},
    server::{Config, Server, is_port_taken},
};

/// Options for a server, or for each member of a cluster. [`Server::builder`] creates one.
///
/// ```
/// use std::time::Duration;
///
/// use etcd_server::Server;
///
/// let server = Server::builder()
///     .v2(false)
///     .arg("--max-request-bytes=4096")
///     .time_limit(Duration::from_secs(60))
///     .start()?;
/// assert!(server.is_running());
/// # Ok::<(), etcd_server::Error>(())
/// ```
#[derive(Clone, Debug)]
#[must_use = "does nothing until `start` or `start_cluster` is called"]
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

impl Server {
    /// Starts the etcd that [`install`](crate::install()) finds, with the defaults of [`builder`](Self::builder).
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
}

impl Cluster {
    /// Starts a cluster with the default options. [`ServerBuilder::start_cluster`] starts one with others.
    ///
    /// # Errors
    ///
    /// Those of [`ServerBuilder::start_cluster`].
    pub fn start(members: usize) -> Result<Self> {
        Server::builder().start_cluster(members)
    }
}

impl ServerBuilder {
    fn new() -> Self {
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

    /// The etcd binary to run. Defaults to the one that [`install`](crate::install()) finds.
    pub fn binary(mut self, etcd: impl Into<PathBuf>) -> Self {
        self.binary = Some(etcd.into());
        self
    }

    /// The name of the server. Defaults to `etcd`. The members of a cluster append their index: `etcd-0`.
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.name = name.into();
        self
    }

    /// Whether to serve the v2 API. Defaults to true, and has no effect on etcd 3.6, which removed it: see
    /// [`Version::has_v2`](crate::Version::has_v2).
    pub fn v2(mut self, enabled: bool) -> Self {
        self.v2 = enabled;
        self
    }

    /// The interval of the leader's heartbeats. Defaults to 100 ms, as in etcd.
    pub fn heartbeat_interval(mut self, interval: Duration) -> Self {
        self.heartbeat = interval;
        self
    }

    /// How long a member waits for a heartbeat before it starts an election. Defaults to 1 s, as in etcd. It must be at least
    /// five heartbeat intervals.
    ///
    /// With 200 ms, a server starts and a cluster recovers several times faster, but a busy machine sees needless elections.
    /// The shortest lease TTL, 1.5 election timeouts rounded up to seconds, becomes 1 s instead of 2 s.
    pub fn election_timeout(mut self, timeout: Duration) -> Self {
        self.election = timeout;
        self
    }

    /// Adds an argument for etcd, after those of the other options. If a flag is repeated, etcd uses the last one.
    pub fn arg(mut self, arg: impl Into<OsString>) -> Self {
        self.args.push(arg.into());
        self
    }

    /// Adds arguments for etcd, as [`arg`](Self::arg) does.
    pub fn args<I: IntoIterator<Item: Into<OsString>>>(mut self, args: I) -> Self {
        self.args.extend(args.into_iter().map(Into::into));
        self
    }

    /// Sets an environment variable for etcd. It inherits those of this process, except those that begin with `ETCD_`, which
    /// would configure it.
    pub fn env(mut self, name: impl Into<OsString>, value: impl Into<OsString>) -> Self {
        self.envs.push((name.into(), value.into()));
        self
    }

    /// Keeps the data in `path` and the log in `path` with `.log` appended, and removes neither. Each member of a cluster has
    /// a directory with its name in `path`. By default the data is in memory (`/dev/shm`) if there is room, else in the
    /// directory for temporary files, and is removed when the server is dropped.
    pub fn data_dir(mut self, path: impl Into<PathBuf>) -> Self {
        self.data_dir = Some(path.into());
        self
    }

    /// Serves clients over https with this certificate and key, two PEM files. Set other TLS flags with [`arg`](Self::arg),
    /// such as `--client-cert-auth` and `--trusted-ca-file`.
    pub fn https(mut self, certificate: impl Into<PathBuf>, key: impl Into<PathBuf>) -> Self {
        self.https = Some((certificate.into(), key.into()));
        self
    }

    /// Ends the server after this time, even if it is still in use; it cannot be restarted. By default there is no limit.
    pub fn time_limit(mut self, limit: Duration) -> Self {
        self.time_limit = Some(limit);
        self
    }

    /// How long the server may take to become healthy. Defaults to 30 s. It normally takes less than 1 s.
    pub fn startup_timeout(mut self, timeout: Duration) -> Self {
        self.startup_timeout = timeout;
        self
    }

    /// Starts a server and waits until it is healthy.
    ///
    /// # Errors
    ///
    /// [`Error::NotInstalled`] and [`Error::Unusable`] if there is no usable etcd; [`Error::Exited`] if it fails to start, as
    /// with an invalid argument; [`Error::Unhealthy`] after the startup timeout.
    pub fn start(self) -> Result<Server> {
        let mut started = self.start_members(std::slice::from_ref(&self.name))?;
        started
            .pop()
            .ok_or_else(|| invalid("no server was started"))
    }

    /// Starts a cluster of `members` servers, all with these options, and waits until each of them is healthy.
    ///
    /// # Errors
    ///
    /// Those of [`start`](Self::start), and [`Error::Invalid`] if `members` is 0.
    pub fn start_cluster(self, members: usize) -> Result<Cluster> {
        if members == 0 {
            return Err(invalid("a cluster needs at least one member"));
        }
        let names: Vec<_> = (0..members)
            .map(|index| format!("{}-{index}", self.name))
            .collect();
        self.start_members(&names).map(Cluster::new)
    }

    fn start_members(&self, names: &[String]) -> Result<Vec<Server>> {
        let installed = match &self.binary {
            Some(path) => Installed::at(path)?,
            None => find_installed()?,
        };
        let mut attempts = 1;
        loop {
            match self.attempt(&installed, names) {
                // Another process bound a port after it was reserved: try others.
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
            let directory = match &self.data_dir {
                None => ServerDirectory::temporary()?,
                Some(path) if names.len() == 1 => ServerDirectory::kept(path)?,
                Some(path) => ServerDirectory::kept(&path.join(name))?,
            };
            let program = ProgramArgs {
                path: installed.etcd.clone(),
                args: self.arguments(installed, name, &ports, &directory, &cluster),
                envs: self.environment(),
            };
            let config = Config {
                name: name.clone(),
                version: installed.version,
                https: self.https.is_some(),
                ports,
                directory,
                startup_timeout: self.startup_timeout,
                time_limit: self.time_limit,
            };
            servers.push(Server::new(config, program)?);
        }
        for server in &servers {
            server.spawn()?;
            // One after the other: each member asks the earlier ones about the cluster, and waits 1 s for one that has bound
            // its port but does not respond yet.
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
        directory: &ServerDirectory,
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
        args.push(joined("--data-dir=", directory.data_dir()));
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

/// How often to try other ports if a reserved one was bound by another process.
const ATTEMPTS: usize = 5;
