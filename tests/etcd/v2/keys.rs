//! Files: set, create, update, delete, and what keys and values can be.

use etcd_http::{
    Error, EtcdErrorKind, Outcome,
    transport::{Transport, http::Method},
    v2::{Action, CompareAndSwap, Condition, Create, Get, Set, Update},
};
use harness::{
    case::{Etcd, refusal},
    cases,
};

cases! {
    any {
        Shared {
            v2_44_a_set_makes_or_replaces_a_file,
            v2_12_a_write_responds_with_its_own_index,
            v2_9_a_response_tells_of_the_cluster,
            v2_46_a_create_needs_the_key_to_be_free,
            v2_49_an_update_needs_the_key_to_be_there,
            v2_49_an_update_keeps_the_created_index,
            v2_42_a_missing_key_names_the_first_prefix_that_is_missing,
            v2_47_a_path_through_a_file_names_the_file_and_leaves_nothing_behind,
            v2_54_a_deleted_file_is_gone_and_shown_a_last_time,
            v2_55_the_root_is_read_only,
            v2_56_a_write_without_value_returns_no_nodes,
            v2_59_the_same_set_twice_is_two_writes,
            v2_5_a_trailing_slash_names_the_same_key,
            a_key_without_a_slash_at_its_beginning_is_the_same_key,
            v2_4_a_percent_literal_is_not_an_escape,
            v2_4_bytes_that_are_no_utf_8_are_shown_as_replacements,
            v2_35_every_ascii_byte_of_a_value_survives,
            v2_32_an_empty_value_is_a_value,
            short_forms_can_be_kept_and_joined,
        }
        Alone {
            v2_35_awkward_values_survive_every_write,
            v2_4_awkward_keys_survive_every_operation,
            v2_4_every_ascii_byte_of_a_key_survives,
            v2_43_each_write_adds_one_and_a_failure_none,
            v2_170_a_value_of_8_mib_survives,
            v2_170_eight_mib_of_words_beyond_ascii_survive,
            v2_170_a_value_beyond_the_servers_limit_is_refused_before_it_is_sent,
        }
    }
}

/// Characters that have a meaning in HTTP, URLs, forms or JSON.
const AWKWARD: &[&str] = &[
    " ",
    "a b",
    " leading and trailing ",
    "%",
    "%2F",
    "%2e%2e",
    "%zz",
    "100%",
    "?",
    "?wait=true",
    "#",
    "a#b",
    "+",
    "a+b",
    ";",
    "a;b",
    "&",
    "a&ttl=5",
    "=",
    "value=1",
    "'",
    "\"",
    "<script>",
    "|",
    "\\",
    "\\u0041",
    "...",
    ".a",
    "a.",
    ":",
    "@",
    "http:",
    "*",
    "[x]",
    "{x}",
    "^`~!$(),",
    "\0",
    "a\0b",
    "\r",
    "\n",
    "\r\n",
    "\t",
    "\u{7f}",
    "\u{8}\u{c}\u{1b}",
    "é",
    "ключ",
    "鍵",
    "🔑",
    "e\u{301}",
    "\u{2028}\u{2029}",
    "\u{feff}",
    "\u{fffd}",
    "\u{10ffff}",
];

async fn v2_44_a_set_makes_or_replaces_a_file<T: Transport>(etcd: Etcd<T>) {
    let key = etcd.key("file");
    let made = etcd.v2().set(&key, "one").await.unwrap();
    assert_eq!(made.action, Action::Set);
    assert!(made.created);
    assert_eq!(made.node.key, key);
    assert_eq!(made.node.value.as_deref(), Some("one"));
    assert_eq!(made.node.created_index, made.node.modified_index);
    assert!(!made.node.dir && made.node.ttl.is_none() && made.node.nodes.is_empty());
    assert_eq!(made.prev_node, None);

    let replaced = etcd.v2().set(&key, "two").await.unwrap();
    assert_eq!(replaced.action, Action::Set);
    assert!(!replaced.created);
    assert_eq!(replaced.prev_node.as_ref(), Some(&made.node));
    assert!(replaced.node.modified_index > made.node.modified_index);
    assert_eq!(replaced.node.created_index, replaced.node.modified_index);
    let read = etcd.v2().get(&key).await.unwrap();
    assert_eq!(read.action, Action::Get);
    assert_eq!((read.node, read.prev_node), (replaced.node, None));
}

