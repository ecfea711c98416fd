//! Keeping leases alive.

mod kept;
mod keeper;
mod renew;
mod stream;

pub use keeper::LeaseKeeper;
pub use kept::{KeptLease, LeaseLoss};
pub use renew::{KeepAliveOnce, KeepAliveResponse};
pub use stream::KeepAlive;
