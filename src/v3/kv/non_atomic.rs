use std::{collections::HashSet, collections::VecDeque, error::Error as StdError, fmt, mem};

use bytes::Bytes;
use etcd_transport::Transport;

use crate::{
    client::Client,
    error::{Error, Outcome},
    v3::{
        KeyRange, Txn, TxnOp, TxnOpResponse,
        protocol::{message::Encode, protobuf::Measured},
    },
};

/// etcd's default for `--max-txn-ops`.
const MAX_OPERATIONS: usize = 128;

/// Two thirds of etcd's default for `--max-request-bytes`.
const MAX_BYTES: usize = 1 << 20;

/// At most as many bytes of a transaction belong to an operation besides its own.
const OVERHEAD: usize = 16;

/// Many operations, in as many transactions as they need: `POST /v3/kv/txn` for each, one after the other.
///
/// **All together they are not atomic.** Each transaction is; between two of them, others read and write, and after a failure
/// the first ones are applied and the rest is not: the error says how far it came. Operations take effect in order. An
/// operation on a key that the present transaction has already written begins the next one, as etcd writes a key only once
/// in a transaction; a nested transaction has one of its own.
///
/// ```
/// # use etcd_http::{Client, Error, transport::Transport};
/// use etcd_http::v3::{NonAtomicBatch, Put};
///
/// # async fn example<T: Transport>(client: &Client<T>) -> Result<(), Error> {
/// let puts = (0..1000).map(|n| Put::new(format!("jobs/{n}"), "waiting"));
/// match NonAtomicBatch::new(puts).send(client).await {
///     Ok(responses) => println!("{} keys are written", responses.len()),
///     Err(failure) => println!("{} keys are written, and then: {failure}", failure.applied().len()),
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use = "a batch does nothing before it is sent"]
pub struct NonAtomicBatch {
    operations: Vec<TxnOp>,
    max_operations: usize,
    max_bytes: usize,
}

impl NonAtomicBatch {
    /// A batch of these operations, in this order.
    pub fn new(operations: impl IntoIterator<Item: Into<TxnOp>>) -> Self {
        Self {
            operations: operations.into_iter().map(Into::into).collect(),
            max_operations: MAX_OPERATIONS,
            max_bytes: MAX_BYTES,
        }
    }

    /// Sets how many operations a transaction has at most. Defaults to 128, as etcd's `--max-txn-ops`.
    pub fn max_operations(mut self, operations: usize) -> Self {
        self.max_operations = operations.max(1);
        self
    }

    /// Sets how large the request of a transaction is at most, in bytes, as etcd counts them. Defaults to 1 MiB, below
    /// etcd's `--max-request-bytes` of 1.5 MiB. A larger operation has a transaction of its own.
    pub fn max_bytes(mut self, bytes: usize) -> Self {
        self.max_bytes = bytes;
        self
    }

    /// Returns the number of operations.
    pub fn len(&self) -> usize {
        self.operations.len()
    }

    /// Whether there are no operations.
    pub fn is_empty(&self) -> bool {
        self.operations.is_empty()
    }

    /// Returns the transactions, to be sent one after the other: in a namespace, or by [`ExactlyOnce`](super::ExactlyOnce).
    pub fn into_txns(self) -> Vec<Txn> {
        let mut split = Split {
            max_operations: self.max_operations,
            max_bytes: self.max_bytes,
            txns: Vec::new(),
            current: Vec::new(),
            bytes: 0,
            puts: HashSet::new(),
            deletes: Vec::new(),
        };
        for operation in self.operations {
            split.push(operation);
        }
        split.end();
        split.txns
    }

