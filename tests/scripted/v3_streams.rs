//! Observers, snapshots, paged reads and mirrors.

use std::time::Duration;

use etcd_http::{
    Error, Outcome,
    v3::{KeyRange, Mirror, MirrorChange, Observe, Range, RangeStream, Snapshot, Watch},
};
use futures::StreamExt;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::v3_store::{Connection, State, Store, base64, clients as client, items};
use crate::v3_stream_tokens::paths;

pub(crate) fn leader(key: &str, revision: i64) -> Value {
    json!({"kv": {"key": base64(key), "mod_revision": revision.to_string()}})
}

#[test]
fn an_observer_goes_on_after_a_cut_and_reports_no_leader_twice() {
    let then: fn(&mut State) = |state| state.messages = vec![leader("two", 7), leader("one", 6)];
    for cut in (0..140).step_by(7) {
        let store = Store::at(4).with(|state| {
            state.messages = vec![leader("one", 5), leader("two", 7)];
            state.connections = [Connection {
                cut: Some(cut),
                then: Some(then),
                ..Connection::default()
            }]
            .into();
        });
        let client = client(store);
        let mut reported = Vec::new();
        let mut leaders = client.open(Observe::new("e"));
        while reported.last() != Some(&6) {
            let leader = client.transport().clock.run(leaders.next());
            reported.push(leader.unwrap().unwrap().mod_revision);
        }
        // The first leader may have been cut off, and has ended then. (The next leader may have been a candidate for
        // longer.)
        let expected: &[i64] = if reported[0] == 5 {
            &[5, 7, 6]
        } else {
            &[7, 6]
        };
        assert_eq!(reported, expected, "cut at {cut}");
    }
}

#[test]
fn an_observer_waits_for_a_first_leader_as_long_as_the_server_lives() {
    let client = client(Store::at(4));
    let clock = &client.transport().clock;
    let mut leaders = client.open(Observe::new("e").outage_limit(Duration::from_secs(60)));
    let hour = Box::pin(clock.sleep(Duration::from_secs(3600)));
    clock.run(futures::future::select(leaders.next(), hour));
    // Half an hour later the server is gone: the outage begins then.
    let refused = Connection::refused();
    {
        let mut state = client.transport().state.lock().unwrap();
        state.connections = vec![refused; 10_000].into();
        state.failing_status = 10_000;
    }
    let began = clock.elapsed();
    assert!(clock.run(leaders.next()).unwrap().is_err());
    let outage = clock.elapsed() - began;
    assert!(
        outage > Duration::from_secs(60) && outage < Duration::from_secs(130),
        "{outage:?}"
    );
}

/// A snapshot of this data in messages of this size.
pub(crate) fn snapshot(database: &[u8], size: usize) -> Vec<Value> {
    let mut file = database.to_vec();
    file.extend(Sha256::digest(database));
    let blobs = file.chunks(size).map(|blob| json!({"blob": blob_of(blob)}));
    blobs.collect()
}

fn blob_of(bytes: &[u8]) -> String {
    use base64::{Engine, prelude::BASE64_STANDARD};
    BASE64_STANDARD.encode(bytes)
}

#[test]
fn v3_126_a_snapshot_is_verified_however_it_is_cut_into_pieces() {
    let database = [b"database".as_slice(), &[0xff; 100]].concat();
    for size in [1, 7, 31, 32, 33, 100, 1000] {
        let store = Store::at(4).with(|state| {
            state.messages = snapshot(&database, size);
            state.connections = [Connection {
                ends: true,
                chunk: Some(5),
                ..Connection::default()
            }]
            .into();
        });
        let client = client(store);
        let mut file = Vec::new();
        let written = client
            .transport()
            .clock
            .run(Snapshot::new().write_to(&client, &mut file));
        assert_eq!(written.unwrap(), 140);
        assert_eq!(file[..108], database);
        assert_eq!(file[108..], *Sha256::digest(&database));
    }
}

