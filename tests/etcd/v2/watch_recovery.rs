//! What a watch survives: the loss of history, a busy store, restarts, broken responses, a slow server.

use std::{
    io::{self, Write},
    thread,
    time::{Duration, Instant},
};

use etcd_http::{
    Error, Result,
    transport::Transport,
    v2::{Event, Get, Resync, Watch, WatchUpdate},
};
use futures::{
    FutureExt, Stream, StreamExt, TryStreamExt,
    future::{join, join_all, try_join_all},
    stream,
};
use harness::{
    case::Etcd,
    cases,
    scripted_server::{ScriptedServer, answer, json},
    stall_monitor::StallMonitor,
};

use crate::watch::{live, take, wait_a_little};

cases! {
    any {
        Alone {
            v2_81_lost_history_is_an_error,
            v2_81_a_resyncing_watch_says_once_what_is_now_and_goes_on,
            v2_81_a_resyncing_watch_says_that_a_key_is_gone,
            a_quiet_file_survives_a_burst_of_other_writes,
            a_quiet_file_from_the_past_survives_the_loss_of_history,
            a_quiet_directory_on_a_busy_store_keeps_up,
            a_watch_that_is_dropped_leaves_the_server,
            a_watch_survives_a_restart_of_the_server,
            a_watch_survives_a_kill_of_the_server,
        }
        Three {
            a_watch_moves_to_another_member,
        }
        Nothing {
            an_outage_beyond_the_limit_ends_a_watch,
        }
    }
    http {
        Nothing {
            v2_147_a_watch_survives_empty_responses,
            a_watch_survives_truncated_responses,
            a_server_slower_than_a_poll_loses_no_event,
        }
    }
}

/// Writes to keys that are not watched, 50 at a time.
async fn write_elsewhere<T: Transport>(etcd: &Etcd<T>, count: usize) {
    stream::iter(0..count)
        .map(|n| etcd.v2().set("/elsewhere", n.to_string()))
        .buffer_unordered(50)
        .try_collect::<Vec<_>>()
        .await
        .unwrap();
}

async fn v2_81_lost_history_is_an_error<T: Transport>(etcd: Etcd<T>) {
    let set = etcd.v2().set("/a", "1").await.unwrap();
    etcd.v2().set("/a", "2").await.unwrap();
    write_elsewhere(&etcd, 1100).await;
    let mut events = etcd.open(Watch::new("/a").from_index(set.index()));
    let error = events.next().await.unwrap().unwrap_err();
    assert!(error.is_history_cleared());
    let url = etcd.url();
    let index = set.index() + 1101;
    let oldest = index - 999;
    assert_eq!(
        error.to_string(),
        format!(
            "v2.keys.watch at {url}: The event in requested index is outdated and cleared: \
             the requested history has been cleared [{oldest}/{}] (code 401, index {index})",
            set.index()
        )
    );
    assert!(events.next().await.is_none());
    // From the oldest that the server has, nothing is lost.
    let first = etcd
        .open(Watch::new("/").recursive(true).from_index(oldest))
        .next()
        .await;
    assert_eq!(first.unwrap().unwrap().index(), oldest);
}

#[track_caller]
fn resync(update: Option<Result<WatchUpdate>>) -> Resync {
    match update {
        Some(Ok(WatchUpdate::Resync(resync))) => resync,
        other => panic!("not a resync: {other:?}"),
    }
}

async fn v2_81_a_resyncing_watch_says_once_what_is_now_and_goes_on<T: Transport>(etcd: Etcd<T>) {
    let first = etcd.v2().set("/d/a", "old").await.unwrap().index();
    etcd.v2().set("/d/b/c", "1").await.unwrap();
    etcd.v2().set("/d/a", "new").await.unwrap();
    write_elsewhere(&etcd, 1100).await;
    let watch = Watch::new("/d").recursive(true).from_index(first);
    let mut updates = etcd.open(watch.resyncing());
    let resync = resync(updates.next().await);
    assert_eq!((resync.lost_from, resync.index), (first, first + 1102));
    let now = etcd.send(Get::new("/d").recursive(true).sorted(true)).await;
    let mut state = resync.state.unwrap();
    state.nodes.sort_by(|a, b| a.key.cmp(&b.key));
    assert_eq!(state, now.unwrap().node);

    for value in ["2", "3"] {
        let set = etcd.v2().set("/d/a", value).await.unwrap();
        match updates.next().await.unwrap().unwrap() {
            WatchUpdate::Event(event) => assert_eq!(event.node, set.node),
            other => panic!("not an event: {other:?}"),
        }
    }
}

