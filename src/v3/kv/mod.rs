//! Keys and values: reading, writing, deleting, transactions, compaction.

mod compact;
mod delete;
mod exactly_once;
mod key_value;
mod non_atomic;
mod page_size;
mod put;
mod range;
mod range_stream;
mod txn;

pub use compact::Compact;
pub use delete::{DeleteRange, DeleteRangeResponse};
pub use exactly_once::{ExactlyOnce, ExactlyOnceResponse};
pub use key_value::KeyValue;
pub use non_atomic::{NonAtomicBatch, NonAtomicBatchError};
pub use put::{Put, PutResponse};
pub use range::{Range, RangeResponse, SortOrder, SortTarget};
pub(crate) use range_stream::Pager;
pub use range_stream::RangeStream;
pub use txn::{Compare, CompareTarget, Txn, TxnOp, TxnOpResponse, TxnResponse};
