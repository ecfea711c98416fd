use crate::v2::{
    node::Node,
    watch::event::{Action, Event},
};

/// Returns whether an event matches a watch on `key`.
///
/// The server's history matches by prefix (`/ab` for `/a`) and includes hidden keys.
pub(super) fn matches(key: &str, recursive: bool, event: &Event) -> bool {
    let changed = event.node.key.as_str();
    if changed == key {
        return true;
    }
    if let Some(below) = below(key, changed) {
        return recursive && !below.split('/').any(|segment| segment.starts_with('_'));
    }
    // A directory above the key was deleted, and the key with it.
    matches!(event.action, Action::Delete | Action::Expire) && below(changed, key).is_some()
}

/// Returns whether this file has the value that it had before `index`. Not decidable for a directory, which can lose
/// children without a trace.
pub(super) fn is_unchanged_file(node: &Node, index: u64) -> bool {
    !node.dir && node.modified_index < index
}

/// Returns the part of `key` below `dir`.
fn below<'a>(dir: &str, key: &'a str) -> Option<&'a str> {
    key.strip_prefix(dir.trim_end_matches('/'))?
        .strip_prefix('/')
        .filter(|below| !below.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::v2::ClusterInfo;

    fn event(action: Action, key: &str) -> Event {
        Event {
            action,
            node: Node {
                key: key.to_owned(),
                ..Node::default()
            },
            prev_node: None,
            created: false,
            cluster: ClusterInfo::default(),
        }
    }

    #[test]
    fn a_watch_sees_its_key_and_what_is_below_if_recursive() {
        let set = |key| event(Action::Set, key);
        assert!(matches("/a", false, &set("/a")));
        assert!(!matches("/a", false, &set("/a/b")));
        assert!(matches("/a", true, &set("/a/b/c")));
        assert!(matches("/", true, &set("/a")));
        assert!(!matches("/a", true, &set("/b")));
        assert!(!matches("/a", true, &set("/ab")));
        assert!(!matches("/a/b", true, &set("/a")));
    }

    #[test]
    fn v2_85_and_86_hidden_keys_are_seen_only_by_watches_that_name_them() {
        let set = |key| event(Action::Set, key);
        assert!(!matches("/a", true, &set("/a/_b")));
        assert!(!matches("/", true, &set("/a/_b/c")));
        assert!(matches("/a/_b", true, &set("/a/_b/c")));
        assert!(matches("/a/_b", false, &set("/a/_b")));
    }

    #[test]
    fn v2_87_and_88_a_directory_takes_along_what_is_below_it_and_nothing_beside_it() {
        let delete = |key| event(Action::Delete, key);
        assert!(matches("/a/b/c", false, &delete("/a")));
        assert!(matches("/a/b/c", true, &event(Action::Expire, "/a/b")));
        assert!(!matches("/ab", false, &delete("/a")));
        assert!(!matches("/prefix/x", true, &delete("/pre")));
    }

    #[test]
    fn only_a_file_can_prove_that_nothing_was_lost() {
        let file = Node {
            modified_index: 7,
            ..Node::default()
        };
        let dir = Node {
            dir: true,
            ..file.clone()
        };
        assert!(is_unchanged_file(&file, 8));
        assert!(!is_unchanged_file(&file, 7));
        assert!(!is_unchanged_file(&dir, 8));
    }
}
