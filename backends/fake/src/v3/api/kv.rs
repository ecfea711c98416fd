use super::{Answered, Call};
use crate::v3::{
    alarm::{cost_of_put, cost_of_txn},
    error::V3Error,
    message::{
        Message,
        kv::{
            CompactionRequest, CompactionResponse, DeleteRangeRequest, DeleteRangeResponse,
            PutRequest, PutResponse, RangeRequest, RangeResponse, TxnRequest, TxnResponse,
        },
        proto,
    },
    mvcc::{Batch, check_delete, check_put, check_range, check_txn, is_read_only},
};

/// What an entry has besides the request: the header with its id, and a tag.
const ENTRY_OVERHEAD: usize = 18;

/// What a put has besides its key and its value, at most: six tags, and as many numbers of up to ten bytes.
const PUT_OVERHEAD: usize = 6 * 11;

impl Call<'_> {
    pub(crate) fn range(&mut self, request: &RangeRequest) -> Answered<RangeResponse> {
        check_range(request)?;
        if !request.serializable {
            self.confirm_read()?;
        }
        let caller = self.caller()?;
        let store = &mut self.cluster.local(self.endpoint).v3;
        store.auth.check_range(&caller, request)?;
        let mut response = Batch::new(&mut store.mvcc, &mut store.leases).range(request)?;
        self.fill(&mut response.header);
        Ok(response)
    }

    pub(crate) fn put(&mut self, request: PutRequest) -> Answered<PutResponse> {
        self.check_quota(cost_of_put(&request.key, &request.value))?;
        check_put(&request)?;
        let caller = self.caller()?;
        // To measure takes longer than the rest of the checks.
        if !self.has_room_for_put(request.key.len() + request.value.len()) {
            self.check_size(&request)?;
        }
        let mut response = self.propose_as(&caller, request, |store, caller, request| {
            store.auth.check_put(caller, request, &store.leases)
        })?;
        self.fill(&mut response.header);
        Ok(response)
    }

    pub(crate) fn delete_range(
        &mut self,
        request: DeleteRangeRequest,
    ) -> Answered<DeleteRangeResponse> {
        check_delete(&request)?;
        let caller = self.caller()?;
        self.check_size(&request)?;
        let mut response = self.propose_as(&caller, request, |store, caller, request| {
            store.auth.check_delete(caller, request)
        })?;
        self.fill(&mut response.header);
        Ok(response)
    }

    pub(crate) fn txn(&mut self, request: TxnRequest) -> Answered<TxnResponse> {
        self.check_quota(cost_of_txn(&request))?;
        check_txn(&request, self.cluster.state.sizes.max_txn_ops)?;
        let mut response = if is_read_only(&request) {
            self.read_txn(&request)?
        } else {
            let caller = self.caller()?;
            self.check_size(&request)?;
            self.propose_as(&caller, request, |store, caller, request| {
                store.auth.check_txn(caller, request)
            })?
        };
        self.fill(&mut response.header);
        Ok(response)
    }

    pub(crate) fn compact(&mut self, request: CompactionRequest) -> Answered<CompactionResponse> {
        let mut response: CompactionResponse = self.propose(request)?;
        self.fill(&mut response.header);
        Ok(response)
    }

    /// Whether a put of this many bytes is not too large, whatever its other fields are.
    fn has_room_for_put(&self, bytes: usize) -> bool {
        bytes.saturating_add(PUT_OVERHEAD + ENTRY_OVERHEAD) <= self.cluster.state.sizes.max_entry
    }

    fn check_size(&self, request: &dyn Message) -> Result<(), V3Error> {
        if proto::encode(request).len() + ENTRY_OVERHEAD > self.cluster.state.sizes.max_entry {
            return Err(V3Error::REQUEST_TOO_LARGE);
        }
        Ok(())
    }

    /// A transaction that writes nothing is a read: locally, if all of its reads are.
    fn read_txn(&mut self, request: &TxnRequest) -> Answered<TxnResponse> {
        if !is_serializable(request) {
            self.confirm_read()?;
        }
        let caller = self.caller()?;
        let store = &mut self.cluster.local(self.endpoint).v3;
        store.auth.check_txn(&caller, request)?;
        Ok(store.mvcc.txn(request, &mut store.leases)?)
    }
}

fn is_serializable(request: &TxnRequest) -> bool {
    let mut ops = request.success.iter().chain(&request.failure);
    ops.all(|op| {
        op.request_range
            .as_ref()
            .is_some_and(|range| range.serializable)
    })
}
