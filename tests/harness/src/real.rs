//! Real servers, and the backends that reach them over HTTP.

use std::{
    marker::PhantomData,
    sync::{Arc, LazyLock},
    time::{Duration, SystemTime},
};

use etcd_http::{Protocol, transport::Transport};
use etcd_server::{Cluster, Server, ServerBuilder};

use crate::{
    backend::{Backend, Host, Start, World},
    scripted_server::{ScriptedServer, json},
};

/// Real servers, reached over HTTP by the transport `T`, whose futures run on `E`.
#[derive(Debug)]
pub struct Real<T, E>(PhantomData<(T, E)>);

impl<T, E> Backend for Real<T, E>
where
    T: Transport + Default,
    E: Executor,
{
    type Transport = T;

    fn start(start: Start) -> World<T> {
        World {
            host: Arc::new(Servers::start(start)),
            transport: Arc::new(T::default),
            protocol: Protocol::Gateway,
        }
    }

    fn block_on<F: Future>(future: F) -> F::Output {
        E::block_on(future)
    }
}

/// What runs the futures of a transport.
pub trait Executor: 'static {
    /// Runs a future to its end.
    fn block_on<F: Future>(future: F) -> F::Output;
}

/// A tokio runtime.
#[derive(Debug)]
pub struct Tokio;

impl Executor for Tokio {
    fn block_on<F: Future>(future: F) -> F::Output {
        let mut runtime = tokio::runtime::Builder::new_current_thread();
        runtime.enable_all().build().unwrap().block_on(future)
    }
}

/// No runtime: for transports that bring what they need, and may not need tokio.
#[derive(Debug)]
pub struct NoRuntime;

impl Executor for NoRuntime {
    fn block_on<F: Future>(future: F) -> F::Output {
        futures::executor::block_on(future)
    }
}

/// The servers of a case.
enum Servers {
    Shared,
    Server(Server),
    Cluster(Cluster),
    Counting(ScriptedServer),
    Nobody,
}

/// Its watchdog ends it when the tests are over.
static SHARED: LazyLock<etcd_server::Result<Server>> = LazyLock::new(|| alone().start());

/// Settings for a server with a short election timeout: it starts in a tenth of a second.
fn alone() -> ServerBuilder {
    Server::builder()
        .heartbeat_interval(Duration::from_millis(10))
        .election_timeout(Duration::from_millis(100))
}

impl Servers {
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

/// A server that responds to every request with success.
fn counting() -> ScriptedServer {
    ScriptedServer::always(json(
        r#"{"action":"get","node":{"key":"/a","value":"1","modifiedIndex":4,"createdIndex":4}}"#,
    ))
}

impl Host for Servers {
    fn version(&self) -> String {
        self.member(0).version().to_string()
    }

    fn urls(&self) -> Vec<String> {
        match self {
            Self::Cluster(cluster) => cluster.client_urls(),
            Self::Counting(server) => vec![server.url()],
            // Refuses connections.
            Self::Nobody => vec!["http://127.0.0.1:1".to_owned()],
            Self::Shared | Self::Server(_) => vec![self.member(0).client_url()],
        }
    }

    /// It runs on this machine.
    fn time(&self) -> SystemTime {
        SystemTime::now()
    }

    fn requests(&self) -> Vec<String> {
        match self {
            Self::Counting(server) => server.requests(),
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
