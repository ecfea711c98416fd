//! Calls that a version of etcd does not support are reported as such, not as "not found".

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering::Relaxed},
};

use etcd_http::{
    Client, Error, Outcome,
    transport::Transport,
    v3::{Downgrade, Put, Watch},
};
use futures::StreamExt;
use harness::{
    case::Etcd,
    cases,
    scripted_server::{ScriptedServer, answer},
};

cases! {
    Shared {
        v3_2_calls_that_3_4_does_not_have_are_unsupported,
        v3_2_an_unsupported_call_is_sent_to_a_server_once,
        an_endpoint_that_does_not_support_a_call_is_passed_over,
        a_stream_passes_over_an_endpoint_that_does_not_support_it,
        livez_and_readyz_are_unsupported_where_v2_is_on,
    }
}

#[track_caller]
fn assert_unsupported<O: std::fmt::Debug>(result: Result<O, Error>) {
    assert_unsupported_with(result, Outcome::Rejected);
}

/// Unsupported; rejected by a server, or not sent.
#[track_caller]
fn assert_unsupported_with<O: std::fmt::Debug>(result: Result<O, Error>, outcome: Outcome) {
    let error = result.unwrap_err();
    assert!(matches!(error, Error::Unsupported(_)), "{error:?}");
    assert_eq!(error.outcome(), outcome);
}

/// A server that responds to every call that it does not support it, as etcd 3.4 does.
fn unsupporting() -> ScriptedServer {
    ScriptedServer::always(answer(
        "404 Not Found",
        "text/plain; charset=utf-8",
        "Not Found\n",
    ))
}

async fn v3_2_calls_that_3_4_does_not_have_are_unsupported<T: Transport>(etcd: Etcd<T>) {
    let v3 = etcd.v3();
    if etcd.is_3_5() {
        v3.auth().get_status().await.unwrap();
        v3.maintenance().get_hash_kv().await.unwrap();
        v3.maintenance()
            .downgrade(Downgrade::validate("3.4.0"))
            .await
            .unwrap();
        return;
    }
    assert_unsupported(v3.auth().get_status().await);
    assert_unsupported(v3.maintenance().get_hash_kv().await);
    assert_unsupported(v3.maintenance().downgrade(Downgrade::cancel()).await);
}

async fn v3_2_an_unsupported_call_is_sent_to_a_server_once<T: Transport>(etcd: Etcd<T>) {
    let attempts = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&attempts);
    let client = etcd.client(|builder| {
        builder.observe(move |_| {
            counter.fetch_add(1, Relaxed);
        })
    });
    if etcd.is_3_5() {
        for _ in 0..3 {
            client.v3().auth().get_status().await.unwrap();
        }
        return assert_eq!(attempts.load(Relaxed), 3);
    }
    assert_unsupported_with(client.v3().auth().get_status().await, Outcome::Rejected);
    for _ in 0..3 {
        assert_unsupported_with(client.v3().auth().get_status().await, Outcome::NotSent);
    }
    assert_eq!(attempts.load(Relaxed), 1);
    assert_unsupported_with(
        client.v3().maintenance().get_hash_kv().await,
        Outcome::Rejected,
    );
    client.v3().kv().get(etcd.key("a")).await.unwrap();
    assert_eq!(attempts.load(Relaxed), 3);
}

/// A client whose first endpoint supports nothing, and whose second is etcd.
fn beside<T: Transport>(etcd: &Etcd<T>, first: &ScriptedServer) -> Client<T> {
    let builder = etcd.builder_of(first.url());
    builder.endpoints(etcd.urls()).build().unwrap()
}

async fn an_endpoint_that_does_not_support_a_call_is_passed_over<T: Transport>(etcd: Etcd<T>) {
    let first = unsupporting();
    let client = beside(&etcd, &first);
    let key = etcd.key("a");
    for _ in 0..3 {
        client.v3().kv().put(&*key, "1").await.unwrap();
    }
    let found = client.v3().kv().get(&*key).await.unwrap();
    assert_eq!(found.unwrap().version, 3, "each put was applied once");
    for outcome in [Outcome::Rejected, Outcome::NotSent] {
        let hash = client.v3().maintenance().get_hash_kv().await;
        if etcd.is_3_5() {
            hash.unwrap();
        } else {
            assert_unsupported_with(hash, outcome);
        }
    }
    let asked = ["kv/put", "kv/range", "maintenance/hashkv"];
    assert_eq!(
        first.requests(),
        asked.map(|call| format!("POST /v3/{call}"))
    );
}

async fn a_stream_passes_over_an_endpoint_that_does_not_support_it<T: Transport>(etcd: Etcd<T>) {
    let first = unsupporting();
    let client = beside(&etcd, &first);
    let key = etcd.key("a");
    let put = etcd.send(Put::new(&*key, "1")).await.unwrap();
    let revision = put.header.revision;
    for _ in 0..2 {
        let mut watch = client.open(Watch::new(&*key).from_revision(revision));
        assert_eq!(watch.next().await.unwrap().unwrap().revision, revision);
    }
    assert_eq!(first.requests(), ["POST /v3/watch"]);
}

async fn livez_and_readyz_are_unsupported_where_v2_is_on<T: Transport>(etcd: Etcd<T>) {
    assert_unsupported(etcd.livez().await);
    assert_unsupported(etcd.readyz().await);
}
