use bytes::Bytes;

use crate::v3::{
    Header,
    protocol::gateway::{self, Encode, Fields},
    stream::message_stream::StreamMessage,
    watch::event::Event,
};

/// What etcd sends instead of an id where there is no watch.
pub(super) const NO_WATCH: i64 = -1;

/// A message to etcd about one watch.
#[derive(Clone, Debug)]
pub(super) enum WatchRequest {
    Create(CreateWatch),
    /// Cancels the watch with this id.
    Cancel(i64),
}

/// Asks for a watch.
#[derive(Clone, Debug)]
pub(super) struct CreateWatch {
    pub(super) key: Bytes,
    pub(super) range_end: Bytes,
    pub(super) start_revision: i64,
    pub(super) filters: Vec<String>,
    pub(super) prev_kv: bool,
    pub(super) watch_id: i64,
}

impl Encode for WatchRequest {
    fn fields(&self, to: &mut Fields<'_>) {
        match self {
            Self::Create(create) => to.put("create_request", create),
            Self::Cancel(id) => to.put("cancel_request", &CancelWatch(*id)),
        };
    }
}

impl Encode for CreateWatch {
    fn fields(&self, to: &mut Fields<'_>) {
        to.put("key", &self.key)
            .put("range_end", &self.range_end)
            .put("start_revision", &self.start_revision)
            // Otherwise a quiet watch falls behind a compaction.
            .put("progress_notify", &true)
            .put("filters", &self.filters)
            .put("prev_kv", &self.prev_kv)
            .put("watch_id", &self.watch_id)
            // Otherwise a message has no bound.
            .put("fragment", &true);
    }
}

struct CancelWatch(i64);

impl Encode for CancelWatch {
    fn fields(&self, to: &mut Fields<'_>) {
        to.put("watch_id", &self.0);
    }
}

/// A message from etcd about one watch.
#[derive(Debug, Default)]
pub(super) struct WatchResponse {
    pub(super) header: Header,
    /// −1 where it is about none, or about one that was not created.
    pub(super) watch_id: i64,
    pub(super) created: bool,
    pub(super) canceled: bool,
    pub(super) compact_revision: i64,
    pub(super) cancel_reason: String,
    /// More of this message follows.
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

impl StreamMessage for WatchResponse {
    fn cluster_id(&self) -> u64 {
        self.header.cluster_id
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::v3::watch::event::EventKind;

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
}
