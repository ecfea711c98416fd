//! Reading, writing, deleting, compaction.

use etcd_http::{
    EtcdErrorKind, Outcome,
    transport::Transport,
    v3::{Compact, DeleteRange, KeyRange, Put, Range, SortOrder, SortTarget},
};
use harness::{case::Etcd, cases_and_grpc};

use crate::refused;

cases_and_grpc! {
    any {
        Shared {
            a_key_that_is_put_is_there_with_what_etcd_keeps_beside_it,
            keys_and_values_are_any_bytes,
            v3_30_an_empty_key_is_refused_before_it_is_sent,
            v3_31_a_range_returns_the_keys_in_it,
            v3_32_33_the_past_is_read_with_the_revision_of_now,
            v3_32_a_revision_of_the_future_is_refused,
            v3_34_35_a_limit_cuts_keys_off_and_the_count_stays,
            v3_36_bounds_of_revisions_leave_keys_out,
            v3_37_keys_come_in_the_order_that_is_asked_for,
            v3_38_keys_come_in_their_own_order_where_no_other_is_asked_for,
            v3_39_keys_only_has_no_values_and_count_only_no_keys,
            v3_39_a_serializable_read_answers,
            v3_41_what_is_not_there_cannot_be_kept,
            v3_42_a_put_counts_versions_and_revisions,
            v3_43_a_put_keeps_its_value_or_lease_if_asked,
            v3_44_a_put_returns_the_former_value,
            v3_46_a_delete_returns_the_former_values,
            v3_47_a_delete_of_nothing_changes_nothing,
            v3_18_a_value_that_is_too_large_was_definitely_not_written,
        }
        Alone {
            v3_45_the_first_write_is_revision_two,
            v3_31_all_keys_are_found,
            v3_63_64_compaction_forgets_the_past,
            v3_63_what_is_compacted_or_not_there_yet_cannot_be_compacted,
            v3_18_large_responses_are_read_completely,
        }
    }
}

async fn a_key_that_is_put_is_there_with_what_etcd_keeps_beside_it<T: Transport>(etcd: Etcd<T>) {
    let (kv, key) = (etcd.v3(), etcd.key("a"));
    let kv = kv.kv();
    assert_eq!(kv.get(&*key).await.unwrap(), None);
    let put = kv.put(&*key, "value").await.unwrap();
    let found = kv.get(&*key).await.unwrap().unwrap();
    assert_eq!(
        (found.key_str(), found.value_str()),
        (Ok(&*key), Ok("value"))
    );
    assert_eq!(found.create_revision, put.header.revision);
    assert_eq!(found.mod_revision, put.header.revision);
    assert_eq!((found.version, found.lease.is_none()), (1, true));
    assert!(put.header.cluster_id != 0 && put.header.member_id != 0 && put.header.raft_term > 0);
    assert_eq!(kv.count(&*key).await.unwrap(), 1);
}

async fn keys_and_values_are_any_bytes<T: Transport>(etcd: Etcd<T>) {
    let every: Vec<u8> = (0..=255).collect();
    let mut key = etcd.key("").into_bytes();
    key.extend(&every);
    // All lengths of padding.
    for length in [0, 1, 2, 3, 255, 256] {
        let value = &every[256 - length..];
        etcd.v3().kv().put(&*key, value).await.unwrap();
        let found = etcd.v3().kv().get(&*key).await.unwrap().unwrap();
        assert_eq!((&found.key[..], &found.value[..]), (&key[..], value));
    }
}

async fn v3_30_an_empty_key_is_refused_before_it_is_sent<T: Transport>(etcd: Etcd<T>) {
    for error in [
        etcd.v3().kv().get("").await.unwrap_err(),
        etcd.v3().kv().put("", "x").await.unwrap_err(),
        etcd.v3().kv().delete("").await.unwrap_err(),
    ] {
        assert_eq!(error.outcome(), Outcome::NotSent, "{error}");
    }
}

/// Puts these under the case's keys, each in a revision of its own. Returns the first revision.
async fn put_all<T: Transport>(etcd: &Etcd<T>, names: &[&str]) -> i64 {
    let mut first = 0;
    for name in names {
        let put = etcd.v3().kv().put(etcd.key(name), *name).await.unwrap();
        if first == 0 {
            first = put.header.revision;
        }
    }
    first
}

/// The values that a range finds: here, the last parts of its keys.
async fn values<T: Transport>(etcd: &Etcd<T>, range: Range) -> Vec<String> {
    let found = etcd.send(range).await.unwrap();
    let values = found
        .kvs
        .iter()
        .map(|kv| kv.value_str().unwrap().to_owned());
    values.collect()
}

fn under<T: Transport>(etcd: &Etcd<T>) -> Range {
    Range::new(KeyRange::prefix(etcd.key("")))
}

