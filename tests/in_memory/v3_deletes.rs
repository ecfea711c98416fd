//! Deletes of ranges.

use etcd_http::{
    Client, Error, Outcome, Protocol,
    fake::FakeEtcd,
    v3::{DeleteRange, KeyRange, NonAtomicBatch, Put, Txn},
};

use crate::support::block_on;

/// A prefix that was computed may be empty by mistake.
#[test]
fn a_delete_of_an_empty_prefix_is_refused_and_one_of_all_keys_is_not() {
    for protocol in [Protocol::Gateway, Protocol::Grpc] {
        let etcd = FakeEtcd::new();
        let client = Client::builder(etcd.clone()).endpoints(etcd.endpoints());
        let client = client.protocol(protocol).build().unwrap();
        block_on(async {
            let kv = client.v3().kv();
            kv.put("a", "1").await.unwrap();
            let tenant = client.v3().namespace("t/");
            tenant.kv().put("b", "1").await.unwrap();

            let empty = || DeleteRange::new(KeyRange::prefix(""));
            let nested = Txn::new().otherwise(Txn::new().then(empty()));
            let batch = NonAtomicBatch::new([empty()]).send(&client).await;
            for refused in [
                kv.delete(KeyRange::prefix("")).await.map(drop),
                client.send(empty()).await.map(drop),
                kv.txn(Txn::new().then(empty())).await.map(drop),
                kv.txn(nested).await.map(drop),
                kv.exactly_once("m", Txn::new().then(empty()))
                    .await
                    .map(drop),
                batch.map(drop).map_err(|failure| failure.into_parts().0),
                tenant.kv().delete(KeyRange::prefix("")).await.map(drop),
            ] {
                let error = refused.unwrap_err();
                assert!(matches!(error, Error::Invalid(_)), "{error}");
                assert_eq!(error.outcome(), Outcome::NotSent);
                let text = error.to_string();
                assert!(text.contains("use `KeyRange::all()`"), "{text}");
            }
            // Reads and counts of it are what they were.
            assert_eq!(kv.count(KeyRange::prefix("")).await.unwrap(), 2);

            tenant.kv().delete(KeyRange::all()).await.unwrap();
            assert_eq!(kv.count(KeyRange::all()).await.unwrap(), 1);
            client.send(Put::new("c", "1")).await.unwrap();
            assert_eq!(kv.delete(KeyRange::all()).await.unwrap().deleted, 2);
        });
    }
}
