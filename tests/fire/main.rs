//! A cluster of three under load, whose members are killed, halted and restarted one at a time. In the end nothing that
//! was acknowledged is missing, nothing is there twice, every watcher has seen everything once, and registers were
//! linearizable.
//!
//! `ETCD_HTTP_FIRE_SECONDS` says how long (20 for each backend unless set), `ETCD_HTTP_FIRE_SEED` which schedule.

mod faults;
mod journal;
mod linear;
mod load;
mod verdict;
mod watchers;

use std::{
    env,
    sync::{Arc, Mutex, PoisonError},
    thread,
    time::{Duration, Instant},
};

use etcd_http::{Client, server::Cluster, transport::Transport, v2::Get};

use crate::{faults::Faults, journal::Journal, watchers::Watchers};

/// How long a request may be lost in a server that was halted: it is carried out, or not, soon after it goes on.
const SETTLE: Duration = Duration::from_secs(8);

macro_rules! under_fire {
    ($($name:ident: $transport:ty;)+) => {$(
        #[test]
        fn $name() {
            under_fire::<$transport>(stringify!($name));
        }
    )+};
}

under_fire! {
    nothing_is_lost_doubled_or_invented_over_reqwest: etcd_http::reqwest::ReqwestTransport;
    nothing_is_lost_doubled_or_invented_over_isahc: etcd_http::isahc::IsahcTransport;
}

fn under_fire<T: Transport + Default>(name: &str) {
    // Two clusters at once would keep each other from their heartbeats.
    static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());
    let _turn = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
    let duration = Duration::from_secs(number("ETCD_HTTP_FIRE_SECONDS", 20));
    let seed = number("ETCD_HTTP_FIRE_SEED", 4);
    let cluster = Cluster::start(3).unwrap();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        // Long and short time limits: the server's verdict, or none.
        let clients: Vec<Client<T>> = [10, 3, 1].map(|seconds| client(&cluster, seconds)).into();
        let journal = Arc::new(Journal::new());
        let start = clients[0].v2().set("/fire/start", "start").await.unwrap();
        let watchers = Watchers::start(&clients, start.index() + 1);
        let load = load::start(&clients, &journal, duration, seed);

        let faults = thread::scope(|scope| {
            let cluster = &cluster;
            let faults = scope.spawn(move || Faults::run(cluster, duration, seed));
            faults.join()
        })
        .unwrap();
        cluster.wait_healthy(Duration::from_secs(30)).unwrap();
        load.finish().await;
        tokio::time::sleep(SETTLE).await;

        let end = watchers::mark_the_end(&clients[0]).await;
        let watched = watchers.finish(end).await;
        let all = Get::new("/fire").recursive(true).quorum(true);
        let tree = clients[0].send(all).await.unwrap().node;
        let report = verdict::judge(
            &journal,
            &watched,
            &tree,
            start.index(),
            end,
            faults.restarts(),
        );
        println!(
            "{name}, {} s, seed {seed}\n{faults}{}{report}",
            duration.as_secs(),
            journal.figures()
        );
        assert!(report.problems.is_empty(), "{name}, seed {seed}: {report}");
    });
}

/// A client that begins with another member for another time limit.
fn client<T: Transport + Default>(cluster: &Cluster, seconds: u64) -> Client<T> {
    let mut urls = cluster.client_urls();
    let first = seconds as usize % urls.len();
    urls.rotate_left(first);
    Client::builder(T::default())
        .endpoints(urls)
        .timeout(Duration::from_secs(seconds))
        .build()
        .unwrap()
}

fn number(variable: &str, default: u64) -> u64 {
    env::var(variable).map_or(default, |text| text.parse().unwrap())
}

/// Whether it is time to stop.
fn is_over(started: Instant, duration: Duration) -> bool {
    started.elapsed() >= duration
}
