use std::{
    collections::BTreeMap,
    fmt,
    time::{Duration, Instant},
};

use etcd_http::{transport::Transport, v3::HeldLease};

use super::history::{History, Reign, Times};

/// For so long nobody may come to power, though many want it. Who has gone without a word is in the way as long as the
/// lease lives, and each change of the cluster's leader gives all leases their whole time anew.
const LONGEST_GAP: Duration = Duration::from_secs(60);

/// In so much time everybody has had a turn.
const A_TURN: Duration = Duration::from_secs(120);

/// While somebody held a lock, or led, and knew it: told so, with a lease that was alive.
#[derive(Clone, Debug)]
pub(crate) struct Tenure {
    pub(crate) who: String,
    pub(crate) key: String,
    /// The revision that created the key.
    pub(crate) token: i64,
    pub(crate) from: Instant,
    /// When the lease was last found alive, and the lock not given up.
    pub(crate) until: Instant,
}

impl Tenure {
    /// Whether the lease is alive: then the tenure has lasted up to now.
    pub(super) fn is_known<T: Transport>(&mut self, lease: &HeldLease<T>) -> bool {
        let now = Instant::now();
        let is_alive = lease.is_alive();
        if is_alive {
            self.until = now;
        }
        is_alive
    }
}

/// How often everybody came to power.
#[derive(Debug)]
pub(crate) struct Turns {
    of: BTreeMap<String, usize>,
    longest_gap: Duration,
}

impl Turns {
    pub(crate) fn of(tenures: &[Tenure]) -> Self {
        let mut of: BTreeMap<String, usize> = BTreeMap::new();
        for tenure in tenures {
            *of.entry(tenure.who.clone()).or_default() += 1;
        }
        let mut starts: Vec<Instant> = tenures.iter().map(|tenure| tenure.from).collect();
        starts.sort();
        let gaps = starts.windows(2).map(|two| two[1] - two[0]);
        Self {
            of,
            longest_gap: gaps.max().unwrap_or_default(),
        }
    }

