//! Real servers.

use std::{
    path::{Path, PathBuf},
    thread,
    time::{Duration, Instant},
};

use etcd_server::Server;

use super::{
    Request, Response, Subject, Watching,
    raw::{Connection, RawWatch},
};

/// The binaries to compare with: those that `ETCD_BIN_3_4`, `ETCD_BIN_3_5` and `ETCD_BIN` name. If neither `ETCD_BIN_3_4`
/// nor `ETCD_BIN` is set, the one that [`etcd_server::install`] finds or downloads takes the place of 3.4.
///
/// # Panics
/// If there is none, or one of them has no v2 API.
pub fn binaries() -> Vec<PathBuf> {
    let named = |name: &str| {
        let path = std::env::var_os(name).filter(|path| !path.is_empty());
        path.map(PathBuf::from)
    };
    let [first, second, other] = ["ETCD_BIN_3_4", "ETCD_BIN_3_5", "ETCD_BIN"].map(named);
    let first = first.or_else(|| other.is_none().then(installed));
    [first, second, other].into_iter().flatten().collect()
}

fn installed() -> PathBuf {
    let installed = etcd_server::install().unwrap_or_else(|error| panic!("{error}"));
    let (version, path) = (installed.version, installed.etcd);
    assert!(
        version.has_v2(),
        "{} is etcd {version}, which has no v2 API: set ETCD_BIN_3_4, ETCD_BIN_3_5 or ETCD_BIN to an etcd that has",
        path.display()
    );
    path
}

/// Runs a program for as long as its own standard input is open, and then removes the directory `$0`, so that a killed
/// test leaves nothing behind.
pub const GUARDED: &str =
    r#""$@" </dev/null & pid=$!; cat >/dev/null; kill -9 $pid; wait $pid 2>/dev/null; rm -rf "$0""#;

/// One running server of one member.
pub struct Real {
    _server: Server,
    /// Where clients reach it.
    pub client_url: String,
    /// The version of its cluster, such as `3.4.0`.
    pub version: String,
    connection: Connection,
}

impl Real {
    /// Starts a server with the v2 API.
    pub fn start(binary: &Path) -> Self {
        Self::start_with(binary, &["--enable-v2"])
    }

    /// Starts a server with these flags; returns when it serves clients.
    pub fn start_with(binary: &Path, flags: &[&str]) -> Self {
        let server = Server::builder()
            .binary(binary)
            .name("default")
            .v2(false)
            // A single member need not wait long for its own vote.
            .heartbeat_interval(Duration::from_millis(20))
            .election_timeout(Duration::from_millis(200))
            .args(["--snapshot-count", "10000000"])
            .args(flags)
            // Not `start`, whose health checks count as reads in the statistics.
            .launch()
            .unwrap_or_else(|error| panic!("{}: {error}", binary.display()));
        let client_url = server.client_url();
        let connection = Connection::new(client_url.trim_start_matches("http://"));
        let mut real = Self {
            _server: server,
            client_url,
            version: String::new(),
            connection,
        };
        real.wait_for_cluster_version();
        real
    }

    fn wait_for_cluster_version(&mut self) {
        let deadline = Instant::now() + Duration::from_secs(30);
        loop {
            // Clients are served once there is a leader.
            if let Ok(reply) = self.connection.try_ask(&Request::new("GET", "/version")) {
                let version = reply.json()["etcdcluster"]
                    .as_str()
                    .unwrap_or_default()
                    .to_owned();
                if version.starts_with('3') {
                    self.version = version;
                    // The cluster version is the last thing that a new server writes; let it be applied.
                    thread::sleep(Duration::from_millis(50));
                    return;
                }
            }
            assert!(
                Instant::now() < deadline,
                "etcd does not set its cluster version"
            );
            thread::sleep(Duration::from_millis(20));
        }
    }
}

impl Subject for Real {
    fn ask(&mut self, request: &Request) -> Response {
        self.connection.ask(request)
    }

    fn watch(&mut self, request: &Request) -> (Response, Box<dyn Watching>) {
        let (reply, watch) = RawWatch::open(self.connection.address(), request);
        (reply, Box::new(watch))
    }

    fn pass(&mut self, duration: Duration) {
        thread::sleep(duration);
    }

    fn name(&self) -> String {
        format!("etcd {}", self.version)
    }

    fn is_3_4(&self) -> bool {
        self.version.starts_with("3.4")
    }

    fn metric(&mut self, name: &str) -> Option<String> {
        let metrics = self.connection.ask(&Request::new("GET", "/metrics")).text();
        let mut values = metrics.lines().filter_map(|line| line.split_once(' '));
        let value = values.find(|(other, _)| *other == name);
        value.map(|(_, value)| value.to_owned())
    }
}
