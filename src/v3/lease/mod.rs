//! Leases: times to live for keys.

pub(super) mod acquired;
mod grant;
mod id;
mod keep_alive;
mod keep_alive_once;
mod list;
mod revoke;
mod time_to_live;
pub(super) mod waiting;

pub(crate) use grant::MAX_TTL;
pub use grant::{GrantLease, GrantLeaseResponse};
pub use id::LeaseId;
pub use keep_alive::{HeldLease, KeepAlive, LeaseKeeper, LeaseLoss};
pub use keep_alive_once::{KeepAliveOnce, KeepAliveResponse};
pub(crate) use keep_alive_once::{Renewal, Renewed};
pub use list::ListLeases;
pub use revoke::RevokeLease;
pub use time_to_live::{GetTimeToLive, LeaseStatus};
