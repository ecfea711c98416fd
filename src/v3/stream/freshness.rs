use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Instant,
};

/// When a server last confirmed what a stream has delivered, or showed that it was alive. A clone is the same.
#[derive(Clone, Debug, Default)]
pub(in crate::v3) struct Freshness(Arc<Mutex<Option<Instant>>>);

impl Freshness {
    /// When that was; `None` if it has not happened yet.
    pub(in crate::v3) fn confirmed(&self) -> Option<Instant> {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// It has happened, at this time.
    pub(in crate::v3) fn confirm(&self, at: Instant) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(at);
    }
}

/// Two are equal where each is a clone of the other.
impl PartialEq for Freshness {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl Eq for Freshness {}
