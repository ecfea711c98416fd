use std::mem;

use crate::v3::{
    Header, KeyRange,
    watch::{
        event::{Changes, Event},
        message::{CreateRequest, Filter, WatchRequest, WatchResponse},
        request::Watch,
        requested::id,
    },
};

/// The progress of one watch.
#[derive(Debug)]
pub(super) struct WatchState {
    watch: Watch,
    /// The lowest revision that is to come; `None` until the store's revision is known.
    next: Option<i64>,
    /// The store has not been compared with the cursor that it begins at.
    is_unverified: bool,
    /// The fragments of a message that have arrived, and their size in bytes.
    fragments: Vec<Event>,
    fragments_size: usize,
}

impl WatchState {
    pub(super) fn new(watch: Watch) -> Self {
        Self {
            next: watch.from,
            is_unverified: watch.cursor().is_some(),
            watch,
            fragments: Vec::new(),
            fragments_size: 0,
        }
    }

    pub(super) fn range(&self) -> &KeyRange {
        &self.watch.range
    }

    /// Whether it waits for what a majority says of the store: it begins with its revision, or at a cursor.
    pub(super) fn is_unpinned(&self) -> bool {
        self.next.is_none() || self.is_unverified
    }

    /// A majority has said this of the store: the first revision that it delivers comes after it, or after the cursor.
    ///
    /// # Errors
    /// Why the store does not go on from the cursor.
    pub(super) fn pin(&mut self, header: &Header) -> Result<(), String> {
        if let Some(mismatch) = self.watch.cursor().and_then(|it| it.mismatch(header)) {
            return Err(mismatch);
        }
        self.is_unverified = false;
        self.next.get_or_insert(header.revision.saturating_add(1));
        Ok(())
    }

    /// The last revision up to which everything has arrived; `None` until it is known where it begins.
    pub(super) fn reached(&self) -> Option<i64> {
        self.next.map(|next| next.saturating_sub(1))
    }

    /// The connection is closed: drops an incomplete message.
    pub(super) fn cut(&mut self) {
        self.fragments = Vec::new();
        self.fragments_size = 0;
    }

    /// The request for what is to come, as the watch with this number.
    pub(super) fn request(&self, number: usize) -> WatchRequest {
        WatchRequest::Create(CreateRequest {
            range: self.watch.range.clone(),
            start_revision: self.start(),
            prev_kv: self.watch.prev_kv,
            filters: filters(&self.watch),
            id: id(number),
        })
    }

    /// The revision to ask for. A start that the caller gave is sent as it is.
    ///
    /// Any other is one lower, and what that brings again is dropped. Where exactly the next revision was compacted, etcd
    /// 3.4 begins with it and leaves out its deletes: <https://github.com/etcd-io/etcd/issues/18089>. Asked for the one
    /// before, it says that the history is gone.
    fn start(&self) -> i64 {
        let next = self.next.unwrap_or_default();
        if self.watch.from == Some(next) && !self.watch.is_continued() {
            return next;
        }
        next.saturating_sub(1).max(1)
    }

    /// The size of the fragments that it keeps, in bytes.
    pub(super) fn buffered_bytes(&self) -> usize {
        self.fragments_size
    }

    /// The complete revisions that this message brings.
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
        // A member that lags behind may send again what was delivered.
        let new = events
            .into_iter()
            .filter(|event| event.kv.mod_revision >= next);
        let changes = by_revision(new);
        if let Some(last) = changes.last() {
            self.next = Some(last.revision.saturating_add(1));
        }
        changes
    }

    /// Records that nothing else has happened up to `revision`, or that the member lags behind.
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

/// What etcd omits.
fn filters(watch: &Watch) -> Vec<Filter> {
    let filters = [
        (watch.puts, Filter::NoPut),
        (watch.deletes, Filter::NoDelete),
    ];
    let unwanted = filters.into_iter().filter(|(wanted, _)| !wanted);
    unwanted.map(|(_, filter)| filter).collect()
}
