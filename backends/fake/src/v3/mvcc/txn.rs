use std::cmp::Ordering;

use super::{Batch, KeyRange, Mvcc};
use crate::v3::{
    error::V3Error,
    lease::Leases,
    message::kv::{
        Compare, CompareResult, CompareTarget, KeyValue, RequestOp, ResponseHeader, ResponseOp,
        TxnRequest, TxnResponse,
    },
};

impl Mvcc {
    /// Runs a transaction: all of it, or nothing when it is refused.
    pub(crate) fn txn(
        &mut self,
        request: &TxnRequest,
        leases: &mut Leases,
    ) -> Result<TxnResponse, V3Error> {
        let path = Path::decide(self, request);
        if !is_read_only(request) {
            path.check(request, &mut |op| self.check_put_in_txn(op, leases))?;
        }
        path.check(request, &mut |op| self.check_range_in_txn(op))?;
        let mut batch = Batch::new(self, leases);
        let mut response = batch.run(request, &path)?;
        let revision = batch.commit();
        response.header = Some(ResponseHeader::of_revision(revision));
        Ok(response)
    }

    fn check_put_in_txn(&self, op: &RequestOp, leases: &Leases) -> Result<(), V3Error> {
        let Some(put) = &op.request_put else {
            return Ok(());
        };
        if (put.ignore_value || put.ignore_lease) && self.get(&put.key).is_none() {
            return Err(V3Error::KEY_NOT_FOUND);
        }
        if put.lease != 0 && !leases.contains(put.lease) {
            return Err(V3Error::LEASE_NOT_FOUND);
        }
        Ok(())
    }

    fn check_range_in_txn(&self, op: &RequestOp) -> Result<(), V3Error> {
        match &op.request_range {
            Some(range) if range.revision == 0 => Ok(()),
            Some(range) if range.revision > self.revision => Err(V3Error::FUTURE_REVISION),
            Some(range) if range.revision < self.compacted => Err(V3Error::COMPACTED),
            _ => Ok(()),
        }
    }

    fn holds(&self, compare: &Compare) -> bool {
        let keys = KeyRange {
            key: &compare.key,
            end: &compare.range_end,
        };
        let kvs = self.find_now(keys, None).kvs;
        if kvs.is_empty() {
            // The value of a missing key equals nothing.
            return compare.target != CompareTarget::VALUE
                && compares(compare, &KeyValue::default());
        }
        kvs.iter().all(|kv| compares(compare, kv))
    }
}

impl Batch<'_> {
    fn run(&mut self, request: &TxnRequest, path: &Path) -> Result<TxnResponse, V3Error> {
        let mut response = TxnResponse {
            header: Some(ResponseHeader::default()),
            succeeded: path.succeeded,
            responses: Vec::new(),
        };
        let mut nested = path.nested.iter();
        for op in path.branch(request) {
            let mut answer = ResponseOp::default();
            if let Some(range) = &op.request_range {
                answer.response_range = Some(self.range(range)?);
            } else if let Some(put) = &op.request_put {
                answer.response_put = Some(self.put(put)?);
            } else if let Some(delete) = &op.request_delete_range {
                answer.response_delete_range = Some(self.delete_range(delete));
            } else if let (Some(txn), Some(path)) = (&op.request_txn, nested.next()) {
                answer.response_txn = Some(self.run(txn, path)?);
            }
            response.responses.push(answer);
        }
        Ok(response)
    }
}

/// Which branches a transaction takes. All are chosen before anything is done.
#[derive(Debug)]
struct Path {
    succeeded: bool,
    /// Those of the transactions inside the branch, in their order.
    nested: Vec<Path>,
}

impl Path {
    fn decide(store: &Mvcc, request: &TxnRequest) -> Self {
        let succeeded = request.compare.iter().all(|compare| store.holds(compare));
        let mut path = Self {
            succeeded,
            nested: Vec::new(),
        };
        let txns = path.branch(request).iter();
        let txns = txns.filter_map(|op| op.request_txn.as_ref());
        path.nested = txns.map(|txn| Self::decide(store, txn)).collect();
        path
    }

    fn branch<'a>(&self, request: &'a TxnRequest) -> &'a [RequestOp] {
        if self.succeeded {
            &request.success
        } else {
            &request.failure
        }
    }

    /// Checks all operations on the path.
    fn check(
        &self,
        request: &TxnRequest,
        check: &mut dyn FnMut(&RequestOp) -> Result<(), V3Error>,
    ) -> Result<(), V3Error> {
        let mut nested = self.nested.iter();
        for op in self.branch(request) {
            match &op.request_txn {
                Some(txn) => {
                    if let Some(path) = nested.next() {
                        path.check(txn, check)?;
                    }
                }
                None => check(op)?,
            }
        }
        Ok(())
    }
}

fn compares(compare: &Compare, kv: &KeyValue) -> bool {
    let number = |value: i64, wanted: Option<i64>| value.cmp(&wanted.unwrap_or_default());
    let ordering = match compare.target {
        CompareTarget::VERSION => number(kv.version, compare.version),
        CompareTarget::CREATE => number(kv.create_revision, compare.create_revision),
        CompareTarget::MOD => number(kv.mod_revision, compare.mod_revision),
        CompareTarget::VALUE => kv
            .value
            .cmp(compare.value.as_ref().unwrap_or(&bytes::Bytes::new())),
        CompareTarget::LEASE => number(kv.lease, compare.lease),
        _ => Ordering::Equal,
    };
    match compare.result {
        CompareResult::EQUAL => ordering.is_eq(),
        CompareResult::NOT_EQUAL => ordering.is_ne(),
        CompareResult::GREATER => ordering.is_gt(),
        CompareResult::LESS => ordering.is_lt(),
        _ => true,
    }
}

/// Whether a transaction consists of reads alone. etcd counts one inside another as a write.
pub(crate) fn is_read_only(request: &TxnRequest) -> bool {
    let mut ops = request.success.iter().chain(&request.failure);
    ops.all(|op| op.request_range.is_some())
}
