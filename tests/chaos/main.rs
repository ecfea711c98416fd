//! A cluster of three under load, whose members are killed, paused and restarted one at a time. At the end, every
//! guarantee is checked: see [`v2`] for writes, watches and registers, [`v3`] for leases, locks and elections,
//! [`v3::recipes`] for the recipes.
//!
//! Some of the tests have proxies between the clients and the members, which have faults of their own: see [`proxies`].
//!
//! `ETCD_HTTP_CHAOS_SECONDS` is the duration of each test, which defaults to a few seconds; `ETCD_HTTP_CHAOS_SEED` selects the
//! schedule.

mod faults;
mod proxies;
mod tally;
mod v2;
mod v3;

use std::{
    env,
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use etcd_http::{Client, Protocol, server::Cluster};

use crate::{faults::Faults, proxies::Proxies};

harness::trusting!();

macro_rules! scenarios {
    ($($proxies:ident $protocol:ident for $seconds:literal s, seed $seed:literal { $($name:ident: $run:path;)+ })+) => {$($(
        #[test]
        fn $name() {
            let setup = Setup {
                name: stringify!($name),
                has_proxies: stringify!($proxies) == "proxies",
                protocol: Protocol::$protocol,
                seconds: $seconds,
                seed: $seed,
            };
            run_scenario(setup, async |scenario: &Scenario| $run(scenario).await);
        }
    )+)+};
}

scenarios! {
    direct Gateway for 12 s, seed 4 {
        nothing_is_lost_doubled_or_invented_over_reqwest: v2::run::<etcd_http::reqwest::ReqwestTransport>;
        nothing_is_lost_doubled_or_invented_over_isahc: v2::run::<etcd_http::isahc::IsahcTransport>;
        v3_leases_locks_and_elections_hold_over_reqwest: v3::run::<etcd_http::reqwest::ReqwestTransport>;
        v3_leases_locks_and_elections_hold_over_isahc: v3::run::<etcd_http::isahc::IsahcTransport>;
    }
    direct Grpc for 4 s, seed 29 {
        v3_leases_locks_and_elections_hold_by_grpc_over_hyper: v3::run::<etcd_http::hyper::HyperTransport>;
        v3_leases_locks_and_elections_hold_by_grpc_over_reqwest: v3::run::<etcd_http::reqwest::ReqwestTransport>;
    }
    direct Auto for 4 s, seed 59 {
        recipes_hold_by_grpc_over_hyper: v3::recipes::run::<etcd_http::hyper::HyperTransport>;
    }
    direct Gateway for 4 s, seed 50 {
        recipes_hold_by_the_gateway_over_reqwest: v3::recipes::run::<etcd_http::reqwest::ReqwestTransport>;
    }
    proxies Auto for 4 s, seed 50 {
        recipes_hold_behind_proxies_over_reqwest: v3::recipes::run::<etcd_http::reqwest::ReqwestTransport>;
    }
    proxies Gateway for 12 s, seed 4 {
        nothing_is_lost_doubled_or_invented_behind_proxies_over_reqwest: v2::run::<etcd_http::reqwest::ReqwestTransport>;
        nothing_is_lost_doubled_or_invented_behind_proxies_over_isahc: v2::run::<etcd_http::isahc::IsahcTransport>;
        v3_leases_locks_and_elections_hold_behind_proxies_over_reqwest: v3::run::<etcd_http::reqwest::ReqwestTransport>;
        v3_leases_locks_and_elections_hold_behind_proxies_over_isahc: v3::run::<etcd_http::isahc::IsahcTransport>;
    }
}

/// How long the tasks and the checks may take after the last fault.
const AFTER_FAULTS: Duration = Duration::from_secs(180);

/// A cluster, perhaps with proxies before it, how long it has faults, and the seed of the schedule.
struct Scenario {
    proxies: Option<Proxies>,
    cluster: Cluster,
    protocol: Protocol,
    duration: Duration,
    seed: u64,
}

/// The result of a scenario.
struct Verdict {
    figures: String,
    /// The faults of members.
    faults: Faults,
    problems: Vec<String>,
}

/// What a test declares.
struct Setup {
    name: &'static str,
    has_proxies: bool,
    protocol: Protocol,
    /// Its duration and its schedule, unless the environment sets others. With each seed, a leader is killed or halted.
    seconds: u64,
    seed: u64,
}

fn run_scenario(setup: Setup, run: impl AsyncFnOnce(&Scenario) -> Verdict) {
    let Setup {
        name,
        has_proxies,
        protocol,
        seconds,
        seed,
    } = setup;
    // Two clusters at once would delay each other's heartbeats.
    static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());
    let _turn = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
    let cluster = Cluster::start(3).unwrap();
    let scenario = Scenario {
        proxies: has_proxies.then(|| Proxies::before(&cluster)),
        cluster,
        protocol,
        duration: Duration::from_secs(number("ETCD_HTTP_CHAOS_SECONDS", seconds)),
        seed: number("ETCD_HTTP_CHAOS_SEED", seed),
    };
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap();
    let Verdict {
        figures,
        faults,
        problems,
    } = runtime.block_on(async {
        let done = tokio::time::timeout(scenario.duration + AFTER_FAULTS, run(&scenario)).await;
        done.expect("a task is still pending")
    });
    let Scenario { duration, seed, .. } = scenario;
    let version = scenario.cluster.member(0).version();
    println!(
        "{name}, etcd {version}, {} s, seed {seed}\n{faults}{figures}  {} problems",
        duration.as_secs(),
        problems.len()
    );
    let shown = problems.iter().take(20).cloned().collect::<Vec<_>>();
    assert!(
        problems.is_empty(),
        "{name}, seed {seed}, {} problems:\n{}\n{}",
        problems.len(),
        shown.join("\n"),
        faults.log()
    );
}

impl Scenario {
    /// Injects faults into one member after the other, until the duration is over. Blocks the thread.
    fn inject_faults(&self) -> Faults {
        let faults = Faults::run(
            &self.cluster,
            self.proxies.as_ref(),
            self.duration,
            self.seed,
        );
        self.cluster.wait_healthy(Duration::from_secs(30)).unwrap();
        faults
    }

    /// Clients with long and short time limits: the outcomes of the latter are more often unknown. Each begins with
    /// another member.
    fn clients<T: Trusting + Default>(&self) -> Vec<Client<T>> {
        let client = |(first, seconds)| {
            let (transport, mut urls) = match &self.proxies {
                Some(proxies) => (T::trusting(&proxies.certificate()), proxies.urls()),
                None => (T::default(), self.cluster.client_urls()),
            };
            urls.rotate_left(first);
            Client::builder(transport)
                .endpoints(urls)
                .protocol(self.protocol)
                .timeout(Duration::from_secs(seconds))
                .build()
                .unwrap()
        };
        [(1, 10), (0, 3), (2, 1)].map(client).into()
    }
}

fn number(variable: &str, default: u64) -> u64 {
    env::var(variable).map_or(default, |text| text.parse().unwrap())
}

/// Whether the duration has passed.
fn is_over(started: Instant, duration: Duration) -> bool {
    started.elapsed() >= duration
}