async fn v2_81_a_resyncing_watch_says_that_a_key_is_gone<T: Transport>(etcd: Etcd<T>) {
    let first = etcd.v2().set("/a", "1").await.unwrap().index();
    etcd.v2().delete("/a").await.unwrap();
    write_elsewhere(&etcd, 1100).await;
    let watch = Watch::new("/a").from_index(first).resyncing();
    let ends = |update: &WatchUpdate| matches!(update, WatchUpdate::Event(_));
    let mut updates = etcd.open(watch.until(ends));
    assert_eq!(resync(updates.next().await).state, None);
    etcd.v2().create("/a", "2").await.unwrap();
    assert!(matches!(
        updates.next().await,
        Some(Ok(WatchUpdate::Event(_)))
    ));
    assert!(updates.next().await.is_none());
}

async fn a_quiet_file_survives_a_burst_of_other_writes<T: Transport>(etcd: Etcd<T>) {
    etcd.v2().set("/a", "1").await.unwrap();
    let mut events = live(&etcd, "/a", false).await;
    until_registered(&etcd, &mut events).await;
    let burst = async {
        write_elsewhere(&etcd, 3000).await;
        etcd.v2().set("/a", "2").await.unwrap()
    };
    let (event, set) = join(events.next(), burst).await;
    assert_eq!(event.unwrap().unwrap().node, set.node);
}

/// The file itself shows that nothing happened to it.
async fn a_quiet_file_from_the_past_survives_the_loss_of_history<T: Transport>(etcd: Etcd<T>) {
    let set = etcd.v2().set("/a", "1").await.unwrap();
    write_elsewhere(&etcd, 3000).await;
    let mut events = etcd.open(Watch::new("/a").from_index(set.index() + 1));
    until_registered(&etcd, &mut events).await;
    let set = etcd.v2().set("/a", "2").await.unwrap();
    assert_eq!(events.next().await.unwrap().unwrap().node, set.node);
}

/// A directory cannot show that it did not change: the watch must keep up with the store. Here there are 500 events a
/// second, if the server can process them, for longer than the history holds. While the machine stalls, there are none.
async fn a_quiet_directory_on_a_busy_store_keeps_up<T: Transport>(etcd: Etcd<T>) {
    etcd.v2().set("/d/a", "1").await.unwrap();
    let mut events = live(&etcd, "/d", true).await;
    until_registered(&etcd, &mut events).await;
    let machine = StallMonitor::start();
    let busy = async {
        let mut since = Instant::now();
        for _ in 0..100 {
            let now = Instant::now();
            let stalled = machine.stalled(since, now).as_millis().min(500);
            since = now;
            join(write_elsewhere(&etcd, 25), etcd.sleep(50 + stalled as u64)).await;
        }
        etcd.v2().set("/d/a", "2").await.unwrap()
    };
    let (event, set) = join(events.next(), busy).await;
    assert_eq!(event.unwrap().unwrap().node, set.node);
}

async fn watchers<T: Transport>(etcd: &Etcd<T>) -> u64 {
    etcd.v2().get_store_stats().await.unwrap().watchers
}

/// Waits until the server has registered the only watch.
async fn until_registered<T: Transport, S: Stream + Unpin>(etcd: &Etcd<T>, events: &mut S) {
    while watchers(etcd).await == 0 {
        wait_a_little(etcd, events).await;
    }
}

async fn a_watch_that_is_dropped_leaves_the_server<T: Transport>(etcd: Etcd<T>) {
    let mut streams: Vec<_> = (0..5).map(|_| etcd.v2().watch_tree("/d")).collect();
    while watchers(&etcd).await < 5 {
        let all = streams.iter_mut();
        join_all(all.map(|events| wait_a_little(&etcd, events))).await;
    }
    let wait = etcd.v2().wait("/e");
    assert!(wait.now_or_never().is_none());
    drop(streams);
    let dropped = etcd.transport().now();
    while watchers(&etcd).await > 0 {
        etcd.sleep(20).await;
        let elapsed = etcd.transport().now() - dropped;
        assert!(elapsed < Duration::from_secs(10), "it is still there");
    }
}

async fn a_watch_survives_a_restart_of_the_server<T: Transport>(etcd: Etcd<T>) {
    survives(etcd, false).await;
}

async fn a_watch_survives_a_kill_of_the_server<T: Transport>(etcd: Etcd<T>) {
    survives(etcd, true).await;
}

/// An open watch delivers what is written before and after once and in order.
async fn survives<T: Transport>(etcd: Etcd<T>, kill: bool) {
    let mut events = live(&etcd, "/d", true).await;
    let writes = async {
        let mut made = Vec::new();
        for n in 0..3 {
            made.push(
                etcd.v2()
                    .set(format!("/d/{n}"), "before")
                    .await
                    .unwrap()
                    .node,
            );
        }
        etcd.meanwhile(move |host| {
            if kill {
                host.kill(0);
            }
            host.restart();
        })
        .await;
        // The old connections are dead, which a transport may notice late.
        let writer = etcd.client(|client| client);
        for n in 0..3 {
            made.push(
                writer
                    .v2()
                    .set(format!("/d/{n}"), "after")
                    .await
                    .unwrap()
                    .node,
            );
        }
        made
    };
    let (seen, made) = join(take(&mut events, 6), writes).await;
    let seen: Vec<_> = seen.into_iter().map(|event| event.node).collect();
    assert_eq!(seen, made);
}

