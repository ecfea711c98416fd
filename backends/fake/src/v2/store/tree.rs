use std::{
    collections::BTreeSet,
    hash::{BuildHasher, Hasher},
};

use hashbrown::{DefaultHashBuilder, HashTable};

use super::event::{Expiry, NodeView, Text};

/// The tree of keys: nodes in one vector, found by (parent, name).
///
/// A node has its name, not its path, so that a path of 10,000 segments takes no more than its bytes. Nothing here
/// recurses, not even dropping.
#[derive(Clone, Debug)]
pub(crate) struct Tree {
    nodes: Vec<Node>,
    free: Vec<NodeId>,
    index: HashTable<NodeId>,
    hasher: DefaultHashBuilder,
    /// Nodes with a time to live, the first to expire first; equal times in the order in which they were set.
    expiries: BTreeSet<(i64, u64, NodeId)>,
    expiries_set: u64,
}

/// A node's index in the vector. It is reused after the node was removed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct NodeId(u32);

#[derive(Clone, Debug)]
struct Node {
    name: Box<[u8]>,
    parent: NodeId,
    /// The position of this node in its parent's list of children.
    slot: u32,
    created: u64,
    modified: u64,
    /// When it expires, and its order among nodes that expire at the same time.
    expiry: Option<(i64, u64)>,
    content: Content,
}

/// Receives the path of each node that is removed.
pub(crate) type Visit<'a> = &'a mut dyn FnMut(&[u8]);

/// The content of a node.
#[derive(Clone, Debug)]
pub(crate) enum Content {
    File(Text),
    Dir(Vec<NodeId>),
}

/// Why there is no node at a path. The bytes are the path up to the obstacle.
#[derive(Debug)]
pub(crate) enum Obstacle {
    Missing(Vec<u8>),
    File(Vec<u8>),
}

impl Tree {
    pub(crate) const ROOT: NodeId = NodeId(0);

    pub(crate) fn new() -> Self {
        let root = Node {
            name: Box::default(),
            parent: Self::ROOT,
            slot: 0,
            created: 0,
            modified: 0,
            expiry: None,
            content: Content::Dir(Vec::new()),
        };
        Self {
            nodes: vec![root],
            free: Vec::new(),
            index: HashTable::new(),
            hasher: DefaultHashBuilder::default(),
            expiries: BTreeSet::new(),
            expiries_set: 0,
        }
    }

    /// The node at a clean, absolute path.
    pub(crate) fn lookup(&self, path: &[u8]) -> Result<NodeId, Obstacle> {
        let mut current = Self::ROOT;
        for segment in segments(path) {
            if !self.is_dir(current) {
                return Err(Obstacle::File(self.path(current)));
            }
            current = self
                .child(current, segment)
                .ok_or_else(|| Obstacle::Missing(join(&self.path(current), segment)))?;
        }
        Ok(current)
    }

    /// The node at a clean, absolute path, if there is one.
    pub(crate) fn probe(&self, path: &[u8]) -> Option<NodeId> {
        segments(path).try_fold(Self::ROOT, |current, name| self.child(current, name))
    }

    /// The directory at a path. It and its parents are created with this index where they are missing.
    pub(crate) fn make_dirs(&mut self, path: &[u8], index: u64) -> Result<NodeId, Obstacle> {
        let mut current = Self::ROOT;
        for segment in segments(path) {
            current = match self.child(current, segment) {
                Some(child) if self.is_dir(child) => child,
                Some(child) => return Err(Obstacle::File(self.path(child))),
                None => self.insert(current, segment, Content::Dir(Vec::new()), index),
            };
        }
        Ok(current)
    }

    pub(crate) fn child(&self, parent: NodeId, name: &[u8]) -> Option<NodeId> {
        let found = self.index.find(self.hash(parent, name), |&id| {
            let node = self.node(id);
            node.parent == parent && *node.name == *name
        });
        found.copied()
    }

    pub(crate) fn insert(
        &mut self,
        parent: NodeId,
        name: &[u8],
        content: Content,
        index: u64,
    ) -> NodeId {
        let slot = self.children(parent).len() as u32;
        let node = Node {
            name: name.into(),
            parent,
            slot,
            created: index,
            modified: index,
            expiry: None,
            content,
        };
        let id = if let Some(id) = self.free.pop() {
            *self.node_mut(id) = node;
            id
        } else {
            self.nodes.push(node);
            NodeId((self.nodes.len() - 1) as u32)
        };
        if let Content::Dir(children) = &mut self.node_mut(parent).content {
            children.push(id);
        }
        let (nodes, hasher) = (&self.nodes, &self.hasher);
        self.index
            .insert_unique(hash(hasher, parent, name), id, |id| {
                let node = &nodes[id.0 as usize];
                hash(hasher, node.parent, &node.name)
            });
        id
    }

    /// Replaces the content of a node, as if it were a new node.
    pub(crate) fn replace(&mut self, id: NodeId, content: Content, index: u64) {
        self.set_expiry(id, None);
        let node = self.node_mut(id);
        node.content = content;
        node.created = index;
        node.modified = index;
    }

