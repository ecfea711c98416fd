//! The token of a client: fetched, sent, renewed.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering::Relaxed},
};

use etcd_http::{Client, EtcdErrorKind, transport::Transport};
use futures::future::join_all;
use harness::{case::Etcd, cases_and_grpc};

use crate::{auth::enable, refused};

cases_and_grpc! {
    any {
        Alone {
            r_60_one_token_is_fetched_for_all_who_wait,
            r_12_a_token_that_is_lost_is_renewed_for_reads_and_writes,
            v3_113_a_token_that_a_new_password_ended_is_renewed,
            v3_115_a_client_with_a_user_works_where_authentication_is_off,
            t_13_a_wrong_password_is_final,
            a_client_with_two_users_shows_each_api_its_own,
        }
    }
    http {
        Alone {
            t_13_a_wrong_password_is_found_out_once_for_all_who_wait,
        }
    }
}

/// A client that is root, and how often it asked for a token.
fn counting<T: Transport>(etcd: &Etcd<T>, password: &str) -> (Client<T>, Arc<AtomicUsize>) {
    let tokens = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&tokens);
    let client = etcd.client(|builder| {
        builder.v3_auth("root", password).observe(move |attempt| {
            if attempt.operation == "v3.auth.authenticate" {
                counter.fetch_add(1, Relaxed);
            }
        })
    });
    (client, tokens)
}

async fn r_60_one_token_is_fetched_for_all_who_wait<T: Transport>(etcd: Etcd<T>) {
    enable(&etcd).await;
    let (client, tokens) = counting(&etcd, "r");
    let kv = client.v3().kv();
    let answers = join_all((0..50).map(|n| kv.put(format!("{n}"), "x"))).await;
    assert!(answers.iter().all(Result::is_ok));
    assert_eq!(tokens.load(Relaxed), 1);
}

async fn r_12_a_token_that_is_lost_is_renewed_for_reads_and_writes<T: Transport>(etcd: Etcd<T>) {
    enable(&etcd).await;
    let (client, tokens) = counting(&etcd, "r");
    client.v3().kv().put("a", "1").await.unwrap();
    // A server forgets its tokens.
    etcd.meanwhile(|server| server.restart()).await;
    client.v3().kv().put("a", "2").await.unwrap();
    assert_eq!(tokens.load(Relaxed), 2);
    etcd.meanwhile(|server| server.restart()).await;
    let kv = client.v3().kv();
    let found = join_all((0..20).map(|_| kv.get("a"))).await;
    for kv in found {
        let kv = kv.unwrap().unwrap();
        assert_eq!((kv.version, &kv.value[..]), (2, &b"2"[..]));
    }
    assert_eq!(tokens.load(Relaxed), 3);
}

async fn v3_113_a_token_that_a_new_password_ended_is_renewed<T: Transport>(etcd: Etcd<T>) {
    let root = enable(&etcd).await;
    let (client, tokens) = counting(&etcd, "r");
    client.v3().kv().put("a", "1").await.unwrap();
    root.v3().auth().change_password("root", "r").await.unwrap();
    client.v3().kv().put("a", "2").await.unwrap();
    client.v3().leases().list().await.unwrap();
    assert_eq!(tokens.load(Relaxed), 2);
}

async fn v3_115_a_client_with_a_user_works_where_authentication_is_off<T: Transport>(
    etcd: Etcd<T>,
) {
    let (client, tokens) = counting(&etcd, "r");
    client.v3().kv().put("a", "1").await.unwrap();
    client.v3().kv().put("a", "2").await.unwrap();
    assert_eq!(tokens.load(Relaxed), 1, "\"not enabled\" is cached, too");
    let root = enable(&etcd).await;
    client.v3().kv().put("a", "3").await.unwrap();
    root.v3().auth().disable().await.unwrap();
    client.v3().kv().put("a", "4").await.unwrap();
    client.v3().kv().get("a").await.unwrap();
}

async fn t_13_a_wrong_password_is_final<T: Transport>(etcd: Etcd<T>) {
    enable(&etcd).await;
    let (client, tokens) = counting(&etcd, "wrong");
    let error = client.v3().kv().put("a", "1").await;
    assert_eq!(refused(error), EtcdErrorKind::AuthenticationFailed);
    assert_eq!(tokens.load(Relaxed), 1);
}

async fn t_13_a_wrong_password_is_found_out_once_for_all_who_wait<T: Transport>(etcd: Etcd<T>) {
    enable(&etcd).await;
    let (client, tokens) = counting(&etcd, "wrong");
    let kv = client.v3().kv();
    for round in 1..3 {
        for answer in join_all((0..100).map(|n| kv.put(format!("{n}"), "x"))).await {
            assert_eq!(refused(answer), EtcdErrorKind::AuthenticationFailed);
        }
        assert_eq!(tokens.load(Relaxed), round);
    }
}

async fn a_client_with_two_users_shows_each_api_its_own<T: Transport>(etcd: Etcd<T>) {
    enable(&etcd).await;
    let client = etcd.client(|builder| builder.basic_auth("v2", "x").v3_auth("root", "r"));
    client.v3().kv().put("a", "1").await.unwrap();
    client.v2().set("/a", "1").await.unwrap();
    client.version().await.unwrap();
    client.health().await.unwrap();
}