async fn a_watch_moves_to_another_member<T: Transport>(etcd: Etcd<T>) {
    let urls = etcd.urls();
    let writer = etcd.client_of(&urls[2]);
    let mut events = live(&etcd, "/d", true).await;
    let writes = async {
        let mut made = vec![writer.v2().set("/d/a", "1").await.unwrap().node];
        etcd.meanwhile(|host| host.kill(0)).await;
        // It may have been the leader.
        etcd.host().leader();
        for n in 0..3 {
            let set = writer.v2().set("/d/a", n.to_string()).await;
            made.push(set.unwrap().node);
        }
        made
    };
    let (seen, made) = join(take(&mut events, 4), writes).await;
    let seen: Vec<_> = seen.into_iter().map(|event| event.node).collect();
    assert_eq!(seen, made);
}

#[cfg(feature = "server")]
fn event(index: u64) -> Vec<u8> {
    json(&format!(
        r#"{{"action":"set","node":{{"key":"/a","value":"{index}","modifiedIndex":{index},"createdIndex":{index}}}}}"#
    ))
}

fn poll(index: u64) -> String {
    format!("GET /v2/keys/a?wait=true&waitIndex={index}")
}

#[cfg(feature = "server")]
async fn v2_147_a_watch_survives_empty_responses<T: Transport>(etcd: Etcd<T>) {
    let server = ScriptedServer::start(|n, stream| match n {
        0 | 1 => stream.write_all(&json("")),
        2 => stream.write_all(&event(7)),
        3 => stream.write_all(&json("\n")),
        _ => stream.write_all(&event(9)),
    });
    let client = etcd.client_of(server.url());
    let mut events = client.open(Watch::new("/a").from_index(5));
    let indexes: Vec<_> = take(&mut events, 2)
        .await
        .iter()
        .map(Event::index)
        .collect();
    assert_eq!(indexes, [7, 9]);
    assert_eq!(
        server.requests(),
        [poll(5), poll(5), poll(5), poll(8), poll(8)]
    );
}

#[cfg(feature = "server")]
async fn a_watch_survives_truncated_responses<T: Transport>(etcd: Etcd<T>) {
    let server = ScriptedServer::start(|n, stream| match n {
        // Before the head, after it, within the body; and a proxy without its server.
        0 => Ok(()),
        1 => stream.write_all(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"),
        2 => stream.write_all(&event(7)[..150]),
        3 => stream.write_all(&answer("502 Bad Gateway", "text/html", "<html>")),
        _ => stream.write_all(&event(7)),
    });
    let client = etcd.client_of(server.url());
    let mut events = client.open(Watch::new("/a").from_index(5));
    assert_eq!(take(&mut events, 1).await[0].index(), 7);
    // libcurl may send a request again by itself if there was no response.
    let asked = server.requests();
    assert!(
        asked.len() >= 5 && asked.iter().all(|line| *line == poll(5)),
        "{asked:?}"
    );
}

/// A poll that the server has not processed yet says nothing about earlier events.
#[cfg(feature = "server")]
async fn a_server_slower_than_a_poll_loses_no_event<T: Transport>(etcd: Etcd<T>) {
    let index = |index: usize| {
        format!(
            "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nX-Etcd-Index: {index}\r\n\
             Content-Length: 0\r\nConnection: close\r\n\r\n"
        )
    };
    let server = ScriptedServer::start(move |n, stream| match n {
        // The first poll never gets a response.
        0 => io::copy(stream, &mut io::sink()).map(drop),
        // The second.
        2 => {
            thread::sleep(Duration::from_millis(3000));
            stream.write_all(&event(5))
        }
        // A probe of a busy store.
        _ => {
            thread::sleep(Duration::from_millis(1200));
            stream.write_all(index(1000 * n).as_bytes())
        }
    });
    let client = etcd.client_of(server.url());
    let mut events = client.open(Watch::new("/a").from_index(5));
    assert_eq!(take(&mut events, 1).await[0].index(), 5);
    let probe = || "HEAD /v2/keys/a".to_owned();
    // The second probe returned before the event did, and the watch has not advanced.
    assert_eq!(server.requests(), [poll(5), probe(), poll(5), probe()]);
}

async fn an_outage_beyond_the_limit_ends_a_watch<T: Transport>(etcd: Etcd<T>) {
    let limit = Duration::from_millis(300);
    let watch = Watch::new("/a").from_index(5).outage_limit(limit);
    let mut events = etcd.open(watch);
    let error = events.next().await.unwrap().unwrap_err();
    assert!(matches!(error, Error::Transport(_)), "{error:?}");
    assert!(events.next().await.is_none());
    let both = try_join_all([etcd.v2().wait("/a"), etcd.v2().wait("/b")]).await;
    assert!(matches!(both, Err(Error::Transport(_))));
}
