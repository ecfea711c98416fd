//! An outage does not multiply load: retries are a share of successes, calls have a limit, and circuits are visible.

use std::{pin::pin, time::Duration};

use etcd_http::{
    Circuit, Client, ClientBuilder, Error, Outcome, RetryBudget, RetryPolicy,
    fake::{FakeEtcd, Fault, When},
    transport::Transport,
    v2,
    v3::{Lock, Put},
};
use futures::{
    future::{Either, join_all, select},
    poll,
};

use harness::{
    clock::block_on,
    scripted_transport::{Ending, ScriptedTransport, Step, file, keys},
};

use crate::support::jumping;

fn ok() -> Step {
    keys(200, 7, file("set", "/x", 7))
}

fn builder(steps: impl IntoIterator<Item = Step>) -> ClientBuilder<ScriptedTransport> {
    Client::builder(ScriptedTransport::new(steps)).endpoints(["http://a", "http://b"])
}

fn unavailable() -> Step {
    keys(503, 0, "busy")
}

fn get(client: &Client<ScriptedTransport>) -> Result<(), Error> {
    block_on(client.v2().get("x")).map(drop)
}

fn sent(client: &Client<ScriptedTransport>) -> usize {
    client.transport().seen().len()
}

#[test]
fn a_budget_that_is_used_up_leaves_each_call_one_attempt() {
    let client = builder((0..100).map(|_| unavailable()))
        .retry_budget(RetryBudget::new(10, 0.1))
        .build()
        .unwrap();
    // Ten tokens: four failed attempts are repeated, and the fifth is not.
    assert_eq!(client.retry_tokens(), Some(10.0));
    get(&client).unwrap_err();
    assert_eq!(sent(&client), 5);
    for call in 1..=20 {
        get(&client).unwrap_err();
        assert_eq!(sent(&client), 5 + call);
    }
    assert_eq!(client.retry_tokens(), Some(0.0));
}

/// A 500 comes from raft, and every member would return it: it is work for each of them.
#[test]
fn the_budget_is_for_any_status_of_a_server_that_cannot_serve() {
    for status in [500, 502, 503, 504] {
        let client = builder((0..100).map(|_| keys(status, 0, "busy")))
            .retry_budget(RetryBudget::new(2, 0.001))
            .build()
            .unwrap();
        for call in 1..=10 {
            get(&client).unwrap_err();
            assert_eq!(sent(&client), call, "{status}");
        }
        assert_eq!(client.retry_tokens(), Some(0.0), "{status}");
    }
}

#[test]
fn reads_without_a_quorum_are_not_multiplied() {
    let etcd = jumping().members(3).log_capacity(1000).build();
    let client = Client::builder(etcd.clone()).endpoints(etcd.endpoints());
    let client = client.retry_budget(RetryBudget::new(2, 0.001));
    let client = client.build().unwrap();
    block_on_fake(async {
        client.v2().set("/a", "1").await.unwrap();
        etcd.lose_quorum();
        etcd.clear_log();
        for _ in 0..10 {
            let read = client.send(v2::Get::new("/a").quorum(true));
            read.await.unwrap_err();
        }
    });
    // The first one was sent to another endpoint as well, after some silence.
    assert_eq!(etcd.log().len(), 11);
    assert_eq!(client.retry_tokens(), Some(0.0));
}

/// A write is not sent again, but the server that does not respond is in trouble.
#[test]
fn a_failed_attempt_takes_a_token_whether_it_may_be_repeated_or_not() {
    let client = builder((0..100).map(|_| Step::Break))
        .retry_budget(RetryBudget::new(20, 0.1))
        .build()
        .unwrap();
    for _ in 0..15 {
        let write = block_on(client.v2().set("x", "1"));
        assert_eq!(write.unwrap_err().outcome(), Outcome::Unknown);
    }
    assert_eq!((sent(&client), client.retry_tokens()), (15, Some(5.0)));
}

