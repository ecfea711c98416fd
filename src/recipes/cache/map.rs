//! A map whose copies share what they have in common.

use std::{cmp::Ordering, iter, sync::Arc};

use bytes::Bytes;

/// An ordered map. A clone takes constant time and does not change; an update copies the path to the key, `O(log n)` nodes.
///
/// It is a weight-balanced tree, as in Adams, "Efficient sets: a balancing act".
#[derive(Debug)]
pub(super) struct Map<E> {
    root: Link<E>,
}

/// What has a key.
pub(super) trait Keyed {
    fn key(&self) -> &Bytes;
}

/// The entry of a key before, and after.
pub(super) type Difference<E> = (Option<Arc<E>>, Option<Arc<E>>);

type Link<E> = Option<Arc<Node<E>>>;

#[derive(Debug)]
struct Node<E> {
    entry: Arc<E>,
    size: usize,
    left: Link<E>,
    right: Link<E>,
}

/// A subtree may be so many times heavier than the other one.
const DELTA: usize = 3;

/// The inner part of the heavier subtree is rotated as well if it is so many times heavier than the outer part.
const RATIO: usize = 2;

impl<E: Keyed> Map<E> {
    pub(super) fn get(&self, key: &[u8]) -> Option<&Arc<E>> {
        let mut link = &self.root;
        while let Some(node) = link {
            link = match key.cmp(node.entry.key()) {
                Ordering::Less => &node.left,
                Ordering::Greater => &node.right,
                Ordering::Equal => return Some(&node.entry),
            };
        }
        None
    }

    /// Inserts an entry, and returns the one that it replaces.
    pub(super) fn insert(&mut self, entry: Arc<E>) -> Option<Arc<E>> {
        let (root, old) = insert(&self.root, entry);
        self.root = Some(root);
        old
    }

    /// Removes an entry, and returns it.
    pub(super) fn remove(&mut self, key: &[u8]) -> Option<Arc<E>> {
        let (root, old) = remove(&self.root, key)?;
        self.root = root;
        Some(old)
    }

    /// Returns the entries from this key on, in order.
    pub(super) fn iter_from<'a>(
        &'a self,
        start: &[u8],
    ) -> impl Iterator<Item = &'a Arc<E>> + use<'a, E> {
        let mut pieces = Vec::new();
        let mut link = &self.root;
        while let Some(node) = link {
            link = if &**node.entry.key() < start {
                &node.right
            } else {
                push(&mut pieces, &node.right);
                pieces.push(Piece::Entry(&node.entry));
                &node.left
            };
        }
        iter::from_fn(move || {
            loop {
                match pieces.pop()? {
                    Piece::Entry(entry) => return Some(entry),
                    Piece::Tree(node) => expand(&mut pieces, node),
                }
            }
        })
    }

    /// Returns what differs in `after`, in order: the entry before, and the one after. What both share is skipped.
    pub(super) fn differences(&self, after: &Self) -> Vec<Difference<E>> {
        let (mut old, mut new) = (Vec::new(), Vec::new());
        push(&mut old, &self.root);
        push(&mut new, &after.root);
        let mut found = Vec::new();
        loop {
            match (old.pop(), new.pop()) {
                (None, None) => return found,
                (Some(Piece::Tree(a)), Some(Piece::Tree(b))) if Arc::ptr_eq(a, b) => {}
                (Some(Piece::Tree(a)), Some(Piece::Tree(b))) if a.size < b.size => {
                    old.push(Piece::Tree(a));
                    expand(&mut new, b);
                }
                (Some(Piece::Tree(a)), b) => {
                    expand(&mut old, a);
                    new.extend(b);
                }
                (a, Some(Piece::Tree(b))) => {
                    old.extend(a);
                    expand(&mut new, b);
                }
                (Some(Piece::Entry(a)), None) => found.push((Some(Arc::clone(a)), None)),
                (None, Some(Piece::Entry(b))) => found.push((None, Some(Arc::clone(b)))),
                (Some(Piece::Entry(a)), Some(Piece::Entry(b))) => match a.key().cmp(b.key()) {
                    Ordering::Less => {
                        found.push((Some(Arc::clone(a)), None));
                        new.push(Piece::Entry(b));
                    }
                    Ordering::Greater => {
                        found.push((None, Some(Arc::clone(b))));
                        old.push(Piece::Entry(a));
                    }
                    Ordering::Equal if Arc::ptr_eq(a, b) => {}
                    Ordering::Equal => found.push((Some(Arc::clone(a)), Some(Arc::clone(b)))),
                },
            }
        }
    }
}

