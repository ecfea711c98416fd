//! Adds the prefix of a namespace to the keys of each operation, and removes it from those of its response.

use crate::{error::Result, operation::Operation, v3::protocol::message::Encode};

use crate::v3::namespace::{Namespaced, NamespacedStream, Outside, Prefix};
use crate::v3::{
    Campaign, CampaignResponse, Changes, DeleteRange, DeleteRangeResponse, ExactlyOnce,
    ExactlyOnceResponse, GetLeader, GetTimeToLive, Header, KeyValue, LeaderKey, LeaseStatus, Lock,
    LockResponse, Observe, Proclaim, Put, PutResponse, Range, RangeResponse, RangeStream, Resign,
    Txn, TxnOp, TxnOpResponse, TxnResponse, Unlock, Watch, WatchSet, WatchSetItem,
};

/// An operation that is a message is checked as a message.
macro_rules! check_message {
    () => {
        fn check(&self) -> Result<()> {
            Encode::check(self, Self::NAME)
        }
    };
}

impl Namespaced for Range {
    check_message!();

    fn enter(&mut self, prefix: &Prefix) {
        self.range = prefix.range(&self.range);
    }

    fn leave(found: &mut RangeResponse, prefix: &Prefix) -> Result<(), Outside> {
        prefix.strip_all(&mut found.kvs)
    }
}

impl Namespaced for Put {
    check_message!();

    fn enter(&mut self, prefix: &Prefix) {
        self.key = prefix.key(&self.key);
    }

    fn leave(put: &mut PutResponse, prefix: &Prefix) -> Result<(), Outside> {
        prefix.strip_all(&mut put.prev_kv)
    }
}

impl Namespaced for DeleteRange {
    check_message!();

    fn enter(&mut self, prefix: &Prefix) {
        self.range = prefix.range(&self.range);
    }

    fn leave(deleted: &mut DeleteRangeResponse, prefix: &Prefix) -> Result<(), Outside> {
        prefix.strip_all(&mut deleted.prev_kvs)
    }
}

impl Namespaced for Txn {
    check_message!();

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
    fn check(&self) -> Result<()> {
        self.check()
    }

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

/// Keeps those keys of a lease that are in the namespace.
impl Namespaced for GetTimeToLive {
    check_message!();

    fn enter(&mut self, _: &Prefix) {}

    fn leave(lease: &mut Option<LeaseStatus>, prefix: &Prefix) -> Result<(), Outside> {
        let Some(lease) = lease else { return Ok(()) };
        lease.keys.retain(|key| prefix.has(key));
        lease.keys.iter_mut().try_for_each(|key| prefix.strip(key))
    }
}

impl Namespaced for Lock {
    check_message!();

    fn enter(&mut self, prefix: &Prefix) {
        self.name = prefix.key(&self.name);
    }

    fn leave(held: &mut LockResponse, prefix: &Prefix) -> Result<(), Outside> {
        prefix.strip(&mut held.key)
    }
}

impl Namespaced for Unlock {
    check_message!();

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
    check_message!();

    fn enter(&mut self, prefix: &Prefix) {
        self.name = prefix.key(&self.name);
    }

    fn leave(won: &mut CampaignResponse, prefix: &Prefix) -> Result<(), Outside> {
        prefix.strip(&mut won.leader.name)?;
        prefix.strip(&mut won.leader.key)
    }
}

impl Namespaced for Proclaim {
    check_message!();

    fn enter(&mut self, prefix: &Prefix) {
        self.leader.enter(prefix);
    }

    fn leave(_: &mut Header, _: &Prefix) -> Result<(), Outside> {
        Ok(())
    }
}

impl Namespaced for GetLeader {
    check_message!();

    fn enter(&mut self, prefix: &Prefix) {
        self.name = prefix.key(&self.name);
    }

    fn leave(leader: &mut Option<KeyValue>, prefix: &Prefix) -> Result<(), Outside> {
        prefix.strip_all(leader)
    }
}

impl Namespaced for Resign {
    check_message!();

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

#[cfg(test)]
mod tests {
    use std::fmt::Debug;

    use bytes::Bytes;

    use super::*;
    use crate::v3::{
        Compare, KeyRange,
        protocol::json::to_json,
        testing::{body, decoded, leader},
    };

    /// `n/`, whose base64 is `bi8`.
    fn prefix() -> Prefix {
        Prefix(Bytes::from_static(b"n/"))
    }

    /// Returns the body of a request in the namespace, and the decoded response.
    fn within<O: Namespaced<Output: Debug>>(
        mut operation: O,
        json: &str,
    ) -> (String, Result<O::Output, Outside>) {
        operation.enter(&prefix());
        let mut output = decoded(&operation, 200, json).unwrap();
        let left = O::leave(&mut output, &prefix());
        (body(&operation), left.map(|()| output))
    }

