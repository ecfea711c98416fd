//! Changes a set of watches while it is open and while keys are written, and compares what it delivers with what was
//! written.

use std::{
    cell::Cell,
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use etcd_http::{
    Client,
    transport::Transport,
    v3::{KeyRange, Put, Txn, Watch, WatchControl, WatchSet, WatchSetItem},
};
use futures::StreamExt;

/// The keys that are written, and watched one by one.
const KEYS: usize = 8;

/// At least this many watches are canceled after they have delivered something.
const LATE: usize = 10;

/// The keys that each revision wrote.
type History = BTreeMap<i64, BTreeSet<String>>;

/// Writes keys with this prefix, and meanwhile adds and cancels this many watches. Panics unless every watch delivers each
/// of its revisions once, from its first one to its cancellation.
pub async fn churn<T: Transport>(client: &Client<T>, prefix: &str, changes: usize) {
    let key = |number: usize| format!("{prefix}/{}", number % KEYS);
    let first = client.send(Put::new(key(0), "")).await.unwrap();
    let first = first.header.revision;
    let (end, is_enough) = (format!("{prefix}/end"), Cell::new(false));
    let write = async {
        let mut written = History::from([(first, BTreeSet::from([key(0)]))]);
        let mut write = async |keys: BTreeSet<String>| {
            let puts = keys.iter().map(|key| Put::new(key.as_str(), "x"));
            let txn = puts.fold(Txn::new(), |txn, put| txn.then(put));
            let revision = client.send(txn).await.unwrap().header.revision;
            written.insert(revision, keys);
        };
        for number in 0.. {
            if is_enough.get() {
                break;
            }
            write(BTreeSet::from([key(number), key(3 * number + 1)])).await;
            client.transport().sleep(Duration::from_millis(3)).await;
        }
        write(BTreeSet::from([end.clone()])).await;
        written
    };
    let read = async {
        let all = Watch::new(KeyRange::prefix(prefix)).from_revision(first);
        let (set, control) = WatchSet::new([all]).controlled();
        let mut items = client.open(set);
        let mut churn = Churn::new(control);
        while !churn.is_whole(&end) {
            let item = items.next().await.unwrap().unwrap();
            let is_first = item.watch == 0;
            churn.take(item);
            if is_first && churn.asked.len() < changes {
                let number = churn.random.usize(..);
                churn.change(key(number));
            } else if is_first && churn.late() < LATE {
                churn.cancel_one();
            }
            is_enough.set(churn.asked.len() == changes && churn.late() >= LATE);
        }
        churn
    };
    let (written, churn) = futures::join!(write, read);
    churn.check(&written);
}

/// The watches of a set, and what they have delivered.
struct Churn {
    control: WatchControl,
    random: fastrand::Rng,
    /// What the first watch has delivered. It is open all the time, and has all keys.
    seen: History,
    /// The other watches.
    asked: BTreeMap<usize, Asked>,
}

struct Asked {
    key: String,
    /// Its first revision; `None` for a watch that begins now.
    from: Option<i64>,
    delivered: Vec<i64>,
    is_canceled: bool,
}

impl Churn {
    fn new(control: WatchControl) -> Self {
        Self {
            control,
            random: fastrand::Rng::with_seed(7),
            seen: History::new(),
            asked: BTreeMap::new(),
        }
    }

    fn take(&mut self, item: WatchSetItem) {
        let changes = item.changes.unwrap();
        let keys = changes.events.iter();
        let keys = keys.map(|event| event.kv.key_str().unwrap().to_owned());
        let keys: BTreeSet<String> = keys.collect();
        if item.watch == 0 {
            let before = self.seen.insert(changes.revision, keys);
            assert_eq!(before, None, "revision {} twice", changes.revision);
        } else {
            let asked = self.asked.get_mut(&item.watch).unwrap();
            assert!(!asked.is_canceled, "{} was canceled", item.watch);
            assert_eq!(keys, BTreeSet::from([asked.key.clone()]));
            asked.delivered.push(changes.revision);
        }
    }

    /// Adds a watch, and cancels it, or another, or none.
    fn change(&mut self, key: String) {
        let (first, last) = (self.seen.keys().next(), self.seen.keys().next_back());
        let (first, last) = (*first.unwrap(), *last.unwrap());
        let from = self.random.bool();
        let from = from.then(|| self.random.i64(first..last + 20));
        let watch = Watch::new(key.as_str());
        let number = self.control.add(match from {
            Some(revision) => watch.from_revision(revision),
            None => watch,
        });
        let number = number.unwrap();
        let (delivered, is_canceled) = (Vec::new(), false);
        let asked = Asked {
            key,
            from,
            delivered,
            is_canceled,
        };
        self.asked.insert(number, asked);
        match self.random.u8(0..4) {
            0 | 1 => self.cancel_one(),
            2 => self.cancel(number),
            _ => {}
        }
    }

    /// Cancels a watch that has delivered something, if there is one.
    fn cancel_one(&mut self) {
        let live = self
            .asked
            .iter()
            .find(|(_, asked)| !asked.is_canceled && !asked.delivered.is_empty());
        if let Some((&number, _)) = live {
            self.cancel(number);
        }
    }

    fn cancel(&mut self, number: usize) {
        self.control.cancel(number);
        self.asked.get_mut(&number).unwrap().is_canceled = true;
    }

    /// The number of watches that were canceled after they had delivered something.
    fn late(&self) -> usize {
        let asked = self.asked.values();
        let late = asked.filter(|asked| asked.is_canceled && !asked.delivered.is_empty());
        late.count()
    }

    /// Whether everything up to the end has arrived.
    fn is_whole(&self, end: &str) -> bool {
        let is_end = self
            .seen
            .values()
            .next_back()
            .is_some_and(|keys| keys.contains(end));
        is_end
            && self.asked.values().all(|asked| {
                let due = asked.due(&self.seen);
                asked.is_canceled || due.last() == asked.delivered.last()
            })
    }

    fn check(&self, written: &History) {
        assert_eq!(self.seen, *written, "the watch that was there all the time");
        for (number, asked) in &self.asked {
            let mut due = asked.due(written);
            if asked.is_canceled {
                due.truncate(asked.delivered.len());
            }
            assert_eq!(asked.delivered, due, "watch {number} of {}", asked.key);
        }
    }
}

impl Asked {
    /// The revisions that it must deliver if it is not canceled. One that began "now" must deliver all after its first.
    fn due(&self, history: &History) -> Vec<i64> {
        let from = self.from.or(self.delivered.first().copied());
        let all = history.range(from.unwrap_or(i64::MAX)..);
        let all = all.filter(|(_, keys)| keys.contains(&self.key));
        all.map(|(revision, _)| *revision).collect()
    }
}
