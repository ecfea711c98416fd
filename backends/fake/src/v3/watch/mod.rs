//! The watches that are open on a member.

mod index;
mod ranges;
mod stream;
mod watcher;

use std::collections::BTreeMap;

pub(crate) use self::watcher::Watch;

use self::{index::WatchIndex, stream::WatchStream};
use super::{
    message::watch::{WatchRequest, WatchResponse},
    mvcc::{Change, Mvcc},
};
use crate::cluster::{exchanges::ExchangeId, state::Moment};

/// Ten minutes, in nanoseconds.
const PROGRESS_INTERVAL: i64 = 600_000_000_000;

/// The streams of watches that are open on a member.
#[derive(Debug)]
pub(crate) struct WatchHub {
    streams: BTreeMap<ExchangeId, WatchStream>,
    index: WatchIndex,
    /// The revision up to which all watches are informed.
    notified: i64,
    ready: Vec<ExchangeId>,
    /// How often a watch without events gets a report of its progress, in nanoseconds.
    pub(crate) progress_interval: i64,
    /// When the next of these reports is due, or earlier.
    next_report: Option<i64>,
    /// How many reports are still to be lost.
    lost_reports: usize,
}

impl Default for WatchHub {
    fn default() -> Self {
        Self {
            streams: BTreeMap::new(),
            index: WatchIndex::default(),
            notified: 0,
            ready: Vec::new(),
            progress_interval: PROGRESS_INTERVAL,
            next_report: None,
            lost_reports: 0,
        }
    }
}

impl WatchHub {
    /// Another one with the same settings.
    pub(crate) fn without_streams(&self) -> Self {
        Self {
            progress_interval: self.progress_interval,
            ..Self::default()
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.streams.is_empty()
    }

    /// The first revision that is still to be delivered to a watch.
    pub(crate) fn next_revision(&self, watch: &Watch) -> i64 {
        watch.next_after(self.notified)
    }

    /// What is watched, and by which exchange.
    pub(crate) fn watched(&self) -> impl Iterator<Item = (ExchangeId, i64, &Watch)> {
        self.streams.iter().flat_map(|(&id, stream)| {
            stream
                .watches()
                .map(move |(watch_id, watch)| (id, watch_id, watch))
        })
    }

    pub(crate) fn open(&mut self, id: ExchangeId, now: i64) {
        self.streams.insert(id, WatchStream::new(now));
    }

    pub(crate) fn close(&mut self, id: ExchangeId) {
        if let Some(stream) = self.streams.remove(&id) {
            for (watch_id, watch) in stream.watches() {
                self.index.remove((id, watch_id), watch);
            }
        }
    }

    pub(crate) fn streams(&self) -> usize {
        self.streams.len()
    }

    /// Drops the next reports of progress.
    pub(crate) fn lose_progress(&mut self, count: usize) {
        self.lost_reports = count;
    }

    /// The next message of a stream.
    pub(crate) fn take(&mut self, id: ExchangeId) -> Option<WatchResponse> {
        self.streams.get_mut(&id)?.take()
    }

    pub(crate) fn take_ready(&mut self) -> Vec<ExchangeId> {
        std::mem::take(&mut self.ready)
    }

    pub(crate) fn hand_over(&mut self, to: &mut Self, chosen: &dyn Fn(ExchangeId) -> bool) {
        let chosen: Vec<ExchangeId> = self
            .streams
            .keys()
            .copied()
            .filter(|&id| chosen(id))
            .collect();
        for id in chosen {
            let Some(mut stream) = self.streams.remove(&id) else {
                continue;
            };
            // The other may have notified its watches of less.
            stream.note(self.notified);
            for (watch_id, watch) in stream.watches() {
                self.index.remove((id, watch_id), watch);
                to.index.add((id, watch_id), watch);
            }
            to.streams.insert(id, stream);
        }
        let due = [self.next_report, to.next_report];
        to.next_report = due.into_iter().flatten().min();
    }

    /// Refuses to create a watch.
    pub(crate) fn refuse(&mut self, id: ExchangeId, reason: &str, mvcc: &Mvcc) {
        if let Some(stream) = self.streams.get_mut(&id) {
            stream.refuse(reason, mvcc.revision());
        }
    }

    /// Executes a client's request on a stream.
    pub(crate) fn request(
        &mut self,
        id: ExchangeId,
        request: &WatchRequest,
        mvcc: &Mvcc,
        at: Moment,
    ) {
        let Some(stream) = self.streams.get_mut(&id) else {
            return;
        };
        if let Some(create) = &request.create_request {
            if let Some((watch_id, watch)) = stream.create(create, mvcc, at.now) {
                self.index.add((id, watch_id), watch);
            }
            if create.progress_notify {
                let due = stream.next_report(self.progress_interval);
                self.next_report = Some(self.next_report.map_or(due, |other| other.min(due)));
            }
        } else if let Some(cancel) = &request.cancel_request {
            if let Some(watch) = stream.cancel(cancel.watch_id, mvcc) {
                self.index.remove((id, cancel.watch_id), &watch);
            }
        } else if request.progress_request.is_some() {
            if self.lost_reports > 0 {
                self.lost_reports -= 1;
            } else {
                stream.progress(mvcc, at.profile);
            }
        }
        self.ready.push(id);
    }

    /// When the next report of progress is due, if not later.
    pub(crate) fn next_report(&self) -> Option<i64> {
        self.next_report
    }

    /// Reports the progress of the watches that want it, if it is time.
    pub(crate) fn report(&mut self, now: i64, mvcc: &Mvcc) {
        let interval = self.progress_interval;
        for (&id, stream) in &mut self.streams {
            if stream.next_report(interval) <= now {
                stream.report(now, mvcc, &mut self.lost_reports);
                self.ready.push(id);
            }
        }
        let streams = self.streams.values().filter(|stream| stream.has_reports());
        self.next_report = streams.map(|stream| stream.next_report(interval)).min();
    }

    /// Delivers the changes since the last call to all watches.
    pub(crate) fn notify(&mut self, mvcc: &Mvcc) {
        let now = mvcc.revision();
        let from = self.notified.max(1) + 1;
        self.notified = now;
        if self.streams.is_empty() {
            return;
        }
        for revision in from..=now {
            let changes = mvcc.changes_from(revision).map(|(_, change)| change);
            let changes: Vec<&Change> = changes
                .take_while(|change| change.kv.mod_revision == revision)
                .collect();
            for (id, watch_id) in self.index.find(&changes) {
                let stream = self.streams.get_mut(&id);
                if stream.is_some_and(|stream| stream.notify(watch_id, &changes, revision, mvcc)) {
                    self.ready.push(id);
                }
            }
        }
    }
}
