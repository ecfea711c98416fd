//! Checks a transaction for what etcd would reject, before it is sent.

use std::collections::HashSet;

use bytes::Bytes;

use crate::{
    error::{Error, EtcdErrorKind, Result},
    v3::{KeyRange, protocol::message::Encode},
};

use crate::v3::kv::txn::{Txn, TxnOp};

/// Deeper nesting is rejected: JSON parsers have limits.
const MAX_DEPTH: usize = 16;

pub(super) fn check(operation: &'static str, txn: &Txn) -> Result<()> {
    check_each(operation, txn, txn.max_operations, MAX_DEPTH)?;
    for branch in [&txn.success, &txn.failure] {
        writes(operation, branch)?;
    }
    Ok(())
}

/// Checks sizes, comparisons and operations.
fn check_each(operation: &'static str, txn: &Txn, budget: usize, depth: usize) -> Result<()> {
    let lengths = [
        (txn.compare.len(), "comparisons"),
        (txn.success.len(), "operations in the branch `then`"),
        (txn.failure.len(), "operations in the branch `otherwise`"),
    ];
    let (largest, what) = lengths.into_iter().max().unwrap_or_default();
    let Some(left) = budget.checked_sub(largest) else {
        let reason = format!(
            "{largest} {what} are more than etcd's limit of {budget}: send a `NonAtomicBatch`, which is many \
             transactions, or, if your server allows more (--max-txn-ops), set `max_operations`"
        );
        let kind = EtcdErrorKind::TooManyOperations;
        return Err(Error::invalid_as(kind, operation, reason));
    };
    if depth == 0 {
        let reason = format!("transactions are nested more than {MAX_DEPTH} deep");
        return Err(Error::invalid(operation, reason));
    }
    for compare in &txn.compare {
        compare.check(operation)?;
    }
    for inner in txn.success.iter().chain(&txn.failure) {
        match inner {
            TxnOp::Range(range) => range.check(operation)?,
            TxnOp::Put(put) => put.check(operation)?,
            TxnOp::DeleteRange(delete) => delete.check(operation)?,
            TxnOp::Txn(txn) => check_each(operation, txn, left, depth - 1)?,
        }
    }
    Ok(())
}

/// The keys that a branch writes.
#[derive(Default)]
struct Writes<'a> {
    puts: HashSet<&'a Bytes>,
    deletes: Vec<&'a KeyRange>,
}

impl<'a> Writes<'a> {
    fn put(&mut self, operation: &'static str, key: &'a Bytes) -> Result<()> {
        if self.puts.contains(key) {
            return Err(duplicate(operation, key, "put twice"));
        }
        self.put_in_either(operation, key)
    }

    /// Adds a put of a key that both branches of a nested transaction may write.
    fn put_in_either(&mut self, operation: &'static str, key: &'a Bytes) -> Result<()> {
        // In this check, etcd takes an open end for a key of one zero byte, and finds no conflict.
        let has_end = |range: &&KeyRange| !range.is_endless();
        let mut deletes = self.deletes.iter().copied().filter(has_end);
        if deletes.any(|range| range.contains(key)) {
            return Err(duplicate(operation, key, "both put and deleted"));
        }
        self.puts.insert(key);
        Ok(())
    }
}

/// Collects the keys that a branch writes, unless it writes one twice. In etcd's order: the branch's deletes, nested
/// transactions, the branch's puts.
fn writes<'a>(operation: &'static str, branch: &'a [TxnOp]) -> Result<Writes<'a>> {
    let mut all = Writes::default();
    all.deletes
        .extend(branch.iter().filter_map(|inner| match inner {
            TxnOp::DeleteRange(delete) => Some(&delete.range),
            _ => None,
        }));
    for inner in branch {
        let TxnOp::Txn(txn) = inner else { continue };
        let success = writes(operation, &txn.success)?;
        let failure = writes(operation, &txn.failure)?;
        for key in &success.puts {
            all.put(operation, key)?;
        }
        for key in &failure.puts {
            if success.puts.contains(key) {
                all.put_in_either(operation, key)?;
            } else {
                all.put(operation, key)?;
            }
        }
        all.deletes.extend(success.deletes);
        all.deletes.extend(failure.deletes);
    }
    for inner in branch {
        if let TxnOp::Put(put) = inner {
            all.put(operation, &put.key)?;
        }
    }
    Ok(all)
}

