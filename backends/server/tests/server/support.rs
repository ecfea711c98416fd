//! Helpers: requests over plain sockets, and tests that run in a process of their own.

use std::{
    env, fs,
    io::{self, Read, Write},
    net::TcpStream,
    os::unix::fs::PermissionsExt,
    path::PathBuf,
    process::{self, Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use etcd_server::Server;

/// What a server must not leave behind.
#[derive(Debug)]
pub(crate) struct Remains {
    pub(crate) url: String,
    data_dir: PathBuf,
}

impl Remains {
    pub(crate) fn of(server: &Server) -> Self {
        Self {
            url: server.client_url(),
            data_dir: server.data_dir().to_owned(),
        }
    }

    pub(crate) fn read(line: &str) -> Option<Self> {
        let (url, data_dir) = line.strip_prefix("REMAINS ")?.split_once(' ')?;
        Some(Self {
            url: url.to_owned(),
            data_dir: data_dir.into(),
        })
    }

    pub(crate) fn is_gone(&self) -> bool {
        let is_gone = || {
            TcpStream::connect(address(&self.url)).is_err()
                && !self.data_dir.parent().unwrap().exists()
        };
        let deadline = Instant::now() + Duration::from_secs(5);
        while !is_gone() && Instant::now() < deadline {
            thread::sleep(Duration::from_millis(50));
        }
        is_gone()
    }
}

/// A directory that is removed after the test.
pub(crate) struct Directory(pub(crate) PathBuf);

impl Directory {
    pub(crate) fn new(name: &str) -> Self {
        let path = env::temp_dir().join(format!("etcd-server-test-{name}-{}", process::id()));
        fs::create_dir(&path).unwrap();
        Self(path)
    }

    pub(crate) fn executable(&self, name: &str, text: &str) -> PathBuf {
        let path = self.0.join(name);
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        path
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// Runs one test of this binary in a child process, where [`is_rerun`] is true.
pub(crate) fn rerun(test: &str, envs: &[(&str, &str)]) -> Child {
    let mut command = Command::new(env::current_exe().unwrap());
    command
        .args(["--exact", test, "--nocapture"])
        .env(RERUN, "1")
        .envs(envs.iter().copied());
    command.stdout(Stdio::piped()).spawn().unwrap()
}

pub(crate) fn is_rerun() -> bool {
    env::var_os(RERUN).is_some()
}

pub(crate) fn put(server: &Server, key: &str, value: &str) {
    let response = request(
        server,
        "/v3/kv/put",
        &format!(r#"{{"key":"{key}","value":"{value}"}}"#),
    );
    assert!(response.contains("200 OK"), "{response}");
}

pub(crate) fn read(server: &Server, key: &str) -> String {
    request(server, "/v3/kv/range", &format!(r#"{{"key":"{key}"}}"#))
}

fn request(server: &Server, path: &str, body: &str) -> String {
    let request = format!(
        "POST {path} HTTP/1.0\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    send(&server.client_url(), &request).unwrap()
}

pub(crate) fn get(url: &str, path: &str) -> io::Result<String> {
    send(url, &format!("GET {path} HTTP/1.0\r\n\r\n"))
}

fn send(url: &str, request: &str) -> io::Result<String> {
    let mut stream = TcpStream::connect(address(url))?;
    stream.set_read_timeout(Some(Duration::from_secs(2)))?;
    stream.write_all(request.as_bytes())?;
    let mut response = String::new();
    stream.read_to_string(&mut response)?;
    Ok(response)
}

pub(crate) fn address(url: &str) -> &str {
    url.split_once("//").unwrap().1
}

const RERUN: &str = "ETCD_SERVER_TEST_RERUN";
