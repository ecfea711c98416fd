mod check;
mod compare;
mod response;

use crate::{
    error::Result,
    pipeline::call::Repeat,
    v3::protocol::message::{Encode, Fields},
};

use crate::v3::kv::{DeleteRange, Put, Range};

pub use compare::{Compare, CompareTarget};
pub use response::{TxnOpResponse, TxnResponse};

/// etcd's default for `--max-txn-ops`.
const MAX_OPERATIONS: usize = 128;

/// A transaction: comparisons, operations for when all of them hold, and others for when not: `POST /v3/kv/txn`.
///
/// A transaction is atomic: all its changes have the same revision. Operations take effect in order, and a read sees
/// the writes before it. A transaction without comparisons succeeds.
///
/// ```
/// use etcd_http::v3::{Compare, Put, Range, Txn};
///
/// let swap = Txn::new()
///     .when(Compare::value("config").equal("old"))
///     .then(Put::new("config", "new"))
///     .otherwise(Range::new("config"));
/// # let _ = swap;
/// ```
///
/// A transaction that only reads is retried like any read; one that may write, only if the previous attempt definitely
/// did not reach the server. [`ExactlyOnce`](super::ExactlyOnce) makes any transaction safe to retry.
///
/// # Errors
/// Those of its operations: if one fails, nothing is applied. What etcd would reject as
/// [`DuplicateKey`](crate::EtcdErrorKind::DuplicateKey) or
/// [`TooManyOperations`](crate::EtcdErrorKind::TooManyOperations) is an [`Error::Invalid`](crate::Error::Invalid) of that
/// kind, and nothing is sent. [`NonAtomicBatch`](super::NonAtomicBatch) splits more operations into several transactions.
#[doc(alias = "cas")]
#[doc(alias = "compare-and-swap")]
#[doc(alias = "transaction")]
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use = "an operation does nothing before `Client::send`"]
pub struct Txn {
    pub(in crate::v3) compare: Vec<Compare>,
    pub(in crate::v3) success: Vec<TxnOp>,
    pub(in crate::v3) failure: Vec<TxnOp>,
    pub(super) max_operations: usize,
}

impl Txn {
    /// An empty transaction, which succeeds.
    pub fn new() -> Self {
        Self {
            compare: Vec::new(),
            success: Vec::new(),
            failure: Vec::new(),
            max_operations: MAX_OPERATIONS,
        }
    }

    /// Adds a comparison: the transaction succeeds only if all of them hold.
    #[doc(alias = "if")]
    pub fn when(mut self, compare: Compare) -> Self {
        self.compare.push(compare);
        self
    }

    /// Adds an operation for when the transaction succeeds.
    pub fn then(mut self, operation: impl Into<TxnOp>) -> Self {
        self.success.push(operation.into());
        self
    }

    /// Adds an operation for when the transaction does not succeed.
    #[doc(alias = "else")]
    pub fn otherwise(mut self, operation: impl Into<TxnOp>) -> Self {
        self.failure.push(operation.into());
        self
    }

    /// Sets how many comparisons, or operations in one branch, the server allows. Defaults to 128, as etcd's
    /// `--max-txn-ops`. A nested transaction may use what the outer one leaves.
    pub fn max_operations(mut self, operations: usize) -> Self {
        self.max_operations = operations;
        self
    }

    pub(super) fn is_read_only(&self) -> bool {
        let mut operations = self.success.iter().chain(&self.failure);
        operations.all(|operation| match operation {
            TxnOp::Range(_) => true,
            TxnOp::Put(_) | TxnOp::DeleteRange(_) => false,
            TxnOp::Txn(inner) => inner.is_read_only(),
        })
    }
}

impl Default for Txn {
    fn default() -> Self {
        Self::new()
    }
}

impl Encode for Txn {
    fn check(&self, operation: &'static str) -> Result<()> {
        check::check(operation, self)
    }

    fn is_read(&self) -> bool {
        self.is_read_only()
    }

    fn fields<F: Fields>(&self, to: &mut F) {
        to.put(1, "compare", &self.compare)
            .put(2, "success", &self.success)
            .put(3, "failure", &self.failure);
    }
}

crate::v3::protocol::operation!(Txn => TxnResponse, "v3.kv.txn", TXN, |txn| {
    if txn.is_read_only() { Repeat::Always } else { Repeat::IfUnsent }
});

/// An operation in a [`Txn`].
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum TxnOp {
    /// A read.
    Range(Range),
    /// A put.
    Put(Put),
    /// A delete.
    DeleteRange(DeleteRange),
    /// A nested transaction. All comparisons are evaluated before anything is applied.
    Txn(Txn),
}

impl Encode for TxnOp {
    fn fields<F: Fields>(&self, to: &mut F) {
        match self {
            Self::Range(range) => to.put(1, "request_range", range),
            Self::Put(put) => to.put(2, "request_put", put),
            Self::DeleteRange(delete) => to.put(3, "request_delete_range", delete),
            Self::Txn(txn) => to.put(4, "request_txn", txn),
        };
    }
}

