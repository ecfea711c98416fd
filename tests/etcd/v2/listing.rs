//! Reads of directories: order, depth, hidden keys, quorum; and whether a key exists.

use etcd_http::{
    transport::Transport,
    v2::{Action, Event, Exists, Get, Node},
};
use harness::{
    case::{Etcd, refusal},
    cases,
};

cases! {
    any {
        Shared {
            v2_38_a_listing_shows_children_and_not_theirs,
            v2_38_a_recursive_listing_shows_all_that_is_below,
            v2_36_a_sorted_listing_is_sorted_at_every_level,
            v2_37_a_file_is_read_the_same_with_every_option,
            v2_38_an_empty_directory_has_no_nodes,
            v2_39_hidden_keys_are_left_out_at_every_level,
            v2_39_hidden_keys_are_found_by_their_names,
            v2_23_a_quorum_read_returns_the_same,
            exists_is_true_of_files_directories_and_hidden_keys,
            exists_is_false_of_what_is_missing_or_below_a_file,
            v2_13_exists_asks_the_majority_too,
        }
        Alone {
            v2_33_the_root_is_a_directory_with_index_0,
        }
    }
}

fn names(nodes: &[Node]) -> Vec<&str> {
    nodes.iter().map(Node::name).collect()
}

/// Files by name, with their names as values.
async fn plant<T: Transport>(etcd: &Etcd<T>, files: &[&str]) {
    for file in files {
        etcd.v2().set(etcd.key(file), *file).await.unwrap();
    }
}

async fn list<T: Transport>(etcd: &Etcd<T>, recursive: bool) -> Event {
    let get = Get::new(etcd.root()).recursive(recursive).sorted(true);
    etcd.send(get).await.unwrap()
}

async fn v2_38_a_listing_shows_children_and_not_theirs<T: Transport>(etcd: Etcd<T>) {
    plant(&etcd, &["a", "d/b", "d/e/c"]).await;
    let listing = list(&etcd, false).await;
    assert_eq!(listing.action, Action::Get);
    assert_eq!(names(&listing.node.nodes), ["a", "d"]);
    let [a, d] = listing.node.nodes.as_slice() else {
        panic!("{listing:?}");
    };
    assert_eq!((a.value.as_deref(), a.dir), (Some("a"), false));
    assert!(d.dir && d.nodes.is_empty() && d.value.is_none());
}

async fn v2_38_a_recursive_listing_shows_all_that_is_below<T: Transport>(etcd: Etcd<T>) {
    plant(&etcd, &["a", "d/b", "d/e/c"]).await;
    let root = list(&etcd, true).await.node;
    let d = &root.nodes[1];
    assert_eq!(names(&d.nodes), ["b", "e"]);
    assert_eq!(names(&d.nodes[1].nodes), ["c"]);
    let c = etcd.v2().get(etcd.key("d/e/c")).await.unwrap();
    assert_eq!(d.nodes[1].nodes[0], c.node);
}

async fn v2_36_a_sorted_listing_is_sorted_at_every_level<T: Transport>(etcd: Etcd<T>) {
    let sorted = ["10", "2", "A", "B", "a", "aa", "b", "~", "é", "ж"];
    for dir in ["y", "x"] {
        for name in sorted.iter().rev() {
            let key = etcd.key(format!("{dir}/{name}"));
            etcd.v2().set(key, "").await.unwrap();
        }
    }
    let root = list(&etcd, true).await.node;
    assert_eq!(names(&root.nodes), ["x", "y"]);
    for dir in &root.nodes {
        assert_eq!(names(&dir.nodes), sorted);
    }
    // Unsorted, the same in any order.
    let unsorted = etcd.v2().get(etcd.key("x")).await.unwrap().node;
    let mut nodes = unsorted.nodes;
    nodes.sort_by(|a, b| a.key.cmp(&b.key));
    assert_eq!(nodes, root.nodes[0].nodes);
}

async fn v2_37_a_file_is_read_the_same_with_every_option<T: Transport>(etcd: Etcd<T>) {
    let made = etcd.v2().set(etcd.key("f"), "1").await.unwrap().node;
    for bits in 0..8 {
        let get = Get::new(etcd.key("f"))
            .recursive(bits & 1 != 0)
            .sorted(bits & 2 != 0)
            .quorum(bits & 4 != 0);
        assert_eq!(etcd.send(get).await.unwrap().node, made);
    }
}

