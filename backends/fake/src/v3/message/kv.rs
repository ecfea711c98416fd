//! `etcdserverpb.KV` and its messages.

use std::sync::Arc;

use bytes::Bytes;

use super::{Field, Scalar, Slot, enumerations, messages, write::Writer};

enumerations! {
    SortOrder = "etcdserverpb.RangeRequest_SortOrder" {
        NONE = 0,
        ASCEND = 1,
        DESCEND = 2,
    }
    SortTarget = "etcdserverpb.RangeRequest_SortTarget" {
        KEY = 0,
        VERSION = 1,
        CREATE = 2,
        MOD = 3,
        VALUE = 4,
    }
    CompareResult = "etcdserverpb.Compare_CompareResult" {
        EQUAL = 0,
        GREATER = 1,
        LESS = 2,
        NOT_EQUAL = 3,
    }
    CompareTarget = "etcdserverpb.Compare_CompareTarget" {
        VERSION = 0,
        CREATE = 1,
        MOD = 2,
        VALUE = 3,
        LEASE = 4,
    }
}

messages! {
    ResponseHeader {
        cluster_id: u64 = 1;
        member_id: u64 = 2;
        revision: i64 = 3;
        raft_term: u64 = 4;
    }
    KeyValue {
        key: Bytes = 1;
        create_revision: i64 = 2;
        mod_revision: i64 = 3;
        version: i64 = 4;
        value: Bytes = 5;
        lease: i64 = 6;
    }
    RangeRequest {
        key: Bytes = 1;
        range_end: Bytes = 2;
        limit: i64 = 3;
        revision: i64 = 4;
        sort_order: SortOrder = 5;
        sort_target: SortTarget = 6;
        serializable: bool = 7;
        keys_only: bool = 8;
        count_only: bool = 9;
        min_mod_revision: i64 = 10;
        max_mod_revision: i64 = 11;
        min_create_revision: i64 = 12;
        max_create_revision: i64 = 13;
    }
    RangeResponse {
        header: Option<ResponseHeader> = 1;
        kvs: Vec<SharedKeyValue> = 2;
        more: bool = 3;
        count: i64 = 4;
    }
    PutRequest {
        key: Bytes = 1;
        value: Bytes = 2;
        lease: i64 = 3;
        prev_kv: bool = 4;
        ignore_value: bool = 5;
        ignore_lease: bool = 6;
    }
    PutResponse {
        header: Option<ResponseHeader> = 1;
        prev_kv: Option<SharedKeyValue> = 2;
    }
    DeleteRangeRequest {
        key: Bytes = 1;
        range_end: Bytes = 2;
        prev_kv: bool = 3;
    }
    DeleteRangeResponse {
        header: Option<ResponseHeader> = 1;
        deleted: i64 = 2;
        prev_kvs: Vec<SharedKeyValue> = 3;
    }
    RequestOp {
        request_range: Option<RangeRequest> = 1 in "etcdserverpb.RequestOp.request";
        request_put: Option<PutRequest> = 2 in "etcdserverpb.RequestOp.request";
        request_delete_range: Option<DeleteRangeRequest> = 3 in "etcdserverpb.RequestOp.request";
        request_txn: Option<TxnRequest> = 4 in "etcdserverpb.RequestOp.request";
    }
    ResponseOp {
        response_range: Option<RangeResponse> = 1 in "etcdserverpb.ResponseOp.response";
        response_put: Option<PutResponse> = 2 in "etcdserverpb.ResponseOp.response";
        response_delete_range: Option<DeleteRangeResponse> = 3 in "etcdserverpb.ResponseOp.response";
        response_txn: Option<TxnResponse> = 4 in "etcdserverpb.ResponseOp.response";
    }
    Compare {
        result: CompareResult = 1;
        target: CompareTarget = 2;
        key: Bytes = 3;
        version: Option<i64> = 4 in "etcdserverpb.Compare.target_union";
        create_revision: Option<i64> = 5 in "etcdserverpb.Compare.target_union";
        mod_revision: Option<i64> = 6 in "etcdserverpb.Compare.target_union";
        value: Option<Bytes> = 7 in "etcdserverpb.Compare.target_union";
        lease: Option<i64> = 8 in "etcdserverpb.Compare.target_union";
        range_end: Bytes = 64;
    }
    TxnRequest {
        compare: Vec<Compare> = 1;
        success: Vec<RequestOp> = 2;
        failure: Vec<RequestOp> = 3;
    }
    TxnResponse {
        header: Option<ResponseHeader> = 1;
        succeeded: bool = 2;
        responses: Vec<ResponseOp> = 3;
    }
    CompactionRequest {
        revision: i64 = 1;
        physical: bool = 2;
    }
    CompactionResponse {
        header: Option<ResponseHeader> = 1;
    }
}

/// A key with its value, shared by the store and all responses that contain it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct SharedKeyValue(pub(crate) Arc<KeyValue>);

impl Scalar for SharedKeyValue {
    fn scalar_slot(&mut self) -> Slot<'_> {
        Arc::make_mut(&mut self.0).scalar_slot()
    }

    fn is_zero(&self) -> bool {
        false
    }

    fn write_scalar(&self, out: &mut Writer) {
        self.0.write_json(out);
    }

    fn write_tagged(&self, tag: u32, out: &mut Vec<u8>) {
        self.0.write_tagged(tag, out);
    }
}

impl ResponseHeader {
    /// A header with nothing but a revision, as inside a transaction.
    pub(crate) fn of_revision(revision: i64) -> Self {
        Self {
            revision,
            ..Self::default()
        }
    }
}
