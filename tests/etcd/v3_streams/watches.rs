//! Watches.

use std::pin::pin;

use etcd_http::{
    Client, Error, EtcdErrorKind,
    server::{Server, Version, install},
    transport::Transport,
    v3::{
        Changes, Compact, DeleteRange, EventKind, KeyRange, Permission, PermissionType, Put, Range,
        Txn, Watch, WatchSet,
    },
};
use futures::{
    StreamExt,
    future::{Either, join_all, select},
    stream::BoxStream,
};
use harness::{case::Etcd, cases_and_grpc};

cases_and_grpc! {
    any {
        Shared {
            a_watch_from_now_sees_what_comes_after,
            v3_77_puts_and_deletes_are_received_with_former_values,
            v3_78_a_transaction_arrives_whole_and_in_order,
            v3_79_history_arrives_revision_by_revision,
            v3_81_what_is_filtered_is_not_received,
            v3_82_a_revision_of_many_megabytes_arrives_whole,
            v3_74_a_watch_of_the_future_waits,
            a_set_tells_its_watches_apart,
            v3_73_a_watch_of_nothing_is_refused,
            a_slow_reader_loses_nothing,
            v3_70_71_a_hundred_watches_in_one_request,
        }
        Alone {
            v3_75_a_compacted_history_is_an_error,
            v3_80_former_values_are_received_unless_they_are_compacted,
            v3_89_a_watch_needs_the_permission_to_read,
            v3_91_a_watch_survives_the_restart_of_its_server,
            r_60_a_watch_survives_the_loss_of_its_token,
        }
    }
    http {
        Alone {
            v3_86_thirty_quiet_watches_that_are_dropped_leave_the_server,
        }
        Nothing {
            v3_65_a_server_compacts_its_history_by_itself,
            v3_85_progress_is_reported_where_nothing_happens,
        }
    }
}

type Stream = BoxStream<'static, Result<Changes, Error>>;

async fn put<T: Transport>(etcd: &Etcd<T>, name: &str, value: &str) -> i64 {
    etcd.send(Put::new(etcd.key(name), value))
        .await
        .unwrap()
        .header
        .revision
}

async fn next(stream: &mut Stream) -> Changes {
    stream.next().await.unwrap().unwrap()
}

/// Writes until a watch from now has begun, and has reported all that was written since. Returns these changes.
async fn put_until_reported<T: Transport>(etcd: &Etcd<T>, stream: &mut Stream) -> Vec<Changes> {
    let mut written = 0;
    let first = {
        let mut first = pin!(next(stream));
        loop {
            written = put(etcd, "a", "after").await.max(written);
            let moment = pin!(etcd.sleep(100));
            match select(first, moment).await {
                Either::Left((changes, _)) => break changes,
                Either::Right(((), waiting)) => first = waiting,
            }
        }
    };
    let mut all = vec![first];
    while all[all.len() - 1].revision < written {
        all.push(next(stream).await);
    }
    all
}

/// All keys of this case.
fn all<T: Transport>(etcd: &Etcd<T>) -> Watch {
    Watch::new(KeyRange::prefix(etcd.key("")))
}

async fn a_watch_from_now_sees_what_comes_after<T: Transport>(etcd: Etcd<T>) {
    put(&etcd, "a", "before").await;
    let mut stream = etcd.open(all(&etcd));
    for changes in put_until_reported(&etcd, &mut stream).await {
        assert_eq!(changes.events[0].kv.value, "after");
        assert!(changes.events[0].is_modify());
    }
}