#[test]
fn a_truncated_snapshot_is_an_error() {
    let whole = snapshot(&[7; 100], 10);
    let missing_end = whole[..whole.len() - 1].to_vec();
    let missing_middle = [&whole[..3], &whole[4..]].concat();
    let mut wrong = whole.clone();
    wrong[2]["blob"] = "AAAAAAAAAAAAAA==".into();
    for messages in [missing_end, missing_middle, wrong, vec![]] {
        let store = Store::at(4).with(|state| {
            state.messages = messages;
            state.connections = [Connection {
                ends: true,
                ..Connection::default()
            }]
            .into();
        });
        let client = client(store);
        let error = client
            .transport()
            .clock
            .run(Snapshot::new().write_to(&client, &mut Vec::new()));
        let error = error.unwrap_err().to_string();
        assert!(error.contains("SHA-256"), "{error}");
    }
    for connection in [
        Connection {
            cut: Some(50),
            ..Connection::default()
        },
        Connection {
            silent: true,
            ..Connection::default()
        },
        Connection::responding(500, r#"{"code":2,"message":"auth: permission denied"}"#),
    ] {
        let store = Store::at(4).with(|state| {
            state.messages = snapshot(&[7; 100], 10);
            state.connections = [connection].into();
        });
        assert!(
            items(&client(store), Snapshot::new(), 1000)
                .pop()
                .unwrap()
                .is_err()
        );
    }
}

fn keys(state: &mut State, names: &[(&str, i64)]) {
    state.keys = names
        .iter()
        .map(|(name, revision)| ((*name).to_owned(), *revision))
        .collect();
}

#[test]
fn r_70_pages_are_all_of_the_first_ones_revision() {
    let store = Store::at(9).with(|state| {
        keys(
            state,
            &[("aaa", 5), ("bbb", 6), ("ccc", 7), ("ddd", 8), ("eee", 9)],
        );
    });
    let client = client(store);
    let found = items(&client, RangeStream::new(KeyRange::all()).page(2), 10);
    let found: Vec<_> = found
        .into_iter()
        .map(|kv| kv.unwrap().mod_revision)
        .collect();
    assert_eq!(found, [5, 6, 7, 8, 9]);
    assert_eq!(
        client.transport().seen(),
        [
            r#"a/v3/kv/range {"key":"AA==","range_end":"AA==","limit":"2"}"#,
            r#"a/v3/kv/range {"key":"YmJiAA==","range_end":"AA==","limit":"2","revision":"9"}"#,
            r#"a/v3/kv/range {"key":"ZGRkAA==","range_end":"AA==","limit":"2","revision":"9"}"#,
        ]
    );
}

#[test]
fn t_6_a_mirror_lists_again_after_a_compaction_and_tells_the_difference() {
    let gap: fn(&mut State) = |state| {
        keys(state, &[("aaa", 5), ("ccc", 11), ("ddd", 12)]);
        state.revision = 12;
        state.compacted = 12;
    };
    let store = Store::at(7).with(|state| {
        keys(state, &[("aaa", 5), ("bbb", 6), ("ccc", 7)]);
        state.connections = [Connection {
            cut: Some(80),
            then: Some(gap),
            ..Connection::default()
        }]
        .into();
    });
    let client = client(store);
    let mut mirror = Mirror::new(&client, KeyRange::all());
    let clock = &client.transport().clock;
    let first = clock.run(mirror.next()).unwrap();
    assert_eq!(
        (first.changes.len(), first.revision, first.is_listing),
        (3, 7, true)
    );
    let second = clock.run(mirror.next()).unwrap();
    assert!(second.is_listing);
    let kinds: Vec<_> = second
        .changes
        .iter()
        .map(|change| match change {
            MirrorChange::Added(new) => format!("+{}", new.key_str().unwrap()),
            MirrorChange::Changed { new, .. } => format!("~{}", new.key_str().unwrap()),
            MirrorChange::Removed(old) => format!("-{}", old.key_str().unwrap()),
        })
        .collect();
    assert_eq!(kinds, ["-bbb", "~ccc", "+ddd"]);
    assert_eq!((mirror.revision(), mirror.len()), (12, 3));
}

#[test]
fn a_mirror_lists_again_where_something_happened_that_only_a_later_etcd_knows() {
    let header = r#""header":{"cluster_id":"7","revision":"6"},"watch_id":"1""#;
    let kv = format!(r#"{{"key":"{}","mod_revision":"6"}}"#, base64("aaa"));
    let moved = format!(
        r#"{{"result":{{{header},"created":true}}}}{{"result":{{{header},"events":[{{"type":"MOVE","kv":{kv}}}]}}}}"#
    );
    let store = Store::at(5).with(|state| {
        keys(state, &[("aaa", 5)]);
        state.connections = [Connection {
            answer: Some((200, moved)),
            then: Some(|state| {
                state.revision = 6;
                keys(state, &[("bbb", 6)]);
            }),
            ..Connection::default()
        }]
        .into();
    });
    let client = client(store);
    let mut mirror = client.v3().mirror(KeyRange::all());
    let clock = &client.transport().clock;
    clock.run(mirror.next()).unwrap();
    let update = clock.run(mirror.next()).unwrap();
    assert!(update.is_listing);
    assert!(
        matches!(&update.changes[..], [MirrorChange::Removed(a), MirrorChange::Added(b)] if a.key == "aaa" && b.key == "bbb"),
        "{update:?}"
    );
}

#[test]
fn a_stream_in_a_namespace_never_receives_a_key_outside() {
    // This server responds with the keys after the requested one.
    let store = Store::at(7).with(|state| {
        keys(state, &[("n/a", 5), ("n/b", 6), ("o", 7)]);
        for name in ["n/a", "n/b", "o", "n/c"] {
            state.write([name.to_owned()]);
        }
        state.messages = vec![leader("n/e/1", 5), leader("o/e/1", 6), leader("n/e/1", 7)];
    });
    let client = client(store);
    let inside = client.v3().namespace("n/");
    let clock = &client.transport().clock;
    let is_outside = |error: &Error| matches!(error, Error::Unexpected(_));

    let all = Range::new(KeyRange::all()).limit(3);
    let error = clock.run(inside.send(all)).unwrap_err();
    assert!(is_outside(&error), "{error}");
    assert_eq!(error.outcome(), Outcome::Unknown);
    let error = clock.run(inside.mirror(KeyRange::all()).next());
    assert!(is_outside(&error.unwrap_err()));

    // A stream ends instead of delivering one.
    let watch = Watch::new(KeyRange::all()).from_revision(8);
    let changes: Vec<_> = clock.run(inside.open(watch).collect());
    let [Ok(a), Ok(b), Err(error)] = &changes[..] else {
        panic!("{changes:?}")
    };
    assert_eq!(
        (&a.events[0].key()[..], &b.events[0].key()[..]),
        (&b"a"[..], &b"b"[..])
    );
    assert!(is_outside(error));
    let leaders: Vec<_> = clock.run(inside.elections().observe("e").collect());
    assert!(
        matches!(&leaders[..], [Ok(reported), Err(error)] if reported.key == "e/1" && is_outside(error)),
        "{leaders:?}"
    );
}

#[test]
fn a_snapshot_is_not_asked_of_a_member_again_that_is_not_there() {
    let refused = Connection::refused();
    let ends = Connection {
        ends: true,
        ..Connection::default()
    };
    let store = Store::at(4).with(|state| {
        state.messages = snapshot(b"database", 10);
        state.connections = [refused, ends].into();
    });
    let client = client(store);
    items(&client, Snapshot::new(), 1)
        .pop()
        .unwrap()
        .unwrap_err();
    let pieces = items(&client, Snapshot::new(), 100);
    assert!(pieces.iter().all(Result::is_ok));
    let seen = paths(&client);
    assert_eq!(
        seen[..2],
        ["a/v3/maintenance/snapshot", "b/v3/maintenance/snapshot"]
    );
}
