//! Keeping leases alive.

mod held_lease;
mod keeper;
mod lease_state;
mod renew;
mod stream;

pub use held_lease::{HeldLease, LeaseLoss};
pub use keeper::LeaseKeeper;
pub use stream::KeepAlive;
