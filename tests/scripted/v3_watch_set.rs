//! Sets of watches that change while they are open.

use std::time::Duration;

use etcd_http::{
    Client, Result,
    v3::{KeyRange, Watch, WatchControl, WatchSet, WatchSetItem},
};
use futures::{FutureExt, StreamExt, future::Either, stream::BoxStream};

use crate::v3_watch_server::{Http2, WatchServer};

pub(crate) type Items = BoxStream<'static, Result<WatchSetItem>>;

pub(crate) fn https(live: WatchServer) -> Client<WatchServer> {
    Client::new(live, ["https://a"]).unwrap()
}

pub(crate) fn http(live: WatchServer) -> Client<WatchServer> {
    Client::new(live, ["http://a"]).unwrap()
}

pub(crate) fn open(client: &Client<WatchServer>, set: WatchSet) -> (Items, WatchControl) {
    let (set, control) = set.controlled();
    (client.open(set), control)
}

pub(crate) fn prefix(prefix: &str) -> Watch {
    Watch::new(KeyRange::prefix(prefix))
}

/// Returns the next item: the watch and the revision, or its error as text.
pub(crate) fn next(
    client: &Client<WatchServer>,
    items: &mut Items,
) -> (usize, Result<i64, String>) {
    let item = client.transport().clock.run(items.next());
    let item = item.expect("it is not over").unwrap();
    let revision = item.changes.map(|changes| changes.revision);
    (item.watch, revision.map_err(|error| error.to_string()))
}

/// Returns what arrives within this time.
pub(crate) fn soon(
    client: &Client<WatchServer>,
    items: &mut Items,
    time: Duration,
) -> Option<(usize, i64)> {
    let clock = &client.transport().clock;
    match clock.run(futures::future::select(items.next(), clock.sleep(time))) {
        Either::Left((item, _)) => {
            let item = item.expect("it is not over").unwrap();
            Some((item.watch, item.changes.unwrap().revision))
        }
        Either::Right(_) => None,
    }
}

/// Polls the stream until it is idle. It must not deliver an item.
pub(crate) fn settle(client: &Client<WatchServer>, items: &mut Items) {
    assert_eq!(soon(client, items, Duration::from_secs(1)), None);
}

#[test]
fn over_http_2_watches_come_and_go_on_one_stream() {
    let client = https(WatchServer::at(4));
    let (mut items, control) = open(&client, WatchSet::new([prefix("a")]));
    settle(&client, &mut items);
    let store = client.transport();
    assert_eq!(store.write("a"), 5);
    assert_eq!(next(&client, &mut items), (0, Ok(5)));
    // The past, and from now on.
    assert_eq!(control.add(prefix("").from_revision(5)).unwrap(), 1);
    assert_eq!(control.add(prefix("b")).unwrap(), 2);
    assert_eq!(next(&client, &mut items), (1, Ok(5)));
    control.cancel(1);
    settle(&client, &mut items);
    store.write("b");
    assert_eq!(next(&client, &mut items), (2, Ok(6)));
    control.clone().cancel(0);
    settle(&client, &mut items);
    store.write("a");
    store.write("b");
    assert_eq!(next(&client, &mut items), (2, Ok(8)));
    assert_eq!(store.log(), "h2 +1@4 +2@5 +3@5 -2 -1");
    assert_eq!(store.change(|state| state.ranges), 2);
    control.cancel(2);
    drop(control);
    assert!(store.clock.run(items.next()).is_none());
    assert_eq!(store.change(|state| state.open), 0);
}

#[test]
fn over_http_1_a_changed_set_opens_another_request() {
    let client = http(WatchServer::at(4));
    let (mut items, control) = open(&client, WatchSet::new([prefix("a")]));
    settle(&client, &mut items);
    let store = client.transport();
    store.write("a");
    assert_eq!(next(&client, &mut items), (0, Ok(5)));
    control.add(prefix("").from_revision(5)).unwrap();
    control.add(prefix("b")).unwrap();
    let before = store.clock.elapsed();
    assert_eq!(next(&client, &mut items), (1, Ok(5)));
    assert_eq!(store.clock.elapsed() - before, Duration::from_millis(50));
    control.cancel(1);
    settle(&client, &mut items);
    store.write("b");
    assert_eq!(next(&client, &mut items), (2, Ok(6)));
    control.cancel(0);
    settle(&client, &mut items);
    store.write("a");
    store.write("b");
    assert_eq!(next(&client, &mut items), (2, Ok(8)));
    let log = "h1 +1@4 h1 +1@5 +2@5 +3@5 h1 +1@5 +3@5 h1 +3@6";
    assert_eq!(store.log(), log);
    assert_eq!(store.change(|state| state.open), 1);
    control.cancel(2);
    settle(&client, &mut items);
    assert_eq!(store.change(|state| state.open), 0, "nothing is watched");
    drop(control);
    assert!(store.clock.run(items.next()).is_none());
}

