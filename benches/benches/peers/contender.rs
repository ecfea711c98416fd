//! The clients: etcd-http over its transports, and the crate etcd-client.

use etcd_client::{self as tonic, GetOptions};
use etcd_http::{
    Client,
    hyper::HyperTransport,
    reqwest::ReqwestTransport,
    transport::Transport,
    v3::{Compare, KeyRange, Put, Range, Txn, Watch},
};
use futures::{
    StreamExt,
    stream::{self, BoxStream},
};

use crate::{LIST, LISTED, VALUE};

/// What is measured, as one caller does it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Operation {
    Put,
    Get,
    /// A transaction that writes a key if it has a value.
    Cas,
    SerializableGet,
    /// A thousand keys.
    List,
}

/// A client of etcd by gRPC. Each caller has a clone.
pub(crate) trait Contender: Clone + Send + 'static {
    const NAME: &'static str;

    fn connect(url: &str) -> impl Future<Output = Self>;

    /// Executes an operation, and checks the response.
    fn run(&mut self, operation: Operation, key: &str) -> impl Future<Output = ()> + Send;
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

    async fn run(&mut self, operation: Operation, key: &str) {
        match operation {
            Operation::Put => {
                let response = self.send(Put::new(key, VALUE)).await.expect("a response");
                assert!(response.header.revision > 0);
            }
            Operation::Get | Operation::SerializableGet => {
                let is_serializable = operation == Operation::SerializableGet;
                let range = Range::new(key).serializable(is_serializable);
                let response = self.send(range).await.expect("a response");
                assert_eq!(response.kvs[0].value, VALUE);
            }
            Operation::Cas => {
                let txn = Txn::new()
                    .when(Compare::value(key).equal(VALUE))
                    .then(Put::new(key, VALUE));
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

    async fn run(&mut self, operation: Operation, key: &str) {
        match operation {
            Operation::Put => {
                let response = self.put(key, VALUE, None).await.expect("a response");
                assert!(response.header().expect("a header").revision() > 0);
            }
            Operation::Get | Operation::SerializableGet => {
                let options = (operation == Operation::SerializableGet)
                    .then(|| GetOptions::new().with_serializable());
                let response = self.get(key, options).await.expect("a response");
                assert_eq!(response.kvs()[0].value(), VALUE.as_bytes());
            }
            Operation::Cas => {
                let has_value = tonic::Compare::value(key, tonic::CompareOp::Equal, VALUE);
                let txn = tonic::Txn::new()
                    .when([has_value])
                    .and_then([tonic::TxnOp::put(key, VALUE, None)]);
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
