//! A tree of intervals, as etcd keeps the permissions of a user in one.
//!
//! With intervals that end before they begin, which 3.4 grants and both releases are asked for, the results of etcd's tree
//! depend on its shape. So this one has the same: a red-black tree as in *Introduction to Algorithms*, chapters 13 and 14.

use std::cmp::Ordering;

use bytes::Bytes;

/// The keys from `begin` up to and without `end`.
#[derive(Clone, Debug)]
pub(super) struct Interval {
    begin: Limit,
    end: Limit,
}

/// The begin or the end of an interval. An empty one is after all keys.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Limit(Bytes);

/// Intervals, which may overlap.
#[derive(Debug, Default)]
pub(super) struct IntervalTree {
    root: Link,
}

type Link = Option<Box<Node>>;

#[derive(Debug)]
struct Node {
    interval: Interval,
    /// The latest end of all intervals from here down.
    last_end: Limit,
    is_red: bool,
    left: Link,
    right: Link,
}

impl Interval {
    /// The interval of a request or a permission: no end stands for one key, and a zero byte for all keys from `key` on.
    pub(super) fn new(key: &Bytes, range_end: &Bytes) -> Self {
        let end = match range_end[..] {
            [] => Bytes::from([key, &b"\0"[..]].concat()),
            [0] => Bytes::new(),
            _ => range_end.clone(),
        };
        Self {
            begin: Limit(key.clone()),
            end: Limit(end),
        }
    }

    /// Which of the two is first; equal if they have a key in common.
    fn order(&self, other: &Self) -> Ordering {
        if self.begin < other.begin && self.end <= other.begin {
            Ordering::Less
        } else if self.begin >= other.end {
            Ordering::Greater
        } else {
            Ordering::Equal
        }
    }
}

impl Ord for Limit {
    fn cmp(&self, other: &Self) -> Ordering {
        let by_end = self.0.is_empty().cmp(&other.0.is_empty());
        by_end.then_with(|| self.0.cmp(&other.0))
    }
}

impl PartialOrd for Limit {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl IntervalTree {
    pub(super) fn insert(&mut self, interval: Interval) {
        let mut root = inserted(self.root.take(), interval);
        root.is_red = false;
        self.root = Some(root);
    }

    /// Whether the search for an interval that has a key in common with this one finds one.
    pub(super) fn intersects(&self, wanted: &Interval) -> bool {
        let mut link = &self.root;
        while let Some(node) = link {
            if wanted.order(&node.interval).is_eq() {
                return true;
            }
            let left = node.left.as_ref();
            let is_left = left.is_some_and(|left| left.last_end > wanted.begin);
            link = if is_left { &node.left } else { &node.right };
        }
        false
    }

    /// Whether the intervals cover this one together.
    pub(super) fn contains(&self, wanted: &Interval) -> bool {
        let mut found = Vec::new();
        visit(&self.root, wanted, &mut found);
        let mut found = found.into_iter();
        let Some(first) = found.next() else {
            return false;
        };
        let mut reached = &first.end;
        for interval in found {
            if *reached < interval.begin {
                return false;
            }
            reached = reached.max(&interval.end);
        }
        *reached >= wanted.end && first.begin <= wanted.begin
    }
}

/// Collects the intervals that have a key in common with this one.
fn visit<'a>(link: &'a Link, wanted: &Interval, found: &mut Vec<&'a Interval>) {
    let Some(node) = link else {
        return;
    };
    match wanted.order(&node.interval) {
        Ordering::Less => visit(&node.left, wanted, found),
        Ordering::Greater => {
            let below = Interval {
                begin: node.interval.begin.clone(),
                end: node.last_end.clone(),
            };
            if below.order(wanted).is_eq() {
                visit(&node.left, wanted, found);
                visit(&node.right, wanted, found);
            }
        }
        Ordering::Equal => {
            visit(&node.left, wanted, found);
            found.push(&node.interval);
            visit(&node.right, wanted, found);
        }
    }
}

