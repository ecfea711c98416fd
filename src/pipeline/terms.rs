use std::sync::Arc;

use arc_swap::ArcSwap;

/// The member of responses that do not name one.
pub(crate) const ANY_MEMBER: u64 = 0;

/// More members than any cluster has ever had. A server that names others in every response fills no memory.
const MAX_MEMBERS: usize = 100;

/// The highest raft term that each member has reported. Terms change with elections, so readers take a snapshot.
#[derive(Debug, Default)]
pub(crate) struct Terms(ArcSwap<Known>);

/// Members and terms.
#[derive(Clone, Debug, Default)]
pub(crate) struct Known(Vec<(u64, u64)>);

impl Known {
    /// Returns the term of a member; 0 if it is not known.
    pub(crate) fn of(&self, member: u64) -> u64 {
        let found = self.0.iter().find(|(known, _)| *known == member);
        found.map_or(0, |(_, term)| *term)
    }

    fn raised(&self, member: u64, term: u64) -> Self {
        let others = self.0.iter().filter(|(known, _)| *known != member);
        // The oldest one goes where there are too many.
        let skipped = self.0.len().saturating_sub(MAX_MEMBERS - 1);
        let others = others.skip(skipped).copied();
        Self(others.chain([(member, term)]).collect())
    }
}

impl Terms {
    /// Returns what is known now.
    pub(crate) fn known(&self) -> Arc<Known> {
        self.0.load_full()
    }

    /// Records the term that a member reports.
    pub(crate) fn raise(&self, member: u64, term: u64) {
        if self.0.load().of(member) < term {
            self.0.rcu(|known| {
                if known.of(member) < term {
                    Arc::new(known.raised(member, term))
                } else {
                    Arc::clone(known)
                }
            });
        }
    }

    /// Forgets all terms: the store was recreated.
    pub(crate) fn clear(&self) {
        self.0.store(Arc::default());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_member_has_its_highest_term() {
        let terms = Terms::default();
        let before = terms.known();
        for (member, term) in [(1, 5), (2, 3), (1, 4), (2, 6)] {
            terms.raise(member, term);
        }
        let known = terms.known();
        assert_eq!([1, 2, 3].map(|member| known.of(member)), [5, 6, 0]);
        assert_eq!(before.of(1), 0, "a snapshot stays");
        terms.clear();
        assert_eq!(terms.known().of(1), 0);
    }

    #[test]
    fn names_without_end_do_not_fill_the_memory() {
        let terms = Terms::default();
        for member in 1..1000 {
            terms.raise(member, 7);
        }
        let known = terms.known();
        assert_eq!(known.0.len(), MAX_MEMBERS);
        assert_eq!((known.of(1), known.of(999)), (0, 7));
    }
}
