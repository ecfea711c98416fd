//! Watches: repeated long polls.

mod credentials;
mod cursor;
pub(in crate::v2) mod event;
mod filter;
mod interval;
mod liveness;
mod long_poll;
mod lost_history;
mod polls;
pub(in crate::v2) mod request;
mod watcher;

pub use cursor::WatchCursor;
pub use event::{Action, ClusterInfo, Event, Written};
pub use request::{Resync, ResyncingWatch, Until, Watch, WatchUpdate};