    /// Sends the transactions, one after the other, and returns the responses of all operations, in order. After a failure
    /// nothing more is sent.
    ///
    /// # Errors
    /// The error of the first transaction that failed, and how far the batch came. If an operation is not valid, nothing is
    /// sent.
    pub async fn send<T: Transport>(
        self,
        client: &Client<T>,
    ) -> Result<Vec<TxnOpResponse>, NonAtomicBatchError> {
        let (max_operations, max_bytes) = (self.max_operations, self.max_bytes);
        let mut left: VecDeque<Txn> = self.into_txns().into();
        let mut applied = Vec::new();
        let mut checked = left.iter().map(|txn| txn.check(NAME));
        let mut failure = checked.find_map(Result::err);
        while failure.is_none()
            && let Some(txn) = left.front()
        {
            match client.perform(txn).await {
                Ok(response) => {
                    applied.extend(response.responses);
                    left.pop_front();
                }
                Err(error) => failure = Some(error),
            }
        }
        let Some(error) = failure else {
            return Ok(applied);
        };
        let rest = Self {
            operations: left.into_iter().flat_map(|txn| txn.success).collect(),
            max_operations,
            max_bytes,
        };
        Err(NonAtomicBatchError::new(error, applied, rest))
    }
}

/// Why a [`NonAtomicBatch`] failed, and how far it came. `Display` says both.
#[derive(Debug)]
pub struct NonAtomicBatchError(Box<Failed>);

#[derive(Debug)]
struct Failed {
    error: Error,
    applied: Vec<TxnOpResponse>,
    rest: NonAtomicBatch,
}

impl NonAtomicBatchError {
    /// A batch that failed with this error: the responses of what was applied before, and what was not applied, or not for
    /// certain. For your own tests.
    ///
    /// ```
    /// use etcd_http::{Error, InvalidInput, v3::{NonAtomicBatch, NonAtomicBatchError, Put}};
    ///
    /// let error = Error::Invalid(InvalidInput::new("v3.kv.txn", "the key is empty"));
    /// let rest = NonAtomicBatch::new([Put::new("", "x")]);
    /// let failure = NonAtomicBatchError::new(error, [], rest);
    /// assert_eq!(
    ///     failure.to_string(),
    ///     "0 of 1 operations are applied: v3.kv.txn: the key is empty"
    /// );
    /// ```
    pub fn new(
        error: Error,
        applied: impl IntoIterator<Item = TxnOpResponse>,
        rest: NonAtomicBatch,
    ) -> Self {
        Self(Box::new(Failed {
            error,
            applied: applied.into_iter().collect(),
            rest,
        }))
    }

    /// Returns the responses of the operations that were definitely applied: the first ones of the batch.
    pub fn applied(&self) -> &[TxnOpResponse] {
        &self.0.applied
    }

    /// Returns the error of the transaction that failed. If its [outcome](Error::outcome) is unknown, the first operations
    /// of the [rest](Self::rest) may have been applied, all those of one transaction or none.
    pub fn error(&self) -> &Error {
        &self.0.error
    }

    /// Returns the operations that were not applied, or not for certain: to be sent again, if no other client writes the keys.
    pub fn rest(&self) -> &NonAtomicBatch {
        &self.0.rest
    }

    /// Returns the error and the operations that were not applied, or not for certain.
    pub fn into_parts(self) -> (Error, NonAtomicBatch) {
        (self.0.error, self.0.rest)
    }
}

impl fmt::Display for NonAtomicBatchError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (applied, rest) = (self.0.applied.len(), self.0.rest.len());
        write!(f, "{applied} of {} operations are applied", applied + rest)?;
        if self.0.error.outcome() == Outcome::Unknown {
            f.write_str(", and the next ones may be")?;
        }
        write!(f, ": {}", self.0.error)
    }
}

impl StdError for NonAtomicBatchError {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        Some(&self.0.error)
    }
}

/// The name of a transaction in errors.
const NAME: &str = "v3.kv.txn";

/// Distributes operations over transactions.
struct Split {
    max_operations: usize,
    max_bytes: usize,
    txns: Vec<Txn>,
    current: Vec<TxnOp>,
    /// The size of the present transaction.
    bytes: usize,
    puts: HashSet<Bytes>,
    deletes: Vec<KeyRange>,
}

