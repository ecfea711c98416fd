use bytes::Bytes;

use crate::v3::{KeyValue, protocol::gateway};

/// All that one revision did to the watched keys.
///
/// It is never split: what a transaction wrote together arrives together, in the order in which it was written.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Changes {
    /// The revision. Whoever has dealt with it goes on from the next one, see [`Watch::from_revision`](super::Watch::from_revision).
    pub revision: i64,
    /// What happened. Empty only where [`progress`](super::Watch::progress) was asked for: all up to this revision has been
    /// delivered, then.
    pub events: Vec<Event>,
}

/// Something that happened to a key.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Event {
    /// What happened.
    pub kind: EventKind,
    /// The key as it is now. Of a deleted one there is the key, and in `mod_revision` when it was deleted.
    pub kv: KeyValue,
    /// The key as it was before, if it was [asked for](super::Watch::prev_kv), there was one, and it has not been compacted.
    pub prev_kv: Option<KeyValue>,
}

gateway::names! {
    /// What can happen to a key.
    pub enum EventKind {
        /// It was written.
        Put = "PUT",
        /// It was deleted, or its lease has expired.
        Delete = "DELETE",
    }
    else {
        /// Something that only a later etcd knows.
        Unknown
    }
}

impl Event {
    /// The key.
    pub fn key(&self) -> &Bytes {
        &self.kv.key
    }

    /// Whether the key was written, and was not there before.
    pub fn is_create(&self) -> bool {
        self.kind == EventKind::Put && self.kv.create_revision == self.kv.mod_revision
    }

    /// Whether the key was written, and was there before.
    pub fn is_modify(&self) -> bool {
        self.kind == EventKind::Put && self.kv.create_revision != self.kv.mod_revision
    }

    /// Whether the key was deleted, or its lease has expired.
    pub fn is_delete(&self) -> bool {
        self.kind == EventKind::Delete
    }
}

gateway::decode!(Event {
    "type" => kind,
    "kv" => kv,
    "prev_kv" => prev_kv,
} needs kv.key);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_created_by_the_revision_that_it_says() {
        let mut event = Event::default();
        event.kv.create_revision = 7;
        event.kv.mod_revision = 7;
        assert!(event.is_create() && !event.is_modify() && !event.is_delete());
        event.kind = EventKind::Delete;
        assert!(!event.is_create() && event.is_delete());
    }
}
