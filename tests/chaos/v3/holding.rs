//! The times in which callers held a lock, or led, against the history.

use std::{
    collections::BTreeMap,
    fmt,
    time::{Duration, Instant},
};

use super::history::{History, Ownership, Times};

/// The longest allowed time between two acquisitions. A holder that stopped without a release blocks the others as long
/// as its lease lives, and each change of the cluster's leader gives all leases their full TTL again.
const LONGEST_GAP: Duration = Duration::from_secs(60);

/// In this time each contender acquires it at least once.
const A_TURN: Duration = Duration::from_secs(120);

/// A period in which a caller knew that it held a lock, or led: it had the response, and its lease was alive.
#[derive(Clone, Debug)]
pub(crate) struct Holding {
    pub(crate) who: String,
    pub(crate) key: String,
    /// The revision that created the key.
    pub(crate) token: i64,
    pub(crate) from: Instant,
    /// When the lease was last found alive, and the lock was not released.
    pub(crate) until: Instant,
}

impl Holding {
    /// Whether the lease is alive: then the holding has lasted up to now.
    pub(super) fn is_known(&mut self, is_alive: impl FnOnce() -> bool) -> bool {
        let now = Instant::now();
        let is_alive = is_alive();
        if is_alive {
            self.until = now;
        }
        is_alive
    }
}

/// How often each contender acquired it.
#[derive(Debug)]
pub(crate) struct Turns {
    of: BTreeMap<String, usize>,
    longest_gap: Duration,
}

impl Turns {
    pub(crate) fn of(holdings: &[Holding]) -> Self {
        let mut of: BTreeMap<String, usize> = BTreeMap::new();
        for holding in holdings {
            *of.entry(holding.who.clone()).or_default() += 1;
        }
        let mut starts: Vec<Instant> = holdings.iter().map(|holding| holding.from).collect();
        starts.sort();
        let gaps = starts.windows(2).map(|two| two[1] - two[0]);
        Self {
            of,
            longest_gap: gaps.max().unwrap_or_default(),
        }
    }

    /// Finds the problems if this many contenders waited for so long.
    pub(crate) fn problems(&self, all: usize, duration: Duration) -> Vec<String> {
        let mut problems = Vec::new();
        let had = self.of.len();
        if had == 0 || had < all && duration >= A_TURN {
            problems.push(format!("only {had} of {all} had a turn"));
        }
        if self.longest_gap > LONGEST_GAP {
            problems.push(format!(
                "for {:?} there was no acquisition",
                self.longest_gap
            ));
        }
        problems
    }
}

impl fmt::Display for Turns {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let all: usize = self.of.values().sum();
        let least = self.of.values().min().unwrap_or(&0);
        let most = self.of.values().max().unwrap_or(&0);
        let (had, gap) = (self.of.len(), self.longest_gap);
        write!(
            f,
            "{all} turns, each of {had} between {least} and {most}, {gap:.1?} at most from one to the next"
        )
    }
}

/// How many of all may be due to etcd itself. A higher number is a problem.
pub(crate) fn few_of(all: usize) -> usize {
    3 + all / 4
}

/// Finds holdings that outlived their key, that overlap, or that are not in the history. Where `explains` has a reason
/// for which etcd ended a lease of this TTL too early between two moments, the holding is only counted.
pub(crate) fn exclusive(
    holdings: Vec<Holding>,
    ttl: Duration,
    history: &History,
    ownerships: &[Ownership],
    times: &Times,
    explains: impl Fn(Instant, Instant) -> bool,
) -> (usize, Vec<String>) {
    let deletions = history.deletions();
    let mut problems = Vec::new();
    let mut sound = Vec::new();
    let mut explained = 0;
    let all = holdings.len();
    for holding in holdings {
        let deleted = deletions.get(holding.key.as_str()).into_iter().flatten();
        let gone = deleted.copied().find(|revision| *revision > holding.token);
        match gone.and_then(|revision| times.by(revision)) {
            Some(gone) if gone < holding.until => {
                // Its holder may find it later than what has ended it explains.
                if explains(gone - ttl, gone) {
                    explained += 1;
                    continue;
                }
                let late = holding.until - gone;
                problems.push(format!("{late:?} held too long: {holding:?}"));
            }
            _ => {}
        }
        sound.push(holding);
    }
    if explained > few_of(all) {
        problems.push(format!(
            "{explained} of {all} holdings were cut short, too many to be explained"
        ));
    }
    problems.extend(not_in_history(&sound, ownerships));
    problems.extend(overlaps(sound));
    (explained, problems)
}

/// Finds holdings that overlap.
fn overlaps(mut holdings: Vec<Holding>) -> Vec<String> {
    holdings.sort_by_key(|holding| holding.from);
    let mut problems = Vec::new();
    let mut last: Option<&Holding> = None;
    for holding in &holdings {
        if let Some(before) = last.filter(|before| before.until > holding.from) {
            let both = before.until.min(holding.until) - holding.from;
            problems.push(format!("{before:?} and {holding:?} overlap by {both:?}"));
        }
        if last.is_none_or(|before| before.until < holding.until) {
            last = Some(holding);
        }
    }
    problems
}

