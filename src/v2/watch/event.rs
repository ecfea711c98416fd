use std::fmt;

use http::{HeaderMap, StatusCode};
use serde::{Deserialize, Deserializer, de::Visitor};

use crate::{
    error::{Error, Result},
    json::{self, Decode},
    pipeline::answer::Answer,
    v2::{
        node::{Node, Tree},
        number::number,
    },
};

/// A response of the keys API, or an item of a watch: an action, and the node before and after it.
///
/// <https://etcd.io/docs/v2.3/api/#response-headers>
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Event {
    /// The action.
    pub action: Action,
    /// The node after the action. After a delete or an expiration: its key and indexes, without a value.
    pub node: Node,
    /// The node before the action, if it existed and the action changed it.
    pub prev_node: Option<Node>,
    /// Whether the action created the node: the status is 201. Always `false` in a watch.
    pub created: bool,
    /// The state of the cluster, from the headers of the response.
    pub cluster: ClusterInfo,
}

impl Event {
    /// An event without a node before it and without headers. For your own tests.
    ///
    /// ```
    /// use etcd_http::v2::{Action, Event, Node};
    ///
    /// let mut event = Event::new(Action::Set, Node::file("/app/color", "red"));
    /// event.prev_node = Some(Node::file("/app/color", "green"));
    /// event.cluster.etcd_index = Some(7);
    /// ```
    pub fn new(action: Action, node: Node) -> Self {
        Self {
            action,
            node,
            prev_node: None,
            created: false,
            cluster: ClusterInfo::default(),
        }
    }

    /// Returns the index of this event in the store's history. A watch continues after it.
    pub fn index(&self) -> u64 {
        self.node.modified_index
    }
}

/// An action on a key.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Action {
    /// The key was read.
    Get,
    /// The key was created or replaced.
    Set,
    /// The key was created, by a create or a create in order.
    Create,
    /// The existing key was updated.
    Update,
    /// The key was deleted.
    Delete,
    /// The key was changed by a compare-and-swap.
    CompareAndSwap,
    /// The key was deleted by a compare-and-delete.
    CompareAndDelete,
    /// The key expired.
    Expire,
    /// An action that this client has no name for.
    Other(String),
}

/// Written by hand: serde's derived code for `Other` copies every name and tries each variant with the copy.
impl Decode for Action {
    fn decode<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Name;

        impl Visitor<'_> for Name {
            type Value = Action;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("the name of an action")
            }

            fn visit_str<E: serde::de::Error>(self, name: &str) -> Result<Action, E> {
                Ok(match name {
                    "get" => Action::Get,
                    "set" => Action::Set,
                    "create" => Action::Create,
                    "update" => Action::Update,
                    "delete" => Action::Delete,
                    "compareAndSwap" => Action::CompareAndSwap,
                    "compareAndDelete" => Action::CompareAndDelete,
                    "expire" => Action::Expire,
                    other => Action::Other(other.to_owned()),
                })
            }
        }

        deserializer.deserialize_str(Name)
    }
}

/// The state of the cluster, from the headers of a response.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ClusterInfo {
    /// The cluster's id, up to 16 hexadecimal digits (etcd writes no leading zeros): `X-Etcd-Cluster-Id`.
    pub cluster_id: Option<String>,
    /// The store's index: `X-Etcd-Index`. For a write, the index of the write. For an event of a watch, the index when
    /// the watch was registered.
    pub etcd_index: Option<u64>,
    /// The number of entries that raft has committed: `X-Raft-Index`.
    pub raft_index: Option<u64>,
    /// The raft term, which grows with every election: `X-Raft-Term`.
    pub raft_term: Option<u64>,
}