#[test]
fn buffered_events_of_a_canceled_watch_are_not_delivered() {
    for client in [http(WatchServer::at(4)), https(WatchServer::at(4))] {
        let store = client.transport();
        for key in ["a", "a", "a", "b"] {
            store.write(key);
        }
        let watches = ["a", "b"].map(|key| Watch::new(key).from_revision(5));
        let (mut items, control) = open(&client, WatchSet::new(watches));
        assert_eq!(next(&client, &mut items), (0, Ok(5)));
        // The message has two more revisions in it.
        control.cancel(0);
        assert_eq!(next(&client, &mut items), (1, Ok(8)));
        settle(&client, &mut items);
    }
}

#[test]
fn after_a_cut_each_watch_that_is_left_goes_on_from_its_own_revision() {
    let client = https(WatchServer::at(4));
    let watches = ["a", "b", "c"].map(|key| Watch::new(key).from_revision(5));
    let (mut items, control) = open(&client, WatchSet::new(watches));
    let store = client.transport();
    store.write("a");
    assert_eq!(next(&client, &mut items), (0, Ok(5)));
    control.cancel(1);
    control.add(Watch::new("d").from_revision(3)).unwrap();
    settle(&client, &mut items);
    store.cut();
    // While the server refuses connections.
    store.write("d");
    control.add(Watch::new("e").from_revision(7)).unwrap();
    control.cancel(2);
    store.write("e");
    assert_eq!(next(&client, &mut items), (3, Ok(6)));
    assert_eq!(next(&client, &mut items), (4, Ok(7)));
    let log = store.log();
    assert!(
        log.starts_with("h2 +1@5 +2@5 +3@5 -2 +4@3 h2 +1@5 +4@2 +5@7"),
        "{log}"
    );
}

#[test]
fn a_set_without_watches_waits_for_the_first_for_as_long_as_there_is_a_control() {
    for client in [http(WatchServer::at(4)), https(WatchServer::at(4))] {
        let (mut items, control) = open(&client, WatchSet::default());
        let hour = Duration::from_secs(3600);
        assert_eq!(soon(&client, &mut items, hour), None);
        let store = client.transport();
        assert_eq!(store.log(), "");
        control.add(Watch::new("a").from_revision(5)).unwrap();
        store.write("a");
        assert_eq!(next(&client, &mut items), (0, Ok(5)));
        // A watch continues without a control, and is the last to end.
        drop(control);
        store.write("a");
        assert_eq!(next(&client, &mut items), (0, Ok(6)));
        let (mut none, control) = open(&client, WatchSet::default());
        drop(control);
        assert!(none.next().now_or_never().unwrap().is_none());
    }
}

#[test]
fn invalid_requests_are_refused_at_once() {
    let client = https(WatchServer::at(4));
    let (items, control) = open(&client, WatchSet::new([prefix("a")]));
    for (watch, reason) in [
        (Watch::new(""), "key"),
        (Watch::new("a").from_revision(0), "no revision below 1"),
    ] {
        let error = control.add(watch).unwrap_err().to_string();
        assert!(error.contains(reason), "{error}");
    }
    // No number is skipped.
    assert_eq!(control.add(Watch::new("a")).unwrap(), 1);
    drop(items);
    assert_eq!(
        control.add(Watch::new("a")).unwrap_err().to_string(),
        "v3.watch: the stream of this set has ended, or was dropped"
    );
    control.cancel(0);
    assert_eq!(client.transport().log(), "");
}

#[test]
fn a_watch_that_etcd_ends_leaves_the_others_on_the_stream() {
    let client = https(WatchServer::at(4).with(|state| state.compacted = 4));
    let (mut items, control) = open(&client, WatchSet::new([prefix("a")]));
    settle(&client, &mut items);
    control.add(Watch::new("denied").from_revision(5)).unwrap();
    control.add(Watch::new("b").from_revision(2)).unwrap();
    let (watch, denied) = next(&client, &mut items);
    assert_eq!(watch, 1);
    assert!(denied.unwrap_err().contains("permission denied"));
    let (watch, compacted) = next(&client, &mut items);
    assert_eq!(watch, 2);
    assert!(compacted.unwrap_err().contains("compacted"));
    client.transport().write("a");
    assert_eq!(next(&client, &mut items), (0, Ok(5)));
    assert_eq!(client.transport().log(), "h2 +1@4 +2@5 +3@2");
}

