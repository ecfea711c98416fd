//! How each operation gets into a namespace, and what it answers out of it.

use super::{Namespaced, NamespacedStream, Outside, Prefix};
use crate::v3::{
    Campaign, CampaignResponse, Changes, DeleteRange, DeleteRangeResponse, ExactlyOnce,
    ExactlyOnceResponse, GetLeader, Header, KeyValue, LeaderKey, LeaseStatus, Lock, LockResponse,
    Observe, Proclaim, Put, PutResponse, Range, RangeResponse, RangeStream, Resign, TimeToLive,
    Txn, TxnOp, TxnOpResponse, TxnResponse, Unlock, Watch, WatchSet, WatchSetItem,
};

impl Namespaced for Range {
    fn enter(&mut self, prefix: &Prefix) {
        self.range = prefix.range(&self.range);
    }

    fn leave(found: &mut RangeResponse, prefix: &Prefix) -> Result<(), Outside> {
        prefix.strip_all(&mut found.kvs)
    }
}

impl Namespaced for Put {
    fn enter(&mut self, prefix: &Prefix) {
        self.key = prefix.key(&self.key);
    }

    fn leave(put: &mut PutResponse, prefix: &Prefix) -> Result<(), Outside> {
        prefix.strip_all(&mut put.prev_kv)
    }
}

impl Namespaced for DeleteRange {
    fn enter(&mut self, prefix: &Prefix) {
        self.range = prefix.range(&self.range);
    }

    fn leave(deleted: &mut DeleteRangeResponse, prefix: &Prefix) -> Result<(), Outside> {
        prefix.strip_all(&mut deleted.prev_kvs)
    }
}

impl Namespaced for Txn {
    fn enter(&mut self, prefix: &Prefix) {
        for compare in &mut self.compare {
            compare.range = prefix.range(&compare.range);
        }
        for operation in self.success.iter_mut().chain(&mut self.failure) {
            match operation {
                TxnOp::Range(range) => range.enter(prefix),
                TxnOp::Put(put) => put.enter(prefix),
                TxnOp::DeleteRange(delete) => delete.enter(prefix),
                TxnOp::Txn(inner) => inner.enter(prefix),
            }
        }
    }

    fn leave(done: &mut TxnResponse, prefix: &Prefix) -> Result<(), Outside> {
        leave_responses(&mut done.responses, prefix)
    }
}

fn leave_responses(responses: &mut [TxnOpResponse], prefix: &Prefix) -> Result<(), Outside> {
    responses
        .iter_mut()
        .try_for_each(|response| match response {
            TxnOpResponse::Range(found) => Range::leave(found, prefix),
            TxnOpResponse::Put(put) => Put::leave(put, prefix),
            TxnOpResponse::DeleteRange(deleted) => DeleteRange::leave(deleted, prefix),
            TxnOpResponse::Txn(inner) => Txn::leave(inner, prefix),
        })
}

impl Namespaced for ExactlyOnce {
    fn enter(&mut self, prefix: &Prefix) {
        self.marker = prefix.key(&self.marker);
        self.txn.enter(prefix);
    }

    fn leave(done: &mut ExactlyOnceResponse, prefix: &Prefix) -> Result<(), Outside> {
        match &mut done.responses {
            Some(responses) => leave_responses(responses, prefix),
            None => Ok(()),
        }
    }
}

/// Of a lease's keys, those in the namespace.
impl Namespaced for TimeToLive {
    fn enter(&mut self, _: &Prefix) {}

    fn leave(lease: &mut Option<LeaseStatus>, prefix: &Prefix) -> Result<(), Outside> {
        let Some(lease) = lease else { return Ok(()) };
        lease.keys.retain(|key| prefix.has(key));
        lease.keys.iter_mut().try_for_each(|key| prefix.strip(key))
    }
}

impl Namespaced for Lock {
    fn enter(&mut self, prefix: &Prefix) {
        self.name = prefix.key(&self.name);
    }

    fn leave(held: &mut LockResponse, prefix: &Prefix) -> Result<(), Outside> {
        prefix.strip(&mut held.key)
    }
}

impl Namespaced for Unlock {
    fn enter(&mut self, prefix: &Prefix) {
        self.key = prefix.key(&self.key);
    }

    fn leave(_: &mut Header, _: &Prefix) -> Result<(), Outside> {
        Ok(())
    }
}

impl LeaderKey {
    fn enter(&mut self, prefix: &Prefix) {
        self.name = prefix.key(&self.name);
        self.key = prefix.key(&self.key);
    }
}

impl Namespaced for Campaign {
    fn enter(&mut self, prefix: &Prefix) {
        self.name = prefix.key(&self.name);
    }

    fn leave(won: &mut CampaignResponse, prefix: &Prefix) -> Result<(), Outside> {
        prefix.strip(&mut won.leader.name)?;
        prefix.strip(&mut won.leader.key)
    }
}

impl Namespaced for Proclaim {
    fn enter(&mut self, prefix: &Prefix) {
        self.leader.enter(prefix);
    }

    fn leave(_: &mut Header, _: &Prefix) -> Result<(), Outside> {
        Ok(())
    }
}

impl Namespaced for GetLeader {
    fn enter(&mut self, prefix: &Prefix) {
        self.name = prefix.key(&self.name);
    }

    fn leave(leader: &mut Option<KeyValue>, prefix: &Prefix) -> Result<(), Outside> {
        prefix.strip_all(leader)
    }
}

impl Namespaced for Resign {
    fn enter(&mut self, prefix: &Prefix) {
        self.leader.enter(prefix);
    }

    fn leave(_: &mut Header, _: &Prefix) -> Result<(), Outside> {
        Ok(())
    }
}

impl NamespacedStream for Observe {
    fn enter(&mut self, prefix: &Prefix) {
        self.name = prefix.key(&self.name);
    }

    fn leave(leader: &mut KeyValue, prefix: &Prefix) -> Result<(), Outside> {
        prefix.strip(&mut leader.key)
    }
}

impl NamespacedStream for Watch {
    fn enter(&mut self, prefix: &Prefix) {
        self.range = prefix.range(&self.range);
    }

    fn leave(changes: &mut Changes, prefix: &Prefix) -> Result<(), Outside> {
        changes.events.iter_mut().try_for_each(|event| {
            prefix.strip(&mut event.kv.key)?;
            prefix.strip_all(&mut event.prev_kv)
        })
    }
}

impl NamespacedStream for WatchSet {
    fn enter(&mut self, prefix: &Prefix) {
        self.watches
            .iter_mut()
            .for_each(|watch| watch.enter(prefix));
    }

    fn leave(item: &mut WatchSetItem, prefix: &Prefix) -> Result<(), Outside> {
        match &mut item.changes {
            Ok(changes) => Watch::leave(changes, prefix),
            Err(_) => Ok(()),
        }
    }
}

impl NamespacedStream for RangeStream {
    fn enter(&mut self, prefix: &Prefix) {
        self.range = prefix.range(&self.range);
    }

    fn leave(found: &mut KeyValue, prefix: &Prefix) -> Result<(), Outside> {
        prefix.strip(&mut found.key)
    }
}
