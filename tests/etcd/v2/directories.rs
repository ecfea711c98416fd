//! Directories: set, create, update, delete, and their maximum depth.

use std::time::Duration;

use etcd_http::{
    Error, EtcdErrorKind, Outcome,
    transport::Transport,
    v2::{Action, DeleteDir, Get, Node, SetDir, UpdateDir},
};
use harness::{
    case::{Etcd, refusal},
    cases,
};

cases! {
    any {
        Shared {
            v2_44_a_set_dir_makes_a_directory_and_those_on_the_way,
            v2_45_a_set_dir_refuses_a_directory_that_is_there,
            v2_45_a_set_dir_takes_the_place_of_a_file,
            v2_45_a_set_refuses_a_directory,
            v2_46_a_create_dir_needs_the_key_to_be_free,
            v2_50_an_update_dir_changes_the_ttl_or_is_unsupported,
            v2_50_an_update_dir_keeps_the_stored_index_or_is_unsupported,
            v2_50_an_update_refuses_a_directory,
            an_update_dir_of_what_is_missing_is_refused,
            an_update_dir_of_a_file_empties_its_value,
            v2_54_a_delete_refuses_a_directory,
            v2_54_a_delete_dir_needs_it_to_be_empty,
            v2_54_a_delete_dir_counts_hidden_children,
            v2_54_a_recursive_delete_is_one_event,
            v2_54_a_delete_dir_takes_a_file_too,
        }
        Alone {
            directories_500_deep_are_made_read_and_deleted_at_once,
        }
    }
}

async fn v2_44_a_set_dir_makes_a_directory_and_those_on_the_way<T: Transport>(etcd: Etcd<T>) {
    let made = etcd.v2().set_dir(etcd.key("a/b")).await.unwrap();
    assert_eq!((made.action, made.created), (Action::Set, true));
    assert!(made.node.dir);
    assert_eq!((made.node.value, made.prev_node), (None, None));
    let parent = etcd.v2().get(etcd.key("a")).await.unwrap().node;
    assert!(parent.dir);
    assert_eq!(parent.created_index, made.node.created_index);
    assert_eq!(parent.nodes.len(), 1);
}

async fn v2_45_a_set_dir_refuses_a_directory_that_is_there<T: Transport>(etcd: Etcd<T>) {
    etcd.v2().set_dir(etcd.key("d")).await.unwrap();
    let again = refusal(etcd.v2().set_dir(etcd.key("d")).await);
    assert_eq!(again, (EtcdErrorKind::NotAFile, Some(102), etcd.key("d")));
}

async fn v2_45_a_set_dir_takes_the_place_of_a_file<T: Transport>(etcd: Etcd<T>) {
    let file = etcd.v2().set(etcd.key("x"), "1").await.unwrap();
    let dir = etcd.v2().set_dir(etcd.key("x")).await.unwrap();
    assert!(dir.node.dir && !dir.created);
    assert_eq!(dir.prev_node, Some(file.node));
}

async fn v2_45_a_set_refuses_a_directory<T: Transport>(etcd: Etcd<T>) {
    etcd.v2().set_dir(etcd.key("d")).await.unwrap();
    let error = etcd.v2().set(etcd.key("d"), "1").await.unwrap_err();
    assert!(error.is_not_a_file());
    assert_eq!(error.outcome(), Outcome::Rejected);
}

async fn v2_46_a_create_dir_needs_the_key_to_be_free<T: Transport>(etcd: Etcd<T>) {
    let made = etcd.v2().create_dir(etcd.key("d")).await.unwrap();
    assert_eq!((made.action, made.created), (Action::Create, true));
    assert!(made.node.dir);
    etcd.v2().set(etcd.key("f"), "1").await.unwrap();
    for taken in ["d", "f"] {
        let refused = refusal(etcd.v2().create_dir(etcd.key(taken)).await);
        let expected = (EtcdErrorKind::AlreadyExists, Some(105), etcd.key(taken));
        assert_eq!(refused, expected);
    }
}

