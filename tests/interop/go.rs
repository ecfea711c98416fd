//! Builds and runs the Go side.

use std::{
    path::PathBuf,
    process::{Command, Output},
    sync::LazyLock,
};

use etcd_http::server::Server;

/// Where Debian's packages put sources.
const GOPATH: &str = "/usr/share/gocode";

/// A server, and the Go program that uses it.
#[derive(Debug)]
pub(crate) struct Go {
    server: Server,
}

impl Go {
    pub(crate) fn start() -> Self {
        let server = etcd_http::server::start().unwrap();
        LazyLock::force(&PROGRAM);
        Self { server }
    }

    pub(crate) fn url(&self) -> String {
        self.server.client_url()
    }

    /// Runs a command, and returns what it prints, by line.
    pub(crate) async fn run(&self, command: &str, name: &str, count: usize) -> Vec<String> {
        let arguments = [
            self.url(),
            command.to_owned(),
            name.to_owned(),
            count.to_string(),
        ];
        let run = move || {
            let mut peer = Command::new(&*PROGRAM);
            peer.args(&arguments);
            checked(peer)
        };
        let output = tokio::task::spawn_blocking(run).await.unwrap();
        let lines = String::from_utf8(output.stdout).unwrap();
        lines.lines().map(str::to_owned).collect()
    }
}

/// The program, built once for all tests.
static PROGRAM: LazyLock<PathBuf> = LazyLock::new(|| {
    let directory = PathBuf::from(env!("CARGO_TARGET_TMPDIR"));
    let program = directory.join("interop-peer");
    let mut build = Command::new("go");
    build
        .args(["build", "-o"])
        .arg(&program)
        .arg(concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/tests/interop/peer.go"
        ))
        .env("GOPATH", GOPATH)
        .env("GO111MODULE", "off")
        .env("GOCACHE", directory.join("go-cache"));
    checked(build);
    program
});

#[track_caller]
fn checked(mut command: Command) -> Output {
    let output = match command.output() {
        Ok(output) => output,
        Err(error) => panic!(
            "{command:?}: {error}. The packages golang-go and golang-etcd-server-dev are required; .ci/test installs them"
        ),
    };
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}: {said}");
    output
}
