//! Keys in the order of their creation: POST.

use std::time::Duration;

use etcd_http::{
    EtcdErrorKind,
    transport::Transport,
    v2::{Action, CreateInOrder, CreateInOrderDir, Get},
};
use futures::future::try_join_all;
use harness::{
    case::{Etcd, refusal},
    cases,
};

cases! {
    any {
        Shared {
            v2_48_a_key_in_order_is_its_index_in_20_digits,
            v2_48_keys_in_order_sort_as_they_came,
            v2_48_the_directory_is_made_where_it_is_not_there,
            v2_48_a_file_is_no_place_for_keys_in_order,
            v2_48_directories_come_in_order_too,
            keys_in_order_may_have_a_ttl,
            keys_made_at_once_are_all_different,
            hidden_directories_take_keys_in_order,
        }
        Alone {
            v2_48_the_root_takes_keys_in_order,
        }
    }
}

async fn v2_48_a_key_in_order_is_its_index_in_20_digits<T: Transport>(etcd: Etcd<T>) {
    let made = etcd.v2().create_in_order(etcd.key("q"), "job").await;
    let made = made.unwrap();
    assert_eq!((made.action.clone(), made.created), (Action::Create, true));
    assert_eq!(made.node.key, etcd.key(format!("q/{:020}", made.index())));
    assert_eq!(made.node.value.as_deref(), Some("job"));
    assert_eq!(made.prev_node, None);
}

async fn v2_48_keys_in_order_sort_as_they_came<T: Transport>(etcd: Etcd<T>) {
    for value in ["1", "2", "3"] {
        let made = etcd.v2().create_in_order(etcd.key("q"), value).await;
        made.unwrap();
    }
    let listing = etcd.send(Get::new(etcd.key("q")).sorted(true)).await;
    let nodes = listing.unwrap().node.nodes;
    let values: Vec<_> = nodes.iter().map(|node| node.value.as_deref()).collect();
    assert_eq!(values, [Some("1"), Some("2"), Some("3")]);
    let first = etcd.v2().delete(&nodes[0].key).await.unwrap();
    assert_eq!(first.prev_node.unwrap().value.as_deref(), Some("1"));
}

async fn v2_48_the_directory_is_made_where_it_is_not_there<T: Transport>(etcd: Etcd<T>) {
    let made = etcd.v2().create_in_order(etcd.key("a/b/q"), "").await;
    let dir = etcd.v2().get(etcd.key("a/b/q")).await.unwrap();
    assert!(dir.node.dir);
    assert_eq!(dir.node.nodes, [made.unwrap().node]);
}

async fn v2_48_a_file_is_no_place_for_keys_in_order<T: Transport>(etcd: Etcd<T>) {
    etcd.v2().set(etcd.key("f"), "1").await.unwrap();
    let refused = refusal(etcd.v2().create_in_order(etcd.key("f"), "2").await);
    let expected = (EtcdErrorKind::NotADirectory, Some(104), etcd.key("f"));
    assert_eq!(refused, expected);
}

async fn v2_48_directories_come_in_order_too<T: Transport>(etcd: Etcd<T>) {
    let make = CreateInOrderDir::new(etcd.key("q")).ttl(Duration::from_secs(100));
    let made = etcd.send(make).await.unwrap();
    assert!(made.node.dir && made.created);
    assert_eq!(made.node.key, etcd.key(format!("q/{:020}", made.index())));
    assert_eq!(made.node.ttl, Some(Duration::from_secs(100)));
    let within = format!("{}/f", made.node.key);
    etcd.v2().set(within, "1").await.unwrap();
}

async fn keys_in_order_may_have_a_ttl<T: Transport>(etcd: Etcd<T>) {
    let make = CreateInOrder::new(etcd.key("q"), "1").ttl(Duration::from_secs(100));
    let made = etcd.send(make).await.unwrap();
    assert_eq!(made.node.ttl, Some(Duration::from_secs(100)));
}

async fn keys_made_at_once_are_all_different<T: Transport>(etcd: Etcd<T>) {
    let makes = (0..50).map(|n| etcd.v2().create_in_order(etcd.key("q"), n.to_string()));
    let mut made = try_join_all(makes).await.unwrap();
    made.sort_by_key(|event| event.index());
    let listing = etcd.send(Get::new(etcd.key("q")).sorted(true)).await;
    let nodes: Vec<_> = made.into_iter().map(|event| event.node).collect();
    assert_eq!(listing.unwrap().node.nodes, nodes);
}

async fn hidden_directories_take_keys_in_order<T: Transport>(etcd: Etcd<T>) {
    let made = etcd
        .v2()
        .create_in_order(etcd.key("_q"), "1")
        .await
        .unwrap();
    let listing = etcd.v2().get(etcd.key("_q")).await.unwrap();
    assert_eq!(listing.node.nodes, [made.node]);
}

async fn v2_48_the_root_takes_keys_in_order<T: Transport>(etcd: Etcd<T>) {
    let file = etcd.v2().create_in_order("/", "1").await.unwrap();
    assert_eq!(file.node.key, format!("/{:020}", file.index()));
    let dir = etcd.send(CreateInOrderDir::new("/")).await.unwrap();
    assert_eq!(dir.node.key, format!("/{:020}", dir.index()));
    let listing = etcd.send(Get::new("/").sorted(true)).await.unwrap();
    assert_eq!(listing.node.nodes, [file.node, dir.node]);
}
