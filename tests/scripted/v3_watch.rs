//! Watches of the v3 API.

use etcd_http::{
    Client, Error, Result,
    v3::{Changes, KeyRange, Watch, WatchSet},
};

use crate::v3_store::{Connection, State, Store, client, items};

pub(crate) fn changes(client: &Client<Store>, watch: Watch, count: usize) -> Vec<Changes> {
    items(client, watch, count)
        .into_iter()
        .map(Result::unwrap)
        .collect()
}

pub(crate) fn failure(client: &Client<Store>, watch: Watch) -> Error {
    let mut items = items(client, watch, 2);
    assert_eq!(items.len(), 1, "it ends with its error");
    items.remove(0).unwrap_err()
}

pub(crate) fn all() -> Watch {
    Watch::new(KeyRange::all())
}

/// What was delivered: revisions with their keys.
fn keys(changes: &[Changes]) -> Vec<(i64, Vec<String>)> {
    let keys = |changes: &Changes| {
        let keys = changes.events.iter();
        keys.map(|event| event.kv.key_str().unwrap().to_owned())
            .collect()
    };
    changes
        .iter()
        .map(|changes| (changes.revision, keys(changes)))
        .collect()
}

/// Revisions 5 to 8; 6 is a transaction of ten.
pub(crate) fn write_four(state: &mut State) {
    state.write(["one".to_owned()]);
    state.write((0..10).map(|number| format!("k{number:02}")));
    state.write(["two".to_owned()]);
    state.write(["end".to_owned()]);
}

fn four(state: &State) -> Vec<(i64, Vec<String>)> {
    state
        .history
        .range(5..)
        .map(|(revision, keys)| (*revision, keys.clone()))
        .collect()
}

#[test]
fn t_1_and_t_2_a_stream_cut_at_any_byte_loses_and_duplicates_nothing() {
    for fragment in [None, Some(1), Some(3)] {
        for chunk in [None, Some(1), Some(7)] {
            let connection = Connection {
                fragment,
                chunk,
                ..Connection::default()
            };
            let mut cut = 0;
            loop {
                let first = Connection {
                    cut: Some(cut),
                    ..connection.clone()
                };
                // The second is cut as well, to test a second resumption.
                let second = Connection {
                    cut: Some(cut / 2 + 90),
                    ..connection.clone()
                };
                let store = Store::at(4).with(write_four).with(|state| {
                    state.connections = [first, second, connection.clone()].into();
                });
                let expected = four(&store.state.lock().unwrap());
                let client = client(store);
                let delivered = changes(&client, all().from_revision(5), 4);
                assert_eq!(keys(&delivered), expected, "cut at {cut}, {connection:?}");
                let uncut = client.transport().state.lock().unwrap().connections.len() == 2;
                if uncut {
                    assert!(cut > 1000, "no connection was cut");
                    break;
                }
                cut += if chunk.is_none() && fragment.is_none() {
                    1
                } else {
                    43
                };
            }
        }
    }
}

#[test]
fn t_3_a_watch_from_now_that_is_cut_before_its_first_event_begins_where_it_began() {
    for cut in (0..130).step_by(10) {
        let store = Store::at(4).with(|state| {
            state.connections = [Connection {
                cut: Some(cut),
                then: Some(write_four),
                ..Connection::default()
            }]
            .into();
        });
        let client = client(store);
        let delivered = changes(&client, all(), 4);
        let expected = four(&client.transport().state.lock().unwrap());
        assert_eq!(keys(&delivered), expected);
    }
}

#[test]
fn t_5_stale_events_and_progress_of_a_member_that_lags_are_not_delivered() {
    let store = Store::at(4).with(write_four).with(|state| {
        let lag = |revision| Connection {
            lag: Some(revision),
            cut: Some(100_000),
            ..Connection::default()
        };
        let cut = Connection {
            cut: Some(1_000_000),
            ..Connection::default()
        };
        state.connections = [
            cut,
            lag(5),
            lag(7),
            Connection {
                then: Some(|state| state.write(["new".into()])),
                ..lag(8)
            },
        ]
        .into();
    });
    let client = client(store);
    let delivered = changes(&client, all().from_revision(5).progress(true), 6);
    let delivered = keys(&delivered);
    assert_eq!(
        delivered
            .iter()
            .map(|(revision, _)| *revision)
            .collect::<Vec<_>>(),
        [5, 6, 7, 8, 8, 9]
    );
    assert_eq!(delivered[4].1, [""; 0], "progress, as far as it was");
    let starts: Vec<_> = client
        .transport()
        .seen()
        .into_iter()
        .filter_map(|line| {
            Some(
                line.split_once("start_revision\":\"")?
                    .1
                    .split_once('"')?
                    .0
                    .to_owned(),
            )
        })
        .collect();
    assert_eq!(starts, ["5", "8", "8", "8", "8"]);
}

