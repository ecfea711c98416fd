use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

/// How often somebody looks whether the machine still turns.
const TICK: Duration = Duration::from_millis(2);

/// What counts as a stall.
const NOTABLE: Duration = Duration::from_millis(10);

/// Sees when this machine has no time for anybody. A thread that does nothing but sleep is woken late then, and so is
/// everybody else: what they do late is no fault of theirs.
#[derive(Debug)]
pub(crate) struct Machine {
    seen: Arc<Mutex<Seen>>,
    is_over: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Debug)]
struct Seen {
    /// When each ended, and how long it was.
    stalls: Vec<(Instant, Duration)>,
    last_look: Instant,
}

impl Machine {
    pub(crate) fn watch() -> Self {
        let seen = Arc::new(Mutex::new(Seen {
            stalls: Vec::new(),
            last_look: Instant::now(),
        }));
        let is_over = Arc::new(AtomicBool::new(false));
        let thread = thread::spawn({
            let (seen, is_over) = (Arc::clone(&seen), Arc::clone(&is_over));
            move || {
                while !is_over.load(Relaxed) {
                    let began = Instant::now();
                    thread::sleep(TICK);
                    let now = Instant::now();
                    let late = (now - began).saturating_sub(TICK);
                    let mut seen = seen.lock().unwrap();
                    seen.last_look = now;
                    if late >= NOTABLE {
                        seen.stalls.push((now, late));
                    }
                }
            }
        });
        Self {
            seen,
            is_over,
            thread: Some(thread),
        }
    }

    /// For how long in all it stalled between these moments.
    pub(crate) fn stalled(&self, from: Instant, to: Instant) -> Duration {
        // A stall is known when it is over.
        while self.seen.lock().unwrap().last_look < to {
            thread::sleep(TICK);
        }
        let seen = self.seen.lock().unwrap();
        let stalls = seen.stalls.iter();
        let within = stalls.map(|(end, late)| {
            let start = (*end - *late).max(from);
            (*end).min(to).saturating_duration_since(start)
        });
        within.sum()
    }

    /// The longest stall so far.
    pub(crate) fn longest_stall(&self) -> Duration {
        let seen = self.seen.lock().unwrap();
        let stalls = seen.stalls.iter().map(|(_, late)| *late);
        stalls.max().unwrap_or_default()
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        self.is_over.store(true, Relaxed);
        if let Some(thread) = self.thread.take() {
            // It does not panic, and a test that does says so itself.
            let _ = thread.join();
        }
    }
}
