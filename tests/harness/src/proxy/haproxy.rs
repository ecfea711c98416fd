//! haproxy.

use std::{fs, path::Path};

use super::{Kind, Proxy, authority};

pub(super) const KIND: Kind = Kind {
    program: "haproxy",
    package: "haproxy",
};

/// Writes the configuration, and returns the arguments of the program.
pub(super) fn arguments(directory: &Path, configuration: &str) -> Vec<String> {
    let path = directory.join("haproxy.cfg");
    fs::write(&path, configuration).unwrap();
    // `-db`: one process, in the foreground.
    let arguments = format!("-db -f {}", path.display());
    arguments.split(' ').map(str::to_owned).collect()
}

/// haproxy before several members. It asks each for `/health`, and passes over those that are not healthy.
#[derive(Clone, Debug)]
pub struct Haproxy {
    members: Vec<String>,
    mode: &'static str,
}

impl Haproxy {
    /// Settings for haproxy before these members. It reads HTTP: each request may go to another member.
    pub fn before(members: impl IntoIterator<Item = impl AsRef<str>>) -> Self {
        let members = members.into_iter();
        Self {
            members: members
                .map(|url| authority(url.as_ref()).to_owned())
                .collect(),
            mode: "http",
        }
    }

    /// Passes on bytes: each connection goes to one member.
    #[must_use]
    pub fn tcp(mut self) -> Self {
        self.mode = "tcp";
        self
    }

    /// Starts it.
    pub fn start(&self) -> Proxy {
        Proxy::start(KIND, false, |directory, port| {
            arguments(directory, &self.configuration(port))
        })
    }

    fn configuration(&self, port: u16) -> String {
        let mode = self.mode;
        let members = self.members.iter().enumerate();
        let servers: String = members
            .map(|(number, member)| format!("  server member{number} {member}\n"))
            .collect();
        format!(
            "global
  maxconn 1000
  log stdout format raw local0
defaults
  log global
  option {mode}log
  timeout connect 5s
  timeout client 1h
  timeout server 1h
listen etcd
  mode {mode}
  bind 127.0.0.1:{port}
  balance roundrobin
  option httpchk GET /health
  default-server check inter 200ms fall 2 rise 1 on-marked-down shutdown-sessions
{servers}"
        )
    }
}