#[test]
fn t_4_a_store_that_went_back_is_not_waited_for() {
    let store = Store::at(4).with(write_four).with(|state| {
        let back: fn(&mut State) = |state| {
            state.revision = 3;
            state.history.clear();
        };
        state.connections = [Connection {
            cut: Some(1_000_000),
            then: Some(back),
            ..Connection::default()
        }]
        .into();
    });
    let client = client(store);
    let mut delivered = items(&client, all().from_revision(5), 6);
    assert_eq!(delivered.len(), 5);
    assert_eq!(
        delivered.pop().unwrap().unwrap_err().to_string(),
        "v3.watch at http://a: the store's revision is 3, and this watch has seen 8: was its data restored from a backup?"
    );
}

#[test]
fn r_22_a_watch_does_not_go_on_in_another_cluster_even_where_that_is_allowed() {
    for (allowed, words) in [
        (
            false,
            "the response is from the cluster 8, and those before were from 7",
        ),
        (
            true,
            "this is a member of cluster 8, and the watch began in cluster 7",
        ),
    ] {
        let store = Store::at(4).with(write_four).with(|state| {
            let cut = Connection {
                cut: Some(1_000_000),
                ..Connection::default()
            };
            let other = Connection {
                cluster: Some(8),
                ..Connection::default()
            };
            state.connections = [cut, other].into();
        });
        let client = Client::builder(store).endpoints(["http://a", "http://b"]);
        let client = client.allow_cluster_change(allowed).build().unwrap();
        let mut delivered = items(&client, all().from_revision(5), 9);
        assert_eq!(delivered.len(), 5);
        let error = delivered.pop().unwrap().unwrap_err();
        assert!(error.is_cluster_changed(), "{error}");
        assert!(error.to_string().contains(words), "{error}");
    }
}

#[test]
fn t_6_compaction_while_cut_off_is_said_once_and_ends_the_watch() {
    let compact: fn(&mut State) = |state| {
        for _ in 0..5 {
            state.write(["new".into()]);
        }
        state.compacted = 12;
    };
    for cut in (0..1_600).step_by(50) {
        let store = Store::at(4).with(write_four).with(|state| {
            state.connections = [Connection {
                cut: Some(cut),
                then: Some(compact),
                fragment: Some(2),
                ..Connection::default()
            }]
            .into();
        });
        let client = client(store);
        let mut delivered = items(&client, all().from_revision(5), 20);
        let error = delivered.pop().unwrap().unwrap_err();
        assert!(error.is_compacted(), "{error}");
        assert_eq!(error.as_etcd().unwrap().compact_revision(), Some(12));
        let revisions = delivered
            .into_iter()
            .map(|changes| changes.unwrap().revision);
        assert!(
            (5..9)
                .zip(revisions)
                .all(|(next, revision)| next == revision)
        );
    }
}

#[test]
fn what_the_watch_was_at_when_compacted_is_no_loss() {
    let compact: fn(&mut State) = |state| {
        state.write(["new".into()]);
        state.compacted = 8;
    };
    let delivered = changes(&client(compacting(compact)), all().from_revision(5), 5);
    assert_eq!(delivered.last().unwrap().revision, 9);
}

#[test]
fn where_the_next_revision_is_the_compacted_one_the_watch_says_so() {
    let compact: fn(&mut State) = |state| {
        state.write(["new".into()]);
        state.compacted = 9;
    };
    let mut delivered = items(&client(compacting(compact)), all().from_revision(5), 5);
    let error = delivered.pop().unwrap().unwrap_err();
    assert!(delivered.len() == 4 && error.is_compacted(), "{error}");
    // What the caller asked for is sent as it is, and a delete that is missing there is the caller's risk.
    let store = Store::at(9).with(|state| {
        state.revision = 8;
        state.write(["new".into()]);
        state.compacted = 9;
    });
    let delivered = changes(&client(store), all().from_revision(9), 1);
    assert_eq!(delivered[0].revision, 9);
}

/// A store with four revisions, 5 to 8, whose first connection is cut after them; then this happens.
fn compacting(then: fn(&mut State)) -> Store {
    Store::at(4).with(write_four).with(|state| {
        state.connections = [Connection {
            cut: Some(1_000_000),
            then: Some(then),
            ..Connection::default()
        }]
        .into();
    })
}

#[test]
fn permanent_errors_end_the_watch_at_once() {
    let denied = r#"{"error":{"code":7,"message":"etcdserver: permission denied"}}"#;
    let html = "<html>login</html>";
    for (status, body) in [
        (403, denied),
        (200, denied),
        (200, html),
        (404, "Not Found\n"),
    ] {
        let connection = Connection::responding(status, body);
        let store = Store::at(4).with(|state| state.connections = [connection].into());
        let client = client(store);
        let error = failure(&client, all().from_revision(5));
        assert_eq!(error.is_permission_denied(), body == denied, "{error}");
        assert_eq!(client.transport().seen().len(), 1);
    }
}

