use bytes::Bytes;

use super::{
    Answered, Call,
    queue::{Ticket, unmapped},
};
use crate::v3::message::{
    kv::DeleteRangeRequest,
    lock::{LockRequest, UnlockRequest, UnlockResponse},
};

impl Call<'_> {
    /// Enters the queue for a lock.
    pub(crate) fn enter_lock(&mut self, request: &LockRequest) -> Answered<Ticket> {
        self.enter_queue(&request.name, request.lease, &Bytes::new(), true)
    }

    /// Deletes a key, regardless of its owner.
    pub(crate) fn unlock(&mut self, request: UnlockRequest) -> Answered<UnlockResponse> {
        let delete = DeleteRangeRequest {
            key: request.key,
            ..DeleteRangeRequest::default()
        };
        let header = self.delete_range(delete).map_err(unmapped)?.header;
        Ok(UnlockResponse { header })
    }
}