    #[test]
    fn an_election_goes_out_with_the_prefix_and_comes_back_without() {
        let (sent, won) = within(
            Campaign::new("e", 7, "v"),
            r#"{"header":{"cluster_id":"7","revision":"4"},"leader":{"name":"bi9l","key":"bi9lLzc=","rev":"4","lease":"7"}}"#,
        );
        assert_eq!(sent, r#"{"name":"bi9l","lease":"7","value":"dg=="}"#);
        assert_eq!(won.unwrap().leader, leader());

        let (sent, _) = within(Proclaim::new(leader(), "w"), "{}");
        assert_eq!(
            sent,
            r#"{"leader":{"name":"bi9l","key":"bi9lLzc=","rev":"4","lease":"7"},"value":"dw=="}"#
        );
        let (sent, _) = within(Resign::new(leader()), "{}");
        assert_eq!(
            sent,
            r#"{"leader":{"name":"bi9l","key":"bi9lLzc=","rev":"4","lease":"7"}}"#
        );
        let (sent, found) = within(
            GetLeader::new("e"),
            r#"{"kv":{"key":"bi9lLzc=","value":"dg=="}}"#,
        );
        assert_eq!(sent, r#"{"name":"bi9l"}"#);
        assert_eq!(found.unwrap().unwrap().key, "e/7");

        let mut observe = Observe::new("e");
        observe.enter(&prefix());
        assert_eq!(to_json(&observe), r#"{"name":"bi9l"}"#);
        let mut observed = KeyValue {
            key: "n/e/7".into(),
            ..KeyValue::default()
        };
        Observe::leave(&mut observed, &prefix()).unwrap();
        assert_eq!(observed.key, "e/7");
    }

    #[test]
    fn a_lock_goes_out_with_the_prefix_and_comes_back_without() {
        let (sent, held) = within(Lock::new("l", 7), r#"{"key":"bi9sLzc="}"#);
        assert_eq!(sent, r#"{"name":"bi9s","lease":"7"}"#);
        assert_eq!(held.unwrap().key, "l/7");
        let (sent, _) = within(Unlock::new("l/7"), "{}");
        assert_eq!(sent, r#"{"key":"bi9sLzc="}"#);
    }

    #[test]
    fn a_transaction_goes_out_with_the_prefix_and_comes_back_without() {
        let inner = Txn::new().then(Range::new(KeyRange::all()));
        let txn = Txn::new()
            .when(Compare::exists("a"))
            .then(Put::new("a", "").prev_kv(true))
            .then(inner)
            .otherwise(DeleteRange::new(KeyRange::prefix("a")));
        let (sent, done) = within(
            txn,
            r#"{"succeeded":true,"responses":[{"response_put":{"prev_kv":{"key":"bi9h"}}},{"response_txn":{"responses":[{"response_range":{"kvs":[{"key":"bi9i"}]}}]}}]}"#,
        );
        assert_eq!(
            sent,
            concat!(
                r#"{"compare":[{"result":"GREATER","key":"bi9h"}],"#,
                r#""success":[{"request_put":{"key":"bi9h","prev_kv":true}},"#,
                r#"{"request_txn":{"success":[{"request_range":{"key":"bi8A","range_end":"bjA="}}]}}],"#,
                r#""failure":[{"request_delete_range":{"key":"bi9h","range_end":"bi9i"}}]}"#
            )
        );
        let done = done.unwrap();
        let [TxnOpResponse::Put(put), TxnOpResponse::Txn(inner)] = &done.responses[..] else {
            panic!("{done:?}")
        };
        assert_eq!(put.prev_kv.as_ref().unwrap().key, "a");
        assert_eq!(inner.range(0).unwrap().kvs[0].key, "b");
    }

    #[test]
    fn of_a_leases_keys_only_those_of_the_namespace_are_returned() {
        let (_, lease) = within(
            GetTimeToLive::new(7).keys(true),
            r#"{"ID":"7","TTL":"5","grantedTTL":"9","keys":["bi9h","bS9h","bg==","bi9i"]}"#,
        );
        assert_eq!(lease.unwrap().unwrap().keys, ["a", "b"]);
    }

    #[test]
    fn a_response_with_a_key_outside_is_an_error() {
        let outside = r#"{"kvs":[{"key":"bi9h"},{"key":"bS9h"}]}"#;
        assert!(within(Range::new("a"), outside).1.is_err());
        let outside = r#"{"leader":{"name":"bi9l","key":"ZS83","rev":"4"}}"#;
        assert!(within(Campaign::new("e", 7, ""), outside).1.is_err());
        let outside = r#"{"kv":{"key":"ZS83"}}"#;
        assert!(within(GetLeader::new("e"), outside).1.is_err());
        assert!(within(Lock::new("l", 7), r#"{"key":"ZS83"}"#).1.is_err());
        let outside = r#"{"responses":[{"response_txn":{"responses":[{"response_delete_range":{"prev_kvs":[{"key":"bg=="}]}}]}}]}"#;
        assert!(within(Txn::new(), outside).1.is_err());
    }
}