#[test]
fn a_transport_that_refuses_http_2_is_asked_once() {
    let client = https(WatchServer::at(4).with(|state| state.http2 = Http2::Rejected));
    let watch = prefix("a").from_revision(5);
    let (mut items, control) = open(&client, WatchSet::new([watch]));
    let store = client.transport();
    store.write("a");
    assert_eq!(next(&client, &mut items), (0, Ok(5)));
    assert_eq!(store.clock.elapsed(), Duration::ZERO);
    // It would work now, but it is not tried again.
    store.change(|state| state.http2 = Http2::Works);
    store.cut();
    control.add(prefix("b").from_revision(5)).unwrap();
    store.write("b");
    assert_eq!(next(&client, &mut items), (1, Ok(6)));
    assert_eq!(store.log(), "h1 +1@5 h1 +1@5 +2@5");
}

#[test]
fn a_proxy_in_the_way_of_http_2_is_found_out() {
    for (http2, seconds, tried) in [
        (Http2::KeptBack, 10, "kept kept"),
        (Http2::Answered(415), 0, "415 415"),
        (Http2::Answered(502), 0, "502 502"),
    ] {
        let client = https(WatchServer::at(4).with(|state| state.http2 = http2));
        let watch = prefix("a").from_revision(5);
        let (mut items, control) = open(&client, WatchSet::new([watch]));
        let store = client.transport();
        store.write("a");
        assert_eq!(next(&client, &mut items), (0, Ok(5)));
        let elapsed = store.clock.elapsed();
        let limit = Duration::from_secs(seconds);
        assert!(
            elapsed >= limit && elapsed < limit + Duration::from_secs(1),
            "{elapsed:?}"
        );
        store.cut();
        control.add(prefix("b").from_revision(5)).unwrap();
        store.write("b");
        assert_eq!(next(&client, &mut items), (1, Ok(6)));
        assert_eq!(store.log(), format!("{tried} h1 +1@5 h1 +1@5 +2@5"));
    }
}

#[test]
fn a_server_that_is_down_at_first_is_not_treated_as_one_without_http_2() {
    let client = https(WatchServer::at(4).with(|state| state.is_down = true));
    let watch = prefix("a").from_revision(5);
    let (mut items, _control) = open(&client, WatchSet::new([watch]));
    assert_eq!(soon(&client, &mut items, Duration::from_secs(60)), None);
    let store = client.transport();
    store.change(|state| state.is_down = false);
    store.write("a");
    assert_eq!(next(&client, &mut items), (0, Ok(5)));
    assert_eq!(store.log(), "h2 +1@5");
}

#[test]
fn a_set_that_cannot_change_is_one_complete_request() {
    let client = https(WatchServer::at(4));
    let mut items = client.open(WatchSet::new([prefix("a").from_revision(5)]));
    client.transport().write("a");
    assert_eq!(next(&client, &mut items), (0, Ok(5)));
    assert_eq!(client.transport().log(), "h1 +1@5");
}

#[test]
fn a_watch_that_is_not_created_in_time_is_requested_again() {
    let client = https(WatchServer::at(4).with(|state| state.stalls_after = 1));
    let watch = prefix("").from_revision(5);
    let (mut items, control) = open(&client, WatchSet::new([watch]));
    settle(&client, &mut items);
    let store = client.transport();
    control.add(Watch::new("b").from_revision(3)).unwrap();
    let begun = store.clock.elapsed();
    // Events of the others do not delay it.
    for revision in 5..12 {
        store.write("a");
        assert_eq!(next(&client, &mut items), (0, Ok(revision)));
        if store.log().matches("h2").count() == 1 {
            soon(&client, &mut items, Duration::from_millis(900));
        }
    }
    let waited = store.clock.elapsed() - begun;
    assert!(
        waited >= Duration::from_secs(5) && waited < Duration::from_secs(6),
        "{waited:?}"
    );
    store.change(|state| state.stalls_after = usize::MAX);
    store.write("b");
    let both = [next(&client, &mut items), next(&client, &mut items)];
    assert_eq!(both, [(0, Ok(12)), (1, Ok(12))]);
}

#[test]
fn changes_of_a_set_do_not_delay_the_probe_of_a_silent_server() {
    let client = Client::new(WatchServer::at(4), ["https://a", "https://b"]).unwrap();
    let watches = (0..20).map(|number| Watch::new(format!("k{number}")).from_revision(5));
    let (mut items, control) = open(&client, WatchSet::new(watches));
    settle(&client, &mut items);
    let store = client.transport();
    store.change(|state| state.is_frozen = true);
    // Five seconds of silence, and three for a response to the status.
    for number in 0..12 {
        control.cancel(number);
        assert_eq!(soon(&client, &mut items, Duration::from_millis(500)), None);
    }
    assert_eq!(store.change(|state| state.open), 1);
    soon(&client, &mut items, Duration::from_secs(2));
    assert_eq!(
        store.change(|state| state.open),
        0,
        "the connection is given up"
    );
}

