//! Shared by the benchmarks: a server that costs almost nothing, and the contenders, each of which reads and writes a key by the v2
//! API and by v3's JSON gateway.
//!
//! A bare contender is what a careful user would write over the HTTP stack alone: the same request, the same settings,
//! a time limit, a check of the status, and a response decoded by serde into a struct.

mod bare;
mod canned;
mod operation;

pub use bare::{BareHyper, BareIsahc, BareReqwest};
pub use canned::Canned;
pub use operation::Operation;

use etcd_http::{
    Client, Protocol,
    transport::Transport,
    v3::{Put, Range},
};
use futures::executor;

/// The key and the value of every benchmark.
pub const KEY: &str = "/bench/key";
/// Small, since the overhead is measured, not the transfer.
pub const VALUE: &str = "postgres://user@db.example.com:5432/app";

/// Reads and writes [`KEY`].
pub trait Contender {
    /// Executes an operation, and checks the response.
    fn run(&self, operation: Operation) -> impl Future<Output = ()>;
}

/// Returns a client that asks v3 by the JSON gateway, as the bare contenders do.
pub fn client<T: Transport + Default>(url: &str) -> Client<T> {
    let builder = Client::builder(T::default()).endpoints([url]);
    let builder = builder.protocol(Protocol::Gateway);
    builder.build().expect("a client")
}

impl<T: Transport> Contender for Client<T> {
    async fn run(&self, operation: Operation) {
        match operation {
            Operation::V2Get => {
                let event = self.v2().get(KEY).await.expect("a response");
                assert_eq!(event.node.value.as_deref(), Some(VALUE));
            }
            Operation::V2Set => {
                let event = self.v2().set(KEY, VALUE).await.expect("a response");
                assert_eq!(event.node.value.as_deref(), Some(VALUE));
            }
            Operation::V3Get => {
                let range = self.send(Range::new(KEY)).await.expect("a response");
                assert_eq!(range.kvs[0].value, VALUE);
            }
            Operation::V3Put => {
                let put = self.send(Put::new(KEY, VALUE)).await.expect("a response");
                assert!(put.header.revision > 0);
            }
        }
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
