//! Reports why a test hangs: something waits for a clock that is not moved.

use std::{
    sync::{Mutex, PoisonError, Weak},
    thread,
    time::{Duration, Instant},
};

use super::{clock::Clock, core::Shared, state::State, timeline::Timeline};

/// How long a clock stands still, by real time, before that is reported.
const TIME_LIMIT: Duration = Duration::from_secs(10);

const INTERVAL: Duration = Duration::from_secs(1);

/// The fakes for whose clocks something waits. One thread looks at all of them.
static WATCHED: Mutex<Vec<Look>> = Mutex::new(Vec::new());

/// Looks at a fake; returns whether to look again.
type Look = Box<dyn FnMut() -> bool + Send>;

/// What the watchdog knows about a clock.
#[derive(Debug, Default)]
pub(super) struct Watched {
    is_watched: bool,
    /// Counts what happens to the fake.
    activity: u64,
}

impl Watched {
    pub(super) fn note_activity(&mut self) {
        self.activity += 1;
    }
}

impl Timeline {
    /// Whether something has begun to wait for a clock that is moved by hand, and is not watched yet.
    pub(super) fn begins_to_stand(&mut self) -> bool {
        let begins = self.clock == Clock::Manual && self.sleeping() > 0 && !self.watched.is_watched;
        self.watched.is_watched |= begins;
        begins
    }
}

/// Watches a fake for as long as something waits for its clock.
pub(super) fn watch<S: State>(shared: Weak<Shared<S>>) {
    let mut seen = (0, Instant::now());
    let look = move || {
        let Some(shared) = shared.upgrade() else {
            return false;
        };
        let problem = shared.look(|core| {
            let time = &mut core.time;
            let activity = time.watched.activity;
            if activity != seen.0 {
                seen = (activity, Instant::now());
            }
            let is_over = seen.1.elapsed() >= TIME_LIMIT;
            if time.sleeping() == 0 {
                time.watched.is_watched = false;
                return Err(None);
            }
            if is_over {
                Err(Some(problem(time)))
            } else {
                Ok(())
            }
        });
        if let Err(Some(problem)) = &problem {
            eprintln!("{problem}");
        }
        problem.is_ok()
    };
    let mut watched = WATCHED.lock().unwrap_or_else(PoisonError::into_inner);
    watched.push(Box::new(look));
    if watched.len() == 1 {
        // Without the thread a test hangs silently.
        let _ = thread::Builder::new()
            .name("etcd-fake watchdog".to_owned())
            .spawn(run);
    }
}

/// Looks at all fakes until none is left.
fn run() {
    loop {
        thread::sleep(INTERVAL);
        let mut watched = WATCHED.lock().unwrap_or_else(PoisonError::into_inner);
        watched.retain_mut(|look| look());
        if watched.is_empty() {
            return;
        }
    }
}

fn problem(time: &Timeline) -> String {
    let count = time.sleeping();
    let tasks = if count == 1 { "task" } else { "tasks" };
    let next = time.next_sleeper_due();
    let next = next.map_or(String::new(), |due| {
        let left = Duration::from_nanos(due.saturating_sub(time.elapsed));
        format!(", the next for {left:?} more")
    });
    format!(
        "etcd-http-fake: the clock has stood still for {TIME_LIMIT:?}, and {count} {tasks} sleep until it moves{next}. A call that \
         is tried again sleeps in between. Move the clock with FakeEtcd::advance or advance_to_next, or build the fake with \
         Clock::auto(), which jumps when everything waits, or with Clock::Real."
    )
}