macro_rules! from_operation {
    ($($operation:ident),+) => {$(
        impl From<$operation> for TxnOp {
            fn from(operation: $operation) -> Self {
                Self::$operation(operation)
            }
        }
    )+};
}

from_operation!(Range, Put, DeleteRange, Txn);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        testing::AsRequest,
        v3::{KeyRange, testing::body},
    };

    #[test]
    fn v3_50_the_request_is_as_documented() {
        let txn = Txn::new()
            .when(Compare::create_revision("foo").equal(2))
            .then(Put::new("foo", "bar"))
            .otherwise(Range::new("foo"));
        let call = txn.request().unwrap();
        assert_eq!(
            (call.target(), call.repeat()),
            ("/v3/kv/txn", Repeat::IfUnsent)
        );
        assert_eq!(
            body(&txn),
            r#"{"compare":[{"target":"CREATE","key":"Zm9v","create_revision":"2"}],"success":[{"request_put":{"key":"Zm9v","value":"YmFy"}}],"failure":[{"request_range":{"key":"Zm9v"}}]}"#
        );
        assert_eq!(body(&Txn::new()), "{}");
    }

    #[test]
    fn v3_51_every_comparison_is_written() {
        for (compare, json) in [
            (Compare::version("a").equal(0), r#"{"key":"YQ=="}"#),
            (Compare::missing("a"), r#"{"key":"YQ=="}"#),
            (Compare::exists("a"), r#"{"result":"GREATER","key":"YQ=="}"#),
            (
                Compare::version("a").greater(1),
                r#"{"result":"GREATER","key":"YQ==","version":"1"}"#,
            ),
            (
                Compare::mod_revision("a").less(2),
                r#"{"result":"LESS","target":"MOD","key":"YQ==","mod_revision":"2"}"#,
            ),
            (
                Compare::create_revision("a").not_equal(3),
                r#"{"result":"NOT_EQUAL","target":"CREATE","key":"YQ==","create_revision":"3"}"#,
            ),
            (
                Compare::value(KeyRange::prefix("a")).equal("v"),
                r#"{"target":"VALUE","key":"YQ==","value":"dg==","range_end":"Yg=="}"#,
            ),
            (
                Compare::lease("a").equal(-7),
                r#"{"target":"LEASE","key":"YQ==","lease":"-7"}"#,
            ),
        ] {
            let expected = format!(r#"{{"compare":[{json}]}}"#);
            assert_eq!(body(&Txn::new().when(compare)), expected);
        }
    }

    #[test]
    fn v3_50_nested_transactions_and_deletes_are_written() {
        let inner = Txn::new().then(DeleteRange::new("b"));
        assert_eq!(
            body(&Txn::new().then(inner)),
            r#"{"success":[{"request_txn":{"success":[{"request_delete_range":{"key":"Yg=="}}]}}]}"#
        );
    }

    #[test]
    fn a_transaction_that_only_reads_is_repeated() {
        let reads = Txn::new()
            .when(Compare::exists("a"))
            .then(Range::new("a"))
            .then(Txn::new().then(Range::new("b")));
        assert_eq!(reads.request().unwrap().repeat(), Repeat::Always);
        for write in [
            reads.clone().otherwise(Put::new("a", "")),
            reads.then(Txn::new().otherwise(DeleteRange::new("b"))),
        ] {
            assert_eq!(write.request().unwrap().repeat(), Repeat::IfUnsent);
        }
    }

    #[test]
    fn the_messages_are_those_of_etcd() {
        use crate::v3::testing::schema::{Requests, response};

        let txn = Txn::new()
            .when(Compare::value("a").not_equal("b"))
            .then(Put::new("a", "c"))
            .then(Txn::new().then(DeleteRange::new("d")))
            .otherwise(Range::new("a"));
        Requests::of("etcdserverpb.TxnRequest")
            .send(&txn)
            .send(&Txn::new())
            .all_fields_but(&[]);
        Requests::of("etcdserverpb.RequestOp")
            .send(&TxnOp::from(Range::new("a")))
            .send(&TxnOp::from(Put::new("a", "b")))
            .send(&TxnOp::from(DeleteRange::new("a")))
            .send(&TxnOp::from(txn))
            .all_fields_but(&[]);
        Requests::of("etcdserverpb.Compare")
            .send(&Compare::version("a").equal(1))
            .send(&Compare::create_revision("a").greater(2))
            .send(&Compare::mod_revision("a").less(3))
            .send(&Compare::value(KeyRange::prefix("a")).not_equal("b"))
            .send(&Compare::lease("a").equal(-7))
            .send(&Compare::missing("a"))
            .all_fields_but(&[]);
        response::<TxnResponse>("etcdserverpb.TxnResponse", &[]);
    }
}
