use std::collections::{BTreeMap, VecDeque};

use super::watcher::Watch;
use crate::{
    profile::Profile,
    v3::{
        message::{
            kv::ResponseHeader,
            proto,
            watch::{Event, WatchCreateRequest, WatchResponse},
        },
        mvcc::{Change, Mvcc},
    },
};

/// How many revisions one message about the past has at most.
const BATCH: usize = 1000;

/// Above this size a message is split, if the watch wants that.
const FRAGMENT_SIZE: usize = 2 << 20;

/// The watches of one stream, and what it has to say.
#[derive(Debug, Default)]
pub(super) struct WatchStream {
    watches: BTreeMap<i64, Watch>,
    next_id: i64,
    /// When it was opened, and when it was last looked at for progress to report.
    opened: i64,
    reported: i64,
    /// What is to be sent. The headers have a revision and nothing else.
    queue: VecDeque<WatchResponse>,
}

impl WatchStream {
    pub(super) fn new(now: i64) -> Self {
        Self {
            opened: now,
            reported: now,
            ..Self::default()
        }
    }

    /// The watches by their ids.
    pub(super) fn watches(&self) -> impl Iterator<Item = (i64, &Watch)> {
        self.watches.iter().map(|(&id, watch)| (id, watch))
    }

    /// The next message.
    pub(super) fn take(&mut self) -> Option<WatchResponse> {
        self.queue.pop_front()
    }

    /// Refuses to create a watch.
    pub(super) fn refuse(&mut self, reason: &str, revision: i64) {
        self.queue.push_back(refusal(reason, revision));
    }

    /// When the next report of progress is due.
    pub(super) fn next_report(&self, interval: i64) -> i64 {
        let interval = interval.max(1);
        let count = (self.reported - self.opened).div_euclid(interval) + 1;
        self.opened.saturating_add(count.saturating_mul(interval))
    }

    pub(super) fn has_reports(&self) -> bool {
        self.watches.values().any(|watch| watch.reports)
    }

    pub(super) fn report(&mut self, now: i64, mvcc: &Mvcc, lost: &mut usize) {
        self.reported = now;
        let now = mvcc.revision();
        for (&watch_id, watch) in &mut self.watches {
            let was_quiet = std::mem::replace(&mut watch.is_quiet, true);
            if watch.reports && was_quiet && !watch.is_compacted && watch.next <= now + 1 {
                if *lost > 0 {
                    *lost -= 1;
                    continue;
                }
                self.queue.push_back(WatchResponse {
                    header: Some(ResponseHeader::of_revision(now)),
                    watch_id,
                    ..WatchResponse::default()
                });
            }
        }
    }

    /// Creates a watch; returns it with its id, unless it is refused.
    pub(super) fn create(
        &mut self,
        request: &WatchCreateRequest,
        mvcc: &Mvcc,
        time: i64,
    ) -> Option<(i64, &Watch)> {
        // Reports that were due before there was a watch are not made up for.
        self.reported = time;
        let now = mvcc.revision();
        let created = WatchResponse {
            header: Some(ResponseHeader::of_revision(now)),
            created: true,
            ..WatchResponse::default()
        };
        let watch = Watch::new(request, now);
        let problem = if watch.is_range_empty() {
            Some("mvcc: watcher range is empty")
        } else if request.watch_id != 0 && self.watches.contains_key(&request.watch_id) {
            Some("mvcc: duplicate watch ID provided on the WatchStream")
        } else {
            None
        };
        if let Some(problem) = problem {
            self.queue.push_back(refusal(problem, now));
            return None;
        }
        let watch_id = if request.watch_id == 0 {
            self.unused_id()
        } else {
            request.watch_id
        };
        self.queue.push_back(WatchResponse {
            watch_id,
            ..created
        });
        self.watches.insert(watch_id, watch);
        if request.start_revision != 0 && request.start_revision <= now {
            self.catch_up(watch_id, mvcc);
        }
        let watch = self.watches.get(&watch_id)?;
        Some((watch_id, watch))
    }

    fn unused_id(&mut self) -> i64 {
        while self.watches.contains_key(&self.next_id) {
            self.next_id += 1;
        }
        self.next_id += 1;
        self.next_id - 1
    }

    /// Ends a watch, if there is one with this id; returns it.
    pub(super) fn cancel(&mut self, watch_id: i64, mvcc: &Mvcc) -> Option<Watch> {
        let watch = self.watches.remove(&watch_id)?;
        self.queue.push_back(WatchResponse {
            header: Some(ResponseHeader::of_revision(mvcc.revision())),
            watch_id,
            canceled: true,
            ..WatchResponse::default()
        });
        Some(watch)
    }

