//! What a case is given: an etcd, a part of its keys, and clients over the backend under test.

use std::{
    future::Future,
    ops::Deref,
    pin::pin,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
    thread,
    time::{Duration, SystemTime},
};

use etcd_http::{Client, ClientBuilder, Error, EtcdErrorKind, transport::Transport};
use futures::{
    channel::oneshot,
    future::{Either, select},
};

#[cfg(feature = "fake")]
mod fake;
#[cfg(feature = "server")]
mod real;

#[cfg(feature = "fake")]
pub(crate) use fake::{Fake34, Fake35};
#[cfg(all(feature = "isahc", feature = "server"))]
pub(crate) use real::Isahc;
#[cfg(all(feature = "reqwest", feature = "server"))]
pub(crate) use real::Reqwest;

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
    /// What answers well, and counts what it is asked.
    Counting,
    /// Nothing: nobody listens, or the case brings its own server, a scripted one.
    Nothing,
}

/// A backend, an etcd that it reaches, and what its futures run on.
pub(crate) trait Backend: 'static {
    type Transport: Transport;

    fn start(start: Start) -> World<Self::Transport>;

    fn block_on<F: Future>(future: F) -> F::Output;
}

/// The servers of a case, and what makes transports to them.
pub(crate) struct World<T> {
    pub(crate) host: Arc<dyn Host>,
    pub(crate) transport: Arc<dyn Fn() -> T + Send + Sync>,
}

/// The servers of a case, by their place from 0: processes, or a fake.
pub(crate) trait Host: Send + Sync + 'static {
    /// Such as `3.5.16`.
    fn version(&self) -> String;

    /// Where clients reach the members.
    fn urls(&self) -> Vec<String>;

    /// The time of day there.
    fn time(&self) -> SystemTime;

    /// The requests that a [counting](Start::Counting) server saw.
    fn asked(&self) -> Vec<String>;

    /// The name of a member of three.
    fn name(&self, member: usize) -> String;

    /// Who leads three members; waits until one does.
    fn leader(&self) -> usize;

    /// Ends a member with no chance to do anything.
    fn kill(&self, member: usize);

    /// Starts the only member anew with its data, having ended it well if it runs.
    fn restart(&self);

    /// The only member takes requests, and answers none.
    fn pause(&self);

    /// Answers again.
    fn resume(&self);

    /// Whether the calls above take time that passes for the clients, too.
    fn is_slow(&self) -> bool;
}

/// Runs a case.
pub(crate) fn run<B: Backend, F: Future<Output = ()>>(
    name: &str,
    start: Start,
    case: impl FnOnce(Etcd<B::Transport>) -> F,
) {
    let world = B::start(start);
    let clock = (world.transport)();
    B::block_on(async {
        let case = pin!(case(Etcd::new(name, world)));
        let done = select(case, clock.sleep(LIMIT)).await;
        assert!(matches!(done, Either::Left(_)), "not done within {LIMIT:?}");
    });
}

/// Far more than any case takes; far less than for ever.
const LIMIT: Duration = Duration::from_secs(60);

/// An etcd and a client of it: the case's whole world. Dereferences to the client.
pub(crate) struct Etcd<T> {
    client: Client<T>,
    world: World<T>,
    prefix: String,
}

impl<T: Transport> Etcd<T> {
    fn new(name: &str, world: World<T>) -> Self {
        static CASES: AtomicUsize = AtomicUsize::new(0);
        Self {
            client: Client::new((world.transport)(), world.host.urls()).unwrap(),
            world,
            prefix: format!("/{name}-{}", CASES.fetch_add(1, Relaxed)),
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

    /// Another client of the same etcd, over another transport of the same kind.
    pub(crate) fn client(
        &self,
        settings: impl FnOnce(ClientBuilder<T>) -> ClientBuilder<T>,
    ) -> Client<T> {
        let builder = Client::builder(self.transport()).endpoints(self.urls());
        settings(builder).build().unwrap()
    }

    /// A client of another server, over another transport of the same kind.
    pub(crate) fn client_of(&self, url: impl AsRef<str>) -> Client<T> {
        Client::new(self.transport(), [url]).unwrap()
    }

    /// Settings for a client of another server, over another transport of the same kind.
    pub(crate) fn builder_of(&self, url: impl AsRef<str>) -> ClientBuilder<T> {
        Client::builder(self.transport()).endpoints([url])
    }

    /// A transport of the same kind.
    pub(crate) fn transport(&self) -> T {
        (self.world.transport)()
    }

    /// By the transport's clock.
    pub(crate) async fn sleep(&self, millis: u64) {
        let duration = Duration::from_millis(millis);
        self.client.transport().sleep(duration).await;
    }

    /// Whether this etcd is of version 3.5 or later.
    pub(crate) fn is_3_5(&self) -> bool {
        !self.host().version().starts_with("3.4.")
    }

    pub(crate) fn host(&self) -> &dyn Host {
        &*self.world.host
    }

    /// Where clients reach the members.
    pub(crate) fn urls(&self) -> Vec<String> {
        self.host().urls()
    }

    /// Where clients reach the first member.
    pub(crate) fn url(&self) -> String {
        self.urls().swap_remove(0)
    }

    /// Does something slow to the servers while the case goes on.
    ///
    /// Then it waits a moment: libcurl looks whether a connection that it kept is still there once a second, and a write on
    /// one that is not ends as interrupted, which is honest and no matter of these cases.
    pub(crate) async fn meanwhile<O: Send + 'static>(
        &self,
        work: impl FnOnce(&dyn Host) -> O + Send + 'static,
    ) -> O {
        if !self.host().is_slow() {
            return work(self.host());
        }
        let host = Arc::clone(&self.world.host);
        let (done, result) = oneshot::channel();
        thread::spawn(move || {
            // Nobody waits any more when the case has failed.
            let _ = done.send(work(&*host));
        });
        let result = result.await.expect("the work panicked");
        self.sleep(1_200).await;
        result
    }
}

impl<T> Deref for Etcd<T> {
    type Target = Client<T>;

    fn deref(&self) -> &Client<T> {
        &self.client
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
    (
        etcd.kind(),
        etcd.code().map(|code| code.number()),
        etcd.cause().to_owned(),
    )
}
