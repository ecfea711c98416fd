use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    sync::Arc,
    task::Waker,
};

use super::{
    event::{Event, Text},
    tree::segments,
};

/// How many unread events a stream may have before etcd stops feeding it.
pub(crate) const STREAM_CAPACITY: usize = 100;

/// A watch, for as long as its answer is open.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct WatcherId(pub(crate) u64);

/// What a watch asks for.
#[derive(Clone, Debug)]
pub(crate) struct WatchSpec {
    pub(crate) path: Text,
    pub(crate) recursive: bool,
    pub(crate) stream: bool,
    /// The first index of interest.
    pub(crate) since: u64,
}

/// All open watches, found by the path they watch.
#[derive(Debug, Default)]
pub(crate) struct WatcherHub {
    by_path: BTreeMap<Text, BTreeSet<WatcherId>>,
    watchers: BTreeMap<WatcherId, Watcher>,
    live: u64,
    woken: Vec<Waker>,
}

#[derive(Debug)]
struct Watcher {
    spec: WatchSpec,
    /// Whether it still waits for events; its answer may well be open when it does not.
    live: bool,
    unread: VecDeque<Arc<Event>>,
    waker: Option<Waker>,
}

impl WatcherHub {
    /// Opens a watch. One that history has already answered (`found`) is not fed any more, stream or not.
    pub(crate) fn open(&mut self, id: WatcherId, spec: WatchSpec, found: Option<Arc<Event>>) {
        let live = found.is_none();
        if live {
            self.by_path
                .entry(spec.path.clone())
                .or_default()
                .insert(id);
            self.live += 1;
        }
        let watcher = Watcher {
            spec,
            live,
            unread: found.into_iter().collect(),
            waker: None,
        };
        self.watchers.insert(id, watcher);
    }

    /// Closes a watch whose answer is gone; returns whom it would have woken.
    pub(crate) fn close(&mut self, id: WatcherId) -> Option<Waker> {
        self.retire(id);
        self.watchers.remove(&id)?.waker
    }

    /// The next unread event.
    pub(crate) fn take(&mut self, id: WatcherId) -> Option<Arc<Event>> {
        self.watchers.get_mut(&id)?.unread.pop_front()
    }

    /// Whom to wake with the next event; returns whom it was.
    pub(crate) fn wake_with(&mut self, id: WatcherId, waker: &Waker) -> Option<Waker> {
        let watcher = self.watchers.get_mut(&id)?;
        watcher.waker.replace(waker.clone())
    }

    /// Has every watch's answer looked at again.
    pub(crate) fn wake_all(&mut self) {
        for watcher in self.watchers.values_mut() {
            self.woken.extend(watcher.waker.take());
        }
    }

    /// Those who have something to read since the last call.
    pub(crate) fn take_woken(&mut self) -> Vec<Waker> {
        std::mem::take(&mut self.woken)
    }

    pub(crate) fn has_woken(&self) -> bool {
        !self.woken.is_empty()
    }

    /// All open answers.
    pub(crate) fn ids(&self) -> Vec<WatcherId> {
        self.watchers.keys().copied().collect()
    }

    /// Gives these watchers to another hub, which feeds them from then on.
    pub(crate) fn hand_over(&mut self, ids: &[WatcherId], other: &mut Self) {
        for &id in ids {
            let live = self.watchers.get(&id).is_some_and(|watcher| watcher.live);
            self.retire(id);
            let Some(mut watcher) = self.watchers.remove(&id) else {
                continue;
            };
            if live {
                watcher.live = true;
                let path = watcher.spec.path.clone();
                other.by_path.entry(path).or_default().insert(id);
                other.live += 1;
            }
            other.watchers.insert(id, watcher);
        }
    }

    /// Takes over those that another hub meant to wake.
    pub(crate) fn take_wakers_of(&mut self, other: &mut Self) {
        self.woken.append(&mut other.woken);
    }

    /// Watches that still wait for events.
    pub(crate) fn live(&self) -> u64 {
        self.live
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.by_path.is_empty()
    }

    /// Feeds an event to those who watch its path, or an ancestor of it.
    pub(crate) fn notify(&mut self, event: &Arc<Event>) {
        if self.by_path.is_empty() {
            return;
        }
        let path = Arc::clone(&event.node.path);
        let depth = segments(&path).count();
        if self.by_path.len() < depth {
            // A very deep path, and few that are watched: look at those.
            let watched: Vec<Text> = self
                .by_path
                .keys()
                .filter(|watched| is_ancestor_or_self(watched, &path))
                .cloned()
                .collect();
            for watched in watched {
                self.notify_at(event, &watched, false);
            }
            return;
        }
        let ends = path.iter().enumerate().skip(1);
        let ends = ends.filter(|&(_, &byte)| byte == b'/').map(|(end, _)| end);
        self.notify_at(event, b"/", false);
        for end in ends.chain([path.len()]) {
            self.notify_at(event, &path[..end], false);
        }
    }

