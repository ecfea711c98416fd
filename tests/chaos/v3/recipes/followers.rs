//! The guarantee of the followers of an election: what they are shown is every proclamation of every leader, in order, without a
//! gap. No history is compacted.

use std::{collections::BTreeMap, time::Duration};

use etcd_http::{recipes::Election, transport::Transport};
use futures::{
    StreamExt,
    future::{Either, select},
};

use crate::v3::{Task, elections::NAME, history::History, leases, observers::Shown};

/// How often a follower looks whether the faults are over.
const LOOK: Duration = Duration::from_millis(200);

impl<T: Transport> Task<T> {
    /// Follows the election until the faults are over.
    pub(super) async fn follow(mut self) {
        while self.goes_on().await {
            let Some((session, driver)) = self.session(leases::LONG).await else {
                continue;
            };
            let mut proclamations = Election::new(&session, NAME).proclamations();
            // The stream needs no session.
            self.end_session(session, driver).await;
            let mut shown = Vec::new();
            while !self.is_over() {
                let look = Box::pin(self.sleep(LOOK));
                match select(proclamations.next(), look).await {
                    Either::Left((Some(Ok(proclamation)), _)) => {
                        if proclamation.is_resync {
                            self.journal.oddity("history was lost".to_owned());
                        }
                        shown.push(Shown::from(proclamation.leader));
                    }
                    Either::Left((end, _)) => {
                        self.journal.oddity(format!("a follower ends: {end:?}"));
                        break;
                    }
                    Either::Right(_) => {}
                }
            }
            self.journal.record(|records| records.followed.push(shown));
        }
    }
}

pub(crate) fn check(followed: &[Vec<Shown>], history: &History) -> (String, Vec<String>) {
    let all = proclamations(history);
    let has_gap = |shown: &&Vec<Shown>| {
        let start = shown
            .first()
            .and_then(|first| all.iter().position(|it| it == first));
        let expected = start.and_then(|start| all.get(start..start + shown.len()));
        !shown.is_empty() && expected != Some(&shown[..])
    };
    let gaps = followed.iter().filter(has_gap);
    let problems = gaps.map(|shown| format!("{shown:?} was followed, of {all:?}"));
    let shown: usize = followed.iter().map(Vec::len).sum();
    let figures = format!(
        "  {} proclamations, {shown} shown to {} followers\n",
        all.len(),
        followed.len()
    );
    (figures, problems.collect())
}

/// Every proclamation of a leader while it led.
fn proclamations(history: &History) -> Vec<Shown> {
    let prefix = format!("{NAME}/");
    let mut candidates: BTreeMap<i64, Shown> = BTreeMap::new();
    let mut all: Vec<Shown> = Vec::new();
    let events = history.events.iter();
    let events: Vec<_> = events
        .filter(|event| event.key.starts_with(&prefix))
        .collect();
    for events in events.chunk_by(|one, other| one.revision == other.revision) {
        for event in events {
            match &event.put {
                Some((value, token)) => {
                    let shown = Shown {
                        key: event.key.clone(),
                        token: *token,
                        revision: event.revision,
                        value: value.clone(),
                    };
                    candidates.insert(*token, shown);
                }
                None => candidates.retain(|_, candidate| candidate.key != event.key),
            }
        }
        if let Some((_, leader)) = candidates.first_key_value()
            && all.last() != Some(leader)
        {
            all.push(leader.clone());
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::v3::history::Event;

    #[test]
    fn a_gap_a_repetition_and_a_candidate_are_found() {
        // The second one leads from 6 on.
        let puts = [
            (2, 2, "a"),
            (3, 3, "b"),
            (4, 2, "c"),
            (5, 3, "d"),
            (7, 3, "e"),
        ];
        let event = |(revision, token, value): (i64, i64, &str)| Event {
            revision,
            key: format!("{NAME}/{token}"),
            put: Some((value.to_owned(), token)),
        };
        let mut events: Vec<_> = puts.into_iter().map(event).collect();
        events.insert(
            4,
            Event {
                revision: 6,
                key: format!("{NAME}/2"),
                put: None,
            },
        );
        let history = History { events };
        let shown = |all: &[(i64, i64, &str)]| {
            let shown = all.iter().map(|(revision, token, value)| Shown {
                key: format!("{NAME}/{token}"),
                token: *token,
                revision: *revision,
                value: (*value).to_owned(),
            });
            check(&[shown.collect()], &history).1.len()
        };
        assert_eq!(shown(&[]), 0);
        assert_eq!(
            shown(&[(2, 2, "a"), (4, 2, "c"), (5, 3, "d"), (7, 3, "e")]),
            0
        );
        assert_eq!(shown(&[(4, 2, "c"), (5, 3, "d")]), 0);
        assert_eq!(shown(&[(2, 2, "a"), (5, 3, "d")]), 1);
        assert_eq!(shown(&[(2, 2, "a"), (2, 2, "a")]), 1);
        assert_eq!(shown(&[(2, 2, "a"), (3, 3, "b")]), 1);
    }
}
