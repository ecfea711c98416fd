use std::sync::Arc;

use super::{
    KEYS, Store,
    error::{Code, StoreError},
    event::{Action, Event, Expiry, NodeView, Text},
    tree::{Content, NodeId, Obstacle, split},
};
use crate::profile::Profile;

/// A node that is created with an earlier expiry (2000-01-01) is permanent.
const EARLIEST_EXPIRY: i64 = 946_684_800_000_000_000;

/// A write as the Raft log would carry it. Paths are clean and absolute.
#[derive(Clone, Debug)]
pub(crate) enum Write {
    Set {
        path: Vec<u8>,
        dir: bool,
        value: Text,
        ttl: Ttl,
    },
    Create {
        path: Vec<u8>,
        dir: bool,
        value: Text,
        expires: Option<i64>,
    },
    CreateInOrder {
        path: Vec<u8>,
        dir: bool,
        value: Text,
        expires: Option<i64>,
    },
    Update {
        path: Vec<u8>,
        value: Text,
        ttl: Ttl,
    },
    CompareAndSwap {
        path: Vec<u8>,
        condition: Condition,
        value: Text,
        ttl: Ttl,
    },
    Delete {
        path: Vec<u8>,
        dir: bool,
        recursive: bool,
    },
    CompareAndDelete {
        path: Vec<u8>,
        condition: Condition,
    },
}

/// When the node expires, and whether its value stays.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Ttl {
    pub(crate) expires: Option<i64>,
    pub(crate) refresh: bool,
}

/// What a node must be for a comparison to succeed. An empty value and index 0 are not compared.
#[derive(Clone, Debug)]
pub(crate) struct Condition {
    pub(crate) value: Vec<u8>,
    pub(crate) index: u64,
}

impl Store {
    /// Applies a write at `now`, as a server of this version does.
    pub(crate) fn apply(
        &mut self,
        write: Write,
        now: i64,
        profile: Profile,
    ) -> Result<Arc<Event>, StoreError> {
        match write {
            Write::Set {
                path,
                dir,
                value,
                ttl,
            } => {
                let result = self.set(path, dir, value, ttl, now);
                self.stats.sets.count(result.is_ok());
                result
            }
            Write::Create {
                path,
                dir,
                value,
                expires,
            } => self.create(path, dir, value, expires, now),
            Write::CreateInOrder {
                mut path,
                dir,
                value,
                expires,
            } => {
                path.extend_from_slice(format!("/{:020}", self.index + 1).as_bytes());
                self.create(path, dir, value, expires, now)
            }
            Write::Update { path, value, ttl } => {
                let result = self.update(path, value, ttl, now, profile);
                // etcd counts only a missing or unreachable key as a failure.
                self.stats.updates.count(!is_obstacle(&result));
                result
            }
            Write::CompareAndSwap {
                path,
                condition,
                value,
                ttl,
            } => {
                let result = self.swap(path, &condition, value, ttl, now);
                self.stats.swaps.count(is_counted_success(&result));
                result
            }
            Write::Delete {
                path,
                dir,
                recursive,
            } => {
                let result = self.delete(path, dir || recursive, recursive, now);
                self.stats.deletes.count(is_counted_success(&result));
                result
            }
            Write::CompareAndDelete { path, condition } => {
                let result = self.compare_and_delete(path, &condition, now);
                self.stats.compare_deletes.count(!is_obstacle(&result));
                result
            }
        }
    }

    fn set(
        &mut self,
        path: Vec<u8>,
        dir: bool,
        mut value: Text,
        ttl: Ttl,
        now: i64,
    ) -> Result<Arc<Event>, StoreError> {
        if ttl.refresh {
            let old = self.tree.value(self.find(&path)?);
            value = old.cloned().unwrap_or_else(|| Text::from(&b""[..]));
        }
        self.refuse_read_only(&path)?;
        let path: Text = path.into();
        let index = self.index + 1;
        let content = content(dir, value);
        let old = self.tree.probe(&path);
        let (id, prev) = match old {
            Some(id) if self.tree.is_dir(id) => {
                return Err(StoreError::new(Code::NotFile, &*path, self.index));
            }
            Some(id) => {
                let prev = self.tree.view(id, Arc::clone(&path), now);
                self.tree.replace(id, content, index);
                (id, Some(prev))
            }
            None => (self.insert(&path, content, index)?, None),
        };
        self.expire_from_creation(id, ttl.expires);
        self.index = index;
        let event = Arc::new(Event {
            action: Action::Set,
            node: self.tree.view(id, path, now),
            prev,
            refresh: ttl.refresh,
        });
        self.publish(Arc::clone(&event));
        Ok(event)
    }

