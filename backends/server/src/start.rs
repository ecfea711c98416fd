//! Starting servers and clusters.

use std::{ffi::OsString, path::Path, slice, time::Instant};

use crate::{
    builder::ServerBuilder,
    cluster::Cluster,
    environment::unsupported_arch,
    error::{Error, Result, invalid},
    install::{find_installed, installed::Installed},
    process::{child::ProgramArgs, directory::ServerDirectory, ports::Ports},
    server::{Config, Server, is_port_taken},
};

impl Server {
    /// Starts the etcd that [`install`](crate::install()) finds, with the defaults of [`builder`](Self::builder).
    ///
    /// # Errors
    ///
    /// Those of [`ServerBuilder::start`].
    pub fn start() -> Result<Self> {
        Self::builder().start()
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
    /// Starts a server and waits until it is healthy.
    ///
    /// # Errors
    ///
    /// [`Error::NotInstalled`] and [`Error::Unusable`] if there is no usable etcd; [`Error::Exited`] if it fails to start, as
    /// with an invalid argument; [`Error::Unhealthy`] after the startup timeout.
    pub fn start(self) -> Result<Server> {
        self.start_one(Readiness::Healthy)
    }

    /// Starts a server and waits until it listens, but not for a leader. No request that reads its data is made, so its
    /// counters are those of a new server; a health check, in contrast, is a read.
    ///
    /// # Errors
    ///
    /// Those of [`start`](Self::start); [`Error::Unhealthy`] if it does not listen in time.
    pub fn launch(self) -> Result<Server> {
        self.start_one(Readiness::Listening)
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
        self.start_members(&names, Readiness::Healthy)
            .map(Cluster::new)
    }

    fn start_one(&self, readiness: Readiness) -> Result<Server> {
        let mut started = self.start_members(slice::from_ref(&self.name), readiness)?;
        started
            .pop()
            .ok_or_else(|| invalid("no server was started"))
    }

    fn start_members(&self, names: &[String], readiness: Readiness) -> Result<Vec<Server>> {
        let installed = match &self.binary {
            Some(path) => Installed::at(path)?,
            None => find_installed()?,
        };
        let mut attempts = 1;
        loop {
            match self.try_start(&installed, names, readiness) {
                // Another process bound a port after it was reserved: try others.
                Err(Error::Exited { log, .. }) if attempts < ATTEMPTS && is_port_taken(&log) => {
                    attempts += 1;
                }
                result => return result,
            }
        }
    }

    fn try_start(
        &self,
        installed: &Installed,
        names: &[String],
        readiness: Readiness,
    ) -> Result<Vec<Server>> {
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
                Some(path) if names.len() == 1 => ServerDirectory::persistent(path)?,
                Some(path) => ServerDirectory::persistent(&path.join(name))?,
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
        if readiness == Readiness::Listening {
            return Ok(servers);
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

/// What a start waits for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Readiness {
    Listening,
    Healthy,
}

fn joined(flag: &str, path: &Path) -> OsString {
    let mut arg = OsString::from(flag);
    arg.push(path);
    arg
}

/// How often to try other ports if a reserved one was bound by another process.
const ATTEMPTS: usize = 5;
