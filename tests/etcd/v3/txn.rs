//! Transactions.

use std::time::Duration;

use etcd_http::{
    Error, EtcdErrorKind,
    transport::Transport,
    v3::{Compare, DeleteRange, ExactlyOnce, KeyRange, Put, Range, Txn, TxnOpResponse},
};
use harness::{case::Etcd, cases_and_grpc};

use crate::refused;

cases_and_grpc! {
    any {
        Shared {
            a_transaction_takes_the_branch_that_its_comparisons_say,
            v3_51_every_comparison_compares,
            v3_52_a_missing_key_has_no_value_and_zeros,
            v3_53_a_range_is_compared_key_by_key,
            v3_54_the_limit_on_operations_is_that_of_etcd,
            v3_56_a_key_written_twice_is_refused_by_the_client_and_by_etcd,
            v3_57_all_keys_from_one_on_may_be_deleted_before_one_is_put,
            v3_58_what_fails_inside_fails_all_and_nothing_is_written,
            v3_60_61_62_a_transaction_is_one_revision_and_reads_its_own_writes,
            a_transaction_without_comparisons_succeeds,
            r_6_a_write_is_done_exactly_once,
            r_6_a_write_that_did_not_succeed_does_not_succeed_later,
        }
    }
}

async fn holds<T: Transport>(etcd: &Etcd<T>, compare: Compare) -> bool {
    etcd.send(Txn::new().when(compare)).await.unwrap().succeeded
}

async fn a_transaction_takes_the_branch_that_its_comparisons_say<T: Transport>(etcd: Etcd<T>) {
    let key = etcd.key("a");
    let create = || {
        Txn::new()
            .when(Compare::missing(&*key))
            .then(Put::new(&*key, "mine"))
            .otherwise(Range::new(&*key))
    };
    let first = etcd.v3().kv().txn(create()).await.unwrap();
    assert!(first.succeeded);
    assert!(matches!(first.responses[..], [TxnOpResponse::Put(_)]));
    let second = etcd.v3().kv().txn(create()).await.unwrap();
    assert!(!second.succeeded);
    assert_eq!(second.range(0).unwrap().first().unwrap().value, "mine");
}

async fn v3_51_every_comparison_compares<T: Transport>(etcd: Etcd<T>) {
    let (v3, key) = (etcd.v3(), etcd.key("a"));
    let lease = v3.leases().grant(Duration::from_secs(60)).await.unwrap().id;
    let create = v3.kv().put(&*key, "b").await.unwrap().header.revision;
    let put = etcd.send(Put::new(&*key, "m").lease(lease)).await.unwrap();
    let changed = put.header.revision;
    for number in [
        0,
        1,
        2,
        3,
        create - 1,
        create,
        create + 1,
        changed,
        changed + 1,
    ] {
        for (target, actual) in [
            (Compare::version(&*key), 2),
            (Compare::create_revision(&*key), create),
            (Compare::mod_revision(&*key), changed),
        ] {
            let all = [
                (target.clone().equal(number), actual == number),
                (target.clone().not_equal(number), actual != number),
                (target.clone().greater(number), actual > number),
                (target.less(number), actual < number),
            ];
            for (compare, expected) in all {
                assert_eq!(holds(&etcd, compare.clone()).await, expected, "{compare:?}");
            }
        }
    }
    for value in ["", "a", "m", "mm", "z"] {
        let target = || Compare::value(&*key);
        for (compare, expected) in [
            (target().equal(value), "m" == value),
            (target().not_equal(value), "m" != value),
            (target().greater(value), "m" > value),
            (target().less(value), "m" < value),
        ] {
            assert_eq!(holds(&etcd, compare.clone()).await, expected, "{compare:?}");
        }
    }
    assert!(holds(&etcd, Compare::lease(&*key).equal(lease)).await);
    assert!(holds(&etcd, Compare::lease(&*key).not_equal(0)).await);
    assert!(holds(&etcd, Compare::lease(&*key).less(i64::MAX)).await);
    assert!(holds(&etcd, Compare::exists(&*key)).await);
    assert!(!holds(&etcd, Compare::missing(&*key)).await);
}