async fn v3_77_puts_and_deletes_are_received_with_former_values<T: Transport>(etcd: Etcd<T>) {
    let first = put(&etcd, "a", "1").await;
    put(&etcd, "a", "2").await;
    let deleted = etcd.send(DeleteRange::new(etcd.key("a"))).await.unwrap();
    put(&etcd, "a", "3").await;
    let stream = etcd.open(all(&etcd).from_revision(first).prev_kv(true));
    let events: Vec<_> = stream
        .take(4)
        .map(|changes| changes.unwrap().events.remove(0))
        .collect()
        .await;
    let kinds: Vec<_> = events.iter().map(|event| event.kind).collect();
    assert_eq!(
        kinds,
        [
            EventKind::Put,
            EventKind::Put,
            EventKind::Delete,
            EventKind::Put
        ]
    );
    let creates: Vec<_> = events.iter().map(|event| event.is_create()).collect();
    assert_eq!(creates, [true, false, false, true]);
    let before: Vec<_> = events
        .iter()
        .map(|event| event.prev_kv.as_ref().map(|kv| kv.value.clone()))
        .collect();
    assert_eq!(before, [None, Some("1".into()), Some("2".into()), None]);
    assert_eq!(events[2].kv.value, "");
    assert_eq!(events[2].kv.mod_revision, deleted.header.revision);
}

async fn v3_78_a_transaction_arrives_whole_and_in_order<T: Transport>(etcd: Etcd<T>) {
    let first = put(&etcd, "k0", "x").await;
    let puts = (1..50)
        .rev()
        .map(|number| Put::new(etcd.key(format!("k{number}")), "x"));
    let ops = puts.fold(Txn::new(), |txn, put| txn.then(put));
    etcd.send(ops.then(DeleteRange::new(etcd.key("k0"))))
        .await
        .unwrap();
    let mut stream = etcd.open(all(&etcd).from_revision(first + 1));
    let changes = next(&mut stream).await;
    assert_eq!(changes.events.len(), 50);
    assert_eq!(*changes.events[0].key(), etcd.key("k49"));
    assert!(changes.events[49].is_delete());
}

async fn v3_79_history_arrives_revision_by_revision<T: Transport>(etcd: Etcd<T>) {
    let first = put(&etcd, "a", "0").await;
    for number in 1..20 {
        put(&etcd, "a", &number.to_string()).await;
    }
    let stream = etcd.open(all(&etcd).from_revision(first));
    let values: Vec<_> = stream
        .take(20)
        .map(|changes| {
            let changes = changes.unwrap();
            assert_eq!(changes.events.len(), 1);
            changes.events[0]
                .kv
                .value_str()
                .unwrap()
                .parse::<i32>()
                .unwrap()
        })
        .collect()
        .await;
    assert!(values.into_iter().eq(0..20));
}

async fn v3_80_former_values_are_received_unless_they_are_compacted<T: Transport>(etcd: Etcd<T>) {
    let created = put(&etcd, "a", "1").await;
    let changed = put(&etcd, "a", "2").await;
    let before = |changes: Changes| {
        let before = changes.events[0].prev_kv.as_ref();
        before.map(|kv| (kv.value.clone(), kv.mod_revision))
    };
    let mut stream = etcd.open(all(&etcd).from_revision(created).prev_kv(true));
    assert_eq!(before(next(&mut stream).await), None);
    assert_eq!(before(next(&mut stream).await), Some(("1".into(), created)));
    etcd.send(Compact::new(changed)).await.unwrap();
    let mut stream = etcd.open(all(&etcd).from_revision(changed).prev_kv(true));
    let changes = next(&mut stream).await;
    assert_eq!(changes.events[0].kv.value, "2");
    assert_eq!(before(changes), None);
}

async fn v3_81_what_is_filtered_is_not_received<T: Transport>(etcd: Etcd<T>) {
    let first = put(&etcd, "a", "1").await;
    etcd.send(DeleteRange::new(etcd.key("a"))).await.unwrap();
    put(&etcd, "a", "2").await;
    etcd.send(DeleteRange::new(etcd.key("a"))).await.unwrap();
    let deletes = etcd.open(all(&etcd).from_revision(first).without_puts());
    let deletes: Vec<_> = deletes
        .take(2)
        .map(|changes| changes.unwrap().events[0].is_delete())
        .collect()
        .await;
    assert_eq!(deletes, [true, true]);
    let puts = etcd.open(all(&etcd).from_revision(first).without_deletes());
    let puts: Vec<_> = puts
        .take(2)
        .map(|changes| changes.unwrap().events[0].is_create())
        .collect()
        .await;
    assert_eq!(puts, [true, true]);
}

