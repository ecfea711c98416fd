use std::{
    fmt,
    time::{Duration, SystemTime},
};

use serde::{
    Deserialize, Deserializer,
    de::{DeserializeSeed, Error, IgnoredAny, MapAccess, SeqAccess, Visitor},
};
use serde_json::value::RawValue;
use time::{OffsetDateTime, format_description::well_known::Rfc3339};

use crate::base::budget::{self, Exhausted};

/// The maximum depth of a listing, in directories. Deeper keys can be stored, and read from a lower directory.
const MAX_DEPTH: usize = 1000;

/// How many directories are decoded by recursion at a time. `serde_json` allows 128 levels of JSON, and a directory
/// takes two.
const DEPTH_AT_ONCE: usize = 48;

/// A key: a file with a value, or a directory with children.
///
/// <https://etcd.io/docs/v2.3/api/#setting-the-value-of-a-key>
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Node {
    /// The full path, from `/`. Bytes that were not UTF-8 are shown as U+FFFD.
    pub key: String,
    /// The value of a file. `None` for a directory and for a deleted key.
    pub value: Option<String>,
    /// Whether it is a directory.
    pub dir: bool,
    /// The remaining time to live, rounded up to seconds, by the server's clock. Zero if it has passed and the server
    /// has not deleted the key yet. `None` for a key without a TTL.
    pub ttl: Option<Duration>,
    /// When the key expires, by the server's clock.
    pub expiration: Option<SystemTime>,
    /// The children of a listed directory, without hidden ones. In random order, unless the listing was sorted.
    pub nodes: Vec<Node>,
    /// The store's index at the last change. 0 for `/`.
    pub modified_index: u64,
    /// The store's index at the creation, or at the last set. 0 for `/`.
    pub created_index: u64,
}

impl Node {
    /// A file with a value, as if created at index 1. For your own tests.
    ///
    /// ```
    /// use etcd_http::v2::Node;
    ///
    /// let mut dir = Node::dir("/app", [Node::file("/app/color", "red")]);
    /// dir.modified_index = 7;
    /// assert_eq!(dir.nodes[0].value.as_deref(), Some("red"));
    /// ```
    pub fn file(key: impl AsRef<str>, value: impl AsRef<str>) -> Self {
        Self {
            key: key.as_ref().to_owned(),
            value: Some(value.as_ref().to_owned()),
            modified_index: 1,
            created_index: 1,
            ..Self::default()
        }
    }

    /// A directory with its children, as if created at index 1. For your own tests.
    pub fn dir(key: impl AsRef<str>, nodes: impl IntoIterator<Item = Self>) -> Self {
        Self {
            key: key.as_ref().to_owned(),
            dir: true,
            nodes: nodes.into_iter().collect(),
            modified_index: 1,
            created_index: 1,
            ..Self::default()
        }
    }

    /// Returns the last segment of the key. Empty for `/`.
    pub fn name(&self) -> &str {
        self.key.rsplit('/').next().unwrap_or_default()
    }

    /// Returns whether listings omit the node: its name begins with `_`.
    pub fn is_hidden(&self) -> bool {
        self.name().starts_with('_')
    }
}

/// A node with everything below it. Decoding does not need a stack as deep as the tree, since a store can hold any
/// depth.
pub(crate) struct Tree(pub(crate) Node);

impl<'de> Deserialize<'de> for Tree {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut trees = Trees::default();
        let root = NodeSeed {
            trees: &mut trees,
            parent: 0,
            depth: 0,
        };
        root.deserialize(deserializer)?;
        while let Some(Deferred {
            parent,
            depth,
            json,
        }) = trees.deferred.pop()
        {
            let children = ChildrenSeed {
                trees: &mut trees,
                parent,
                depth,
            };
            children
                .deserialize(&mut serde_json::Deserializer::from_str(json.get()))
                .map_err(D::Error::custom)?;
        }
        Ok(Self(trees.grow()))
    }
}

/// The nodes in the order of the response, parents before children.
#[derive(Default)]
struct Trees<'de> {
    /// The first one, without its children: most responses have no other.
    root: Node,
    /// The others, and the places of their parents. The root's place is 0.
    nodes: Vec<(usize, Node)>,
    /// The children that are too deep for this pass.
    deferred: Vec<Deferred<'de>>,
}

struct Deferred<'de> {
    parent: usize,
    depth: usize,
    json: &'de RawValue,
}

