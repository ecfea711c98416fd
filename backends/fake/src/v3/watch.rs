use std::collections::{BTreeMap, VecDeque};

use bytes::Bytes;

use super::{
    message::{
        kv::{ResponseHeader, SharedKeyValue},
        proto,
        watch::{Event, EventType, FilterType, WatchCreateRequest, WatchRequest, WatchResponse},
    },
    mvcc::{Change, Mvcc},
};
use crate::{cluster::exchanges::ExchangeId, profile::Profile};

/// How many revisions one message about the past has at most.
const BATCH: usize = 1000;

/// Above this size a message is split, if the watch wants that.
const FRAGMENT_SIZE: usize = 2 << 20;

/// The streams of watches that are open on a member.
#[derive(Debug, Default)]
pub(crate) struct WatchHub {
    streams: BTreeMap<ExchangeId, WatchStream>,
    /// The revision up to which all watches are informed.
    notified: i64,
    ready: Vec<ExchangeId>,
}

#[derive(Debug, Default)]
struct WatchStream {
    watches: BTreeMap<i64, Watch>,
    next_id: i64,
    /// What is to be sent. The headers have a revision and nothing else.
    queue: VecDeque<WatchResponse>,
}

#[derive(Debug)]
struct Watch {
    key: Bytes,
    end: End,
    /// The first revision that is still to be delivered.
    next: i64,
    omits_puts: bool,
    omits_deletes: bool,
    prev_kv: bool,
    fragment: bool,
    /// It began before the compaction and has been informed: it receives nothing more.
    is_compacted: bool,
}

#[derive(Debug)]
enum End {
    /// One key.
    Single,
    /// All keys from the first on.
    Open,
    Before(Bytes),
}

impl WatchHub {
    pub(crate) fn is_empty(&self) -> bool {
        self.streams.is_empty()
    }

    pub(crate) fn open(&mut self, id: ExchangeId) {
        self.streams.insert(id, WatchStream::default());
    }

    pub(crate) fn close(&mut self, id: ExchangeId) {
        self.streams.remove(&id);
    }

    /// The next message of a stream.
    pub(crate) fn take(&mut self, id: ExchangeId) -> Option<WatchResponse> {
        self.streams.get_mut(&id)?.queue.pop_front()
    }

    pub(crate) fn has_message(&self, id: ExchangeId) -> bool {
        let stream = self.streams.get(&id);
        stream.is_some_and(|stream| !stream.queue.is_empty())
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
            to.streams.extend(self.streams.remove_entry(&id));
        }
    }

    /// Refuses to create a watch.
    pub(crate) fn refuse(&mut self, id: ExchangeId, reason: &str, mvcc: &Mvcc) {
        if let Some(stream) = self.streams.get_mut(&id) {
            let revision = mvcc.revision();
            stream.queue.push_back(refusal(reason, revision));
        }
    }

    /// Executes a client's request on a stream.
    pub(crate) fn request(
        &mut self,
        id: ExchangeId,
        request: &WatchRequest,
        mvcc: &Mvcc,
        profile: Profile,
    ) {
        let Some(stream) = self.streams.get_mut(&id) else {
            return;
        };
        if let Some(create) = &request.create_request {
            stream.create(create, mvcc);
        } else if let Some(cancel) = &request.cancel_request {
            stream.cancel(cancel.watch_id, mvcc);
        } else if request.progress_request.is_some() {
            stream.progress(mvcc, profile);
        }
        self.ready.push(id);
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
            for (&id, stream) in &mut self.streams {
                if stream.notify(&changes, revision, mvcc) {
                    self.ready.push(id);
                }
            }
        }
    }
}

impl WatchStream {
    fn create(&mut self, request: &WatchCreateRequest, mvcc: &Mvcc) {
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
            return;
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
    }

    fn unused_id(&mut self) -> i64 {
        while self.watches.contains_key(&self.next_id) {
            self.next_id += 1;
        }
        self.next_id += 1;
        self.next_id - 1
    }

    fn cancel(&mut self, watch_id: i64, mvcc: &Mvcc) {
        if self.watches.remove(&watch_id).is_some() {
            self.queue.push_back(WatchResponse {
                header: Some(ResponseHeader::of_revision(mvcc.revision())),
                watch_id,
                canceled: true,
                ..WatchResponse::default()
            });
        }
    }

    /// 3.4 always reports its progress, 3.5 only when there are watches and all are up to date.
    fn progress(&mut self, mvcc: &Mvcc, profile: Profile) {
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
            self.queue.push_back(WatchResponse {
                header: Some(ResponseHeader::default()),
                watch_id,
                canceled: true,
                compact_revision: mvcc.compacted(),
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
            let events = batch
                .iter()
                .map(|change| watch.event(change, mvcc))
                .collect();
            push_events(&mut self.queue, watch_id, now, events, watch.fragment);
        }
    }

    /// Delivers one revision to the watches. Returns whether there is something to send.
    fn notify(&mut self, changes: &[&Change], revision: i64, mvcc: &Mvcc) -> bool {
        let before = self.queue.len();
        for (&watch_id, watch) in &mut self.watches {
            if watch.is_compacted || watch.next > revision {
                continue;
            }
            watch.next = revision + 1;
            let wanted = changes.iter().filter(|change| watch.wants(change));
            let events: Vec<Event> = wanted.map(|change| watch.event(change, mvcc)).collect();
            if !events.is_empty() {
                push_events(&mut self.queue, watch_id, revision, events, watch.fragment);
            }
        }
        self.queue.len() > before
    }
}

impl Watch {
    fn new(request: &WatchCreateRequest, now: i64) -> Self {
        let key = if request.key.is_empty() {
            Bytes::from_static(&[0])
        } else {
            request.key.clone()
        };
        let end = match &request.range_end[..] {
            [] => End::Single,
            [0] => End::Open,
            _ => End::Before(request.range_end.clone()),
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
            is_compacted: false,
        }
    }

    fn is_range_empty(&self) -> bool {
        matches!(&self.end, End::Before(end) if self.key >= end)
    }

    fn wants(&self, change: &Change) -> bool {
        let is_omitted = if change.is_delete {
            self.omits_deletes
        } else {
            self.omits_puts
        };
        let key = &change.kv.key;
        !is_omitted
            && match &self.end {
                End::Single => *key == self.key,
                End::Open => *key >= self.key,
                End::Before(end) => *key >= self.key && key < end,
            }
    }

    fn event(&self, change: &Change, mvcc: &Mvcc) -> Event {
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
