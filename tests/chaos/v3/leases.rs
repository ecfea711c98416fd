//! The guarantees of leases:
//!
//! - *alive*: no key of a lease is deleted before the moment up to which the lease was reported as alive, except for
//!   known bugs of etcd, which are counted separately;
//! - *in time*: a loss is reported no later than at the lease's deadline, whatever the servers do meanwhile;
//! - *renewed*: a lease that lives longer than any outage of a majority is not lost;
//! - *ended*: after a successful revocation its keys are deleted; after a drop they expire, and no lease remains
//!   forever.

use std::{
    fmt,
    pin::pin,
    time::{Duration, Instant},
};

use etcd_http::{
    Result,
    transport::Transport,
    v3::{KeepAlive, Put},
};
use futures::{
    StreamExt,
    future::{Either, select},
};
use tokio::task::JoinHandle;

use super::{
    Task,
    history::{History, Times},
    holding::few_of,
};

/// The shortest that etcd grants, which may be lost during an election. And one that may not.
pub(super) const SHORT: Duration = Duration::from_secs(2);
pub(super) const LONG: Duration = Duration::from_secs(10);

/// How often a holder checks whether its lease is alive.
pub(super) const LOOK: Duration = Duration::from_millis(20);

/// How late a loss may be reported, apart from stalls of the machine. The stream of renewals looks at its deadline
/// between requests, the last of which takes 100 ms.
const SLACK: Duration = Duration::from_millis(200);

/// A lease, and what its holder knew about it.
#[derive(Clone, Debug)]
pub(crate) struct LeaseRecord {
    pub(crate) key: String,
    pub(crate) ttl: Duration,
    /// Up to here it was reported as alive.
    pub(crate) promised: Instant,
    /// By then a loss had to be reported.
    pub(crate) due: Instant,
    pub(crate) end: End,
    pub(crate) ended: Instant,
}

/// How it ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// The loss was reported to its holder.
    Lost(String),
    /// By its holder, which revoked or dropped it.
    Revoked,
    Dropped,
}

pub(crate) fn start<T: Transport>(task: &dyn Fn(&str) -> Task<T>) -> Vec<JoinHandle<()>> {
    vec![
        tokio::spawn(task("short").hold(SHORT)),
        tokio::spawn(task("brief").hold(SHORT)),
        tokio::spawn(task("long").hold(LONG)),
        tokio::spawn(task("lasting").hold(LONG)),
        tokio::spawn(task("stream").renew(SHORT)),
        tokio::spawn(task("river").renew(LONG)),
    ]
}

impl<T: Transport> Task<T> {
    /// Holds one lease after the other with the keeper.
    async fn hold(mut self, ttl: Duration) {
        while self.goes_on().await {
            let granted = self.keeper.grant(ttl).await;
            self.journal.count("grant and keep", &granted);
            let Ok(lease) = granted else { continue };
            let key = self.attach(lease.id().get()).await;
            let until = Instant::now() + self.between(1_000, 15_000);
            let mut promised = Instant::now();
            let mut end = None;
            {
                let mut lost = pin!(lease.lost());
                while end.is_none() && Instant::now() < until && !self.is_over() {
                    let now = Instant::now();
                    let remaining = lease.remaining();
                    if !remaining.is_zero() {
                        promised = promised.max(now + remaining);
                    }
                    if let Either::Left((loss, _)) = select(&mut lost, pin!(self.sleep(LOOK))).await
                    {
                        end = Some((End::Lost(loss.to_string()), Instant::now()));
                    }
                }
            }
            let (end, ended) = match end {
                Some(end) => {
                    if lease.is_alive() || !lease.remaining().is_zero() {
                        self.journal.oddity(format!("{key}: alive after {end:?}"));
                    }
                    end
                }
                None if self.is_over() || self.random.bool() => {
                    let called = Instant::now();
                    let revoked = lease.revoke().await;
                    self.journal.count("revoke", &revoked);
                    if revoked.is_ok() {
                        self.expect_gone(&key).await;
                    }
                    (End::Revoked, called)
                }
                None => (End::Dropped, Instant::now()),
            };
            self.journal.lease(LeaseRecord {
                key,
                ttl,
                promised,
                due: promised,
                end,
                ended,
            });
        }
    }

