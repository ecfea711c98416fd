//! A sorted map whose copies share their nodes: a clone costs nothing, a change copies the path to the entry that it changes.

use std::{borrow::Borrow, ops::Bound, sync::Arc};

/// A node is split when it has more entries than this.
const CAPACITY: usize = 32;

/// A sorted map: a B-tree with all entries in its leaves.
///
/// A node that loses entries is removed when it is empty, and not before: the height follows the largest size that the map
/// has had.
#[derive(Clone, Debug)]
pub(crate) struct Tree<K, V> {
    /// None before the first entry, so that an empty map allocates nothing.
    root: Option<Arc<Node<K, V>>>,
}

#[derive(Clone, Debug)]
enum Node<K, V> {
    Leaf(Vec<(K, V)>),
    Branch(Vec<Child<K, V>>),
}

#[derive(Clone, Debug)]
struct Child<K, V> {
    /// The first key of the child.
    lowest: K,
    /// How many entries the child has.
    len: usize,
    node: Arc<Node<K, V>>,
}

impl<K, V> Default for Tree<K, V> {
    fn default() -> Self {
        Self { root: None }
    }
}

impl<K: Ord + Clone, V: Clone> Tree<K, V> {
    pub(crate) fn len(&self) -> usize {
        self.root.as_ref().map_or(0, |root| root.len())
    }

    pub(crate) fn get<Q: Ord + ?Sized>(&self, key: &Q) -> Option<&V>
    where
        K: Borrow<Q>,
    {
        let mut node = self.root.as_deref()?;
        loop {
            match node {
                Node::Leaf(entries) => {
                    let at = entries.binary_search_by(|(other, _)| other.borrow().cmp(key));
                    return at.ok().map(|at| &entries[at].1);
                }
                Node::Branch(children) => node = &children.get(child_of(children, key))?.node,
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
                    let after = entries.partition_point(|(other, _)| other.borrow() <= key);
                    let (key, value) = entries.get(after.checked_sub(1)?)?;
                    return Some((key, value));
                }
                Node::Branch(children) => node = &children.get(child_of(children, key))?.node,
            }
        }
    }

    pub(crate) fn get_mut<Q: Ord + ?Sized>(&mut self, key: &Q) -> Option<&mut V>
    where
        K: Borrow<Q>,
    {
        let mut node = Arc::make_mut(self.root.as_mut()?);
        loop {
            match node {
                Node::Leaf(entries) => {
                    let at = entries.binary_search_by(|(other, _)| other.borrow().cmp(key));
                    return Some(&mut entries.get_mut(at.ok()?)?.1);
                }
                Node::Branch(children) => {
                    let at = child_of(children, key);
                    node = Arc::make_mut(&mut children.get_mut(at)?.node);
                }
            }
        }
    }

    /// Sets a value; returns the former one.
    pub(crate) fn insert(&mut self, key: K, value: V) -> Option<V> {
        let root = self
            .root
            .get_or_insert_with(|| Arc::new(Node::Leaf(Vec::new())));
        let (old, sibling) = insert(Arc::make_mut(root), key, value);
        if let Some(sibling) = sibling {
            let first = std::mem::replace(root, Arc::new(Node::Branch(Vec::new())));
            let children = [first, Arc::new(sibling)].map(Child::new);
            *root = Arc::new(Node::Branch(children.into_iter().flatten().collect()));
        }
        old
    }

    pub(crate) fn remove<Q: Ord + ?Sized>(&mut self, key: &Q) -> Option<V>
    where
        K: Borrow<Q>,
    {
        // A key that is missing must not copy anything.
        self.get(key)?;
        let root = self.root.as_mut()?;
        let old = remove(Arc::make_mut(root), key);
        while let Node::Branch(children) = &**root {
            match children.as_slice() {
                [] => *root = Arc::new(Node::Leaf(Vec::new())),
                [only] => *root = Arc::clone(&only.node),
                _ => break,
            }
        }
        old
    }

    /// The entries from a key on, in order.
    pub(crate) fn from<Q: Ord + ?Sized>(&self, start: Bound<&Q>) -> Entries<'_, K, V>
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
                            leaf.partition_point(|(other, _)| other.borrow() < key)
                        }
                        Bound::Excluded(key) => {
                            leaf.partition_point(|(other, _)| other.borrow() <= key)
                        }
                    };
                    entries.path.push((node, at));
                    return entries;
                }
                Node::Branch(children) => {
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
                    return rank + leaf.partition_point(|(other, _)| other.borrow() < key);
                }
                Node::Branch(children) => {
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

    pub(crate) fn iter(&self) -> Entries<'_, K, V> {
        self.from(Bound::Unbounded::<&K>)
    }
}

/// Entries in order.
pub(crate) struct Entries<'a, K, V> {
    /// The nodes on the way to the next entry, each with the position that is next in it.
    path: Vec<(&'a Node<K, V>, usize)>,
}

impl<'a, K, V> Iterator for Entries<'a, K, V> {
    type Item = (&'a K, &'a V);

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let (node, at) = self.path.last_mut()?;
            let position = *at;
            *at += 1;
            match node {
                Node::Leaf(leaf) => match leaf.get(position) {
                    Some((key, value)) => return Some((key, value)),
                    None => drop(self.path.pop()),
                },
                Node::Branch(children) => match children.get(position) {
                    Some(child) => self.path.push((&child.node, 0)),
                    None => drop(self.path.pop()),
                },
            }
        }
    }
}

impl<K, V> Node<K, V> {
    fn len(&self) -> usize {
        match self {
            Self::Leaf(entries) => entries.len(),
            Self::Branch(children) => children.iter().map(|child| child.len).sum(),
        }
    }

