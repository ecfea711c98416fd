//! Which keys are to be reconciled, and when.

use std::{
    collections::{BTreeMap, HashMap, VecDeque},
    time::{Duration, Instant},
};

use bytes::Bytes;

use super::request::Reconciled;

/// Keys to reconcile: each is in it once, in one state, and at most once under way.
#[derive(Debug)]
pub(super) struct WorkQueue {
    items: HashMap<Bytes, Item>,
    /// The keys that are due, in the order in which they became so.
    ready: VecDeque<Bytes>,
    /// The keys that wait, by the time at which they are due, and a number.
    delayed: BTreeMap<(Instant, u64), Bytes>,
    next_number: u64,
    backoff: Backoff,
}

/// The pauses after failures of a key double from the first to the longest one. Half of each is random.
#[derive(Clone, Copy, Debug)]
pub(super) struct Backoff {
    pub(super) first: Duration,
    pub(super) longest: Duration,
}

#[derive(Debug)]
struct Item {
    state: State,
    /// How often it has failed since it last succeeded.
    failures: u32,
}

#[derive(Debug)]
enum State {
    /// It is due.
    Ready,
    /// It waits: for its time, or for a change. After a failure, a change does not bring it before `earliest`.
    Delayed {
        at: (Instant, u64),
        earliest: Option<Instant>,
    },
    /// It is under way. It may have changed meanwhile.
    Running { is_changed: bool },
}

impl WorkQueue {
    pub(super) fn new(backoff: Backoff) -> Self {
        Self {
            items: HashMap::new(),
            ready: VecDeque::new(),
            delayed: BTreeMap::new(),
            next_number: 0,
            backoff,
        }
    }

    /// A key has changed: it is due now, or when what is under way has ended. If it has failed, after the first pause.
    pub(super) fn change(&mut self, key: Bytes, now: Instant) {
        let Some(item) = self.items.get_mut(&key) else {
            return self.insert(key);
        };
        match &mut item.state {
            State::Ready => {}
            State::Running { is_changed } => *is_changed = true,
            State::Delayed { at, earliest } => {
                self.delayed.remove(at);
                match *earliest {
                    Some(earliest) if earliest > now => {
                        let due = at.0.min(earliest);
                        self.delay(key, due, Some(earliest));
                    }
                    _ => self.ready(key),
                }
            }
        }
    }

    /// A key is to be reconciled though it has not changed: it is due now, unless it has failed or is under way.
    pub(super) fn resync(&mut self, key: Bytes) {
        let Some(item) = self.items.get(&key) else {
            return self.insert(key);
        };
        if let State::Delayed { at, earliest: None } = item.state {
            self.delayed.remove(&at);
            self.ready(key);
        }
    }

    /// Takes the next key that is due, and returns it with the number of its failures. It is under way then.
    pub(super) fn start(&mut self, now: Instant) -> Option<(Bytes, u32)> {
        while let Some((at, _)) = self.delayed.first_key_value()
            && at.0 <= now
            && let Some((_, key)) = self.delayed.pop_first()
        {
            self.ready(key);
        }
        let key = self.ready.pop_front()?;
        let item = self.items.get_mut(&key)?;
        item.state = State::Running { is_changed: false };
        Some((key, item.failures))
    }

    /// A key has been reconciled.
    pub(super) fn succeeded(&mut self, key: Bytes, reconciled: Reconciled, now: Instant) {
        let Some(is_changed) = self.ended(&key) else {
            return;
        };
        if let Some(item) = self.items.get_mut(&key) {
            item.failures = 0;
        }
        let due = match reconciled {
            Reconciled::AwaitChange => None,
            Reconciled::RequeueAfter(pause) => now.checked_add(pause),
        };
        match due {
            _ if is_changed => self.ready(key),
            Some(due) => self.delay(key, due, None),
            None => {
                self.items.remove(&key);
            }
        }
    }

    /// A key could not be reconciled. Returns how often that has been so now, and for how long it waits.
    pub(super) fn failed(&mut self, key: Bytes, now: Instant) -> (u32, Duration) {
        let Some(is_changed) = self.ended(&key) else {
            return (0, Duration::ZERO);
        };
        let failures = match self.items.get_mut(&key) {
            Some(item) => {
                item.failures = item.failures.saturating_add(1);
                item.failures
            }
            None => 0,
        };
        let Backoff { first, .. } = self.backoff;
        let pause = self.backoff.pause(failures);
        let pause = if is_changed { pause.min(first) } else { pause };
        let earliest = now.checked_add(first);
        match now.checked_add(pause) {
            Some(due) => self.delay(key, due, earliest),
            None => {
                self.items.remove(&key);
            }
        }
        (failures, pause)
    }