impl Split {
    fn push(&mut self, operation: TxnOp) {
        let bytes = Measured::new(&operation).len() + OVERHEAD;
        let is_full = self.current.len() >= self.max_operations
            || self.bytes.saturating_add(bytes) > self.max_bytes;
        let is_nested = matches!(operation, TxnOp::Txn(_));
        if is_full || is_nested || self.has_written(&operation) {
            self.end();
        }
        match &operation {
            TxnOp::Put(put) => {
                self.puts.insert(put.key.clone());
            }
            TxnOp::DeleteRange(delete) => self.deletes.push(delete.range.clone()),
            TxnOp::Range(_) | TxnOp::Txn(_) => {}
        }
        self.bytes += bytes;
        self.current.push(operation);
        if is_nested {
            self.end();
        }
    }

    /// Whether etcd would refuse to write the same key again in the present transaction.
    fn has_written(&self, operation: &TxnOp) -> bool {
        match operation {
            TxnOp::Put(put) => {
                let mut deletes = self.deletes.iter();
                self.puts.contains(&put.key) || deletes.any(|range| range.contains(&put.key))
            }
            TxnOp::DeleteRange(delete) => self.puts.iter().any(|key| delete.range.contains(key)),
            TxnOp::Range(_) | TxnOp::Txn(_) => false,
        }
    }

    /// Ends the present transaction.
    fn end(&mut self) {
        if self.current.is_empty() {
            return;
        }
        let operations = mem::take(&mut self.current).into_iter();
        let txn = Txn::new().max_operations(self.max_operations);
        self.txns.push(operations.fold(txn, Txn::then));
        self.bytes = 0;
        self.puts.clear();
        self.deletes.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::v3::{DeleteRange, Put, Range};

    fn sizes(batch: NonAtomicBatch) -> Vec<usize> {
        let txns = batch.into_txns();
        txns.iter().map(|txn| txn.success.len()).collect()
    }

    fn puts(count: usize, size: usize) -> NonAtomicBatch {
        let value = "x".repeat(size);
        NonAtomicBatch::new((0..count).map(|n| Put::new(format!("{n}"), &value)))
    }

    #[test]
    fn transactions_have_at_most_so_many_operations() {
        assert_eq!(sizes(puts(300, 1)), [128, 128, 44]);
        assert_eq!(sizes(puts(300, 1).max_operations(200)), [200, 100]);
        assert_eq!(sizes(puts(3, 1).max_operations(0)), [1, 1, 1]);
        assert!(sizes(puts(0, 1)).is_empty());
        for txn in puts(300, 1).max_operations(200).into_txns() {
            txn.check(NAME).unwrap();
        }
    }

    #[test]
    fn transactions_have_at_most_so_many_bytes() {
        assert_eq!(sizes(puts(7, 100_000).max_bytes(310_000)), [3, 3, 1]);
        assert_eq!(sizes(puts(3, 2_000_000)), [1, 1, 1], "left to etcd");
        let batch = puts(1000, 10_000);
        for txn in batch.into_txns() {
            assert!(Measured::new(&txn).len() <= MAX_BYTES);
        }
    }

    #[test]
    fn a_key_is_written_once_in_each_transaction_and_the_order_stays() {
        let operations: [TxnOp; 7] = [
            Put::new("a", "1").into(),
            Put::new("b", "1").into(),
            Put::new("a", "2").into(),
            DeleteRange::new(KeyRange::prefix("a")).into(),
            Range::new("a").into(),
            Put::new("a", "3").into(),
            Txn::new().then(Put::new("c", "")).into(),
        ];
        let batch = NonAtomicBatch::new(operations.clone());
        let txns = batch.into_txns();
        for txn in &txns {
            txn.check(NAME).unwrap();
        }
        let sizes: Vec<_> = txns.iter().map(|txn| txn.success.len()).collect();
        assert_eq!(sizes, [2, 1, 2, 1, 1]);
        let joined: Vec<TxnOp> = txns.into_iter().flat_map(|txn| txn.success).collect();
        assert_eq!(joined, operations);
    }
}