    /// Notes that all watches are informed up to a revision.
    pub(super) fn note(&mut self, notified: i64) {
        for watch in self.watches.values_mut() {
            watch.next = watch.next_after(notified);
        }
    }

    /// 3.4 always reports its progress, 3.5 only when there are watches and all are up to date.
    pub(super) fn progress(&mut self, mvcc: &Mvcc, profile: Profile) {
        let now = mvcc.revision();
        let is_behind = |watch: &Watch| watch.is_compacted || watch.next > now + 1;
        let is_silent = self.watches.is_empty() || self.watches.values().any(is_behind);
        if profile == Profile::V3_5 && is_silent {
            return;
        }
        self.queue.push_back(WatchResponse {
            header: Some(ResponseHeader::of_revision(now)),
            watch_id: -1,
            ..WatchResponse::default()
        });
    }

    /// Delivers past events to a watch, from its first revision on.
    fn catch_up(&mut self, watch_id: i64, mvcc: &Mvcc) {
        let Some(watch) = self.watches.get_mut(&watch_id) else {
            return;
        };
        if watch.next < mvcc.compacted() {
            watch.is_compacted = true;
            let compact_revision = mvcc.compacted();
            self.queue.push_back(WatchResponse {
                header: Some(ResponseHeader::default()),
                watch_id,
                // A history compacted at 0 ends the watch silently.
                canceled: compact_revision != 0,
                compact_revision,
                ..WatchResponse::default()
            });
            return;
        }
        let now = mvcc.revision();
        if watch.next < 0 {
            // etcd searches its file from a revision on that it mistakes for the highest of all.
            watch.next = now + 1;
            return;
        }
        let changes = mvcc.changes_from(watch.next).map(|(_, change)| change);
        let changes: Vec<&Change> = changes.filter(|change| watch.wants(change)).collect();
        watch.next = now + 1;
        let mut rest = changes.as_slice();
        while let Some(first) = rest.first() {
            let mut revisions = 1;
            let mut last = first.kv.mod_revision;
            let end = rest.iter().position(|change| {
                revisions += usize::from(change.kv.mod_revision > last);
                last = change.kv.mod_revision;
                revisions > BATCH
            });
            let (batch, later) = rest.split_at(end.unwrap_or(rest.len()));
            rest = later;
            watch.is_quiet = false;
            let events = batch
                .iter()
                .map(|change| watch.event(change, mvcc))
                .collect();
            push_events(&mut self.queue, watch_id, now, events, watch.fragment);
        }
    }

    /// Delivers one revision to a watch. Returns whether there is something to send.
    pub(super) fn notify(
        &mut self,
        watch_id: i64,
        changes: &[&Change],
        revision: i64,
        mvcc: &Mvcc,
    ) -> bool {
        let Some(watch) = self.watches.get_mut(&watch_id) else {
            return false;
        };
        if watch.is_compacted || watch.next > revision {
            return false;
        }
        watch.next = revision + 1;
        let wanted = changes.iter().filter(|change| watch.wants(change));
        let events: Vec<Event> = wanted.map(|change| watch.event(change, mvcc)).collect();
        if events.is_empty() {
            return false;
        }
        watch.is_quiet = false;
        push_events(&mut self.queue, watch_id, revision, events, watch.fragment);
        true
    }
}

/// The response to a request for a watch that is not created.
fn refusal(reason: &str, revision: i64) -> WatchResponse {
    WatchResponse {
        header: Some(ResponseHeader::of_revision(revision)),
        watch_id: -1,
        created: true,
        canceled: true,
        cancel_reason: reason.to_owned(),
        ..WatchResponse::default()
    }
}

fn push_events(
    queue: &mut VecDeque<WatchResponse>,
    watch_id: i64,
    revision: i64,
    events: Vec<Event>,
    fragment: bool,
) {
    let message = WatchResponse {
        header: Some(ResponseHeader::of_revision(revision)),
        watch_id,
        ..WatchResponse::default()
    };
    // The size of the fields before the events: at most two numbers of ten bytes in a header, and an id.
    let size = |event: &Event| proto::encode(event).len() + 4;
    if !fragment || events.iter().map(size).sum::<usize>() < FRAGMENT_SIZE {
        queue.push_back(WatchResponse { events, ..message });
        return;
    }
    let mut part = Vec::new();
    let mut part_size = 0;
    for event in events {
        let event_size = size(&event);
        if !part.is_empty() && part_size + event_size >= FRAGMENT_SIZE {
            queue.push_back(WatchResponse {
                events: std::mem::take(&mut part),
                fragment: true,
                ..message.clone()
            });
            part_size = 0;
        }
        part_size += event_size;
        part.push(event);
    }
    queue.push_back(WatchResponse {
        events: part,
        ..message
    });
}
