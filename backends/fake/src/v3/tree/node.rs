use std::{borrow::Borrow, sync::Arc};

use super::{
    CAPACITY,
    heads::{FindKey, NodeIndex},
};

#[derive(Clone, Debug)]
pub(super) enum Node<K, V, I> {
    Leaf(Slots<(K, V), I>),
    Branch(Slots<Child<K, V, I>, I>),
}

/// What a node has, in the order of the keys.
#[derive(Clone, Debug)]
pub(super) struct Slots<T, I> {
    index: I,
    pub(super) list: Vec<T>,
}

#[derive(Clone, Debug)]
pub(super) struct Child<K, V, I> {
    /// The first key of the child.
    lowest: K,
    /// How many entries the child has.
    pub(super) len: usize,
    pub(super) node: Arc<Node<K, V, I>>,
}

impl<K, V, I> Node<K, V, I> {
    pub(super) fn len(&self) -> usize {
        match self {
            Self::Leaf(entries) => entries.list.len(),
            Self::Branch(children) => children.list.iter().map(|child| child.len).sum(),
        }
    }

    fn lowest(&self) -> Option<&K> {
        match self {
            Self::Leaf(entries) => entries.list.first().map(|(key, _)| key),
            Self::Branch(children) => children.list.first().map(|child| &child.lowest),
        }
    }

    fn highest(&self) -> Option<&K> {
        match self {
            Self::Leaf(entries) => entries.list.last().map(|(key, _)| key),
            Self::Branch(children) => children.list.last()?.node.highest(),
        }
    }
}

impl<K: Clone, V, I> Child<K, V, I> {
    pub(super) fn new(node: Arc<Node<K, V, I>>) -> Option<Self> {
        let (lowest, len) = (node.lowest()?.clone(), node.len());
        Some(Self { lowest, len, node })
    }
}

/// An entry or a child.
pub(super) trait Slot<K> {
    fn lowest(&self) -> &K;
    fn highest(&self) -> &K;
}

impl<K, V> Slot<K> for (K, V) {
    fn lowest(&self) -> &K {
        &self.0
    }

    fn highest(&self) -> &K {
        &self.0
    }
}

impl<K, V, I> Slot<K> for Child<K, V, I> {
    fn lowest(&self) -> &K {
        &self.lowest
    }

    fn highest(&self) -> &K {
        self.node.highest().unwrap_or(&self.lowest)
    }
}

impl<T, I: Default> Default for Slots<T, I> {
    fn default() -> Self {
        let (index, list) = (I::default(), Vec::new());
        Self { index, list }
    }
}

impl<T, I> Slots<T, I> {
    /// Where a key is, if it is in this leaf.
    pub(super) fn find<K, Q: Ord + ?Sized>(&self, key: &Q) -> Option<usize>
    where
        K: Borrow<Q>,
        T: Slot<K>,
        I: FindKey<Q>,
    {
        let places = self.index.candidates(self.list.len(), key);
        let start = places.start;
        let found = self.list.get(places)?;
        let found = found.binary_search_by(|other| other.lowest().borrow().cmp(key));
        Some(start + found.ok()?)
    }

    /// The child that has a key, if any has.
    pub(super) fn way_to<K, Q: Ord + ?Sized>(&self, key: &Q) -> usize
    where
        K: Borrow<Q>,
        T: Slot<K>,
        I: FindKey<Q>,
    {
        let places = self.index.candidates(self.list.len(), key);
        let start = places.start;
        let same = self.list.get(places).unwrap_or_default();
        (start + count_up_to(same, key)).saturating_sub(1)
    }
}

impl<T, I> Slots<T, I> {
    pub(super) fn of<K>(list: Vec<T>) -> Self
    where
        T: Slot<K>,
        I: NodeIndex<K>,
    {
        let highest = list.last().map(T::highest);
        let keys = list.iter().map(T::lowest);
        let index = highest.map_or_else(I::default, |highest| I::of(keys, highest));
        Self { index, list }
    }

