//! Watches: which events come, in which order, from where on, and what they survive.

use std::{cell::Cell, future::Future, io::Write, pin::pin, thread, time::Duration};

use etcd_http::{
    Error, Result,
    transport::Transport,
    v2::{Action, Condition, Event, Get, Resync, Set, Watch, WatchUpdate},
};
use futures::{
    FutureExt, Stream, StreamExt, TryStreamExt,
    future::{Either, join, join_all, select, try_join_all},
    stream::{self, BoxStream},
};

use crate::harness::Etcd;
#[cfg(feature = "server")]
use crate::scripted::{Scripted, answer, json};

behaviour! {
    any {
        Shared {
            a_wait_brings_the_next_event,
            a_wait_on_a_key_that_is_not_there_brings_its_creation,
            a_watch_goes_on_for_ever,
            a_watch_ends_after_the_event_it_waits_for,
            every_write_of_a_file_is_an_event,
            v2_12_an_event_comes_with_the_index_when_the_watch_was_registered,
            v2_82_events_of_the_past_are_replayed_in_order,
            v2_82_a_watch_from_the_future_waits_for_its_index,
            a_read_and_a_watch_from_there_miss_nothing_between_them,
            v2_84_a_watch_sees_its_key_and_what_is_below_if_recursive,
            v2_85_hidden_keys_are_not_seen_from_above,
            v2_86_hidden_keys_are_not_seen_from_above_in_the_past_either,
            v2_87_the_end_of_a_directory_above_is_an_event,
            v2_87_the_end_of_a_directory_above_is_one_in_the_past_too,
            v2_88_the_end_of_a_key_with_a_shorter_name_is_no_event,
            v2_89_a_directory_in_the_place_of_a_file_is_an_event,
            awkward_keys_can_be_watched,
            a_trailing_slash_watches_the_same_key,
        }
        Alone {
            the_root_can_be_watched,
            many_watches_at_once_all_see_an_event,
            events_of_many_writers_come_once_and_in_order,
            v2_81_lost_history_is_loud,
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
            v2_147_a_watch_survives_empty_answers,
            a_watch_survives_answers_that_are_cut,
            a_server_slower_than_a_poll_loses_no_event,
        }
    }
}

/// A watch that begins now, and of which the server knows by now, unless it is slow: its events are live ones, then.
/// That none is missed does not depend on it.
async fn live<T: Transport>(
    etcd: &Etcd<T>,
    key: impl Into<String>,
    recursive: bool,
) -> BoxStream<'static, Result<Event>> {
    let now = etcd.v2().get("/").await.unwrap().cluster.etcd_index;
    let watch = Watch::new(key).recursive(recursive);
    let mut events = etcd.open(watch.from_index(now.unwrap() + 1));
    wait_a_little(etcd, &mut events).await;
    events
}

/// Waits for an event that does not come, so that the server hears of the watch.
async fn wait_a_little<T: Transport, S: Stream + Unpin>(etcd: &Etcd<T>, events: &mut S) {
    let moment = pin!(etcd.sleep(50));
    let quiet = select(events.next(), moment).await;
    assert!(matches!(quiet, Either::Right(_)), "an event too early");
}

/// Writes this key again and again until `first` comes, and returns it with what was written.
async fn write_until<T: Transport, O>(
    etcd: &Etcd<T>,
    key: &str,
    first: impl Future<Output = O>,
) -> (O, Vec<Event>) {
    let mut first = pin!(first);
    let mut made = Vec::new();
    loop {
        match select(first, pin!(etcd.sleep(50))).await {
            Either::Left((first, _)) => return (first, made),
            Either::Right(((), again)) => first = again,
        }
        made.push(etcd.v2().set(key, made.len().to_string()).await.unwrap());
    }
}

/// The next events.
async fn take<S: Stream<Item = Result<Event>> + Unpin>(events: &mut S, count: usize) -> Vec<Event> {
    events.take(count).try_collect().await.unwrap()
}

