//! Sets of watches: which are requested, where and when, and what happens to those that are not created.

use std::time::Duration;

use etcd_http::{
    Client,
    v3::{Watch, WatchSet},
};
use futures::{StreamExt, future::join};

use crate::{
    v3_played::{NOW, Play, Played, created, event, fragment, watching},
    v3_watch_server::{Http2, WatchServer},
    v3_watch_set::{http, https, next, open, prefix, settle, soon},
};

const SECOND: Duration = Duration::from_secs(1);

#[test]
fn where_changes_have_worked_a_proxy_that_fails_for_a_while_does_not_end_that() {
    let client = https(WatchServer::at(4));
    let (mut items, control) = open(&client, WatchSet::new([prefix("a").from_revision(5)]));
    settle(&client, &mut items);
    let store = client.transport();
    store.change(|state| state.http2 = Http2::Answered(502));
    store.cut();
    assert_eq!(soon(&client, &mut items, SECOND * 2), None);
    assert!(store.log().matches("502").count() > 2, "{}", store.log());
    store.change(|state| state.http2 = Http2::Works);
    control.add(prefix("b").from_revision(5)).unwrap();
    store.write("b");
    assert_eq!(next(&client, &mut items), (1, Ok(5)));
    let log = store.log().replace(" 502", "");
    assert_eq!(log, "h2 +1@5 h2 +1@4 +2@5");
}

#[test]
fn a_set_that_changes_goes_on_changing_at_a_member_that_has_watches() {
    let server = WatchServer::at(4).with(|state| state.without_watches = "a");
    let client = Client::new(server, ["https://a", "https://b"]).unwrap();
    let (mut items, control) = open(&client, WatchSet::new([prefix("a").from_revision(5)]));
    settle(&client, &mut items);
    control.add(prefix("b").from_revision(5)).unwrap();
    let store = client.transport();
    store.write("b");
    assert_eq!(next(&client, &mut items), (1, Ok(5)));
    assert_eq!(store.log(), "404 h2 +1@5 +2@5");
}

#[test]
fn to_cancel_what_is_not_watched_sends_nothing() {
    for (client, log) in [
        (http(WatchServer::at(4)), "h1 +1@5"),
        (https(WatchServer::at(4)), "h2 +1@5"),
    ] {
        let (mut items, control) = open(&client, WatchSet::new([prefix("a").from_revision(5)]));
        settle(&client, &mut items);
        control.cancel(7);
        settle(&client, &mut items);
        // Nor is it if the stream has not taken it up.
        assert_eq!(control.add(prefix("b")).unwrap(), 1);
        control.cancel(1);
        control.cancel(1);
        settle(&client, &mut items);
        let store = client.transport();
        store.write("a");
        assert_eq!(next(&client, &mut items), (0, Ok(5)));
        assert_eq!(store.log(), log);
        assert_eq!(store.change(|state| state.ranges), 0);
    }
}

#[test]
fn a_watch_that_is_added_at_a_member_that_lags_behind_waits_for_it() {
    let client = https(WatchServer::at(4));
    let (mut items, control) = open(&client, WatchSet::new([prefix("a").from_revision(5)]));
    let store = client.transport();
    store.write("a");
    assert_eq!(next(&client, &mut items), (0, Ok(5)));
    store.change(|state| state.lag = 1);
    control.add(prefix("b").from_revision(5)).unwrap();
    settle(&client, &mut items);
    store.write("b");
    assert_eq!(next(&client, &mut items), (1, Ok(6)));
    // Nobody asks whether the store was set back: the member has shown that it is good.
    assert_eq!(store.change(|state| state.ranges), 0);
    assert_eq!(store.log(), "h2 +1@5 +2@5");
}

#[test]
fn a_watch_from_now_on_that_may_not_read_ends_at_once_and_alone() {
    let denied = r#"{"code":7,"message":"etcdserver: permission denied"}"#;
    let client = Played::client(&["http://a"], move |asked| {
        if asked.is_watch() {
            let id = if asked.before == 0 { 2 } else { 1 };
            Play::open()
                .then(NOW, created(id))
                .then(NOW, event(id, "k", 5))
        } else {
            Play::whole(403, denied)
        }
    });
    let set = WatchSet::new([Watch::new("k"), Watch::new("k").from_revision(5)]);
    let mut items = client.open(set);
    let clock = &client.transport().clock;
    let first = clock.run(items.next()).unwrap().unwrap();
    assert_eq!(first.watch, 0);
    let error = first.changes.unwrap_err();
    assert!(error.is_permission_denied(), "{error}");
    let second = clock.run(items.next()).unwrap().unwrap();
    assert_eq!((second.watch, second.changes.unwrap().revision), (1, 5));
    assert_eq!(clock.elapsed(), NOW);
    assert_eq!(client.transport().seen(), ["a range", "a watch"]);
}

#[test]
fn the_time_to_create_a_watch_begins_after_the_one_before() {
    let client = watching(&["http://a"], |_| {
        let ids = [1, 2, 3].map(created);
        let watches = ids
            .into_iter()
            .fold(Play::open(), |play, created| play.then(SECOND * 4, created));
        watches.then(NOW, event(3, "k", 5))
    });
    let watch = || Watch::new("k").from_revision(5);
    let mut items = client.open(WatchSet::new([watch(), watch(), watch()]));
    let clock = &client.transport().clock;
    let item = clock.run(items.next()).unwrap().unwrap();
    assert_eq!((item.watch, item.changes.unwrap().revision), (2, 5));
    assert_eq!(clock.elapsed(), SECOND * 12);
    assert_eq!(client.transport().seen(), ["a watch"]);
}

#[test]
fn fragments_of_a_revision_are_waited_for_whatever_changes_meanwhile() {
    let client = watching(&["http://a"], |_| {
        Play::open()
            .then(NOW, created(1))
            .then(NOW, fragment(1, "k", 5))
            .then(SECOND / 2, event(1, "k2", 5))
    });
    let watch = || Watch::new("k").from_revision(5);
    let (set, control) = WatchSet::new([watch()]).controlled();
    let mut items = client.open(set);
    let clock = &client.transport().clock;
    let change = async {
        for _ in 0..20 {
            control.add(watch()).unwrap();
            clock.sleep(SECOND / 10).await;
        }
    };
    let read = async {
        let item = items.next().await.unwrap().unwrap();
        assert_eq!(item.watch, 0);
        assert_eq!(item.changes.unwrap().events.len(), 2);
        clock.elapsed()
    };
    let (elapsed, ()) = clock.run(join(read, change));
    assert_eq!(elapsed, SECOND / 2);
}

#[test]
fn a_set_may_be_served_by_a_member_without_a_leader() {
    for requires_leader in [true, false] {
        let client = watching(&["http://a"], |_| {
            Play::open()
                .then(NOW, created(1))
                .then(NOW, event(1, "k", 5))
        });
        let set = WatchSet::new([Watch::new("k").from_revision(5)]);
        let mut items = client.open(set.require_leader(requires_leader));
        let item = items.next();
        let item = client.transport().clock.run(item).unwrap().unwrap();
        assert_eq!((item.watch, item.changes.unwrap().revision), (0, 5));
        let asked = client.transport().asked();
        assert_eq!(asked[0].requires_leader, requires_leader);
    }
}