/// <https://github.com/etcd-io/etcd/issues/13589>
#[track_caller]
fn assert_unsupported(error: &Error, operation: &str) {
    assert!(matches!(error, Error::Unsupported(_)), "{error:?}");
    assert_eq!(error.outcome(), Outcome::Rejected);
    let text = error.to_string();
    assert!(
        text.starts_with(&format!("{operation} at http://")),
        "{text}"
    );
    let reason = ": this server (etcd 3.5) cannot update a directory or refresh its TTL: see etcd issue 13589";
    assert!(text.contains(reason), "{text}");
    assert!(text.contains("Not a file"), "etcd's own words: {text}");
}

async fn v2_50_an_update_dir_changes_the_ttl_or_is_unsupported<T: Transport>(etcd: Etcd<T>) {
    let key = etcd.key("d");
    etcd.v2().set(etcd.key("d/file"), "1").await.unwrap();
    let give = UpdateDir::new(&key).ttl(Duration::from_secs(100));
    if etcd.is_3_5() {
        let error = etcd.send(give).await.unwrap_err();
        assert_unsupported(&error, "v2.keys.update_dir");
        let error = etcd.v2().update_dir(&key).await.unwrap_err();
        assert_unsupported(&error, "v2.keys.update_dir");
        assert_eq!(etcd.v2().get(&key).await.unwrap().node.ttl, None);
        return;
    }
    let given = etcd.send(give).await.unwrap();
    assert_eq!(given.action, Action::Update);
    assert_eq!(given.node.ttl, Some(Duration::from_secs(100)));
    assert!(given.prev_node.unwrap().dir);
    let read = etcd.v2().get(&key).await.unwrap().node;
    assert!(read.ttl.is_some());
    assert_eq!(read.nodes.len(), 1);
    etcd.v2().update_dir(&key).await.unwrap();
    assert_eq!(etcd.v2().get(&key).await.unwrap().node.ttl, None);
}

async fn v2_50_an_update_dir_keeps_the_stored_index_or_is_unsupported<T: Transport>(etcd: Etcd<T>) {
    let made = etcd.v2().set_dir(etcd.key("d")).await.unwrap();
    let updated = etcd.v2().update_dir(etcd.key("d")).await;
    if etcd.is_3_5() {
        assert_unsupported(&updated.unwrap_err(), "v2.keys.update_dir");
    } else {
        assert!(updated.unwrap().index() > made.index());
    }
    let read = etcd.v2().get(etcd.key("d")).await.unwrap();
    assert_eq!(read.index(), made.index());
}

async fn v2_50_an_update_refuses_a_directory<T: Transport>(etcd: Etcd<T>) {
    etcd.v2().set_dir(etcd.key("d")).await.unwrap();
    let refused = refusal(etcd.v2().update(etcd.key("d"), "1").await);
    assert_eq!(refused, (EtcdErrorKind::NotAFile, Some(102), etcd.key("d")));
    // With an empty value etcd accepts a directory.
    let emptied = etcd.v2().update(etcd.key("d"), "").await;
    if etcd.is_3_5() {
        assert_unsupported(&emptied.unwrap_err(), "v2.keys.update");
    } else {
        assert!(emptied.unwrap().node.dir);
    }
}

async fn an_update_dir_of_what_is_missing_is_refused<T: Transport>(etcd: Etcd<T>) {
    let error = etcd.v2().update_dir(etcd.key("d")).await.unwrap_err();
    assert!(error.is_key_not_found());
}

async fn an_update_dir_of_a_file_empties_its_value<T: Transport>(etcd: Etcd<T>) {
    etcd.v2().set(etcd.key("f"), "1").await.unwrap();
    let updated = etcd.v2().update_dir(etcd.key("f")).await.unwrap();
    assert!(!updated.node.dir);
    assert_eq!(updated.node.value.as_deref(), Some(""));
    assert_eq!(updated.prev_node.unwrap().value.as_deref(), Some("1"));
}

