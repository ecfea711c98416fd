//! The v3 API: keys and values of bytes in one flat space, transactions, leases, watches, locks and elections.
//!
//! etcd 3.4 and later have it. Each operation is a value with its options. etcd's own documentation:
//! <https://etcd.io/docs/v3.5/dev-guide/api_reference_v3/>.

mod header;
mod keep_alive;
mod kv;
mod lease_id;
mod link;
mod messages;
mod range;
pub(crate) mod refusal;
mod watch;
pub(crate) mod wire;

pub use header::Header;
pub use keep_alive::{
    KeepAlive, KeepAliveOnce, KeepAliveResponse, KeptLease, LeaseKeeper, LeaseLoss,
};
pub use kv::*;
pub use lease_id::LeaseId;
pub use range::KeyRange;
pub use watch::{Changes, Event, EventKind, Watch, WatchSet, WatchSetItem};