impl<E> Map<E> {
    pub(super) fn len(&self) -> usize {
        size(&self.root)
    }
}

impl<E> Clone for Map<E> {
    fn clone(&self) -> Self {
        Self {
            root: self.root.clone(),
        }
    }
}

impl<E> Default for Map<E> {
    fn default() -> Self {
        Self { root: None }
    }
}

/// A part of a map that is still to be visited.
enum Piece<'a, E> {
    Tree(&'a Arc<Node<E>>),
    Entry(&'a Arc<E>),
}

fn push<'a, E>(pieces: &mut Vec<Piece<'a, E>>, link: &'a Link<E>) {
    pieces.extend(link.as_ref().map(Piece::Tree));
}

fn expand<'a, E>(pieces: &mut Vec<Piece<'a, E>>, node: &'a Arc<Node<E>>) {
    push(pieces, &node.right);
    pieces.push(Piece::Entry(&node.entry));
    push(pieces, &node.left);
}

fn size<E>(link: &Link<E>) -> usize {
    link.as_ref().map_or(0, |node| node.size)
}

fn node<E>(entry: Arc<E>, left: Link<E>, right: Link<E>) -> Arc<Node<E>> {
    Arc::new(Node {
        size: size(&left) + 1 + size(&right),
        entry,
        left,
        right,
    })
}

fn insert<E: Keyed>(link: &Link<E>, entry: Arc<E>) -> (Arc<Node<E>>, Option<Arc<E>>) {
    let Some(found) = link else {
        return (node(entry, None, None), None);
    };
    let own = Arc::clone(&found.entry);
    match entry.key().cmp(found.entry.key()) {
        Ordering::Less => {
            let (left, old) = insert(&found.left, entry);
            (balanced(own, Some(left), found.right.clone()), old)
        }
        Ordering::Greater => {
            let (right, old) = insert(&found.right, entry);
            (balanced(own, found.left.clone(), Some(right)), old)
        }
        Ordering::Equal => {
            let (left, right) = (found.left.clone(), found.right.clone());
            (node(entry, left, right), Some(own))
        }
    }
}

/// Returns `None` if there is no such key.
fn remove<E: Keyed>(link: &Link<E>, key: &[u8]) -> Option<(Link<E>, Arc<E>)> {
    let found = link.as_ref()?;
    let own = Arc::clone(&found.entry);
    match key.cmp(found.entry.key()) {
        Ordering::Less => {
            let (left, old) = remove(&found.left, key)?;
            Some((Some(balanced(own, left, found.right.clone())), old))
        }
        Ordering::Greater => {
            let (right, old) = remove(&found.right, key)?;
            Some((Some(balanced(own, found.left.clone(), right)), old))
        }
        Ordering::Equal => {
            let joined = match (&found.left, &found.right) {
                (rest, None) | (None, rest) => rest.clone(),
                (Some(left), Some(right)) => {
                    let (first, right) = without_first(right);
                    Some(balanced(first, Some(Arc::clone(left)), right))
                }
            };
            Some((joined, own))
        }
    }
}

/// Takes the first entry.
fn without_first<E: Keyed>(tree: &Arc<Node<E>>) -> (Arc<E>, Link<E>) {
    let own = Arc::clone(&tree.entry);
    match &tree.left {
        None => (own, tree.right.clone()),
        Some(left) => {
            let (first, left) = without_first(left);
            (first, Some(balanced(own, left, tree.right.clone())))
        }
    }
}

