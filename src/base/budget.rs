//! How much memory the lists of a decoded response may take. An element of a few bytes on the wire may take a hundred in
//! memory: an empty object becomes a struct.

use std::{cell::Cell, error::Error, fmt};

/// The budget, as a multiple of the largest response. What etcd sends takes up to three times its size.
pub(crate) const TIMES: usize = 4;

/// Why decoding stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Exhausted;

impl fmt::Display for Exhausted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("decoded, the response is too large")
    }
}

impl Error for Exhausted {}

#[derive(Clone, Copy)]
struct Budget {
    left: usize,
    is_exhausted: bool,
}

thread_local! {
    // A decoder of serde's has no context of its own that could carry it. Decoding never waits.
    static BUDGET: Cell<Budget> = const { Cell::new(UNLIMITED) };
}

/// Outside of [`within`].
const UNLIMITED: Budget = Budget {
    left: usize::MAX,
    is_exhausted: false,
};

/// Decodes a response within the budget for responses of at most `limit` bytes. Returns whether the budget was exhausted,
/// too: the result is an error then.
pub(crate) fn within<O>(limit: usize, decode: impl FnOnce() -> O) -> (O, bool) {
    /// Restores the budget around this one, even if a decoder panics.
    struct Around(Budget);

    impl Drop for Around {
        fn drop(&mut self) {
            BUDGET.set(self.0);
        }
    }

    let _around = Around(BUDGET.replace(Budget {
        left: limit.saturating_mul(TIMES),
        is_exhausted: false,
    }));
    let result = decode();
    (result, BUDGET.get().is_exhausted)
}

/// Takes this many bytes from the budget.
pub(crate) fn charge(bytes: usize) -> Result<(), Exhausted> {
    let Budget { left, .. } = BUDGET.get();
    let rest = left.checked_sub(bytes);
    BUDGET.set(Budget {
        left: rest.unwrap_or(0),
        is_exhausted: rest.is_none(),
    });
    rest.map(drop).ok_or(Exhausted)
}

/// Appends an element to a list, and takes its size from the budget. The list grows by a half: by doubling, it would take
/// three times as much at times.
pub(crate) fn push<V>(list: &mut Vec<V>, element: V) -> Result<(), Exhausted> {
    charge(size_of::<V>())?;
    if list.len() == list.capacity() {
        list.reserve_exact((list.len() / 2).max(4));
    }
    list.push(element);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn elements_are_taken_from_the_budget_until_it_is_exhausted() {
        let (count, is_exhausted) = within(10, || {
            let mut list = Vec::new();
            while push(&mut list, 0_u64).is_ok() {}
            list.len()
        });
        assert_eq!((count, is_exhausted), (5, true));
        let (result, is_exhausted) = within(10, || push(&mut vec![], [0_u8; 40]));
        assert_eq!((result, is_exhausted), (Ok(()), false));
    }

    #[test]
    fn one_budget_within_another_leaves_that_as_it_was() {
        let ((), is_exhausted) = within(10, || {
            assert_eq!(within(1, || charge(5)), (Err(Exhausted), true));
            charge(40).unwrap();
        });
        assert!(!is_exhausted);
        charge(1_000_000).unwrap();
    }
}
