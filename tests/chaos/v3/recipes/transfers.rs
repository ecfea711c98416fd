//! The guarantees of transactions, which move something between accounts, and add up all of them:
//!
//! - *serializable*: what a transaction read is what the keys had when it was applied, at the revision that it returned;
//! - *undivided*: its writes are applied together, once if it succeeded, once at most if its outcome is unknown, and those of
//!   a try that was in conflict not at all;
//! - *balanced*: the accounts add up to nothing at each revision.

use std::{
    collections::BTreeMap,
    fmt,
    sync::{Mutex, PoisonError},
};

use etcd_http::{
    recipes::{Isolation, Stm, Transaction},
    transport::Transport,
};

use super::reported;
use crate::v3::{
    Task,
    history::History,
    journal::{Reported, Write},
    leases,
};

const PREFIX: &str = "chaos/account/";
const ACCOUNTS: usize = 4;

/// How often a session is used for transactions.
const TURNS: usize = 10;

/// A transaction, and what its caller knows about it.
#[derive(Clone, Debug)]
pub(crate) struct Commit {
    reads: Vec<(String, Option<String>)>,
    writes: Vec<(String, String)>,
    reported: Reported,
}

/// What a try has read, and was to write.
#[derive(Clone, Debug, Default)]
struct Try {
    reads: Vec<(String, Option<String>)>,
    writes: Vec<(String, String)>,
}

impl<T: Transport> Task<T> {
    /// Moves something between two accounts, or adds all of them up.
    pub(super) async fn transfer(mut self) {
        while self.goes_on().await {
            let Some((session, driver)) = self.session(leases::LONG).await else {
                continue;
            };
            for _ in 0..TURNS {
                let levels = [Isolation::SerializableSnapshot, Isolation::Serializable];
                let stm = Stm::new(session.namespace())
                    .isolation(levels[self.random.usize(0..2)])
                    .tries(1_000);
                let stm = match self.random.u8(0..4) {
                    0 => stm,
                    _ => stm.exactly_once(&session),
                };
                self.transact(&stm).await;
                if !session.is_alive() || !self.goes_on().await {
                    break;
                }
            }
            self.end_session(session, driver).await;
        }
    }

    async fn transact(&mut self, stm: &Stm<T>) {
        let mut accounts: Vec<usize> = (0..ACCOUNTS).collect();
        self.random.shuffle(&mut accounts);
        // Two accounts are written, or all are read.
        let is_audit = self.random.u8(0..3) == 0;
        let name = self.unique();
        let tries = Mutex::new(Vec::new());
        let tried = || tries.lock().unwrap_or_else(PoisonError::into_inner);
        let count = if is_audit { ACCOUNTS } else { 2 };
        let done = stm.run(async |txn| {
            let number = tried().len();
            let name = format!("{name}.{number}");
            let one = attempt(&txn, &accounts[..count], is_audit, &name).await?;
            tried().push(one);
            Ok(())
        });
        let done = done.await;
        let operation = if is_audit { "audit" } else { "transfer" };
        self.journal.count_recipe(operation, &done);
        let result = reported(&done.map(|done| done.revision));
        let tries = tries.into_inner().unwrap_or_default();
        let last = tries.len().saturating_sub(1);
        for (number, Try { reads, writes }) in tries.into_iter().enumerate() {
            let reported = if number == last {
                result
            } else {
                Reported::NotDone
            };
            for (key, value) in &writes {
                self.journal.write_of_recipe(Write {
                    operation,
                    key: key.clone(),
                    value: value.clone(),
                    reported,
                });
            }
            if number == last {
                let commit = Commit {
                    reads,
                    writes,
                    reported,
                };
                self.journal.record(|records| records.commits.push(commit));
            }
        }
    }
}

/// Reads the accounts, and moves 1 from the first to the second, unless it only reads.
async fn attempt<T: Transport>(
    txn: &Transaction<T>,
    accounts: &[usize],
    is_audit: bool,
    name: &str,
) -> Result<Try, etcd_http::recipes::RecipeError> {
    let mut done = Try::default();
    for account in accounts {
        let key = format!("{PREFIX}{account}");
        let value = txn.get(&*key).await?;
        let value = value.map(|value| String::from_utf8(value.to_vec()).unwrap());
        done.reads.push((key, value));
    }
    if is_audit {
        return Ok(done);
    }
    for ((key, value), change) in done.reads.iter().zip([-1, 1]) {
        let value = format!("{} {name}", balance(value.as_deref()) + change);
        txn.put(key.as_str(), value.as_str());
        done.writes.push((key.clone(), value));
    }
    Ok(done)
}

/// The number at the beginning of an account's value.
fn balance(value: Option<&str>) -> i64 {
    let number = value.and_then(|value| value.split(' ').next());
    number.map_or(0, |number| number.parse().unwrap())
}

/// Figures of transactions.
#[derive(Debug)]
pub(crate) struct Figures {
    transfers: usize,
    audits: usize,
    unknown: usize,
}

/// The accounts over time.
#[derive(Default)]
struct Accounts<'a>(BTreeMap<&'a str, BTreeMap<i64, &'a str>>);

impl<'a> Accounts<'a> {
    /// The value of an account at a revision.
    fn at(&self, key: &str, revision: i64) -> Option<&'a str> {
        let (_, value) = self.0.get(key)?.range(..=revision).next_back()?;
        Some(value)
    }

    /// The revision that wrote this value.
    fn revision_of(&self, key: &str, value: &str) -> Option<i64> {
        let values = self.0.get(key)?;
        let found = values.iter().find(|(_, other)| **other == value);
        found.map(|(revision, _)| *revision)
    }
}