async fn v2_12_a_write_responds_with_its_own_index<T: Transport>(etcd: Etcd<T>) {
    let set = etcd.v2().set(etcd.key("a"), "1").await.unwrap();
    assert_eq!(set.cluster.etcd_index, Some(set.index()));
    let read = etcd.v2().get(etcd.key("a")).await.unwrap();
    assert!(read.cluster.etcd_index >= Some(set.index()));
}

async fn v2_9_a_response_tells_of_the_cluster<T: Transport>(etcd: Etcd<T>) {
    let set = etcd.v2().set(etcd.key("a"), "1").await.unwrap().cluster;
    let id = set.cluster_id.clone().unwrap();
    // Hexadecimal, without leading zeros: one cluster in sixteen has fewer than 16 digits.
    let number = u64::from_str_radix(&id, 16).unwrap();
    assert_eq!(format!("{number:x}"), id);
    assert!(set.raft_term > Some(0));
    let get = etcd.v2().get(etcd.key("a")).await.unwrap().cluster;
    assert_eq!((get.cluster_id, get.raft_term), (Some(id), set.raft_term));
    assert!(get.raft_index >= set.raft_index && set.raft_index.is_some());
}

async fn v2_46_a_create_needs_the_key_to_be_free<T: Transport>(etcd: Etcd<T>) {
    let key = etcd.key("dir/file");
    let made = etcd.v2().create(&key, "one").await.unwrap();
    assert_eq!(made.action, Action::Create);
    assert!(made.created && made.prev_node.is_none());

    let error = etcd.v2().create(&key, "two").await.unwrap_err();
    assert!(error.is_already_exists());
    assert_eq!(error.outcome(), Outcome::Rejected);
    let on_directory = refusal(etcd.v2().create(etcd.key("dir"), "two").await);
    let expected = (EtcdErrorKind::AlreadyExists, Some(105), etcd.key("dir"));
    assert_eq!(on_directory, expected);
    let read = etcd.v2().get(&key).await.unwrap();
    assert_eq!(read.node, made.node);
}

async fn v2_49_an_update_needs_the_key_to_be_there<T: Transport>(etcd: Etcd<T>) {
    let error = etcd.v2().update(etcd.key("none"), "1").await.unwrap_err();
    assert!(error.is_key_not_found());
    assert!(!etcd.v2().exists(etcd.key("none")).await.unwrap());
}

async fn v2_49_an_update_keeps_the_created_index<T: Transport>(etcd: Etcd<T>) {
    let made = etcd.v2().set(etcd.key("a"), "one").await.unwrap();
    let updated = etcd.v2().update(etcd.key("a"), "two").await.unwrap();
    assert_eq!(updated.action, Action::Update);
    assert!(!updated.created);
    assert_eq!(updated.node.value.as_deref(), Some("two"));
    assert_eq!(updated.node.created_index, made.node.created_index);
    assert_eq!(Some(updated.index()), updated.cluster.etcd_index);
    assert_eq!(updated.prev_node, Some(made.node));

    let emptied = etcd.v2().update(etcd.key("a"), "").await.unwrap();
    assert_eq!(emptied.node.value.as_deref(), Some(""));
}

