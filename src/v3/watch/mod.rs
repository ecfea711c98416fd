//! Watches: the changes of keys, revision by revision.

mod control;
mod cursor;
mod event;
mod message;
mod request;
mod requested;
mod store;
mod watch_state;
mod watcher;

pub use control::{ControlledWatchSet, WatchControl};
pub use cursor::{WatchCursor, WatchPosition};
pub use event::{Changes, Event, EventKind};
pub use request::{Watch, WatchSet, WatchSetItem};