    fn lowest(&self) -> Option<&K> {
        match self {
            Self::Leaf(entries) => entries.first().map(|(key, _)| key),
            Self::Branch(children) => children.first().map(|child| &child.lowest),
        }
    }
}

impl<K: Clone, V> Child<K, V> {
    fn new(node: Arc<Node<K, V>>) -> Option<Self> {
        let (lowest, len) = (node.lowest()?.clone(), node.len());
        Some(Self { lowest, len, node })
    }
}

/// Which child a key belongs to: the last one that begins at or before it, or the first.
fn child_of<K: Borrow<Q>, V, Q: Ord + ?Sized>(children: &[Child<K, V>], key: &Q) -> usize {
    let after = children.partition_point(|child| child.lowest.borrow() <= key);
    after.saturating_sub(1)
}

/// Returns the former value, and the upper part of the node if it had to be split.
fn insert<K: Ord + Clone, V: Clone>(
    node: &mut Node<K, V>,
    key: K,
    value: V,
) -> (Option<V>, Option<Node<K, V>>) {
    match node {
        Node::Leaf(entries) => match entries.binary_search_by(|(other, _)| other.cmp(&key)) {
            Ok(at) => (Some(std::mem::replace(&mut entries[at].1, value)), None),
            Err(at) => (None, add(entries, at, (key, value)).map(Node::Leaf)),
        },
        Node::Branch(children) => {
            let at = child_of(children, &key);
            let Some(child) = children.get_mut(at) else {
                return (None, None);
            };
            if key < child.lowest {
                child.lowest = key.clone();
            }
            let (old, sibling) = insert(Arc::make_mut(&mut child.node), key, value);
            child.len += usize::from(old.is_none());
            let Some(sibling) = sibling.and_then(|node| Child::new(Arc::new(node))) else {
                return (old, None);
            };
            child.len -= sibling.len;
            let upper = add(children, at + 1, sibling);
            (old, upper.map(Node::Branch))
        }
    }
}

/// Adds to the entries of a node. Returns its upper part if it had to be split.
fn add<T>(entries: &mut Vec<T>, at: usize, entry: T) -> Option<Vec<T>> {
    if entries.len() < CAPACITY {
        entries.insert(at, entry);
        return None;
    }
    // What comes in order fills its nodes.
    if at == entries.len() {
        return Some(vec![entry]);
    }
    let mut upper = entries.split_off(CAPACITY / 2);
    match at.checked_sub(entries.len()) {
        Some(at) => upper.insert(at, entry),
        None => entries.insert(at, entry),
    }
    Some(upper)
}

fn remove<K: Ord + Clone + Borrow<Q>, V: Clone, Q: Ord + ?Sized>(
    node: &mut Node<K, V>,
    key: &Q,
) -> Option<V> {
    match node {
        Node::Leaf(entries) => {
            let at = entries.binary_search_by(|(other, _)| other.borrow().cmp(key));
            at.ok().map(|at| entries.remove(at).1)
        }
        Node::Branch(children) => {
            let at = child_of(children, key);
            let child = children.get_mut(at)?;
            let old = remove(Arc::make_mut(&mut child.node), key)?;
            child.len -= 1;
            match child.node.lowest() {
                Some(lowest) if *lowest == child.lowest => {}
                Some(lowest) => child.lowest = lowest.clone(),
                None => drop(children.remove(at)),
            }
            Some(old)
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::rng::Rng;

    #[test]
    fn it_is_the_map_of_the_standard_library() {
        let mut rng = Rng::new(7);
        let mut tree = Tree::default();
        let mut map = BTreeMap::new();
        for round in 0..20_000_u64 {
            let key = rng.next() % 1500;
            // It grows, shrinks to nothing, and grows again.
            let removes = if (round / 5000) % 2 == 0 { 3 } else { 9 };
            if rng.next() % 10 < removes {
                assert_eq!(tree.remove(&key), map.remove(&key));
            } else {
                assert_eq!(tree.insert(key, round), map.insert(key, round));
            }
            if round % 97 == 0 {
                assert!(tree.iter().eq(map.iter()));
                assert_eq!(tree.len(), map.len());
                let from = rng.next() % 1500;
                assert!(tree.from(Bound::Included(&from)).eq(map.range(from..)));
                let after = (Bound::Excluded(from), Bound::Unbounded);
                assert!(tree.from(Bound::Excluded(&from)).eq(map.range(after)));
                assert_eq!(tree.rank(&from), map.range(..from).count());
                assert_eq!(tree.get(&from), map.get(&from));
                assert_eq!(tree.get_mut(&from), map.get_mut(&from));
                assert_eq!(tree.last_up_to(&from), map.range(..=from).next_back());
            }
        }
    }

    #[test]
    fn entries_that_come_in_order_fill_their_nodes() {
        let mut tree = Tree::default();
        for key in 0..CAPACITY * CAPACITY {
            tree.insert(key, key);
        }
        let Some(Node::Branch(leaves)) = tree.root.as_deref() else {
            panic!("two levels suffice");
        };
        assert!(leaves.iter().all(|leaf| leaf.len == CAPACITY));
    }

    #[test]
    fn a_clone_does_not_change_with_its_original() {
        let mut tree = Tree::default();
        for key in 0..1000 {
            tree.insert(key, key);
        }
        let copy = tree.clone();
        for key in 0..1000 {
            tree.remove(&key);
        }
        assert_eq!((tree.len(), copy.len()), (0, 1000));
        assert!(copy.iter().map(|(&key, _)| key).eq(0..1000));
    }
}
