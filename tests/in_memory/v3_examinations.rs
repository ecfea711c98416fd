//! Many calls at an endpoint that does not respond: they wait for its examination together, and leave it together.

use std::time::Duration;

use etcd_http::{
    Client, Outcome, RetryPolicy,
    fake::{FakeEtcd, Fault, When},
    transport::Transport,
    v3::Watch,
};
use futures::{StreamExt, future::join_all};

use crate::support::{block_on, jumping, millis, seconds};

const COUNT: usize = 20;

/// How long an examination takes that is not answered.
const LIMIT: Duration = seconds(2);

/// A cluster whose first endpoint is silent, and a client whose calls find out the protocol.
fn silent(members: usize) -> (FakeEtcd, Client<FakeEtcd>) {
    let etcd = jumping().members(members).build();
    etcd.inject(When::any().endpoint(0), Fault::silence());
    let client = Client::builder(etcd.clone()).endpoints(etcd.endpoints());
    let client = client.timeout(LIMIT).build().unwrap();
    (etcd, client)
}

/// Runs calls that begin one after the other, and returns when the last one has ended.
fn run<F: Future>(etcd: &FakeEtcd, gap: Duration, call: impl Fn(usize) -> F) -> Duration {
    let calls = (0..COUNT).map(|number| {
        let call = call(number);
        let begin = gap * u32::try_from(number).unwrap();
        async move {
            etcd.sleep(begin).await;
            call.await
        }
    });
    block_on(join_all(calls));
    etcd.elapsed()
}

#[test]
fn writes_leave_an_endpoint_that_is_silent_after_one_examination() {
    for gap in [0, 10] {
        let (etcd, client) = silent(2);
        let kv = client.v3().kv();
        let put = |number| {
            let put = kv.put(format!("{number}"), "v");
            async { put.await.unwrap() }
        };
        assert_eq!(run(&etcd, millis(gap), put), LIMIT, "{gap}");
        etcd.assert_count(&When::any().endpoint(0), 1);
    }
}

#[test]
fn watches_leave_an_endpoint_that_is_silent_after_one_examination() {
    for gap in [0, 10] {
        let (etcd, client) = silent(2);
        etcd.put("k", "v");
        let watch = |_| {
            let mut watch = client.open(Watch::new("k").from_revision(2));
            async move { watch.next().await.unwrap().unwrap() }
        };
        assert_eq!(run(&etcd, millis(gap), watch), LIMIT, "{gap}");
        etcd.assert_count(&When::any().endpoint(0), 1);
    }
}

/// An examination that had begun before says nothing about now, but one that began since then does.
#[test]
fn the_only_endpoint_is_examined_again_for_the_calls_that_came_meanwhile() {
    for gap in [0, 10] {
        let (etcd, client) = silent(1);
        let client = client.with_retry(RetryPolicy::never());
        let kv = client.v3().kv();
        let put = |number| {
            let put = kv.put(format!("{number}"), "v");
            async {
                let error = put.await.unwrap_err();
                assert_eq!(error.outcome(), Outcome::NotSent, "{error}");
            }
        };
        assert_eq!(run(&etcd, millis(gap), put), LIMIT * 2, "{gap}");
        etcd.assert_count(&When::any(), 2);
    }
}
