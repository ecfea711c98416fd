//! Watches: what happens to keys, revision by revision.

mod event;
mod request;
mod track;
mod watcher;

pub use event::{Changes, Event, EventKind};
pub use request::{Watch, WatchSet, WatchSetItem};
