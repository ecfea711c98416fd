//! Sets of watches that change in any order, while others write and streams break.

use std::time::Duration;

use etcd_http::{Client, v3::WatchSet};

use crate::{
    v3_watch_server::WatchServer,
    v3_watch_set::{http, https, open, prefix, soon},
};

#[test]
fn whatever_comes_and_goes_nothing_is_lost_or_doubled() {
    for seed in 0..20 {
        for client in [http(WatchServer::at(4)), https(WatchServer::at(4))] {
            anything(&client, fastrand::Rng::with_seed(seed));
        }
    }
}

struct Asked {
    prefix: &'static str,
    /// The requested first revision, or the first that did not exist yet.
    from: i64,
    is_from_now: bool,
    delivered: Vec<i64>,
    /// How many it had delivered when it was canceled.
    canceled: Option<usize>,
}

/// Hundreds of writes, adds, cancels, cuts and polls, in any order.
fn anything(client: &Client<WatchServer>, mut random: fastrand::Rng) {
    const KEYS: [&str; 4] = ["a", "ab", "b", "c"];
    let store = client.transport();
    let (mut items, control) = open(client, WatchSet::default());
    let mut all: Vec<Asked> = Vec::new();
    let mut look = |all: &mut Vec<Asked>, time| match soon(client, &mut items, time) {
        Some((watch, revision)) => {
            all[watch].delivered.push(revision);
            true
        }
        None => false,
    };
    for _ in 0..250 {
        let key = KEYS[random.usize(0..KEYS.len())];
        match random.u8(0..12) {
            0..5 => {
                store.write(key);
            }
            5 | 6 => {
                let is_from_now = random.bool();
                let next = store.change(|state| state.revision) + 1;
                let from = (next - random.i64(0..20)).max(1);
                let watch = if is_from_now {
                    prefix(key)
                } else {
                    prefix(key).from_revision(from)
                };
                assert_eq!(control.add(watch).unwrap(), all.len());
                all.push(Asked {
                    prefix: key,
                    from: if is_from_now { next } else { from },
                    is_from_now,
                    delivered: Vec::new(),
                    canceled: None,
                });
            }
            7 => {
                let number = random.usize(0..all.len() + 2);
                control.cancel(number);
                if let Some(asked) = all.get_mut(number) {
                    asked.canceled.get_or_insert(asked.delivered.len());
                }
            }
            8 if random.u8(0..4) == 0 => store.cut(),
            9 => while look(&mut all, Duration::from_millis(60)) {},
            _ => {
                look(&mut all, Duration::ZERO);
            }
        }
    }
    while look(&mut all, Duration::from_secs(10)) {}
    let log = store.change(|state| state.log.clone());
    let history = store.change(|state| state.history.clone());
    for (number, asked) in all.iter().enumerate() {
        let id = format!("+{}@", number + 1);
        let first = log.iter().find_map(|line| line.strip_prefix(&id));
        let Some(first) = first.map(|first| first.parse::<i64>().unwrap()) else {
            assert_eq!(
                asked.canceled,
                Some(0),
                "watch {number} was never asked for"
            );
            continue;
        };
        // A watch from now asks for the revision before its own, and does not deliver it.
        let first = first + i64::from(asked.is_from_now);
        assert!(first == asked.from || asked.is_from_now && first > asked.from);
        let expected = history.range(first..);
        let expected = expected.filter(|(_, key)| key.starts_with(asked.prefix));
        let mut expected: Vec<_> = expected.map(|(revision, _)| *revision).collect();
        expected.truncate(asked.canceled.unwrap_or(usize::MAX));
        assert_eq!(asked.delivered, expected, "watch {number}");
    }
    let live = all.iter().filter(|asked| asked.canceled.is_none()).count();
    assert!(live > 5 && live < all.len(), "{live} of {}", all.len());
}
