//! Real servers, and the backends that reach them over HTTP.

use std::{
    sync::{Arc, LazyLock},
    time::{Duration, SystemTime},
};

use etcd_http::server::{self, Cluster, Server, ServerBuilder};

use super::{Host, Start};
use crate::scripted::{Scripted, json};

#[cfg(feature = "reqwest")]
pub(crate) struct Reqwest;

#[cfg(feature = "reqwest")]
impl super::Backend for Reqwest {
    type Transport = etcd_http::reqwest::ReqwestTransport;

    fn start(start: Start) -> super::World<Self::Transport> {
        super::World {
            host: Arc::new(Real::start(start)),
            transport: Arc::new(Self::Transport::default),
        }
    }

    fn block_on<F: Future>(future: F) -> F::Output {
        let mut runtime = tokio::runtime::Builder::new_current_thread();
        runtime.enable_all().build().unwrap().block_on(future)
    }
}

#[cfg(feature = "isahc")]
pub(crate) struct Isahc;

#[cfg(feature = "isahc")]
impl super::Backend for Isahc {
    type Transport = etcd_http::isahc::IsahcTransport;

    fn start(start: Start) -> super::World<Self::Transport> {
        super::World {
            host: Arc::new(Real::start(start)),
            transport: Arc::new(Self::Transport::default),
        }
    }

    /// No tokio: isahc has its own thread for what it needs.
    fn block_on<F: Future>(future: F) -> F::Output {
        futures::executor::block_on(future)
    }
}

enum Real {
    Shared,
    Server(Server),
    Cluster(Cluster),
    Counting(Scripted),
    Nobody,
}

/// Ended by its watchdog when the tests are over.
static SHARED: LazyLock<server::Result<Server>> = LazyLock::new(|| alone().start());

/// A server that does not wait long for others to elect: it starts in a tenth of a second.
fn alone() -> ServerBuilder {
    Server::builder()
        .heartbeat_interval(Duration::from_millis(10))
        .election_timeout(Duration::from_millis(100))
}

impl Real {
    fn start(start: Start) -> Self {
        let started = match start {
            Start::Shared => return Self::Shared,
            Start::Counting => return Self::Counting(counting()),
            Start::Nothing => return Self::Nobody,
            Start::Alone => alone().start().map(Self::Server),
            Start::WithoutV2 => alone().v2(false).start().map(Self::Server),
            // Otherwise no member can be added in the first five seconds.
            Start::Three => Server::builder()
                .arg("--strict-reconfig-check=false")
                .start_cluster(3)
                .map(Self::Cluster),
        };
        started.unwrap_or_else(|error| panic!("{error}"))
    }

    fn member(&self, member: usize) -> &Server {
        match self {
            Self::Shared => SHARED.as_ref().unwrap_or_else(|error| panic!("{error}")),
            Self::Server(server) => server,
            Self::Cluster(cluster) => cluster.member(member),
            Self::Counting(_) | Self::Nobody => panic!("this case has no server"),
        }
    }

    fn cluster(&self) -> &Cluster {
        match self {
            Self::Cluster(cluster) => cluster,
            _ => panic!("this case has no cluster"),
        }
    }
}

/// Whoever is asked something answers well.
fn counting() -> Scripted {
    Scripted::always(json(
        r#"{"action":"get","node":{"key":"/a","value":"1","modifiedIndex":4,"createdIndex":4}}"#,
    ))
}

impl Host for Real {
    fn version(&self) -> String {
        self.member(0).version().to_string()
    }

    fn urls(&self) -> Vec<String> {
        match self {
            Self::Cluster(cluster) => cluster.client_urls(),
            Self::Counting(scripted) => vec![scripted.url()],
            // Refuses connections.
            Self::Nobody => vec!["http://127.0.0.1:1".to_owned()],
            one => vec![one.member(0).client_url()],
        }
    }

    /// It runs on this machine.
    fn time(&self) -> SystemTime {
        SystemTime::now()
    }

    fn asked(&self) -> Vec<String> {
        match self {
            Self::Counting(scripted) => scripted.asked(),
            _ => panic!("this case does not count"),
        }
    }

    fn name(&self, member: usize) -> String {
        self.cluster().member(member).name().to_owned()
    }

    fn leader(&self) -> usize {
        self.cluster().leader().unwrap()
    }

    fn kill(&self, member: usize) {
        self.member(member).kill().unwrap();
    }

    fn restart(&self) {
        self.member(0).restart().unwrap();
    }

    fn pause(&self) {
        self.member(0).pause().unwrap();
    }

    fn resume(&self) {
        self.member(0).resume().unwrap();
    }

    fn is_slow(&self) -> bool {
        true
    }
}
