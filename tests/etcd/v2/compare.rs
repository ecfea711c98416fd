//! Compare-and-swap and compare-and-delete.

use etcd_http::{
    EtcdErrorKind, Outcome,
    transport::Transport,
    v2::{Action, Condition},
};
use futures::future::join_all;
use harness::{
    case::{Etcd, refusal},
    cases,
};

cases! {
    any {
        Shared {
            v2_51_a_swap_by_value_keeps_the_created_index,
            v2_51_a_swap_by_index_and_by_both,
            v2_52_a_swap_that_fails_names_what_differs,
            v2_51_a_swap_needs_a_file_that_is_there,
            v2_53_a_compared_delete_keeps_the_created_index,
            v2_53_a_compared_delete_by_index_and_by_both,
            v2_53_a_compared_delete_that_fails_names_what_differs,
            v2_53_a_compared_delete_needs_a_file_that_is_there,
            a_failed_comparison_changes_nothing,
            v2_58_the_type_is_checked_before_the_condition,
            a_long_value_is_compared_in_a_swap_and_by_index_in_a_delete,
        }
        Alone {
            counters_that_swap_at_once_lose_no_step,
        }
    }
}

async fn v2_51_a_swap_by_value_keeps_the_created_index<T: Transport>(etcd: Etcd<T>) {
    let key = etcd.key("a");
    let made = etcd.v2().set(&key, "one").await.unwrap();
    let is_one = Condition::value_is("one");
    let swapped = etcd
        .v2()
        .compare_and_swap(&key, "two", is_one)
        .await
        .unwrap();
    assert_eq!(swapped.action, Action::CompareAndSwap);
    assert!(!swapped.created);
    assert_eq!(swapped.node.value.as_deref(), Some("two"));
    assert_eq!(swapped.node.created_index, made.node.created_index);
    assert_eq!(Some(swapped.index()), swapped.cluster.etcd_index);
    assert_eq!(swapped.prev_node, Some(made.node));
}

async fn v2_51_a_swap_by_index_and_by_both<T: Transport>(etcd: Etcd<T>) {
    let key = etcd.key("a");
    let made = etcd.v2().set(&key, "one").await.unwrap();
    let index = Condition::index_is(made.index());
    let swapped = etcd
        .v2()
        .compare_and_swap(&key, "two", index)
        .await
        .unwrap();
    let both = Condition::value_is("two").and_index_is(swapped.index());
    let swapped = etcd.v2().compare_and_swap(&key, "", both).await.unwrap();
    assert_eq!(swapped.node.value.as_deref(), Some(""));
}

async fn v2_52_a_swap_that_fails_names_what_differs<T: Transport>(etcd: Etcd<T>) {
    let key = etcd.key("a");
    let index = etcd.v2().set(&key, "one").await.unwrap().index();
    for (condition, cause) in mismatches(index) {
        let error = etcd.v2().compare_and_swap(&key, "x", condition).await;
        let error = error.unwrap_err();
        assert!(error.is_compare_failed());
        assert_eq!(error.outcome(), Outcome::Rejected);
        assert_eq!(error.as_etcd().unwrap().cause(), cause);
        assert_eq!(
            error.as_etcd().unwrap().code().map(|code| code.number()),
            Some(101)
        );
    }
}

/// Conditions that do not hold for a file with the value `one` at this index, and etcd's causes.
fn mismatches(index: u64) -> [(Condition, String); 4] {
    let other = index - 1;
    [
        (Condition::value_is("two"), "[two != one]".to_owned()),
        (Condition::index_is(other), format!("[{other} != {index}]")),
        (
            Condition::index_is(other).and_value_is("two"),
            format!("[two != one] [{other} != {index}]"),
        ),
        (
            Condition::value_is("one").and_index_is(other),
            format!("[{other} != {index}]"),
        ),
    ]
}

async fn v2_51_a_swap_needs_a_file_that_is_there<T: Transport>(etcd: Etcd<T>) {
    etcd.v2().set_dir(etcd.key("d")).await.unwrap();
    let swap = |name| {
        let condition = Condition::value_is("1");
        etcd.v2().compare_and_swap(etcd.key(name), "2", condition)
    };
    let dir = refusal(swap("d").await);
    assert_eq!(dir, (EtcdErrorKind::NotAFile, Some(102), etcd.key("d")));
    let none = refusal(swap("none").await);
    let expected = (EtcdErrorKind::KeyNotFound, Some(100), etcd.key("none"));
    assert_eq!(none, expected);
}