async fn v3_52_a_missing_key_has_no_value_and_zeros<T: Transport>(etcd: Etcd<T>) {
    let key = etcd.key("none");
    for (compare, expected) in [
        (Compare::value(&*key).equal(""), false),
        (Compare::value(&*key).not_equal("x"), false),
        (Compare::version(&*key).equal(0), true),
        (Compare::mod_revision(&*key).less(1), true),
        (Compare::create_revision(&*key).not_equal(0), false),
        (Compare::lease(&*key).equal(0), true),
        (Compare::missing(&*key), true),
        (Compare::exists(&*key), false),
    ] {
        assert_eq!(holds(&etcd, compare.clone()).await, expected, "{compare:?}");
    }
}

async fn v3_53_a_range_is_compared_key_by_key<T: Transport>(etcd: Etcd<T>) {
    let range = KeyRange::prefix(etcd.key(""));
    assert!(holds(&etcd, Compare::missing(&range)).await);
    for (name, value) in [("a", "x"), ("b", "x"), ("c", "y")] {
        etcd.v3().kv().put(etcd.key(name), value).await.unwrap();
    }
    assert!(!holds(&etcd, Compare::value(&range).equal("x")).await);
    assert!(holds(&etcd, Compare::value(&range).less("z")).await);
    let two = KeyRange::between(etcd.key("a"), etcd.key("c"));
    assert!(holds(&etcd, Compare::value(two).equal("x")).await);
}

async fn v3_54_the_limit_on_operations_is_that_of_etcd<T: Transport>(etcd: Etcd<T>) {
    let key = etcd.key("a");
    let of = |count| (0..count).fold(Txn::new(), |txn, _| txn.then(Range::new(&*key)));
    assert_eq!(etcd.send(of(128)).await.unwrap().responses.len(), 128);
    let here = etcd.send(of(129)).await.unwrap_err();
    assert!(matches!(here, Error::Invalid(_)), "{here}");
    let there = etcd.send(of(129).max_operations(1000)).await;
    assert_eq!(refused(there), EtcdErrorKind::TooManyOperations);
    // The inner one may have as many operations as the outer one leaves.
    assert!(etcd.send(of(99).then(of(28))).await.is_ok());
    let there = etcd.send(of(99).then(of(29)).max_operations(1000)).await;
    assert_eq!(refused(there), EtcdErrorKind::TooManyOperations);
    assert!(matches!(
        etcd.send(of(99).then(of(29))).await,
        Err(Error::Invalid(_))
    ));
}

async fn v3_56_a_key_written_twice_is_refused_by_the_client_and_by_etcd<T: Transport>(
    etcd: Etcd<T>,
) {
    use etcd_http::transport::http::Method;
    use serde_json::json;

    let put = || Put::new("v3_56", "");
    let twice = Txn::new().then(put()).then(put());
    assert!(matches!(etcd.send(twice).await, Err(Error::Invalid(_))));
    // As etcd itself finds it.
    let operation = json!({"request_put": {"key": "djNfNTY="}});
    let body = json!({"success": [operation, operation]});
    let raw = etcd.request(Method::POST, "/v3/kv/txn").json(&body);
    let error = etcd.send(raw).await;
    assert!(
        error
            .unwrap_err()
            .to_string()
            .contains("duplicate key given in txn request")
    );
    // Valid: either branch, and the branches of an inner transaction.
    let inner = Txn::new().then(put()).otherwise(put());
    let fine = Txn::new().then(inner).otherwise(put());
    etcd.send(fine).await.unwrap();
}

