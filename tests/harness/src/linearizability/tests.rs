//! Histories with and without an order that explains them.

use super::*;

fn op(called: u64, returned: impl Into<Option<u64>>, what: What) -> Op {
    Op {
        called,
        returned: returned.into(),
        what,
    }
}

fn set(value: &str, before: Option<&str>) -> What {
    What::Set(value.into(), before.map(Into::into))
}

fn read(value: Option<&str>) -> What {
    What::Read(value.map(Into::into))
}

fn swap(from: &str, to: &str, answer: Swapped) -> What {
    What::Swap(from.into(), to.into(), answer)
}

fn lost(called: u64, what: What) -> Op {
    op(called, None, what)
}

#[test]
fn histories_that_an_order_explains_are_accepted() {
    let good: [&[Op]; 11] = [
        &[],
        &[
            op(0, 1, read(None)),
            op(2, 3, set("a", None)),
            op(4, 5, read(Some("a"))),
        ],
        // Reads beside a write may see it or not.
        &[
            op(0, 9, set("a", None)),
            op(1, 2, read(None)),
            op(3, 4, read(Some("a"))),
        ],
        // Two writes at once, in either order.
        &[
            op(0, 9, set("a", Some("b"))),
            op(1, 8, set("b", None)),
            op(10, 11, read(Some("a"))),
        ],
        // Lost: applied, never applied, or applied late.
        &[lost(0, set("a", None)), op(2, 3, read(Some("a")))],
        &[lost(0, set("a", None)), op(2, 3, read(None))],
        &[
            lost(0, set("a", None)),
            op(2, 3, read(None)),
            op(4, 5, set("b", None)),
            op(6, 7, read(Some("a"))),
        ],
        &[
            op(0, 1, What::Create("a".into(), true)),
            op(2, 3, What::Create("b".into(), false)),
            op(4, 5, swap("a", "c", Swapped::Done)),
            op(6, 7, swap("a", "d", Swapped::SomethingElse)),
            op(8, 9, What::Delete(Some("c".into()))),
            op(10, 11, swap("c", "d", Swapped::Nothing)),
            op(12, 13, What::Delete(None)),
        ],
        // A lost delete explains an empty register.
        &[
            op(0, 1, set("a", None)),
            lost(2, What::Delete(None)),
            op(4, 5, read(None)),
        ],
        // A lost swap that found something else.
        &[
            op(0, 1, set("a", None)),
            lost(2, swap("x", "y", Swapped::Done)),
            op(4, 5, read(Some("a"))),
        ],
        // A lost create behind a lost delete.
        &[
            op(0, 1, set("a", None)),
            lost(2, What::Create("b".into(), true)),
            lost(3, What::Delete(None)),
            op(4, 5, read(Some("b"))),
        ],
    ];
    for ops in good {
        assert!(is_linearizable(ops), "{ops:#?}");
    }
}

#[test]
fn many_operations_of_unknown_outcome_make_no_long_search() {
    let many = |first: u64| {
        let lost_at = move |number: u64| {
            let (called, value) = (first + 3 * number, format!("{first}.{number}"));
            [
                lost(called, set(&value, None)),
                lost(called + 1, What::Delete(None)),
                lost(called + 2, What::Create(value, true)),
            ]
        };
        (0..20).flat_map(lost_at)
    };
    let mut ops = vec![op(0, 1, set("a", None))];
    ops.extend(many(10));
    ops.push(op(100, 101, read(Some("10.7"))));
    ops.push(op(102, 103, swap("10.7", "b", Swapped::Done)));
    ops.extend(many(200));
    ops.push(op(300, 301, swap("b", "c", Swapped::Nothing)));
    assert!(is_linearizable(&ops));
    // "10.7" was written by one operation only.
    ops.push(op(302, 303, read(Some("a"))));
    assert!(!is_linearizable(&ops));
}