#[test]
fn v3_89_v3_72_and_v3_73_a_watch_that_is_refused_says_why() {
    for (reason, kind) in [
        (
            "rpc error: code = PermissionDenied desc = etcdserver: permission denied",
            "PermissionDenied",
        ),
        ("mvcc: watcher range is empty", "EmptyWatchRange"),
        (
            "mvcc: duplicate watch ID provided on the WatchStream",
            "DuplicateWatchId",
        ),
    ] {
        let message = format!(
            r#"{{"result":{{"header":{{"cluster_id":"7","revision":"4"}},"watch_id":"-1","created":true,"canceled":true,"cancel_reason":"{reason}"}}}}"#
        );
        let connection = Connection::responding(200, message);
        let store = Store::at(4).with(|state| state.connections = [connection].into());
        let client = client(store);
        let error = failure(&client, all().from_revision(5));
        assert_eq!(format!("{:?}", error.etcd_kind().unwrap()), kind);
        assert_eq!(client.transport().seen().len(), 1);
    }
}

#[test]
fn a_set_tells_its_watches_apart_and_survives_the_loss_of_one() {
    let store = Store::at(4).with(write_four).with(|state| {
        state.compacted = 6;
        state.connections = [Connection {
            cut: Some(1_000_000),
            ..Connection::default()
        }]
        .into();
        state.connections[0].then = Some(|state| state.write(["new".into()]));
    });
    let client = client(store);
    let set = WatchSet::new([
        all().from_revision(8),
        all().from_revision(5),
        all().from_revision(0),
        all().from_revision(7),
    ]);
    let items = items(&client, set, 7);
    let seen: Vec<_> = items
        .into_iter()
        .map(Result::unwrap)
        .map(|item| {
            (
                item.watch,
                item.changes
                    .map(|changes| changes.revision)
                    .map_err(|error| error.is_compacted()),
            )
        })
        .collect();
    assert_eq!(seen[0], (2, Err(false)), "refused before anything is sent");
    let of = |watch| {
        seen.iter()
            .filter(|(number, _)| *number == watch)
            .map(|(_, what)| *what)
            .collect::<Vec<_>>()
    };
    assert_eq!(of(0), [Ok(8), Ok(9)]);
    assert_eq!(of(1), [Err(true)]);
    assert_eq!(of(3), [Ok(7), Ok(8), Ok(9)]);
    let second = client.transport().seen().pop().unwrap();
    assert_eq!(second.matches("create_request").count(), 2, "{second}");
}

#[test]
fn a_set_of_watches_from_now_asks_once_when_now_is() {
    let client = client(Store::at(4).with(|state| {
        state.connections = [Connection {
            then: Some(write_four),
            cut: Some(300),
            ..Connection::default()
        }]
        .into();
    }));
    let items = items(&client, WatchSet::new([all(), all()]), 8);
    assert!(items.iter().all(Result::is_ok));
    let ranges = client
        .transport()
        .seen()
        .iter()
        .filter(|line| line.contains("/v3/kv/range"))
        .count();
    assert_eq!(ranges, 1);
}

#[test]
fn an_empty_set_ends_at_once() {
    assert_eq!(
        items(&client(Store::at(4)), WatchSet::default(), 1).len(),
        0
    );
}

#[test]
fn revisions_below_one_are_refused() {
    for revision in [0, -1, i64::MIN] {
        let client = client(Store::at(4));
        assert_eq!(
            failure(&client, all().from_revision(revision)).to_string(),
            "v3.watch: there is no revision below 1: to begin now, omit it"
        );
        assert_eq!(client.transport().seen().len(), 0);
    }
}

#[test]
fn an_object_over_the_response_limit_ends_the_watch() {
    let store =
        Store::at(4).with(|state| state.write((0..100).map(|number| format!("k{number:02}"))));
    assert_too_large(store);
    // And so do fragments that are too large together.
    let store = Store::at(4).with(|state| {
        state.write((0..100).map(|number| format!("k{number:02}")));
        state.connections = [Connection {
            fragment: Some(1),
            ..Connection::default()
        }]
        .into();
    });
    assert_too_large(store);
}

#[track_caller]
fn assert_too_large(store: Store) {
    let client = Client::builder(store)
        .endpoints(["http://a"])
        .max_response_size(1_000)
        .build()
        .unwrap();
    let error = failure(&client, all().from_revision(5));
    assert!(
        error
            .to_string()
            .contains("larger than the client's limit of 1000 bytes"),
        "{error}"
    );
}

#[test]
fn the_request_has_what_was_asked_for() {
    let client = client(Store::at(4).with(write_four));
    let watch = Watch::new(KeyRange::prefix("abc"))
        .from_revision(5)
        .prev_kv(true)
        .without_puts()
        .without_deletes();
    changes(&client, watch, 1);
    assert_eq!(
        client.transport().seen(),
        [
            r#"a/v3/watch {"create_request":{"key":"YWJj","range_end":"YWJk","start_revision":"5","progress_notify":true,"filters":["NOPUT","NODELETE"],"prev_kv":true,"watch_id":"1","fragment":true}}"#
        ]
    );
}