    /// What is wrong when so many wanted their turn for so long.
    pub(crate) fn problems(&self, all: usize, duration: Duration) -> Vec<String> {
        let mut problems = Vec::new();
        let had = self.of.len();
        if had == 0 || had < all && duration >= A_TURN {
            problems.push(format!("only {had} of {all} had a turn"));
        }
        if self.longest_gap > LONGEST_GAP {
            problems.push(format!("for {:?} nobody came to power", self.longest_gap));
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

/// So many of all can be etcd's own fault; more are somebody else's.
pub(crate) fn few_of(all: usize) -> usize {
    3 + all / 4
}

/// Tenures that outlived their key, that were known to two at once, or of which history knows nothing. Where `explains`
/// knows of something between two moments for which etcd ended a lease of this TTL too early, the tenure is but counted.
pub(crate) fn exclusive(
    tenures: Vec<Tenure>,
    ttl: Duration,
    history: &History,
    reigns: &[Reign],
    times: &Times,
    explains: impl Fn(Instant, Instant) -> bool,
) -> (usize, Vec<String>) {
    let deletions = history.deletions();
    let mut problems = Vec::new();
    let mut sound = Vec::new();
    let mut explained = 0;
    let all = tenures.len();
    for tenure in tenures {
        let deleted = deletions.get(tenure.key.as_str()).into_iter().flatten();
        let gone = deleted.copied().find(|revision| *revision > tenure.token);
        match gone.and_then(|revision| times.by(revision)) {
            Some(gone) if gone < tenure.until => {
                if explains(tenure.until - ttl, tenure.until) {
                    explained += 1;
                    continue;
                }
                let late = tenure.until - gone;
                problems.push(format!("{late:?} too long in power: {tenure:?}"));
            }
            _ => {}
        }
        sound.push(tenure);
    }
    if explained > few_of(all) {
        problems.push(format!(
            "{explained} of {all} tenures were cut short: no excuse"
        ));
    }
    problems.extend(unheard_of(&sound, reigns));
    problems.extend(overlaps(sound));
    (explained, problems)
}

/// Two tenures at once.
fn overlaps(mut tenures: Vec<Tenure>) -> Vec<String> {
    tenures.sort_by_key(|tenure| tenure.from);
    let mut problems = Vec::new();
    let mut last: Option<&Tenure> = None;
    for tenure in &tenures {
        if let Some(before) = last.filter(|before| before.until > tenure.from) {
            let both = before.until.min(tenure.until) - tenure.from;
            problems.push(format!("{before:?} and {tenure:?} overlap by {both:?}"));
        }
        if last.is_none_or(|before| before.until < tenure.until) {
            last = Some(tenure);
        }
    }
    problems
}

/// Tenures of which history knows nothing: who was told that it was its turn, though it never was.
fn unheard_of(tenures: &[Tenure], reigns: &[Reign]) -> Vec<String> {
    let unheard_of = tenures.iter().filter(|tenure| {
        let mut of_token = reigns.iter().filter(|reign| reign.token == tenure.token);
        !of_token.any(|reign| reign.key == tenure.key)
    });
    unheard_of
        .map(|tenure| format!("never in power: {tenure:?}"))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::v3::history::Event;

    #[test]
    fn tenures_that_overlap_are_found_and_those_that_follow_are_not() {
        let start = Instant::now();
        let tenure = |from, until| Tenure {
            who: format!("of {from}"),
            key: String::new(),
            token: 0,
            from: start + Duration::from_millis(from),
            until: start + Duration::from_millis(until),
        };
        let follow = vec![tenure(9, 12), tenure(0, 5), tenure(5, 5), tenure(6, 9)];
        assert!(overlaps(follow).is_empty());
        assert_eq!(overlaps(vec![tenure(0, 5), tenure(4, 9)]).len(), 1);
        // One that began before two others, and ends after both.
        let long = vec![tenure(0, 9), tenure(1, 2), tenure(5, 6)];
        assert_eq!(overlaps(long).len(), 2);
    }

    #[test]
    fn a_holder_who_was_never_in_power_is_found() {
        let tenure = Tenure {
            who: "a".to_owned(),
            key: "q/a".to_owned(),
            token: 2,
            from: Instant::now(),
            until: Instant::now(),
        };
        let reign = |key: &str, token| Reign {
            key: key.to_owned(),
            token,
            from: 2,
            until: 4,
        };
        let tenures = [tenure];
        assert!(unheard_of(&tenures, &[reign("q/a", 2)]).is_empty());
        assert_eq!(unheard_of(&tenures, &[reign("q/b", 2)]).len(), 1);
        assert_eq!(unheard_of(&tenures, &[reign("q/a", 3)]).len(), 1);
    }

    #[test]
    fn who_never_has_a_turn_and_a_gap_that_is_too_long_are_found() {
        let start = Instant::now();
        let tenure = |who: &str, from| Tenure {
            who: who.to_owned(),
            key: String::new(),
            token: 0,
            from: start + Duration::from_secs(from),
            until: start + Duration::from_secs(from),
        };
        let both = [tenure("a", 1), tenure("b", 30)];
        assert!(Turns::of(&both).problems(2, A_TURN).is_empty());
        assert_eq!(Turns::of(&both).problems(3, A_TURN).len(), 1);
        assert!(Turns::of(&both).problems(3, A_TURN / 2).is_empty());
        assert_eq!(Turns::of(&[]).problems(2, A_TURN / 2).len(), 1);
        let late = [tenure("a", 1), tenure("b", 62)];
        assert_eq!(Turns::of(&late).problems(2, A_TURN).len(), 1);
    }

    #[test]
    fn a_tenure_that_outlives_its_key_is_found_unless_it_is_explained() {
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
        let judged = |until, is_explained| {
            let tenure = Tenure {
                who: "a".to_owned(),
                key: "q/a".to_owned(),
                token: 2,
                from: at(5),
                until: at(until),
            };
            let ttl = Duration::from_secs(3);
            let explains = |from, to| {
                assert_eq!((from, to), (at(until - 3), at(until)));
                is_explained
            };
            let reigns = history.reigns("q/");
            let (count, problems) =
                exclusive(vec![tenure], ttl, &history, &reigns, &times, explains);
            (count, problems.len())
        };
        assert_eq!([judged(8, false), judged(9, false)], [(0, 0), (0, 1)]);
        assert_eq!(judged(9, true), (1, 0));
    }
}
