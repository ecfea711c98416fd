//! The clients: etcd-http over its transports, and the crate etcd-client.

use etcd_client::{self as tonic, GetOptions};
use etcd_http::{
    Client,
    hyper::HyperTransport,
    reqwest::ReqwestTransport,
    transport::Transport,
    v3::{Compare, KeepAliveOnce, KeyRange, Put, Range, Txn, Watch},
};
use futures::{
    StreamExt,
    stream::{self, BoxStream},
};

use crate::{BATCH, LIST, LISTED};

/// What is measured, as one caller does it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Operation {
    Put,
    Get,
    /// A transaction that writes a key if it has a value.
    Cas,
    SerializableGet,
    /// A transaction of [`BATCH`] puts.
    Batch,
    /// A thousand keys.
    List,
}

/// An operation with its key, and the value that is written or expected there.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Call<'a> {
    pub(crate) operation: Operation,
    pub(crate) key: &'a str,
    pub(crate) value: &'static str,
}

impl Call<'_> {
    /// The keys of a batch.
    pub(crate) fn keys(self) -> impl Iterator<Item = String> {
        (0..BATCH).map(move |number| format!("{}/{number:02}", self.key))
    }
}

/// A client of etcd by gRPC. Each caller has a clone.
pub(crate) trait Contender: Clone + Send + 'static {
    const NAME: &'static str;

    fn connect(url: &str) -> impl Future<Output = Self>;

    /// Executes an operation, and checks the response.
    fn run(&mut self, call: Call<'_>) -> impl Future<Output = ()> + Send;
}

/// A contender that keeps leases.
pub(crate) trait Keeper: Contender {
    /// Renews all leases so often, each time after the responses to the last one.
    fn renew(&mut self, leases: &[i64], times: usize) -> impl Future<Output = ()> + Send;
}

/// A contender that watches.
pub(crate) trait Watcher: Contender {
    /// Opens a watch of a key: each item is a response with events.
    fn watch(&self, key: &str) -> impl Future<Output = BoxStream<'static, ()>>;
}

/// etcd-http over a transport.
pub(crate) trait Ours: Transport + Default {
    const NAME: &'static str;
}

impl Ours for HyperTransport {
    const NAME: &'static str = "etcd-http, hyper";
}

impl Ours for ReqwestTransport {
    const NAME: &'static str = "etcd-http, reqwest";
}

impl<T: Ours> Contender for Client<T> {
    const NAME: &'static str = T::NAME;

    async fn connect(url: &str) -> Self {
        Self::connect([url]).expect("a client")
    }

    async fn run(&mut self, call: Call<'_>) {
        let Call {
            operation,
            key,
            value,
        } = call;
        match operation {
            Operation::Put => {
                let response = self.send(Put::new(key, value)).await.expect("a response");
                assert!(response.header.revision > 0);
            }
            Operation::Get | Operation::SerializableGet => {
                let is_serializable = operation == Operation::SerializableGet;
                let range = Range::new(key).serializable(is_serializable);
                let response = self.send(range).await.expect("a response");
                assert_eq!(response.kvs[0].value, value);
            }
            Operation::Cas => {
                let txn = Txn::new()
                    .when(Compare::value(key).equal(value))
                    .then(Put::new(key, value));
                assert!(self.send(txn).await.expect("a response").succeeded);
            }
            Operation::Batch => {
                let puts = call.keys().map(|key| Put::new(key, value));
                let txn = puts.fold(Txn::new(), Txn::then);
                assert!(self.send(txn).await.expect("a response").succeeded);
            }
            Operation::List => {
                let range = Range::new(KeyRange::prefix(LIST));
                let response = self.send(range).await.expect("a response");
                assert_eq!(response.kvs.len(), LISTED);
            }
        }
    }
}

impl<T: Ours> Keeper for Client<T> {
    /// A call each time, with all leases.
    async fn renew(&mut self, leases: &[i64], times: usize) {
        for _ in 0..times {
            let renewals = KeepAliveOnce::all(leases.iter().copied());
            let renewed = self.send(renewals).await.expect("a response");
            assert!(renewed.iter().all(|renewed| renewed.ttl.is_some()));
        }
    }
}

impl<T: Ours> Watcher for Client<T> {
    async fn watch(&self, key: &str) -> BoxStream<'static, ()> {
        let changes = self.open(Watch::new(key));
        changes
            .map(|changes| assert!(!changes.expect("changes").events.is_empty()))
            .boxed()
    }
}

impl Contender for tonic::Client {
    const NAME: &'static str = "etcd-client";

    async fn connect(url: &str) -> Self {
        Self::connect([url], None).await.expect("a client")
    }

    async fn run(&mut self, call: Call<'_>) {
        let Call {
            operation,
            key,
            value,
        } = call;
        match operation {
            Operation::Put => {
                let response = self.put(key, value, None).await.expect("a response");
                assert!(response.header().expect("a header").revision() > 0);
            }
            Operation::Get | Operation::SerializableGet => {
                let options = (operation == Operation::SerializableGet)
                    .then(|| GetOptions::new().with_serializable());
                let response = self.get(key, options).await.expect("a response");
                assert_eq!(response.kvs()[0].value(), value.as_bytes());
            }
            Operation::Cas => {
                let has_value = tonic::Compare::value(key, tonic::CompareOp::Equal, value);
                let txn = tonic::Txn::new()
                    .when([has_value])
                    .and_then([tonic::TxnOp::put(key, value, None)]);
                assert!(self.txn(txn).await.expect("a response").succeeded());
            }
            Operation::Batch => {
                let puts = call.keys().map(|key| tonic::TxnOp::put(key, value, None));
                let txn = tonic::Txn::new().and_then(puts.collect::<Vec<_>>());
                assert!(self.txn(txn).await.expect("a response").succeeded());
            }
            Operation::List => {
                let options = Some(GetOptions::new().with_prefix());
                let response = self.get(LIST, options).await.expect("a response");
                assert_eq!(response.kvs().len(), LISTED);
            }
        }
    }
}

impl Keeper for tonic::Client {
    /// A stream for each lease, which is opened by its first renewal.
    async fn renew(&mut self, leases: &[i64], times: usize) {
        let mut streams = Vec::with_capacity(leases.len());
        for &lease in leases {
            streams.push(self.lease_keep_alive(lease).await.expect("a stream"));
        }
        for _ in 1..times {
            for (keeper, _) in &mut streams {
                keeper.keep_alive().await.expect("a stream");
            }
            for (_, renewed) in &mut streams {
                let response = renewed.message().await.expect("a response");
                assert!(response.expect("a response").ttl() > 0);
            }
        }
    }
}

impl Watcher for tonic::Client {
    async fn watch(&self, key: &str) -> BoxStream<'static, ()> {
        let watch = tonic::Client::watch(&mut self.clone(), key, None).await;
        let watch = watch.expect("a watch");
        let events = stream::unfold(watch, async |mut watch| {
            let response = watch.message().await.expect("a response")?;
            Some((!response.events().is_empty(), watch))
        });
        events
            .filter_map(async |has_events| has_events.then_some(()))
            .boxed()
    }
}
