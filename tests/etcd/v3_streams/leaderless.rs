//! Watches of a member that has lost the others.

use std::{
    pin::pin,
    time::{Duration, Instant},
};

use etcd_http::{
    EtcdErrorKind,
    server::Cluster,
    transport::Transport,
    v3::{Put, Watch},
};
use futures::{
    StreamExt,
    future::{Either, join, select},
};
use harness::{
    case::Etcd,
    cases_and_grpc,
    json_lines::JsonLines,
    raw_http::{post, with},
};

cases_and_grpc! {
    Nothing {
        v3_90_a_watch_that_needs_a_leader_is_ended_and_goes_on_and_another_is_silent,
    }
}

async fn v3_90_a_watch_that_needs_a_leader_is_ended_and_goes_on_and_another_is_silent<
    T: Transport,
>(
    etcd: Etcd<T>,
) {
    let cluster = Cluster::start(3).unwrap();
    let (left, lost) = cluster.members().split_first().unwrap();
    let client = etcd.client_of(left.client_url());
    let transport = etcd.transport();
    let request = || {
        let create = r#"{"create_request":{"key":"YQ=="}}"#;
        post(&left.client_url(), "/v3/watch", create)
    };
    let needing = || with(request(), "grpc-metadata-hasleader", "true");
    let mut ended = JsonLines::of(&transport, needing()).await.unwrap();
    let mut silent = JsonLines::of(&transport, request()).await.unwrap();
    // The first write of a cluster is revision 2.
    let watch = Watch::new("a").from_revision(2);
    let mut survivor = client.open(watch.clone());
    let mut careless = client.open(watch.require_leader(false));
    for lines in [&mut ended, &mut silent] {
        assert_eq!(lines.result().await["created"], true);
    }
    let write = client.send(Put::new("a", "before"));
    let first = join(survivor.next(), careless.next());
    let (first, written) = join(first, write).await;
    assert_eq!(written.unwrap().header.revision, 2);
    assert!(first.0.is_some_and(|it| it.is_ok()) && first.1.is_some_and(|it| it.is_ok()));
    for lines in [&mut ended, &mut silent] {
        assert!(lines.result().await["events"].is_array());
    }

    let began = Instant::now();
    for member in lost {
        member.pause().unwrap();
    }
    // After the time of three elections 3.5 sends the reason, and 3.4 ends the stream silently.
    if let Some(line) = ended.next().await {
        let error = &line.unwrap()["error"];
        assert_eq!(error["message"], "etcdserver: no leader");
        assert!(ended.next().await.is_none());
    }
    let said = began.elapsed();
    assert!(said > Duration::from_secs(2), "{said:?}");
    // And no other is begun.
    let refused = JsonLines::of(&transport, needing()).await.unwrap();
    assert_eq!(refused.status, 503);
    let short = Duration::from_secs(1);
    let mut given_up = client.open(Watch::new("a").from_revision(1).outage_limit(short));
    let error = given_up.next().await.unwrap().unwrap_err();
    assert_eq!(error.etcd_kind(), Some(EtcdErrorKind::NoLeader), "{error}");
    assert!(error.is_no_leader());
    let (line, silence) = (pin!(silent.next()), pin!(etcd.sleep(500)));
    assert!(matches!(select(line, silence).await, Either::Right(_)));

    for member in lost {
        member.resume().unwrap();
    }
    cluster.wait_healthy(Duration::from_secs(60)).unwrap();
    let writer = etcd.client_of(left.client_url());
    let put = writer.send(Put::new("a", "after")).await.unwrap();
    for watch in [&mut survivor, &mut careless] {
        let changes = watch.next().await.unwrap().unwrap();
        assert_eq!(changes.revision, put.header.revision);
    }
}
