//! A sorted map whose copies share their nodes: a clone costs nothing, a change copies the path to the entry that it changes.

mod heads;
mod node;
#[cfg(test)]
mod tests;

use std::{borrow::Borrow, ops::Bound, sync::Arc};

pub(crate) use self::heads::{Heads, Unindexed};
use self::{
    heads::{FindKey, NodeIndex},
    node::{Child, Node, Slots, child_of},
};

/// A node is split when it has more entries than this.
const CAPACITY: usize = 32;

/// A sorted map: a B-tree with all entries in its leaves.
///
/// A node that loses entries is removed when it is empty, and not before: the height follows the largest size that the map
/// has had. `I` is how a node finds one of its keys.
#[derive(Clone, Debug)]
pub(crate) struct Tree<K, V, I = Unindexed> {
    /// None before the first entry, so that an empty map allocates nothing.
    root: Option<Arc<Node<K, V, I>>>,
}

impl<K, V, I> Default for Tree<K, V, I> {
    fn default() -> Self {
        Self { root: None }
    }
}

impl<K: Ord + Clone, V: Clone, I: NodeIndex<K>> Tree<K, V, I> {
    pub(crate) fn len(&self) -> usize {
        self.root.as_ref().map_or(0, |root| root.len())
    }

    pub(crate) fn get<Q: Ord + ?Sized>(&self, key: &Q) -> Option<&V>
    where
        K: Borrow<Q>,
        I: FindKey<Q>,
    {
        let mut node = self.root.as_deref()?;
        loop {
            match node {
                Node::Leaf(entries) => return Some(&entries.list.get(entries.find(key)?)?.1),
                Node::Branch(children) => node = &children.list.get(children.way_to(key))?.node,
            }
        }
    }

    /// The last entry up to and with a key.
    pub(crate) fn last_up_to<Q: Ord + ?Sized>(&self, key: &Q) -> Option<(&K, &V)>
    where
        K: Borrow<Q>,
    {
        let mut node = self.root.as_deref()?;
        loop {
            match node {
                Node::Leaf(entries) => {
                    let entries = &entries.list;
                    let after = entries.partition_point(|(other, _)| other.borrow() <= key);
                    let (key, value) = entries.get(after.checked_sub(1)?)?;
                    return Some((key, value));
                }
                Node::Branch(children) => {
                    node = &children.list.get(child_of(&children.list, key))?.node;
                }
            }
        }
    }

    pub(crate) fn get_mut<Q: Ord + ?Sized>(&mut self, key: &Q) -> Option<&mut V>
    where
        K: Borrow<Q>,
        I: FindKey<Q>,
    {
        let mut node = Arc::make_mut(self.root.as_mut()?);
        loop {
            match node {
                Node::Leaf(entries) => {
                    let at = entries.find(key)?;
                    return Some(&mut entries.list.get_mut(at)?.1);
                }
                Node::Branch(children) => {
                    let at = children.way_to(key);
                    node = Arc::make_mut(&mut children.list.get_mut(at)?.node);
                }
            }
        }
    }

    /// Sets a value; returns the former one.
    pub(crate) fn insert(&mut self, key: K, value: V) -> Option<V> {
        let root = self
            .root
            .get_or_insert_with(|| Arc::new(Node::Leaf(Slots::default())));
        let (old, sibling) = node::insert(Arc::make_mut(root), key, value);
        if let Some(sibling) = sibling {
            let first = std::mem::replace(root, Arc::new(Node::Branch(Slots::default())));
            let children = [first, Arc::new(sibling)].map(Child::new);
            *root = Arc::new(Node::Branch(Slots::of(
                children.into_iter().flatten().collect(),
            )));
        }
        old
    }

    pub(crate) fn remove<Q: Ord + ?Sized>(&mut self, key: &Q) -> Option<V>
    where
        K: Borrow<Q>,
        I: FindKey<Q>,
    {
        // A key that is missing must not copy anything.
        self.get(key)?;
        let root = self.root.as_mut()?;
        let old = node::remove(Arc::make_mut(root), key);
        while let Node::Branch(children) = &**root {
            match children.list.as_slice() {
                [] => *root = Arc::new(Node::Leaf(Slots::default())),
                [only] => *root = Arc::clone(&only.node),
                _ => break,
            }
        }
        old
    }

    /// The entries from a key on, in order.
    pub(crate) fn from<Q: Ord + ?Sized>(&self, start: Bound<&Q>) -> Entries<'_, K, V, I>
    where
        K: Borrow<Q>,
    {
        let mut entries = Entries { path: Vec::new() };
        let Some(mut node) = self.root.as_deref() else {
            return entries;
        };
        loop {
            match node {
                Node::Leaf(leaf) => {
                    let at = match start {
                        Bound::Unbounded => 0,
                        Bound::Included(key) => {
                            let before = |(other, _): &(K, V)| other.borrow() < key;
                            leaf.list.partition_point(before)
                        }
                        Bound::Excluded(key) => {
                            let before = |(other, _): &(K, V)| other.borrow() <= key;
                            leaf.list.partition_point(before)
                        }
                    };
                    entries.path.push((node, at));
                    return entries;
                }
                Node::Branch(children) => {
                    let children = &children.list;
                    let at = match start {
                        Bound::Unbounded => 0,
                        Bound::Included(key) | Bound::Excluded(key) => child_of(children, key),
                    };
                    entries.path.push((node, at + 1));
                    match children.get(at) {
                        Some(child) => node = &child.node,
                        None => return entries,
                    }
                }
            }
        }
    }

    /// How many keys are lower than this one.
    pub(crate) fn rank<Q: Ord + ?Sized>(&self, key: &Q) -> usize
    where
        K: Borrow<Q>,
    {
        let mut rank = 0;
        let Some(mut node) = self.root.as_deref() else {
            return rank;
        };
        loop {
            match node {
                Node::Leaf(leaf) => {
                    let before = |(other, _): &(K, V)| other.borrow() < key;
                    return rank + leaf.list.partition_point(before);
                }
                Node::Branch(children) => {
                    let children = &children.list;
                    let at = child_of(children, key);
                    rank += children
                        .iter()
                        .take(at)
                        .map(|child| child.len)
                        .sum::<usize>();
                    match children.get(at) {
                        Some(child) => node = &child.node,
                        None => return rank,
                    }
                }
            }
        }
    }

    pub(crate) fn iter(&self) -> Entries<'_, K, V, I> {
        self.from(Bound::Unbounded::<&K>)
    }
}

/// Entries in order.
pub(crate) struct Entries<'a, K, V, I> {
    /// The nodes on the way to the next entry, each with the position that is next in it.
    path: Vec<(&'a Node<K, V, I>, usize)>,
}

impl<'a, K, V, I> Iterator for Entries<'a, K, V, I> {
    type Item = (&'a K, &'a V);

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let (node, at) = self.path.last_mut()?;
            let position = *at;
            *at += 1;
            match node {
                Node::Leaf(leaf) => match leaf.list.get(position) {
                    Some((key, value)) => return Some((key, value)),
                    None => drop(self.path.pop()),
                },
                Node::Branch(children) => match children.list.get(position) {
                    Some(child) => self.path.push((&child.node, 0)),
                    None => drop(self.path.pop()),
                },
            }
        }
    }
}