async fn v3_82_a_revision_of_many_megabytes_arrives_whole<T: Transport>(etcd: Etcd<T>) {
    let value = "x".repeat(1_200_000);
    let mut first = 0;
    for number in 0..8 {
        first = put(&etcd, &format!("k{number}"), &value).await;
    }
    // One revision with 8 × 1.2 MB of previous values.
    etcd.send(DeleteRange::new(KeyRange::prefix(etcd.key("k"))))
        .await
        .unwrap();
    let end = put(&etcd, "end", "").await;
    let mut stream = etcd.open(all(&etcd).from_revision(first + 1).prev_kv(true));
    let changes = next(&mut stream).await;
    assert_eq!(changes.events.len(), 8);
    assert!(
        changes
            .events
            .iter()
            .all(|event| event.prev_kv.as_ref().unwrap().value == value)
    );
    assert_eq!(next(&mut stream).await.revision, end);
}

async fn v3_74_a_watch_of_the_future_waits<T: Transport>(etcd: Etcd<T>) {
    let now = put(&etcd, "a", "0").await;
    let mut stream = etcd.open(all(&etcd).from_revision(now + 1_000_000));
    let (early, ()) = futures::join!(
        async {
            etcd.sleep(800).await;
            futures::future::poll_immediate(stream.next())
                .await
                .is_some()
        },
        async {
            put(&etcd, "a", "1").await;
        }
    );
    assert!(!early);
}

async fn a_set_tells_its_watches_apart<T: Transport>(etcd: Etcd<T>) {
    let first = put(&etcd, "a", "1").await;
    put(&etcd, "b", "2").await;
    let set = WatchSet::new([
        Watch::new(etcd.key("b")).from_revision(first),
        Watch::new(etcd.key("a")).from_revision(first),
        Watch::new(KeyRange::between("b", "a")).from_revision(first),
    ]);
    let mut seen = Vec::new();
    let mut stream = etcd.open(set);
    while seen.len() < 3 {
        let item = stream.next().await.unwrap().unwrap();
        seen.push((
            item.watch,
            item.changes
                .map(|changes| changes.events[0].kv.value.clone())
                .ok(),
        ));
    }
    seen.sort();
    assert_eq!(
        seen,
        [(0, Some("2".into())), (1, Some("1".into())), (2, None)]
    );
}

async fn v3_73_a_watch_of_nothing_is_refused<T: Transport>(etcd: Etcd<T>) {
    let mut stream = etcd.open(Watch::new(KeyRange::between("b", "a")));
    let error = stream.next().await.unwrap().unwrap_err();
    assert_eq!(
        error.etcd_kind(),
        Some(EtcdErrorKind::EmptyWatchRange),
        "{error}"
    );
    assert!(stream.next().await.is_none());
}

async fn a_slow_reader_loses_nothing<T: Transport>(etcd: Etcd<T>) {
    let value = "x".repeat(100_000);
    let first = put(&etcd, "a", &value).await;
    let mut stream = etcd.open(all(&etcd).from_revision(first));
    next(&mut stream).await;
    for _ in 0..100 {
        put(&etcd, "a", &value).await;
    }
    let mut last = 0;
    for number in 0..100 {
        let changes = next(&mut stream).await;
        assert!(changes.revision > last);
        last = changes.revision;
        if number % 10 == 0 {
            etcd.sleep(50).await;
        }
    }
}

async fn v3_70_71_a_hundred_watches_in_one_request<T: Transport>(etcd: Etcd<T>) {
    let now = put(&etcd, "a", "").await;
    let watches = (0..100).map(|number| {
        let watch = Watch::new(etcd.key(format!("k{number}")));
        watch.from_revision(now + 1)
    });
    let mut stream = etcd.open(WatchSet::new(watches));
    let write = async {
        for number in 0..100 {
            put(&etcd, &format!("k{number}"), &number.to_string()).await;
        }
    };
    let read = async {
        let mut seen = std::collections::BTreeSet::new();
        while seen.len() < 100 {
            let item = stream.next().await.unwrap().unwrap();
            let changes = item.changes.unwrap();
            assert_eq!(changes.events[0].kv.value, item.watch.to_string());
            seen.insert(item.watch);
        }
    };
    futures::join!(write, read);
}