async fn v2_53_a_compared_delete_keeps_the_created_index<T: Transport>(etcd: Etcd<T>) {
    let key = etcd.key("a");
    let made = etcd.v2().set(&key, "one").await.unwrap();
    let is_one = Condition::value_is("one");
    let deleted = etcd.v2().compare_and_delete(&key, is_one).await.unwrap();
    assert_eq!(deleted.action, Action::CompareAndDelete);
    assert_eq!(deleted.node.value, None);
    assert_eq!(deleted.node.created_index, made.node.created_index);
    assert!(deleted.index() > made.index());
    assert_eq!(deleted.prev_node, Some(made.node));
    assert!(!etcd.v2().exists(&key).await.unwrap());
}

async fn v2_53_a_compared_delete_by_index_and_by_both<T: Transport>(etcd: Etcd<T>) {
    let key = etcd.key("a");
    let index = etcd.v2().set(&key, "one").await.unwrap().index();
    let condition = Condition::index_is(index);
    etcd.v2().compare_and_delete(&key, condition).await.unwrap();
    let index = etcd.v2().set(&key, "a & b=c").await.unwrap().index();
    let condition = Condition::index_is(index).and_value_is("a & b=c");
    etcd.v2().compare_and_delete(&key, condition).await.unwrap();
}

async fn v2_53_a_compared_delete_that_fails_names_what_differs<T: Transport>(etcd: Etcd<T>) {
    let key = etcd.key("a");
    let index = etcd.v2().set(&key, "one").await.unwrap().index();
    for (condition, cause) in mismatches(index) {
        let refused = refusal(etcd.v2().compare_and_delete(&key, condition).await);
        assert_eq!(refused, (EtcdErrorKind::CompareFailed, Some(101), cause));
    }
}

async fn v2_53_a_compared_delete_needs_a_file_that_is_there<T: Transport>(etcd: Etcd<T>) {
    etcd.v2().set_dir(etcd.key("d")).await.unwrap();
    let delete = |name| {
        let condition = Condition::value_is("1");
        etcd.v2().compare_and_delete(etcd.key(name), condition)
    };
    let dir = refusal(delete("d").await);
    assert_eq!(dir, (EtcdErrorKind::NotAFile, Some(102), etcd.key("d")));
    let none = refusal(delete("none").await);
    let expected = (EtcdErrorKind::KeyNotFound, Some(100), etcd.key("none"));
    assert_eq!(none, expected);
}

async fn a_failed_comparison_changes_nothing<T: Transport>(etcd: Etcd<T>) {
    let made = etcd.v2().set(etcd.key("a"), "one").await.unwrap();
    let other = || Condition::value_is("two");
    let swap = etcd.v2().compare_and_swap(etcd.key("a"), "2", other());
    swap.await.unwrap_err();
    let delete = etcd.v2().compare_and_delete(etcd.key("a"), other());
    delete.await.unwrap_err();
    let read = etcd.v2().get(etcd.key("a")).await.unwrap();
    assert_eq!(read.node, made.node);
}

async fn v2_58_the_type_is_checked_before_the_condition<T: Transport>(etcd: Etcd<T>) {
    let dir = etcd.v2().set_dir(etcd.key("d")).await.unwrap();
    let right = Condition::index_is(dir.index());
    let error = etcd.v2().compare_and_swap(etcd.key("d"), "1", right).await;
    assert!(error.unwrap_err().is_not_a_file());
}

/// The condition of a delete is in the URL, which is limited to about 64 KiB.
async fn a_long_value_is_compared_in_a_swap_and_by_index_in_a_delete<T: Transport>(etcd: Etcd<T>) {
    let long = "long & value ".repeat(100_000);
    let key = etcd.key("a");
    etcd.v2().set(&key, &long).await.unwrap();
    let swap = etcd
        .v2()
        .compare_and_swap(&key, &long, Condition::value_is(&long));
    let index = swap.await.unwrap().index();
    let refused = etcd
        .v2()
        .compare_and_delete(&key, Condition::value_is(&long))
        .await;
    assert_eq!(
        refused.unwrap_err().to_string(),
        "v2.keys.compare_and_delete: this path cannot be sent: uri too long"
    );
    let by_index = Condition::index_is(index);
    etcd.v2().compare_and_delete(&key, by_index).await.unwrap();
}

async fn counters_that_swap_at_once_lose_no_step<T: Transport>(etcd: Etcd<T>) {
    etcd.v2().set("/counter", "0").await.unwrap();
    let count = async || {
        let mut steps = 0;
        while steps < 10 {
            let node = etcd.v2().get("/counter").await.unwrap().node;
            let next = node.value.unwrap().parse::<u32>().unwrap() + 1;
            let condition = Condition::index_is(node.modified_index);
            let swap = etcd
                .v2()
                .compare_and_swap("/counter", next.to_string(), condition);
            match swap.await {
                Ok(_) => steps += 1,
                Err(error) => assert!(error.is_compare_failed(), "{error}"),
            }
        }
    };
    join_all((0..8).map(|_| count())).await;
    let counter = etcd.v2().get("/counter").await.unwrap();
    assert_eq!(counter.node.value.as_deref(), Some("80"));
}