/// Another endpoint, or nobody, serves such calls: this is no outage.
#[test]
fn what_an_endpoint_does_not_serve_takes_no_token() {
    let page = || Step::Respond(404, vec![], Ending::Whole("<html>".to_owned()));
    let client = builder((0..10).flat_map(|_| [page(), ok(), ok()]))
        .retry_budget(RetryBudget::new(2, 0.001))
        .build()
        .unwrap();
    for _ in 0..10 {
        let write = block_on(client.v2().set("x", "1"));
        write.unwrap();
    }
    assert_eq!(client.retry_tokens(), Some(2.0));
}

#[test]
fn successes_give_back_a_share_of_a_retry() {
    let steps = (0..6)
        .map(|_| unavailable())
        .chain((0..12).map(|_| ok()))
        .chain([unavailable(), ok()]);
    let client = builder(steps)
        .retry_budget(RetryBudget::new(4, 0.25))
        .build()
        .unwrap();
    // One attempt is repeated while more than two tokens are left.
    get(&client).unwrap_err();
    assert_eq!(sent(&client), 2);
    for _ in 0..4 {
        get(&client).unwrap_err();
    }
    assert_eq!((sent(&client), client.retry_tokens()), (6, Some(0.0)));
    for _ in 0..12 {
        get(&client).unwrap();
    }
    assert_eq!(client.retry_tokens(), Some(3.0));
    // It has three, and this takes one.
    get(&client).unwrap_err();
}

#[test]
fn moving_on_to_another_endpoint_is_free_where_nothing_was_sent() {
    let steps = (0..20).flat_map(|_| [Step::Refuse, ok()]);
    let client = builder(steps).retry_budget(RetryBudget::new(2, 0.001));
    let client = client.build().unwrap();
    get(&client).unwrap();
    assert_eq!(client.retry_tokens(), Some(2.0));
}

/// Each connection breaks: what is asked to find out the protocol costs, too, as it reaches a server.
#[test]
fn servers_whose_connections_break_are_not_asked_again_by_each_call() {
    let etcd = jumping().members(5).log_capacity(10_000).build();
    etcd.inject(When::any(), Fault::break_after());
    let client = Client::builder(etcd.clone()).endpoints(etcd.endpoints());
    let client = client.retry_budget(RetryBudget::new(2, 0.001));
    let client = client.build().unwrap();
    let kv = client.v3().kv();
    for _ in 0..3 {
        futures::executor::block_on(kv.get("a")).unwrap_err();
    }
    assert_eq!(client.retry_tokens(), Some(0.0));
    etcd.clear_log();
    futures::executor::block_on(kv.get("a")).unwrap_err();
    // The read, and three questions for the protocol: two by gRPC, one by the gateway.
    assert_eq!(etcd.log().len(), 4);
    etcd.clear_log();
    futures::executor::block_on(kv.put("a", "")).unwrap_err();
    assert_eq!(etcd.log().len(), 3);
}

/// A request that the server refuses unprocessed goes to another one, as after the end of a connection, once.
#[test]
fn what_servers_do_not_process_is_repeated_once() {
    let steps = (0..20).map(|_| Step::Unprocessed);
    let client = builder(steps).retry_budget(RetryBudget::new(2, 0.001));
    let client = client.build().unwrap();
    for call in 1..=4 {
        get(&client).unwrap_err();
        assert_eq!(sent(&client), 2 * call);
    }
}

#[test]
fn without_a_budget_each_call_is_retried_as_its_policy_says() {
    let client = builder((0..100).map(|_| unavailable())).build().unwrap();
    assert_eq!(client.retry_tokens(), None);
    for call in 1..=20 {
        get(&client).unwrap_err();
        assert_eq!(sent(&client), 5 * call);
    }
}

#[test]
fn a_circuit_opens_is_tried_again_and_closes() {
    let steps = [Step::Refuse, ok(), Step::Refuse, ok(), ok()];
    let transport = ScriptedTransport::new(steps);
    let client = Client::builder(transport).endpoints(["http://a"]);
    let client = client.retry(RetryPolicy::never()).build().unwrap();
    let circuit = || client.endpoints()[0].circuit;
    let words = || (circuit().as_str(), client.endpoints()[0].is_up);
    assert_eq!(circuit(), Circuit::Closed);
    get(&client).unwrap_err();
    let Circuit::Open {
        retry_in, failures, ..
    } = circuit()
    else {
        panic!("{:?}", circuit());
    };
    assert_eq!((failures, retry_in), (1, Duration::from_secs(1)));
    assert_eq!(words(), ("open", false));
    block_on(client.transport().sleep(Duration::from_secs(1)));
    assert_eq!(words(), ("half_open", true));
    get(&client).unwrap();
    assert_eq!(words(), ("closed", true));
}