async fn v3_75_a_compacted_history_is_an_error<T: Transport>(etcd: Etcd<T>) {
    let first = put(&etcd, "a", "1").await;
    let last = put(&etcd, "a", "2").await;
    etcd.send(Compact::new(last)).await.unwrap();
    let mut stream = etcd.open(all(&etcd).from_revision(first));
    let error = stream.next().await.unwrap().unwrap_err();
    assert!(error.is_compacted(), "{error}");
    assert_eq!(error.as_etcd().unwrap().compact_revision(), Some(last));
    let mut stream = etcd.open(all(&etcd).from_revision(last));
    assert_eq!(next(&mut stream).await.revision, last);
}

/// Creates `root` with the password `r`, and `reader`, who may read `/open`, and enables authentication.
async fn enable_auth<T: Transport>(etcd: &Etcd<T>) {
    let auth = etcd.v3().auth();
    auth.add_user("root", "r").await.unwrap();
    auth.add_role("root").await.unwrap();
    auth.grant_role("root", "root").await.unwrap();
    auth.add_user("reader", "r").await.unwrap();
    auth.add_role("reading").await.unwrap();
    let read = Permission::new(PermissionType::Read, KeyRange::prefix("/open"));
    auth.grant_permission("reading", read).await.unwrap();
    auth.grant_role("reader", "reading").await.unwrap();
    auth.enable().await.unwrap();
}

async fn v3_89_a_watch_needs_the_permission_to_read<T: Transport>(etcd: Etcd<T>) {
    enable_auth(&etcd).await;
    let reader = etcd.client(|builder| builder.v3_auth("reader", "r"));
    for watch in [
        Watch::new("/closed"),
        Watch::new("/closed").from_revision(2),
    ] {
        let error = reader.open(watch).next().await.unwrap().unwrap_err();
        assert!(error.is_permission_denied(), "{error}");
    }
    let error = etcd
        .open(Watch::new("/open"))
        .next()
        .await
        .unwrap()
        .unwrap_err();
    assert!(error.is_unauthorized(), "{error}");
    let root = etcd.client(|builder| builder.v3_auth("root", "r"));
    let revision = put_open(&root, "1").await;
    let open = Watch::new(KeyRange::prefix("/open")).from_revision(revision);
    assert_eq!(next(&mut reader.open(open)).await.revision, revision);
}

/// Writes a key that the reader may see, and returns the revision.
async fn put_open<T: Transport>(root: &Client<T>, value: &str) -> i64 {
    let put = root.send(Put::new("/open/a", value.to_owned())).await;
    put.unwrap().header.revision
}

async fn r_60_a_watch_survives_the_loss_of_its_token<T: Transport>(etcd: Etcd<T>) {
    enable_auth(&etcd).await;
    let root = etcd.client(|builder| builder.v3_auth("root", "r"));
    let reader = etcd.client(|builder| builder.v3_auth("reader", "r"));
    let revision = put_open(&root, "1").await;
    let open = Watch::new(KeyRange::prefix("/open")).from_revision(revision);
    let mut stream = reader.open(open);
    assert_eq!(next(&mut stream).await.revision, revision);
    // Simple tokens are in the server's memory.
    etcd.meanwhile(|server| server.restart()).await;
    let root = etcd.client(|builder| builder.v3_auth("root", "r"));
    let again = put_open(&root, "2").await;
    assert_eq!(next(&mut stream).await.revision, again);
}

/// Returns how many watches the server has.
async fn watchers<T: Transport>(etcd: &Etcd<T>) -> usize {
    let metrics = etcd.metrics().await.unwrap();
    let name = "etcd_debugging_mvcc_watcher_total ";
    let line = metrics.lines().find_map(|line| line.strip_prefix(name));
    line.unwrap().parse().unwrap()
}