#[test]
fn changes_that_come_faster_than_requests_starve_no_watch() {
    let latency = Duration::from_millis(100);
    let client = http(WatchServer::at(4).with(|state| state.latency = latency));
    let watch = prefix("a").from_revision(5);
    let (mut items, control) = open(&client, WatchSet::new([watch]));
    let store = client.transport();
    let millis = Duration::from_millis;
    let change = async {
        for number in 0..200 {
            control.add(Watch::new(format!("b{number}"))).unwrap();
            store.write("a");
            store.clock.sleep(millis(10)).await;
        }
    };
    let read = async {
        for revision in 5..205 {
            let item = items.next().await.unwrap().unwrap();
            assert_eq!((item.watch, item.changes.unwrap().revision), (0, revision));
            if revision == 100 {
                break;
            }
        }
        store.clock.elapsed()
    };
    let (seen, ()) = store.clock.run(futures::future::join(read, change));
    assert!(seen < millis(1500), "{seen:?}");
    let requests = store.log().matches("h1").count();
    assert!((5..20).contains(&requests), "{requests} requests");
}

#[test]
fn a_message_under_way_is_waited_for_whatever_changes_meanwhile() {
    let millis = Duration::from_millis;
    let client = http(WatchServer::at(4).with(|state| state.halved = millis(300)));
    let (mut items, control) = open(&client, WatchSet::new([prefix("a").from_revision(5)]));
    let store = client.transport();
    store.write("a");
    let change = async {
        for number in 0..100 {
            let watch = Watch::new(format!("b{number}")).from_revision(5);
            control.add(watch).unwrap();
            store.clock.sleep(millis(60)).await;
        }
    };
    let read = async {
        let item = items.next().await.unwrap().unwrap();
        assert_eq!((item.watch, item.changes.unwrap().revision), (0, 5));
        store.clock.elapsed()
    };
    let (seen, ()) = store.clock.run(futures::future::join(read, change));
    assert!(seen < millis(1000), "{seen:?}");
}

#[test]
fn an_empty_set_has_no_outage() {
    let client = https(WatchServer::at(4).with(|state| state.is_down = true));
    let set =
        WatchSet::new([Watch::new("a").from_revision(5)]).outage_limit(Duration::from_secs(60));
    let (mut items, control) = open(&client, set);
    let half = Duration::from_secs(30);
    assert_eq!(soon(&client, &mut items, half), None);
    control.cancel(0);
    assert_eq!(soon(&client, &mut items, Duration::from_secs(600)), None);
    control.add(Watch::new("a").from_revision(5)).unwrap();
    assert_eq!(soon(&client, &mut items, half), None);
    client.transport().change(|state| state.is_down = false);
    client.transport().write("a");
    assert_eq!(next(&client, &mut items), (1, Ok(5)));
}

#[test]
fn the_stream_of_an_empty_set_may_break_unnoticed() {
    let client = https(WatchServer::at(4));
    let (mut items, control) = open(&client, WatchSet::new([Watch::new("a").from_revision(5)]));
    settle(&client, &mut items);
    control.cancel(0);
    settle(&client, &mut items);
    let store = client.transport();
    assert_eq!(store.change(|state| state.open), 1, "for the next one");
    store.cut();
    settle(&client, &mut items);
    assert_eq!(store.log(), "h2 +1@5 -1");
    control.add(Watch::new("b").from_revision(5)).unwrap();
    store.write("b");
    assert_eq!(next(&client, &mut items), (1, Ok(5)));
    assert_eq!(store.log(), "h2 +1@5 -1 h2 +2@5");
}

#[test]
fn in_a_namespace_what_is_added_is_within_it() {
    let client = https(WatchServer::at(4));
    let (set, control) = WatchSet::new([Watch::new("a").from_revision(5)]).controlled();
    let mut items = client.v3().namespace("n/").open(set);
    control.add(prefix("b").from_revision(5)).unwrap();
    let store = client.transport();
    for key in ["a", "b", "n/a", "n/bb"] {
        store.write(key);
    }
    let mut seen = Vec::new();
    for _ in 0..2 {
        let item = store.clock.run(items.next()).unwrap().unwrap();
        let changes = item.changes.unwrap();
        let key = changes.events[0].kv.key_str().unwrap().to_owned();
        seen.push((item.watch, changes.revision, key));
    }
    assert_eq!(seen, [(0, 7, "a".to_owned()), (1, 8, "bb".to_owned())]);
}