    /// A key that was taken is not to be reconciled now.
    pub(super) fn skipped(&mut self, key: &Bytes) {
        if self.ended(key).is_some() {
            self.items.remove(key);
        }
    }

    /// Forgets all keys, those under way as well, and returns them.
    pub(super) fn clear(&mut self) -> impl Iterator<Item = Bytes> + use<> {
        self.ready.clear();
        self.delayed.clear();
        std::mem::take(&mut self.items).into_keys()
    }

    /// Returns the keys that are under way.
    pub(super) fn running(&self) -> Vec<Bytes> {
        let items = self.items.iter();
        let running = items.filter(|(_, item)| matches!(item.state, State::Running { .. }));
        running.map(|(key, _)| key.clone()).collect()
    }

    /// When the first of the keys that wait is due.
    pub(super) fn next_due(&self) -> Option<Instant> {
        self.delayed.first_key_value().map(|(at, _)| at.0)
    }

    /// How many keys are due, and how many wait.
    pub(super) fn counts(&self) -> (usize, usize) {
        (self.ready.len(), self.delayed.len())
    }

    fn insert(&mut self, key: Bytes) {
        let item = Item {
            state: State::Ready,
            failures: 0,
        };
        self.items.insert(key.clone(), item);
        self.ready.push_back(key);
    }

    fn ready(&mut self, key: Bytes) {
        if let Some(item) = self.items.get_mut(&key) {
            item.state = State::Ready;
            self.ready.push_back(key);
        }
    }

    fn delay(&mut self, key: Bytes, due: Instant, earliest: Option<Instant>) {
        let at = (due, self.next_number);
        self.next_number += 1;
        if let Some(item) = self.items.get_mut(&key) {
            item.state = State::Delayed { at, earliest };
            self.delayed.insert(at, key);
        }
    }

    /// Returns whether a key has changed while it was under way; `None` if it was not.
    fn ended(&self, key: &Bytes) -> Option<bool> {
        match self.items.get(key)?.state {
            State::Running { is_changed } => Some(is_changed),
            State::Ready | State::Delayed { .. } => None,
        }
    }
}

