//! The fake with a clock that jumps, and every fault of a request.

use std::{future::Future, time::Duration};

use etcd_http::{
    Client, Protocol,
    fake::{Clock, FakeEtcd, FakeEtcdBuilder, Fault},
};

/// A fake whose clock jumps as soon as everything waits: for tasks that all run on one thread.
pub(crate) fn jumping() -> FakeEtcdBuilder {
    FakeEtcd::builder().clock(Clock::Auto {
        grace: Duration::ZERO,
    })
}

/// A client of all endpoints, by HTTP: faults and counts are of its requests.
pub(crate) fn client(etcd: &FakeEtcd) -> Client<FakeEtcd> {
    let client = Client::builder(etcd.clone()).endpoints(etcd.endpoints());
    client.protocol(Protocol::Gateway).build().unwrap()
}

pub(crate) fn block_on<F: Future>(future: F) -> F::Output {
    futures::executor::block_on(future)
}

pub(crate) const fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

pub(crate) const fn millis(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

/// A fault of a request: its name, the fault, and what the server sees.
#[derive(Clone, Debug)]
pub(crate) struct Misfortune {
    pub(crate) name: &'static str,
    pub(crate) fault: Fault,
    pub(crate) server: Server,
}

/// What the server sees of a request with a fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Server {
    /// Nothing, and the client knows this.
    DefinitelyNotAsked,
    /// Nothing.
    NotAsked,
    /// The complete request.
    Asked,
}

/// Every way in which a response can be lost, late, or replaced by a temporary error.
pub(crate) fn misfortunes() -> Vec<Misfortune> {
    use Server::{Asked, DefinitelyNotAsked, NotAsked};
    [
        ("refused", Fault::refuse(), DefinitelyNotAsked),
        ("broken before", Fault::break_before(), NotAsked),
        ("broken after", Fault::break_after(), Asked),
        ("broken before the body", Fault::break_body(0), Asked),
        ("broken in the body", Fault::break_body(30), Asked),
        ("silent", Fault::silence(), NotAsked),
        ("silent after", Fault::silence_after(), Asked),
        ("silent before the body", Fault::silence_body(0), Asked),
        ("silent in the body", Fault::silence_body(30), Asked),
        ("late", Fault::delay(seconds(3)), Asked),
        ("answered late", Fault::delay_response(seconds(3)), Asked),
        (
            "answered too late",
            Fault::delay_response(seconds(60)),
            Asked,
        ),
        ("500", Fault::status(500), NotAsked),
        ("502", Fault::html(502), NotAsked),
        ("503", Fault::html(503), NotAsked),
        ("504", Fault::status(504), NotAsked),
        ("504 after", respond_after(504), Asked),
    ]
    .map(|(name, fault, server)| Misfortune {
        name,
        fault,
        server,
    })
    .into()
}

/// A proxy that gave up, while the server did not.
fn respond_after(status: u16) -> Fault {
    let mut response = etcd_http::transport::http::Response::new(Vec::new());
    *response.status_mut() = status.try_into().unwrap();
    Fault::respond_after(response)
}
