//! Recipes for the v2 API: what its keys with a time to live can promise, and no more.
//!
//! The v2 API has no leases, and no transactions over several keys. A client refreshes each key on its own, and nothing ties a write
//! in etcd to a lock: a [`Mutex`](crate::recipes::Mutex) or an [`Election`](crate::recipes::Election) of v3 promises more. Use
//! these where there is only v2.
//!
//! | recipe | for |
//! |---|---|
//! | [`Mutex`] | one holder at a time |
//! | [`Election`] | one leader at a time, whose value the others can read |
//! | [`Registry`] | the instances of a service that are alive |
//!
//! Each is one future, which refreshes its key beside the work: there is no driver, and nothing to spawn. Where the future is
//! dropped, the key stays until its time to live has passed.
//!
//! # Limits of all of them
//!
//! - **A key expires by the clock of etcd's leader.** A clock that is set forward, or a new leader with another clock, ends it too
//!   early; then two may hold a lock until the first one's next refresh, a third of the time to live. Check a
//!   [`fencing_token`](Held::fencing_token) where this must do no harm.
//! - **Work ends when the time to live has passed** since the last refresh that succeeded was sent, by this client's clock. A
//!   program that is suspended notices afterwards.
//! - **A key whose creation was not confirmed** may exist without anyone to refresh it, and holds others up for its time to live.

mod election;
mod kept;
mod mutex;
mod queue;
mod registry;

pub use election::Election;
pub use mutex::Mutex;
pub use queue::Held;
pub use registry::Registry;