impl ClusterInfo {
    pub(crate) fn of(headers: &HeaderMap) -> Self {
        let mut info = Self::default();
        // One pass over the few headers is faster than lookups by name, which parse and hash.
        for (name, value) in headers {
            match name.as_str() {
                "x-etcd-cluster-id" => info.cluster_id = value.to_str().ok().map(str::to_owned),
                "x-etcd-index" => info.etcd_index = number(value),
                "x-raft-index" => info.raft_index = number(value),
                "x-raft-term" => info.raft_term = number(value),
                _ => {}
            }
        }
        info
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Body {
    #[serde(deserialize_with = "Decode::decode")]
    action: Action,
    node: Option<Tree>,
    prev_node: Option<Tree>,
}

/// Decodes the event in a successful response of the keys API.
pub(crate) fn decode(answer: Box<Answer>) -> Result<Event> {
    let answer = answer.success()?;
    let (action, node, prev_node) = body(&answer)?;
    let Some(node) = node else {
        return Err(Error::Unexpected(
            answer.unexpected("the response has no node"),
        ));
    };
    Ok(Event {
        action,
        node,
        prev_node,
        created: answer.reply.status == StatusCode::CREATED,
        cluster: ClusterInfo::of(&answer.reply.headers),
    })
}

/// The response to a write that omits the nodes.
pub(crate) fn decode_without_value(answer: Box<Answer>) -> Result<Written> {
    let answer = answer.success()?;
    let (action, ..) = body(&answer)?;
    Ok(Written {
        action,
        created: answer.reply.status == StatusCode::CREATED,
        cluster: ClusterInfo::of(&answer.reply.headers),
    })
}

/// The result of a write, without the nodes before and after it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Written {
    /// The action.
    pub action: Action,
    /// Whether the write created the key.
    pub created: bool,
    /// The state of the cluster. Its `etcd_index` is that of the write.
    pub cluster: ClusterInfo,
}

impl Written {
    /// A write of which no headers came. For your own tests.
    pub fn new(action: Action, created: bool) -> Self {
        Self {
            action,
            created,
            cluster: ClusterInfo::default(),
        }
    }
}

fn body(answer: &Answer) -> Result<(Action, Option<Node>, Option<Node>)> {
    let what = "the response is not what etcd's keys API sends";
    let decode = || json::parse(&answer.reply.body);
    answer.decode_within(what, decode).map(|body| {
        let Body {
            action,
            node,
            prev_node,
        } = body;
        let node_of = |tree: Option<Tree>| tree.map(|Tree(node)| node);
        (action, node_of(node), node_of(prev_node))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::json::Json;

    #[test]
    fn the_state_of_the_cluster_is_in_the_headers() {
        let headers = [
            ("x-etcd-cluster-id", "cdf818194e3a8c32"),
            ("x-etcd-index", "7"),
            ("x-raft-index", "8"),
            ("x-raft-term", "2"),
            ("date", "today"),
        ];
        let headers = headers.map(|(name, value)| {
            let name = http::HeaderName::from_static(name);
            (name, http::HeaderValue::from_static(value))
        });
        let info = ClusterInfo::of(&HeaderMap::from_iter(headers));
        assert_eq!(info.cluster_id.as_deref(), Some("cdf818194e3a8c32"));
        let numbers = [info.etcd_index, info.raft_index, info.raft_term];
        assert_eq!(numbers, [Some(7), Some(8), Some(2)]);
        assert_eq!(ClusterInfo::of(&HeaderMap::new()), ClusterInfo::default());
    }

    #[test]
    fn actions_are_read_by_name_and_unknown_ones_kept() {
        for (json, action) in [
            (r#""get""#, Action::Get),
            (r#""set""#, Action::Set),
            (r#""create""#, Action::Create),
            (r#""update""#, Action::Update),
            (r#""delete""#, Action::Delete),
            (r#""compareAndSwap""#, Action::CompareAndSwap),
            (r#""compareAndDelete""#, Action::CompareAndDelete),
            (r#""expire""#, Action::Expire),
            (r#""com\u0070act""#, Action::Other("compact".to_owned())),
        ] {
            let Json(decoded) = serde_json::from_str::<Json<Action>>(json).unwrap();
            assert_eq!(decoded, action);
        }
        let error = serde_json::from_str::<Json<Action>>("7").err().unwrap();
        let text = error.to_string();
        assert!(text.contains("expected the name of an action"), "{text}");
    }
}