impl Trees<'_> {
    /// Attaches every node to its parent, the last one first, and returns the root.
    fn grow(mut self) -> Node {
        if self.nodes.is_empty() {
            return self.root;
        }
        // Exact capacity for the children: a growing vector takes up to three times as much.
        let mut children = vec![0; self.nodes.len() + 1];
        // A parent precedes its children, so its place is in range.
        for (parent, _) in &self.nodes {
            children[*parent] += 1;
        }
        while let Some((place, mut node)) = self.nodes.pop() {
            node.nodes.reverse();
            let parent = self.node(place);
            if parent.nodes.is_empty() {
                parent.nodes.reserve_exact(children[place]);
            }
            parent.nodes.push(node);
        }
        self.root.nodes.reverse();
        self.root
    }

    /// Adds a node below the one at this place, and returns its place.
    fn push(&mut self, parent: usize) -> Result<usize, Exhausted> {
        budget::push(&mut self.nodes, (parent, Node::default()))?;
        Ok(self.nodes.len())
    }

    /// Returns the node at a place.
    fn node(&mut self, place: usize) -> &mut Node {
        let other = place.checked_sub(1);
        match other.and_then(|index| self.nodes.get_mut(index)) {
            Some((_, node)) => node,
            None => &mut self.root,
        }
    }
}

struct NodeSeed<'a, 'de> {
    trees: &'a mut Trees<'de>,
    parent: usize,
    depth: usize,
}

#[derive(Deserialize)]
#[serde(field_identifier, rename_all = "camelCase")]
enum Field {
    Key,
    Value,
    Dir,
    Ttl,
    Expiration,
    Nodes,
    ModifiedIndex,
    CreatedIndex,
    #[serde(other)]
    Unknown,
}

impl<'de> DeserializeSeed<'de> for NodeSeed<'_, 'de> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for NodeSeed<'_, 'de> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a node")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let Self {
            trees,
            parent,
            depth,
        } = self;
        // The node's place precedes its children's. Its content is set after they are read.
        let place = match depth {
            0 => budget::charge(size_of::<Node>()).map(|()| 0),
            _ => trees.push(parent),
        };
        let place = place.map_err(A::Error::custom)?;
        let mut node = Node::default();
        let mut ttl = 0_i64;
        while let Some(field) = map.next_key()? {
            match field {
                Field::Key => node.key = map.next_value()?,
                Field::Value => node.value = map.next_value()?,
                Field::Dir => node.dir = map.next_value()?,
                Field::Ttl => ttl = map.next_value()?,
                Field::Expiration => node.expiration = Some(expiration(map.next_value()?)?),
                Field::ModifiedIndex => node.modified_index = map.next_value()?,
                Field::CreatedIndex => node.created_index = map.next_value()?,
                Field::Nodes if depth + 1 >= MAX_DEPTH => {
                    let why = format!("directories are nested more than {MAX_DEPTH} deep");
                    return Err(A::Error::custom(why));
                }
                Field::Nodes if depth % DEPTH_AT_ONCE == DEPTH_AT_ONCE - 1 => {
                    trees.deferred.push(Deferred {
                        parent: place,
                        depth: depth + 1,
                        json: map.next_value()?,
                    });
                }
                Field::Nodes => map.next_value_seed(ChildrenSeed {
                    trees: &mut *trees,
                    parent: place,
                    depth: depth + 1,
                })?,
                Field::Unknown => {
                    map.next_value::<IgnoredAny>()?;
                }
            }
        }
        if node.key.is_empty() {
            // Only the root has no key on the wire. An empty object of two bytes would take hundreds in memory.
            if depth > 0 {
                return Err(A::Error::missing_field("key"));
            }
            node.key.push('/');
        }
        // A TTL of zero is omitted, and a past one is negative.
        let left = Duration::from_secs(u64::try_from(ttl).unwrap_or(0));
        node.ttl = node.expiration.is_some().then_some(left);
        *trees.node(place) = node;
        Ok(())
    }
}

struct ChildrenSeed<'a, 'de> {
    trees: &'a mut Trees<'de>,
    parent: usize,
    depth: usize,
}

impl<'de> DeserializeSeed<'de> for ChildrenSeed<'_, 'de> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_seq(self)
    }
}

impl<'de> Visitor<'de> for ChildrenSeed<'_, 'de> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of nodes")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<(), A::Error> {
        let Self {
            trees,
            parent,
            depth,
        } = self;
        loop {
            let child = NodeSeed {
                trees: &mut *trees,
                parent,
                depth,
            };
            if seq.next_element_seed(child)?.is_none() {
                return Ok(());
            }
        }
    }
}

