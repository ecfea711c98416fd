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
    /// It begins with what the caller gave, and no server has created it.
    is_given: bool,
    /// The store has not been compared with the cursor that it begins at.
    is_unverified: bool,
    /// The last message was a fragment: the next one continues it.
    is_partial: bool,
    /// The revision that the next fragment may continue, and the size in bytes of the fragments that it came with.
    incomplete: Option<Changes>,
    incomplete_size: usize,
}

impl WatchState {
    pub(super) fn new(watch: Watch) -> Self {
        Self {
            next: watch.from,
            is_given: watch.from.is_some() && !watch.is_continued(),
            is_unverified: watch.cursor().is_some(),
            watch,
            is_partial: false,
            incomplete: None,
            incomplete_size: 0,
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

    /// A server has created it.
    pub(super) fn created(&mut self) {
        self.is_given = false;
    }

    /// The last revision up to which everything has arrived; `None` until it is known where it begins.
    pub(super) fn reached(&self) -> Option<i64> {
        self.next.map(|next| next.saturating_sub(1))
    }

    /// The connection is closed: drops an incomplete revision.
    pub(super) fn cut(&mut self) {
        self.is_partial = false;
        self.incomplete = None;
        self.incomplete_size = 0;
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

    /// The revision to ask for. A start that the caller gave is sent as it is, at first: etcd accepts the compacted revision.
    ///
    /// Any other is one lower, and what that brings again is dropped. Where exactly the next revision was compacted, etcd
    /// 3.4 begins with it and leaves out its deletes: <https://github.com/etcd-io/etcd/issues/18089>. Asked for the one
    /// before, it says that the history is gone.
    fn start(&self) -> i64 {
        let next = self.next.unwrap_or_default();
        if self.is_given {
            return next;
        }
        next.saturating_sub(1).max(1)
    }

    /// Whether a message has arrived in part.
    pub(super) fn is_partial(&self) -> bool {
        self.is_partial
    }

    /// The size of the fragments with the incomplete revision, in bytes.
    pub(super) fn buffered_bytes(&self) -> usize {
        self.incomplete_size
    }

    /// The revisions that this message completes.
    ///
    /// Of a fragment, the last revision is kept: the next one may continue it. Those before are complete, as revisions ascend.
    /// While a watch catches up, etcd puts a thousand revisions into one message, of any size.
    pub(super) fn take(&mut self, message: WatchResponse, size: usize) -> Vec<Changes> {
        let next = self.next.unwrap_or_default();
        let continues = mem::replace(&mut self.is_partial, message.fragment);
        if message.events.is_empty() && !continues && !message.fragment {
            return self.progress(next, message.header.revision);
        }
        // A member that lags behind may send again what was delivered.
        let new = message
            .events
            .into_iter()
            .filter(|event| event.kv.mod_revision >= next);
        let begun = self.incomplete.take();
        let begun_size = mem::take(&mut self.incomplete_size);
        let mut changes = by_revision(begun, new);
        if message.fragment {
            self.incomplete = changes.pop();
            self.incomplete_size = match self.incomplete {
                Some(_) if changes.is_empty() => begun_size.saturating_add(size),
                Some(_) => size,
                None => 0,
            };
        }
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

/// Groups these events, after those of a revision that they may continue.
fn by_revision(first: Option<Changes>, events: impl Iterator<Item = Event>) -> Vec<Changes> {
    let mut all: Vec<Changes> = first.into_iter().collect();
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
