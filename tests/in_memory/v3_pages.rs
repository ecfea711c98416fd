//! How many requests a listing of many keys makes, whatever its values take.

use std::pin::pin;

use etcd_http::{
    Client, Protocol,
    fake::FakeEtcd,
    recipes::Cache,
    v3::{KeyRange, KeyValue, RangeStream},
};
use futures::{StreamExt, TryStreamExt, future::select};

use crate::support::{block_on, jumping};

const KEYS: usize = 100_000;

fn keys() -> KeyRange {
    KeyRange::prefix("k/")
}

fn with_keys(count: usize) -> FakeEtcd {
    let etcd = jumping().build();
    for number in 0..count {
        etcd.put(format!("k/{number:06}"), "value");
    }
    etcd
}

async fn list(client: &Client<FakeEtcd>, read: RangeStream) -> Vec<KeyValue> {
    client.open(read).try_collect().await.unwrap()
}

/// The number of pages that were requested since the last call.
fn pages(etcd: &FakeEtcd) -> usize {
    let log = etcd.log();
    etcd.clear_log();
    let pages = log.iter().filter(|exchange| {
        let text = exchange.line();
        text.contains("/v3/kv/range") && text.contains("limit")
    });
    pages.count()
}

#[test]
fn pages_of_small_keys_grow_so_that_a_hundred_thousand_keys_take_fourteen() {
    let etcd = with_keys(KEYS);
    let client = crate::support::client(&etcd);
    block_on(async {
        pages(&etcd);
        let found = list(&client, RangeStream::new(keys())).await;
        assert!(found.is_sorted_by(|one, next| one.key < next.key));
        assert_eq!((found.len(), pages(&etcd)), (KEYS, 14));

        let mut mirror = client.v3().mirror(keys());
        mirror.next().await.unwrap();
        assert_eq!((mirror.len(), pages(&etcd)), (KEYS, 14));

        let decode = |kv: &KeyValue| kv.value_str().map(str::to_owned);
        let (cache, driver) = Cache::new(client.v3(), keys(), decode);
        let mut changes = cache.changes();
        select(changes.next(), pin!(driver)).await;
        assert_eq!((cache.snapshot().len(), pages(&etcd)), (KEYS, 14));

        // What is set is kept.
        let found = list(&client, RangeStream::new(keys()).page(5000)).await;
        assert_eq!((found.len(), pages(&etcd)), (KEYS, 20));
    });
}

#[test]
fn large_values_arrive_behind_many_small_ones() {
    const LARGE: usize = 400;
    let etcd = with_keys(20_000);
    for number in 0..LARGE {
        etcd.put(format!("k/large/{number}"), "x".repeat(20_000));
    }
    for protocol in [Protocol::Gateway, Protocol::Grpc] {
        let builder = Client::builder(etcd.clone()).endpoints(etcd.endpoints());
        let builder = builder.protocol(protocol);
        // As much as proxies pass on.
        let client = builder.max_response_size(4 << 20).build().unwrap();
        block_on(async {
            let found = list(&client, RangeStream::new(keys())).await;
            let large = found.iter().filter(|kv| kv.value.len() == 20_000);
            assert_eq!((found.len(), large.count()), (20_000 + LARGE, LARGE));
            let mut mirror = client.v3().mirror(keys());
            mirror.next().await.unwrap();
            assert!(mirror.iter().eq(found));
        });
    }
}
