use std::collections::{HashSet, VecDeque};

use bytes::Bytes;

/// The keys that were deleted while another controller led, which may not have come to reconcile them: up to a number, the last
/// ones.
#[derive(Debug, Default)]
pub(super) struct Deletions {
    keys: HashSet<Bytes>,
    order: VecDeque<Bytes>,
}

/// How many keys are kept.
pub(super) const LIMIT: usize = 65_536;

impl Deletions {
    /// Adds a key. Returns whether another one was forgotten for it.
    pub(super) fn add(&mut self, key: Bytes) -> bool {
        if !self.keys.insert(key.clone()) {
            return false;
        }
        self.order.push_back(key);
        if self.order.len() <= LIMIT {
            return false;
        }
        if let Some(oldest) = self.order.pop_front() {
            self.keys.remove(&oldest);
        }
        true
    }

    /// Takes all keys.
    pub(super) fn take(&mut self) -> VecDeque<Bytes> {
        self.keys = HashSet::new();
        std::mem::take(&mut self.order)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_deletions_are_kept_each_once() {
        let mut deletions = Deletions::default();
        let key = |number: usize| Bytes::from(number.to_string());
        for number in 0..LIMIT {
            assert!(!deletions.add(key(number)));
            assert!(!deletions.add(key(number)));
        }
        assert!(deletions.add(key(LIMIT)));
        let keys = deletions.take();
        assert_eq!(keys.len(), LIMIT);
        assert_eq!((&keys[0], &keys[LIMIT - 1]), (&key(1), &key(LIMIT)));
        assert!(!deletions.add(key(5)));
    }
}
