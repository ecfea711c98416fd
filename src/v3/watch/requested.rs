use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

use crate::v3::watch::message::NO_WATCH;

/// How long the server may take to create a watch, after the one before. It never responds to what it cannot read.
pub(super) const CREATE_LIMIT: Duration = Duration::from_secs(5);

/// For this long the changes of a set are collected, where each requires another request.
const COLLECT: Duration = Duration::from_millis(50);

/// What the open request has asked for, and how much of it the server has created.
#[derive(Debug, Default)]
pub(super) struct RequestedWatches {
    /// The watches that the server has not confirmed, canceled ones included: it confirms them in the order of the
    /// requests.
    uncreated: VecDeque<usize>,
    /// When all that the request began with was created.
    settled: Option<Instant>,
    /// The majority has a store that goes on from what was seen.
    is_agreed: bool,
    /// Since when the request has not matched the set.
    outdated: Option<Instant>,
}

impl RequestedWatches {
    /// A new request for these watches.
    pub(super) fn new(watches: impl IntoIterator<Item = usize>) -> Self {
        Self {
            uncreated: watches.into_iter().collect(),
            settled: None,
            is_agreed: false,
            outdated: None,
        }
    }

    /// One more watch was requested.
    pub(super) fn add(&mut self, watch: usize) {
        self.uncreated.push_back(watch);
    }

    /// The set has changed, and the request cannot.
    pub(super) fn outdated(&mut self, now: Instant) {
        self.outdated.get_or_insert(now);
    }

    /// The watch that the server says it has created, or refused, under this id; `None` if it is not that watch's turn.
    pub(super) fn created(&mut self, id: i64) -> Option<usize> {
        let watch = self.uncreated.pop_front()?;
        [NO_WATCH, self::id(watch)].contains(&id).then_some(watch)
    }

    /// Whether the server has created all of them.
    pub(super) fn is_complete(&self) -> bool {
        self.uncreated.is_empty()
    }

    /// Everything that was requested has been created.
    pub(super) fn settled(&mut self, now: Instant) {
        self.settled.get_or_insert(now);
    }

    /// The majority has a store that goes on from what was seen: it is asked once a request, however many watches that has.
    pub(super) fn agreed(&mut self) {
        self.is_agreed = true;
    }

    /// Whether its member is known to be good, and may only lag behind: the majority has said so, or all that the request began
    /// with was created.
    pub(super) fn is_good(&self) -> bool {
        self.is_agreed || self.settled.is_some()
    }

    /// How long an outdated request stays in use before another replaces it. It is used for a while after it has settled: if
    /// changes came faster than requests settle, none would ever deliver anything.
    pub(super) fn replace_in(&self, now: Instant) -> Option<Duration> {
        let since = self.outdated?.max(self.settled?);
        Some(COLLECT.saturating_sub(now.saturating_duration_since(since)))
    }
}

/// The id of the watch with this number, within its request.
pub(super) fn id(watch: usize) -> i64 {
    // 0 asks etcd to choose. There are fewer watches than that.
    i64::try_from(watch).unwrap_or(i64::MAX).saturating_add(1)
}

/// The number of the watch with this id.
pub(super) fn number(id: i64) -> Option<usize> {
    usize::try_from(id.checked_sub(1)?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn watches_are_created_in_the_order_of_the_requests() {
        let mut requested = RequestedWatches::new([0, 3]);
        requested.add(4);
        assert_eq!(requested.created(id(0)), Some(0));
        assert_eq!(requested.created(id(4)), None, "it is the turn of 3");
        assert!(!requested.is_complete());
        assert_eq!(requested.created(NO_WATCH), Some(4));
        assert!(requested.is_complete());
    }

    #[test]
    fn an_outdated_request_is_replaced_a_while_after_it_has_settled() {
        let start = Instant::now();
        let mut requested = RequestedWatches::new([0]);
        requested.outdated(start);
        assert_eq!(requested.replace_in(start + COLLECT), None);
        requested.settled(start + COLLECT);
        assert_eq!(requested.replace_in(start + COLLECT), Some(COLLECT));
        let replace_in = requested.replace_in(start + COLLECT * 2);
        assert_eq!(replace_in, Some(Duration::ZERO));
    }

    #[test]
    fn an_id_is_never_zero() {
        assert_eq!((id(0), number(1), number(0)), (1, Some(0), None));
        assert_eq!((number(NO_WATCH), number(i64::MIN)), (None, None));
    }
}
