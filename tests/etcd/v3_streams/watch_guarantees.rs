//! Watches of a cluster whose members are killed, paused and restarted, checked by the [validators](crate::watch_validators).
//!
//! `ETCD_HTTP_WATCH_SECONDS` is how long the members have faults, and defaults to 20 s.

use std::{
    collections::BTreeMap,
    env,
    pin::pin,
    sync::atomic::{AtomicBool, Ordering::SeqCst},
    thread,
    time::{Duration, Instant},
};

use etcd_http::{
    Client,
    server::{Cluster, Server, Version, install},
    transport::Transport,
    v3::{Changes, DeleteRange, KeyRange, LeaseKeeper, Put, Txn, Watch, WatchSet},
};
use futures::{
    StreamExt,
    future::{Either, join, select},
};
use harness::{
    backend::{Backend, Start},
    real::Real,
};

use crate::watch_validators::{Asked, History};

#[cfg(feature = "reqwest")]
#[test]
fn watches_over_reqwest_pass_all_validators_while_members_fail() {
    run::<Real<etcd_http::reqwest::ReqwestTransport, harness::real::Tokio>>();
}

#[cfg(feature = "isahc")]
#[test]
fn watches_over_isahc_pass_all_validators_while_members_fail() {
    run::<Real<etcd_http::isahc::IsahcTransport, harness::real::NoRuntime>>();
}

/// The last key that is written: what every watch waits for.
const END: &str = "k/end";

/// Also written and deleted, for the watches that do not match the last key.
const ENDS: [&str; 2] = ["k/0end", "k/1end"];
const DELETED_LAST: &str = "k/last";

fn run<B: Backend>() {
    let seconds =
        env::var("ETCD_HTTP_WATCH_SECONDS").map_or(20, |seconds| seconds.parse().unwrap());
    let installed = install().unwrap();
    let mut builder = Server::builder().time_limit(Duration::from_secs(seconds + 240));
    if installed.version >= Version::new(3, 5, 0) {
        builder = builder.arg("--experimental-watch-progress-notify-interval=500ms");
    }
    let cluster = builder.start_cluster(3).unwrap();
    let is_over = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            disturb(&cluster, Duration::from_secs(seconds));
            is_over.store(true, SeqCst);
        });
        B::block_on(async {
            let clock = (B::start(Start::Nothing).transport)();
            let limit = clock.sleep(Duration::from_secs(seconds + 120));
            let watches = pin!(watch::<B>(&cluster, &is_over));
            let done = select(watches, limit).await;
            assert!(
                matches!(done, Either::Left(_)),
                "a watch waits for what does not come"
            );
        });
    });
}

/// Kills, pauses and stops members, one after the other, so that a majority always runs.
fn disturb(cluster: &Cluster, duration: Duration) {
    let began = Instant::now();
    let mut turn = 0;
    while began.elapsed() < duration {
        let member = cluster.member(turn % 3);
        match (turn / 3 + turn) % 3 {
            0 => {
                member.kill().unwrap();
                thread::sleep(Duration::from_millis(700));
                member.restart().unwrap();
            }
            1 => {
                member.pause().unwrap();
                thread::sleep(Duration::from_millis(2_500));
                member.resume().unwrap();
            }
            _ => member.restart().unwrap(),
        }
        cluster.wait_healthy(Duration::from_secs(60)).unwrap();
        turn += 1;
    }
    println!("{turn} times was a member disturbed");
}

