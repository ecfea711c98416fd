//! A real etcd of one member, with its own ports and directory, removed when dropped.

use std::{
    env,
    ffi::OsString,
    fs,
    net::TcpListener,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

pub(crate) struct Etcd {
    guard: Child,
    pub(crate) url: String,
}

/// Runs a program as long as its own standard input is open, then removes a directory (`$0`): nothing is left behind
/// even if the test is killed.
const GUARD: &str =
    r#""$@" </dev/null & pid=$!; cat >/dev/null; kill -9 $pid; wait $pid 2>/dev/null; rm -rf "$0""#;

impl Etcd {
    pub(crate) fn start() -> Self {
        Self::start_with(free_url(), |_| Vec::new())
    }

    /// Starts a server with this certificate and key, both in PEM.
    #[cfg(feature = "rustls")]
    pub(crate) fn start_tls(certificate: &str, key: &str) -> Self {
        let url = free_url().replacen("http", "https", 1);
        Self::start_with(url, |dir| {
            let file = |name: &str, content: &str| {
                let path = dir.join(name);
                fs::write(&path, content).unwrap();
                path.into_os_string()
            };
            let (certificate, key) = (file("cert.pem", certificate), file("key.pem", key));
            vec!["--cert-file".into(), certificate, "--key-file".into(), key]
        })
    }

    fn start_with(url: String, flags: impl FnOnce(&Path) -> Vec<OsString>) -> Self {
        let program = program();
        let peer_url = free_url();
        let port = url.rsplit(':').next().unwrap();
        let dir = env::temp_dir().join(format!(
            "etcd-transport-reqwest-{}-{port}",
            std::process::id()
        ));
        fs::create_dir(&dir).unwrap();
        let guard = Command::new("sh")
            .args(["-c", GUARD])
            .arg(&dir)
            .arg(&program)
            .arg("--data-dir")
            .arg(dir.join("data"))
            .args(flags(&dir))
            .args([
                "--listen-client-urls",
                &url,
                "--advertise-client-urls",
                &url,
            ])
            .args(["--listen-peer-urls", &peer_url])
            .args(["--initial-advertise-peer-urls", &peer_url])
            .args(["--initial-cluster", &format!("default={peer_url}")])
            .args(["--heartbeat-interval", "20", "--election-timeout", "200"])
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn();
        Self {
            guard: guard.unwrap_or_else(|error| panic!("{}: {error}", program.display())),
            url,
        }
    }

    /// How long a test waits until the server responds.
    pub(crate) fn deadline() -> Instant {
        Instant::now() + Duration::from_secs(30)
    }
}

impl Drop for Etcd {
    fn drop(&mut self) {
        drop(self.guard.stdin.take());
        // An error means that the guard has ended already.
        let _ = self.guard.wait();
    }
}

/// `ETCD_BIN_3_4`, `ETCD_BIN_3_5` or `ETCD_BIN`; else the one that etcd-http has installed.
///
/// # Panics
/// If there is none.
fn program() -> PathBuf {
    let named = ["ETCD_BIN_3_4", "ETCD_BIN_3_5", "ETCD_BIN"];
    let named = named
        .iter()
        .filter_map(env::var_os)
        .find(|name| !name.is_empty());
    let installed = || {
        let cache = env::home_dir()?.join(".cache/etcd-http");
        let mut releases = fs::read_dir(cache).ok()?.flatten();
        releases.find_map(|release| Some(release.path().join("etcd")).filter(|etcd| etcd.is_file()))
    };
    named
        .map(PathBuf::from)
        .or_else(installed)
        .unwrap_or_else(|| {
            panic!(
                "no etcd to test against: set ETCD_BIN to one, or install one by \
             `cargo run -p etcd-http --features server --example install`"
            )
        })
}

fn free_url() -> String {
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    format!("http://{}", listener.local_addr().unwrap())
}
