//! An outage: three endpoints that are down, one that flaps and one that is overloaded, while 1,000 tasks and 200 watches go on.
//! What arrives at the endpoints, how soon all is as before, and memory, for each client in a process of its own.

mod front;
mod load;

use std::{
    env,
    process::{Command, Stdio},
    time::{Duration, SystemTime},
};

use tokio::{
    runtime::Runtime,
    task::spawn_blocking,
    time::{Instant, sleep_until, timeout_at},
};

use self::front::{Front, Mode, flap};

/// The steps of time in which everything is counted.
const TICK: Duration = Duration::from_millis(100);

/// How long the phases of a run are, and its load.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Phases {
    before: Duration,
    outage: Duration,
    after: Duration,
    tasks: usize,
    watches: usize,
}

impl Phases {
    /// A run whose figures count.
    pub(crate) fn long() -> Self {
        Self::new([10, 30, 30, 1000, 200])
    }

    /// A run that shows that the program works.
    pub(crate) fn short() -> Self {
        Self::new([1, 2, 2, 100, 20])
    }

    fn new([before, outage, after, tasks, watches]: [u64; 5]) -> Self {
        Self {
            before: Duration::from_secs(before),
            outage: Duration::from_secs(outage),
            after: Duration::from_secs(after),
            tasks: tasks as usize,
            watches: watches as usize,
        }
    }

    fn numbers(self) -> [u64; 5] {
        let [before, outage, after] = [self.before, self.outage, self.after].map(|it| it.as_secs());
        [
            before,
            outage,
            after,
            self.tasks as u64,
            self.watches as u64,
        ]
    }

    fn ticks(self) -> usize {
        let all = self.before + self.outage + self.after;
        (all.as_millis() / TICK.as_millis()) as usize
    }
}

/// The overloaded endpoint serves 250 requests a second, a quarter of what the tasks send.
const SERVICE_TIME: Duration = Duration::from_millis(4);
const FLAP: Duration = Duration::from_secs(1);

/// Runs each client, and prints the table.
pub(crate) fn measure(runtime: &Runtime, etcd: &str, phases: Phases) {
    println!(
        "\nan outage of {:?}, {} tasks and {} watches: three endpoints down (refusing, closing, silent), one flapping, one \
         overloaded",
        phases.outage, phases.tasks, phases.watches
    );
    for name in load::NAMES {
        let report = runtime.block_on(run(name, etcd, phases));
        report.print(name, phases);
    }
}

/// The process of a load: `--outage NAME START PHASES… URLS…`.
pub(crate) fn run_load(name: &str, arguments: &[&str]) {
    let (numbers, urls) = arguments.split_at(6);
    let numbers: Vec<u64> = numbers
        .iter()
        .map(|it| it.parse().expect("a number"))
        .collect();
    let phases = Phases::new([1, 2, 3, 4, 5].map(|index| numbers[index]));
    let urls: Vec<String> = urls.iter().map(|&url| url.to_owned()).collect();
    load::run(name, phases, load::from_millis(numbers[0]), &urls);
}

async fn run(name: &str, etcd: &str, phases: Phases) -> Report {
    let mut fronts = Vec::new();
    for _ in 0..5 {
        fronts.push(Front::start(etcd).await);
    }
    let lead = Duration::from_secs(1);
    let at = load::to_millis(SystemTime::now() + lead);
    let start = Instant::now() + lead;
    let mut process = Command::new(env::current_exe().expect("this program"));
    process.args(["--outage", name, &at.to_string()]);
    process.args(phases.numbers().map(|it| it.to_string()));
    process.args(fronts.iter().map(|front| &front.url));
    let process = process.stdout(Stdio::piped()).spawn().expect("a process");
    let output = spawn_blocking(|| process.wait_with_output());

    let mut arrived = vec![arrivals(&fronts)];
    let mut count_until = async |end: Instant| {
        let mut next = start + TICK * arrived.len() as u32;
        while next <= end {
            sleep_until(next).await;
            arrived.push(arrivals(&fronts));
            next += TICK;
        }
    };
    count_until(start + phases.before).await;
    let healed = start + phases.before + phases.outage;
    let modes = [Mode::Refusing, Mode::Closing, Mode::Silent];
    fronts
        .iter()
        .zip(modes)
        .for_each(|(front, mode)| front.set(mode));
    fronts[4].set(Mode::Slow(SERVICE_TIME));
    let flapping = timeout_at(healed, flap(&fronts[3], FLAP));
    // The time is over.
    let _ = futures::future::join(flapping, count_until(healed)).await;
    fronts.iter().for_each(|front| front.set(Mode::Up));
    count_until(healed + phases.after).await;
    let output = output.await.expect("a thread").expect("its output");
    let text = String::from_utf8_lossy(&output.stdout);
    Report::parse(&text, arrived)
}