fn limited(etcd: &FakeEtcd, calls: usize, waiting: usize) -> Client<FakeEtcd> {
    let builder = Client::builder(etcd.clone()).endpoints(etcd.endpoints());
    let builder = builder.max_concurrent_calls(calls, waiting);
    builder.retry(RetryPolicy::never()).build().unwrap()
}

fn fake() -> FakeEtcd {
    jumping().build()
}

#[test]
fn calls_over_the_limit_wait_and_those_over_the_queue_fail_at_once() {
    let etcd = fake();
    let client = limited(&etcd, 2, 3);
    block_on_fake(async {
        client.v3().kv().get("warm").await.unwrap();
        etcd.clear_log();
        etcd.inject(When::any(), Fault::delay(Duration::from_secs(1)));
        let puts = (0..7).map(|number| client.send(Put::new(format!("{number}"), "x")));
        let results = join_all(puts).await;
        let refused: Vec<_> = results.iter().filter_map(|it| it.as_ref().err()).collect();
        assert_eq!(refused.len(), 2);
        for error in refused {
            assert!(error.is_overloaded() && error.is_retryable(), "{error}");
            assert_eq!(error.outcome(), Outcome::NotSent);
            assert_eq!(
                error.to_string(),
                "v3.kv.put: the most calls are under way, and 3 wait in the queue, which is full: nothing was sent"
            );
        }
        // Two at a time.
        assert_eq!(etcd.elapsed(), Duration::from_secs(3));
        assert_eq!(etcd.log().len(), 5);
        // All places are free again.
        etcd.clear_faults();
        let more = (0..5).map(|_| client.send(Put::new("a", "x")));
        assert!(join_all(more).await.iter().all(Result::is_ok));
    });
}

#[test]
fn a_call_waits_no_longer_than_all_its_attempts_may_take() {
    let etcd = fake();
    let client = limited(&etcd, 1, 1);
    let overall = RetryPolicy::never().overall(Duration::from_secs(5));
    let hasty = client.with_retry(overall);
    block_on_fake(async {
        client.v3().kv().get("warm").await.unwrap();
        etcd.inject(When::any().once(), Fault::delay(Duration::from_secs(8)));
        let slow = client.send(Put::new("a", "x"));
        let mut slow = pin!(slow);
        assert!(poll!(&mut slow).is_pending());
        let error = match select(&mut slow, pin!(hasty.send(Put::new("b", "x")))).await {
            Either::Right((result, _)) => result.unwrap_err(),
            Either::Left(_) => panic!("the first is slow"),
        };
        assert!(error.is_overloaded(), "{error}");
        let text = error.to_string();
        assert!(text.contains("none has ended within 5s"), "{text}");
        slow.await.unwrap();
    });
    assert_eq!(etcd.elapsed(), Duration::from_secs(8));
}

#[test]
fn waits_for_something_to_happen_hold_up_no_call() {
    let etcd = fake();
    let client = limited(&etcd, 1, 0);
    block_on_fake(async {
        let first = client.v3().leases().grant(Duration::from_secs(60)).await;
        let second = client.v3().leases().grant(Duration::from_secs(60)).await;
        let key = client.v3().lock("a", first.unwrap().id).await.unwrap().key;
        let waiting = client.send(Lock::new("a", second.unwrap().id));
        let mut waiting = pin!(waiting);
        assert!(poll!(&mut waiting).is_pending());
        client.v3().unlock(key).await.unwrap();
        waiting.await.unwrap();
    });
}

#[test]
fn a_limit_without_calls_is_refused() {
    let error = builder([]).max_concurrent_calls(0, 5).build().unwrap_err();
    assert_eq!(error.to_string(), "client: at least one call is required");
}

fn block_on_fake<F: Future>(future: F) -> F::Output {
    futures::executor::block_on(future)
}
