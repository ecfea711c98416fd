//! The program `etcd-fake` beside etcd, by the same load: operations per second, and their latency.

use std::{
    env, fs,
    io::{BufRead, BufReader},
    path::PathBuf,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use etcd_http::{
    Client, Protocol,
    hyper::HyperTransport,
    v3::{Compare, Put, Range, Txn},
};
use tokio::{runtime::Runtime, task::JoinSet};

use crate::{VALUE, contender::Operation, key};

/// Operations of a turn, of all callers together.
const COUNT: usize = 512;

type Etcd = Client<HyperTransport>;

/// Measures both by gRPC and by the gateway, in turns.
pub(crate) fn run(runtime: &Runtime, url: &str, turns: usize) {
    let fake = Served::start();
    println!(
        "\netcd-fake beside etcd {:>28} {:>9} {:>9} {:>12} {:>9} {:>9} {:>6}",
        "etcd/s", "p50", "p99", "etcd-fake/s", "p50", "p99", "×"
    );
    for (name, protocol) in [("gRPC", Protocol::Grpc), ("gateway", Protocol::Gateway)] {
        let [real, fake] = [url, fake.url()].map(|url| {
            let builder = Client::builder(HyperTransport::default()).endpoints([url]);
            builder.protocol(protocol).build().expect("a client")
        });
        for operation in [Operation::Put, Operation::Get, Operation::Cas] {
            for callers in [1, 16, 64] {
                let (mut of_real, mut of_fake) = (Row::default(), Row::default());
                for _ in 0..=turns {
                    of_real.turn(runtime, &real, operation, callers);
                    of_fake.turn(runtime, &fake, operation, callers);
                }
                let ratio = of_fake.rate() / of_real.rate();
                print!(
                    "  {:32}",
                    format!("{name}, {operation:?}, callers: {callers}")
                );
                of_real.print();
                of_fake.print();
                println!(" {ratio:>6.2}");
            }
        }
    }
}

/// What was measured of one server.
#[derive(Default)]
struct Row {
    /// Operations per second, for each turn but the first, which warms up.
    rates: Vec<f64>,
    latencies: Vec<Duration>,
    is_warm: bool,
}

impl Row {
    fn turn(&mut self, runtime: &Runtime, client: &Etcd, operation: Operation, callers: usize) {
        let mut tasks = JoinSet::new();
        for caller in 0..callers {
            let (client, key) = (client.clone(), key(caller, VALUE));
            let calls = async move {
                let mut latencies = Vec::with_capacity(COUNT / callers);
                for _ in 0..COUNT / callers {
                    let start = Instant::now();
                    call(&client, operation, &key).await;
                    latencies.push(start.elapsed());
                }
                latencies
            };
            tasks.spawn_on(calls, runtime.handle());
        }
        let start = Instant::now();
        let latencies = runtime.block_on(tasks.join_all());
        let rate = COUNT as f64 / start.elapsed().as_secs_f64();
        if self.is_warm {
            self.rates.push(rate);
            self.latencies.extend(latencies.into_iter().flatten());
        }
        self.is_warm = true;
    }

    /// The median of the turns.
    fn rate(&self) -> f64 {
        let mut rates = self.rates.clone();
        rates.sort_by(f64::total_cmp);
        rates[rates.len() / 2]
    }

    fn print(&mut self) {
        self.latencies.sort();
        let at = |share: f64| self.latencies[(self.latencies.len() as f64 * share) as usize];
        let (median, late) = (at(0.5), at(0.99));
        print!(" {:>12.0} {median:>9.0?} {late:>9.0?}", self.rate());
    }
}

async fn call(client: &Etcd, operation: Operation, key: &str) {
    match operation {
        Operation::Put => {
            let put = client.send(Put::new(key, VALUE)).await;
            assert!(put.expect("a response").header.revision > 0);
        }
        Operation::Cas => {
            let txn = Txn::new()
                .when(Compare::value(key).equal(VALUE))
                .then(Put::new(key, VALUE));
            assert!(client.send(txn).await.expect("a response").succeeded);
        }
        _ => {
            let range = client.send(Range::new(key)).await;
            assert_eq!(range.expect("a response").kvs[0].value, VALUE);
        }
    }
}

/// The program, in a process of its own. It ends with this value.
struct Served {
    child: Child,
    url: String,
}

impl Served {
    /// Starts the one that cargo has built beside this program, or builds it first.
    fn start() -> Self {
        let program = program();
        let child = Command::new(program)
            .args(["--listen-client-urls", "http://127.0.0.1:0"])
            .args(["--advertise-client-urls", "http://127.0.0.1:0"])
            .stdout(Stdio::piped())
            .spawn();
        let mut child = child.expect("etcd-fake");
        let mut lines = BufReader::new(child.stdout.take().expect("its output")).lines();
        let url = lines.find_map(|line| {
            let line = line.expect("a line");
            let url = line.strip_prefix("etcd-fake: serving ")?;
            Some(url.to_owned())
        });
        let url = url.expect("its address");
        Self { child, url }
    }

    fn url(&self) -> &str {
        &self.url
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn program() -> PathBuf {
    // `target/PROFILE/deps/peers-…`
    let this = env::current_exe().expect("this program");
    let directory = this.ancestors().nth(2).expect("cargo's directory");
    let program = directory.join("etcd-fake");
    if fs::exists(&program).unwrap_or(false) {
        return program;
    }
    let mut cargo = Command::new(env::var_os("CARGO").unwrap_or("cargo".into()));
    cargo.args(["build", "--package", "etcd-fake"]);
    if directory.ends_with("release") {
        cargo.arg("--release");
    }
    let built = cargo.status().expect("cargo");
    assert!(built.success(), "etcd-fake is not built");
    program
}
