//! Watches: which events come, in which order, and from where on.

use std::{cell::Cell, future::Future, pin::pin};

use etcd_http::{
    Result,
    transport::Transport,
    v2::{Action, Condition, Event, Get, Set, Watch},
};
use futures::{
    Stream, StreamExt, TryStreamExt,
    future::{Either, join, join_all, select},
    stream::BoxStream,
};
use harness::{case::Etcd, cases};

cases! {
    any {
        Shared {
            a_wait_brings_the_next_event,
            a_wait_on_a_key_that_is_not_there_brings_its_creation,
            a_watch_goes_on_forever,
            a_watch_ends_after_the_event_it_waits_for,
            every_write_of_a_file_is_an_event,
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
            v2_12_an_event_comes_with_the_index_when_the_watch_was_registered,
            the_root_can_be_watched,
            many_watches_at_once_all_see_an_event,
            events_of_many_writers_come_once_and_in_order,
        }
    }
}

/// Opens a watch that begins now, and that the server has registered by now unless it is slow, so that its events are
/// live. The watch misses no event in either case.
pub(crate) async fn live<T: Transport>(
    etcd: &Etcd<T>,
    key: impl AsRef<str>,
    recursive: bool,
) -> BoxStream<'static, Result<Event>> {
    let now = etcd.v2().get("/").await.unwrap().cluster.etcd_index;
    let watch = Watch::new(key).recursive(recursive);
    let mut events = etcd.open(watch.from_index(now.unwrap() + 1));
    wait_a_little(etcd, &mut events).await;
    events
}

/// Waits for an event that does not come, so that the server registers the watch.
pub(crate) async fn wait_a_little<T: Transport, S: Stream + Unpin>(etcd: &Etcd<T>, events: &mut S) {
    let moment = pin!(etcd.sleep(50));
    let quiet = select(events.next(), moment).await;
    assert!(matches!(quiet, Either::Right(_)), "an event too early");
}

/// Waits until the server has registered so many watches.
async fn until_watched<T: Transport>(etcd: &Etcd<T>, count: u64) {
    let watchers = async || etcd.v2().get_store_stats().await.unwrap().watchers;
    etcd.until(async || watchers().await == count).await;
}

/// Writes this key repeatedly until `first` resolves, and returns its event with what was written.
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

/// Returns the next events.
pub(crate) async fn take<S: Stream<Item = Result<Event>> + Unpin>(
    events: &mut S,
    count: usize,
) -> Vec<Event> {
    events.take(count).try_collect().await.unwrap()
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

async fn a_watch_goes_on_forever<T: Transport>(etcd: Etcd<T>) {
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
    let watch = Watch::new(etcd.key("a")).from_index(before.index() + 1);
    let mut events = etcd.open(watch);
    let write = async {
        until_watched(&etcd, 1).await;
        etcd.v2().set(etcd.key("a"), "1").await.unwrap();
    };
    let (event, ()) = join(events.next(), write).await;
    let event = event.unwrap().unwrap();
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
    // There is no other in between: it is the first event of this key from there on.
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

/// The server's history matches every key of which the deleted one is a prefix.
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
        until_watched(&etcd, 100).await;
        etcd.v2().set("/d/a", "1").await.unwrap()
    };
    let (seen, set) = join(join_all(watches), all_wait).await;
    assert_eq!(seen.len(), 100);
    assert!(seen.iter().all(|(event, _)| event.node == set.node));
}

/// Each writer waits before the watch would fall behind the 1,000 events that the server keeps.
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