async fn v3_31_a_range_returns_the_keys_in_it<T: Transport>(etcd: Etcd<T>) {
    put_all(&etcd, &["a", "ab", "b", "c"]).await;
    let key = |name| etcd.key(name);
    for (range, expected) in [
        (KeyRange::from(key("a")), &["a"][..]),
        (KeyRange::prefix(key("a")), &["a", "ab"]),
        (KeyRange::prefix(key("")), &["a", "ab", "b", "c"]),
        (KeyRange::between(key("ab"), key("c")), &["ab", "b"]),
        (KeyRange::between(key("c"), key("a")), &[]),
        (KeyRange::from(key("d")), &[]),
    ] {
        let found = values(&etcd, Range::new(range.clone())).await;
        assert_eq!(found, expected, "{range:?}");
        let contained = ["a", "ab", "b", "c"].map(|name| range.contains(key(name)));
        assert_eq!(contained.iter().filter(|is| **is).count(), expected.len());
    }
    let from_b = values(&etcd, Range::new(KeyRange::starting_at(key("b")))).await;
    assert!(from_b.starts_with(&["b".to_owned(), "c".to_owned()]));
}

async fn v3_31_all_keys_are_found<T: Transport>(etcd: Etcd<T>) {
    let keys: [&[u8]; 4] = [b"\0", b"a", b"\xff", b"\xff\xff"];
    for key in keys {
        etcd.v3().kv().put(key, "").await.unwrap();
    }
    for (range, count) in [
        (KeyRange::all(), 4),
        (KeyRange::prefix(""), 4),
        (KeyRange::prefix([0xff]), 2),
        (KeyRange::prefix([0]), 1),
        (KeyRange::starting_at("a"), 3),
    ] {
        assert_eq!(
            etcd.v3().kv().count(&range).await.unwrap(),
            count,
            "{range:?}"
        );
    }
    let deleted = etcd.v3().kv().delete(KeyRange::all()).await.unwrap();
    assert_eq!(deleted.deleted, 4);
}

async fn v3_32_33_the_past_is_read_with_the_revision_of_now<T: Transport>(etcd: Etcd<T>) {
    let key = etcd.key("a");
    let first = etcd
        .v3()
        .kv()
        .put(&*key, "one")
        .await
        .unwrap()
        .header
        .revision;
    let second = etcd
        .v3()
        .kv()
        .put(&*key, "two")
        .await
        .unwrap()
        .header
        .revision;
    let then = etcd.send(Range::new(&*key).revision(first)).await.unwrap();
    assert_eq!(then.first().unwrap().value, "one");
    assert!(then.header.revision >= second);
}

async fn v3_32_a_revision_of_the_future_is_refused<T: Transport>(etcd: Etcd<T>) {
    let future = Range::new(etcd.key("a")).revision(1 << 40);
    assert_eq!(
        refused(etcd.send(future).await),
        EtcdErrorKind::FutureRevision
    );
}

async fn v3_34_35_a_limit_cuts_keys_off_and_the_count_stays<T: Transport>(etcd: Etcd<T>) {
    put_all(&etcd, &["a", "b", "c"]).await;
    for (limit, keys, more) in [(0, 3, false), (2, 2, true), (3, 3, false), (9, 3, false)] {
        let found = etcd.send(under(&etcd).limit(limit)).await.unwrap();
        assert_eq!(
            (found.kvs.len(), found.more, found.count),
            (keys, more, 3),
            "{limit}"
        );
    }
}

async fn v3_36_bounds_of_revisions_leave_keys_out<T: Transport>(etcd: Etcd<T>) {
    put_all(&etcd, &["a"]).await;
    let revision = put_all(&etcd, &["b"]).await;
    put_all(&etcd, &["c"]).await;
    let changed = put_all(&etcd, &["a"]).await;
    for (range, expected) in [
        (under(&etcd).min_create_revision(revision), &["b", "c"][..]),
        (under(&etcd).max_create_revision(revision), &["a", "b"]),
        (under(&etcd).min_mod_revision(changed), &["a"]),
        (under(&etcd).max_mod_revision(revision), &["b"]),
    ] {
        assert_eq!(values(&etcd, range.clone()).await, expected, "{range:?}");
        assert_eq!(etcd.send(range).await.unwrap().count, 3);
    }
}

