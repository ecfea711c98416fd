use bytes::Bytes;

use super::ranges::{End, Range};
use crate::v3::{
    message::{
        kv::SharedKeyValue,
        watch::{Event, EventType, FilterType, WatchCreateRequest},
    },
    mvcc::{Change, Mvcc},
};

/// One watch.
#[derive(Debug)]
pub(crate) struct Watch {
    pub(crate) key: Bytes,
    /// None for one key.
    end: Option<End>,
    /// The first revision that is to be delivered. It may be behind for as long as nothing happens to the keys.
    pub(super) next: i64,
    omits_puts: bool,
    omits_deletes: bool,
    prev_kv: bool,
    pub(super) fragment: bool,
    /// Whether it reports its progress from time to time.
    pub(super) reports: bool,
    /// Whether it has had no event since the last report was due.
    pub(super) is_quiet: bool,
    /// It began before the compaction and has been informed: it receives nothing more.
    pub(super) is_compacted: bool,
}

impl Watch {
    pub(super) fn new(request: &WatchCreateRequest, now: i64) -> Self {
        let key = if request.key.is_empty() {
            Bytes::from_static(&[0])
        } else {
            request.key.clone()
        };
        let end = match &request.range_end[..] {
            [] => None,
            [0] => Some(End::Open),
            _ => Some(End::Before(request.range_end.clone())),
        };
        Self {
            key,
            end,
            next: if request.start_revision == 0 {
                now + 1
            } else {
                request.start_revision
            },
            omits_puts: request.filters.contains(&FilterType::NOPUT),
            omits_deletes: request.filters.contains(&FilterType::NODELETE),
            prev_kv: request.prev_kv,
            fragment: request.fragment,
            reports: request.progress_notify,
            is_quiet: true,
            is_compacted: false,
        }
    }

    /// The end of its range, as a request has it.
    pub(crate) fn range_end(&self) -> Bytes {
        match &self.end {
            None => Bytes::new(),
            Some(End::Open) => Bytes::from_static(&[0]),
            Some(End::Before(end)) => end.clone(),
        }
    }

    /// The first revision that is still to be delivered, when all up to another one have been.
    pub(super) fn next_after(&self, notified: i64) -> i64 {
        if self.is_compacted {
            self.next
        } else {
            self.next.max(notified + 1)
        }
    }

    /// What it watches, unless that is one key.
    pub(super) fn range(&self) -> Option<Range> {
        Some(Range {
            first: self.key.clone(),
            end: self.end.clone()?,
        })
    }

    pub(super) fn is_range_empty(&self) -> bool {
        matches!(&self.end, Some(End::Before(end)) if self.key >= end)
    }

    pub(super) fn wants(&self, change: &Change) -> bool {
        let is_omitted = if change.is_delete {
            self.omits_deletes
        } else {
            self.omits_puts
        };
        let key = &change.kv.key;
        !is_omitted
            && match &self.end {
                None => *key == self.key,
                Some(end) => *key >= self.key && end.is_behind(key),
            }
    }

    pub(super) fn event(&self, change: &Change, mvcc: &Mvcc) -> Event {
        let kv = &change.kv;
        let before = kv.mod_revision - 1;
        let is_creation = !change.is_delete && kv.create_revision == kv.mod_revision;
        let has_prev = self.prev_kv && !is_creation && before >= mvcc.compacted();
        let prev_kv = has_prev.then(|| mvcc.get_at(&kv.key, before)).flatten();
        Event {
            kind: if change.is_delete {
                EventType::DELETE
            } else {
                EventType::PUT
            },
            kv: Some(SharedKeyValue(kv.clone())),
            prev_kv: prev_kv.cloned().map(SharedKeyValue),
        }
    }
}