async fn v2_42_a_missing_key_names_the_first_prefix_that_is_missing<T: Transport>(etcd: Etcd<T>) {
    etcd.v2().set_dir(etcd.root()).await.unwrap();
    let (kind, code, cause) = refusal(etcd.v2().get(etcd.key("np/x/y")).await);
    assert_eq!((kind, code), (EtcdErrorKind::KeyNotFound, Some(100)));
    assert_eq!(cause, etcd.key("np"));
    for missing in [
        etcd.v2().update(etcd.key("np/x"), "v").await,
        etcd.v2().delete(etcd.key("np/x")).await,
        etcd.v2().delete_tree(etcd.key("np/x")).await,
    ] {
        assert_eq!(refusal(missing).2, etcd.key("np"));
    }
}

async fn v2_47_a_path_through_a_file_names_the_file_and_leaves_nothing_behind<T: Transport>(
    etcd: Etcd<T>,
) {
    let file = etcd.key("file");
    etcd.v2().set(&file, "1").await.unwrap();
    let below = etcd.key("file/x/y");
    for refused in [
        etcd.v2().get(&below).await,
        etcd.v2().set(&below, "v").await,
        etcd.v2().create(&below, "v").await,
        etcd.v2().update(&below, "v").await,
        etcd.v2().set_dir(&below).await,
        etcd.v2().create_in_order(&below, "v").await,
        etcd.v2().delete(&below).await,
        etcd.v2()
            .compare_and_swap(&below, "v", Condition::index_is(1))
            .await,
        etcd.v2()
            .compare_and_delete(&below, Condition::index_is(1))
            .await,
    ] {
        let expected = (EtcdErrorKind::NotADirectory, Some(104), file.clone());
        assert_eq!(refusal(refused), expected);
    }
    let all = Get::new(etcd.root()).recursive(true);
    let nodes = etcd.send(all).await.unwrap().node.nodes;
    assert_eq!(nodes.len(), 1);
    assert_eq!(nodes[0].value.as_deref(), Some("1"));
}

async fn v2_54_a_deleted_file_is_gone_and_shown_a_last_time<T: Transport>(etcd: Etcd<T>) {
    let made = etcd.v2().set(etcd.key("a"), "1").await.unwrap();
    let deleted = etcd.v2().delete(etcd.key("a")).await.unwrap();
    assert_eq!(deleted.action, Action::Delete);
    assert_eq!(deleted.node.key, etcd.key("a"));
    assert_eq!(deleted.node.value, None);
    assert_eq!(deleted.node.created_index, made.node.created_index);
    assert_eq!(Some(deleted.index()), deleted.cluster.etcd_index);
    assert_eq!(deleted.prev_node, Some(made.node));
    let again = etcd.v2().delete(etcd.key("a")).await.unwrap_err();
    assert!(again.is_key_not_found());
}

async fn v2_55_the_root_is_read_only<T: Transport>(etcd: Etcd<T>) {
    let condition = || Condition::index_is(1);
    for refused in [
        etcd.v2().set("/", "v").await,
        etcd.v2().set("", "v").await,
        etcd.v2().create("/", "v").await,
        etcd.v2().update("/", "v").await,
        etcd.v2().set_dir("/").await,
        etcd.v2().create_dir("/").await,
        etcd.v2().delete("/").await,
        etcd.v2().delete_tree("/").await,
        etcd.v2().compare_and_swap("/", "v", condition()).await,
    ] {
        let expected = (EtcdErrorKind::RootReadOnly, Some(107), "/".to_owned());
        assert_eq!(refusal(refused), expected);
    }
    let compared = refusal(etcd.v2().compare_and_delete("/", condition()).await);
    assert_eq!(
        compared,
        (EtcdErrorKind::NotAFile, Some(102), String::new())
    );
}