async fn v3_37_keys_come_in_the_order_that_is_asked_for<T: Transport>(etcd: Etcd<T>) {
    // By key a b c; by creation b a c; by last change b c a; by version (1) c, (2) b, (3) a.
    put_all(&etcd, &["b", "a", "a", "b", "c", "a"]).await;
    for (target, expected) in [
        (SortTarget::Key, ["a", "b", "c"]),
        (SortTarget::Create, ["b", "a", "c"]),
        (SortTarget::Mod, ["b", "c", "a"]),
        (SortTarget::Version, ["c", "b", "a"]),
        (SortTarget::Value, ["a", "b", "c"]),
    ] {
        let ascending = under(&etcd).sort(target, SortOrder::Ascend);
        assert_eq!(values(&etcd, ascending).await, expected, "{target}");
        let descending = under(&etcd).sort(target, SortOrder::Descend);
        let mut reversed = expected;
        reversed.reverse();
        assert_eq!(values(&etcd, descending).await, reversed, "{target}");
        let first = under(&etcd).sort(target, SortOrder::Ascend).limit(1);
        assert_eq!(values(&etcd, first).await, expected[..1], "{target}");
    }
    // Unsorted, etcd sorts only what the limit let through: a and b.
    let cut = under(&etcd)
        .sort(SortTarget::Mod, SortOrder::Unsorted)
        .limit(1);
    assert_eq!(values(&etcd, cut).await, ["b"]);
}

async fn v3_38_keys_come_in_their_own_order_where_no_other_is_asked_for<T: Transport>(
    etcd: Etcd<T>,
) {
    put_all(&etcd, &["c", "a", "d", "b"]).await;
    assert_eq!(values(&etcd, under(&etcd)).await, ["a", "b", "c", "d"]);
    let by_key = under(&etcd).sort(SortTarget::Key, SortOrder::Unsorted);
    assert_eq!(values(&etcd, by_key).await, ["a", "b", "c", "d"]);
    // All have version 1: any order is correct, and none is missing.
    let equal = under(&etcd).sort(SortTarget::Version, SortOrder::Descend);
    let mut values = values(&etcd, equal).await;
    values.sort();
    assert_eq!(values, ["a", "b", "c", "d"]);
}

async fn v3_39_keys_only_has_no_values_and_count_only_no_keys<T: Transport>(etcd: Etcd<T>) {
    put_all(&etcd, &["a", "b"]).await;
    let keys = etcd.send(under(&etcd).keys_only(true)).await.unwrap();
    assert!(
        keys.kvs
            .iter()
            .all(|kv| kv.value.is_empty() && !kv.key.is_empty())
    );
    assert_eq!(keys.kvs.len(), 2);
    let count = etcd.send(under(&etcd).count_only(true)).await.unwrap();
    assert_eq!((count.kvs.len(), count.count), (0, 2));
}

async fn v3_39_a_serializable_read_answers<T: Transport>(etcd: Etcd<T>) {
    put_all(&etcd, &["a"]).await;
    assert_eq!(values(&etcd, under(&etcd).serializable(true)).await, ["a"]);
}

async fn v3_41_what_is_not_there_cannot_be_kept<T: Transport>(etcd: Etcd<T>) {
    let key = etcd.key("none");
    let keep_value = etcd.send(Put::keep_value(&*key)).await;
    assert!(keep_value.as_ref().unwrap_err().is_key_not_found());
    assert_eq!(refused(keep_value), EtcdErrorKind::KeyNotFound);
    let keep_lease = etcd.send(Put::new(&*key, "x").keep_lease(true)).await;
    assert_eq!(refused(keep_lease), EtcdErrorKind::KeyNotFound);
    let no_lease = etcd.send(Put::new(&*key, "x").lease(1)).await.unwrap_err();
    assert!(no_lease.is_lease_not_found(), "{no_lease}");
    assert_eq!(no_lease.outcome(), Outcome::Rejected);
}

async fn v3_42_a_put_counts_versions_and_revisions<T: Transport>(etcd: Etcd<T>) {
    let (v3, key) = (etcd.v3(), etcd.key("a"));
    let first = v3.kv().put(&*key, "x").await.unwrap().header.revision;
    let second = v3.kv().put(&*key, "x").await.unwrap().header.revision;
    assert!(second > first);
    let found = v3.kv().get(&*key).await.unwrap().unwrap();
    assert_eq!(
        (found.create_revision, found.mod_revision, found.version),
        (first, second, 2)
    );
    v3.kv().delete(&*key).await.unwrap();
    let third = v3.kv().put(&*key, "x").await.unwrap().header.revision;
    let found = v3.kv().get(&*key).await.unwrap().unwrap();
    assert_eq!((found.create_revision, found.version), (third, 1));
}