async fn v2_54_a_delete_refuses_a_directory<T: Transport>(etcd: Etcd<T>) {
    etcd.v2().set_dir(etcd.key("d")).await.unwrap();
    let refused = refusal(etcd.v2().delete(etcd.key("d")).await);
    assert_eq!(refused, (EtcdErrorKind::NotAFile, Some(102), etcd.key("d")));
}

async fn v2_54_a_delete_dir_needs_it_to_be_empty<T: Transport>(etcd: Etcd<T>) {
    etcd.v2().set(etcd.key("d/f"), "1").await.unwrap();
    let full = etcd.v2().delete_dir(etcd.key("d")).await;
    let expected = (EtcdErrorKind::DirectoryNotEmpty, Some(108), etcd.key("d"));
    assert_eq!(refusal(full), expected);
    etcd.v2().delete(etcd.key("d/f")).await.unwrap();
    let deleted = etcd.v2().delete_dir(etcd.key("d")).await.unwrap();
    assert_eq!(deleted.action, Action::Delete);
    assert!(deleted.node.dir && deleted.prev_node.unwrap().dir);
    let again = etcd.v2().delete_dir(etcd.key("d")).await.unwrap_err();
    assert!(again.is_key_not_found());
}

async fn v2_54_a_delete_dir_counts_hidden_children<T: Transport>(etcd: Etcd<T>) {
    etcd.v2().set(etcd.key("d/_f"), "1").await.unwrap();
    let dir = etcd.v2().get(etcd.key("d")).await.unwrap();
    assert!(dir.node.nodes.is_empty());
    let error = etcd.v2().delete_dir(etcd.key("d")).await.unwrap_err();
    assert!(error.is_directory_not_empty());
}

async fn v2_54_a_recursive_delete_is_one_event<T: Transport>(etcd: Etcd<T>) {
    for name in ["d/a", "d/b/c", "d/_hidden"] {
        etcd.v2().set(etcd.key(name), "1").await.unwrap();
    }
    let recursive = DeleteDir::new(etcd.key("d")).recursive(true);
    let deleted = etcd.send(recursive).await.unwrap();
    assert_eq!(Some(deleted.index()), deleted.cluster.etcd_index);
    let before = deleted.prev_node.unwrap();
    assert!(before.dir && before.nodes.is_empty());
    for name in ["d", "d/a", "d/b/c", "d/_hidden"] {
        assert!(!etcd.v2().exists(etcd.key(name)).await.unwrap());
    }
}

async fn v2_54_a_delete_dir_takes_a_file_too<T: Transport>(etcd: Etcd<T>) {
    etcd.v2().set(etcd.key("f"), "1").await.unwrap();
    let deleted = etcd.v2().delete_dir(etcd.key("f")).await.unwrap();
    assert!(!deleted.node.dir);
    assert_eq!(deleted.prev_node.unwrap().value.as_deref(), Some("1"));
}

async fn directories_500_deep_are_made_read_and_deleted_at_once<T: Transport>(etcd: Etcd<T>) {
    let bottom = format!("/top{}/file", "/d".repeat(499));
    etcd.v2().set(&bottom, "deep").await.unwrap();
    let read = etcd.send(Get::new("/").recursive(true)).await.unwrap();
    let mut node: &Node = &read.node;
    let mut depth = 0;
    while let [child] = node.nodes.as_slice() {
        node = child;
        depth += 1;
    }
    assert_eq!(depth, 501);
    assert_eq!(
        (node.key.as_str(), node.value.as_deref()),
        (bottom.as_str(), Some("deep"))
    );
    assert_eq!(etcd.v2().get(&bottom).await.unwrap().node, *node);
    // A listing that is not recursive stops at the first.
    let listing = etcd.v2().get("/top").await.unwrap();
    assert!(listing.node.nodes[0].nodes.is_empty());
    etcd.send(SetDir::new("/top/e")).await.unwrap();
    etcd.v2().delete_tree("/top").await.unwrap();
    assert!(etcd.v2().get("/").await.unwrap().node.nodes.is_empty());
}
