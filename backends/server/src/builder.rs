//! Options for servers.

use std::{ffi::OsString, path::PathBuf, time::Duration};

use crate::server::Server;

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
#[must_use = "does nothing until `start`, `launch` or `start_cluster` is called"]
pub struct ServerBuilder {
    pub(crate) binary: Option<PathBuf>,
    pub(crate) name: String,
    pub(crate) v2: bool,
    pub(crate) heartbeat: Duration,
    pub(crate) election: Duration,
    pub(crate) args: Vec<OsString>,
    pub(crate) envs: Vec<(OsString, OsString)>,
    pub(crate) data_dir: Option<PathBuf>,
    pub(crate) https: Option<(PathBuf, PathBuf)>,
    pub(crate) time_limit: Option<Duration>,
    pub(crate) startup_timeout: Duration,
}

impl Server {
    /// Options for a server, or for the members of a cluster.
    pub fn builder() -> ServerBuilder {
        ServerBuilder::new()
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
}
