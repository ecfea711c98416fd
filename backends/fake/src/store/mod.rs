//! The v2 store: the tree, its index, its history and its watchers. Pure data; the time is passed in.

mod error;
mod event;
mod history;
mod record;
mod stats;
mod tree;
mod watch;
mod write;

pub(crate) use error::{Code, StoreError};
pub(crate) use event::{Action, Event, Expiry, NodeView, Text};
pub(crate) use record::NodeRecord;
pub(crate) use stats::Stats;
pub(crate) use tree::{Content, NodeId, Tree, push_segment};
pub(crate) use watch::{WatchSpec, WatcherHub, WatcherId};
pub(crate) use write::{Condition, Ttl, Write};

use std::sync::Arc;

use tree::Obstacle;

use self::history::History;

/// The namespace of the keys; `/0` is the cluster's and `/2` that of auth.
pub(crate) const KEYS: &[u8] = b"/1";

/// What a member of the cluster knows.
#[derive(Debug)]
pub(crate) struct Store {
    pub(crate) tree: Tree,
    pub(crate) stats: Stats,
    pub(crate) hub: WatcherHub,
    history: History,
    index: u64,
}

impl Store {
    /// A store with the two directories that every etcd has, at index 0.
    pub(crate) fn new() -> Self {
        let mut tree = Tree::new();
        for name in [b"0", b"1"] {
            tree.insert(Tree::ROOT, name, Content::Dir(Vec::new()), 0);
        }
        Self {
            tree,
            stats: Stats::default(),
            hub: WatcherHub::default(),
            history: History::default(),
            index: 0,
        }
    }

    /// The same data, without the watchers.
    pub(crate) fn fork(&self) -> Self {
        Self {
            tree: self.tree.clone(),
            stats: self.stats.clone(),
            hub: WatcherHub::default(),
            history: self.history.clone(),
            index: self.index,
        }
    }

    pub(crate) fn index(&self) -> u64 {
        self.index
    }

    /// Forgets all but the last event.
    pub(crate) fn forget_history(&mut self) {
        self.history.forget();
    }

    /// Finds a node to read, and counts the read.
    pub(crate) fn get(&mut self, path: &[u8]) -> Result<NodeId, StoreError> {
        let found = self.find(path);
        self.stats.gets.count(found.is_ok());
        found
    }

    /// The same where nobody asks why there is none: this one is read with every request.
    pub(crate) fn probe(&mut self, path: &[u8]) -> Option<NodeId> {
        let found = self.tree.probe(path);
        self.stats.gets.count(found.is_some());
        found
    }

    /// Opens a watch.
    ///
    /// # Errors
    /// [`Code::EventIndexCleared`] when history does not reach back to `since`.
    pub(crate) fn watch(&mut self, id: WatcherId, mut spec: WatchSpec) -> Result<(), StoreError> {
        if spec.since == 0 {
            spec.since = self.index + 1;
        }
        let found = self
            .history
            .scan(&spec.path, spec.recursive, spec.since, self.index)?;
        self.hub.open(id, spec, found);
        Ok(())
    }

    /// Removes what has expired by `cutoff`: one event and one index for each node whose time it was.
    pub(crate) fn expire(&mut self, cutoff: i64, now: i64) {
        while let Some((at, id)) = self.tree.first_to_expire() {
            if at > cutoff {
                break;
            }
            self.index += 1;
            let path: Text = self.tree.path(id).into();
            let event = self.removal(Action::Expire, id, path, self.index, now);
            self.take_away(id, &event);
            self.stats.expired += 1;
            self.publish(event);
        }
    }

    pub(crate) fn find(&self, path: &[u8]) -> Result<NodeId, StoreError> {
        self.tree
            .lookup(path)
            .map_err(|obstacle| self.obstacle(obstacle))
    }

    fn obstacle(&self, obstacle: Obstacle) -> StoreError {
        match obstacle {
            Obstacle::Missing(path) => StoreError::new(Code::KeyNotFound, path, self.index),
            Obstacle::File(path) => StoreError::new(Code::NotDir, path, self.index),
        }
    }

    /// The event of a node's removal.
    fn removal(&self, action: Action, id: NodeId, path: Text, index: u64, now: i64) -> Arc<Event> {
        let node = NodeView {
            path: Arc::clone(&path),
            value: None,
            dir: action != Action::CompareAndDelete && self.tree.is_dir(id),
            expiry: None,
            modified: index,
            created: self.tree.created(id),
        };
        Arc::new(Event {
            action,
            node,
            prev: Some(self.tree.view(id, path, now)),
            refresh: false,
        })
    }

    /// Takes a node and all below it away, and tells those who watch any of them.
    fn take_away(&mut self, id: NodeId, event: &Arc<Event>) {
        if self.hub.is_empty() {
            self.tree.remove(id, None);
        } else {
            let hub = &mut self.hub;
            let mut tell = |path: &[u8]| hub.notify_at(event, path, true);
            self.tree.remove(id, Some(&mut tell));
        }
    }

    /// Adds an event to history and tells the watchers, unless it is a refresh.
    fn publish(&mut self, event: Arc<Event>) {
        self.history.add(Arc::clone(&event));
        if !event.refresh {
            self.hub.notify(&event);
        }
    }
}