    /// Adds a slot. Returns the upper part of the node if it had to be split.
    fn add<K>(&mut self, at: usize, slot: T) -> Option<Self>
    where
        T: Slot<K>,
        I: NodeIndex<K>,
    {
        let count = self.list.len();
        if count < CAPACITY {
            self.index.insert(at, count, slot.lowest());
            self.list.insert(at, slot);
            return None;
        }
        // What comes in order fills its nodes.
        if at == count {
            let mut list = Vec::with_capacity(CAPACITY);
            list.push(slot);
            return Some(Self::of(list));
        }
        let mut upper = self.list.split_off(CAPACITY / 2);
        match at.checked_sub(self.list.len()) {
            Some(at) => upper.insert(at, slot),
            None => self.list.insert(at, slot),
        }
        *self = Self::of(std::mem::take(&mut self.list));
        Some(Self::of(upper))
    }

    fn remove<K>(&mut self, at: usize) -> T
    where
        I: NodeIndex<K>,
    {
        self.index.remove(at, self.list.len());
        self.list.remove(at)
    }
}

/// Which child a key belongs to: the last one that begins at or before it, or the first.
pub(super) fn child_of<K: Borrow<Q>, T: Slot<K>, Q: Ord + ?Sized>(
    children: &[T],
    key: &Q,
) -> usize {
    count_up_to(children, key).saturating_sub(1)
}

/// How many slots begin at or before a key.
fn count_up_to<K: Borrow<Q>, T: Slot<K>, Q: Ord + ?Sized>(slots: &[T], key: &Q) -> usize {
    slots.partition_point(|slot| slot.lowest().borrow() <= key)
}

/// Returns the former value, and the upper part of the node if it had to be split.
pub(super) fn insert<K: Ord + Clone, V: Clone, I: NodeIndex<K>>(
    node: &mut Node<K, V, I>,
    key: K,
    value: V,
) -> (Option<V>, Option<Node<K, V, I>>) {
    match node {
        Node::Leaf(entries) => {
            let list = &mut entries.list;
            match list.binary_search_by(|(other, _)| other.cmp(&key)) {
                Ok(at) => (Some(std::mem::replace(&mut list[at].1, value)), None),
                Err(at) => {
                    entries.index.admit(list.iter().map(Slot::lowest), &key);
                    (None, entries.add(at, (key, value)).map(Node::Leaf))
                }
            }
        }
        Node::Branch(children) => {
            let at = child_of(&children.list, &key);
            let lowests = children.list.iter().map(Slot::lowest);
            children.index.admit(lowests, &key);
            let Some(child) = children.list.get_mut(at) else {
                return (None, None);
            };
            if key < child.lowest {
                child.lowest = key.clone();
                children.index.replace(at, &key);
            }
            let (old, sibling) = insert(Arc::make_mut(&mut child.node), key, value);
            child.len += usize::from(old.is_none());
            let Some(sibling) = sibling.and_then(|node| Child::new(Arc::new(node))) else {
                return (old, None);
            };
            child.len -= sibling.len;
            let upper = children.add(at + 1, sibling);
            (old, upper.map(Node::Branch))
        }
    }
}

pub(super) fn remove<K, V, I, Q>(node: &mut Node<K, V, I>, key: &Q) -> Option<V>
where
    K: Ord + Clone + Borrow<Q>,
    V: Clone,
    I: NodeIndex<K> + FindKey<Q>,
    Q: Ord + ?Sized,
{
    match node {
        Node::Leaf(entries) => {
            let at = entries.find(key)?;
            Some(entries.remove(at).1)
        }
        Node::Branch(children) => {
            let at = children.way_to(key);
            let child = children.list.get_mut(at)?;
            let old = remove(Arc::make_mut(&mut child.node), key)?;
            child.len -= 1;
            match child.node.lowest() {
                Some(lowest) if *lowest == child.lowest => {}
                Some(lowest) => {
                    child.lowest = lowest.clone();
                    children.index.replace(at, &child.lowest);
                }
                None => drop(children.remove(at)),
            }
            Some(old)
        }
    }
}