    fn create(
        &mut self,
        path: Vec<u8>,
        dir: bool,
        value: Text,
        expires: Option<i64>,
        now: i64,
    ) -> Result<Arc<Event>, StoreError> {
        let result = self.create_uncounted(path, dir, value, expires, now);
        self.stats.creates.count(result.is_ok());
        if matches!(&result, Err(error) if error.code == Code::NotDir) {
            self.stats.sets.count(false);
        }
        result
    }

    fn create_uncounted(
        &mut self,
        path: Vec<u8>,
        dir: bool,
        value: Text,
        expires: Option<i64>,
        now: i64,
    ) -> Result<Arc<Event>, StoreError> {
        self.refuse_read_only(&path)?;
        let path: Text = path.into();
        let index = self.index + 1;
        if self.tree.probe(&path).is_some() {
            return Err(StoreError::new(Code::NodeExist, &*path, self.index));
        }
        let id = self.insert(&path, content(dir, value), index)?;
        self.expire_from_creation(id, expires);
        self.index = index;
        let event = Arc::new(Event {
            action: Action::Create,
            node: self.tree.view(id, path, now),
            prev: None,
            refresh: false,
        });
        self.publish(Arc::clone(&event));
        Ok(event)
    }

    fn update(
        &mut self,
        path: Vec<u8>,
        value: Text,
        ttl: Ttl,
        now: i64,
        profile: Profile,
    ) -> Result<Arc<Event>, StoreError> {
        self.refuse_read_only(&path)?;
        let id = self.find(&path)?;
        if self.tree.is_dir(id) && !value.is_empty() {
            return Err(StoreError::new(Code::NotFile, path, self.index));
        }
        if self.tree.is_dir(id) && profile == Profile::V3_5 {
            let mut cause = b"nodePath ".to_vec();
            cause.extend_from_slice(&path);
            cause.extend_from_slice(b" : Not a file ()");
            return Err(StoreError::request(Code::RaftInternal, cause));
        }
        Ok(self.rewrite(Action::Update, id, path.into(), value, ttl, now))
    }

    fn swap(
        &mut self,
        path: Vec<u8>,
        condition: &Condition,
        value: Text,
        ttl: Ttl,
        now: i64,
    ) -> Result<Arc<Event>, StoreError> {
        self.refuse_read_only(&path)?;
        let id = self.find_to_compare(&path, condition)?;
        Ok(self.rewrite(Action::CompareAndSwap, id, path.into(), value, ttl, now))
    }

    fn delete(
        &mut self,
        path: Vec<u8>,
        dir: bool,
        recursive: bool,
        now: i64,
    ) -> Result<Arc<Event>, StoreError> {
        self.refuse_read_only(&path)?;
        let id = self.find(&path)?;
        if self.tree.is_dir(id) && !dir {
            return Err(StoreError::new(Code::NotFile, path, self.index));
        }
        if !self.tree.children(id).is_empty() && !recursive {
            return Err(StoreError::new(Code::DirNotEmpty, path, self.index));
        }
        Ok(self.remove(Action::Delete, id, path.into(), now))
    }

    fn compare_and_delete(
        &mut self,
        path: Vec<u8>,
        condition: &Condition,
        now: i64,
    ) -> Result<Arc<Event>, StoreError> {
        let id = self.find_to_compare(&path, condition)?;
        Ok(self.remove(Action::CompareAndDelete, id, path.into(), now))
    }