    /// Holds one lease after the other with a stream of renewals.
    async fn renew(mut self, ttl: Duration) {
        while self.goes_on().await {
            let granted_at = Instant::now();
            let granted = self.client.v3().leases().grant(ttl).await;
            self.journal.count("grant", &granted);
            let Ok(lease) = granted else { continue };
            let key = self.attach(lease.id.get()).await;
            let until = Instant::now() + self.between(1_000, 15_000);
            let mut renewals = self.client.open(KeepAlive::new(lease.id));
            // When the stream was polled, and when it delivered: the renewal was sent in between.
            let mut asked = Instant::now();
            let mut renewed: Option<(Instant, Instant)> = None;
            let end = loop {
                let now = Instant::now();
                if now >= until || self.is_over() {
                    break End::Dropped;
                }
                let rest = (until - now).min(LOOK * 10);
                match select(renewals.next(), pin!(self.sleep(rest))).await {
                    Either::Left((Some(Ok(_)), _)) => {
                        let now = Instant::now();
                        renewed = Some((asked, now));
                        asked = now;
                    }
                    // Behind proxies that show a page, the first renewal fails like any call.
                    Either::Left((Some(Err(error)), _))
                        if self.has_proxies
                            && renewed.is_none()
                            && !error.is_lease_not_found()
                            && granted_at.elapsed() < ttl =>
                    {
                        self.sleep(LOOK * 10).await;
                        asked = Instant::now();
                        renewals = self.client.open(KeepAlive::new(lease.id));
                    }
                    Either::Left((Some(Err(error)), _)) => break End::Lost(error.to_string()),
                    Either::Left((None, _)) => break End::Lost("the stream ended".to_owned()),
                    Either::Right(_) => {}
                }
            };
            let ended = Instant::now();
            drop(renewals);
            let end = match end {
                End::Dropped if self.is_over() => {
                    let revoked = self.client.v3().leases().revoke(lease.id).await;
                    self.journal.count("revoke", &revoked);
                    End::Revoked
                }
                end => end,
            };
            let Some((asked, answered)) = renewed else {
                if let (End::Lost(why), true) = (&end, ttl >= LONG) {
                    self.journal.oddity(format!("{key}: never renewed: {why}"));
                }
                continue;
            };
            self.journal.lease(LeaseRecord {
                key,
                ttl,
                promised: asked + ttl,
                due: answered + ttl,
                end,
                ended,
            });
        }
    }

    /// Writes a key that ends with this lease.
    pub(super) async fn attach(&mut self, lease: i64) -> String {
        let key = format!("chaos/lease/{}", self.unique());
        let put = Put::new(&*key, "here").lease(lease);
        let result = self.client.send(put).await;
        self.journal.count("attach", &result);
        if let Ok(put) = result {
            self.journal.observed(put.header.revision);
        }
        key
    }

    pub(super) async fn expect_gone(&self, key: &str) {
        let found: Result<_> = self.client.v3().kv().get(key).await;
        self.journal.count("read", &found);
        if let Ok(Some(_)) = found {
            self.journal
                .oddity(format!("{key} is there after its lease was revoked"));
        }
    }
}

/// Figures of leases.
#[derive(Debug, Default)]
pub(crate) struct Figures {
    leases: usize,
    lost: usize,
    revoked: usize,
    dropped: usize,
    /// How many keys were deleted, and the least time that one outlived its promise.
    gone: usize,
    least_margin: Option<Duration>,
    latest: Duration,
    /// Keys that were deleted too early, when a former leader resumed.
    of_former_leaders: usize,
}