async fn watch<B: Backend>(cluster: &Cluster, is_over: &AtomicBool) {
    let world = B::start(Start::Nothing);
    let client = Client::builder((world.transport)())
        .protocol(world.protocol)
        .endpoints(cluster.client_urls())
        .timeout(Duration::from_secs(2))
        .build()
        .unwrap();
    let all = |prefix: &str| {
        let watch = Watch::new(KeyRange::prefix(prefix)).silence_limit(Duration::from_secs(1));
        watch.from_revision(2)
    };
    let to_end = |watch: Watch| async {
        let mut delivered = Vec::new();
        let mut changes = client.open(watch);
        loop {
            let next = changes.next().await.unwrap().unwrap();
            let ends = next.events.iter().any(|event| event.key() == END);
            delivered.push(next);
            if ends {
                return delivered;
            }
        }
    };
    let set = async {
        let set = WatchSet::new([all("k/0"), all("k/1"), all("k/").without_puts()]);
        let mut items = client.open(set.silence_limit(Duration::from_secs(1)));
        let mut delivered = vec![Vec::new(); 3];
        let last = [ENDS[0], ENDS[1], DELETED_LAST];
        let mut has_ended = [false; 3];
        while has_ended != [true; 3] {
            let item = items.next().await.unwrap().unwrap();
            let changes = item.changes.unwrap();
            if !has_ended[item.watch] {
                let mut events = changes.events.iter();
                has_ended[item.watch] = events.any(|event| event.key() == last[item.watch]);
                delivered[item.watch].push(changes);
            }
        }
        delivered
    };
    let (keeper, keeping) = LeaseKeeper::new(&client);
    let write = async {
        let lease = keeper.grant(Duration::from_secs(30)).await.unwrap();
        drop(keeper);
        let written = write(&client, is_over).await;
        assert!(lease.is_alive(), "{}", lease.lost().await);
        written
    };
    let whole = all("k/").prev_kv(true).progress(true);
    let ((written, ()), whole, plain, set) =
        futures::join!(join(write, keeping), to_end(whole), to_end(all("k/")), set);

    // The reference: one more watch, which is not disturbed.
    let truth = to_end(all("k/").prev_kv(true)).await;
    let history: BTreeMap<_, _> = truth
        .into_iter()
        .map(|changes| (changes.revision, changes.events))
        .collect();
    let history = History(history);
    for (revision, keys) in &written {
        let events = history
            .0
            .get(revision)
            .unwrap_or_else(|| panic!("{revision} is not in history"));
        assert_eq!(events.len(), *keys, "revision {revision}");
    }
    let asked = Asked {
        from: 2,
        puts: true,
        prev_kv: false,
        prefix: "k/",
    };
    history.check(
        Asked {
            prev_kv: true,
            ..asked
        },
        &whole,
    );
    history.check(asked, &plain);
    for (delivered, asked) in set.iter().zip([
        Asked {
            prefix: "k/0",
            ..asked
        },
        Asked {
            prefix: "k/1",
            ..asked
        },
        Asked {
            puts: false,
            ..asked
        },
    ]) {
        history.check(asked, delivered);
    }
    resumable(&client, &history, &all("k/"), asked).await;
    let progress = whole
        .iter()
        .filter(|changes| changes.events.is_empty())
        .count();
    println!(
        "{} revisions, {} acknowledged, {} events, {progress} times progress",
        history.0.len(),
        written.len(),
        history.0.values().map(Vec::len).sum::<usize>(),
    );
    assert!(history.0.len() > 20, "too little was written");
}

/// A watch from any revision delivers the rest of history.
async fn resumable<T: Transport>(client: &Client<T>, history: &History, all: &Watch, asked: Asked) {
    let revisions: Vec<_> = history.0.keys().copied().collect();
    for from in revisions.iter().step_by(revisions.len() / 10 + 1) {
        let expected = history.0.range(from..).count();
        let changes = client.open(all.clone().from_revision(*from)).take(expected);
        let delivered: Vec<Changes> = changes.map(Result::unwrap).collect().await;
        history.check(
            Asked {
                from: *from,
                ..asked
            },
            &delivered,
        );
    }
}

/// Writes until the time is over. Returns the acknowledged revisions, and how many keys each wrote.
async fn write<T: Transport>(client: &Client<T>, is_over: &AtomicBool) -> Vec<(i64, usize)> {
    let mut written = Vec::new();
    for number in 0_u32.. {
        if is_over.load(SeqCst) {
            break;
        }
        let key = |key: u32| format!("k/{}", key % 10);
        let value = || number.to_string();
        let answer = match number % 4 {
            0 | 1 => client
                .send(Put::new(key(number / 2), value()))
                .await
                .map(|put| (put.header.revision, 1)),
            2 => {
                let puts = (0..5).map(|more| Put::new(key(number + more), value()));
                let txn = puts.fold(Txn::new(), |txn, put| txn.then(put));
                client.send(txn).await.map(|txn| (txn.header.revision, 5))
            }
            _ => {
                let deleted = client.send(DeleteRange::new(key(number / 3))).await;
                deleted.map(|deleted| {
                    (
                        deleted.header.revision,
                        usize::try_from(deleted.deleted).unwrap(),
                    )
                })
            }
        };
        match answer {
            Ok((_, 0)) => {}
            Ok(acknowledgement) => written.push(acknowledgement),
            // It may be in the history or not.
            Err(_) => client.transport().sleep(Duration::from_millis(100)).await,
        }
        client.transport().sleep(Duration::from_millis(10)).await;
    }
    while client.send(Put::new(DELETED_LAST, "")).await.is_err() {}
    let puts = ENDS
        .iter()
        .fold(Txn::new().then(Put::new(END, "")), |txn, key| {
            txn.then(Put::new(*key, ""))
        });
    let end = puts.then(DeleteRange::new(DELETED_LAST));
    // If it is written twice, only the first counts.
    while client.send(end.clone()).await.is_err() {}
    written
}