/// A node of two subtrees of which one has changed by one entry.
fn balanced<E>(entry: Arc<E>, left: Link<E>, right: Link<E>) -> Arc<Node<E>> {
    let (lighter, heavier) = (size(&left), size(&right));
    match (&left, &right) {
        (_, Some(heavy)) if lighter + heavier > 1 && heavier > DELTA * lighter => {
            match &heavy.left {
                Some(inner) if inner.size >= RATIO * size(&heavy.right) => {
                    let outer = Arc::clone(&heavy.entry);
                    node(
                        Arc::clone(&inner.entry),
                        Some(node(entry, left, inner.left.clone())),
                        Some(node(outer, inner.right.clone(), heavy.right.clone())),
                    )
                }
                inner => {
                    let near = node(entry, left, inner.clone());
                    let top = Arc::clone(&heavy.entry);
                    node(top, Some(near), heavy.right.clone())
                }
            }
        }
        (Some(heavy), _) if lighter + heavier > 1 && lighter > DELTA * heavier => {
            match &heavy.right {
                Some(inner) if inner.size >= RATIO * size(&heavy.left) => {
                    let outer = Arc::clone(&heavy.entry);
                    node(
                        Arc::clone(&inner.entry),
                        Some(node(outer, heavy.left.clone(), inner.left.clone())),
                        Some(node(entry, inner.right.clone(), right)),
                    )
                }
                inner => {
                    let near = node(entry, inner.clone(), right);
                    let top = Arc::clone(&heavy.entry);
                    node(top, heavy.left.clone(), Some(near))
                }
            }
        }
        _ => node(entry, left, right),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    #[derive(Debug, PartialEq)]
    struct Entry(Bytes, u32);

    impl Keyed for Entry {
        fn key(&self) -> &Bytes {
            &self.0
        }
    }

    fn key(number: u8) -> Bytes {
        vec![number].into()
    }

    fn entries(map: &Map<Entry>, start: &[u8]) -> Vec<(Bytes, u32)> {
        let entries = map.iter_from(start);
        entries.map(|it| (it.0.clone(), it.1)).collect()
    }

    /// Checks the sizes, and that no subtree is too heavy.
    fn check(link: &Link<Entry>) -> usize {
        let Some(node) = link else { return 0 };
        let (left, right) = (check(&node.left), check(&node.right));
        assert_eq!(node.size, left + right + 1);
        assert!(left + right <= 1 || (left <= DELTA * right && right <= DELTA * left));
        node.size
    }

    proptest! {
        #[test]
        fn a_map_is_what_a_b_tree_is_and_its_clones_do_not_change(
            steps in prop::collection::vec((any::<u8>(), prop::option::of(any::<u32>())), 0..400),
            middle in 0..400_usize,
        ) {
            let (mut map, mut expected) = (Map::default(), BTreeMap::new());
            let mut before = (map.clone(), expected.clone());
            for (at, (number, value)) in steps.into_iter().enumerate() {
                if at == middle {
                    before = (map.clone(), expected.clone());
                }
                let key = key(number);
                let (old, expected) = match value {
                    Some(value) => {
                        let old = map.insert(Arc::new(Entry(key.clone(), value)));
                        (old, expected.insert(key, value))
                    }
                    None => (map.remove(&key), expected.remove(&key)),
                };
                prop_assert_eq!(old.map(|it| it.1), expected);
                check(&map.root);
            }
            let all: Vec<_> = expected.clone().into_iter().collect();
            prop_assert_eq!(entries(&map, &[]), all);
            prop_assert_eq!(map.len(), expected.len());
            for number in 0..=255 {
                prop_assert_eq!(map.get(&key(number)).map(|it| it.1), expected.get(&key(number)).copied());
            }
            let rest: Vec<_> = expected.range(key(100)..).map(|(key, value)| (key.clone(), *value)).collect();
            prop_assert_eq!(entries(&map, &[100]), rest);

            // The differences turn the earlier clone into the map.
            let (mut early, copy) = before;
            let differences = early.differences(&map);
            prop_assert_eq!(entries(&early, &[]), copy.into_iter().collect::<Vec<_>>());
            let is_sorted = differences.is_sorted_by_key(|(old, new)| {
                old.as_ref().or(new.as_ref()).map(|it| it.0.clone())
            });
            prop_assert!(is_sorted);
            for (old, new) in differences {
                prop_assert!(old.is_some() || new.is_some());
                let replaced = match (&old, new) {
                    (_, Some(new)) => early.insert(new),
                    (Some(old), None) => early.remove(old.key()),
                    (None, None) => None,
                };
                prop_assert_eq!(replaced, old);
            }
            prop_assert_eq!(entries(&early, &[]), entries(&map, &[]));
            prop_assert!(early.differences(&early.clone()).is_empty());
        }
    }
}
