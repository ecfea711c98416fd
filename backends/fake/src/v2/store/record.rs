use super::{
    KEYS, Store,
    event::Text,
    history::History,
    tree::{Content, Tree, split},
};

/// A node outside a store.
#[derive(Clone, Debug)]
pub(crate) struct NodeRecord {
    /// The full path in the store.
    pub(crate) path: Vec<u8>,
    /// None for a directory.
    pub(crate) value: Option<Text>,
    pub(crate) created: u64,
    pub(crate) modified: u64,
    pub(crate) expires: Option<i64>,
}

impl NodeRecord {
    pub(crate) fn key(&self) -> &[u8] {
        self.path.strip_prefix(KEYS).unwrap_or(&self.path)
    }

    /// The key as text. That of a directory ends in a slash.
    pub(crate) fn shown_key(&self) -> String {
        let slash = if self.value.is_none() { "/" } else { "" };
        format!("{}{slash}", String::from_utf8_lossy(self.key()))
    }
}

impl Store {
    /// All nodes below the root of the keys: parents first, children sorted by name.
    pub(crate) fn export(&self) -> Vec<NodeRecord> {
        let tree = &self.tree;
        let mut records = Vec::new();
        let Ok(root) = tree.lookup(KEYS) else {
            return records;
        };
        let sorted = |id| {
            let mut children = tree.children(id).to_vec();
            children.sort_unstable_by(|&a, &b| tree.name(b).cmp(tree.name(a)));
            children
        };
        let mut stack = sorted(root);
        while let Some(id) = stack.pop() {
            records.push(NodeRecord {
                path: tree.path(id),
                value: tree.value(id).cloned(),
                created: tree.created(id),
                modified: tree.modified(id),
                expires: tree.expiry(id),
            });
            stack.extend(sorted(id));
        }
        records
    }

    /// Replaces all keys. History begins after `index`.
    pub(crate) fn import(&mut self, index: u64, records: &[NodeRecord]) {
        if let Ok(root) = self.tree.lookup(KEYS) {
            for child in self.tree.children(root).to_vec() {
                self.tree.remove(child, None);
            }
        }
        for record in records {
            insert(&mut self.tree, record);
        }
        self.index = index;
        self.history = History::from(index + 1);
    }
}

fn insert(tree: &mut Tree, record: &NodeRecord) {
    let (dir, name) = split(&record.path);
    let content = match &record.value {
        Some(value) => Content::File(value.clone()),
        None => Content::Dir(Vec::new()),
    };
    // A dump lists parents first and each key once. Nodes that do not fit are skipped.
    let Ok(dir) = tree.make_dirs(dir, record.created) else {
        return;
    };
    if name.is_empty() || tree.child(dir, name).is_some() {
        return;
    }
    let id = tree.insert(dir, name, content, record.created);
    tree.set_modified(id, record.modified);
    tree.set_expiry(id, record.expires);
}