#[test]
fn histories_that_no_order_explains_are_found() {
    let bad: [(&str, &[Op]); 11] = [
        (
            "a stale read",
            &[
                op(0, 1, set("a", None)),
                op(2, 3, set("b", Some("a"))),
                op(4, 5, read(Some("a"))),
            ],
        ),
        (
            "an acknowledged write is missing",
            &[op(0, 1, set("a", None)), op(2, 3, read(None))],
        ),
        (
            "a write was applied twice",
            &[
                op(0, 1, set("a", None)),
                op(2, 3, set("b", Some("a"))),
                op(4, 5, read(Some("b"))),
                op(6, 7, read(Some("a"))),
            ],
        ),
        (
            "a lost write was applied twice",
            &[
                lost(0, set("a", None)),
                op(2, 3, read(Some("a"))),
                op(4, 5, set("b", Some("a"))),
                op(6, 7, read(Some("b"))),
                op(8, 9, read(Some("a"))),
            ],
        ),
        (
            "a write took effect before its call",
            &[op(0, 1, read(Some("a"))), op(2, 3, set("a", None))],
        ),
        (
            "a lost write did, too",
            &[op(0, 1, read(Some("a"))), lost(2, set("a", None))],
        ),
        (
            "two swaps from one value",
            &[
                op(0, 1, set("a", None)),
                op(2, 9, swap("a", "b", Swapped::Done)),
                op(3, 8, swap("a", "c", Swapped::Done)),
            ],
        ),
        (
            "two creates",
            &[
                op(0, 9, What::Create("a".into(), true)),
                op(1, 8, What::Create("b".into(), true)),
            ],
        ),
        (
            "no call wrote that",
            &[op(0, 9, set("a", None)), op(1, 2, read(Some("z")))],
        ),
        (
            "a swap failed without a reason",
            &[
                op(0, 1, set("a", None)),
                op(2, 3, swap("a", "b", Swapped::SomethingElse)),
            ],
        ),
        (
            "a rejected write was read",
            &[
                op(0, 1, What::Create("a".into(), true)),
                op(2, 3, What::Create("b".into(), false)),
                op(4, 5, read(Some("b"))),
            ],
        ),
    ];
    for (why, ops) in bad {
        assert!(!is_linearizable(ops), "{why}");
    }
}

/// All orders, one after the other: slow, and too simple to be wrong.
fn by_brute_force(ops: &[Op], left: &mut Vec<usize>, state: State<'_>) -> bool {
    if left.iter().all(|&index| ops[index].returned.is_none()) {
        return true;
    }
    for position in 0..left.len() {
        let index = left[position];
        let too_late = left.iter().any(|&other| {
            ops[other]
                .returned
                .is_some_and(|end| end < ops[index].called)
        });
        if too_late {
            continue;
        }
        let Some(next) = ops[index].apply(state) else {
            continue;
        };
        // Owned, so that the lifetimes of two levels do not mix.
        let next = next.map(str::to_owned);
        left.remove(position);
        let explained = by_brute_force(ops, left, next.as_deref());
        left.insert(position, index);
        if explained {
            return true;
        }
    }
    false
}

#[test]
fn thirty_thousand_small_histories_are_checked_as_by_trying_every_order() {
    let mut random = fastrand::Rng::with_seed(7);
    let mut verdicts = [0, 0];
    for _ in 0..30_000 {
        let values = ["a", "b", "c"];
        let mut times: Vec<u64> = (0..12).collect();
        random.shuffle(&mut times);
        let ops: Vec<Op> = (0..random.usize(1..=6))
            .map(|n| {
                let (one, other) = (times[2 * n], times[2 * n + 1]);
                let value = || values[n % 3].to_owned();
                let mut any = || random.option(&values);
                let (before, from) = (any(), any().unwrap_or_else(|| "a".to_owned()));
                let what = match random.u8(0..6) {
                    0 | 1 => What::Read(before),
                    2 => What::Set(value(), before),
                    3 => What::Create(value(), random.bool()),
                    4 => {
                        let answers = [Swapped::Done, Swapped::SomethingElse, Swapped::Nothing];
                        What::Swap(from, value(), answers[random.usize(0..3)])
                    }
                    _ => What::Delete(before),
                };
                let returned = (random.u8(0..4) > 0).then_some(one.max(other));
                op(one.min(other), returned, what)
            })
            .collect();
        let expected = by_brute_force(&ops, &mut (0..ops.len()).collect(), None);
        assert_eq!(is_linearizable(&ops), expected, "{ops:#?}");
        verdicts[usize::from(expected)] += 1;
    }
    // Enough of both kinds.
    assert!(verdicts.iter().all(|&count| count > 3_000), "{verdicts:?}");
}

trait RandomOption {
    fn option(&mut self, values: &[&str]) -> Option<String>;
}

impl RandomOption for fastrand::Rng {
    fn option(&mut self, values: &[&str]) -> Option<String> {
        values
            .get(self.usize(0..=values.len()))
            .map(|value| (*value).to_owned())
    }
}

#[test]
fn long_histories_of_many_tasks_are_checked_quickly() {
    // A correct register, used by four tasks with overlapping calls; then one response is forged.
    let mut random = fastrand::Rng::with_seed(11);
    for run in 0..20 {
        let mut ops = Vec::new();
        let mut state: Option<String> = None;
        for moment in 0..400_u64 {
            let what = if random.bool() {
                let value = moment.to_string();
                let before = state.replace(value.clone());
                What::Set(value, before)
            } else {
                What::Read(state.clone())
            };
            // Called up to four moments before it took effect, and returned up to four after.
            let at = moment * 100;
            let called = at.saturating_sub(random.u64(0..400)) + moment % 7;
            ops.push(op(called, at + 50 + random.u64(0..400), what));
        }
        assert!(is_linearizable(&ops), "{run}");
        let forged = ops
            .iter()
            .rposition(|op| matches!(op.what, What::Read(Some(_))))
            .unwrap();
        ops[forged].what = read(Some("3000"));
        assert!(!is_linearizable(&ops), "{run}");
    }
}
