//! Watches: what happens to keys, revision by revision.

mod control;
mod duplex;
mod event;
mod request;
mod watch_connection;
mod watch_state;
mod watcher;

pub use control::{ControlledWatchSet, WatchControl};
pub use event::{Changes, Event, EventKind};
pub use request::{Watch, WatchSet, WatchSetItem};
