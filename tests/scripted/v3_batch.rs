//! Many writes in several transactions.

use std::error::Error as _;

use etcd_http::{
    Client, EtcdErrorKind, Outcome,
    v3::{NonAtomicBatch, Put},
};
use futures::executor::block_on;
use harness::scripted_transport::{ScriptedTransport, Step, keys};

/// The response to a transaction with so many puts.
fn done(puts: usize) -> Step {
    let responses = vec![r#"{"response_put":{"header":{"revision":"5"}}}"#; puts].join(",");
    let header = r#""header":{"cluster_id":"7","revision":"5"}"#;
    let body = format!(r#"{{{header},"succeeded":true,"responses":[{responses}]}}"#);
    keys(200, 0, body)
}

fn puts(count: usize) -> NonAtomicBatch {
    NonAtomicBatch::new((0..count).map(|n| Put::new(format!("{n}"), "x")))
}

fn client(steps: impl IntoIterator<Item = Step>) -> Client<ScriptedTransport> {
    Client::new(ScriptedTransport::new(steps), ["http://a"]).unwrap()
}

#[test]
fn a_batch_is_written_in_several_transactions() {
    let client = client([done(128), done(128), done(44)]);
    let responses = block_on(puts(300).send(&client)).unwrap();
    assert_eq!(responses.len(), 300);
    assert_eq!(client.transport().seen(), vec!["POST a/v3/kv/txn"; 3]);
}

#[test]
fn a_batch_that_fails_tells_how_far_it_came() {
    let client = client([done(128), Step::Break, done(128), done(44)]);
    let failure = block_on(puts(300).send(&client)).unwrap_err();
    assert_eq!(failure.applied().len(), 128);
    assert_eq!(failure.rest().len(), 172);
    assert_eq!(failure.error().outcome(), Outcome::Unknown);
    let text = failure.to_string();
    assert!(
        text.starts_with(
            "128 of 300 operations are applied, and the next ones may be: v3.kv.txn at http://a: "
        ),
        "{text}"
    );
    assert!(failure.source().is_some());
    let (_, rest) = failure.into_parts();
    assert_eq!(block_on(rest.send(&client)).unwrap().len(), 172);
}

#[test]
fn nothing_of_a_batch_is_sent_if_an_operation_is_not_valid() {
    let client = client([]);
    let batch = NonAtomicBatch::new([Put::new("a", ""), Put::new("", "")]).max_operations(1);
    let failure = block_on(batch.send(&client)).unwrap_err();
    assert_eq!(failure.error().outcome(), Outcome::NotSent);
    assert_eq!((failure.applied().len(), failure.rest().len()), (0, 2));
}

#[test]
fn a_transaction_with_too_many_operations_is_of_the_kind_that_etcd_has_for_it() {
    let client = client([]);
    let txn = (0..129).fold(etcd_http::v3::Txn::new(), |txn, n| {
        txn.then(Put::new(format!("{n}"), ""))
    });
    let error = block_on(client.send(txn)).unwrap_err();
    assert_eq!(error.etcd_kind(), Some(EtcdErrorKind::TooManyOperations));
    assert_eq!(error.outcome(), Outcome::NotSent);
    assert!(error.as_etcd().is_none());
}
