use bytes::Bytes;

use crate::v3::{Header, KeyValue, protocol::gateway};

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

/// A message of etcd's about one watch.
#[derive(Debug, Default)]
pub(super) struct WatchResponse {
    pub(super) header: Header,
    /// −1 where it is about none, or one that did not come about.
    pub(super) watch_id: i64,
    pub(super) created: bool,
    pub(super) canceled: bool,
    pub(super) compact_revision: i64,
    pub(super) cancel_reason: String,
    /// There is more of this message to come.
    pub(super) fragment: bool,
    pub(super) events: Vec<Event>,
}

gateway::decode!(WatchResponse {
    "header" => header,
    "watch_id" => watch_id,
    "created" => created,
    "canceled" => canceled,
    "compact_revision" => compact_revision,
    "cancel_reason" => cancel_reason,
    "fragment" => fragment,
    "events" => events,
});

#[cfg(test)]
mod tests {
    use super::*;

    /// As etcd 3.4.23 sends it; 3.5.16 does the same.
    const CAUGHT_UP: &str = r#"{"header":{"cluster_id":"2594020175833874546","member_id":"4342255385247127749","revision":"6","raft_term":"2"},"watch_id":"1","events":[{"kv":{"key":"YQ==","create_revision":"2","mod_revision":"3","version":"2","value":"Yg=="}},{"kv":{"key":"YQ==","create_revision":"2","mod_revision":"4","version":"3","value":"Yg=="},"prev_kv":{"key":"YQ==","create_revision":"2","mod_revision":"3","version":"2","value":"Yg=="}},{"type":"DELETE","kv":{"key":"YQ==","mod_revision":"5"}}]}"#;

    const COMPACTED: &str = r#"{"header":{"cluster_id":"2594020175833874546","member_id":"4342255385247127749","raft_term":"2"},"watch_id":"4","canceled":true,"compact_revision":"3"}"#;

    #[test]
    fn a_message_with_events_is_read() {
        let message: WatchResponse = gateway::parse(CAUGHT_UP.as_bytes()).unwrap();
        assert_eq!((message.watch_id, message.header.revision), (1, 6));
        assert!(!message.created && !message.canceled && !message.fragment);
        let [put, again, delete] = message.events.try_into().unwrap();
        assert!(put.is_modify() && again.is_modify() && delete.is_delete());
        assert_eq!(put.prev_kv, None);
        assert_eq!(again.prev_kv.unwrap().mod_revision, 3);
        assert_eq!((&delete.key()[..], delete.kv.mod_revision), (&b"a"[..], 5));
    }

    #[test]
    fn an_event_without_a_key_is_none() {
        for json in [r#"{"events":[{}]}"#, r#"{"events":[{"type":"DELETE"}]}"#] {
            let error = gateway::parse::<WatchResponse>(json.as_bytes()).unwrap_err();
            assert!(
                error.to_string().starts_with("missing field `kv.key`"),
                "{error}"
            );
        }
    }

    #[test]
    fn a_cancellation_is_read() {
        let message: WatchResponse = gateway::parse(COMPACTED.as_bytes()).unwrap();
        assert!(message.canceled && !message.created);
        assert_eq!((message.watch_id, message.compact_revision), (4, 3));
    }

    #[test]
    fn an_event_that_only_a_later_etcd_knows_is_neither_a_put_nor_a_delete() {
        for kind in ["\"MOVE\"", "2"] {
            let json = format!(r#"{{"events":[{{"type":{kind},"kv":{{"key":"YQ=="}}}}]}}"#);
            let message: WatchResponse = gateway::parse(json.as_bytes()).unwrap();
            let event = &message.events[0];
            assert_eq!(event.kind, EventKind::Unknown);
            assert!(!event.is_create() && !event.is_modify() && !event.is_delete());
        }
    }

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