async fn v2_38_an_empty_directory_has_no_nodes<T: Transport>(etcd: Etcd<T>) {
    etcd.v2().set_dir(etcd.key("d")).await.unwrap();
    let dir = etcd.v2().get(etcd.key("d")).await.unwrap().node;
    assert!(dir.dir && dir.nodes.is_empty());
}

async fn v2_39_hidden_keys_are_left_out_at_every_level<T: Transport>(etcd: Etcd<T>) {
    plant(&etcd, &["a", "_b", "d/c", "d/_e", "_g/h", "i_j"]).await;
    let root = list(&etcd, true).await.node;
    assert_eq!(names(&root.nodes), ["a", "d", "i_j"]);
    assert_eq!(names(&root.nodes[1].nodes), ["c"]);
    assert!(!root.nodes[2].is_hidden());
}

async fn v2_39_hidden_keys_are_found_by_their_names<T: Transport>(etcd: Etcd<T>) {
    plant(&etcd, &["_f", "_d/a", "_d/_b", "_d/e/c"]).await;
    let file = etcd.v2().get(etcd.key("_f")).await.unwrap().node;
    assert!(file.is_hidden());
    assert_eq!(file.value.as_deref(), Some("_f"));
    let get = Get::new(etcd.key("_d")).recursive(true).sorted(true);
    let dir = etcd.send(get).await.unwrap().node;
    assert_eq!(names(&dir.nodes), ["a", "e"]);
    assert_eq!(names(&dir.nodes[1].nodes), ["c"]);
    etcd.v2().update(etcd.key("_d/_b"), "2").await.unwrap();
    etcd.v2().delete(etcd.key("_d/_b")).await.unwrap();
}

async fn v2_23_a_quorum_read_returns_the_same<T: Transport>(etcd: Etcd<T>) {
    plant(&etcd, &["a", "d/b"]).await;
    let plain = list(&etcd, true).await;
    let quorum = Get::new(etcd.root())
        .recursive(true)
        .sorted(true)
        .quorum(true);
    let quorum = etcd.send(quorum).await.unwrap();
    assert_eq!(quorum.node, plain.node);
    assert!(quorum.cluster.raft_index > plain.cluster.raft_index);
    let missing = Get::new(etcd.key("none")).quorum(true);
    let refused = refusal(etcd.send(missing).await);
    assert_eq!((refused.1, refused.2), (Some(100), etcd.key("none")));
}

async fn exists_is_true_of_files_directories_and_hidden_keys<T: Transport>(etcd: Etcd<T>) {
    plant(&etcd, &["f", "d/a", "_h"]).await;
    for name in ["f", "d", "d/", "d/a", "_h"] {
        assert!(etcd.v2().exists(etcd.key(name)).await.unwrap(), "{name}");
    }
    assert!(etcd.v2().exists("/").await.unwrap());
}

async fn exists_is_false_of_what_is_missing_or_below_a_file<T: Transport>(etcd: Etcd<T>) {
    plant(&etcd, &["f"]).await;
    for name in ["none", "none/x", "f/x", "f/x/y"] {
        assert!(!etcd.v2().exists(etcd.key(name)).await.unwrap(), "{name}");
    }
}

async fn v2_13_exists_asks_the_majority_too<T: Transport>(etcd: Etcd<T>) {
    plant(&etcd, &["f"]).await;
    for (name, there) in [("f", true), ("f/x", false), ("none", false)] {
        let exists = Exists::new(etcd.key(name)).quorum(true);
        assert_eq!(etcd.send(exists).await.unwrap(), there, "{name}");
    }
}

async fn v2_33_the_root_is_a_directory_with_index_0<T: Transport>(etcd: Etcd<T>) {
    let root = etcd.v2().get("/").await.unwrap().node;
    assert_eq!(root.key, "/");
    assert!(root.dir && root.nodes.is_empty());
    assert_eq!((root.modified_index, root.created_index), (0, 0));
    assert_eq!(root.name(), "");
    plant(&etcd, &["a"]).await;
    let root = etcd.v2().get("").await.unwrap().node;
    assert_eq!(root.nodes.len(), 1);
    assert_eq!(root.nodes[0].key, etcd.root());
}
