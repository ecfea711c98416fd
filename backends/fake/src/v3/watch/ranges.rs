//! The watches of ranges, by the keys in them.

use std::{cmp::Ordering, collections::BTreeSet};

use bytes::Bytes;

use super::index::WatchName;
use crate::rng::Rng;

/// Ranges and their watches. To find those of a key takes O(log n) for each range that is found.
///
/// A treap in the order of the ranges, in which every node knows the latest end from there down.
#[derive(Debug)]
pub(super) struct RangeIndex {
    root: Link,
    /// Priorities at random keep the tree balanced, whatever order the ranges come in.
    priorities: Rng,
}

type Link = Option<Box<Node>>;

#[derive(Debug)]
struct Node {
    range: Range,
    watches: BTreeSet<WatchName>,
    /// No node below has a greater one.
    priority: u64,
    last_end: End,
    left: Link,
    right: Link,
}

/// The keys from the first up to and without the end.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Range {
    pub(super) first: Bytes,
    pub(super) end: End,
}

/// The end of a range.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum End {
    Before(Bytes),
    /// Behind all keys.
    Open,
}

impl Default for RangeIndex {
    fn default() -> Self {
        Self {
            root: None,
            priorities: Rng::new(0),
        }
    }
}

impl RangeIndex {
    pub(super) fn add(&mut self, range: Range, name: WatchName) {
        if let Some(node) = find(&mut self.root, &range) {
            node.watches.insert(name);
        } else {
            let node = Box::new(Node {
                last_end: range.end.clone(),
                range,
                watches: BTreeSet::from([name]),
                priority: self.priorities.next(),
                left: None,
                right: None,
            });
            insert(&mut self.root, node);
        }
    }

    pub(super) fn remove(&mut self, range: &Range, name: WatchName) {
        if let Some(node) = find(&mut self.root, range) {
            node.watches.remove(&name);
            if node.watches.is_empty() {
                remove(&mut self.root, range);
            }
        }
    }

    /// Adds the watches of the ranges that have this key.
    pub(super) fn find(&self, key: &[u8], found: &mut BTreeSet<WatchName>) {
        let mut links = vec![&self.root];
        while let Some(link) = links.pop() {
            let Some(node) = link.as_ref().filter(|node| node.last_end.is_behind(key)) else {
                continue;
            };
            links.push(&node.left);
            if node.range.first <= key {
                links.push(&node.right);
                if node.range.end.is_behind(key) {
                    found.extend(&node.watches);
                }
            }
        }
    }
}

impl Node {
    /// Brings the latest end up to date with the children's.
    fn update(&mut self) {
        let children = [&self.left, &self.right].into_iter().flatten();
        let ends = children.map(|child| &child.last_end);
        self.last_end = ends.fold(&self.range.end, Ord::max).clone();
    }
}

impl End {
    pub(super) fn is_behind(&self, key: &[u8]) -> bool {
        match self {
            Self::Before(end) => key < end,
            Self::Open => true,
        }
    }
}

fn find<'a>(mut link: &'a mut Link, range: &Range) -> Option<&'a mut Node> {
    while let Some(node) = link {
        match range.cmp(&node.range) {
            Ordering::Less => link = &mut node.left,
            Ordering::Greater => link = &mut node.right,
            Ordering::Equal => return Some(node),
        }
    }
    None
}

/// Inserts a node whose range is new.
fn insert(link: &mut Link, mut new: Box<Node>) {
    match link {
        Some(node) if node.priority >= new.priority => {
            let is_left = new.range < node.range;
            let child = if is_left {
                &mut node.left
            } else {
                &mut node.right
            };
            insert(child, new);
            node.update();
        }
        _ => {
            (new.left, new.right) = split(link.take(), &new.range);
            new.update();
            *link = Some(new);
        }
    }
}

fn remove(link: &mut Link, range: &Range) {
    let Some(mut node) = link.take() else {
        return;
    };
    if node.range == *range {
        *link = join(node.left, node.right);
        return;
    }
    let is_left = *range < node.range;
    let child = if is_left {
        &mut node.left
    } else {
        &mut node.right
    };
    remove(child, range);
    node.update();
    *link = Some(node);
}

/// The nodes before a range, and those behind it.
fn split(link: Link, range: &Range) -> (Link, Link) {
    let Some(mut node) = link else {
        return (None, None);
    };
    if node.range < *range {
        let (before, behind) = split(node.right.take(), range);
        node.right = before;
        node.update();
        (Some(node), behind)
    } else {
        let (before, behind) = split(node.left.take(), range);
        node.left = behind;
        node.update();
        (before, Some(node))
    }
}

/// One tree of two. All ranges of the first are before those of the second.
fn join(before: Link, behind: Link) -> Link {
    match (before, behind) {
        (Some(mut before), Some(mut behind)) => Some(if before.priority >= behind.priority {
            before.right = join(before.right.take(), Some(behind));
            before.update();
            before
        } else {
            behind.left = join(Some(before), behind.left.take());
            behind.update();
            behind
        }),
        (before, behind) => before.or(behind),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cluster::exchanges::ExchangeId;

    /// A range of one-letter keys.
    fn range(rng: &mut Rng) -> Range {
        let mut letter = || Bytes::from(vec![b'a' + u8::try_from(rng.below(16)).unwrap()]);
        let (first, end) = (letter(), letter());
        let end = match end > first {
            true => End::Before(end),
            false => End::Open,
        };
        Range { first, end }
    }

    #[test]
    fn a_key_has_the_watches_of_all_ranges_that_hold_it_and_no_others() {
        let mut rng = Rng::new(1);
        let mut index = RangeIndex::default();
        let mut all: Vec<(Range, WatchName)> = Vec::new();
        for step in 0..3000 {
            if all.len() > 40 || (rng.below(3) == 0 && !all.is_empty()) {
                let (range, name) = all.swap_remove(rng.below(all.len()));
                index.remove(&range, name);
            } else {
                let (range, name) = (range(&mut rng), (ExchangeId(1), step));
                index.add(range.clone(), name);
                all.push((range, name));
            }
            let key = [b'a' + u8::try_from(rng.below(17)).unwrap()];
            let mut found = BTreeSet::new();
            index.find(&key, &mut found);
            let holding = all
                .iter()
                .filter(|(range, _)| range.first[..] <= key[..] && range.end.is_behind(&key));
            assert_eq!(found, holding.map(|(_, name)| *name).collect());
        }
    }

    #[test]
    fn ranges_that_come_in_order_make_no_list() {
        let mut index = RangeIndex::default();
        for number in 0..10_000 {
            let first = Bytes::from(format!("{number:05}"));
            let end = End::Before(Bytes::from(format!("{number:05}~")));
            index.add(Range { first, end }, (ExchangeId(1), number));
        }
        fn height(link: &Link) -> usize {
            let below = |node: &Node| 1 + height(&node.left).max(height(&node.right));
            link.as_deref().map_or(0, below)
        }
        assert!(height(&index.root) < 60, "{}", height(&index.root));
        let mut found = BTreeSet::new();
        index.find(b"00777/x", &mut found);
        assert_eq!(found, BTreeSet::from([(ExchangeId(1), 777)]));
    }
}