fn expiration<E: Error>(text: &str) -> Result<SystemTime, E> {
    match OffsetDateTime::parse(text, &Rfc3339) {
        Ok(time) => Ok(time.into()),
        Err(_) => Err(E::custom(format!("{text:?} is not a time"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decode(json: &str) -> Result<Node, serde_json::Error> {
        serde_json::from_str(json).map(|Tree(node)| node)
    }

    /// Returns a chain of directories with a file at its end.
    fn chain(depth: usize) -> String {
        let mut json = String::new();
        for level in 0..depth {
            json += &format!(r#"{{"key":"/{level}","dir":true,"nodes":["#);
        }
        json += r#"{"key":"/end","value":"x"}"#;
        json += &"]}".repeat(depth);
        json
    }

    #[test]
    fn every_field_is_read() {
        let node = decode(
            r#"{"key":"/foo","value":"bar","expiration":"2013-12-04T12:01:21.874888581-08:00",
                "ttl":5,"modifiedIndex":7,"createdIndex":6,"new":{"in":["etcd"]}}"#,
        )
        .unwrap();
        assert_eq!(node.key, "/foo");
        assert_eq!(node.value.as_deref(), Some("bar"));
        assert_eq!(node.ttl, Some(Duration::from_secs(5)));
        assert_eq!((node.modified_index, node.created_index), (7, 6));
        let since = node
            .expiration
            .unwrap()
            .duration_since(SystemTime::UNIX_EPOCH);
        assert_eq!(since.unwrap(), Duration::new(1_386_187_281, 874_888_581));
    }

    #[test]
    fn what_is_left_out_has_its_meaning() {
        let root = decode(r#"{"dir":true}"#).unwrap();
        assert_eq!((root.key.as_str(), root.name(), root.dir), ("/", "", true));
        assert_eq!((root.value, root.ttl), (None, None));
        let overdue = decode(r#"{"key":"/a","value":"","expiration":"2026-01-01T00:00:00Z"}"#);
        assert_eq!(overdue.unwrap().ttl, Some(Duration::ZERO));
        let past = decode(r#"{"key":"/a","ttl":-3,"expiration":"1737-01-01T00:00:00.5Z"}"#);
        assert_eq!(past.unwrap().ttl, Some(Duration::ZERO));
    }

    #[test]
    fn the_order_of_children_is_kept_at_every_depth() {
        let leaves =
            |at: &str| format!(r#"{{"key":"{at}/1"}},{{"key":"{at}/2"}},{{"key":"{at}/3"}}"#);
        let mut json = leaves("deep");
        for level in 0..100 {
            json = format!(r#"{{"key":"{level}","nodes":[{json}]}},{}"#, leaves("side"));
        }
        let mut nodes = decode(&format!(r#"{{"nodes":[{json}]}}"#)).unwrap().nodes;
        for level in (0..100).rev() {
            let names: Vec<_> = nodes.iter().map(|node| node.key.as_str()).collect();
            assert_eq!(names, [&level.to_string(), "side/1", "side/2", "side/3"]);
            nodes = nodes.swap_remove(0).nodes;
        }
        let names: Vec<_> = nodes.iter().map(Node::name).collect();
        assert_eq!(names, ["1", "2", "3"]);
    }

    #[test]
    fn a_thousand_directories_deep_is_decoded_cloned_compared_shown_and_dropped() {
        let node = decode(&chain(MAX_DEPTH - 1)).unwrap();
        assert_eq!(node.clone(), node);
        assert!(format!("{node:?}").contains("/end"));
        let mut depth = 0;
        let mut at = &node;
        while let Some(child) = at.nodes.first() {
            at = child;
            depth += 1;
        }
        assert_eq!((depth, at.key.as_str()), (MAX_DEPTH - 1, "/end"));
    }

    #[test]
    fn deeper_is_an_error_and_not_a_stack_overflow() {
        let error = decode(&chain(100_000)).unwrap_err();
        assert!(
            error
                .to_string()
                .starts_with("directories are nested more than 1000 deep"),
            "{error}"
        );
    }

    #[test]
    fn wrong_types_are_errors() {
        for json in [
            r#"{"key":1}"#,
            r#"{"key":"/a","modifiedIndex":"7"}"#,
            r#"{"key":"/a","modifiedIndex":-1}"#,
            r#"{"key":"/a","expiration":"soon"}"#,
            r#"{"key":"/a","nodes":{}}"#,
            r#"{"key":"/a","nodes":[1]}"#,
            r#"{"key":"/a","nodes":[{}]}"#,
            r#"{"key":"/a","nodes":[{"key":""}]}"#,
            "[]",
            "null",
        ] {
            assert!(decode(json).is_err(), "{json}");
        }
    }
}