impl Backoff {
    fn pause(self, failures: u32) -> Duration {
        let factor = 1_u32
            .checked_shl(failures.saturating_sub(1))
            .unwrap_or(u32::MAX);
        let longest = self.first.saturating_mul(factor).min(self.longest);
        longest.mul_f64(0.5 + fastrand::f64() / 2.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn queue() -> (WorkQueue, Instant) {
        let backoff = Backoff {
            first: SECOND,
            longest: 60 * SECOND,
        };
        (WorkQueue::new(backoff), Instant::now())
    }

    fn key(name: &'static str) -> Bytes {
        Bytes::from_static(name.as_bytes())
    }

    fn started(queue: &mut WorkQueue, now: Instant) -> Vec<Bytes> {
        std::iter::from_fn(|| queue.start(now))
            .map(|(key, _)| key)
            .collect()
    }

    #[test]
    fn a_key_waits_once_however_often_it_changes() {
        let (mut queue, now) = queue();
        for name in ["a", "b", "a", "a"] {
            queue.change(key(name), now);
        }
        queue.resync(key("b"));
        assert_eq!(queue.counts(), (2, 0));
        assert_eq!(started(&mut queue, now), ["a", "b"]);
        assert_eq!((queue.counts(), queue.running().len()), ((0, 0), 2));
    }

    #[test]
    fn a_key_that_changes_while_it_is_under_way_is_not_started_before_the_end_and_once_after_it() {
        let (mut queue, now) = queue();
        queue.change(key("a"), now);
        assert_eq!(started(&mut queue, now), ["a"]);
        queue.change(key("a"), now);
        queue.change(key("a"), now);
        assert_eq!(started(&mut queue, now), [""; 0]);
        // The change counts, and not what the former state asked for.
        queue.succeeded(key("a"), Reconciled::RequeueAfter(SECOND), now);
        assert_eq!(started(&mut queue, now), ["a"]);
        queue.succeeded(key("a"), Reconciled::AwaitChange, now);
        assert_eq!(queue.counts(), (0, 0));
        assert!(queue.items.is_empty());
    }

    #[test]
    fn a_resync_waits_neither_for_a_requested_time_nor_shortens_a_pause() {
        let (mut queue, now) = queue();
        for name in ["fails", "waits", "runs"] {
            queue.change(key(name), now);
        }
        assert_eq!(started(&mut queue, now).len(), 3);
        queue.failed(key("fails"), now);
        queue.succeeded(key("waits"), Reconciled::RequeueAfter(60 * SECOND), now);
        for name in ["fails", "waits", "runs", "other"] {
            queue.resync(key(name));
        }
        assert_eq!(started(&mut queue, now), ["waits", "other"]);
        queue.succeeded(key("runs"), Reconciled::AwaitChange, now);
        assert_eq!(started(&mut queue, now), [""; 0]);
    }

    #[test]
    fn a_key_comes_again_when_its_time_has_come_and_its_pauses_double_up_to_the_limit() {
        let (mut queue, start) = queue();
        queue.change(key("a"), start);
        queue.start(start);
        queue.succeeded(key("a"), Reconciled::RequeueAfter(5 * SECOND), start);
        assert_eq!(queue.next_due(), Some(start + 5 * SECOND));
        assert_eq!(queue.start(start + 4 * SECOND), None);
        let mut now = start + 5 * SECOND;
        for count in 1..=100 {
            assert_eq!(queue.start(now), Some((key("a"), count - 1)));
            let (failures, pause) = queue.failed(key("a"), now);
            assert_eq!(failures, count);
            let most = SECOND * (1 << (count - 1).min(10));
            let most = most.min(60 * SECOND);
            assert!(most / 2 <= pause && pause <= most, "{count}: {pause:?}");
            assert_eq!(queue.next_due(), Some(now + pause));
            assert_eq!(queue.start(now + pause - SECOND / 1000), None);
            now += pause;
        }
        queue.start(now);
        queue.succeeded(key("a"), Reconciled::AwaitChange, now);
        queue.change(key("a"), now);
        assert_eq!(queue.start(now), Some((key("a"), 0)));
    }

    #[test]
    fn a_change_ends_a_pause_but_for_the_first_one() {
        let (mut queue, start) = queue();
        let mut now = start;
        queue.change(key("a"), now);
        for _ in 0..8 {
            queue.start(now);
            now = now + queue.failed(key("a"), now).1;
        }
        queue.start(now);
        assert!(queue.failed(key("a"), now).1 >= 30 * SECOND);
        queue.change(key("a"), now);
        assert_eq!(queue.start(now), None);
        assert_eq!(queue.next_due(), Some(now + SECOND));
        queue.change(key("a"), now + 2 * SECOND);
        assert_eq!(queue.start(now + 2 * SECOND), Some((key("a"), 9)));
        // One that fails and changes itself does not run all the time.
        queue.change(key("a"), now + 2 * SECOND);
        let (_, pause) = queue.failed(key("a"), now + 2 * SECOND);
        assert_eq!(pause, SECOND);
        assert_eq!(queue.start(now + 2 * SECOND), None);
        assert_eq!(queue.start(now + 3 * SECOND), Some((key("a"), 10)));
    }

    #[test]
    fn nothing_is_left_of_keys_that_are_cleared_or_skipped_or_never_due() {
        let (mut queue, now) = queue();
        for name in ["a", "b", "c", "d"] {
            queue.change(key(name), now);
        }
        queue.start(now);
        queue.start(now);
        queue.start(now);
        queue.skipped(&key("a"));
        queue.succeeded(key("b"), Reconciled::RequeueAfter(Duration::MAX), now);
        let mut left: Vec<_> = queue.clear().collect();
        left.sort();
        assert_eq!(left, ["c", "d"]);
        assert_eq!(queue.counts(), (0, 0));
        // Late ends of keys that are not there any more change nothing.
        assert_eq!(queue.failed(key("c"), now), (0, Duration::ZERO));
        queue.succeeded(key("c"), Reconciled::AwaitChange, now);
        queue.change(key("c"), now);
        queue.skipped(&key("c"));
        assert_eq!(queue.counts(), (1, 0));
    }
}
