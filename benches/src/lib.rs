//! Shared by the benchmarks: a server that costs almost nothing, and the contenders, each of which gets and sets a key.
//!
//! A bare contender is what a careful user would write over the HTTP stack alone: the same request, the same settings,
//! a time limit, a check of the status, and a response decoded by serde into a struct.

mod bare;
mod canned;

pub use bare::{BareHyper, BareIsahc, BareReqwest};
pub use canned::Canned;

use etcd_http::{Client, transport::Transport};
use futures::executor;

/// The key and the value of every benchmark.
pub const KEY: &str = "/bench/key";
/// Small, since the overhead is measured, not the transfer.
pub const VALUE: &str = "postgres://user@db.example.com:5432/app";

/// Gets and sets [`KEY`].
pub trait Contender {
    /// One read.
    fn get(&self) -> impl Future<Output = ()>;
    /// One write.
    fn set(&self) -> impl Future<Output = ()>;
}

impl<T: Transport> Contender for Client<T> {
    async fn get(&self) {
        let event = self.v2().get(KEY).await.expect("a response");
        assert_eq!(event.node.value.as_deref(), Some(VALUE));
    }

    async fn set(&self) {
        let event = self.v2().set(KEY, VALUE).await.expect("a response");
        assert_eq!(event.node.value.as_deref(), Some(VALUE));
    }
}

/// Runs the futures of both contenders of a stack.
pub trait Run {
    /// Runs a future to its end.
    fn run<F: Future>(&self, future: F) -> F::Output;
}

impl Run for tokio::runtime::Runtime {
    fn run<F: Future>(&self, future: F) -> F::Output {
        self.block_on(future)
    }
}

/// No runtime.
pub struct NoRuntime;

impl Run for NoRuntime {
    fn run<F: Future>(&self, future: F) -> F::Output {
        executor::block_on(future)
    }
}

/// A tokio runtime with one thread.
pub fn tokio() -> tokio::runtime::Runtime {
    let mut builder = ::tokio::runtime::Builder::new_current_thread();
    builder.enable_all().build().expect("a runtime")
}
