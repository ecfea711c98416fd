use std::{collections::VecDeque, sync::Arc};

use super::{
    error::{Code, StoreError},
    event::{Action, Event},
};

/// How many events etcd keeps.
const CAPACITY: usize = 1000;

/// The last thousand events. Their indexes have no gaps.
#[derive(Clone, Debug, Default)]
pub(crate) struct History {
    events: VecDeque<Arc<Event>>,
    /// The index at which an empty history begins.
    start: u64,
}

impl History {
    /// An empty history that begins at `start`.
    pub(crate) fn from(start: u64) -> Self {
        Self {
            events: VecDeque::new(),
            start,
        }
    }

    pub(crate) fn add(&mut self, event: Arc<Event>) {
        if self.events.len() == CAPACITY {
            self.events.pop_front();
        }
        self.events.push_back(event);
    }

    /// Forgets all but the last event, as a thousand writes would have done.
    pub(crate) fn forget(&mut self) {
        let all_but_one = self.events.len().saturating_sub(1);
        self.events.drain(..all_but_one);
    }

    /// The first event from `since` on that a watch of `path` receives.
    ///
    /// As in etcd, hidden keys are included, and the removal of a directory matches every path that begins with the same
    /// characters.
    pub(crate) fn scan(
        &self,
        path: &[u8],
        recursive: bool,
        since: u64,
        store_index: u64,
    ) -> Result<Option<Arc<Event>>, StoreError> {
        let start = self
            .events
            .front()
            .map_or(self.start, |event| event.index());
        if since < start {
            let cause = format!("the requested history has been cleared [{start}/{since}]");
            return Err(StoreError::new(Code::EventIndexCleared, cause, store_index));
        }
        let skip = usize::try_from(since - start).unwrap_or(usize::MAX);
        let event = self.events.iter().skip(skip).find(|event| {
            !event.refresh
                && (is_at_or_below(&event.node.path, path, recursive) || removes(event, path))
        });
        Ok(event.cloned())
    }
}

fn is_at_or_below(event: &[u8], watched: &[u8], recursive: bool) -> bool {
    match event.strip_prefix(watched) {
        Some([]) => true,
        Some(rest) => recursive && (rest.first() == Some(&b'/') || watched.ends_with(b"/")),
        None => false,
    }
}

fn removes(event: &Event, watched: &[u8]) -> bool {
    matches!(event.action, Action::Delete | Action::Expire)
        && event
            .prev
            .as_ref()
            .is_some_and(|prev| prev.dir && watched.starts_with(&prev.path))
}
