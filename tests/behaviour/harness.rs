//! What a case is given: an etcd, a part of its keys, and clients over the backend under test.

use std::{
    future::Future,
    ops::Deref,
    pin::pin,
    sync::{
        Arc, LazyLock,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
    thread,
    time::Duration,
};

use etcd_http::{
    Client, ClientBuilder, Error, EtcdErrorKind,
    server::{self, Cluster, Server, ServerBuilder, Version},
    transport::Transport,
};
use futures::{
    channel::oneshot,
    future::{Either, select},
};

/// What a case starts, or does not.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Start {
    /// The server that all such cases share, each with keys of its own.
    Shared,
    /// A server of its own: for cases that change more than keys, count indexes, or write a lot.
    Alone,
    /// Three members of its own.
    Three,
    /// A server of its own with the v2 API switched off.
    WithoutV2,
    /// Nothing: the case brings its own server, a scripted one.
    Nothing,
}

/// A backend, and what its futures run on.
pub(crate) trait Backend: 'static {
    type Transport: Transport;

    fn transport() -> Self::Transport;

    fn block_on<F: Future>(future: F) -> F::Output;
}

#[cfg(feature = "reqwest")]
pub(crate) struct Reqwest;

#[cfg(feature = "reqwest")]
impl Backend for Reqwest {
    type Transport = etcd_http::reqwest::ReqwestTransport;

    fn transport() -> Self::Transport {
        Self::Transport::default()
    }

    fn block_on<F: Future>(future: F) -> F::Output {
        let mut runtime = tokio::runtime::Builder::new_current_thread();
        runtime.enable_all().build().unwrap().block_on(future)
    }
}

#[cfg(feature = "isahc")]
pub(crate) struct Isahc;

#[cfg(feature = "isahc")]
impl Backend for Isahc {
    type Transport = etcd_http::isahc::IsahcTransport;

    fn transport() -> Self::Transport {
        Self::Transport::default()
    }

    /// No tokio: isahc has its own thread for what it needs.
    fn block_on<F: Future>(future: F) -> F::Output {
        futures::executor::block_on(future)
    }
}

/// Runs a case.
pub(crate) fn run<B: Backend, F: Future<Output = ()>>(
    name: &str,
    start: Start,
    case: impl FnOnce(Etcd<B::Transport>) -> F,
) {
    let host = Host::start(start);
    B::block_on(async {
        let etcd = Etcd::new(name, host, B::transport);
        if !matches!(start, Start::Nothing) {
            etcd.settle().await;
        }
        let case = pin!(case(etcd));
        let clock = B::transport();
        let done = select(case, clock.sleep(LIMIT)).await;
        assert!(matches!(done, Either::Left(_)), "not done within {LIMIT:?}");
    });
}

/// Far more than any case takes; far less than for ever.
const LIMIT: Duration = Duration::from_secs(60);

/// An etcd and a client of it: the case's whole world. Dereferences to the client.
pub(crate) struct Etcd<T> {
    client: Client<T>,
    host: Arc<Host>,
    prefix: String,
    transport: Arc<dyn Fn() -> T + Send + Sync>,
}

impl<T: Transport> Etcd<T> {
    fn new(name: &str, host: Host, transport: impl Fn() -> T + Send + Sync + 'static) -> Self {
        static CASES: AtomicUsize = AtomicUsize::new(0);
        Self {
            client: Client::new(transport(), host.urls()).unwrap(),
            host: Arc::new(host),
            prefix: format!("/{name}-{}", CASES.fetch_add(1, Relaxed)),
            transport: Arc::new(transport),
        }
    }

    /// Waits until the cluster has agreed on its version: the last that etcd writes to its store by itself.
    async fn settle(&self) {
        while self.client.version().await.unwrap().cluster == "not_decided" {
            self.sleep(5).await;
        }
    }

