//! A set of watches that changes while it is open, and while others write: what it delivers, against what was written.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use etcd_http::{
    Client,
    transport::Transport,
    v3::{KeyRange, Put, Txn, Watch, WatchSet},
};
use futures::StreamExt;

/// The keys that are written, and watched one by one.
const KEYS: usize = 8;

/// What a watch was asked for, and what it delivered.
struct Asked {
    number: usize,
    key: String,
    /// Its first revision, if it had one; else one that is not later.
    from: i64,
    is_from_now: bool,
    delivered: Vec<i64>,
    is_cancelled: bool,
}

/// Writes below this prefix, and changes a set of watches at each of the first `changes` revisions. Every watch must deliver
/// each of its revisions once, from its first one to its cancellation.
pub(crate) async fn churn<T: Transport>(client: &Client<T>, prefix: &str, changes: usize) {
    let first = client.send(Put::new(format!("{prefix}/0"), "")).await;
    let first = first.unwrap().header.revision;
    let all = Watch::new(KeyRange::prefix(prefix)).from_revision(first);
    let (set, control) = WatchSet::new([all]).controlled();
    let mut items = client.open(set);
    let end = format!("{prefix}/end");
    let write = async {
        let mut written = BTreeMap::from([(first, BTreeSet::from([format!("{prefix}/0")]))]);
        for number in 0..changes + 20 {
            let keys = [number, number * 3 + 1].map(|key| format!("{prefix}/{}", key % KEYS));
            let keys = BTreeSet::from(keys);
            let txn = keys.iter().fold(Txn::new(), |txn, key| {
                txn.then(Put::new(key.as_str(), number.to_string()))
            });
            let revision = client.send(txn).await.unwrap().header.revision;
            written.insert(revision, keys);
            client.transport().sleep(Duration::from_millis(3)).await;
        }
        let put = client.send(Put::new(end.as_str(), "")).await.unwrap();
        written.insert(put.header.revision, BTreeSet::from([end.clone()]));
        written
    };
    let read = async {
        let mut random = fastrand::Rng::with_seed(7);
        let mut seen: BTreeMap<i64, BTreeSet<String>> = BTreeMap::new();
        let mut asked: BTreeMap<usize, Asked> = BTreeMap::new();
        let mut left = changes;
        loop {
            let item = items.next().await.unwrap().unwrap();
            let changes = item.changes.unwrap();
            let keys = changes.events.iter().map(|event| {
                assert_eq!(event.kv.mod_revision, changes.revision);
                event.kv.key_str().unwrap().to_owned()
            });
            let keys: BTreeSet<String> = keys.collect();
            if item.watch == 0 {
                assert!(seen.insert(changes.revision, keys).is_none(), "doubled");
            } else {
                let asked = asked.get_mut(&item.watch).unwrap();
                assert!(!asked.is_cancelled, "{} was cancelled", item.watch);
                assert_eq!(keys, BTreeSet::from([asked.key.clone()]));
                asked.delivered.push(changes.revision);
            }
            let last = seen.keys().next_back().copied().unwrap_or(first);
            if left > 0 && item.watch == 0 {
                left -= 1;
                let is_from_now = random.bool();
                let key = format!("{prefix}/{}", random.usize(0..KEYS));
                let from = if is_from_now {
                    last + 1
                } else {
                    random.i64(first..last + 20)
                };
                let watch = Watch::new(&key);
                let watch = if is_from_now {
                    watch
                } else {
                    watch.from_revision(from)
                };
                let number = control.add(watch).unwrap();
                let (delivered, is_cancelled) = (Vec::new(), false);
                asked.insert(
                    number,
                    Asked {
                        number,
                        key,
                        from,
                        is_from_now,
                        delivered,
                        is_cancelled,
                    },
                );
                // One that has delivered, or this one at once.
                let mut delivered = asked
                    .values()
                    .filter(|asked| !asked.is_cancelled && !asked.delivered.is_empty());
                let other = match random.u8(0..4) {
                    0 | 1 => delivered.next().map(|asked| asked.number),
                    2 => Some(number),
                    _ => None,
                };
                if let Some(other) = other {
                    control.cancel(other);
                    asked.get_mut(&other).unwrap().is_cancelled = true;
                }
            }
            let is_whole = |asked: &Asked| {
                let mut due = seen.range(asked.from..).rev();
                let last = due.find(|(_, keys)| keys.contains(&asked.key));
                asked.is_cancelled
                    || last.is_none_or(|(revision, _)| asked.delivered.last() >= Some(revision))
            };
            let is_end = seen
                .values()
                .next_back()
                .is_some_and(|keys| keys.contains(&end));
            if is_end && asked.values().all(is_whole) {
                return (seen, asked);
            }
        }
    };
    let (written, (seen, asked)) = futures::join!(write, read);
    assert_eq!(seen, written, "the watch that was there all the time");
    for (number, asked) in &asked {
        let due = written.range(asked.from..);
        let due = due.filter(|(_, keys)| keys.contains(&asked.key));
        let mut due: Vec<_> = due.map(|(revision, _)| *revision).collect();
        if asked.is_from_now {
            let begin = asked.delivered.first();
            due.retain(|revision| begin.is_some_and(|begin| revision >= begin));
        }
        if asked.is_cancelled {
            due.truncate(asked.delivered.len());
        }
        assert_eq!(asked.delivered, due, "watch {number} of {}", asked.key);
    }
    let live = asked.values().filter(|asked| !asked.is_cancelled).count();
    let late = asked
        .values()
        .filter(|asked| asked.is_cancelled && !asked.delivered.is_empty());
    let late = late.count();
    assert!(
        live > 5 && late > 5,
        "{live} were left, {late} were cancelled while they delivered"
    );
    println!(
        "{} watches, {live} of them left, {} revisions",
        asked.len() + 1,
        written.len()
    );
}