fn duplicate(operation: &'static str, key: &Bytes, how: &str) -> Error {
    let key = String::from_utf8_lossy(key);
    let reason = format!("the key {key:?} is {how} in one branch");
    Error::invalid_as(EtcdErrorKind::DuplicateKey, operation, reason)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        testing::AsRequest,
        v3::{Compare, DeleteRange, Put, Range},
    };

    fn refused(txn: &Txn) -> Option<String> {
        txn.request().err().map(|error| error.to_string())
    }

    fn repeated(count: usize) -> Txn {
        (0..count).fold(Txn::new(), |txn, _| txn.then(Range::new("a")))
    }

    #[test]
    fn v3_54_there_is_room_for_128_at_the_top_and_for_the_rest_inside() {
        assert_eq!(refused(&repeated(128)), None);
        assert_eq!(
            refused(&repeated(129)).unwrap(),
            "v3.kv.txn: 129 operations in the branch `then` are more than etcd's limit of 128: send a `NonAtomicBatch`, \
             which is many transactions, or, if your server allows more (--max-txn-ops), set `max_operations`"
        );
        let otherwise = (0..130).fold(repeated(3), |txn, _| txn.otherwise(Range::new("a")));
        let reason = refused(&otherwise).unwrap();
        assert!(
            reason.contains("130 operations in the branch `otherwise` are"),
            "{reason}"
        );
        let compares = (0..131).fold(repeated(3), |txn, _| txn.when(Compare::exists("a")));
        let reason = refused(&compares).unwrap();
        assert!(reason.contains("131 comparisons are"), "{reason}");
        let error = repeated(129).request().unwrap_err();
        assert_eq!(error.etcd_kind(), Some(EtcdErrorKind::TooManyOperations));
        assert_eq!(error.outcome(), crate::error::Outcome::NotSent);
        assert_eq!(refused(&repeated(129).max_operations(200)), None);
        let inner = repeated(28);
        assert_eq!(refused(&repeated(99).then(inner.clone())), None);
        assert!(refused(&repeated(100).then(inner)).is_some());
    }

    #[test]
    fn v3_55_what_is_inside_is_checked_too() {
        for txn in [
            Txn::new().when(Compare::exists("")),
            Txn::new().then(Put::new("", "x")),
            Txn::new().otherwise(Range::new("")),
            Txn::new().then(Txn::new().otherwise(DeleteRange::new(""))),
        ] {
            let reason = refused(&txn).unwrap();
            assert!(
                reason.starts_with("v3.kv.txn: the key is empty"),
                "{reason}"
            );
        }
    }

    #[test]
    fn v3_56_a_key_is_written_once_in_a_branch() {
        let put = || Put::new("a", "");
        let nested = || Txn::new().then(put());
        for txn in [
            Txn::new().then(put()).then(put()),
            Txn::new().otherwise(put()).otherwise(nested()),
            Txn::new().then(nested()).then(nested()),
            Txn::new().then(put()).then(DeleteRange::new("a")),
            Txn::new()
                .then(DeleteRange::new(KeyRange::prefix("a")))
                .then(nested()),
            Txn::new()
                .then(Txn::new().otherwise(DeleteRange::new("a")))
                .then(put()),
        ] {
            let error = txn.request().unwrap_err();
            assert_eq!(
                error.etcd_kind(),
                Some(EtcdErrorKind::DuplicateKey),
                "{txn:?}"
            );
        }
        for txn in [
            Txn::new().then(put()).otherwise(put()),
            Txn::new().then(nested().otherwise(put())),
            Txn::new()
                .then(DeleteRange::new("a"))
                .then(DeleteRange::new("a")),
            Txn::new().then(put()).then(DeleteRange::new("b")),
        ] {
            assert_eq!(refused(&txn), None);
        }
    }

    #[test]
    fn v3_57_a_delete_without_an_end_conflicts_with_nothing() {
        let txn = Txn::new()
            .then(DeleteRange::new(KeyRange::all()))
            .then(Put::new("a", ""));
        assert_eq!(refused(&txn), None);
    }

    #[test]
    fn depth_has_a_limit() {
        let nested = |depth| (0..depth).fold(Txn::new(), |inner, _| Txn::new().then(inner));
        assert_eq!(refused(&nested(15)), None);
        assert!(refused(&nested(16)).is_some());
    }
}
