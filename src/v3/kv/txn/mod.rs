mod check;
mod compare;
mod response;

use crate::{
    error::Result,
    operation::Repeat,
    v3::protocol::gateway::{self, Encode, Fields},
};

use crate::v3::kv::{DeleteRange, Put, Range};

pub use compare::{Compare, CompareTarget};
pub use response::{TxnOpResponse, TxnResponse};

/// What a server takes, unless it was started with `--max-txn-ops`.
const MAX_OPERATIONS: usize = 128;

/// A transaction: comparisons, and what to do if all of them hold, or if not: `POST /v3/kv/txn`.
///
/// Everything happens in one step and, if anything changes, in one revision. The operations take effect in their order,
/// and reads see what was written before them. A transaction without comparisons succeeds.
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
/// A transaction that only reads is repeated like any read; one that may write, only when the server surely saw nothing
/// of the attempt before. [`ExactlyOnce`](super::ExactlyOnce) makes it safe to repeat.
///
/// # Errors
/// Those of its operations: one that fails fails all. [`DuplicateKey`](crate::EtcdErrorKind::DuplicateKey) and
/// [`TooManyOperations`](crate::EtcdErrorKind::TooManyOperations) are refused before anything is sent.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use = "an operation does nothing before `Client::send`"]
pub struct Txn {
    pub(in crate::v3) compare: Vec<Compare>,
    pub(in crate::v3) success: Vec<TxnOp>,
    pub(in crate::v3) failure: Vec<TxnOp>,
    pub(super) max_operations: usize,
}

impl Txn {
    /// A transaction that does nothing yet, and succeeds.
    pub fn new() -> Self {
        Self {
            compare: Vec::new(),
            success: Vec::new(),
            failure: Vec::new(),
            max_operations: MAX_OPERATIONS,
        }
    }

    /// Succeeds only if this holds, too.
    #[doc(alias = "if")]
    pub fn when(mut self, compare: Compare) -> Self {
        self.compare.push(compare);
        self
    }

    /// And does this, if it succeeds.
    pub fn then(mut self, operation: impl Into<TxnOp>) -> Self {
        self.success.push(operation.into());
        self
    }

    /// And does this, if it does not succeed.
    #[doc(alias = "else")]
    pub fn otherwise(mut self, operation: impl Into<TxnOp>) -> Self {
        self.failure.push(operation.into());
        self
    }

    /// How many comparisons, or operations of a branch, the server takes: 128 unless it was started with
    /// `--max-txn-ops`. A nested transaction has what the one around it leaves.
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

    fn fields(&self, to: &mut Fields<'_>) {
        to.put("compare", &self.compare)
            .put("success", &self.success)
            .put("failure", &self.failure);
    }

    fn payload(&self) -> usize {
        let operations = self.success.iter().chain(&self.failure);
        64 * self.compare.len() + operations.map(Encode::payload).sum::<usize>()
    }
}

gateway::operation!(Txn => TxnResponse, "v3.kv.txn", "/v3/kv/txn", |txn| {
    if txn.is_read_only() { Repeat::Always } else { Repeat::IfUnsent }
});

/// One operation of a [`Txn`].
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum TxnOp {
    /// Reads.
    Range(Range),
    /// Writes a key.
    Put(Put),
    /// Deletes.
    DeleteRange(DeleteRange),
    /// A transaction of its own. All comparisons are made before anything is done.
    Txn(Txn),
}

impl Encode for TxnOp {
    fn fields(&self, to: &mut Fields<'_>) {
        match self {
            Self::Range(range) => to.put("request_range", range),
            Self::Put(put) => to.put("request_put", put),
            Self::DeleteRange(delete) => to.put("request_delete_range", delete),
            Self::Txn(txn) => to.put("request_txn", txn),
        };
    }

    fn payload(&self) -> usize {
        64 + match self {
            Self::Put(put) => put.payload(),
            Self::Txn(txn) => txn.payload(),
            Self::Range(_) | Self::DeleteRange(_) => 0,
        }
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
        operation::Operation,
        v3::{KeyRange, testing::body},
    };

    #[test]
    fn v3_50_the_request_is_as_documented() {
        let txn = Txn::new()
            .when(Compare::create_revision("foo").equal(2))
            .then(Put::new("foo", "bar"))
            .otherwise(Range::new("foo"));
        let call = txn.encode().unwrap();
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
        assert_eq!(reads.encode().unwrap().repeat(), Repeat::Always);
        for write in [
            reads.clone().otherwise(Put::new("a", "")),
            reads.then(Txn::new().otherwise(DeleteRange::new("b"))),
        ] {
            assert_eq!(write.encode().unwrap().repeat(), Repeat::IfUnsent);
        }
    }
}
