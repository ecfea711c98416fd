//! The v3 API under faults: leases, locks and elections. Their guarantees are listed and checked in [`leases`],
//! [`locks`] and [`elections`]; [`history`] is what etcd did, read by one watch at the end.

mod elections;
mod history;
mod holding;
mod journal;
mod leases;
mod locks;
mod observers;
pub(crate) mod recipes;

use std::{
    collections::BTreeMap,
    ops,
    pin::pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

use etcd_http::{
    Client,
    transport::Transport,
    v3::{HeldLease, KeyRange, LeaseKeeper, Put, Range},
};
use futures::future::{Either, select};
use harness::stall_monitor::StallMonitor;
use tokio::task::JoinHandle;

use self::{history::History, journal::Journal};
use crate::{Scenario, Trusting, Verdict, faults::ELECTION, is_over};

/// The maximum time until abandoned leases expire: the longest TTL, the extensions by elections, and etcd's own delay.
const SETTLE: Duration = Duration::from_secs(20);

/// How long the effects of a resumed member may take.
const LATENCY: Duration = Duration::from_millis(500);

/// How long etcd waits for a proposal without a quorum.
const PROPOSAL: Duration = Duration::from_secs(7);

/// The last key that is written.
const END: &str = "chaos/end";

/// How long the load goes on after the last fault.
const AFTERWARDS: Duration = Duration::from_secs(1);

/// A task of the load: its client, the keeper of its leases, and how many unique values it has made.
struct Task<T> {
    client: Client<T>,
    keeper: LeaseKeeper<T>,
    journal: Arc<Journal>,
    name: String,
    has_proxies: bool,
    made: usize,
    random: fastrand::Rng,
    /// Whether the faults are over.
    is_over: Arc<AtomicBool>,
}

/// Starts the tasks of one client, each by its name.
type Load<T> = fn(&dyn Fn(&str) -> Task<T>) -> Vec<JoinHandle<()>>;

pub(crate) async fn run<T: Trusting + Default>(scenario: &Scenario) -> Verdict {
    run_load::<T>(scenario, |task| {
        let tasks = [
            leases::start(task),
            locks::start(task),
            elections::start(task),
        ];
        tasks.into_iter().flatten().collect()
    })
    .await
}

async fn run_load<T: Trusting + Default>(scenario: &Scenario, start_load: Load<T>) -> Verdict {
    let clients = scenario.clients::<T>();
    let journal = Arc::new(Journal::new());
    let machine = StallMonitor::start();
    let began = Instant::now();
    let start = clients[0].v3().kv().put("chaos/start", "").await.unwrap();
    let start = start.header.revision + 1;
    let observers = observers::observe(&clients);
    let witness = tokio::spawn(journal::witness(
        clients[0].clone(),
        Arc::clone(&journal),
        start,
    ));
    let keepers = keepers(&clients);
    let is_over = Arc::new(AtomicBool::new(false));
    let mut load = Vec::new();
    for (number, (client, (keeper, _))) in clients.iter().zip(&keepers).enumerate() {
        let task = |name: &str| Task {
            client: client.clone(),
            keeper: keeper.clone(),
            journal: Arc::clone(&journal),
            name: format!("{name}{number}"),
            has_proxies: scenario.proxies.is_some(),
            made: 0,
            random: fastrand::Rng::with_seed(scenario.seed * 100 + number as u64),
            is_over: Arc::clone(&is_over),
        };
        load.extend(start_load(&task));
    }

    let faults = scenario.inject_faults();
    tokio::time::sleep(AFTERWARDS).await;
    is_over.store(true, Relaxed);
    for task in load {
        task.await.unwrap();
    }

    // The keepers still run, without leases.
    let mut problems = left_behind(&clients[0]).await;
    for (keeper, keeping) in keepers {
        drop(keeper);
        keeping.await.unwrap();
    }
    observers::end(&clients[0]).await;
    clients[0].send(Put::new(END, "")).await.unwrap();
    let observed = observers::finish(observers).await;
    witness.await.unwrap();
    let history = History::read(&clients[0], start).await;
    let times = journal.times();
    problems.extend(journal.account(&history));
    let stalled = |from, to| machine.stalled(from, to);
    // A leader that was halted, by the test or by a machine without processor time, and that was replaced meanwhile:
    // when it resumes it renews leases, before 3.5.11, and ends those that had expired by its own clock. Failures with this
    // reason are counted, and are not a problem.
    let explains = |renewed: Instant, gone: Instant| {
        let causes = causes(renewed, gone);
        faults.woke_a_former_leader(&causes)
            || machine.longest_stall(causes.start, gone) >= ELECTION
    };
    let leases = journal.leases();
    let (of_leases, more) = leases::check(&leases, &history, &times, stalled, explains);
    problems.extend(more);
    let (of_locks, more) = locks::check(&journal, &history, &times, scenario.duration, explains);
    problems.extend(more);
    let (of_elections, more) = elections::check(
        &journal,
        &observed,
        &history,
        &times,
        scenario.duration,
        explains,
    );
    problems.extend(more);
    let (of_recipes, more) = recipes::check(&journal, &history, &times, explains);
    problems.extend(more);
    let stall = machine.longest_stall(began, Instant::now());
    Verdict {
        figures: format!(
            "{}{of_leases}{of_locks}{of_elections}{of_recipes}  by {}; the machine's longest stall {stall:.1?}\n",
            journal.figures(),
            protocols(&clients),
        ),
        faults,
        problems,
    }
}

/// When a former leader may have resumed that ended a lease at `gone`, which was renewed at `renewed`. It ends sixteen leases at a
/// time, and the next ones when it has given up those before (V3-152). What it proposes while there is no leader waits for one.
fn causes(renewed: Instant, gone: Instant) -> ops::Range<Instant> {
    renewed.min(gone - PROPOSAL - ELECTION * 2) - LATENCY..gone + LATENCY
}

/// A running keeper for each client.
fn keepers<T: Transport>(clients: &[Client<T>]) -> Vec<(LeaseKeeper<T>, JoinHandle<()>)> {
    let keep = |client| {
        let (keeper, run) = LeaseKeeper::new(client);
        (keeper, tokio::spawn(run))
    };
    clients.iter().map(keep).collect()
}

/// Leases, and keys with a lease, that remain when no task runs any more.
async fn left_behind<T: Transport>(client: &Client<T>) -> Vec<String> {
    let mut problems = Vec::new();
    let began = Instant::now();
    loop {
        let leases = client.v3().leases().list().await.unwrap();
        if leases.is_empty() {
            break;
        }
        if is_over(began, SETTLE) {
            problems.push(format!("leases are kept forever: {leases:?}"));
            break;
        }
        tokio::time::sleep(LATENCY).await;
    }
    for prefix in ["chaos/", "__receipts/"] {
        let found = client.send(Range::new(KeyRange::prefix(prefix))).await;
        for kv in found.unwrap().kvs {
            if !kv.lease.is_none() {
                problems.push(format!("{:?} is left behind", kv.key));
            }
        }
    }
    problems
}

/// The protocols by which the endpoints were asked last.
fn protocols<T: Transport>(clients: &[Client<T>]) -> String {
    let mut count: BTreeMap<String, usize> = BTreeMap::new();
    for endpoint in clients.iter().flat_map(Client::endpoints) {
        let protocol = endpoint.protocol.map(|protocol| format!("{protocol:?}"));
        let name = protocol.unwrap_or_else(|| "none yet".to_owned());
        *count.entry(name).or_default() += 1;
    }
    let count = count
        .iter()
        .map(|(name, count)| format!("{name} ({count})"));
    count.collect::<Vec<_>>().join(" and ")
}

impl<T: Transport> Task<T> {
    fn unique(&mut self) -> String {
        self.made += 1;
        format!("{}.{}", self.name, self.made)
    }

    /// Returns a random time between these, in milliseconds.
    fn between(&mut self, least: u64, most: u64) -> Duration {
        Duration::from_millis(self.random.u64(least..most))
    }

    async fn sleep(&self, duration: Duration) {
        self.client.transport().sleep(duration).await;
    }

    /// Waits for its turn, unless the limit or the lease ends first.
    async fn within<O>(
        &self,
        limit: Duration,
        lease: &HeldLease<T>,
        turn: impl Future<Output = O>,
    ) -> Option<O> {
        let (turn, limit) = (pin!(turn), pin!(self.sleep(limit)));
        match select(turn, select(limit, pin!(lease.lost()))).await {
            Either::Left((turn, _)) => Some(turn),
            Either::Right(_) => None,
        }
    }

    /// Pauses; `false` when the faults are over.
    async fn goes_on(&mut self) -> bool {
        let breath = self.between(50, 250);
        self.sleep(breath).await;
        !self.is_over()
    }

    fn is_over(&self) -> bool {
        self.is_over.load(Relaxed)
    }
}
