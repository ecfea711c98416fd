//! A tree of the v2 API, read whole.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use etcd_transport::Transport;

use super::{
    attempts::Attempts,
    item::Content,
    journal,
    report::{Note, NoteKind},
};
use crate::{
    client::Client,
    error::{Error, InvalidInput, Result},
    v2::{Event, Get, Node},
};

/// How v2 shows what is not UTF-8.
const REPLACEMENT: char = char::REPLACEMENT_CHARACTER;

/// The files of a tree, by their keys in v3.
#[derive(Debug)]
pub(super) struct Tree {
    pub(super) files: BTreeMap<String, Content>,
    pub(super) notes: Vec<Note>,
    /// The tree has each change up to this index.
    pub(super) index: u64,
    /// Files whose time to live was over.
    pub(super) expired: u64,
    root: String,
    hidden: Vec<String>,
}

impl Tree {
    /// Whether the tree would have this key, if v2 had it: it is not hidden, or below what was named.
    pub(super) fn can_show(&self, key: &str) -> bool {
        let path = format!("{}/{key}", self.root);
        let named = self.hidden.iter().chain([&self.root]);
        named
            .filter_map(|named| path.strip_prefix(named.as_str()))
            .filter(|rest| rest.is_empty() || rest.starts_with('/'))
            .any(|rest| !rest.contains("/_"))
    }
}

/// Normalizes a path, as v2 does: it begins with `/`, does not end with one, and has no part that is empty, `.` or `..`.
pub(super) fn path(given: &str) -> String {
    let mut parts = Vec::new();
    for part in given.split('/') {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()),
            part => parts.push(part),
        }
    }
    parts.iter().flat_map(|part| ["/", part]).collect()
}

/// Reads a directory, and hidden keys below it.
pub(super) async fn read<S: Transport>(
    client: &Client<S>,
    root: &str,
    hidden: &[String],
    attempts: Attempts,
) -> Result<Tree> {
    for key in hidden {
        let below = key.strip_prefix(root).and_then(|it| it.strip_prefix('/'));
        if below.is_none_or(journal::is_record) {
            return Err(invalid(format!(
                "the hidden key {key:?} is not below {root:?}, or is a record of a migration"
            )));
        }
    }
    let named = [root].into_iter().chain(hidden.iter().map(String::as_str));
    let mut reader = Reader {
        client,
        attempts,
        left: named.map(Directory::named).collect(),
        tree: Tree {
            files: BTreeMap::new(),
            notes: Vec::new(),
            index: u64::MAX,
            expired: 0,
            root: root.to_owned(),
            hidden: hidden.to_vec(),
        },
    };
    while let Some(directory) = reader.left.pop() {
        reader.read(directory).await?;
    }
    Ok(reader.tree)
}

struct Reader<'a, S> {
    client: &'a Client<S>,
    attempts: Attempts,
    /// What has not been read yet.
    left: Vec<Directory>,
    tree: Tree,
}

struct Directory {
    path: String,
    /// When the first of the directories above expires.
    expires: Option<Instant>,
    /// The caller has named it, so that it has to exist.
    is_named: bool,
}

impl Directory {
    fn named(path: &str) -> Self {
        Self {
            path: path.to_owned(),
            expires: None,
            is_named: true,
        }
    }
}

/// A node of which the next level is known, or all levels.
struct Listed {
    node: Node,
    expires: Option<Instant>,
    is_top: bool,
}

