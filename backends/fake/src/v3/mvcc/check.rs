//! What is wrong with a request by itself, whatever is stored.

use std::collections::HashSet;

use crate::v3::{
    error::V3Error,
    message::kv::{DeleteRangeRequest, PutRequest, RangeRequest, RequestOp, TxnRequest},
};

type Checked = Result<(), V3Error>;

pub(crate) fn check_range(request: &RangeRequest) -> Checked {
    check_key(&request.key)
}

pub(crate) fn check_put(request: &PutRequest) -> Checked {
    check_key(&request.key)?;
    if request.ignore_value && !request.value.is_empty() {
        return Err(V3Error::VALUE_PROVIDED);
    }
    if request.ignore_lease && request.lease != 0 {
        return Err(V3Error::LEASE_PROVIDED);
    }
    Ok(())
}

pub(crate) fn check_delete(request: &DeleteRangeRequest) -> Checked {
    check_key(&request.key)
}

/// `max_ops`: how many comparisons, and operations in a branch, are allowed.
pub(crate) fn check_txn(request: &TxnRequest, max_ops: usize) -> Checked {
    check_shape(request, max_ops)?;
    Intervals::of(&request.success)?;
    Intervals::of(&request.failure)?;
    Ok(())
}

fn check_shape(request: &TxnRequest, max_ops: usize) -> Checked {
    let lengths = [
        request.compare.len(),
        request.success.len(),
        request.failure.len(),
    ];
    let longest = lengths.into_iter().max().unwrap_or_default();
    // What this transaction takes is not left for those inside it.
    let left = max_ops.checked_sub(longest).ok_or(V3Error::TOO_MANY_OPS)?;
    let mut keys = request.compare.iter().map(|compare| &compare.key);
    keys.try_for_each(|key| check_key(key))?;
    let mut ops = request.success.iter().chain(&request.failure);
    ops.try_for_each(|op| check_op(op, left))
}

fn check_op(op: &RequestOp, max_ops: usize) -> Checked {
    if let Some(range) = &op.request_range {
        check_range(range)
    } else if let Some(put) = &op.request_put {
        check_put(put)
    } else if let Some(delete) = &op.request_delete_range {
        check_delete(delete)
    } else if let Some(txn) = &op.request_txn {
        check_shape(txn, max_ops)
    } else {
        Err(V3Error::KEY_NOT_FOUND)
    }
}

fn check_key(key: &[u8]) -> Checked {
    if key.is_empty() {
        return Err(V3Error::EMPTY_KEY);
    }
    Ok(())
}

/// The keys that a branch puts, and the intervals that it deletes: a key may be put once, and not be deleted as well.
#[derive(Default)]
struct Intervals<'a> {
    puts: HashSet<&'a [u8]>,
    deletes: Vec<(&'a [u8], &'a [u8])>,
}

impl<'a> Intervals<'a> {
    fn of(ops: &'a [RequestOp]) -> Result<Self, V3Error> {
        let mut all = Self::default();
        for delete in ops.iter().filter_map(|op| op.request_delete_range.as_ref()) {
            all.deletes.push((&delete.key, &delete.range_end));
        }
        for txn in ops.iter().filter_map(|op| op.request_txn.as_ref()) {
            let success = Self::of(&txn.success)?;
            let failure = Self::of(&txn.failure)?;
            for &key in &success.puts {
                all.put(key, true)?;
            }
            for &key in &failure.puts {
                // Only one of the two branches is taken.
                all.put(key, !success.puts.contains(key))?;
            }
            all.deletes.extend(success.deletes);
            all.deletes.extend(failure.deletes);
        }
        for put in ops.iter().filter_map(|op| op.request_put.as_ref()) {
            all.put(&put.key, true)?;
        }
        Ok(all)
    }

    fn put(&mut self, key: &'a [u8], must_be_new: bool) -> Checked {
        let is_new = self.puts.insert(key);
        let is_deleted = self.deletes.iter().any(|&(start, end)| {
            // An end of one zero byte is no sign here, but a key that comes before all others.
            if end.is_empty() {
                key == start
            } else {
                key >= start && key < end
            }
        });
        if (must_be_new && !is_new) || is_deleted {
            return Err(V3Error::DUPLICATE_KEY);
        }
        Ok(())
    }
}
