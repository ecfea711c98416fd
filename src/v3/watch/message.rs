//! The messages of a watch.

use crate::v3::{
    Header, KeyRange,
    protocol::message::{self, Encode, Fields},
    stream::message_stream::StreamMessage,
    watch::event::Event,
};

/// What etcd sends instead of an id where there is no watch.
pub(super) const NO_WATCH: i64 = -1;

/// A message to etcd about one watch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum WatchRequest {
    Create(CreateRequest),
    Cancel(CancelRequest),
}

impl Encode for WatchRequest {
    fn fields<F: Fields>(&self, to: &mut F) {
        match self {
            Self::Create(create) => to.put(1, "create_request", create),
            Self::Cancel(cancel) => to.put(2, "cancel_request", cancel),
        };
    }
}

/// Creates a watch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct CreateRequest {
    pub(super) range: KeyRange,
    pub(super) start_revision: i64,
    pub(super) prev_kv: bool,
    pub(super) filters: Vec<Filter>,
    pub(super) id: i64,
}

impl Encode for CreateRequest {
    fn fields<F: Fields>(&self, to: &mut F) {
        to.put(1, "key", self.range.wire_key())
            .put(2, "range_end", self.range.wire_end())
            .put(3, "start_revision", &self.start_revision)
            // Without it a quiet watch falls behind a compaction.
            .put(4, "progress_notify", &true)
            .put(5, "filters", &self.filters)
            .put(6, "prev_kv", &self.prev_kv)
            .put(7, "watch_id", &self.id)
            // Without it the size of a message has no limit.
            .put(8, "fragment", &true);
    }
}

/// Cancels a watch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct CancelRequest {
    pub(super) id: i64,
}

impl Encode for CancelRequest {
    fn fields<F: Fields>(&self, to: &mut F) {
        to.put(1, "watch_id", &self.id);
    }
}

message::names! {
    /// The events that a watch leaves out.
    pub(super) enum Filter {
        /// Puts.
        NoPut = 0 "NOPUT",
        /// Deletes.
        NoDelete = 1 "NODELETE",
    }
}

/// A message from etcd about one watch.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct WatchResponse {
    pub(super) header: Header,
    /// −1 if the message is about no watch, or about one that was not created.
    pub(super) watch_id: i64,
    pub(super) created: bool,
    pub(super) canceled: bool,
    pub(super) compact_revision: i64,
    pub(super) cancel_reason: String,
    /// Whether this message continues in the next one.
    pub(super) fragment: bool,
    pub(super) events: Vec<Event>,
}

message::decode!(WatchResponse {
    1 "header" => header,
    2 "watch_id" => watch_id,
    3 "created" => created,
    4 "canceled" => canceled,
    5 "compact_revision" => compact_revision,
    6 "cancel_reason" => cancel_reason,
    7 "fragment" => fragment,
    11 "events" => events,
});

impl StreamMessage for WatchResponse {
    fn header(&self) -> Header {
        self.header
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_messages_are_those_of_etcd() {
        use crate::v3::testing::schema::{Requests, response};

        let create = CreateRequest {
            range: KeyRange::prefix("a"),
            start_revision: 7,
            prev_kv: true,
            filters: vec![Filter::NoPut, Filter::NoDelete],
            id: 3,
        };
        let cancel = CancelRequest { id: 3 };
        Requests::of("etcdserverpb.WatchCreateRequest")
            .send(&create)
            .all_fields_but(&[]);
        Requests::of("etcdserverpb.WatchCancelRequest")
            .send(&cancel)
            .all_fields_but(&[]);
        Requests::of("etcdserverpb.WatchRequest")
            .send(&WatchRequest::Create(create))
            .send(&WatchRequest::Cancel(cancel))
            .all_fields_but(&["progress_request"]);
        response::<Event>("mvccpb.Event", &[]);
        response::<WatchResponse>("etcdserverpb.WatchResponse", &[]);
    }
}