/// Writes to keys that nobody watches, 50 at a time.
async fn write_elsewhere<T: Transport>(etcd: &Etcd<T>, count: usize) {
    stream::iter(0..count)
        .map(|n| etcd.v2().set("/elsewhere", n.to_string()))
        .buffer_unordered(50)
        .try_collect::<Vec<_>>()
        .await
        .unwrap();
}

async fn a_wait_brings_the_next_event<T: Transport>(etcd: Etcd<T>) {
    let key = etcd.key("a");
    etcd.v2().set(&key, "before").await.unwrap();
    let (event, made) = write_until(&etcd, &key, etcd.v2().wait(&key)).await;
    let event = event.unwrap();
    assert_eq!((&event.action, event.created), (&Action::Set, false));
    let made = made.into_iter().find(|made| made.node == event.node);
    assert_eq!(made.unwrap().prev_node, event.prev_node);
}

async fn a_wait_on_a_key_that_is_not_there_brings_its_creation<T: Transport>(etcd: Etcd<T>) {
    let mut events = live(&etcd, etcd.key("d/a"), false).await;
    let made = etcd.v2().create(etcd.key("d/a"), "1").await.unwrap();
    let event = events.next().await.unwrap().unwrap();
    assert_eq!((event.action, event.node), (Action::Create, made.node));
}

async fn a_watch_goes_on_for_ever<T: Transport>(etcd: Etcd<T>) {
    let key = etcd.key("d/a");
    for (mut events, on) in [
        (etcd.v2().watch(&key), &key),
        (etcd.v2().watch_tree(etcd.key("d")), &key),
    ] {
        let (first, mut made) = write_until(&etcd, on, events.next()).await;
        let first = first.unwrap().unwrap();
        made.retain(|made| made.index() > first.index());
        for n in 0..20 {
            made.push(etcd.v2().set(on, n.to_string()).await.unwrap());
        }
        let seen = take(&mut events, made.len()).await;
        for (made, event) in made.iter().zip(seen) {
            assert_eq!(event.node, made.node);
        }
    }
}

async fn a_watch_ends_after_the_event_it_waits_for<T: Transport>(etcd: Etcd<T>) {
    let first = etcd.v2().set(etcd.key("a"), "1").await.unwrap();
    for value in ["2", "end", "3"] {
        etcd.v2().set(etcd.key("a"), value).await.unwrap();
    }
    let watch = Watch::new(etcd.key("a"))
        .from_index(first.index())
        .until(|event| event.node.value.as_deref() == Some("end"));
    let events: Vec<_> = etcd.open(watch).try_collect().await.unwrap();
    let values: Vec<_> = events
        .iter()
        .map(|e| e.node.value.as_deref().unwrap())
        .collect();
    assert_eq!(values, ["1", "2", "end"]);
}

async fn every_write_of_a_file_is_an_event<T: Transport>(etcd: Etcd<T>) {
    let key = etcd.key("d/a");
    let v2 = etcd.v2();
    let is = Condition::value_is;
    let made = [
        v2.set(&key, "1").await.unwrap(),
        v2.update(&key, "2").await.unwrap(),
        v2.compare_and_swap(&key, "3", is("2")).await.unwrap(),
        v2.delete(&key).await.unwrap(),
        v2.create(&key, "4").await.unwrap(),
        v2.compare_and_delete(&key, is("4")).await.unwrap(),
        v2.create_dir(etcd.key("d/b")).await.unwrap(),
        v2.create_in_order(etcd.key("d"), "5").await.unwrap(),
        v2.delete_tree(etcd.key("d")).await.unwrap(),
    ];
    let watch = Watch::new(etcd.key("d")).recursive(true);
    let mut events = etcd.open(watch.from_index(made[0].index()));
    for (made, event) in made.iter().zip(take(&mut events, made.len()).await) {
        assert_eq!(event.action, made.action);
        assert_eq!(event.node, made.node);
        assert_eq!(event.prev_node, made.prev_node);
        assert_eq!(event.index(), made.index());
    }
}