    /// A key that no other case uses: `/CASE/NAME`.
    pub(crate) fn key(&self, name: impl AsRef<str>) -> String {
        format!("{}/{}", self.prefix, name.as_ref())
    }

    /// The directory of all keys of this case.
    pub(crate) fn root(&self) -> &str {
        &self.prefix
    }

    /// Where this etcd listens; the first member, where there are several.
    pub(crate) fn url(&self) -> String {
        self.host.urls().swap_remove(0)
    }

    /// Another client of the same etcd, over another transport of the same kind.
    pub(crate) fn client(
        &self,
        settings: impl FnOnce(ClientBuilder<T>) -> ClientBuilder<T>,
    ) -> Client<T> {
        let builder = Client::builder((self.transport)()).endpoints(self.host.urls());
        settings(builder).build().unwrap()
    }

    /// A client of another server, over another transport of the same kind.
    pub(crate) fn client_of(&self, url: impl AsRef<str>) -> Client<T> {
        Client::new((self.transport)(), [url]).unwrap()
    }

    /// Settings for a client of another server, over another transport of the same kind.
    pub(crate) fn builder_of(&self, url: impl AsRef<str>) -> ClientBuilder<T> {
        Client::builder((self.transport)()).endpoints([url])
    }

    /// A transport of the same kind.
    pub(crate) fn transport(&self) -> T {
        (self.transport)()
    }

    /// By the transport's clock.
    pub(crate) async fn sleep(&self, millis: u64) {
        let duration = Duration::from_millis(millis);
        self.client.transport().sleep(duration).await;
    }

    /// Whether this etcd is of version 3.5 or later.
    pub(crate) fn is_3_5(&self) -> bool {
        self.host.version() >= Version::new(3, 5, 0)
    }

    pub(crate) fn server(&self) -> &Server {
        self.host.server()
    }

    pub(crate) fn cluster(&self) -> &Cluster {
        match &*self.host {
            Host::Cluster(cluster) => cluster,
            _ => panic!("this case has no cluster"),
        }
    }

    /// Does something slow to the server while the case goes on.
    pub(crate) async fn meanwhile<O: Send + 'static>(
        &self,
        work: impl FnOnce(&Server) -> O + Send + 'static,
    ) -> O {
        let host = Arc::clone(&self.host);
        let (done, result) = oneshot::channel();
        thread::spawn(move || {
            // Nobody waits any more when the case has failed.
            let _ = done.send(work(host.server()));
        });
        result.await.expect("the work panicked")
    }
}

impl<T> Deref for Etcd<T> {
    type Target = Client<T>;

    fn deref(&self) -> &Client<T> {
        &self.client
    }
}

enum Host {
    Shared,
    Server(Server),
    Cluster(Cluster),
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

impl Host {
    fn start(start: Start) -> Self {
        let started = match start {
            Start::Shared => return Self::Shared,
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

    fn server(&self) -> &Server {
        match self {
            Self::Shared => SHARED.as_ref().unwrap_or_else(|error| panic!("{error}")),
            Self::Server(server) => server,
            Self::Cluster(cluster) => cluster.member(0),
            Self::Nobody => panic!("this case has no server"),
        }
    }

    fn version(&self) -> Version {
        self.server().version()
    }

    fn urls(&self) -> Vec<String> {
        match self {
            Self::Cluster(cluster) => cluster.client_urls(),
            // Refuses connections: a case that brings its own server makes its own clients.
            Self::Nobody => vec!["http://127.0.0.1:1".to_owned()],
            one => vec![one.server().client_url()],
        }
    }
}

/// What etcd said no with: kind, code and cause.
#[track_caller]
pub(crate) fn refusal<O: std::fmt::Debug>(
    result: Result<O, Error>,
) -> (EtcdErrorKind, Option<u32>, String) {
    let error = result.unwrap_err();
    let Some(etcd) = error.as_etcd() else {
        panic!("not etcd's own error: {error:?}");
    };
    (etcd.kind(), etcd.code(), etcd.cause().to_owned())
}