async fn v3_57_all_keys_from_one_on_may_be_deleted_before_one_is_put<T: Transport>(etcd: Etcd<T>) {
    let last = |name: &str| format!("\u{10ffff}{}", etcd.key(name));
    etcd.v3().kv().put(last("a"), "").await.unwrap();
    let again = Txn::new()
        .then(DeleteRange::new(KeyRange::starting_at(last("a"))))
        .then(Put::new(last("b"), ""));
    let done = etcd.send(again).await.unwrap();
    assert!(matches!(&done.responses[0], TxnOpResponse::DeleteRange(it) if it.deleted >= 1));
    assert!(etcd.v3().kv().get(last("a")).await.unwrap().is_none());
    assert!(etcd.v3().kv().get(last("b")).await.unwrap().is_some());
}

async fn v3_58_what_fails_inside_fails_all_and_nothing_is_written<T: Transport>(etcd: Etcd<T>) {
    let key = etcd.key("a");
    let failing = Txn::new()
        .then(Put::new(&*key, "x"))
        .then(Put::new(etcd.key("b"), "x").lease(1));
    let error = etcd.send(failing).await.unwrap_err();
    assert!(error.is_lease_not_found(), "{error}");
    assert_eq!(etcd.v3().kv().get(&*key).await.unwrap(), None);
}

async fn v3_60_61_62_a_transaction_is_one_revision_and_reads_its_own_writes<T: Transport>(
    etcd: Etcd<T>,
) {
    let (a, b) = (etcd.key("a"), etcd.key("b"));
    let txn = Txn::new()
        .then(Range::new(&*a))
        .then(Put::new(&*a, "1"))
        .then(Range::new(&*a))
        // Compared before anything was applied.
        .then(
            Txn::new()
                .when(Compare::missing(&*a))
                .then(Put::new(&*b, "2")),
        );
    let done = etcd.send(txn).await.unwrap();
    assert_eq!(done.range(0).unwrap().count, 0);
    assert_eq!(done.range(2).unwrap().first().unwrap().value, "1");
    assert!(matches!(&done.responses[3], TxnOpResponse::Txn(inner) if inner.succeeded));
    for key in [&a, &b] {
        let found = etcd.v3().kv().get(&**key).await.unwrap().unwrap();
        assert_eq!(found.mod_revision, done.header.revision);
    }
}

async fn a_transaction_without_comparisons_succeeds<T: Transport>(etcd: Etcd<T>) {
    assert!(etcd.send(Txn::new()).await.unwrap().succeeded);
}

async fn r_6_a_write_is_done_exactly_once<T: Transport>(etcd: Etcd<T>) {
    let (v3, key) = (etcd.v3(), etcd.key("count"));
    let lease = v3.leases().grant(Duration::from_secs(60)).await.unwrap().id;
    let write = ExactlyOnce::new(etcd.key("marker"), Txn::new().then(Put::new(&*key, "x")));
    let write = write.lease(lease);
    let first = etcd.send(write.clone()).await.unwrap();
    assert!(first.succeeded && !first.is_earlier());
    assert!(matches!(
        first.responses.as_deref(),
        Some([TxnOpResponse::Put(_)])
    ));
    for _ in 0..3 {
        let again = etcd.send(write.clone()).await.unwrap();
        assert!(again.succeeded && again.is_earlier());
        assert_eq!(again.revision, first.revision);
    }
    assert_eq!(v3.kv().get(&*key).await.unwrap().unwrap().version, 1);
    // With its lease goes the marker.
    v3.leases().revoke(lease).await.unwrap();
    assert_eq!(v3.kv().get(etcd.key("marker")).await.unwrap(), None);
}

async fn r_6_a_write_that_did_not_succeed_does_not_succeed_later<T: Transport>(etcd: Etcd<T>) {
    let key = etcd.key("a");
    let txn = Txn::new()
        .when(Compare::exists(&*key))
        .then(Put::new(&*key, "changed"));
    let write = ExactlyOnce::new(etcd.key("marker"), txn);
    assert!(!etcd.send(write.clone()).await.unwrap().succeeded);
    etcd.v3().kv().put(&*key, "there").await.unwrap();
    let again = etcd.send(write).await.unwrap();
    assert!(!again.succeeded && again.is_earlier());
    assert_eq!(
        etcd.v3().kv().get(&*key).await.unwrap().unwrap().value,
        "there"
    );
}