pub(crate) fn check(commits: &[Commit], history: &History) -> (Figures, Vec<String>) {
    let mut accounts = Accounts::default();
    for event in &history.events {
        if let (true, Some((value, _))) = (event.key.starts_with(PREFIX), &event.put) {
            let values = accounts.0.entry(&event.key).or_default();
            values.insert(event.revision, value);
        }
    }
    let mut problems = Vec::new();
    let revisions = accounts.0.values().flat_map(BTreeMap::keys).copied();
    for revision in revisions {
        let keys = accounts.0.keys();
        let sum: i64 = keys.map(|key| balance(accounts.at(key, revision))).sum();
        if sum != 0 {
            problems.push(format!("the accounts add up to {sum} at {revision}"));
        }
    }
    for commit in commits {
        problems.extend(problem_of(commit, &accounts));
    }
    let count = |wanted: fn(&Commit) -> bool| commits.iter().filter(|it| wanted(it)).count();
    let is_done = |commit: &Commit| matches!(commit.reported, Reported::Done(_));
    let done: Vec<_> = commits.iter().filter(|commit| is_done(commit)).collect();
    let audits = done
        .iter()
        .filter(|commit| commit.writes.is_empty())
        .count();
    let figures = Figures {
        transfers: done.len() - audits,
        audits,
        unknown: count(|commit| commit.reported == Reported::Unknown),
    };
    (figures, problems)
}

/// Finds what is wrong with a transaction. That each of its writes is there as often as its caller knows is checked with all
/// others.
fn problem_of(commit: &Commit, accounts: &Accounts<'_>) -> Option<String> {
    let applied = commit
        .writes
        .iter()
        .map(|(key, value)| accounts.revision_of(key, value));
    let applied: Vec<_> = applied.collect();
    if applied.windows(2).any(|two| two[0] != two[1]) {
        return Some(format!("{commit:?} was divided: {applied:?}"));
    }
    let applied = applied.first().copied().flatten();
    // It has seen what was there before its own writes.
    let seen_at = match (applied, commit.reported) {
        (Some(revision), _) => revision - 1,
        (None, Reported::Done(revision)) => revision,
        (None, _) => return None,
    };
    let differs =
        |(key, read): &&(String, Option<String>)| accounts.at(key, seen_at) != read.as_deref();
    let (key, _) = commit.reads.iter().find(differs)?;
    let there = accounts.at(key, seen_at);
    Some(format!("{key} was {there:?} at {seen_at}: {commit:?}"))
}

impl fmt::Display for Figures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            transfers,
            audits,
            unknown,
        } = self;
        writeln!(
            f,
            "  transactions: {transfers} transfers and {audits} audits, each serializable, {unknown} of unknown outcome"
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::v3::history::Event;

    /// Accounts 0 and 1 are written at 2 and at 4.
    fn problems(commit: &Commit) -> usize {
        let writes = [(2, 0, "-1 x"), (2, 1, "1 x"), (4, 0, "-2 y"), (4, 1, "2 y")];
        let events = writes.map(|(revision, account, value)| Event {
            revision,
            key: format!("{PREFIX}{account}"),
            put: Some((value.to_owned(), 2)),
        });
        let history = History {
            events: events.into(),
        };
        check(std::slice::from_ref(commit), &history).1.len()
    }

    fn commit(read: [&str; 2], written: Option<[&str; 2]>, reported: Reported) -> Commit {
        let key = |account: usize| format!("{PREFIX}{account}");
        let reads = [0, 1].map(|account| (key(account), Some(read[account].to_owned())));
        let writes = [0, 1].map(|account| Some((key(account), written?[account].to_owned())));
        Commit {
            reads: reads.into(),
            writes: writes.into_iter().flatten().collect(),
            reported,
        }
    }

    #[test]
    fn transactions_that_saw_one_state_are_no_problem() {
        let done = Reported::Done(4);
        assert_eq!(
            problems(&commit(["-1 x", "1 x"], Some(["-2 y", "2 y"]), done)),
            0
        );
        assert_eq!(problems(&commit(["-2 y", "2 y"], None, done)), 0);
        assert_eq!(
            problems(&commit(["-1 x", "1 x"], None, Reported::Done(3))),
            0
        );
        // It was not applied, or was.
        let lost = Reported::Unknown;
        assert_eq!(
            problems(&commit(["?", "?"], Some(["-2 z", "2 z"]), lost)),
            0
        );
        assert_eq!(
            problems(&commit(["-1 x", "1 x"], Some(["-2 y", "2 y"]), lost)),
            0
        );
    }

    #[test]
    fn a_transaction_that_saw_another_state_or_was_divided_is_found() {
        let done = Reported::Done(4);
        for (what, commit) in [
            ("old", commit(["-1 x", "1 x"], None, done)),
            (
                "two states",
                commit(["-1 x", "2 y"], None, Reported::Done(3)),
            ),
            (
                "a conflict",
                commit(["-1 w", "1 x"], Some(["-2 y", "2 y"]), done),
            ),
            (
                "lost",
                commit(["-1 w", "1 x"], Some(["-2 y", "2 y"]), Reported::Unknown),
            ),
            (
                "divided",
                commit(["-1 x", "1 x"], Some(["-2 y", "2 z"]), Reported::Unknown),
            ),
        ] {
            assert_eq!(problems(&commit), 1, "{what}");
        }
    }
}