/// Holdings that are not in the history: the caller had a success, and its key never was the oldest.
fn not_in_history(holdings: &[Holding], ownerships: &[Ownership]) -> Vec<String> {
    let not_in_history = holdings.iter().filter(|holding| {
        let mut of_token = ownerships
            .iter()
            .filter(|ownership| ownership.token == holding.token);
        !of_token.any(|ownership| ownership.key == holding.key)
    });
    not_in_history
        .map(|holding| format!("never the owner: {holding:?}"))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::v3::{causes, history::Event};

    #[test]
    fn holdings_that_overlap_are_found_and_those_that_follow_are_not() {
        let start = Instant::now();
        let holding = |from, until| Holding {
            who: format!("of {from}"),
            key: String::new(),
            token: 0,
            from: start + Duration::from_millis(from),
            until: start + Duration::from_millis(until),
        };
        let follow = vec![holding(9, 12), holding(0, 5), holding(5, 5), holding(6, 9)];
        assert!(overlaps(follow).is_empty());
        assert_eq!(overlaps(vec![holding(0, 5), holding(4, 9)]).len(), 1);
        // One that began before two others, and ends after both.
        let long = vec![holding(0, 9), holding(1, 2), holding(5, 6)];
        assert_eq!(overlaps(long).len(), 2);
    }

    #[test]
    fn a_holder_that_never_was_the_owner_is_found() {
        let holding = Holding {
            who: "a".to_owned(),
            key: "q/a".to_owned(),
            token: 2,
            from: Instant::now(),
            until: Instant::now(),
        };
        let ownership = |key: &str, token| Ownership {
            key: key.to_owned(),
            token,
            from: 2,
            until: 4,
        };
        let holdings = [holding];
        assert!(not_in_history(&holdings, &[ownership("q/a", 2)]).is_empty());
        assert_eq!(not_in_history(&holdings, &[ownership("q/b", 2)]).len(), 1);
        assert_eq!(not_in_history(&holdings, &[ownership("q/a", 3)]).len(), 1);
    }

    #[test]
    fn who_never_has_a_turn_and_a_gap_that_is_too_long_are_found() {
        let start = Instant::now();
        let holding = |who: &str, from| Holding {
            who: who.to_owned(),
            key: String::new(),
            token: 0,
            from: start + Duration::from_secs(from),
            until: start + Duration::from_secs(from),
        };
        let both = [holding("a", 1), holding("b", 30)];
        assert!(Turns::of(&both).problems(2, A_TURN).is_empty());
        assert_eq!(Turns::of(&both).problems(3, A_TURN).len(), 1);
        assert!(Turns::of(&both).problems(3, A_TURN / 2).is_empty());
        assert_eq!(Turns::of(&[]).problems(2, A_TURN / 2).len(), 1);
        let late = [holding("a", 1), holding("b", 62)];
        assert_eq!(Turns::of(&late).problems(2, A_TURN).len(), 1);
    }

    #[test]
    fn a_holding_that_outlives_its_key_is_found_unless_it_is_explained() {
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let event = |(revision, put)| Event {
            revision,
            key: "q/a".to_owned(),
            put,
        };
        let events = [(2, Some((String::new(), 2))), (3, None)].map(event);
        let history = History {
            events: events.into(),
        };
        let times = Times::new([(3, at(8))]);
        let found = |until, is_explained| {
            let holding = Holding {
                who: "a".to_owned(),
                key: "q/a".to_owned(),
                token: 2,
                from: at(5),
                until: at(until),
            };
            let ttl = Duration::from_secs(3);
            let explains = |from, to| {
                assert_eq!((from, to), (at(5), at(8)));
                is_explained
            };
            let ownerships = history.ownerships("q/");
            let (count, problems) =
                exclusive(vec![holding], ttl, &history, &ownerships, &times, explains);
            (count, problems.len())
        };
        assert_eq!([found(8, false), found(9, false)], [(0, 0), (0, 1)]);
        assert_eq!(found(9, true), (1, 0));
    }

    #[test]
    fn v3_152_what_a_former_leader_ends_after_its_first_attempts_is_explained() {
        // It resumed, and its first sixteen attempts took until their limit. The holder of a key found that late.
        let resumed = Instant::now();
        let at = |millis| resumed + Duration::from_millis(millis);
        let event = |(revision, put)| Event {
            revision,
            key: "q/a".to_owned(),
            put,
        };
        let events = [(2, Some((String::new(), 2))), (3, None)].map(event);
        let history = History {
            events: events.into(),
        };
        let ownerships = history.ownerships("q/");
        let found = |gone| {
            let times = Times::new([(3, at(gone))]);
            let holding = Holding {
                who: "a".to_owned(),
                key: "q/a".to_owned(),
                token: 2,
                from: at(418),
                until: at(10_000),
            };
            let ttl = Duration::from_secs(3);
            let explains = |renewed, gone| causes(renewed, gone).contains(&resumed);
            assert_eq!(history.ended_by(at(10_000), "q/a", &times), at(gone));
            assert_eq!(history.ended_by(at(7_000), "q/a", &times), at(7_000));
            let (explained, problems) =
                exclusive(vec![holding], ttl, &history, &ownerships, &times, explains);
            (explained, problems.len())
        };
        assert_eq!(found(7_012), (1, 0));
        // The leader was killed meanwhile, and the next one elected.
        assert_eq!(found(7_690), (1, 0));
        assert_eq!(found(9_600), (0, 1));
    }
}