/// The requests and the connections that have arrived at all endpoints.
fn arrivals(fronts: &[Front]) -> [u64; 2] {
    let all = fronts.iter().map(Front::arrived);
    all.fold([0; 2], |[requests, connections], [one, other]| {
        [requests + one, connections + other]
    })
}

/// What was counted at the endpoints and in the client's process, tick by tick.
struct Report {
    arrived: Vec<[u64; 2]>,
    succeeded: Vec<f64>,
    failed: Vec<f64>,
    events: Vec<f64>,
    /// How many watches ended, and how many milliseconds after the outage the last one had an event.
    watches: Vec<String>,
    /// The peak and the end, in KiB.
    memory: Vec<f64>,
}

impl Report {
    fn parse(text: &str, arrived: Vec<[u64; 2]>) -> Self {
        let mut lines = text.lines().map(|line| line.split(' '));
        let mut words = || lines.next().expect("a line of the load");
        let numbers = |words: std::str::Split<'_, char>| {
            words.map(|it| it.parse().expect("a number")).collect()
        };
        Self {
            arrived,
            succeeded: numbers(words()),
            failed: numbers(words()),
            events: numbers(words()),
            watches: words().map(str::to_owned).collect(),
            memory: numbers(words()),
        }
    }

    fn print(&self, name: &str, phases: Phases) {
        let ticks = |time: Duration| (time.as_millis() / TICK.as_millis()) as usize;
        let (begin, heal) = (ticks(phases.before), ticks(phases.before + phases.outage));
        let second = ticks(Duration::from_secs(1));
        // The first second has only begun, and what the outage has left to do is done in the first seconds after it.
        let spans = [
            second.min(begin / 2)..begin,
            begin..heal,
            heal..phases.ticks(),
        ];
        println!("  {name}");
        let arrived = |index: usize| -> Vec<f64> {
            let steps = self.arrived.windows(2);
            steps
                .map(|it| (it[1][index] - it[0][index]) as f64)
                .collect()
        };
        let rows = [
            ("requests that arrive", arrived(0)),
            ("connections", arrived(1)),
            ("calls that succeed", self.succeeded.clone()),
            ("calls that fail", self.failed.clone()),
            ("events of watches", self.events.clone()),
        ];
        for (row, counted) in &rows {
            print!("    {row:24}");
            for span in &spans {
                let seconds = span.len() as f64 / second as f64;
                let all: f64 = counted[span.clone()].iter().sum();
                let peak = counted[span.clone()]
                    .windows(second)
                    .map(|it| it.iter().sum());
                let peak = peak.fold(0.0, f64::max);
                print!(" {:>8.0}/s, peak {peak:>6.0}", all / seconds);
            }
            println!();
        }
        let usual: f64 = self.succeeded[spans[0].clone()].iter().sum();
        let usual = usual / spans[0].len() as f64 * second as f64;
        let recovered = (heal..phases.ticks().saturating_sub(second)).find(|&from| {
            let sum: f64 = self.succeeded[from..from + second].iter().sum();
            sum >= usual * 0.95
        });
        let recovered = recovered.map(|tick| TICK * (tick - heal) as u32);
        let (watches, memory) = (&self.watches, &self.memory);
        println!(
            "    as before after {recovered:?}; watches: {} ended, the last one has an event after {} ms; memory {:.1} MiB, \
             {:.1} at the end",
            watches[0],
            watches[1],
            memory[0] / 1024.0,
            memory[1] / 1024.0
        );
    }
}