async fn v2_12_an_event_comes_with_the_index_when_the_watch_was_registered<T: Transport>(
    etcd: Etcd<T>,
) {
    let before = etcd.v2().set(etcd.key("b"), "1").await.unwrap();
    let mut events = live(&etcd, etcd.key("a"), false).await;
    etcd.v2().set(etcd.key("a"), "1").await.unwrap();
    let event = events.next().await.unwrap().unwrap();
    let registered = event.cluster.etcd_index.unwrap();
    assert!(before.index() <= registered && registered < event.index());
}

async fn v2_82_events_of_the_past_are_replayed_in_order<T: Transport>(etcd: Etcd<T>) {
    let mut made = Vec::new();
    for n in 0..30 {
        let key = etcd.key(format!("k{}", n % 3));
        made.push(etcd.v2().set(key, n.to_string()).await.unwrap());
    }
    let watch = Watch::new(etcd.root()).recursive(true);
    let mut events = etcd.open(watch.from_index(made[10].index()));
    for (made, event) in made[10..].iter().zip(take(&mut events, 20).await) {
        assert_eq!(event.node, made.node);
    }
    let mut one = etcd.open(Watch::new(etcd.key("k1")).from_index(made[0].index()));
    let values: Vec<_> = take(&mut one, 10)
        .await
        .into_iter()
        .map(|e| e.node.value.unwrap())
        .collect();
    let expected: Vec<_> = (0..10).map(|n| (3 * n + 1).to_string()).collect();
    assert_eq!(values, expected);
}

async fn v2_82_a_watch_from_the_future_waits_for_its_index<T: Transport>(etcd: Etcd<T>) {
    let first = etcd.v2().set(etcd.key("a"), "0").await.unwrap();
    let from = first.index() + 50;
    let mut events = etcd.open(Watch::new(etcd.key("a")).from_index(from));
    let written = Cell::new(None);
    let write = async {
        while written.get().is_none_or(|index| index < from) {
            let set = etcd.v2().set(etcd.key("a"), "1").await.unwrap();
            written.set(Some(set.index()));
        }
    };
    let (event, ()) = join(events.next(), write).await;
    // No other is between them: it is the first of this key from there on.
    assert_eq!(Some(event.unwrap().unwrap().index()), written.get());
}

async fn a_read_and_a_watch_from_there_miss_nothing_between_them<T: Transport>(etcd: Etcd<T>) {
    etcd.v2().set(etcd.key("a"), "old").await.unwrap();
    let listing = Get::new(etcd.root()).recursive(true);
    let listing = etcd.send(listing).await.unwrap();
    let between = etcd.v2().set(etcd.key("a"), "new").await.unwrap();
    let from = listing.cluster.etcd_index.unwrap() + 1;
    let watch = Watch::new(etcd.root()).recursive(true).from_index(from);
    let event = etcd.open(watch).next().await.unwrap().unwrap();
    assert_eq!(event.node, between.node);
}

async fn v2_84_a_watch_sees_its_key_and_what_is_below_if_recursive<T: Transport>(etcd: Etcd<T>) {
    let mut below = live(&etcd, etcd.key("d"), true).await;
    let mut alone = live(&etcd, etcd.key("d"), false).await;
    let deep = etcd.v2().set(etcd.key("d/e/f"), "1").await.unwrap();
    etcd.v2().set(etcd.key("dd"), "1").await.unwrap();
    let gone = etcd.v2().delete_tree(etcd.key("d")).await.unwrap();
    let events = take(&mut below, 2).await;
    assert_eq!(events[0].node, deep.node);
    assert_eq!(events[1].node, gone.node);
    assert_eq!(take(&mut alone, 1).await[0].node, gone.node);
}

