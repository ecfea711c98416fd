//! Messages of watches that arrive in fragments: a revision may be in several, and one may have many revisions.

use std::{collections::BTreeSet, time::Duration};

use etcd_http::{
    Client, Error,
    v3::{Changes, KeyRange, Watch, WatchSet},
};
use futures::StreamExt;

use crate::{
    v3_played::{NOW, Play, Played, created, event, fragment},
    v3_store::{Connection, Store, client, items},
};

const SECOND: Duration = Duration::from_secs(1);

fn all() -> Watch {
    Watch::new(KeyRange::all()).from_revision(5)
}

/// A store with revisions from 5 on, which have written this many keys each, and what a watch delivers of it.
fn written(counts: &[usize]) -> (Store, Vec<(i64, usize)>) {
    let store = Store::at(4).with(|state| {
        for &count in counts {
            state.write((0..count).map(|number| format!("k{number}")));
        }
    });
    (store, (5..).zip(counts.iter().copied()).collect())
}

fn in_fragments(events: usize, cut: Option<usize>) -> Connection {
    Connection {
        fragment: Some(events),
        cut,
        ..Connection::default()
    }
}

fn delivered(items: Vec<Result<Changes, Error>>) -> Vec<(i64, usize)> {
    let changes = items.into_iter().map(Result::unwrap);
    changes
        .map(|changes| (changes.revision, changes.events.len()))
        .collect()
}

/// The first revisions that requests for a watch have asked for.
fn starts(client: &Client<Store>) -> Vec<i64> {
    let seen = client.transport().seen();
    let starts = seen.iter().filter_map(|line| {
        let (_, rest) = line.split_once(r#""start_revision":""#)?;
        rest.split_once('"')?.0.parse().ok()
    });
    starts.collect()
}

#[test]
fn a_cut_anywhere_in_many_fragments_loses_and_duplicates_nothing() {
    for (events, expected_starts) in [
        (1, &[6, 7, 8, 9, 10][..]),
        (2, &[7, 8, 10]),
        (3, &[7, 8, 10]),
        (5, &[6, 8]),
    ] {
        let mut resumed = BTreeSet::new();
        for cut in (0..).step_by(13) {
            let (store, expected) = written(&[3, 1, 1, 1, 4, 1, 2, 1]);
            let store = store.with(|state| {
                state.connections = [
                    in_fragments(events, Some(cut)),
                    in_fragments(events, Some(cut / 2 + 90)),
                    in_fragments(events, None),
                ]
                .into();
            });
            let client = client(store);
            let found = delivered(items(&client, all(), expected.len()));
            assert_eq!(found, expected, "fragments of {events}, cut at {cut}");
            match starts(&client).get(1) {
                Some(start) => resumed.insert(*start),
                None => break,
            };
        }
        // First with what was asked for, and before the first revision was complete. Then after the last revision that a later
        // one had followed: from 5 to 12 they have 3, 1, 1, 1, 4, 1, 2 and 1 events.
        let expected_starts = expected_starts.iter().copied();
        let expected_starts: BTreeSet<_> = [5, 4].into_iter().chain(expected_starts).collect();
        assert_eq!(resumed, expected_starts, "fragments of {events}");
    }
}

#[test]
fn catching_up_is_not_limited_by_the_size_of_a_response() {
    // No connection lasts for more than a part of the history.
    for cut in [None, Some(2_000)] {
        let (store, expected) = written(&[1; 100]);
        let store =
            store.with(|state| state.connections = vec![in_fragments(3, cut); 1_000].into());
        let client = Client::builder(store).endpoints(["http://a"]);
        let client = client.max_response_size(1_000).build().unwrap();
        let found = delivered(items(&client, all(), expected.len()));
        assert_eq!(found, expected);
        assert_eq!(starts(&client).len() > 1, cut.is_some());
    }
}

#[test]
fn a_watch_of_a_set_whose_revision_is_too_large_ends_alone() {
    let limit = fragment(1, "k", 5).len() * 2;
    let played = Played::new(|asked| {
        let first = [
            created(1),
            created(2),
            fragment(1, "k", 5),
            fragment(1, "k", 5),
            fragment(1, "k", 5),
            event(2, "k", 5),
            event(1, "k", 5),
        ];
        let later = [created(2), event(2, "k", 6)];
        let messages = if asked.before == 0 {
            first.as_slice()
        } else {
            later.as_slice()
        };
        messages.iter().fold(Play::open(), |play, message| {
            play.then(NOW, message.as_str())
        })
    });
    let client = Client::builder(played).endpoints(["http://a"]);
    let client = client.max_response_size(limit).build().unwrap();
    let mut items = client.open(WatchSet::new([all(), all()]));
    let clock = &client.transport().clock;
    let mut next = || {
        let item = clock.run(items.next()).unwrap().unwrap();
        let changes = item.changes.map(|changes| changes.revision);
        (item.watch, changes.map_err(|error| error.is_too_large()))
    };
    assert_eq!(next(), (0, Err(true)));
    assert_eq!(next(), (1, Ok(5)));
    // The server sends more of the first one, until a request without it replaces this one.
    assert_eq!(next(), (1, Ok(6)));
    assert!(clock.elapsed() < SECOND, "{:?}", clock.elapsed());
    assert_eq!(client.transport().seen(), ["a watch", "a watch"]);
}
