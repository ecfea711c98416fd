use std::{
    sync::atomic::{AtomicU64, Ordering::Relaxed},
    time::{Duration, Instant},
};

/// How long a member may take to respond to the question whether it is alive.
pub(crate) const PROBE_LIMIT: Duration = Duration::from_secs(3);

/// For this long after the limit of a probe others wait for what it has found.
const MARGIN: Duration = Duration::from_millis(100);

/// As long as others wait for what a probe has found.
pub(crate) const PROBE_WAIT: Duration = PROBE_LIMIT.saturating_add(MARGIN);

/// When an endpoint last showed that it is alive, and when it was last asked: shared by all streams of a client, so that
/// one of them asks.
#[derive(Debug, Default)]
pub(crate) struct Liveness {
    /// In milliseconds since the epoch, plus one; 0 is never.
    alive: AtomicU64,
    asked: AtomicU64,
    /// When it last did not respond to the question.
    unresponsive: AtomicU64,
    /// When it was last asked for the leader.
    leader_asked: AtomicU64,
}

/// What a stream does that has been silent for its limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LivenessCheck {
    /// The endpoint was alive at this time.
    Alive(Instant),
    /// Another stream has asked. The result is there after this time.
    Wait(Duration),
    /// This stream asks.
    Ask,
    /// Another stream has asked without success.
    Lost,
}

impl Liveness {
    /// Records that it is alive.
    pub(super) fn mark_alive(&self, epoch: Instant, now: Instant) {
        self.alive.fetch_max(stamp(epoch, now), Relaxed);
    }

    /// Returns when it last showed that it is alive.
    pub(super) fn last_alive(&self, epoch: Instant) -> Option<Instant> {
        time(epoch, self.alive.load(Relaxed))
    }

    /// Records that it does not respond.
    pub(super) fn mark_unresponsive(&self, epoch: Instant, now: Instant) {
        self.unresponsive.fetch_max(stamp(epoch, now), Relaxed);
    }

    /// Whether a stream is to ask for the leader, as none has done within this time.
    pub(super) fn asks_for_leader(&self, epoch: Instant, now: Instant, within: Duration) -> bool {
        let asked = self.leader_asked.load(Relaxed);
        // The first time counts from the beginning.
        let last = time(epoch, asked).unwrap_or(epoch);
        let is_recent = now.saturating_duration_since(last) < within;
        let this = stamp(epoch, now);
        !is_recent
            && self
                .leader_asked
                .compare_exchange(asked, this, Relaxed, Relaxed)
                .is_ok()
    }

    /// What to do after a silence of this limit. Where it is to ask, others wait from now on.
    pub(super) fn check(&self, epoch: Instant, now: Instant, limit: Duration) -> LivenessCheck {
        let asked = self.asked.load(Relaxed);
        match self.peek(epoch, now, limit) {
            LivenessCheck::Ask => {
                let this = stamp(epoch, now);
                match self.asked.compare_exchange(asked, this, Relaxed, Relaxed) {
                    Ok(_) => LivenessCheck::Ask,
                    // Another one was faster.
                    Err(_) => LivenessCheck::Wait(PROBE_WAIT),
                }
            }
            check => check,
        }
    }

    /// What a stream would do after a silence of this limit.
    pub(super) fn peek(&self, epoch: Instant, now: Instant, limit: Duration) -> LivenessCheck {
        let alive = self.alive.load(Relaxed);
        if let Some(at) = time(epoch, alive)
            && now.saturating_duration_since(at) < limit
        {
            return LivenessCheck::Alive(at);
        }
        let asked = self.asked.load(Relaxed);
        if let Some(at) = time(epoch, asked)
            && asked > alive
        {
            let unresponsive = self.unresponsive.load(Relaxed);
            if let Some(unresponsive_at) = time(epoch, unresponsive)
                && unresponsive >= asked
                && now.saturating_duration_since(unresponsive_at) < PROBE_WAIT
            {
                return LivenessCheck::Lost;
            }
            let left = PROBE_WAIT.saturating_sub(now.saturating_duration_since(at));
            if !left.is_zero() {
                return LivenessCheck::Wait(left);
            }
        }
        LivenessCheck::Ask
    }
}