async fn v2_56_a_write_without_value_returns_no_nodes<T: Transport>(etcd: Etcd<T>) {
    let key = etcd.key("a");
    let made = etcd
        .send(Set::new(&key, "0").without_value())
        .await
        .unwrap();
    assert_eq!((made.action, made.created), (Action::Set, true));
    let replaced = etcd
        .send(Set::new(&key, "1").without_value())
        .await
        .unwrap();
    assert_eq!((replaced.action, replaced.created), (Action::Set, false));

    let update = Update::new(&key, "2").without_value();
    let updated = etcd.send(update).await.unwrap();
    assert_eq!((updated.action, updated.created), (Action::Update, false));
    let index = updated.cluster.etcd_index.unwrap();
    let swap = CompareAndSwap::new(&key, "3", Condition::index_is(index)).without_value();
    let swapped = etcd.send(swap).await.unwrap();
    assert_eq!(swapped.action, Action::CompareAndSwap);
    assert!(swapped.cluster.etcd_index > Some(index));

    let create = Create::new(etcd.key("b"), "4").without_value();
    let created = etcd.send(create.clone()).await.unwrap();
    assert_eq!((created.action, created.created), (Action::Create, true));
    assert!(etcd.send(create).await.unwrap_err().is_already_exists());
    let read = etcd.v2().get(&key).await.unwrap();
    assert_eq!(read.node.value.as_deref(), Some("3"));
    assert_eq!(Some(read.index()), swapped.cluster.etcd_index);
}

async fn v2_59_the_same_set_twice_is_two_writes<T: Transport>(etcd: Etcd<T>) {
    let one = etcd.v2().set(etcd.key("a"), "1").await.unwrap();
    let two = etcd.v2().set(etcd.key("a"), "1").await.unwrap();
    assert!(two.index() > one.index());
}

async fn v2_5_a_trailing_slash_names_the_same_key<T: Transport>(etcd: Etcd<T>) {
    let set = etcd.v2().set(etcd.key("a/"), "1").await.unwrap();
    assert_eq!(set.node.key, etcd.key("a"));
    let read = etcd.v2().get(etcd.key("a")).await.unwrap();
    assert_eq!(read.node, set.node);
    let listed = etcd.v2().get(format!("{}/", etcd.root())).await.unwrap();
    assert_eq!(listed.node.key, etcd.root());
    assert!(etcd.v2().exists(etcd.key("a/")).await.unwrap());
}

async fn a_key_without_a_slash_at_its_beginning_is_the_same_key<T: Transport>(etcd: Etcd<T>) {
    let key = etcd.key("a");
    let set = etcd
        .v2()
        .set(key.trim_start_matches('/'), "1")
        .await
        .unwrap();
    assert_eq!(set.node.key, key);
}

async fn v2_4_every_ascii_byte_of_a_key_survives<T: Transport>(etcd: Etcd<T>) {
    for byte in (0..128_u8).filter(|byte| *byte != b'/') {
        let name = format!("x{}y", char::from(byte));
        let key = etcd.key(&name);
        let set = etcd.v2().set(&key, format!("{byte}")).await.unwrap();
        assert_eq!(set.node.key, key);
        assert_eq!(set.node.name(), name);
    }
    let listing = etcd.v2().get(etcd.root()).await.unwrap();
    assert_eq!(listing.node.nodes.len(), 127);
    for node in listing.node.nodes {
        let byte = node.name().as_bytes()[1];
        assert_eq!(node.value, Some(byte.to_string()), "{}", node.key);
    }
}

async fn v2_4_awkward_keys_survive_every_operation<T: Transport>(etcd: Etcd<T>) {
    for name in AWKWARD {
        // As a file, and as a directory on the way.
        for key in [etcd.key(name), etcd.key(format!("d/{name}/f"))] {
            let made = etcd.v2().create(&key, "1").await.unwrap();
            assert_eq!(made.node.key, key);
            assert!(etcd.v2().exists(&key).await.unwrap(), "{name:?}");
            let index = Condition::index_is(made.index());
            let swapped = etcd.v2().compare_and_swap(&key, "2", index).await.unwrap();
            assert_eq!(swapped.prev_node, Some(made.node));
            let value = Condition::value_is("2");
            let deleted = etcd.v2().compare_and_delete(&key, value).await.unwrap();
            assert_eq!(deleted.node.key, key);
            assert!(!etcd.v2().exists(&key).await.unwrap(), "{name:?}");
        }
    }
    let directories = Get::new(etcd.key("d")).sorted(true);
    let directories = etcd.send(directories).await.unwrap().node.nodes;
    let mut expected: Vec<_> = AWKWARD.to_vec();
    expected.sort_unstable();
    let names: Vec<_> = directories.iter().map(|node| node.name()).collect();
    assert_eq!(names, expected);
}

