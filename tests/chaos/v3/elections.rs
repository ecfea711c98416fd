//! The guarantees of elections:
//!
//! - *one leader*: no two candidates know at the same time that they lead, with a live lease;
//! - *proclaimed*: what a leader proclaims is published once, while it leads; a former leader cannot proclaim;
//! - *shown*: requests and observers get only leaders, with what they proclaimed, and never an earlier one;
//! - *followed*: when a leader resigns or its lease ends, another one follows.

use std::{
    fmt,
    time::{Duration, Instant},
};

use etcd_http::{
    EtcdErrorKind, Result,
    transport::Transport,
    v3::{Campaign, GetLeader, LeaderKey, Proclaim, Resign},
};
use tokio::task::JoinHandle;

use super::{
    Task,
    history::{History, Ownership, Times},
    holding::{Holding, Turns, exclusive},
    journal::{Journal, Reported, Write},
    observers::Shown,
};

pub(super) const NAME: &str = "chaos/election";

pub(super) const TTL: Duration = Duration::from_secs(3);

pub(crate) fn start<T: Transport>(task: &dyn Fn(&str) -> Task<T>) -> Vec<JoinHandle<()>> {
    vec![
        tokio::spawn(task("candidate").campaign()),
        tokio::spawn(task("voter").ask()),
    ]
}

impl<T: Transport> Task<T> {
    /// Is elected repeatedly, and ends its leadership in every way, or withdraws its candidacy.
    async fn campaign(mut self) {
        while self.goes_on().await {
            let granted = self.keeper.grant(TTL).await;
            self.journal.count("grant and keep", &granted);
            let Ok(lease) = granted else { continue };
            let limit = self.between(2_000, 20_000);
            let campaign = Campaign::new(NAME, lease.id(), self.unique());
            let campaign = match self.random.bool() {
                true => campaign.time_limit(limit),
                false => campaign,
            };
            let waiting = self.client.send(campaign);
            let Some(elected) = self.within(limit, &lease, waiting).await else {
                continue;
            };
            self.journal.count("campaign", &elected);
            if let Ok(elected) = elected {
                let now = Instant::now();
                let leader = elected.leader;
                let mut holding = Holding {
                    who: self.name.clone(),
                    key: String::from_utf8(leader.key.to_vec()).unwrap(),
                    token: leader.rev,
                    from: now,
                    until: now,
                };
                let enough = now + self.between(100, 2_000);
                while holding.is_known(|| lease.is_alive())
                    && !self.is_over()
                    && Instant::now() < enough
                {
                    self.proclaim(&leader).await;
                    let pause = self.between(10, 200);
                    self.sleep(pause).await;
                }
                holding.is_known(|| lease.is_alive());
                self.journal.election(holding);
                if self.random.u8(0..4) > 0 {
                    let resigned = self.client.send(Resign::new(leader.clone())).await;
                    self.journal.count("resign", &resigned);
                    if resigned.is_ok() {
                        self.proclaim_after_resignation(leader).await;
                    }
                }
            }
            if self.is_over() || self.random.bool() {
                let revoked = lease.revoke().await;
                self.journal.count("revoke", &revoked);
            }
        }
    }

    async fn proclaim(&mut self, leader: &LeaderKey) {
        let value = self.unique();
        let proclaim = Proclaim::new(leader.clone(), &*value);
        let result = self.client.send(proclaim).await;
        let result = result.map(|header| Some(header.revision));
        let write = Write {
            operation: "proclaim",
            key: String::from_utf8(leader.key.to_vec()).unwrap(),
            value,
            reported: Reported::by(&result),
        };
        self.journal.write(write, &result);
    }

    /// Proclaims after a resignation, which must be refused.
    async fn proclaim_after_resignation(&mut self, leader: LeaderKey) {
        let value = self.unique();
        let key = String::from_utf8(leader.key.to_vec()).unwrap();
        let result = self.client.send(Proclaim::new(leader, &*value)).await;
        let not_leader = Some(EtcdErrorKind::NotElectionLeader);
        let result: Result<Option<i64>> = match result {
            Err(error) if error.etcd_kind() == not_leader => Ok(None),
            Err(error) => Err(error),
            Ok(_) => {
                self.journal
                    .oddity(format!("{key} proclaims after its resignation"));
                Ok(None)
            }
        };
        let write = Write {
            operation: "proclaim after a resignation",
            key,
            value,
            reported: Reported::NotDone,
        };
        self.journal.write(write, &result);
    }

    /// Requests the leader repeatedly.
    pub(super) async fn ask(mut self) {
        let mut answers = Vec::new();
        while self.goes_on().await {
            let leader = self.client.send(GetLeader::new(NAME)).await;
            self.journal.count("leader", &leader);
            if let Ok(Some(leader)) = leader {
                answers.push(Shown::from(leader));
            }
        }
        self.journal.answers(answers);
    }
}

/// Figures of elections.
#[derive(Debug)]
pub(crate) struct Figures {
    turns: Turns,
    ownerships: usize,
    /// How often etcd ended a lease too early, for a reason that is known.
    cut_short: usize,
    observed: usize,
    answered: usize,
}

