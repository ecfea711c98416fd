//! `etcdserverpb.Watch`.

use bytes::Bytes;

use super::{
    enumerations,
    kv::{ResponseHeader, SharedKeyValue},
    messages,
};

enumerations! {
    EventType = "mvccpb.Event_EventType" {
        PUT = 0,
        DELETE = 1,
    }
    FilterType = "etcdserverpb.WatchCreateRequest_FilterType" {
        NOPUT = 0,
        NODELETE = 1,
    }
}

messages! {
    Event {
        kind: EventType = 1 as "type";
        kv: Option<SharedKeyValue> = 2;
        prev_kv: Option<SharedKeyValue> = 3;
    }
    WatchRequest {
        create_request: Option<WatchCreateRequest> = 1 in "etcdserverpb.WatchRequest.request_union";
        cancel_request: Option<WatchCancelRequest> = 2 in "etcdserverpb.WatchRequest.request_union";
        progress_request: Option<WatchProgressRequest> = 3 in "etcdserverpb.WatchRequest.request_union";
    }
    WatchCreateRequest {
        key: Bytes = 1;
        range_end: Bytes = 2;
        start_revision: i64 = 3;
        progress_notify: bool = 4;
        filters: Vec<FilterType> = 5;
        prev_kv: bool = 6;
        watch_id: i64 = 7;
        fragment: bool = 8;
    }
    WatchCancelRequest {
        watch_id: i64 = 1;
    }
    WatchProgressRequest {}
    WatchResponse {
        header: Option<ResponseHeader> = 1;
        watch_id: i64 = 2;
        created: bool = 3;
        canceled: bool = 4;
        compact_revision: i64 = 5;
        cancel_reason: String = 6;
        fragment: bool = 7;
        events: Vec<Event> = 11;
    }
}
