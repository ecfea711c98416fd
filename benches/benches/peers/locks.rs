//! A lock for which many wait: the time from holder to holder, and the requests that it takes; beside Go's
//! `concurrency.Mutex`, and the server's own call `Lock`.

use std::{
    io::{BufRead, BufReader, Write},
    path::PathBuf,
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use etcd_http::{
    Client, Protocol,
    hyper::HyperTransport,
    recipes::{Mutex, Session},
    v3::{KeyRange, Lock},
};
use tokio::{runtime::Runtime, task::JoinSet};

const TTL: Duration = Duration::from_secs(60);

/// For the watches of all that wait.
const SETTLE: Duration = Duration::from_millis(500);

type Etcd = Client<HyperTransport>;

/// What passing a lock on took.
#[derive(Default)]
struct Handovers {
    /// From holder to holder.
    times: Vec<Duration>,
    /// Messages that the server received.
    requests: f64,
}

pub(crate) fn run(runtime: &Runtime, url: &str, waiters: usize, rounds: usize, is_bench: bool) {
    println!(
        "\nlock with {waiters} waiters {:>25} {:>9} {:>9} {:>22}",
        "p50", "p99", "mean", "requests per hand-over"
    );
    let client = |protocol| {
        let builder = Client::builder(HyperTransport::default()).endpoints([url]);
        builder.protocol(protocol).build().expect("a client")
    };
    let (grpc, json) = (client(Protocol::Grpc), client(Protocol::Gateway));
    let row = |name: &str, round: &dyn Fn(usize) -> Handovers| {
        let mut all = Handovers::default();
        for number in 0..rounds {
            let one = round(number);
            all.times.extend(one.times);
            all.requests += one.requests / (rounds * waiters) as f64;
        }
        print(name, all);
    };
    for (name, client) in [("Mutex, gRPC", &grpc), ("Mutex, JSON gateway", &json)] {
        row(name, &|round| {
            runtime.block_on(mutex(client, &format!("locks/{name}/{round}"), waiters))
        });
    }
    row("the server's Lock, gRPC", &|round| {
        runtime.block_on(lock(&grpc, &format!("locks/server/{round}"), waiters))
    });
    if is_bench {
        let program = build();
        row("Go's concurrency.Mutex", &|round| {
            go(
                runtime,
                &grpc,
                &program,
                &format!("locks/go/{round}"),
                waiters,
            )
        });
    }
}

/// A mutex of ours, by a session each.
async fn mutex(client: &Etcd, name: &str, waiters: usize) -> Handovers {
    let mut sessions = Vec::new();
    for _ in 0..=waiters {
        let (session, driver) = Session::open(client.v3(), TTL).await.expect("a session");
        tokio::spawn(driver);
        sessions.push(session);
    }
    let first = sessions.pop().expect("a session");
    let held = Mutex::new(&first, name).lock().await.expect("the lock");
    let mut waiting = JoinSet::new();
    for session in sessions {
        let mutex = Mutex::new(&session, name);
        waiting.spawn(async move {
            let held = mutex.lock().await.expect("the lock");
            let now = Instant::now();
            held.release().await.expect("released");
            // As with the others, its lease is not ended between two hand-overs.
            (now, session)
        });
    }
    queued(client, name, waiters).await;
    let (before, start) = (received(client).await, Instant::now());
    held.release().await.expect("released");
    let (acquired, _sessions): (_, Vec<_>) = waiting.join_all().await.into_iter().unzip();
    handovers(start, acquired, received(client).await - before)
}

/// The server's own lock, by a lease each.
async fn lock(client: &Etcd, name: &str, waiters: usize) -> Handovers {
    let v3 = client.v3();
    let first = v3.leases().grant(TTL).await.expect("a lease").id;
    let held = v3.lock(name, first).await.expect("the lock").key;
    let mut waiting = JoinSet::new();
    for _ in 0..waiters {
        let lease = v3.leases().grant(TTL).await.expect("a lease").id;
        let (client, lock) = (client.clone(), Lock::new(name, lease));
        waiting.spawn(async move {
            let key = client.send(lock).await.expect("the lock").key;
            let now = Instant::now();
            client.v3().unlock(key).await.expect("unlocked");
            now
        });
    }
    queued(client, name, waiters).await;
    let (before, start) = (received(client).await, Instant::now());
    v3.unlock(held).await.expect("unlocked");
    let acquired = waiting.join_all().await;
    handovers(start, acquired, received(client).await - before)
}

/// Go's mutex, by a session each.
fn go(
    runtime: &Runtime,
    client: &Etcd,
    program: &PathBuf,
    name: &str,
    waiters: usize,
) -> Handovers {
    let url = client.endpoints()[0].endpoint.to_string();
    let mut peer = Command::new(program)
        .args([&url, "hand-over", name, &waiters.to_string()])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("the Go program");
    let mut lines = BufReader::new(peer.stdout.take().expect("an output")).lines();
    let mut line = || lines.next().expect("a line").expect("text");
    assert_eq!(line(), "queued");
    let before = runtime.block_on(received(client));
    let mut input = peer.stdin.take().expect("an input");
    input.write_all(b"go\n").expect("it reads");
    let times = (0..waiters).map(|_| Duration::from_nanos(line().parse().expect("a number")));
    let times = times.collect();
    let requests = runtime.block_on(received(client)) - before;
    drop(input);
    assert!(peer.wait().expect("it ends").success());
    Handovers { times, requests }
}

/// Waits until all wait for the lock, and watch.
async fn queued(client: &Etcd, name: &str, waiters: usize) {
    let kv = client.v3().kv();
    let queue = || KeyRange::prefix(format!("{name}/"));
    while kv.count(queue()).await.expect("a count") <= waiters as i64 {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    tokio::time::sleep(SETTLE).await;
}

/// How many messages of clients the server has received, by gRPC and by the gateway.
async fn received(client: &Etcd) -> f64 {
    let metrics = client.metrics().await.expect("metrics");
    let counts = metrics.lines().filter_map(|line| {
        let count = line.strip_prefix("grpc_server_msg_received_total{")?;
        count.rsplit(' ').next()?.parse::<f64>().ok()
    });
    counts.sum()
}

fn handovers(start: Instant, mut acquired: Vec<Instant>, requests: f64) -> Handovers {
    acquired.sort_unstable();
    let mut last = start;
    let times = acquired.into_iter().map(|now| {
        let time = now.saturating_duration_since(last);
        last = now;
        time
    });
    Handovers {
        times: times.collect(),
        requests,
    }
}

fn print(name: &str, mut all: Handovers) {
    all.times.sort_unstable();
    let micros = |time: Duration| time.as_secs_f64() * 1e6;
    let at = |part: f64| micros(all.times[(all.times.len() as f64 * part) as usize]);
    let mean = micros(all.times.iter().sum::<Duration>()) / all.times.len() as f64;
    let (p50, p99, requests) = (at(0.5), at(0.99), all.requests);
    println!("  {name:36} {p50:>6.0} µs {p99:>6.0} µs {mean:>6.0} µs {requests:>22.1}");
}

/// Builds the Go side of the interoperability tests.
fn build() -> PathBuf {
    let directory = PathBuf::from(env!("CARGO_TARGET_TMPDIR"));
    let program = directory.join("interop-peer");
    let source = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/interop/peer.go");
    let mut build = Command::new("go");
    build.args(["build", "-o"]).arg(&program).arg(source);
    // Where Debian's package golang-etcd-server-dev has its sources.
    build.env("GOPATH", "/usr/share/gocode");
    build.env("GO111MODULE", "off");
    build.env("GOCACHE", directory.join("go-cache"));
    assert!(
        build
            .status()
            .expect("go, of the package golang-go")
            .success()
    );
    program
}