pub(crate) fn check(
    journal: &Journal,
    observed: &[Vec<Shown>],
    history: &History,
    times: &Times,
    duration: Duration,
    explains: impl Fn(Instant, Instant) -> bool,
) -> (Figures, Vec<String>) {
    let holdings = journal.elections();
    let answered = journal.all_answers();
    let ownerships = history.ownerships(&format!("{NAME}/"));
    let mut figures = Figures {
        turns: Turns::of(&holdings),
        ownerships: ownerships.len(),
        cut_short: 0,
        observed: observed.iter().map(Vec::len).sum(),
        answered: answered.iter().map(Vec::len).sum(),
    };
    let mut problems = proclaimed(&journal.writes(), &ownerships);
    for shown in observed.iter().chain(&answered) {
        problems.extend(leaders_only(shown, history, &ownerships));
        problems.extend(never_back(shown));
    }
    for shown in observed {
        let twice = shown.windows(2).filter(|two| two[0] == two[1]);
        problems.extend(twice.map(|two| format!("observed twice: {:?}", two[0])));
    }
    problems.extend(figures.turns.problems(3, duration));
    let (cut_short, more) = exclusive(holdings, TTL, history, &ownerships, times, explains);
    figures.cut_short = cut_short;
    problems.extend(more);
    (figures, problems)
}

/// Finds proclamations that were acknowledged while the caller did not lead.
fn proclaimed(writes: &[Write], ownerships: &[Ownership]) -> Vec<String> {
    let unfounded = writes.iter().filter(|write| match write.reported {
        Reported::Done(at) if write.operation == "proclaim" => {
            let mut of_key = ownerships
                .iter()
                .filter(|ownership| ownership.key == write.key);
            !of_key.any(|ownership| (ownership.from..ownership.until).contains(&at))
        }
        _ => false,
    });
    unfounded
        .map(|write| format!("by no leader: {write:?}"))
        .collect()
}

/// Finds what was shown although no leader proclaimed it while it led.
fn leaders_only(shown: &[Shown], history: &History, ownerships: &[Ownership]) -> Vec<String> {
    let is_true = |shown: &Shown| {
        let mut of_key = history.events.iter().filter(|event| event.key == shown.key);
        let put = Some((shown.value.clone(), shown.token));
        if !of_key.any(|event| event.revision == shown.revision && event.put == put) {
            return false;
        }
        let replaced = of_key.next().map_or(i64::MAX, |event| event.revision);
        let mut of_leader = ownerships
            .iter()
            .filter(|ownership| ownership.token == shown.token);
        of_leader
            .any(|ownership| ownership.from.max(shown.revision) < ownership.until.min(replaced))
    };
    let untrue = shown.iter().filter(|shown| !is_true(shown));
    untrue
        .map(|shown| format!("no leader: {shown:?}"))
        .collect()
}

/// Finds what was shown after a later one.
fn never_back(shown: &[Shown]) -> Vec<String> {
    let order = |shown: &Shown| (shown.token, shown.revision);
    let back = shown
        .windows(2)
        .filter(|two| order(&two[0]) > order(&two[1]));
    back.map(|two| format!("back in time: {two:?}")).collect()
}

impl fmt::Display for Figures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            turns,
            ownerships,
            cut_short,
            observed,
            answered,
        } = self;
        writeln!(
            f,
            "  leaders: {turns}; {ownerships} ownerships, {cut_short} cut short when a former leader resumed; {observed} leaders \
             observed, {answered} returned to requests"
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::v3::history::Event;

    fn ownership(token: i64, from: i64, until: i64) -> Ownership {
        let key = format!("{NAME}/{token}");
        Ownership {
            key,
            token,
            from,
            until,
        }
    }

    fn shown(token: i64, revision: i64, value: &str) -> Shown {
        Shown {
            key: format!("{NAME}/{token}"),
            token,
            revision,
            value: value.to_owned(),
        }
    }

    /// One candidate leads from 2 to 6 and proclaims at 4. The next one has joined at 3 and leads from 6 on.
    fn history() -> (History, [Ownership; 2]) {
        let puts = [(2, 2, "a"), (3, 3, "b"), (4, 2, "c"), (5, 3, "d")];
        let event = |(revision, token, value): (i64, i64, &str)| Event {
            revision,
            key: format!("{NAME}/{token}"),
            put: Some((value.to_owned(), token)),
        };
        let events = puts.into_iter().map(event).collect();
        (
            History { events },
            [ownership(2, 2, 6), ownership(3, 6, 20)],
        )
    }

    #[test]
    fn leaders_with_what_they_proclaim_may_be_shown_and_nothing_else() {
        let (history, ownerships) = history();
        let problems = |one: Shown| leaders_only(&[one], &history, &ownerships).len();
        for one in [shown(2, 2, "a"), shown(2, 4, "c"), shown(3, 5, "d")] {
            assert_eq!(problems(one), 0);
        }
        // Replaced before it led; another value; another revision; no leader.
        for one in [
            shown(3, 3, "b"),
            shown(2, 4, "a"),
            shown(2, 5, "c"),
            shown(7, 7, "a"),
        ] {
            assert_eq!(problems(one), 1);
        }
    }

    #[test]
    fn who_is_shown_an_earlier_leader_went_back_in_time() {
        assert!(never_back(&[shown(2, 2, "a"), shown(2, 4, "c"), shown(3, 5, "d")]).is_empty());
        assert_eq!(never_back(&[shown(2, 4, "c"), shown(2, 2, "a")]).len(), 1);
        assert_eq!(never_back(&[shown(3, 5, "d"), shown(2, 7, "e")]).len(), 1);
    }

    #[test]
    fn a_proclamation_of_one_who_does_not_lead_is_found() {
        let problems = |token: i64, at: i64| {
            let write = Write {
                operation: "proclaim",
                key: format!("{NAME}/{token}"),
                value: "x".to_owned(),
                reported: Reported::Done(at),
            };
            proclaimed(&[write], &history().1).len()
        };
        assert_eq!(problems(2, 5) + problems(3, 6), 0);
        assert_eq!([problems(2, 6), problems(3, 5), problems(4, 5)], [1; 3]);
    }
}
