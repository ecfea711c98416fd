//! Watches: what happens to keys, revision by revision.

mod control;
mod duplex;
mod event;
mod line;
mod request;
mod track;
mod watcher;

pub use control::{ControlledWatchSet, WatchControl};
pub use event::{Changes, Event, EventKind};
pub use request::{Watch, WatchSet, WatchSetItem};
