use std::{cmp::Ordering, ops::Bound, sync::Arc};

use bytes::Bytes;

use super::{KeyRange, Mvcc};
use crate::v3::{
    error::V3Error,
    message::kv::{
        KeyValue, RangeRequest, RangeResponse, ResponseHeader, SharedKeyValue, SortOrder,
        SortTarget,
    },
};

/// The keys of a range.
#[derive(Debug)]
pub(super) struct Found {
    pub(super) kvs: Vec<Arc<KeyValue>>,
    /// How many there are, without the limit.
    pub(super) count: usize,
}

impl Mvcc {
    /// Executes a range request. `now`: the revision that counts as the current one.
    pub(super) fn range(&self, request: &RangeRequest, now: i64) -> Result<RangeResponse, V3Error> {
        let keys = KeyRange {
            key: &request.key,
            end: &request.range_end,
        };
        let is_filtered = request.min_mod_revision != 0
            || request.max_mod_revision != 0
            || request.min_create_revision != 0
            || request.max_create_revision != 0;
        let request_limit = usize::try_from(request.limit).unwrap_or(0);
        // What is sorted or filtered is read completely, and cut afterwards.
        let reads_all = request_limit == 0 || request.sort_order != SortOrder::NONE || is_filtered;
        let limit = if request.count_only {
            Some(0)
        } else {
            (!reads_all).then_some(request_limit.saturating_add(1))
        };
        let Found { mut kvs, count } = self.find(keys, request.revision, now, limit)?;
        if is_filtered {
            kvs.retain(|kv| passes(kv, request));
        }
        sort(&mut kvs, request);
        let more = request_limit > 0 && kvs.len() > request_limit;
        if more {
            kvs.truncate(request_limit);
        }
        if request.keys_only {
            for kv in &mut kvs {
                Arc::make_mut(kv).value = Bytes::new();
            }
        }
        Ok(RangeResponse {
            header: Some(ResponseHeader::of_revision(now)),
            kvs: kvs.into_iter().map(SharedKeyValue).collect(),
            more,
            count: i64::try_from(count).unwrap_or(i64::MAX),
        })
    }

    /// The keys of a range at a revision: at `now` if it is not positive.
    pub(super) fn find(
        &self,
        keys: KeyRange<'_>,
        revision: i64,
        now: i64,
        limit: Option<usize>,
    ) -> Result<Found, V3Error> {
        if revision > now {
            return Err(V3Error::FUTURE_REVISION);
        }
        let revision = if revision <= 0 { now } else { revision };
        if revision < self.compacted {
            return Err(V3Error::COMPACTED);
        }
        Ok(if revision == now {
            self.find_now(keys, limit)
        } else {
            self.find_at(keys, revision, limit)
        })
    }

    pub(super) fn find_now(&self, keys: KeyRange<'_>, limit: Option<usize>) -> Found {
        let limit = limit.unwrap_or(usize::MAX);
        if keys.is_single() {
            let kv = self.get(keys.key);
            return Found {
                count: usize::from(kv.is_some()),
                kvs: kv.into_iter().take(limit).cloned().collect(),
            };
        }
        let entries = self.live.from(Bound::Included(keys.key));
        let inside = entries.take_while(|(key, _)| keys.is_before_end(key));
        let end = if keys.is_open() {
            self.live.len()
        } else {
            self.live.rank(keys.end)
        };
        Found {
            kvs: inside
                .take(limit)
                .map(|(_, history)| Arc::clone(&history.last().kv))
                .collect(),
            count: end.saturating_sub(self.live.rank(keys.key)),
        }
    }

    fn find_at(&self, keys: KeyRange<'_>, revision: i64, limit: Option<usize>) -> Found {
        let mut found = Vec::new();
        for histories in [&self.live, &self.deleted] {
            let entries = histories.from(Bound::Included(keys.key));
            let inside = entries.take_while(|(key, _)| keys.contains(key));
            found.extend(inside.filter_map(|(_, history)| history.at(revision).cloned()));
        }
        // Two sorted parts: they are merged.
        found.sort_by(|one: &Arc<KeyValue>, other| one.key.cmp(&other.key));
        let count = found.len();
        found.truncate(limit.unwrap_or(usize::MAX));
        Found { kvs: found, count }
    }
}

fn passes(kv: &KeyValue, request: &RangeRequest) -> bool {
    let at_least = |value: i64, limit: i64| limit == 0 || value >= limit;
    let at_most = |value: i64, limit: i64| limit == 0 || value <= limit;
    at_least(kv.mod_revision, request.min_mod_revision)
        && at_most(kv.mod_revision, request.max_mod_revision)
        && at_least(kv.create_revision, request.min_create_revision)
        && at_most(kv.create_revision, request.max_create_revision)
}

/// Sorts by the target. etcd promises no order of equal keys; up to twelve, it keeps that of the keys, as here.
fn sort(kvs: &mut [Arc<KeyValue>], request: &RangeRequest) {
    let order = if request.sort_order == SortOrder::NONE && request.sort_target != SortTarget::KEY {
        SortOrder::ASCEND
    } else {
        request.sort_order
    };
    let compare = |a: &KeyValue, b: &KeyValue| match request.sort_target {
        SortTarget::VERSION => a.version.cmp(&b.version),
        SortTarget::CREATE => a.create_revision.cmp(&b.create_revision),
        SortTarget::MOD => a.mod_revision.cmp(&b.mod_revision),
        SortTarget::VALUE => a.value.cmp(&b.value),
        _ => a.key.cmp(&b.key),
    };
    match order {
        SortOrder::ASCEND => kvs.sort_by(|a, b| compare(a, b)),
        SortOrder::DESCEND => kvs.sort_by(|a, b| Ordering::reverse(compare(a, b))),
        _ => {}
    }
}