fn stamp(epoch: Instant, now: Instant) -> u64 {
    let since = now.saturating_duration_since(epoch).as_millis();
    u64::try_from(since).unwrap_or(u64::MAX).saturating_add(1)
}

fn time(epoch: Instant, stamp: u64) -> Option<Instant> {
    epoch.checked_add(Duration::from_millis(stamp.checked_sub(1)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMIT: Duration = Duration::from_secs(5);
    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn one_asks_and_the_others_wait_for_what_it_finds() {
        let epoch = Instant::now();
        let liveness = Liveness::default();
        let at = |seconds: u32| epoch + SECOND * seconds;
        let check = |seconds| liveness.check(epoch, at(seconds), LIMIT);
        assert_eq!(check(5), LivenessCheck::Ask);
        assert_eq!(check(5), LivenessCheck::Wait(PROBE_LIMIT + MARGIN));
        assert_eq!(check(6), LivenessCheck::Wait(PROBE_LIMIT + MARGIN - SECOND));
        liveness.mark_alive(epoch, at(7));
        assert_eq!(check(8), LivenessCheck::Alive(at(7)));
        assert_eq!(check(11), LivenessCheck::Alive(at(7)));
        assert_eq!(check(12), LivenessCheck::Ask);
    }

    #[test]
    fn one_asks_for_the_leader_now_and_then() {
        let epoch = Instant::now();
        let liveness = Liveness::default();
        let asks =
            |seconds: u32| liveness.asks_for_leader(epoch, epoch + SECOND * seconds, SECOND * 10);
        assert_eq!(
            [0, 0, 9, 10, 10, 15, 20].map(asks),
            [false, false, false, true, false, false, true]
        );
    }

    #[test]
    fn what_does_not_respond_is_lost_for_all_who_wait() {
        let epoch = Instant::now();
        let liveness = Liveness::default();
        let at = |seconds: u32| epoch + SECOND * seconds;
        let check = |seconds| liveness.check(epoch, at(seconds), LIMIT);
        assert_eq!(check(5), LivenessCheck::Ask);
        liveness.mark_unresponsive(epoch, at(8));
        assert_eq!([check(8), check(9)], [LivenessCheck::Lost; 2]);
        assert_eq!(check(20), LivenessCheck::Ask);
        liveness.mark_unresponsive(epoch, at(23));
        liveness.mark_alive(epoch, at(24));
        assert_eq!(check(25), LivenessCheck::Alive(at(24)));
    }

    #[test]
    fn what_does_not_respond_is_asked_again_after_the_time_of_a_probe() {
        let epoch = Instant::now();
        let liveness = Liveness::default();
        let check = |now| liveness.check(epoch, now, LIMIT);
        assert_eq!(check(epoch + SECOND * 5), LivenessCheck::Ask);
        let unresponsive = epoch + SECOND * 8;
        liveness.mark_unresponsive(epoch, unresponsive);
        let end = unresponsive + PROBE_LIMIT + MARGIN;
        let before = end - Duration::from_millis(1);
        assert_eq!(check(before), LivenessCheck::Lost);
        assert_eq!(check(end), LivenessCheck::Ask);
    }

    #[test]
    fn a_sign_of_life_in_the_moment_of_the_question_is_its_result() {
        let epoch = Instant::now();
        let liveness = Liveness::default();
        let at = |seconds: u32| epoch + SECOND * seconds;
        assert_eq!(liveness.last_alive(epoch), None);
        assert_eq!(liveness.check(epoch, at(5), LIMIT), LivenessCheck::Ask);
        liveness.mark_alive(epoch, at(5));
        assert_eq!(liveness.last_alive(epoch), Some(at(5)));
        assert_eq!(
            liveness.check(epoch, at(6), SECOND),
            LivenessCheck::Ask,
            "nobody waits for a result"
        );
    }

    #[test]
    fn a_question_without_a_result_is_asked_again() {
        let epoch = Instant::now();
        let liveness = Liveness::default();
        let check = |seconds: u32| liveness.check(epoch, epoch + SECOND * seconds, LIMIT);
        assert_eq!([check(0), check(4)], [LivenessCheck::Ask; 2]);
        assert!(matches!(check(6), LivenessCheck::Wait(_)));
    }
}