    fn refuse_read_only(&self, path: &[u8]) -> Result<(), StoreError> {
        if matches!(path, b"/" | b"/0") || path == KEYS {
            return Err(StoreError::new(Code::RootReadOnly, *b"/", self.index));
        }
        Ok(())
    }

    /// Creates a node and its missing parents.
    fn insert(&mut self, path: &[u8], content: Content, index: u64) -> Result<NodeId, StoreError> {
        let (dir, name) = split(path);
        match self.tree.make_dirs(dir, index) {
            Ok(dir) => Ok(self.tree.insert(dir, name, content, index)),
            Err(Obstacle::File(path) | Obstacle::Missing(path)) => {
                Err(StoreError::new(Code::NotDir, path, self.index))
            }
        }
    }

    fn expire_from_creation(&mut self, id: NodeId, expires: Option<i64>) {
        let expires = expires.filter(|&at| at >= EARLIEST_EXPIRY);
        self.tree.set_expiry(id, expires);
    }

    fn find_to_compare(&self, path: &[u8], condition: &Condition) -> Result<NodeId, StoreError> {
        let id = self.find(path)?;
        let Some(value) = self.tree.value(id) else {
            return Err(StoreError::new(Code::NotFile, path, self.index));
        };
        let modified = self.tree.modified(id);
        let value_differs = !condition.value.is_empty() && *condition.value != **value;
        let index_differs = condition.index != 0 && condition.index != modified;
        let mut cause = Vec::new();
        if value_differs {
            cause.push(b'[');
            cause.extend_from_slice(&condition.value);
            cause.extend_from_slice(b" != ");
            cause.extend_from_slice(value);
            cause.push(b']');
        }
        if index_differs {
            let both = if value_differs { " " } else { "" };
            let indexes = format!("{both}[{} != {modified}]", condition.index);
            cause.extend_from_slice(indexes.as_bytes());
        }
        if value_differs || index_differs {
            return Err(StoreError::new(Code::CompareFailed, cause, self.index));
        }
        Ok(id)
    }

    /// Replaces the value and the expiry of a node. The index of its creation stays.
    fn rewrite(
        &mut self,
        action: Action,
        id: NodeId,
        path: Text,
        value: Text,
        ttl: Ttl,
        now: i64,
    ) -> Arc<Event> {
        self.index += 1;
        let prev = self.tree.view(id, Arc::clone(&path), now);
        let value = match self.tree.value(id) {
            Some(old) if ttl.refresh => Some(Arc::clone(old)),
            Some(_) => Some(value),
            None => None,
        };
        // A directory (etcd 3.4) keeps its index, although the response shows the new one.
        if let Some(value) = &value {
            self.tree.write(id, Arc::clone(value), self.index);
        }
        self.tree.set_expiry(id, ttl.expires);
        let event = Arc::new(Event {
            action,
            node: NodeView {
                path,
                dir: value.is_none(),
                value,
                expiry: ttl.expires.map(|at| Expiry::seen(at, now)),
                modified: self.index,
                created: prev.created,
            },
            prev: Some(prev),
            refresh: ttl.refresh,
        });
        self.publish(Arc::clone(&event));
        event
    }

    fn remove(&mut self, action: Action, id: NodeId, path: Text, now: i64) -> Arc<Event> {
        self.index += 1;
        let event = self.removal(action, id, path, self.index, now);
        self.remove_subtree(id, &event);
        self.publish(Arc::clone(&event));
        event
    }
}

fn content(dir: bool, value: Text) -> Content {
    if dir {
        Content::Dir(Vec::new())
    } else {
        Content::File(value)
    }
}

/// Whether etcd counts a swap or a deletion as a success: it does if the path is read-only.
fn is_counted_success(result: &Result<Arc<Event>, StoreError>) -> bool {
    matches!(
        result,
        Ok(_)
            | Err(StoreError {
                code: Code::RootReadOnly,
                ..
            })
    )
}

fn is_obstacle(result: &Result<Arc<Event>, StoreError>) -> bool {
    matches!(result, Err(error) if matches!(error.code, Code::KeyNotFound | Code::NotDir))
}