/// `stalled` returns how long the machine had no processor time between two moments; `explains`, whether there was a
/// reason for etcd to end leases too early.
pub(crate) fn check(
    leases: &[LeaseRecord],
    history: &History,
    times: &Times,
    stalled: impl Fn(Instant, Instant) -> Duration,
    explains: impl Fn(Instant, Instant) -> bool,
) -> (Figures, Vec<String>) {
    let deletions = history.deletions();
    let mut figures = Figures {
        leases: leases.len(),
        ..Figures::default()
    };
    let mut problems = Vec::new();
    for lease in leases {
        match lease.end {
            End::Lost(_) => {
                figures.lost += 1;
                if lease.ttl >= LONG {
                    problems.push(format!("not kept: {lease:?}"));
                }
                let late = lease.ended.saturating_duration_since(lease.due);
                figures.latest = figures.latest.max(late);
                if late > SLACK && late > SLACK + stalled(lease.due, lease.ended) {
                    problems.push(format!("reported {late:?} late: {lease:?}"));
                }
            }
            End::Revoked => figures.revoked += 1,
            End::Dropped => figures.dropped += 1,
        }
        // Its holder may have ended it, and then it does not exist from that call on.
        let promised = match lease.end {
            End::Revoked => lease.promised.min(lease.ended),
            _ => lease.promised,
        };
        let gone = deletions
            .get(lease.key.as_str())
            .and_then(|all| all.first());
        let Some(gone) = gone.and_then(|revision| times.by(*revision)) else {
            continue;
        };
        figures.gone += 1;
        let renewed = lease.promised - lease.ttl;
        if gone < promised && explains(renewed, gone) {
            figures.of_former_leaders += 1;
        } else if gone < promised {
            let early = promised - gone;
            problems.push(format!("its key went {early:?} too early: {lease:?}"));
        } else if lease.end != End::Revoked {
            let margin = gone - promised;
            let least = figures
                .least_margin
                .map_or(margin, |least| least.min(margin));
            figures.least_margin = Some(least);
        }
    }
    let Figures {
        gone,
        of_former_leaders: excused,
        ..
    } = figures;
    if excused > few_of(gone) {
        problems.push(format!(
            "{excused} of {gone} keys went too early: too many to be explained"
        ));
    }
    (figures, problems)
}

impl fmt::Display for Figures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            leases,
            lost,
            revoked,
            dropped,
            gone,
            least_margin,
            latest,
            of_former_leaders,
        } = self;
        let margin = least_margin.unwrap_or_default();
        writeln!(
            f,
            "  {leases} leases: {revoked} revoked, {dropped} dropped, {lost} lost; the latest loss was reported {latest:.1?} after \
             the deadline
  {gone} keys went, the first {margin:.1?} after its time; {of_former_leaders} before, as a \
             former leader awoke"
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::v3::history::Event;

    /// A lease that was promised for ten seconds, and the verdict if its key is deleted after this many.
    fn verdict(ttl: Duration, end: End, ended: u64, gone: u64) -> Vec<String> {
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let events = [(2, Some(("here".to_owned(), 2))), (3, None)];
        let events = events.map(|(revision, put)| Event {
            revision,
            key: "a".to_owned(),
            put,
        });
        let history = History {
            events: events.into(),
        };
        let lease = LeaseRecord {
            key: "a".to_owned(),
            ttl,
            promised: at(10),
            due: at(10),
            end,
            ended: at(ended),
        };
        let times = Times::new([(3, at(gone))]);
        check(
            &[lease],
            &history,
            &times,
            |_, _| Duration::ZERO,
            |_, _| false,
        )
        .1
    }

    #[test]
    fn a_lease_that_keeps_its_promises_is_no_problem() {
        let lost = || End::Lost(String::new());
        assert!(verdict(SHORT, lost(), 10, 11).is_empty());
        assert!(verdict(SHORT, lost(), 9, 11).is_empty());
        assert!(verdict(LONG, End::Dropped, 5, 12).is_empty());
        assert!(verdict(LONG, End::Revoked, 5, 6).is_empty());
    }
    #[test]
    fn a_lease_that_breaks_a_promise_is_found() {
        let lost = || End::Lost(String::new());
        for (what, problems) in [
            ("not in time", verdict(SHORT, lost(), 11, 12)),
            ("its key went early", verdict(SHORT, lost(), 10, 9)),
            ("not kept", verdict(LONG, lost(), 9, 11)),
            (
                "deleted although it was not ended",
                verdict(LONG, End::Dropped, 5, 9),
            ),
            (
                "gone before it was revoked",
                verdict(LONG, End::Revoked, 5, 4),
            ),
        ] {
            assert_eq!(problems.len(), 1, "{what}: {problems:?}");
        }
    }
}
