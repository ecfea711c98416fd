use etcd_transport::Transport;
use futures::stream::BoxStream;

use crate::{client::Client, error::Result, pipeline::exchange::TypedExchange};

/// One etcd operation as a value: its options, and the type of its output. [`Client::send`] executes it.
///
/// Sealed: it can be named in bounds, but only this crate implements it.
pub trait Operation: TypedExchange<Decoded = <Self as Operation>::Output> {
    /// What the operation returns.
    type Output: Send;

    /// The operation's name in errors: `"v2.keys.set"`.
    const NAME: &'static str;
}

/// An operation with a stream of responses. [`Client::open`] opens it; dropping the stream ends it.
///
/// Sealed: it can be named in bounds, but only this crate implements it.
pub trait StreamOperation: sealed::Sealed + Send + 'static {
    /// The items of the stream.
    type Item: Send + 'static;

    /// The operation's name in errors: `"v2.keys.watch"`.
    const NAME: &'static str;

    /// Creates the stream. Nothing is sent before it is first polled.
    fn open<T: Transport>(self, client: &Client<T>) -> BoxStream<'static, Result<Self::Item>>;
}

pub(crate) mod sealed {
    pub trait Sealed {}
}
