//! What a node knows about its keys, so that a search in a large tree reads few of them.

use std::{fmt::Debug, ops::Range};

use bytes::Bytes;

use super::CAPACITY;

/// How a node finds a key.
pub(crate) trait FindKey<K: ?Sized>: Clone + Debug + Default {
    /// The positions where a key may be, of the first `count`, if it is in the node or below it: keys before them are lower,
    /// keys behind them are greater.
    fn candidates(&self, count: usize, key: &K) -> Range<usize>;
}

/// What a node has besides its keys to find them, and how it changes with them. `count` is how many keys there were before.
pub(crate) trait NodeIndex<K>: FindKey<K> {
    /// Indexes the keys of a node. `highest` is the last key in the node or below it.
    fn of<'a>(keys: impl Iterator<Item = &'a K> + Clone, highest: &'a K) -> Self
    where
        K: 'a;

    /// Prepares for a key that is about to be inserted into the node or below it.
    fn admit<'a>(&mut self, keys: impl Iterator<Item = &'a K> + Clone, key: &K)
    where
        K: 'a;

    fn insert(&mut self, at: usize, count: usize, key: &K);

    fn replace(&mut self, at: usize, key: &K);

    fn remove(&mut self, at: usize, count: usize);
}

/// No index: keys that are small are compared at once.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Unindexed;

impl<K: ?Sized> FindKey<K> for Unindexed {
    fn candidates(&self, count: usize, _: &K) -> Range<usize> {
        0..count
    }
}

impl<K> NodeIndex<K> for Unindexed {
    fn of<'a>(_: impl Iterator<Item = &'a K> + Clone, _: &'a K) -> Self
    where
        K: 'a,
    {
        Self
    }

    fn admit<'a>(&mut self, _: impl Iterator<Item = &'a K> + Clone, _: &K)
    where
        K: 'a,
    {
    }

    fn insert(&mut self, _: usize, _: usize, _: &K) {}

    fn replace(&mut self, _: usize, _: &K) {}

    fn remove(&mut self, _: usize, _: usize) {}
}

/// The sixteen bytes of each key that follow what all keys of the node have in common, as a number.
///
/// They are in one place, where the keys themselves are all over the memory: reading a key costs more than comparing it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Heads {
    /// How many bytes all keys in the node and below it have in common, at least.
    skip: usize,
    heads: [u128; CAPACITY],
}

impl Heads {
    fn fill<'a>(&mut self, skip: usize, keys: impl Iterator<Item = &'a Bytes>) {
        self.skip = skip;
        for (head, key) in self.heads.iter_mut().zip(keys) {
            *head = head_of(key, skip);
        }
    }
}

impl FindKey<[u8]> for Heads {
    fn candidates(&self, count: usize, key: &[u8]) -> Range<usize> {
        let head = head_of(key, self.skip);
        let heads = self.heads.get(..count).unwrap_or_default();
        let start = heads.partition_point(|&other| other < head);
        let same = heads.iter().skip(start).take_while(|&&other| other == head);
        start..start + same.count()
    }
}

impl FindKey<Bytes> for Heads {
    fn candidates(&self, count: usize, key: &Bytes) -> Range<usize> {
        self.candidates(count, &key[..])
    }
}

impl NodeIndex<Bytes> for Heads {
    fn of<'a>(keys: impl Iterator<Item = &'a Bytes> + Clone, highest: &'a Bytes) -> Self {
        let mut heads = Self::default();
        let skip = keys
            .clone()
            .next()
            .map_or(0, |lowest| common(lowest, highest));
        heads.fill(skip, keys);
        heads
    }

    fn admit<'a>(&mut self, keys: impl Iterator<Item = &'a Bytes> + Clone, key: &Bytes) {
        let lowest = keys.clone().next();
        let skip = lowest.map_or(key.len(), |lowest| common(lowest, key));
        if skip < self.skip || lowest.is_none() {
            self.fill(skip, keys);
        }
    }

    fn insert(&mut self, at: usize, count: usize, key: &Bytes) {
        self.heads.copy_within(at..count, at + 1);
        self.replace(at, key);
    }

    fn replace(&mut self, at: usize, key: &Bytes) {
        self.heads[at] = head_of(key, self.skip);
    }

    fn remove(&mut self, at: usize, count: usize) {
        self.heads.copy_within(at + 1..count, at);
    }
}

/// How many bytes two keys have in common.
fn common(one: &[u8], other: &[u8]) -> usize {
    one.iter().zip(other).take_while(|(a, b)| a == b).count()
}

/// What is beyond the end of a key counts as zeros.
fn head_of(key: &[u8], skip: usize) -> u128 {
    let rest = key.get(skip..).unwrap_or_default();
    if let Some(head) = rest.first_chunk() {
        return u128::from_be_bytes(*head);
    }
    let zeros = u128::BITS - 8 * rest.len() as u32;
    if let Some(end) = key.last_chunk() {
        return u128::from_be_bytes(*end).checked_shl(zeros).unwrap_or(0);
    }
    let mut head = [0; 16];
    for (to, from) in head.iter_mut().zip(rest) {
        *to = *from;
    }
    u128::from_be_bytes(head)
}
