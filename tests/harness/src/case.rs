//! The environment of a case: an etcd, a prefix for its keys, and clients over the backend under test.

use std::{
    ops::Deref,
    pin::pin,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
    thread,
    time::Duration,
};

use etcd_http::{
    Client, ClientBuilder, Error, EtcdCode, EtcdErrorKind, transport::Transport, v3::KeyRange,
};
use futures::{
    channel::oneshot,
    future::{Either, select},
};

use crate::backend::{Backend, Host, Start, World};

/// Runs a case.
pub fn run<B: Backend, F: Future<Output = ()>>(
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

/// Far more than any case takes, on a busy machine, too: what does not end by then hangs.
const LIMIT: Duration = Duration::from_secs(180);

/// An etcd and a client of it. Dereferences to the client.
#[expect(missing_debug_implementations, reason = "it has a closure")]
pub struct Etcd<T> {
    client: Client<T>,
    world: World<T>,
    prefix: String,
}

impl<T: Transport> Etcd<T> {
    fn new(name: &str, world: World<T>) -> Self {
        static CASES: AtomicUsize = AtomicUsize::new(0);
        let client = builder(&world, world.host.urls()).build().unwrap();
        Self {
            client,
            world,
            prefix: format!("/{name}-{}", CASES.fetch_add(1, Relaxed)),
        }
    }

    /// A key that no other case uses: `/CASE/NAME`.
    pub fn key(&self, name: impl AsRef<str>) -> String {
        format!("{}/{}", self.prefix, name.as_ref())
    }

    /// The directory of all keys of this case.
    pub fn root(&self) -> &str {
        &self.prefix
    }

    /// Another client of the same etcd, over another transport of the same kind.
    pub fn client(&self, settings: impl FnOnce(ClientBuilder<T>) -> ClientBuilder<T>) -> Client<T> {
        settings(builder(&self.world, self.urls())).build().unwrap()
    }

    /// A client of another server, over another transport of the same kind.
    pub fn client_of(&self, url: impl AsRef<str>) -> Client<T> {
        self.builder_of(url).build().unwrap()
    }

    /// Settings for a client of another server, over another transport of the same kind.
    pub fn builder_of(&self, url: impl AsRef<str>) -> ClientBuilder<T> {
        builder(&self.world, [url])
    }

    /// A transport of the same kind.
    pub fn transport(&self) -> T {
        (self.world.transport)()
    }

    /// By the transport's clock.
    pub async fn sleep(&self, millis: u64) {
        let duration = Duration::from_millis(millis);
        self.client.transport().sleep(duration).await;
    }

    /// Waits until this is so, for as long as the case may take.
    pub async fn until(&self, mut is_so: impl AsyncFnMut() -> bool) {
        while !is_so().await {
            self.sleep(20).await;
        }
    }

    /// Waits until so many keys begin with this: those that wait for a lock or for their election, and the one that has it.
    pub async fn until_queued(&self, prefix: &str, count: i64) {
        let kv = self.v3().kv();
        let keys = || KeyRange::prefix(prefix);
        self.until(async || kv.count(keys()).await.unwrap() == count)
            .await;
    }

    /// To be called after each change of the members, also one that etcd refused, before the next: rule V3-122. A write is
    /// applied after everything before it is known to be.
    pub async fn after_member_change(&self) {
        self.v3()
            .kv()
            .put(self.key("member-change"), "")
            .await
            .unwrap();
    }

    /// Whether this etcd is of version 3.5 or later.
    pub fn is_3_5(&self) -> bool {
        !self.host().version().starts_with("3.4.")
    }

    /// The servers.
    pub fn host(&self) -> &dyn Host {
        &*self.world.host
    }

    /// Where clients reach the members.
    pub fn urls(&self) -> Vec<String> {
        self.host().urls()
    }

    /// Where clients reach the first member.
    pub fn url(&self) -> String {
        self.urls().swap_remove(0)
    }

    /// Does something slow to the servers while the case goes on.
    ///
    /// Then it waits: libcurl checks once a second whether a connection that it keeps is still open. A write on a
    /// connection that is not fails as interrupted, which is correct, and not what these cases are about.
    pub async fn meanwhile<O: Send + 'static>(
        &self,
        work: impl FnOnce(&dyn Host) -> O + Send + 'static,
    ) -> O {
        if !self.host().is_slow() {
            return work(self.host());
        }
        let host = Arc::clone(&self.world.host);
        let (done, result) = oneshot::channel();
        thread::spawn(move || {
            // If the case has failed, nothing receives the result.
            let _ = done.send(work(&*host));
        });
        let result = result.await.expect("the work panicked");
        self.sleep(1_200).await;
        result
    }
}

/// Settings for any client of a case: what a backend sets is set here.
fn builder<T: Transport>(
    world: &World<T>,
    urls: impl IntoIterator<Item = impl AsRef<str>>,
) -> ClientBuilder<T> {
    Client::builder((world.transport)())
        .endpoints(urls)
        .protocol(world.protocol)
}

impl<T> Deref for Etcd<T> {
    type Target = Client<T>;

    fn deref(&self) -> &Client<T> {
        &self.client
    }
}

/// The error that etcd responded with: kind, code and cause.
#[track_caller]
pub fn refusal<O: std::fmt::Debug>(
    result: Result<O, Error>,
) -> (EtcdErrorKind, Option<u32>, String) {
    let error = result.unwrap_err();
    let Some(etcd) = error.as_etcd() else {
        panic!("not etcd's own error: {error:?}");
    };
    (
        etcd.kind(),
        etcd.code().map(EtcdCode::number),
        etcd.cause().to_owned(),
    )
}