async fn v2_85_hidden_keys_are_not_seen_from_above<T: Transport>(etcd: Etcd<T>) {
    let mut above = live(&etcd, etcd.root(), true).await;
    let mut within = live(&etcd, etcd.key("_h"), true).await;
    let mut exact = live(&etcd, etcd.key("_h/a"), false).await;
    let hidden = etcd.v2().set(etcd.key("_h/a"), "1").await.unwrap();
    etcd.v2().set(etcd.key("d/_f"), "1").await.unwrap();
    let seen = etcd.v2().set(etcd.key("d/f"), "1").await.unwrap();
    assert_eq!(take(&mut within, 1).await[0].node, hidden.node);
    assert_eq!(take(&mut exact, 1).await[0].node, hidden.node);
    assert_eq!(take(&mut above, 1).await[0].node, seen.node);
}

/// The server's history forgets that hidden keys are hidden; the client does not.
async fn v2_86_hidden_keys_are_not_seen_from_above_in_the_past_either<T: Transport>(etcd: Etcd<T>) {
    let hidden = etcd.v2().set(etcd.key("_h/a"), "1").await.unwrap();
    etcd.v2().set(etcd.key("d/_f"), "1").await.unwrap();
    let seen = etcd.v2().set(etcd.key("d/f"), "1").await.unwrap();
    let from = |name: &str| {
        let watch = Watch::new(etcd.key(name)).recursive(true);
        etcd.open(watch.from_index(hidden.index()))
    };
    assert_eq!(take(&mut from(""), 1).await[0].node, seen.node);
    assert_eq!(take(&mut from("_h"), 1).await[0].node, hidden.node);
}

async fn v2_87_the_end_of_a_directory_above_is_an_event<T: Transport>(etcd: Etcd<T>) {
    etcd.v2().set(etcd.key("d/e/f"), "1").await.unwrap();
    etcd.v2().set(etcd.key("d/_h"), "1").await.unwrap();
    let mut file = live(&etcd, etcd.key("d/e/f"), false).await;
    let mut dir = live(&etcd, etcd.key("d/e"), true).await;
    let mut hidden = live(&etcd, etcd.key("d/_h"), false).await;
    let gone = etcd.v2().delete_tree(etcd.key("d")).await.unwrap();
    for events in [&mut file, &mut dir, &mut hidden] {
        let event = events.next().await.unwrap().unwrap();
        assert_eq!(
            (event.action, event.node),
            (Action::Delete, gone.node.clone())
        );
    }
}

async fn v2_87_the_end_of_a_directory_above_is_one_in_the_past_too<T: Transport>(etcd: Etcd<T>) {
    etcd.v2().set(etcd.key("d/e/f"), "1").await.unwrap();
    let gone = etcd.v2().delete_tree(etcd.key("d")).await.unwrap();
    for name in ["d", "d/e", "d/e/f"] {
        let watch = Watch::new(etcd.key(name)).from_index(gone.index());
        let event = etcd.open(watch).next().await.unwrap().unwrap();
        assert_eq!(event.node, gone.node, "{name}");
    }
}

/// The server's history takes any key that the deleted one's is the beginning of.
async fn v2_88_the_end_of_a_key_with_a_shorter_name_is_no_event<T: Transport>(etcd: Etcd<T>) {
    etcd.v2().set(etcd.key("prefix/x"), "1").await.unwrap();
    etcd.v2().set_dir(etcd.key("pre")).await.unwrap();
    let other = etcd.v2().delete_dir(etcd.key("pre")).await.unwrap();
    let own = etcd.v2().set(etcd.key("prefix/x"), "2").await.unwrap();
    for name in ["prefix", "prefix/x"] {
        let watch = Watch::new(etcd.key(name)).recursive(true);
        let mut events = etcd.open(watch.from_index(other.index()));
        assert_eq!(take(&mut events, 1).await[0].node, own.node);
    }
}

async fn v2_89_a_directory_in_the_place_of_a_file_is_an_event<T: Transport>(etcd: Etcd<T>) {
    let file = etcd.v2().set(etcd.key("a"), "1").await.unwrap();
    let dir = etcd.v2().set_dir(etcd.key("a")).await.unwrap();
    let watch = Watch::new(etcd.key("a")).from_index(file.index() + 1);
    let event = etcd.open(watch).next().await.unwrap().unwrap();
    assert_eq!((event.action, event.node), (Action::Set, dir.node));
    assert_eq!(event.prev_node, Some(file.node));
}

