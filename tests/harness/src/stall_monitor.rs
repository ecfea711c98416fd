//! Notices when the machine has no processor time for the tests.

use std::{
    num::NonZero,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

/// How long each thread sleeps.
const TICK: Duration = Duration::from_millis(2);

/// What counts as a stall: a sleeping thread of an idle machine wakes sooner.
const NOTABLE: Duration = Duration::from_millis(3);

/// Measures stalls of the machine: one thread for each processor does nothing but sleep, and records when it wakes late.
///
/// What a client does late during a stall is not its fault.
#[derive(Debug)]
pub struct StallMonitor {
    looks: Vec<Arc<Mutex<Looks>>>,
    is_over: Arc<AtomicBool>,
    threads: Vec<JoinHandle<()>>,
}

/// What one thread has recorded.
#[derive(Debug)]
struct Looks {
    /// When it was due to wake, and when it woke.
    stalls: Vec<(Instant, Instant)>,
    last: Instant,
}

impl StallMonitor {
    /// Starts the threads. They end when this is dropped.
    pub fn start() -> Self {
        let mut machine = Self {
            looks: Vec::new(),
            is_over: Arc::default(),
            threads: Vec::new(),
        };
        for _ in 0..thread::available_parallelism().map_or(1, NonZero::get) {
            let looks = Arc::new(Mutex::new(Looks {
                stalls: Vec::new(),
                last: Instant::now(),
            }));
            let is_over = Arc::clone(&machine.is_over);
            machine.looks.push(Arc::clone(&looks));
            machine.threads.push(thread::spawn(move || {
                while !is_over.load(Relaxed) {
                    let due = Instant::now() + TICK;
                    thread::sleep(TICK);
                    let now = Instant::now();
                    let mut looks = looks.lock().unwrap();
                    looks.last = now;
                    if now.saturating_duration_since(due) >= NOTABLE {
                        looks.stalls.push((due, now));
                    }
                }
            }));
        }
        machine
    }

    /// The total time of stalls between these moments.
    pub fn stalled(&self, from: Instant, to: Instant) -> Duration {
        let mut seen_to = from;
        let mut whole = Duration::ZERO;
        for (start, end) in self.stalls(from, to) {
            whole += end.saturating_duration_since(start.max(seen_to));
            seen_to = seen_to.max(end);
        }
        whole
    }

    /// The time since this moment, stalls aside.
    pub fn elapsed(&self, since: Instant) -> Duration {
        let now = Instant::now();
        (now - since).saturating_sub(self.stalled(since, now))
    }

    /// The longest stall between these moments.
    pub fn longest_stall(&self, from: Instant, to: Instant) -> Duration {
        let stalls = self.stalls(from, to).into_iter();
        stalls
            .map(|(start, end)| end - start)
            .max()
            .unwrap_or_default()
    }

    /// The stalls, sorted by their start.
    fn stalls(&self, from: Instant, to: Instant) -> Vec<(Instant, Instant)> {
        let mut stalls = Vec::new();
        for looks in &self.looks {
            // A stall is recorded when it is over.
            while looks.lock().unwrap().last < to {
                thread::sleep(TICK);
            }
            let looks = looks.lock().unwrap();
            let within = looks
                .stalls
                .iter()
                .filter(|stall| stall.0 < to && stall.1 > from);
            stalls.extend(within.map(|stall| (stall.0.max(from), stall.1.min(to))));
        }
        stalls.sort();
        stalls
    }
}

impl Drop for StallMonitor {
    fn drop(&mut self) {
        self.is_over.store(true, Relaxed);
        for thread in self.threads.drain(..) {
            // It does not panic.
            let _ = thread.join();
        }
    }
}
