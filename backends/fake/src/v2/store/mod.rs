//! The v2 store: the tree, its index, its history and its watchers. It is pure data; the time is passed in.

pub(crate) mod error;
pub(crate) mod event;
mod history;
pub(crate) mod record;
mod stats;
pub(crate) mod tree;
pub(crate) mod watch;
pub(crate) mod write;

use std::sync::Arc;

use self::{
    error::{Code, StoreError},
    event::{Action, Event, NodeView, Text},
    history::History,
    stats::Stats,
    tree::{Content, NodeId, Obstacle, Tree},
    watch::{WatchSpec, WatcherHub},
};
use crate::cluster::exchanges::ExchangeId;

/// The namespace of the keys; `/0` is the cluster's and `/2` that of auth.
pub(crate) const KEYS: &[u8] = b"/1";

/// The v2 store of one member.
#[derive(Debug)]
pub(crate) struct Store {
    pub(crate) tree: Tree,
    pub(crate) stats: Stats,
    pub(crate) hub: WatcherHub,
    history: History,
    index: u64,
    /// Whether the directories of auth were created in this run of the server.
    pub(crate) is_auth_prepared: bool,
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
            is_auth_prepared: false,
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
            is_auth_prepared: self.is_auth_prepared,
        }
    }

    /// Restarts the server: watches end, and reads, which are not in the log, are no longer counted.
    pub(crate) fn restart(&mut self) {
        self.hub = WatcherHub::default();
        self.stats.gets = Default::default();
        self.is_auth_prepared = false;
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

    /// The same without a reason when there is no node. It is called for every request.
    pub(crate) fn probe(&mut self, path: &[u8]) -> Option<NodeId> {
        let found = self.tree.probe(path);
        self.stats.gets.count(found.is_some());
        found
    }

    /// Opens a watch.
    ///
    /// # Errors
    /// [`Code::EventIndexCleared`] when history does not reach back to `since`.
    pub(crate) fn watch(&mut self, id: ExchangeId, mut spec: WatchSpec) -> Result<(), StoreError> {
        if spec.since == 0 {
            spec.since = self.index + 1;
        }
        let found = self
            .history
            .scan(&spec.path, spec.recursive, spec.since, self.index)?;
        self.hub.open(id, spec, found);
        Ok(())
    }

    /// Removes what has expired by `cutoff`, with one event and one index for each expired node.
    pub(crate) fn expire(&mut self, cutoff: i64, now: i64) {
        while let Some((at, id)) = self.tree.first_to_expire() {
            if at > cutoff {
                break;
            }
            self.index += 1;
            let path: Text = self.tree.path(id).into();
            let event = self.removal(Action::Expire, id, path, self.index, now);
            self.remove_subtree(id, &event);
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

    /// Removes a node and all below it, and notifies the watches of each.
    fn remove_subtree(&mut self, id: NodeId, event: &Arc<Event>) {
        if self.hub.is_empty() {
            self.tree.remove(id, None);
        } else {
            let hub = &mut self.hub;
            let mut tell = |path: &[u8]| hub.notify_at(event, path, true);
            self.tree.remove(id, Some(&mut tell));
        }
    }

    /// Adds an event to history and notifies the watchers, unless it is a refresh.
    fn publish(&mut self, event: Arc<Event>) {
        self.history.add(Arc::clone(&event));
        if !event.refresh {
            self.hub.notify(&event);
        }
    }
}
