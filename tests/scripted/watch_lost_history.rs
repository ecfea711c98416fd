//! Watches of the v2 API that the server's history no longer serves.

use std::time::Duration;

use etcd_http::{
    Client,
    v2::{Watch, WatchUpdate},
};
use futures::StreamExt;
use harness::scripted_transport::{Ending, Step, etcd_error, file, keys, open};

use crate::{
    timed::{self, Timed},
    watch::{client, event, failure, indexes, items, poll},
};

/// Asserts that an update reports a loss from an index on, the index of the read, and that of the file that was read.
#[track_caller]
fn assert_resync(update: &WatchUpdate, lost_from: u64, index: u64, file: Option<u64>) {
    match update {
        WatchUpdate::Resync(resync) => {
            assert_eq!((resync.lost_from, resync.index), (lost_from, index));
            let modified = resync.state.as_ref().map(|node| node.modified_index);
            assert_eq!(modified, file);
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn lost_history_of_an_unchanged_file_is_no_loss() {
    let cleared = etcd_error(400, 401, 3000);
    let unchanged = keys(200, 3000, file("get", "/x", 4));
    let client = client([cleared, unchanged, event(3001)]);
    assert_eq!(indexes(&client, Watch::new("x").from_index(5), 1), [3001]);
    assert_eq!(client.transport().seen().last(), Some(&poll(3001)));
}

/// A change of the file at 3002 that names the file before it.
fn change_after(index: u64) -> Step {
    let body = format!(
        r#"{{"action":"set","node":{{"key":"/x","value":"2","modifiedIndex":3002,"createdIndex":3002}},
        "prevNode":{{"key":"/x","value":"1","modifiedIndex":{index},"createdIndex":{index}}}}}"#
    );
    keys(200, 3002, body)
}

#[test]
fn a_file_that_changes_while_lost_history_is_examined_has_lost_nothing() {
    let changed = || keys(200, 3002, file("get", "/x", 3002));
    let cleared = |index| etcd_error(400, 401, index);
    let client = client([
        cleared(3000),
        changed(),
        change_after(4),
        event(3003),
        // The history passes on while it is examined, too.
        cleared(5000),
        keys(200, 5002, file("get", "/x", 5002)),
        cleared(6500),
        keys(200, 6500, file("get", "/x", 5002)),
    ]);
    let mut items = items(&client, Watch::new("x").from_index(5), 3).into_iter();
    let mut next = || items.next().unwrap();
    assert_eq!(next().unwrap().index(), 3002);
    assert_eq!(next().unwrap().index(), 3003);
    assert!(next().unwrap_err().is_history_cleared());
    let seen = client.transport().seen();
    assert_eq!(seen[2], poll(3001));
    assert_eq!(seen[6], poll(5001));
}

#[test]
fn a_file_that_had_changed_before_its_last_change_has_lost_events() {
    let steps = || {
        let changed = keys(200, 3002, file("get", "/x", 3002));
        [etcd_error(400, 401, 3000), changed, change_after(5)]
    };
    let error = failure(&client(steps()), Watch::new("x").from_index(5));
    assert!(error.is_history_cleared(), "{error}");
    assert!(error.to_string().contains("index 3000"), "{error}");

    let client = client(steps().into_iter().chain([event(3003)]));
    let updates = items(&client, Watch::new("x").from_index(5).resyncing(), 2);
    let updates: Vec<_> = updates.into_iter().map(Result::unwrap).collect();
    assert_resync(&updates[0], 5, 3002, Some(3002));
    assert!(matches!(&updates[1], WatchUpdate::Event(event) if event.index() == 3003));
}

#[test]
fn a_member_that_lags_behind_shows_nothing_about_lost_history() {
    let missing_at = |index| etcd_error(404, 100, index);
    let late = client([etcd_error(400, 401, 3000), missing_at(4), event(5)]);
    assert_eq!(indexes(&late, Watch::new("x").from_index(5), 1), [5]);
    let in_time = client([etcd_error(400, 401, 3000), missing_at(5)]);
    let error = failure(&in_time, Watch::new("x").from_index(5));
    assert!(error.is_history_cleared(), "{error}");
}

#[test]
fn a_change_by_the_last_event_of_lost_history_is_a_loss() {
    let changed = keys(200, 3000, file("get", "/x", 3000));
    let client = client([etcd_error(400, 401, 3000), changed]);
    let error = failure(&client, Watch::new("x").from_index(5));
    assert!(error.is_history_cleared(), "{error}");
}

/// A refresh changes the file without an event, and hides what was before.
#[test]
fn a_file_that_is_refreshed_while_lost_history_is_examined_may_have_lost_events() {
    let changed = keys(200, 3002, file("get", "/x", 3002));
    let client = client([etcd_error(400, 401, 3000), changed, open(3002)]);
    let error = failure(&client, Watch::new("x").from_index(5));
    assert!(error.is_history_cleared(), "{error}");
}

#[test]
fn lost_history_is_an_error() {
    let changed = keys(200, 3000, file("get", "/x", 5));
    let missing = etcd_error(404, 100, 3000);
    let directory = keys(
        200,
        3000,
        r#"{"action":"get","node":{"key":"/x","dir":true,"modifiedIndex":4}}"#,
    );
    for now in [changed, missing, directory] {
        let client = client([etcd_error(400, 401, 3000), now]);
        let error = failure(&client, Watch::new("x").from_index(5));
        assert!(error.is_history_cleared(), "{error}");
    }
}

#[test]
fn an_outage_while_history_is_read_again_is_survived_too() {
    let cleared = || etcd_error(400, 401, 3000);
    let unchanged = keys(200, 3000, file("get", "/x", 4));
    let outage = (0..5).map(|_| Step::Refuse);
    let steps = [cleared()].into_iter().chain(outage);
    let client = client(steps.chain([cleared(), unchanged, event(3001)]));
    assert_eq!(indexes(&client, Watch::new("x").from_index(5), 1), [3001]);
}

#[test]
fn a_resyncing_watch_says_what_is_now_and_goes_on_from_there() {
    let cleared = || etcd_error(400, 401, 3000);
    let changed = keys(200, 3000, file("get", "/x", 8));
    let missing = etcd_error(404, 100, 9000);
    let client = client([
        cleared(),
        changed,
        event(3001),
        cleared(),
        missing,
        event(9001),
    ]);
    let updates = items(&client, Watch::new("x").from_index(5).resyncing(), 4);
    let updates: Vec<_> = updates.into_iter().map(Result::unwrap).collect();
    assert_resync(&updates[0], 5, 3000, Some(8));
    assert!(matches!(&updates[1], WatchUpdate::Event(event) if event.index() == 3001));
    assert_resync(&updates[2], 3002, 9000, None);
    assert!(matches!(&updates[3], WatchUpdate::Event(event) if event.index() == 9001));
}

/// A store in which another key changes up to `cleared` while the last of these polls is silent. That one has `response` 0.3
/// seconds after the next one was sent, which came too late: the history is lost, and the file has changed.
fn renewed<const N: usize>(
    silent: u32,
    response: Step,
    cleared: u64,
    changed: Step,
    then: [Step; N],
) -> Client<Timed> {
    let lasts = Duration::from_secs(if silent == 0 { 1 } else { 1 << (silent - 1) });
    let silent = (0..silent).map(|_| (Duration::ZERO, open(4)));
    let steps = silent.chain([
        (lasts + Duration::from_millis(300), response),
        (Duration::ZERO, etcd_error(400, 401, cleared)),
        (Duration::ZERO, changed),
    ]);
    let steps = steps.chain(then.into_iter().map(|step| (Duration::ZERO, step)));
    timed::client(Timed::new(steps).with_heads(), ["a"])
}

/// Found by a test on a loaded machine: the server told that the history was lost before it delivered the event.
#[test]
fn the_poll_before_lost_history_delivers_what_it_waited_for() {
    // In the one second of the first poll, and in the sixteen of the sixth.
    for (silent, cleared) in [(0, 3002), (5, 1502)] {
        let change = keys(200, 4, file("set", "/x", cleared));
        let changed = keys(200, cleared, file("get", "/x", cleared));
        let client = renewed(silent, change, cleared, changed, [event(cleared + 1)]);
        let watch = client.open(Watch::new("x").from_index(5)).take(2);
        let events: Vec<_> = client.transport().clock.run(watch.collect());
        let indexes = events.into_iter().map(|event| event.unwrap().index());
        assert_eq!(indexes.collect::<Vec<_>>(), [cleared, cleared + 1]);
        let last = client.transport().lines().pop();
        assert_eq!(last, Some(poll(cleared + 1)));
    }
}

#[test]
fn the_poll_before_lost_history_delivers_what_happens_in_a_directory() {
    let change = keys(200, 4, file("set", "/x/y", 3002));
    let directory = r#"{"action":"get","node":{"key":"/x","dir":true,"modifiedIndex":4}}"#;
    let client = renewed(0, change, 3002, keys(200, 3002, directory), []);
    let watch = Watch::new("x").recursive(true).from_index(5).resyncing();
    let update = client.transport().clock.run(client.open(watch).next());
    match update.unwrap().unwrap() {
        WatchUpdate::Event(event) => assert_eq!(event.node.key, "/x/y"),
        other => panic!("{other:?}"),
    }
}

#[test]
fn lost_history_is_a_loss_where_the_poll_before_it_does_not_deliver_the_change_either() {
    let head = vec![("x-etcd-index", "4".to_owned())];
    let cut = Step::Respond(200, head, Ending::Cut("{"));
    for (response, seconds) in [(open(4), 2.0), (cut, 1.3)] {
        let changed = |index| keys(200, index, file("get", "/x", 3002));
        // The state that was read before is old by then.
        let again = [etcd_error(400, 401, 4500), changed(4500)];
        let client = renewed(0, response, 3002, changed(3002), again);
        let mut updates = client.open(Watch::new("x").from_index(5).resyncing());
        let clock = &client.transport().clock;
        let update = clock.run(updates.next()).unwrap().unwrap();
        assert_resync(&update, 5, 4500, Some(3002));
        assert_eq!(clock.elapsed(), Duration::from_secs_f64(seconds));
    }
}