    /// Replaces the value of a file. The index of its creation stays.
    pub(crate) fn write(&mut self, id: NodeId, value: Text, index: u64) {
        let node = self.node_mut(id);
        node.content = Content::File(value);
        node.modified = index;
    }

    /// Removes a node and all below it. `visit` receives every path, descendants before the node itself.
    pub(crate) fn remove(&mut self, id: NodeId, mut visit: Option<Visit<'_>>) {
        let mut path = if visit.is_some() {
            self.path(id)
        } else {
            Vec::new()
        };
        self.detach(id);
        // Each entry: a node, and whether its children have been put on the stack already.
        let mut stack = vec![(id, false)];
        while let Some((current, opened)) = stack.pop() {
            if !opened && !self.children(current).is_empty() {
                stack.push((current, true));
                if visit.is_some() && current != id {
                    push_segment(&mut path, &self.node(current).name);
                }
                stack.extend(self.children(current).iter().map(|&child| (child, false)));
                continue;
            }
            if let Some(visit) = &mut visit {
                let is_leaf_below = current != id && !opened;
                if is_leaf_below {
                    push_segment(&mut path, &self.node(current).name);
                }
                visit(&path);
                if current != id {
                    path.truncate(path.len() - self.node(current).name.len() - 1);
                }
            }
            self.set_expiry(current, None);
            self.unindex(current);
            let node = self.node_mut(current);
            node.content = Content::Dir(Vec::new());
            node.name = Box::default();
            self.free.push(current);
        }
    }

    pub(crate) fn is_dir(&self, id: NodeId) -> bool {
        matches!(self.node(id).content, Content::Dir(_))
    }

    pub(crate) fn value(&self, id: NodeId) -> Option<&Text> {
        match &self.node(id).content {
            Content::File(value) => Some(value),
            Content::Dir(_) => None,
        }
    }

    pub(crate) fn children(&self, id: NodeId) -> &[NodeId] {
        match &self.node(id).content {
            Content::Dir(children) => children,
            Content::File(_) => &[],
        }
    }

    pub(crate) fn name(&self, id: NodeId) -> &[u8] {
        &self.node(id).name
    }

    pub(crate) fn is_hidden(&self, id: NodeId) -> bool {
        self.name(id).first() == Some(&b'_')
    }

    pub(crate) fn created(&self, id: NodeId) -> u64 {
        self.node(id).created
    }

    pub(crate) fn modified(&self, id: NodeId) -> u64 {
        self.node(id).modified
    }

    pub(crate) fn set_modified(&mut self, id: NodeId, index: u64) {
        self.node_mut(id).modified = index;
    }

    pub(crate) fn expiry(&self, id: NodeId) -> Option<i64> {
        self.node(id).expiry.map(|(at, _)| at)
    }

    pub(crate) fn set_expiry(&mut self, id: NodeId, at: Option<i64>) {
        if let Some((at, order)) = self.node(id).expiry {
            self.expiries.remove(&(at, order, id));
        }
        let expiry = at.map(|at| {
            self.expiries_set += 1;
            self.expiries.insert((at, self.expiries_set, id));
            (at, self.expiries_set)
        });
        self.node_mut(id).expiry = expiry;
    }

    /// The node that expires first, and when.
    pub(crate) fn first_to_expire(&self) -> Option<(i64, NodeId)> {
        self.expiries.first().map(|&(at, _, id)| (at, id))
    }

    /// How many nodes there are below the root.
    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.nodes.len() - 1 - self.free.len()
    }

    pub(crate) fn path(&self, id: NodeId) -> Vec<u8> {
        let mut ancestors = Vec::new();
        let mut length = 0;
        let mut current = id;
        while current != Self::ROOT {
            let node = self.node(current);
            length += node.name.len() + 1;
            ancestors.push(current);
            current = node.parent;
        }
        if ancestors.is_empty() {
            return b"/".to_vec();
        }
        let mut path = Vec::with_capacity(length);
        for ancestor in ancestors.into_iter().rev() {
            push_segment(&mut path, &self.node(ancestor).name);
        }
        path
    }

    /// The node as an event shows it. `path` is the path of the node.
    pub(crate) fn view(&self, id: NodeId, path: Text, now: i64) -> NodeView {
        NodeView {
            path,
            value: self.value(id).cloned(),
            dir: self.is_dir(id),
            expiry: self.expiry(id).map(|at| Expiry::seen(at, now)),
            modified: self.modified(id),
            created: self.created(id),
        }
    }

    /// Removes a node from its parent's list.
    fn detach(&mut self, id: NodeId) {
        let (parent, slot) = (self.node(id).parent, self.node(id).slot);
        let Content::Dir(children) = &mut self.node_mut(parent).content else {
            return;
        };
        children.swap_remove(slot as usize);
        if let Some(&moved) = children.get(slot as usize) {
            self.node_mut(moved).slot = slot;
        }
    }

    fn unindex(&mut self, id: NodeId) {
        let node = self.node(id);
        let hash = self.hash(node.parent, &node.name);
        if let Ok(entry) = self.index.find_entry(hash, |&other| other == id) {
            entry.remove();
        }
    }

    fn hash(&self, parent: NodeId, name: &[u8]) -> u64 {
        hash(&self.hasher, parent, name)
    }

    // Ids come only from this tree, so they are in range.
    fn node(&self, id: NodeId) -> &Node {
        &self.nodes[id.0 as usize]
    }

    fn node_mut(&mut self, id: NodeId) -> &mut Node {
        &mut self.nodes[id.0 as usize]
    }
}

