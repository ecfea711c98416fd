use bytes::Bytes;

use crate::v3::{Key, KeyValue, protocol::message};

/// All changes of one revision to the watched keys.
///
/// They are never split: what a transaction writes arrives together, in the order in which it was written.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Changes {
    /// The revision. To resume after it, see [`Watch::after_revision`](super::Watch::after_revision).
    pub revision: i64,
    /// The events. Empty only if [`progress`](super::Watch::progress) was requested: everything up to this revision has
    /// been delivered.
    pub events: Vec<Event>,
}

/// A change of a key.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Event {
    /// The kind of event.
    pub kind: EventKind,
    /// The key after the change. After a delete it has only the key, and in `mod_revision` the revision of the delete.
    pub kv: KeyValue,
    /// The key before the change, if it was [requested](super::Watch::prev_kv), existed, and has not been compacted.
    pub prev_kv: Option<KeyValue>,
}

message::names! {
    /// The kind of a change.
    pub enum EventKind {
        /// The key was written.
        Put = 0 "PUT",
        /// The key was deleted, or its lease has expired.
        Delete = 1 "DELETE",
    }
    else {
        /// A kind that a later etcd has.
        Unknown
    }
}

impl Changes {
    /// The changes of one revision. For your own tests.
    ///
    /// ```
    /// use etcd_http::v3::{Changes, Event, KeyValue};
    ///
    /// let put = Event::put(KeyValue::new("a", "1"));
    /// let changes = Changes::new(7, [put, Event::delete("b", 7)]);
    /// assert_eq!(changes.events.len(), 2);
    /// ```
    pub fn new(revision: i64, events: impl IntoIterator<Item = Event>) -> Self {
        Self {
            revision,
            events: events.into_iter().collect(),
        }
    }
}

impl Event {
    /// The event of a put. For your own tests.
    pub fn put(kv: KeyValue) -> Self {
        Self {
            kind: EventKind::Put,
            kv,
            prev_kv: None,
        }
    }

    /// The event of a delete at this revision. For your own tests.
    pub fn delete(key: impl Into<Key>, revision: i64) -> Self {
        Self {
            kind: EventKind::Delete,
            kv: KeyValue {
                key: key.into().into_bytes(),
                mod_revision: revision,
                ..KeyValue::default()
            },
            prev_kv: None,
        }
    }

    /// Returns the key.
    pub fn key(&self) -> &Bytes {
        &self.kv.key
    }

    /// Returns whether the key was written.
    pub fn is_put(&self) -> bool {
        self.kind == EventKind::Put
    }

    /// Returns whether the key was created: written, and not there before.
    pub fn is_create(&self) -> bool {
        self.kind == EventKind::Put && self.kv.create_revision == self.kv.mod_revision
    }

    /// Returns whether the key was modified: written, and there before.
    pub fn is_modify(&self) -> bool {
        self.kind == EventKind::Put && self.kv.create_revision != self.kv.mod_revision
    }

    /// Returns whether the key was deleted, or its lease has expired.
    pub fn is_delete(&self) -> bool {
        self.kind == EventKind::Delete
    }
}

message::decode!(Event {
    1 "type" => kind,
    2 "kv" => kv,
    3 "prev_kv" => prev_kv,
} needs kv.key);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::v3::{protocol::json, watch::message::WatchResponse};

    /// As etcd 3.4.23 sends it; 3.5.16 does the same.
    const CAUGHT_UP: &str = r#"{"header":{"cluster_id":"2594020175833874546","member_id":"4342255385247127749","revision":"6","raft_term":"2"},"watch_id":"1","events":[{"kv":{"key":"YQ==","create_revision":"2","mod_revision":"3","version":"2","value":"Yg=="}},{"kv":{"key":"YQ==","create_revision":"2","mod_revision":"4","version":"3","value":"Yg=="},"prev_kv":{"key":"YQ==","create_revision":"2","mod_revision":"3","version":"2","value":"Yg=="}},{"type":"DELETE","kv":{"key":"YQ==","mod_revision":"5"}}]}"#;

    const COMPACTED: &str = r#"{"header":{"cluster_id":"2594020175833874546","member_id":"4342255385247127749","raft_term":"2"},"watch_id":"4","canceled":true,"compact_revision":"3"}"#;

    #[test]
    fn an_event_for_a_test_is_like_one_of_etcd() {
        let kv = KeyValue::new("a", "1");
        let put = Event::put(kv.clone());
        assert!(put.is_put() && !put.is_delete());
        assert_eq!((put.kv, put.prev_kv), (kv, None));
        let delete = Event::delete("b", 7);
        assert!(delete.is_delete() && !delete.is_put());
        assert_eq!((&delete.key()[..], delete.kv.mod_revision), (&b"b"[..], 7));
        assert_eq!((delete.kv.value.len(), delete.prev_kv), (0, None));
    }

    #[test]
    fn a_message_with_events_is_read() {
        let message: WatchResponse = json::parse(CAUGHT_UP.as_bytes()).unwrap();
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
            let error = json::parse::<WatchResponse>(json.as_bytes()).unwrap_err();
            assert!(
                error.to_string().starts_with("missing field `kv.key`"),
                "{error}"
            );
        }
    }

    #[test]
    fn a_cancellation_is_read() {
        let message: WatchResponse = json::parse(COMPACTED.as_bytes()).unwrap();
        assert!(message.canceled && !message.created);
        assert_eq!((message.watch_id, message.compact_revision), (4, 3));
    }

    #[test]
    fn an_event_that_only_a_later_etcd_knows_is_neither_a_put_nor_a_delete() {
        for kind in ["\"MOVE\"", "2"] {
            let json = format!(r#"{{"events":[{{"type":{kind},"kv":{{"key":"YQ=="}}}}]}}"#);
            let message: WatchResponse = json::parse(json.as_bytes()).unwrap();
            let event = &message.events[0];
            assert_eq!(event.kind, EventKind::Unknown);
            assert!(!event.is_put() && !event.is_create());
            assert!(!event.is_modify() && !event.is_delete());
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