async fn v3_43_a_put_keeps_its_value_or_lease_if_asked<T: Transport>(etcd: Etcd<T>) {
    let (v3, key) = (etcd.v3(), etcd.key("a"));
    let lease = v3
        .leases()
        .grant(std::time::Duration::from_secs(60))
        .await
        .unwrap()
        .id;
    etcd.send(Put::new(&*key, "one").lease(lease))
        .await
        .unwrap();
    etcd.send(Put::new(&*key, "two").keep_lease(true))
        .await
        .unwrap();
    let found = v3.kv().get(&*key).await.unwrap().unwrap();
    assert_eq!((found.lease, &found.value[..]), (lease, &b"two"[..]));
    etcd.send(Put::keep_value(&*key)).await.unwrap();
    let found = v3.kv().get(&*key).await.unwrap().unwrap();
    assert_eq!(
        (found.lease.is_none(), &found.value[..]),
        (true, &b"two"[..])
    );
    v3.leases().revoke(lease).await.unwrap();
    assert!(v3.kv().get(&*key).await.unwrap().is_some());
}

async fn v3_44_a_put_returns_the_former_value<T: Transport>(etcd: Etcd<T>) {
    let key = etcd.key("a");
    let created = etcd
        .send(Put::new(&*key, "one").prev_kv(true))
        .await
        .unwrap();
    assert_eq!(created.prev_kv, None);
    let changed = etcd
        .send(Put::new(&*key, "two").prev_kv(true))
        .await
        .unwrap();
    assert_eq!(changed.prev_kv.unwrap().value, "one");
}

async fn v3_46_a_delete_returns_the_former_values<T: Transport>(etcd: Etcd<T>) {
    put_all(&etcd, &["b", "a"]).await;
    let all = DeleteRange::new(KeyRange::prefix(etcd.key(""))).prev_kv(true);
    let deleted = etcd.send(all).await.unwrap();
    let values: Vec<_> = deleted.prev_kvs.iter().map(|kv| &kv.value[..]).collect();
    assert_eq!((deleted.deleted, values), (2, vec![&b"a"[..], b"b"]));
}

async fn v3_47_a_delete_of_nothing_changes_nothing<T: Transport>(etcd: Etcd<T>) {
    let deleted = etcd.v3().kv().delete(etcd.key("none")).await.unwrap();
    assert_eq!((deleted.deleted, deleted.prev_kvs.len()), (0, 0));
}

async fn v3_18_a_value_that_is_too_large_was_definitely_not_written<T: Transport>(etcd: Etcd<T>) {
    let key = etcd.key("a");
    for size in [1_572_864, 2_300_000] {
        let error = etcd.v3().kv().put(&*key, vec![0; size]).await.unwrap_err();
        assert_eq!(
            error.etcd_kind(),
            Some(EtcdErrorKind::RequestTooLarge),
            "{error}"
        );
        assert_eq!(error.outcome(), Outcome::Rejected);
    }
    assert_eq!(etcd.v3().kv().get(&*key).await.unwrap(), None);
}

async fn v3_18_large_responses_are_read_completely<T: Transport>(etcd: Etcd<T>) {
    let value = vec![7; 1_000_000];
    for n in 0..8 {
        etcd.v3().kv().put(format!("{n}"), &*value).await.unwrap();
    }
    let found = etcd.v3().kv().range(KeyRange::all()).await.unwrap();
    assert_eq!(found.kvs.len(), 8);
    assert!(found.kvs.iter().all(|kv| kv.value == value));
}

async fn v3_45_the_first_write_is_revision_two<T: Transport>(etcd: Etcd<T>) {
    let put = etcd.v3().kv().put("a", "").await.unwrap();
    assert_eq!(put.header.revision, 2);
    let nothing = etcd.v3().kv().delete("b").await.unwrap();
    assert_eq!(nothing.header.revision, 2);
}

async fn v3_63_64_compaction_forgets_the_past<T: Transport>(etcd: Etcd<T>) {
    let (v3, key) = (etcd.v3(), "a");
    for value in ["one", "two", "three"] {
        v3.kv().put(key, value).await.unwrap();
    }
    v3.kv().compact(3).await.unwrap();
    let at = async |revision| etcd.send(Range::new(key).revision(revision)).await;
    assert_eq!(at(3).await.unwrap().first().unwrap().value, "two");
    let gone = at(2).await.unwrap_err();
    assert!(gone.is_compacted(), "{gone}");
    etcd.send(Compact::new(4).physical(true)).await.unwrap();
    assert!(at(3).await.unwrap_err().is_compacted());
}

async fn v3_63_what_is_compacted_or_not_there_yet_cannot_be_compacted<T: Transport>(etcd: Etcd<T>) {
    let (kv, _) = (etcd.v3().kv(), etcd.v3().kv().put("a", "").await.unwrap());
    assert_eq!(refused(kv.compact(3).await), EtcdErrorKind::FutureRevision);
    kv.compact(2).await.unwrap();
    assert_eq!(refused(kv.compact(2).await), EtcdErrorKind::Compacted);
}
