use std::{collections::HashSet, hash::Hash};

/// A call, when it returned unless its outcome is unknown, and what it does.
pub(super) struct Call<E> {
    pub(super) called: u64,
    pub(super) returned: Option<u64>,
    pub(super) effect: E,
}

/// What a call does to a state.
pub(super) trait Effect {
    type State: Clone + Eq + Hash;
    /// What distinguishes calls of unknown outcome that lead to the same state.
    type Precondition: PartialEq;

    /// The state after it, if it can take effect in `state` with its response.
    fn apply(&self, state: &Self::State) -> Option<Self::State>;

    /// In which states it does the same, if its outcome is unknown.
    fn precondition(&self) -> Self::Precondition;
}

/// Whether some order of these calls, from this state on, explains all responses.
pub(super) fn is_linearizable<E: Effect>(
    calls: impl IntoIterator<Item = Call<E>>,
    first: E::State,
) -> bool {
    let mut calls: Vec<_> = calls.into_iter().collect();
    calls.sort_by_key(|call| call.called);
    Search {
        done: vec![false; calls.len()],
        calls,
        searched: HashSet::new(),
    }
    .explains(first)
}

struct Search<E: Effect> {
    calls: Vec<Call<E>>,
    done: Vec<bool>,
    searched: HashSet<(Vec<bool>, E::State)>,
}

impl<E: Effect> Search<E> {
    /// Whether the calls that are not done yet can follow on this state.
    fn explains(&mut self, state: E::State) -> bool {
        let left = || {
            self.calls
                .iter()
                .zip(&self.done)
                .filter(|(_, done)| !**done)
        };
        // A next one must have been called before the first of the others returned.
        let Some(horizon) = left().filter_map(|(call, _)| call.returned).min() else {
            return true;
        };
        if !self.searched.insert((self.done.clone(), state.clone())) {
            return false;
        }
        let mut lost = Vec::new();
        for index in 0..self.calls.len() {
            let call = &self.calls[index];
            if call.called > horizon {
                break;
            }
            if self.done[index] {
                continue;
            }
            if let Some(next) = call.effect.apply(&state) {
                if call.returned.is_none() {
                    // It need not take effect, nor need another that does the same here and anywhere else.
                    let effect = (call.effect.precondition(), next.clone());
                    if next == state || lost.contains(&effect) {
                        continue;
                    }
                    lost.push(effect);
                }
                self.done[index] = true;
                if self.explains(next) {
                    return true;
                }
                self.done[index] = false;
            }
        }
        false
    }
}
