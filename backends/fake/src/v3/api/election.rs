use bytes::Bytes;

use super::{
    Answered, Call,
    queue::{Kind, Ticket, created_at, prefix_end, unmapped},
};
use crate::v3::{
    error::{Code, V3Error},
    message::{
        election::{
            CampaignRequest, CampaignResponse, LeaderKey, LeaderRequest, LeaderResponse,
            ProclaimRequest, ProclaimResponse, ResignRequest, ResignResponse,
        },
        kv::{
            DeleteRangeRequest, PutRequest, RangeRequest, RequestOp, ResponseHeader, SortOrder,
            SortTarget, TxnRequest,
        },
    },
};

const NO_LEADER: V3Error = V3Error::new(Code::Unknown, "election: no leader");
const NOT_LEADER: V3Error = V3Error::new(Code::Unknown, "election: not leader");
const NO_LEADER_FIELD: V3Error = V3Error::new(Code::Unknown, "\"leader\" field must be provided");

impl Call<'_> {
    /// Enters the queue of an election. A candidate that is in it with another value proclaims the new one.
    pub(crate) fn enter_campaign(&mut self, request: &CampaignRequest) -> Answered<Ticket> {
        let mut ticket = self.enter_queue(&request.name, request.lease, &request.value, false)?;
        let leader = LeaderKey {
            name: request.name.clone(),
            key: ticket.key.clone(),
            rev: ticket.revision,
            lease: ticket.lease,
        };
        let former = ticket.former.as_ref();
        if former.is_some_and(|kv| kv.0.value != request.value) {
            self.write_as_leader(&leader, Some(&request.value))?;
        }
        ticket.kind = Kind::Campaign(CampaignResponse {
            header: ticket.header.clone(),
            leader: Some(leader),
        });
        Ok(ticket)
    }

    pub(crate) fn proclaim(&mut self, request: ProclaimRequest) -> Answered<ProclaimResponse> {
        let leader = request.leader.ok_or(NO_LEADER_FIELD)?;
        let (header, is_leader) = self.write_as_leader(&leader, Some(&request.value))?;
        if !is_leader {
            return Err(NOT_LEADER.into());
        }
        Ok(ProclaimResponse { header })
    }

    /// Leaves an election. It does not matter whether the key is still there.
    pub(crate) fn resign(&mut self, request: ResignRequest) -> Answered<ResignResponse> {
        let leader = request.leader.ok_or(NO_LEADER_FIELD)?;
        let (header, _) = self.write_as_leader(&leader, None)?;
        Ok(ResignResponse { header })
    }

    pub(crate) fn leader(&mut self, request: &LeaderRequest) -> Answered<LeaderResponse> {
        let prefix = Bytes::from([&request.name[..], b"/"].concat());
        let found = self.range(&first_of(&prefix)).map_err(unmapped)?;
        let kv = found.kvs.into_iter().next().ok_or(NO_LEADER)?;
        Ok(LeaderResponse {
            header: found.header,
            kv: Some(kv),
        })
    }

    /// Writes a value under a leader's key, or deletes it, if it is the key that the leader has made. A leader without a lease gets
    /// one before that.
    fn write_as_leader(
        &mut self,
        leader: &LeaderKey,
        value: Option<&Bytes>,
    ) -> Answered<(Option<ResponseHeader>, bool)> {
        let lease = self.session_lease(leader.lease)?;
        let key = leader.key.clone();
        let mut op = RequestOp::default();
        match value {
            Some(value) => {
                op.request_put = Some(PutRequest {
                    key,
                    value: value.clone(),
                    lease,
                    ..PutRequest::default()
                });
            }
            None => {
                op.request_delete_range = Some(DeleteRangeRequest {
                    key,
                    ..DeleteRangeRequest::default()
                });
            }
        }
        let txn = TxnRequest {
            compare: vec![created_at(&leader.key, leader.rev)],
            success: vec![op],
            failure: Vec::new(),
        };
        let response = self.txn(txn).map_err(unmapped)?;
        Ok((response.header, response.succeeded))
    }
}

/// The key with this prefix that was made first: the leader's.
pub(super) fn first_of(prefix: &Bytes) -> RangeRequest {
    RangeRequest {
        key: prefix.clone(),
        range_end: prefix_end(prefix),
        limit: 1,
        sort_order: SortOrder::ASCEND,
        sort_target: SortTarget::CREATE,
        ..RangeRequest::default()
    }
}