    /// Feeds an event to those who watch exactly this path. `removed`: the node there is going with the event's.
    pub(crate) fn notify_at(&mut self, event: &Arc<Event>, path: &[u8], removed: bool) {
        let Some(ids) = self.by_path.get(path) else {
            return;
        };
        let is_own = *event.node.path == *path;
        if !is_own && is_hidden(path, &event.node.path) {
            return;
        }
        let ids: Vec<WatcherId> = ids.iter().copied().collect();
        for id in ids {
            let Some(watcher) = self.watchers.get_mut(&id) else {
                continue;
            };
            let interested = watcher.spec.recursive || is_own || removed;
            if !interested || event.index() < watcher.spec.since {
                continue;
            }
            let overrun = watcher.unread.len() >= STREAM_CAPACITY;
            if !overrun {
                watcher.unread.push_back(Arc::clone(event));
                self.woken.extend(watcher.waker.take());
            }
            if overrun || !watcher.spec.stream {
                self.retire(id);
            }
        }
    }

    /// Stops feeding a watch.
    fn retire(&mut self, id: WatcherId) {
        let Some(watcher) = self.watchers.get_mut(&id) else {
            return;
        };
        if !watcher.live {
            return;
        }
        watcher.live = false;
        self.live -= 1;
        if let Some(ids) = self.by_path.get_mut(&watcher.spec.path) {
            ids.remove(&id);
            if ids.is_empty() {
                self.by_path.remove(&watcher.spec.path);
            }
        }
    }
}

fn is_ancestor_or_self(watched: &[u8], path: &[u8]) -> bool {
    watched == b"/"
        || path
            .strip_prefix(watched)
            .is_some_and(|rest| rest.is_empty() || rest.starts_with(b"/"))
}

/// Whether the event's key is hidden from one who watches `watched`: a segment below it begins with `_`.
fn is_hidden(watched: &[u8], path: &[u8]) -> bool {
    let Some(below) = path.get(watched.len()..) else {
        return false;
    };
    let below = below.strip_prefix(b"/").unwrap_or(below);
    below
        .split(|&byte| byte == b'/')
        .any(|segment| segment.first() == Some(&b'_'))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::event::{Action, NodeView};

    fn event(path: &str, index: u64) -> Arc<Event> {
        let node = NodeView {
            path: path.as_bytes().into(),
            value: None,
            dir: false,
            expiry: None,
            modified: index,
            created: index,
        };
        Arc::new(Event {
            action: Action::Set,
            node,
            prev: None,
            refresh: false,
        })
    }

    fn open(hub: &mut WatcherHub, path: &str, recursive: bool, stream: bool) -> WatcherId {
        let spec = WatchSpec {
            path: path.as_bytes().into(),
            recursive,
            stream,
            since: 1,
        };
        let id = WatcherId(hub.ids().len() as u64);
        hub.open(id, spec, None);
        id
    }

    #[test]
    fn an_event_reaches_its_path_and_the_recursive_ones_above() {
        let mut hub = WatcherHub::default();
        let exact = open(&mut hub, "/1/a/b", false, false);
        let above = open(&mut hub, "/1/a", true, false);
        let not_recursive = open(&mut hub, "/1/a", false, false);
        let beside = open(&mut hub, "/1/a/bc", true, false);
        hub.notify(&event("/1/a/b", 5));
        assert!(hub.take(exact).is_some());
        assert!(hub.take(above).is_some());
        assert!(hub.take(not_recursive).is_none());
        assert!(hub.take(beside).is_none());
        assert_eq!(hub.live(), 2);
    }

    #[test]
    fn few_watches_and_a_deep_path_are_matched_the_same() {
        let mut hub = WatcherHub::default();
        let above = open(&mut hub, "/1/d", true, true);
        let hidden = open(&mut hub, "/1", true, true);
        hub.notify(&event(&format!("/1{}", "/d".repeat(10_000)), 5));
        assert!(hub.take(above).is_some());
        hub.notify(&event(&format!("/1/_h{}", "/d".repeat(10_000)), 6));
        assert_eq!(hub.take(hidden).unwrap().index(), 5);
        assert!(hub.take(hidden).is_none());
    }

    #[test]
    fn a_stream_that_is_not_read_goes_deaf_after_a_hundred_events() {
        let mut hub = WatcherHub::default();
        let stream = open(&mut hub, "/1/a", false, true);
        for index in 1..=150 {
            hub.notify(&event("/1/a", index));
        }
        assert_eq!(hub.live(), 0);
        let read = std::iter::from_fn(|| hub.take(stream)).count();
        assert_eq!(read, STREAM_CAPACITY);
        hub.notify(&event("/1/a", 151));
        assert!(hub.take(stream).is_none());
        assert_eq!(hub.ids(), [stream]);
        hub.close(stream);
        assert_eq!(hub.ids(), []);
    }
}
