//! Faults of members: killed, stopped, paused. Faults of proxies: killed, or responding with a page.

use std::{
    fmt,
    ops::Range,
    thread,
    time::{Duration, Instant},
};

use etcd_http::server::Cluster;

use crate::{is_over, proxies::Proxies};

/// The faults of a run.
#[derive(Debug, Default)]
pub(crate) struct Faults {
    killed: usize,
    stopped: usize,
    paused: usize,
    of_leaders: usize,
    pages: usize,
    killed_proxies: usize,
    /// When former leaders resumed: they were halted for long enough to be replaced.
    wakings: Vec<Instant>,
    /// One line for each fault, with when it began and ended.
    log: Vec<String>,
}

/// The minimum time for which the others wait for a silent leader.
pub(crate) const ELECTION: Duration = Duration::from_secs(1);

impl Faults {
    /// Injects faults into one member or proxy after the other, as the seed says. In between, all run.
    pub(crate) fn run(
        cluster: &Cluster,
        proxies: Option<&Proxies>,
        duration: Duration,
        seed: u64,
    ) -> Self {
        let mut random = fastrand::Rng::with_seed(seed);
        let mut faults = Self::default();
        let started = Instant::now();
        while !is_over(started, duration) {
            thread::sleep(Duration::from_millis(random.u64(300..1500)));
            match proxies {
                Some(proxies) if random.bool() => faults.of_a_proxy(proxies, &mut random),
                _ => faults.of_a_member(cluster, &mut random),
            }
            cluster.wait_healthy(Duration::from_secs(30)).unwrap();
        }
        faults
    }

    fn of_a_member(&mut self, cluster: &Cluster, random: &mut fastrand::Rng) {
        let leader = cluster.leader().unwrap();
        let index = if random.bool() {
            leader
        } else {
            random.usize(0..3)
        };
        self.of_leaders += usize::from(index == leader);
        let member = cluster.member(index);
        let pause = Duration::from_millis(random.u64(100..4000));
        let began = Instant::now();
        let what = match random.u8(0..5) {
            0 | 1 => {
                member.kill().unwrap();
                thread::sleep(pause);
                member.restart().unwrap();
                self.killed += 1;
                "killed"
            }
            2 => {
                member.stop().unwrap();
                thread::sleep(pause);
                member.restart().unwrap();
                self.stopped += 1;
                "stopped"
            }
            _ => {
                member.pause().unwrap();
                thread::sleep(pause);
                member.resume().unwrap();
                self.paused += 1;
                if index == leader && pause >= ELECTION {
                    self.wakings.push(Instant::now());
                }
                "halted"
            }
        };
        let ended = Instant::now();
        self.log.push(format!(
            "{what} {index} for {pause:?}, {leader} leading, {began:?} to {ended:?}"
        ));
    }

    fn of_a_proxy(&mut self, proxies: &Proxies, random: &mut fastrand::Rng) {
        let began = Instant::now();
        let what = if random.bool() {
            self.pages += 1;
            proxies.show_a_page(random)
        } else {
            self.killed_proxies += 1;
            let pause = Duration::from_millis(random.u64(100..4000));
            proxies.kill_one(random, pause)
        };
        let ended = Instant::now();
        self.log.push(format!("{what}, {began:?} to {ended:?}"));
    }

    /// Returns whether a replaced leader resumed between these moments.
    pub(crate) fn woke_a_former_leader(&self, between: &Range<Instant>) -> bool {
        self.wakings.iter().any(|at| between.contains(at))
    }

    /// Returns the faults and when they happened, to compare with the failures.
    pub(crate) fn log(&self) -> String {
        self.log.join("\n")
    }

    /// Returns how often a member restarted.
    pub(crate) fn restarts(&self) -> usize {
        self.killed + self.stopped
    }
}

impl fmt::Display for Faults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            killed,
            stopped,
            paused,
            of_leaders,
            pages,
            killed_proxies,
            ..
        } = self;
        let all = killed + stopped + paused;
        writeln!(
            f,
            "  {all} faults: {killed} kill -9, {stopped} stop, {paused} pause; {of_leaders} of them to the leader"
        )?;
        if pages + killed_proxies > 0 {
            writeln!(
                f,
                "  of proxies: {pages} times a page for two seconds, {killed_proxies} kill -9"
            )?;
        }
        Ok(())
    }
}