async fn awkward_keys_can_be_watched<T: Transport>(etcd: Etcd<T>) {
    for name in [
        "a b",
        "%2F",
        "?wait=false",
        "#",
        "+",
        ";&=",
        "ключ",
        "\0\r\n",
    ] {
        let set = etcd.v2().set(etcd.key(name), "1").await.unwrap();
        let watch = Watch::new(etcd.key(name)).from_index(set.index());
        let event = etcd.open(watch).next().await.unwrap().unwrap();
        assert_eq!(event.node, set.node);
    }
}

async fn a_trailing_slash_watches_the_same_key<T: Transport>(etcd: Etcd<T>) {
    let set = etcd.v2().set(etcd.key("a"), "1").await.unwrap();
    for key in [etcd.key("a/"), etcd.key("a")[1..].to_owned()] {
        let watch = Watch::new(key).from_index(set.index());
        let event = etcd.open(watch).next().await.unwrap().unwrap();
        assert_eq!(event.node, set.node);
    }
}

async fn the_root_can_be_watched<T: Transport>(etcd: Etcd<T>) {
    let set = etcd.v2().set("/a/b", "1").await.unwrap();
    for key in ["/", ""] {
        let watch = Watch::new(key).recursive(true).from_index(set.index());
        let event = etcd.open(watch).next().await.unwrap().unwrap();
        assert_eq!(event.node, set.node);
    }
}

async fn many_watches_at_once_all_see_an_event<T: Transport>(etcd: Etcd<T>) {
    let watches = (0..100).map(|n| {
        let key = if n % 2 == 0 { "/d/a" } else { "/d" };
        let mut events = etcd.v2().watch_tree(key);
        async move { (events.next().await.unwrap().unwrap(), events) }
    });
    let all_wait = async {
        while etcd.v2().stats_store().await.unwrap().watchers < 100 {
            etcd.sleep(20).await;
        }
        etcd.v2().set("/d/a", "1").await.unwrap()
    };
    let (seen, set) = join(join_all(watches), all_wait).await;
    assert_eq!(seen.len(), 100);
    assert!(seen.iter().all(|(event, _)| event.node == set.node));
}

/// Each writer waits where the watch would fall behind the 1,000 events that the server keeps.
async fn events_of_many_writers_come_once_and_in_order<T: Transport>(etcd: Etcd<T>) {
    const WRITERS: usize = 8;
    const WRITES: usize = 250;
    let first = etcd.v2().set_dir("/d").await.unwrap().index() + 1;
    let watch = Watch::new("/d").recursive(true).from_index(first);
    let events = etcd.open(watch).take(WRITERS * WRITES);
    let (written, seen) = (Cell::new(0_usize), Cell::new(0_usize));
    let write = async |writer: usize| {
        for n in 0..WRITES {
            while written.get() > seen.get() + 300 {
                etcd.sleep(5).await;
            }
            written.set(written.get() + 1);
            let set = Set::new(format!("/d/{writer}"), n.to_string());
            etcd.send(set.without_value()).await.unwrap();
        }
    };
    let events = events.inspect(|_| seen.set(seen.get() + 1)).try_collect();
    let (events, _) = join(events, join_all((0..WRITERS).map(write))).await;
    let events: Vec<Event> = events.unwrap();
    let mut next = [0; WRITERS];
    for (event, index) in events.iter().zip(first..) {
        assert_eq!(event.index(), index);
        let writer: usize = event.node.name().parse().unwrap();
        assert_eq!(event.node.value, Some(next[writer].to_string()));
        next[writer] += 1;
    }
    assert_eq!(next, [WRITES; WRITERS]);
}

async fn v2_81_lost_history_is_loud<T: Transport>(etcd: Etcd<T>) {
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
    while watchers(&etcd).await == 0 {
        wait_a_little(&etcd, &mut events).await;
    }
    let set = etcd.v2().set("/a", "2").await.unwrap();
    assert_eq!(events.next().await.unwrap().unwrap().node, set.node);
}

