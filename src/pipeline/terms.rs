use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
};

use arc_swap::ArcSwap;

/// The member of responses that do not name one.
pub(crate) const ANY_MEMBER: u64 = 0;

/// More members than any cluster has ever had. A server that names others in every response fills no memory.
const MAX_MEMBERS: usize = 100;

/// The highest raft term that each member has reported. Terms change with elections, so readers take a snapshot.
#[derive(Debug, Default)]
pub(crate) struct Terms {
    /// That of [`ANY_MEMBER`].
    any: AtomicU64,
    /// Whether a member was named: responses of the v2 API name none, and do not pay for it.
    has_members: AtomicBool,
    members: ArcSwap<Members>,
}

/// The terms at one time.
#[derive(Debug)]
pub(crate) struct Known {
    any: u64,
    members: Option<Arc<Members>>,
}

/// Members and terms.
#[derive(Clone, Debug, Default)]
struct Members(Vec<(u64, u64)>);

impl Known {
    /// Returns the term of a member; 0 if it is not known.
    pub(crate) fn of(&self, member: u64) -> u64 {
        match &self.members {
            _ if member == ANY_MEMBER => self.any,
            Some(members) => members.of(member),
            None => 0,
        }
    }
}

impl Members {
    fn of(&self, member: u64) -> u64 {
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
    pub(crate) fn known(&self) -> Known {
        let has_members = self.has_members.load(Relaxed);
        Known {
            any: self.any.load(Relaxed),
            members: has_members.then(|| self.members.load_full()),
        }
    }

    /// Records the term that a member reports.
    pub(crate) fn raise(&self, member: u64, term: u64) {
        if member == ANY_MEMBER {
            if self.any.load(Relaxed) < term {
                self.any.fetch_max(term, Relaxed);
            }
        } else if self.members.load().of(member) < term {
            self.members.rcu(|known| {
                if known.of(member) < term {
                    Arc::new(known.raised(member, term))
                } else {
                    Arc::clone(known)
                }
            });
            self.has_members.store(true, Relaxed);
        }
    }

    /// Forgets all terms: the store was recreated.
    pub(crate) fn clear(&self) {
        self.any.store(0, Relaxed);
        self.members.store(Arc::default());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_member_has_its_highest_term() {
        let terms = Terms::default();
        let before = terms.known();
        for (member, term) in [(1, 5), (2, 3), (1, 4), (2, 6), (ANY_MEMBER, 6)] {
            terms.raise(member, term);
        }
        terms.raise(ANY_MEMBER, 5);
        let all = |known: &Known| [1, 2, 3, ANY_MEMBER].map(|member| known.of(member));
        let known = terms.known();
        assert_eq!(all(&known), [5, 6, 0, 6]);
        assert_eq!(all(&before), [0; 4], "a snapshot stays");
        terms.clear();
        assert_eq!(all(&terms.known()), [0; 4]);
    }

    #[test]
    fn names_without_end_do_not_fill_the_memory() {
        let terms = Terms::default();
        for member in 1..1000 {
            terms.raise(member, 7);
        }
        let known = terms.known();
        assert_eq!(known.members.as_ref().unwrap().0.len(), MAX_MEMBERS);
        assert_eq!((known.of(1), known.of(999)), (0, 7));
    }
}