fn hash(hasher: &DefaultHashBuilder, parent: NodeId, name: &[u8]) -> u64 {
    let mut hasher = hasher.build_hasher();
    hasher.write_u32(parent.0);
    hasher.write(name);
    hasher.finish()
}

/// The segments of a clean, absolute path; none for `/`.
pub(crate) fn segments(path: &[u8]) -> impl Iterator<Item = &[u8]> {
    path.split(|&byte| byte == b'/')
        .filter(|segment| !segment.is_empty())
}

/// The directory and the name of a clean, absolute path.
pub(crate) fn split(path: &[u8]) -> (&[u8], &[u8]) {
    let slash = path.iter().rposition(|&byte| byte == b'/').unwrap_or(0);
    (&path[..slash], path.get(slash + 1..).unwrap_or_default())
}

pub(crate) fn join(dir: &[u8], name: &[u8]) -> Vec<u8> {
    let mut path = if dir == b"/" {
        Vec::new()
    } else {
        dir.to_vec()
    };
    push_segment(&mut path, name);
    path
}

pub(crate) fn push_segment(path: &mut Vec<u8>, name: &[u8]) {
    path.push(b'/');
    path.extend_from_slice(name);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file() -> Content {
        Content::File(Text::from(&b"v"[..]))
    }

    fn put(tree: &mut Tree, path: &str) -> NodeId {
        let (dir, name) = split(path.as_bytes());
        let dir = tree.make_dirs(dir, 1).unwrap();
        tree.insert(dir, name, file(), 1)
    }

    #[test]
    fn an_inserted_node_is_found_and_has_its_path() {
        let mut tree = Tree::new();
        let id = put(&mut tree, "/a/b/c");
        assert_eq!(tree.lookup(b"/a/b/c").unwrap(), id);
        assert_eq!(tree.path(id), b"/a/b/c");
        assert_eq!(tree.path(Tree::ROOT), b"/");
        assert_eq!(tree.len(), 3);
    }

    #[test]
    fn an_obstacle_is_named_by_the_path_up_to_it() {
        let mut tree = Tree::new();
        put(&mut tree, "/a/b");
        let Err(Obstacle::Missing(path)) = tree.lookup(b"/a/x/y") else {
            panic!("found")
        };
        assert_eq!(path, b"/a/x");
        let Err(Obstacle::File(path)) = tree.lookup(b"/a/b/c") else {
            panic!("found")
        };
        assert_eq!(path, b"/a/b");
    }

    #[test]
    fn removing_a_subtree_visits_every_path_and_leaves_nothing() {
        let mut tree = Tree::new();
        for path in ["/a/b/c", "/a/b/d", "/a/e", "/f"] {
            put(&mut tree, path);
        }
        let id = tree.lookup(b"/a").unwrap();
        let mut seen = Vec::new();
        tree.remove(
            id,
            Some(&mut |path: &[u8]| seen.push(String::from_utf8(path.to_vec()).unwrap())),
        );
        assert_eq!(seen.last().unwrap(), "/a");
        seen.sort();
        assert_eq!(seen, ["/a", "/a/b", "/a/b/c", "/a/b/d", "/a/e"]);
        assert_eq!(tree.len(), 1);
        assert!(tree.lookup(b"/a/b/c").is_err());
        assert!(tree.lookup(b"/f").is_ok());
        put(&mut tree, "/a/b/c");
        assert_eq!(tree.len(), 4);
    }

    #[test]
    fn ten_thousand_levels_do_not_overflow_the_stack() {
        let mut tree = Tree::new();
        let path = "/d".repeat(10_000);
        let id = put(&mut tree, &path);
        assert_eq!(tree.path(id), path.as_bytes());
        let top = tree.lookup(b"/d").unwrap();
        let mut count = 0;
        tree.remove(top, Some(&mut |_: &[u8]| count += 1));
        assert_eq!(count, 10_000);
        put(&mut tree, &path);
        drop(tree);
    }

    #[test]
    fn the_first_to_expire_comes_first_and_equal_times_in_the_order_they_were_set() {
        let mut tree = Tree::new();
        let [a, b, c] = ["/a", "/b", "/c"].map(|path| put(&mut tree, path));
        tree.set_expiry(a, Some(20));
        tree.set_expiry(b, Some(10));
        tree.set_expiry(c, Some(10));
        assert_eq!(tree.first_to_expire(), Some((10, b)));
        tree.set_expiry(b, None);
        assert_eq!(tree.first_to_expire(), Some((10, c)));
        tree.remove(c, None);
        assert_eq!(tree.first_to_expire(), Some((20, a)));
    }
}
