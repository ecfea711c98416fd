//! The guarantees of locks:
//!
//! - *one holder*: no two contenders know at the same time that they hold it, with a live lease;
//! - *fencing*: writes that compare the lock's key are applied only for its holder, and never again for an earlier one;
//! - *held*: a lock is not lost while its lease is alive;
//! - *progress*: every contender acquires it repeatedly;
//! - *cleanup*: contenders that gave up, in whatever way, leave no key behind.

use std::{
    fmt,
    time::{Duration, Instant},
};

use etcd_http::{
    Result,
    transport::Transport,
    v3::{Compare, ExactlyOnce, HeldLease, Lock, Put, Txn, Unlock},
};
use tokio::task::JoinHandle;

use super::{
    Task,
    history::{History, Ownership, Times},
    holding::{Holding, Turns, exclusive},
    journal::{EndedEarly, Journal, Reported, Write},
};

pub(super) const NAME: &str = "chaos/lock";

/// The key that the lock protects.
const GUARDED: &str = "chaos/guarded";

pub(super) const TTL: Duration = Duration::from_secs(3);

pub(crate) fn start<T: Transport>(task: &dyn Fn(&str) -> Task<T>) -> Vec<JoinHandle<()>> {
    vec![
        tokio::spawn(task("lock").contend()),
        tokio::spawn(task("rival").contend()),
    ]
}

impl<T: Transport> Task<T> {
    /// Acquires the lock repeatedly, and releases it in every way, or stops waiting for it.
    async fn contend(mut self) {
        while self.goes_on().await {
            let granted = self.keeper.grant(TTL).await;
            self.journal.count("grant and keep", &granted);
            let Ok(lease) = granted else { continue };
            let limit = self.between(1_000, 20_000);
            let lock = Lock::new(NAME, lease.id());
            // Either the server or the client gives up.
            let lock = match self.random.bool() {
                true => lock.time_limit(limit),
                false => lock,
            };
            let waiting = self.client.send(lock);
            let Some(locked) = self.within(limit, &lease, waiting).await else {
                continue;
            };
            self.journal.count("lock", &locked);
            if let Ok(locked) = locked {
                let key = String::from_utf8(locked.key.to_vec()).unwrap();
                self.hold_lock(&lease, key).await;
            }
            if self.is_over() || self.random.bool() {
                let revoked = lease.revoke().await;
                self.journal.count("revoke", &revoked);
            }
        }
    }

    /// Holds the lock for a while, and writes the protected key.
    async fn hold_lock(&mut self, lease: &HeldLease<T>, key: String) {
        let from = Instant::now();
        let found = self.client.v3().kv().get(&*key).await;
        self.journal.count("read", &found);
        let token = match found {
            Ok(Some(kv)) => kv.create_revision,
            Ok(None) => return self.explain(lease, &key).await,
            Err(_) => return,
        };
        let mut holding = Holding {
            who: self.name.clone(),
            key,
            token,
            from,
            until: from,
        };
        let enough = from + self.between(100, 2_000);
        while holding.is_known(|| lease.is_alive()) && !self.is_over() && Instant::now() < enough {
            if self.write_guarded(&holding).await == Some(false) {
                self.explain(lease, &holding.key).await;
                return self.journal.lock(holding);
            }
            let pause = self.between(5, 50);
            self.sleep(pause).await;
        }
        holding.is_known(|| lease.is_alive());
        self.journal.lock(holding.clone());
        if self.random.u8(0..4) > 0 {
            let unlocked = self.client.send(Unlock::new(holding.key)).await;
            self.journal.count("unlock", &unlocked);
        }
    }

    /// The lock's key does not exist, which is correct if the lease is lost.
    async fn explain(&self, lease: &HeldLease<T>, key: &str) {
        let found = self.client.v3().leases().get_time_to_live(lease.id()).await;
        self.journal.count("time to live", &found);
        if !lease.is_alive() {
            return;
        }
        match found {
            Ok(None) => self
                .journal
                .ended_early(key.as_bytes(), format!("{key} was deleted with its lease")),
            Ok(Some(found)) => {
                let what = format!("{key} holds the lock, and is not there: {found:?}");
                self.journal.oddity(what);
            }
            Err(_) => {}
        }
    }