/// A directory cannot show that nothing happened to it: the watch must keep up with the store.
async fn a_quiet_directory_on_a_busy_store_keeps_up<T: Transport>(etcd: Etcd<T>) {
    etcd.v2().set("/d/a", "1").await.unwrap();
    let mut events = live(&etcd, "/d", true).await;
    let busy = async {
        for _ in 0..60 {
            write_elsewhere(&etcd, 20).await;
            etcd.sleep(50).await;
        }
        etcd.v2().set("/d/a", "2").await.unwrap()
    };
    let (event, set) = join(events.next(), busy).await;
    assert_eq!(event.unwrap().unwrap().node, set.node);
}

async fn watchers<T: Transport>(etcd: &Etcd<T>) -> u64 {
    etcd.v2().stats_store().await.unwrap().watchers
}

/// At once, or when the transport notices: see `etcd_transport::IdleLimit`.
async fn a_watch_that_is_dropped_leaves_the_server<T: Transport>(etcd: Etcd<T>) {
    let mut streams: Vec<_> = (0..5).map(|_| etcd.v2().watch_tree("/d")).collect();
    while watchers(&etcd).await < 5 {
        let all = streams.iter_mut();
        join_all(all.map(|events| wait_a_little(&etcd, events))).await;
    }
    let wait = etcd.v2().wait("/e");
    assert!(wait.now_or_never().is_none());
    drop(streams);
    while watchers(&etcd).await > 0 {
        etcd.sleep(20).await;
    }
}

async fn a_watch_survives_a_restart_of_the_server<T: Transport>(etcd: Etcd<T>) {
    survives(etcd, false).await;
}

async fn a_watch_survives_a_kill_of_the_server<T: Transport>(etcd: Etcd<T>) {
    survives(etcd, true).await;
}

/// What is written before and after comes once and in order, from a watch that waits meanwhile.
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
        // Perhaps it led.
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
async fn v2_147_a_watch_survives_empty_answers<T: Transport>(etcd: Etcd<T>) {
    let server = Scripted::start(|n, stream| match n {
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
        server.asked(),
        [poll(5), poll(5), poll(5), poll(8), poll(8)]
    );
}

#[cfg(feature = "server")]
async fn a_watch_survives_answers_that_are_cut<T: Transport>(etcd: Etcd<T>) {
    let server = Scripted::start(|n, stream| match n {
        // Before the head, after it, within the body; and a proxy that has lost its server.
        0 => Ok(()),
        1 => stream.write_all(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"),
        2 => stream.write_all(&event(7)[..150]),
        3 => stream.write_all(&answer("502 Bad Gateway", "text/html", "<html>")),
        _ => stream.write_all(&event(7)),
    });
    let client = etcd.client_of(server.url());
    let mut events = client.open(Watch::new("/a").from_index(5));
    assert_eq!(take(&mut events, 1).await[0].index(), 7);
    // libcurl may send a request again by itself where nothing came back.
    let asked = server.asked();
    assert!(
        asked.len() >= 5 && asked.iter().all(|line| *line == poll(5)),
        "{asked:?}"
    );
}

/// A poll that the server has not come round to yet says nothing of what happened before it.
async fn a_server_slower_than_a_poll_loses_no_event<T: Transport>(etcd: Etcd<T>) {
    let head = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nX-Etcd-Index: 7\r\n\
                Content-Length: 0\r\nConnection: close\r\n\r\n";
    let server = Scripted::start(move |n, stream| {
        thread::sleep(Duration::from_millis(1200));
        // The first poll, a probe, and the second poll.
        stream.write_all(&if n == 1 { head.into() } else { event(5) })
    });
    let client = etcd.client_of(server.url());
    let mut events = client.open(Watch::new("/a").from_index(5));
    assert_eq!(take(&mut events, 1).await[0].index(), 5);
    let asked = server.asked();
    assert_eq!(asked[..3], [poll(5), "HEAD /v2/keys/a".to_owned(), poll(5)]);
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
