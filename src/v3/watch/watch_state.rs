use std::mem;

use crate::v3::watch::{
    event::{Changes, Event, WatchResponse},
    request::Watch,
};
use crate::v3::{
    KeyRange,
    protocol::gateway::{self, Encode, Fields},
};

/// What etcd says instead of an id where there is no watch.
pub(super) const NO_WATCH: i64 = -1;

/// The id, within its request, of the watch with this number.
pub(super) fn id(watch: usize) -> i64 {
    // 0 asks etcd to choose. There are fewer watches than that.
    i64::try_from(watch).unwrap_or(i64::MAX - 1) + 1
}

/// The number of the watch with this id.
pub(super) fn number(id: i64) -> Option<usize> {
    usize::try_from(id.checked_sub(1)?).ok()
}

/// The request for no more of a watch.
pub(super) fn cancel(id: i64) -> String {
    gateway::to_json(&CancelRequest { id })
}

/// How far one watch has come.
#[derive(Debug)]
pub(super) struct WatchState {
    watch: Watch,
    /// The lowest revision of what is to come; `None` until it is known which one is now.
    next: Option<i64>,
    /// The events of a message that comes in fragments, as far as they came, and how many bytes they took.
    fragments: Vec<Event>,
    fragments_size: usize,
}

impl WatchState {
    pub(super) fn new(watch: Watch) -> Self {
        Self {
            next: watch.from,
            watch,
            fragments: Vec::new(),
            fragments_size: 0,
        }
    }

    pub(super) fn range(&self) -> &KeyRange {
        &self.watch.range
    }

    /// Whether it is to begin now, and nobody has asked yet when that is.
    pub(super) fn is_unpinned(&self) -> bool {
        self.next.is_none()
    }

    /// This is the revision before the first that it is to see.
    pub(super) fn pin(&mut self, revision: i64) {
        self.next = Some(revision.saturating_add(1));
    }

    /// The link is gone; with it goes what was not whole.
    pub(super) fn cut(&mut self) {
        self.fragments = Vec::new();
        self.fragments_size = 0;
    }

    /// The request for what is to come.
    pub(super) fn request(&self, id: i64) -> String {
        gateway::to_json(&Request {
            create_request: Create { track: self, id },
        })
    }

    /// How many bytes of fragments it keeps.
    pub(super) fn kept(&self) -> usize {
        self.fragments_size
    }

    /// The whole revisions that this message completes.
    pub(super) fn take(&mut self, message: WatchResponse, size: usize) -> Vec<Changes> {
        let next = self.next.unwrap_or_default();
        if message.fragment {
            self.fragments.extend(message.events);
            self.fragments_size += size;
            return Vec::new();
        }
        let events = if self.fragments.is_empty() {
            message.events
        } else {
            let mut events = mem::take(&mut self.fragments);
            events.extend(message.events);
            self.cut();
            events
        };
        if events.is_empty() {
            return self.progress(next, message.header.revision);
        }
        // A member that lags behind may send what was delivered already.
        let new = events
            .into_iter()
            .filter(|event| event.kv.mod_revision >= next);
        let changes = by_revision(new);
        if let Some(last) = changes.last() {
            self.next = Some(last.revision.saturating_add(1));
        }
        changes
    }

    /// Nothing more has happened up to `revision`, says a member; unless it lags behind.
    fn progress(&mut self, next: i64, revision: i64) -> Vec<Changes> {
        let after = revision.saturating_add(1);
        if after < next {
            return Vec::new();
        }
        self.next = Some(after);
        let progress = self.watch.progress.then_some(Changes {
            revision,
            events: Vec::new(),
        });
        progress.into_iter().collect()
    }
}

fn by_revision(events: impl Iterator<Item = Event>) -> Vec<Changes> {
    let mut all: Vec<Changes> = Vec::new();
    for event in events {
        let revision = event.kv.mod_revision;
        match all.last_mut() {
            Some(last) if last.revision == revision => last.events.push(event),
            _ => all.push(Changes {
                revision,
                events: vec![event],
            }),
        }
    }
    all
}

struct CancelRequest {
    id: i64,
}

impl Encode for CancelRequest {
    fn fields(&self, to: &mut Fields<'_>) {
        to.put("cancel_request", &Cancel { id: self.id });
    }
}

struct Cancel {
    id: i64,
}

impl Encode for Cancel {
    fn fields(&self, to: &mut Fields<'_>) {
        to.put("watch_id", &self.id);
    }
}

struct Request<'a> {
    create_request: Create<'a>,
}

impl Encode for Request<'_> {
    fn fields(&self, to: &mut Fields<'_>) {
        to.put("create_request", &self.create_request);
    }
}

struct Create<'a> {
    track: &'a WatchState,
    id: i64,
}

impl Encode for Create<'_> {
    fn fields(&self, to: &mut Fields<'_>) {
        let watch = &self.track.watch;
        let filters = [(watch.puts, "NOPUT"), (watch.deletes, "NODELETE")];
        let filters = filters.into_iter().filter(|(wanted, _)| !wanted);
        let filters: Vec<String> = filters.map(|(_, filter)| filter.to_owned()).collect();
        to.put("key", watch.range.wire_key())
            .put("range_end", watch.range.wire_end())
            .put("start_revision", &self.track.next.unwrap_or_default())
            // Without it a quiet watch falls behind a compaction.
            .put("progress_notify", &true)
            .put("filters", &filters)
            .put("prev_kv", &watch.prev_kv)
            .put("watch_id", &self.id)
            // Without it a message has no bound.
            .put("fragment", &true);
    }
}
