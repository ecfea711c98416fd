//! A cluster of three under load, whose members are killed, halted and restarted one at a time. In the end every promise
//! was kept: see [`v2`] for writes, watches and registers, [`v3`] for leases, locks and elections.
//!
//! `ETCD_HTTP_CHAOS_SECONDS` says how long (20 for each test unless set), `ETCD_HTTP_CHAOS_SEED` which schedule.

mod faults;
mod tally;
mod v2;
mod v3;

use std::{
    env,
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use etcd_http::{Client, server::Cluster, transport::Transport};

use crate::faults::Faults;

macro_rules! under_fire {
    ($($name:ident: $fire:path;)+) => {$(
        #[test]
        fn $name() {
            under_fire(stringify!($name), async |fire| $fire(fire).await);
        }
    )+};
}

under_fire! {
    nothing_is_lost_doubled_or_invented_over_reqwest: v2::burn::<etcd_http::reqwest::ReqwestTransport>;
    nothing_is_lost_doubled_or_invented_over_isahc: v2::burn::<etcd_http::isahc::IsahcTransport>;
    v3_leases_locks_and_elections_hold_over_reqwest: v3::burn::<etcd_http::reqwest::ReqwestTransport>;
    v3_leases_locks_and_elections_hold_over_isahc: v3::burn::<etcd_http::isahc::IsahcTransport>;
}

/// How long it may take, once the members are left alone, until all have ended and history is read.
const PATIENCE: Duration = Duration::from_secs(180);

/// A cluster, for how long, and by which schedule.
struct Fire {
    cluster: Cluster,
    duration: Duration,
    seed: u64,
}

/// What was found out.
struct Verdict {
    figures: String,
    /// What was done to the members.
    faults: Faults,
    problems: Vec<String>,
}

fn under_fire(name: &str, burn: impl AsyncFnOnce(&Fire) -> Verdict) {
    // Two clusters at once would keep each other from their heartbeats.
    static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());
    let _turn = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
    let fire = Fire {
        cluster: Cluster::start(3).unwrap(),
        duration: Duration::from_secs(number("ETCD_HTTP_CHAOS_SECONDS", 20)),
        seed: number("ETCD_HTTP_CHAOS_SEED", 4),
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
        let done = tokio::time::timeout(fire.duration + PATIENCE, burn(&fire)).await;
        done.expect("something waits for what does not come")
    });
    let Fire { duration, seed, .. } = fire;
    let version = fire.cluster.member(0).version();
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

impl Fire {
    /// Does something to one member after the other, to the end. Blocks the thread, which does nothing else.
    fn rage(&self) -> Faults {
        let faults = Faults::run(&self.cluster, self.duration, self.seed);
        self.cluster.wait_healthy(Duration::from_secs(30)).unwrap();
        faults
    }

    /// Clients with long and short time limits: who waits hears the server's verdict, who does not hears none. Each begins
    /// with another member.
    fn clients<T: Transport + Default>(&self) -> Vec<Client<T>> {
        let client = |(place, seconds)| {
            let mut urls = self.cluster.client_urls();
            urls.rotate_left(place);
            Client::builder(T::default())
                .endpoints(urls)
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

/// Whether it is time to stop.
fn is_over(started: Instant, duration: Duration) -> bool {
    started.elapsed() >= duration
}
