//! Whether transactions over several keys are strictly serializable: linearizable, where all keys are one state.

use std::collections::BTreeMap;

use super::search::{self, Call, Effect};

/// A transaction that read some keys, and wrote some, all at once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Transaction {
    /// When it was called, by a clock that never gives the same time twice.
    pub called: u64,
    /// When it returned; `None` if its outcome is unknown.
    pub returned: Option<u64>,
    /// The keys that it read, and their values. Without them, it was not applied.
    pub reads: BTreeMap<String, Option<String>>,
    /// The keys that it wrote, and their values; `None` deletes.
    pub writes: BTreeMap<String, Option<String>>,
}

/// Whether some order of these transactions, on no keys at first, explains what all of them read, and agrees with when they
/// were called and returned.
pub fn is_strictly_serializable(transactions: &[Transaction]) -> bool {
    let calls = transactions.iter().map(|transaction| Call {
        called: transaction.called,
        returned: transaction.returned,
        effect: transaction,
    });
    search::is_linearizable(calls, BTreeMap::new())
}

impl<'a> Effect for &'a Transaction {
    type State = BTreeMap<&'a str, &'a str>;
    type Precondition = &'a BTreeMap<String, Option<String>>;

    fn apply(&self, state: &Self::State) -> Option<Self::State> {
        let mut reads = self.reads.iter();
        if !reads.all(|(key, value)| state.get(key.as_str()).copied() == value.as_deref()) {
            return None;
        }
        let mut next = state.clone();
        for (key, value) in &self.writes {
            match value {
                Some(value) => next.insert(key, value),
                None => next.remove(key.as_str()),
            };
        }
        Some(next)
    }

    fn precondition(&self) -> Self::Precondition {
        &self.reads
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    type Pairs<'a> = &'a [(&'a str, &'a str)];

    /// Values of `-` are of keys that do not exist.
    fn transaction(
        called: u64,
        returned: impl Into<Option<u64>>,
        reads: Pairs<'_>,
        writes: Pairs<'_>,
    ) -> Transaction {
        let map = |pairs: Pairs<'_>| {
            let value = |value: &str| (value != "-").then(|| value.to_owned());
            let pairs = pairs.iter().map(|(key, it)| ((*key).to_owned(), value(it)));
            pairs.collect()
        };
        Transaction {
            called,
            returned: returned.into(),
            reads: map(reads),
            writes: map(writes),
        }
    }

    #[test]
    fn transactions_that_an_order_explains_are_accepted() {
        let first = transaction(0, 1, &[("x", "-")], &[("x", "1"), ("y", "1")]);
        let good: [&[Transaction]; 5] = [
            &[
                first.clone(),
                transaction(2, 3, &[("x", "1"), ("y", "1")], &[]),
            ],
            // Two at once, in the order that their reads tell.
            &[
                first.clone(),
                transaction(2, 9, &[("x", "2")], &[("y", "-")]),
                transaction(3, 8, &[("x", "1"), ("y", "1")], &[("x", "2")]),
                transaction(10, 11, &[("x", "2"), ("y", "-")], &[]),
            ],
            // Lost: applied, or not.
            &[
                first.clone(),
                transaction(2, None, &[("x", "1")], &[("x", "2")]),
                transaction(4, 5, &[("x", "2")], &[]),
            ],
            &[
                first.clone(),
                transaction(2, None, &[("x", "1")], &[("x", "2")]),
                transaction(4, 5, &[("x", "1")], &[]),
            ],
            &[first, transaction(2, None, &[("x", "7")], &[("x", "2")])],
        ];
        for transactions in good {
            assert!(is_strictly_serializable(transactions), "{transactions:#?}");
        }
    }

    #[test]
    fn transactions_that_no_order_explains_are_found() {
        let first = transaction(0, 1, &[], &[("x", "1"), ("y", "1")]);
        let bad: [(&str, &[Transaction]); 5] = [
            (
                "write skew",
                &[
                    first.clone(),
                    transaction(2, 9, &[("x", "1"), ("y", "1")], &[("x", "-")]),
                    transaction(3, 8, &[("x", "1"), ("y", "1")], &[("y", "-")]),
                ],
            ),
            (
                "a lost update",
                &[
                    first.clone(),
                    transaction(2, 9, &[("x", "1")], &[("x", "2")]),
                    transaction(3, 8, &[("x", "1")], &[("x", "3")]),
                ],
            ),
            (
                "a part of another",
                &[
                    first.clone(),
                    transaction(2, 9, &[], &[("x", "2"), ("y", "2")]),
                    transaction(3, 8, &[("x", "2"), ("y", "1")], &[]),
                ],
            ),
            (
                "old, after the writer returned",
                &[
                    first.clone(),
                    transaction(2, 3, &[], &[("x", "2")]),
                    transaction(4, 5, &[("x", "1")], &[]),
                ],
            ),
            (
                "applied twice",
                &[
                    first,
                    transaction(2, None, &[], &[("x", "2")]),
                    transaction(4, 5, &[("x", "2")], &[("x", "3")]),
                    transaction(6, 7, &[("x", "2")], &[]),
                ],
            ),
        ];
        for (what, transactions) in bad {
            assert!(!is_strictly_serializable(transactions), "{what}");
        }
    }
}