/// Each in a request of its own, and so with a connection of its own.
async fn v3_86_thirty_quiet_watches_that_are_dropped_leave_the_server<T: Transport>(etcd: Etcd<T>) {
    let mut streams: Vec<Stream> = (0..30).map(|_| etcd.open(all(&etcd))).collect();
    let all = join_all(streams.iter_mut().map(StreamExt::next));
    let opened = etcd.until(async || watchers(&etcd).await == 30);
    match select(all, pin!(opened)).await {
        Either::Left((events, _)) => panic!("nothing has happened: {events:?}"),
        Either::Right(_) => {}
    }
    drop(streams);
    etcd.until(async || watchers(&etcd).await == 0).await;
}

async fn v3_91_a_watch_survives_the_restart_of_its_server<T: Transport>(etcd: Etcd<T>) {
    let first = put(&etcd, "a", "1").await;
    let mut stream = etcd.open(all(&etcd));
    let reported = put_until_reported(&etcd, &mut stream).await;
    assert!(reported[0].revision > first);
    for kill in [true, false] {
        let restart = move |server: &dyn harness::backend::Host| {
            if kill {
                server.kill(0);
            }
            server.restart();
        };
        etcd.meanwhile(restart).await;
        // A write is not repeated when the connection that it takes turns out to be dead: a new client has none.
        let writer = etcd.client(|builder| builder);
        let put = writer.send(Put::new(etcd.key("a"), "3")).await.unwrap();
        let revision = put.header.revision;
        assert_eq!(next(&mut stream).await.revision, revision);
    }
}

async fn v3_65_a_server_compacts_its_history_by_itself<T: Transport>(etcd: Etcd<T>) {
    let builder = Server::builder().arg("--auto-compaction-mode=periodic");
    let server = builder
        .arg("--auto-compaction-retention=1s")
        .start()
        .unwrap();
    let client = etcd.client_of(server.client_url());
    let kv = client.v3().kv();
    let first = kv.put("a", "1").await.unwrap().header.revision;
    kv.put("a", "2").await.unwrap();
    // It keeps what is of the last second.
    let refused = loop {
        match client.send(Range::new("a").revision(first)).await {
            Ok(found) => assert_eq!(found.first().unwrap().value, "1"),
            Err(refused) => break refused,
        }
        etcd.sleep(200).await;
        kv.put("b", "").await.unwrap();
    };
    assert_eq!(refused.etcd_kind(), Some(EtcdErrorKind::Compacted));
    let mut stream = client.open(Watch::new("a").from_revision(first));
    let error = stream.next().await.unwrap().unwrap_err();
    assert!(error.is_compacted(), "{error}");
    let begins = error.as_etcd().unwrap().compact_revision().unwrap();
    let mut stream = client.open(Watch::new("b").from_revision(begins));
    next(&mut stream).await;
}

async fn v3_85_progress_is_reported_where_nothing_happens<T: Transport>(etcd: Etcd<T>) {
    let is_3_5 = install().unwrap().version >= Version::new(3, 5, 0);
    let mut builder = Server::builder();
    if is_3_5 {
        builder = builder.arg("--experimental-watch-progress-notify-interval=300ms");
    }
    let server = builder.start().unwrap();
    let client = etcd.client_of(server.client_url());
    let put = client.v3().kv().put("elsewhere", "").await.unwrap();
    let quiet = Watch::new("a").from_revision(2);
    let mut reported = client.open(quiet.clone().progress(true));
    let mut unreported = client.open(quiet);
    if is_3_5 {
        let progress = next(&mut reported).await;
        assert_eq!(
            (progress.revision, progress.events.len()),
            (put.header.revision, 0)
        );
    }
    // 3.4 does so only every ten minutes, and only for watches that ask for it.
    let stream = if is_3_5 {
        &mut unreported
    } else {
        &mut reported
    };
    let (next, silence) = (stream.next(), pin!(etcd.sleep(1_500)));
    assert!(matches!(select(next, silence).await, Either::Right(_)));
}