async fn v2_4_a_percent_literal_is_not_an_escape<T: Transport>(etcd: Etcd<T>) {
    etcd.v2().set(etcd.key("a/b"), "below").await.unwrap();
    etcd.v2().set(etcd.key("a%2Fb"), "beside").await.unwrap();
    let below = etcd.v2().get(etcd.key("a/b")).await.unwrap();
    assert_eq!(below.node.value.as_deref(), Some("below"));
    let beside = etcd.v2().get(etcd.key("a%2Fb")).await.unwrap();
    assert_eq!(beside.node.value.as_deref(), Some("beside"));
    assert_eq!(beside.node.name(), "a%2Fb");
}

async fn v2_4_bytes_that_are_no_utf_8_are_shown_as_replacements<T: Transport>(etcd: Etcd<T>) {
    let path = format!("/v2/keys{}", etcd.key("%ff%fe"));
    let put = etcd.request(Method::PUT, &path).query("value", "1");
    let answer = etcd.send(put).await.unwrap();
    answer.json::<serde_json::Value>().unwrap();
    let listing = etcd.v2().get(etcd.root()).await.unwrap();
    assert_eq!(listing.node.nodes[0].name(), "\u{fffd}\u{fffd}");
    // What is shown is another key.
    let shown = etcd.v2().get(etcd.key("\u{fffd}\u{fffd}")).await;
    assert!(shown.unwrap_err().is_key_not_found());
}

async fn v2_35_every_ascii_byte_of_a_value_survives<T: Transport>(etcd: Etcd<T>) {
    let all: String = (0..128_u8).map(char::from).collect();
    let set = etcd.v2().set(etcd.key("all"), &all).await.unwrap();
    assert_eq!(set.node.value.as_ref(), Some(&all));
    let read = etcd.v2().get(etcd.key("all")).await.unwrap();
    assert_eq!(read.node.value, Some(all));
}

async fn v2_35_awkward_values_survive_every_write<T: Transport>(etcd: Etcd<T>) {
    for value in AWKWARD {
        let key = etcd.key("a");
        let set = etcd.v2().set(&key, *value).await.unwrap();
        assert_eq!(set.node.value.as_deref(), Some(*value));
        let updated = etcd.v2().update(&key, *value).await.unwrap();
        assert_eq!(updated.node.value.as_deref(), Some(*value));
        let condition = Condition::value_is(*value);
        let swapped = etcd.v2().compare_and_swap(&key, *value, condition.clone());
        assert_eq!(swapped.await.unwrap().node.value.as_deref(), Some(*value));
        let deleted = etcd.v2().compare_and_delete(&key, condition).await.unwrap();
        assert_eq!(deleted.prev_node.unwrap().value.as_deref(), Some(*value));
        let created = etcd.v2().create(&key, *value).await.unwrap();
        assert_eq!(created.node.value.as_deref(), Some(*value));
        let queued = etcd.v2().create_in_order(etcd.key("q"), *value).await;
        assert_eq!(queued.unwrap().node.value.as_deref(), Some(*value));
    }
}

async fn v2_32_an_empty_value_is_a_value<T: Transport>(etcd: Etcd<T>) {
    let set = etcd.v2().set(etcd.key("a"), "").await.unwrap();
    assert_eq!(set.node.value.as_deref(), Some(""));
    let dir = etcd.v2().set_dir(etcd.key("d")).await.unwrap();
    assert_eq!(dir.node.value, None);
}