impl<S: Transport> Reader<'_, S> {
    /// Reads a tree in one response, or level by level where that is too much.
    async fn read(&mut self, directory: Directory) -> Result<()> {
        let whole = match self.get(&directory.path, true).await {
            Err(error) if is_too_much(&error) => None,
            result => Some(result),
        };
        let is_whole = whole.is_some();
        let result = match whole {
            Some(result) => result,
            None => self.get(&directory.path, false).await,
        };
        match result {
            Ok(event) => self.add(event, directory, is_whole),
            // It was deleted meanwhile.
            Err(error) if error.is_key_not_found() && !directory.is_named => Ok(()),
            Err(error) => Err(error),
        }
    }

    async fn get(&self, path: &str, is_recursive: bool) -> Result<Event> {
        let path = if path.is_empty() { "/" } else { path };
        let get = Get::new(path).recursive(is_recursive).quorum(true);
        let send = || self.client.send(get.clone());
        let mut attempts = self.attempts;
        if is_recursive {
            attempts = attempts.but_for(is_too_much);
        }
        attempts.repeat(self.client.transport(), send).await
    }

    fn add(&mut self, event: Event, directory: Directory, is_whole: bool) -> Result<()> {
        // Times to live are counted from the response: a copy lives no shorter.
        let now = self.client.transport().now();
        let index = event.cluster.etcd_index.unwrap_or_default();
        self.tree.index = self.tree.index.min(index);
        if !event.node.dir && directory.path == self.tree.root {
            let reason = format!("{:?} is a file, and not a directory", directory.path);
            return Err(invalid(reason));
        }
        let mut nodes = vec![Listed {
            node: event.node,
            expires: directory.expires,
            is_top: true,
        }];
        while let Some(Listed {
            mut node,
            expires,
            is_top,
        }) = nodes.pop()
        {
            let own = node.ttl.and_then(|ttl| now.checked_add(ttl));
            let expires = own.into_iter().chain(expires).min();
            if !node.dir {
                self.add_file(node, expires, now);
            } else if is_top || is_whole {
                self.note_directory(&node);
                let children = std::mem::take(&mut node.nodes).into_iter();
                nodes.extend(children.map(|node| Listed {
                    node,
                    expires,
                    is_top: false,
                }));
            } else if node.key.contains(REPLACEMENT) {
                // etcd does not find it by this name.
                self.note(&node.key, NoteKind::UnreadableName);
            } else {
                self.left.push(Directory {
                    path: node.key,
                    expires,
                    is_named: false,
                });
            }
        }
        Ok(())
    }

    fn add_file(&mut self, node: Node, expires: Option<Instant>, now: Instant) {
        let below = node.key.strip_prefix(&self.tree.root);
        let Some(key) = below.and_then(|it| it.strip_prefix('/')) else {
            // No etcd lists what is not below.
            return;
        };
        if expires.is_some_and(|expires| expires <= now) {
            self.tree.expired += 1;
        } else if key.contains(REPLACEMENT) {
            self.note(&node.key, NoteKind::UnreadableName);
        } else {
            let value = node.value.unwrap_or_default();
            if value.contains(REPLACEMENT) {
                self.note(&node.key, NoteKind::UncertainValue);
            }
            let content = Content {
                value: value.into(),
                expires,
            };
            self.tree.files.insert(key.to_owned(), content);
        }
    }

    fn note_directory(&mut self, node: &Node) {
        if let Some(left) = node.ttl.filter(|ttl| *ttl > Duration::ZERO) {
            self.note(&node.key, NoteKind::DirectoryTtl { left });
        }
        if node.nodes.is_empty() {
            self.note(&node.key, NoteKind::EmptyDirectory);
        }
    }

    fn note(&mut self, key: &str, kind: NoteKind) {
        self.tree.notes.push(Note::new(key, kind));
    }
}

/// Whether fewer keys at a time may be read: a tree is too large, too deep, or takes too long.
fn is_too_much(error: &Error) -> bool {
    match error {
        Error::Unexpected(_) => !error.is_cluster_changed(),
        Error::Timeout(_) => true,
        _ => false,
    }
}

fn invalid(reason: String) -> Error {
    Error::Invalid(InvalidInput::new("migration", reason))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_as_v2_names_them() {
        for (given, expected) in [
            ("/", ""),
            ("", ""),
            ("app", "/app"),
            ("/a/b/", "/a/b"),
            ("//a//./b/../c", "/a/c"),
            ("/../a", "/a"),
        ] {
            assert_eq!(path(given), expected);
        }
    }

    #[test]
    fn what_is_hidden_is_shown_where_it_is_named() {
        let tree = |root: &str, hidden: &[&str]| Tree {
            files: BTreeMap::new(),
            notes: Vec::new(),
            index: 0,
            expired: 0,
            root: root.to_owned(),
            hidden: hidden.iter().map(|&it| it.to_owned()).collect(),
        };
        let some = tree("/app", &["/app/a/_b", "/app/_c"]);
        for (key, expected) in [
            ("a", true),
            ("a_b", true),
            ("_a", false),
            ("a/_b", true),
            ("a/_b/c", true),
            ("a/_b/_c", false),
            ("a/_bc", false),
            ("_c/d", true),
        ] {
            assert_eq!(some.can_show(key), expected, "{key}");
        }
        let all = tree("", &[]);
        assert!(all.can_show("a/b") && !all.can_show("_a") && !all.can_show("a/_b/c"));
    }
}
