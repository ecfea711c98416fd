use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    sync::Arc,
};

use super::{
    event::{Event, Text},
    tree::segments,
};
use crate::cluster::exchanges::ExchangeId;

/// How many unread events a stream may have before etcd drops it.
pub(crate) const STREAM_CAPACITY: usize = 100;

/// What a watch asks for.
#[derive(Clone, Debug)]
pub(crate) struct WatchSpec {
    pub(crate) path: Text,
    pub(crate) recursive: bool,
    pub(crate) stream: bool,
    /// The first index to receive.
    pub(crate) since: u64,
}

/// All open watches, by path.
#[derive(Debug, Default)]
pub(crate) struct WatcherHub {
    by_path: BTreeMap<Text, BTreeSet<ExchangeId>>,
    watchers: BTreeMap<ExchangeId, Watcher>,
    live: u64,
    /// Watches with something to read since the last [`take_ready`](Self::take_ready).
    ready: Vec<ExchangeId>,
}

#[derive(Debug)]
struct Watcher {
    spec: WatchSpec,
    /// Whether it still receives events. Its response may be open although it does not.
    is_live: bool,
    unread: VecDeque<Arc<Event>>,
}

impl WatcherHub {
    /// Opens a watch. One that history has answered (`found`) receives no further events, not even a stream.
    pub(crate) fn open(&mut self, id: ExchangeId, spec: WatchSpec, found: Option<Arc<Event>>) {
        let is_live = found.is_none();
        if is_live {
            self.by_path
                .entry(spec.path.clone())
                .or_default()
                .insert(id);
            self.live += 1;
        }
        let watcher = Watcher {
            spec,
            is_live,
            unread: found.into_iter().collect(),
        };
        self.watchers.insert(id, watcher);
    }

    /// Closes a watch whose response has ended.
    pub(crate) fn close(&mut self, id: ExchangeId) {
        self.stop_feeding(id);
        self.watchers.remove(&id);
    }

    /// The next unread event.
    pub(crate) fn take(&mut self, id: ExchangeId) -> Option<Arc<Event>> {
        self.watchers.get_mut(&id)?.unread.pop_front()
    }

    /// The watches that got something to read since the last call.
    pub(crate) fn take_ready(&mut self) -> Vec<ExchangeId> {
        std::mem::take(&mut self.ready)
    }

    /// Moves the `chosen` watches to another hub, from which they get their events from then on.
    pub(crate) fn hand_over(&mut self, to: &mut Self, chosen: &dyn Fn(ExchangeId) -> bool) {
        to.ready.append(&mut self.ready);
        let ids: Vec<ExchangeId> = self
            .watchers
            .keys()
            .copied()
            .filter(|&id| chosen(id))
            .collect();
        for id in ids {
            let is_live = self
                .watchers
                .get(&id)
                .is_some_and(|watcher| watcher.is_live);
            self.stop_feeding(id);
            let Some(mut watcher) = self.watchers.remove(&id) else {
                continue;
            };
            if is_live {
                watcher.is_live = true;
                let path = watcher.spec.path.clone();
                to.by_path.entry(path).or_default().insert(id);
                to.live += 1;
            }
            to.watchers.insert(id, watcher);
        }
    }

    /// How many watches still receive events.
    pub(crate) fn live(&self) -> u64 {
        self.live
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.by_path.is_empty()
    }

    /// Sends an event to the watches of its path and of the directories above.
    pub(crate) fn notify(&mut self, event: &Arc<Event>) {
        if self.by_path.is_empty() {
            return;
        }
        let path = Arc::clone(&event.node.path);
        let depth = segments(&path).count();
        if self.by_path.len() < depth {
            // The path is deep and few paths are watched: it is cheaper to look at those.
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

    /// Sends an event to the watches of exactly this path. `removed`: the node there is removed by the event.
    pub(crate) fn notify_at(&mut self, event: &Arc<Event>, path: &[u8], removed: bool) {
        let Some(ids) = self.by_path.get(path) else {
            return;
        };
        let is_own = *event.node.path == *path;
        if !is_own && is_hidden(path, &event.node.path) {
            return;
        }
        let ids: Vec<ExchangeId> = ids.iter().copied().collect();
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
                self.ready.push(id);
            }
            if overrun || !watcher.spec.stream {
                self.stop_feeding(id);
            }
        }
    }

    /// Sends a watch no further events.
    fn stop_feeding(&mut self, id: ExchangeId) {
        let Some(watcher) = self.watchers.get_mut(&id) else {
            return;
        };
        if !watcher.is_live {
            return;
        }
        watcher.is_live = false;
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

/// Whether the event's key is hidden from watches of `watched`: a segment below it begins with `_`.
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
    use crate::v2::store::event::{Action, NodeView};

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

    fn open(hub: &mut WatcherHub, path: &str, recursive: bool, stream: bool) -> ExchangeId {
        let spec = WatchSpec {
            path: path.as_bytes().into(),
            recursive,
            stream,
            since: 1,
        };
        let id = ExchangeId(hub.watchers.len() as u64);
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
    fn a_stream_that_is_not_read_receives_no_more_than_a_hundred_events() {
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
        assert!(hub.watchers.contains_key(&stream));
        hub.close(stream);
        assert!(hub.watchers.is_empty());
    }
}