async fn v2_43_each_write_adds_one_and_a_failure_none<T: Transport>(etcd: Etcd<T>) {
    // Internal entries of the cluster precede it.
    let first = etcd.v2().set("/a", "1").await.unwrap();
    assert_eq!(first.index(), 4);
    let deep = etcd.v2().set("/b/c/d", "1").await.unwrap();
    assert_eq!(deep.index(), 5);
    let dir = etcd.v2().get("/b").await.unwrap();
    assert_eq!((dir.node.created_index, dir.node.modified_index), (5, 5));

    etcd.v2().create("/a", "2").await.unwrap_err();
    etcd.v2().update("/none", "2").await.unwrap_err();
    etcd.v2().delete("/none").await.unwrap_err();
    let condition = Condition::value_is("other");
    let error = etcd.v2().compare_and_swap("/a", "2", condition).await;
    assert_eq!(error.unwrap_err().as_etcd().unwrap().index(), Some(5));
    assert_eq!(etcd.v2().delete_tree("/b").await.unwrap().index(), 6);
    let read = etcd.v2().get("/a").await.unwrap();
    assert_eq!((read.index(), read.cluster.etcd_index), (4, Some(6)));
}

async fn v2_170_a_value_of_8_mib_survives<T: Transport>(etcd: Etcd<T>) {
    survives(&etcd, "x".repeat(8 << 20)).await;
}

/// With the escapes of a URL, this would be three times as long, and exceed the server's limit of 10 MiB.
async fn v2_170_eight_mib_of_words_beyond_ascii_survive<T: Transport>(etcd: Etcd<T>) {
    let words = "größe und 長さ, \"quoted\" & <tagged>\n";
    survives(&etcd, words.repeat((8 << 20) / words.len())).await;
}

async fn survives<T: Transport>(etcd: &Etcd<T>, value: String) {
    let set = Set::new("/large", &value);
    etcd.send(set.clone().without_value()).await.unwrap();
    let read = etcd.v2().get("/large").await.unwrap();
    assert!(read.node.value.as_ref() == Some(&value));
    // The response contains the value twice.
    let replaced = etcd.send(set).await.unwrap();
    assert!(replaced.prev_node.unwrap().value == Some(value));
}

async fn v2_170_a_value_beyond_the_servers_limit_is_refused_before_it_is_sent<T: Transport>(
    etcd: Etcd<T>,
) {
    let most = (10 << 20) - "value=".len();
    etcd.send(Set::new("/large", "x".repeat(most)).without_value())
        .await
        .unwrap();
    let error = etcd.v2().set("/large", "x".repeat(most + 1)).await;
    let error = error.unwrap_err();
    assert!(matches!(error, Error::Invalid(_)));
    assert_eq!(
        error.to_string(),
        "v2.keys.set: the value makes a form of 10485761 bytes, and etcd accepts at most 10485760: \
         store less in one key"
    );
    // The server itself would respond:
    let put = etcd
        .request(Method::PUT, "/v2/keys/large")
        .form("value", "x".repeat(most + 1));
    let (kind, _, cause) = refusal(etcd.send(put).await);
    assert_eq!(kind, EtcdErrorKind::InvalidForm);
    assert_eq!(cause, "http: POST too large");
}

/// A short form that borrowed its handle could not leave the statement it is made in.
async fn short_forms_can_be_kept_and_joined<T: Transport>(etcd: Etcd<T>) {
    let names = ["a", "b", "c"];
    let sets = names.map(|name| etcd.v2().set(etcd.key(name), name));
    let sets = futures::future::try_join_all(sets).await.unwrap();
    let a = etcd.v2().get(etcd.key("a"));
    let b = etcd.v2().get(etcd.key("b"));
    let (a, b) = futures::join!(a, b);
    assert_eq!(
        (a.unwrap().node, b.unwrap().node),
        (sets[0].node.clone(), sets[1].node.clone())
    );
}
