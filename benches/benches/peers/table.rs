//! The table: absolute figures, and ratios within each turn.

use std::{fs, time::Duration};

/// What one operation took.
#[derive(Clone, Copy)]
pub(crate) struct Sample {
    /// Seconds of throughput: with several callers, less than an operation takes.
    pub(crate) elapsed: f64,
    /// Seconds of CPU time of the client's thread.
    pub(crate) cpu: f64,
}

/// The figures of a contender.
pub(crate) struct Column {
    name: &'static str,
    /// The column of what is written by hand over the same stack, or else over h2.
    by_hand: usize,
    pub(crate) samples: Vec<Sample>,
    pub(crate) allocations: f64,
}

impl Column {
    pub(crate) fn new(name: &'static str, by_hand: usize) -> Self {
        Self {
            name,
            by_hand,
            samples: Vec::new(),
            allocations: 0.0,
        }
    }
}

/// The contenders. All are compared with the last one, too.
pub(crate) struct Table {
    pub(crate) columns: Vec<Column>,
}

impl Table {
    pub(crate) fn print(&self, title: &str) {
        print_head(title);
        for (index, column) in self.columns.iter().enumerate() {
            let median = |part: fn(&Sample) -> f64| median(column.samples.iter().map(part));
            let (rate, cpu) = (1.0 / median(|it| it.elapsed), median(|it| it.cpu) * 1e6);
            let (name, allocations) = (column.name, column.allocations);
            print!("  {name:20} {rate:>10.0} {cpu:>9.1} {allocations:>9.1}");
            self.ratios(index).print();
        }
    }

    /// Prints the geometric means of the ratios in several tables.
    pub(crate) fn print_means(title: &str, tables: &[&Self]) {
        print_head(&format!("geometric means of {title}"));
        for (index, column) in tables[0].columns.iter().enumerate() {
            let ratios: Vec<Ratios> = tables.iter().map(|table| table.ratios(index)).collect();
            let mean = |part: usize| {
                let logs = ratios.iter().map(|ratios| ratios.0[part].ln());
                (logs.sum::<f64>() / ratios.len() as f64).exp()
            };
            print!("  {:20} {:>10} {:>9} {:>9}", column.name, "", "", "");
            Ratios([0, 1, 2, 3].map(mean)).print();
        }
    }

    fn ratios(&self, index: usize) -> Ratios {
        let to = |other: usize, ratio: fn(&Sample, &Sample) -> f64| {
            let own = self.columns[index].samples.iter();
            let pairs = own.zip(&self.columns[other].samples);
            median(pairs.map(|(own, other)| ratio(own, other)))
        };
        let (by_hand, last) = (self.columns[index].by_hand, self.columns.len() - 1);
        Ratios([
            to(by_hand, |own, other| other.elapsed / own.elapsed),
            to(last, |own, other| other.elapsed / own.elapsed),
            to(by_hand, |own, other| own.cpu / other.cpu),
            to(last, |own, other| own.cpu / other.cpu),
        ])
    }
}

/// The throughput and the CPU time of a contender, as multiples of those of the same by hand, and of the last.
struct Ratios([f64; 4]);

impl Ratios {
    fn print(&self) {
        let [by_hand, last, by_hand_cpu, last_cpu] = self.0;
        println!(" {by_hand:>9.2} {last:>11.2} {by_hand_cpu:>12.2} {last_cpu:>11.2}");
    }
}

fn print_head(title: &str) {
    println!("\n{title}");
    println!(
        "  {:20} {:>10} {:>9} {:>9} {:>9} {:>11} {:>12} {:>11}",
        "", "per second", "CPU µs", "allocs", "× by hand", "× etcd-cl.", "CPU: by hand", "etcd-cl."
    );
}

/// The CPU time of this thread. Zero where the system does not tell it.
pub(crate) fn cpu_time() -> Duration {
    let text = fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    let nanos = text.split(' ').next().and_then(|it| it.parse().ok());
    Duration::from_nanos(nanos.unwrap_or(0))
}

fn median(all: impl Iterator<Item = f64>) -> f64 {
    let mut all: Vec<f64> = all.collect();
    all.sort_by(f64::total_cmp);
    all[all.len() / 2]
}