    /// Writes a unique value if the lock is held. Returns whether it was, if that is known.
    pub(super) async fn write_guarded(&mut self, holding: &Holding) -> Option<bool> {
        let value = format!("{} {}", holding.token, self.unique());
        let held = Compare::create_revision(&*holding.key).equal(holding.token);
        let txn = Txn::new().when(held).then(Put::new(GUARDED, &*value));
        let (operation, result): (_, Result<Option<i64>>) = if self.random.bool() {
            let result = self.client.send(txn).await;
            let revision = result.map(|done| done.succeeded.then_some(done.header.revision));
            ("guarded write", revision)
        } else {
            let marker = format!("chaos/once/{value}");
            let result = self.client.send(ExactlyOnce::new(marker, txn)).await;
            let revision = result.map(|done| done.succeeded.then_some(done.revision));
            ("guarded write, once", revision)
        };
        let write = Write {
            operation,
            key: GUARDED.to_owned(),
            value,
            reported: Reported::by(&result),
        };
        self.journal.write(write, &result);
        result.ok().map(|revision| revision.is_some())
    }
}

/// Figures of locks.
#[derive(Debug)]
pub(crate) struct Figures {
    turns: Turns,
    ownerships: usize,
    writes: usize,
    /// How often etcd ended a lease too early, for a reason that is known.
    cut_short: usize,
}

pub(crate) fn check(
    journal: &Journal,
    history: &History,
    times: &Times,
    duration: Duration,
    explains: impl Fn(Instant, Instant) -> bool,
) -> (Figures, Vec<String>) {
    let holdings = journal.locks();
    let ownerships = history.ownerships(&format!("{NAME}/"));
    let (writes, mut problems) = fenced(history, &ownerships);
    let mut figures = Figures {
        turns: Turns::of(&holdings),
        ownerships: ownerships.len(),
        writes,
        cut_short: 0,
    };
    problems.extend(figures.turns.problems(6, duration));
    for ended in journal.all_ended_early() {
        let gone = history.ended_by(ended.found, &ended.key, times);
        if explains(gone - TTL, gone) {
            figures.cut_short += 1;
        } else {
            let EndedEarly { found, what, .. } = ended;
            problems.push(format!("{what}: at {gone:?}, found at {found:?}"));
        }
    }
    let (cut_short, more) = exclusive(holdings, TTL, history, &ownerships, times, explains);
    figures.cut_short += cut_short;
    problems.extend(more);
    (figures, problems)
}

/// The guarded writes: each is from the holder, and none is from an earlier holder after a write of a later one.
fn fenced(history: &History, ownerships: &[Ownership]) -> (usize, Vec<String>) {
    let mut problems = Vec::new();
    let mut last = 0;
    let mut count = 0;
    for event in history.events.iter().filter(|event| event.key == GUARDED) {
        let Some((value, _)) = &event.put else {
            continue;
        };
        count += 1;
        let token = value.split(' ').next().unwrap_or_default();
        let token: i64 = token.parse().unwrap_or_default();
        let at = event.revision;
        let reigned = ownerships.iter().find(|ownership| ownership.token == token);
        if !reigned.is_some_and(|ownership| (ownership.from..ownership.until).contains(&at)) {
            problems.push(format!(
                "{value} was written at {at}, by one who did not hold the lock"
            ));
        }
        if token < last {
            problems.push(format!("{value} was written at {at}, after {last}"));
        }
        last = token;
    }
    (count, problems)
}

impl fmt::Display for Figures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            turns,
            ownerships,
            writes,
            cut_short,
        } = self;
        writeln!(
            f,
            "  holders of the lock: {turns}; {ownerships} ownerships, {cut_short} cut short when a former leader resumed; {writes} \
             guarded writes"
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::v3::history::Event;

    /// Two hold the lock, from 2 to 6 and from 6 on; `writes` are tokens, and when they were written.
    fn problems(writes: &[(i64, i64)]) -> usize {
        let event = |&(token, revision): &(i64, i64)| Event {
            revision,
            key: GUARDED.to_owned(),
            put: Some((format!("{token} x"), 3)),
        };
        let ownership = |token, from, until| Ownership {
            key: format!("{NAME}/{token}"),
            token,
            from,
            until,
        };
        let history = History {
            events: writes.iter().map(event).collect(),
        };
        fenced(&history, &[ownership(2, 2, 6), ownership(4, 6, 20)])
            .1
            .len()
    }

    #[test]
    fn guarded_writes_of_holders_in_their_order_are_no_problem() {
        assert_eq!(problems(&[(2, 3), (2, 5), (4, 7), (4, 8)]), 0);
    }

    #[test]
    fn a_write_before_or_after_the_lock_was_held_is_found() {
        assert_eq!(problems(&[(4, 5)]), 1);
        assert_eq!(problems(&[(2, 6)]), 1);
        assert_eq!(problems(&[(3, 7)]), 1);
        // And interleaves with the other's.
        assert_eq!(problems(&[(4, 7), (2, 8), (4, 9)]), 2);
    }
}