fn inserted(link: Link, interval: Interval) -> Box<Node> {
    let Some(mut node) = link else {
        return Box::new(Node {
            last_end: interval.end.clone(),
            interval,
            is_red: true,
            left: None,
            right: None,
        });
    };
    if interval.begin < node.interval.begin {
        node.left = Some(inserted(node.left.take(), interval));
    } else {
        node.right = Some(inserted(node.right.take(), interval));
    }
    node.update_end();
    balanced(node)
}

/// Repairs a node that has a red child with a red child, which an insertion leaves behind.
fn balanced(mut node: Box<Node>) -> Box<Node> {
    let is_left = has_red_pair(&node.left);
    if !is_left && !has_red_pair(&node.right) {
        return node;
    }
    if let (Some(left), Some(right)) = (&mut node.left, &mut node.right)
        && left.is_red
        && right.is_red
    {
        left.is_red = false;
        right.is_red = false;
        node.is_red = true;
        return node;
    }
    node.is_red = true;
    let mut top = if is_left {
        node.left = node.left.map(|left| {
            if is_red(&left.right) {
                rotated_left(left)
            } else {
                left
            }
        });
        rotated_right(node)
    } else {
        node.right = node.right.map(|right| {
            if is_red(&right.left) {
                rotated_right(right)
            } else {
                right
            }
        });
        rotated_left(node)
    };
    top.is_red = false;
    top
}

fn is_red(link: &Link) -> bool {
    link.as_ref().is_some_and(|node| node.is_red)
}

fn has_red_pair(link: &Link) -> bool {
    let node = link.as_ref().filter(|node| node.is_red);
    node.is_some_and(|node| is_red(&node.left) || is_red(&node.right))
}

/// Puts the right child in the place of a node.
fn rotated_left(mut node: Box<Node>) -> Box<Node> {
    let Some(mut top) = node.right.take() else {
        return node;
    };
    node.right = top.left.take();
    node.update_end();
    top.left = Some(node);
    top.update_end();
    top
}

/// Puts the left child in the place of a node.
fn rotated_right(mut node: Box<Node>) -> Box<Node> {
    let Some(mut top) = node.left.take() else {
        return node;
    };
    node.left = top.right.take();
    node.update_end();
    top.right = Some(node);
    top.update_end();
    top
}

impl Node {
    fn update_end(&mut self) {
        let children = [&self.left, &self.right].into_iter().flatten();
        let ends = children.map(|child| &child.last_end);
        let last = ends.fold(&self.interval.end, |last, end| last.max(end));
        self.last_end = last.clone();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tree(intervals: &[(&'static str, &'static str)]) -> IntervalTree {
        let mut tree = IntervalTree::default();
        for (key, end) in intervals {
            tree.insert(interval(key, end));
        }
        tree
    }

    fn interval(key: &'static str, end: &'static str) -> Interval {
        Interval::new(&Bytes::from(key), &Bytes::from(end))
    }

    #[test]
    fn intervals_that_touch_cover_a_range_together() {
        let tree = tree(&[("a", "c"), ("c", "e"), ("g", "\0")]);
        assert!(tree.contains(&interval("a", "e")));
        assert!(tree.contains(&interval("b", "d")));
        assert!(tree.contains(&interval("h", "\0")));
        assert!(!tree.contains(&interval("a", "f")));
        assert!(!tree.contains(&interval("d", "h")));
        assert!(tree.intersects(&interval("d", "")));
        assert!(!tree.intersects(&interval("e", "")));
    }

    #[test]
    fn a_tree_that_grows_in_order_stays_flat() {
        let mut tree = IntervalTree::default();
        for number in 0..1000 {
            tree.insert(Interval::new(&format!("{number:04}").into(), &Bytes::new()));
        }
        fn height(link: &Link) -> usize {
            let children = |node: &Node| height(&node.left).max(height(&node.right));
            link.as_deref().map_or(0, |node| 1 + children(node))
        }
        assert!(height(&tree.root) <= 20);
        assert!(tree.intersects(&interval("0500", "")));
        assert!(!tree.intersects(&interval("05000", "")));
    }
}
