//! Keeping leases alive.

mod keeper;
mod kept;
mod renew;
mod stream;

pub use keeper::LeaseKeeper;
pub use kept::{KeptLease, LeaseLoss};
pub use stream::KeepAlive;
