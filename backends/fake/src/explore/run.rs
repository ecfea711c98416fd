use std::{
    any::Any,
    fmt,
    future::Future,
    panic::{AssertUnwindSafe, catch_unwind},
    pin::Pin,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll, Wake, Waker},
    time::Duration,
};

use etcd_transport::Transport;

use super::{
    report::Cause,
    schedule::{Extent, ScheduledFault, is_stream},
    timeline::{Note, timeline},
};
use crate::{
    cluster::{clock::Clock, request_log::Exchange},
    control::builder::FakeEtcdBuilder,
    fake::FakeEtcd,
};

/// How often a test may be polled before time has to pass.
const MOST_POLLS: u32 = 1_000_000;

/// How long a run may take.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    /// By the fake's clock.
    pub(super) time: Duration,
    polls: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            time: Duration::from_secs(3600),
            polls: MOST_POLLS,
        }
    }
}

/// What a run did.
#[derive(Debug)]
pub(super) struct Run {
    /// Why it failed, if it did.
    pub(super) cause: Option<Cause>,
    pub(super) extent: Extent,
    /// How many requests met a fault.
    pub(super) faulty: u64,
    pub(super) elapsed: Duration,
    /// What happened. Empty if it passed.
    pub(super) timeline: Vec<String>,
}

/// Runs a test with these faults.
pub(super) fn run<F, E>(
    builder: &FakeEtcdBuilder,
    seed: u64,
    limits: Limits,
    faults: &[ScheduledFault],
    test: impl Fn(FakeEtcd) -> F,
) -> Run
where
    F: Future<Output = Result<(), E>>,
    E: fmt::Display,
{
    let etcd = builder.clone().clock(Clock::Manual).seed(seed).build();
    let later = Later::default();
    for fault in faults {
        fault.inject(&etcd, &later);
    }
    let others_seed = fastrand::get_seed();
    fastrand::seed(seed);
    let mut notes = Vec::new();
    let (cause, log) = drive(&etcd, limits, &later, &mut notes, test);
    fastrand::seed(others_seed);
    // They hold the fake, and the fake holds the faults, which hold them.
    let events = later.clear();
    notes.extend(events);
    let elapsed = etcd.elapsed();
    let timeline = match &cause {
        Some(cause) => timeline(&log, notes, elapsed, cause),
        None => Vec::new(),
    };
    let is_faulty = |exchange: &&Exchange| exchange.fault().is_some();
    Run {
        cause,
        extent: Extent {
            requests: log.len() as u64,
            streams: log.iter().filter(|exchange| is_stream(exchange)).count() as u64,
            members: etcd.endpoints().len(),
        },
        faulty: log.iter().filter(is_faulty).count() as u64,
        elapsed,
        timeline,
    }
}

/// Polls a test until it ends, and moves the clock when it waits. Returns why it failed, and the requests as they were at that
/// moment.
fn drive<F, E>(
    etcd: &FakeEtcd,
    limits: Limits,
    later: &Later,
    notes: &mut Vec<Note>,
    test: impl Fn(FakeEtcd) -> F,
) -> (Option<Cause>, Vec<Exchange>)
where
    F: Future<Output = Result<(), E>>,
    E: fmt::Display,
{
    let signal = Arc::new(Signal(AtomicBool::new(true)));
    let waker = Waker::from(Arc::clone(&signal));
    let mut context = Context::from_waker(&waker);
    let test = catch_unwind(AssertUnwindSafe(|| Box::pin(test(etcd.clone()))));
    let mut test = match test {
        Ok(test) => test,
        Err(panic) => return (Some(Cause::Panicked(message(&*panic))), etcd.log()),
    };
    let mut polls = 0;
    let cause = loop {
        if signal.0.swap(false, Ordering::Relaxed) {
            polls += 1;
            let polled = catch_unwind(AssertUnwindSafe(|| test.as_mut().poll(&mut context)));
            match polled {
                Err(panic) => break Some(Cause::Panicked(message(&*panic))),
                Ok(Poll::Ready(Ok(()))) => break None,
                Ok(Poll::Ready(Err(error))) => break Some(Cause::Error(error.to_string())),
                Ok(Poll::Pending) if polls > limits.polls => break Some(Cause::Busy),
                Ok(Poll::Pending) => later.poll(&mut context),
            }
            continue;
        }
        polls = 0;
        let leases = etcd.leases();
        if etcd.advance_to_next().is_none() {
            break Some(Cause::Hung);
        }
        let left = etcd.leases();
        for lease in leases {
            if !left.iter().any(|other| other.id == lease.id) {
                notes.push((etcd.elapsed(), format!("lease {} expires", lease.id)));
            }
        }
        if etcd.elapsed() > limits.time {
            break Some(Cause::TimeLimit(limits.time));
        }
    };
    let log = etcd.log();
    // A test that has panicked may do so again when it is dropped.
    let dropped = catch_unwind(AssertUnwindSafe(|| drop(test)));
    match dropped {
        Err(panic) if cause.is_none() => (Some(Cause::Panicked(message(&*panic))), log),
        _ => (cause, log),
    }
}

/// Whether the test is to be polled.
struct Signal(AtomicBool);

impl Wake for Signal {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// What happens some time after a fault.
#[derive(Clone, Default)]
pub(super) struct Later(Arc<Mutex<Waiting>>);

#[derive(Default)]
struct Waiting {
    events: Vec<Pin<Box<dyn Future<Output = Note> + Send>>>,
    happened: Vec<Note>,
}

impl Later {
    /// Does something to the cluster after a while.
    pub(super) fn add(
        &self,
        etcd: &FakeEtcd,
        after: Duration,
        what: String,
        event: impl FnOnce(&FakeEtcd) + Send + 'static,
    ) {
        let etcd = etcd.clone();
        self.waiting().events.push(Box::pin(async move {
            etcd.sleep(after).await;
            event(&etcd);
            (etcd.elapsed(), what)
        }));
    }

    /// Has everything happen whose time has come.
    fn poll(&self, context: &mut Context<'_>) {
        // The list is free meanwhile: a request that goes on may meet another fault.
        let events = std::mem::take(&mut self.waiting().events);
        for mut event in events {
            match event.as_mut().poll(context) {
                Poll::Ready(note) => self.waiting().happened.push(note),
                Poll::Pending => self.waiting().events.push(event),
            }
        }
    }

    /// Forgets what has not happened yet; returns what has.
    fn clear(&self) -> Vec<Note> {
        let Waiting { events, happened } = std::mem::take(&mut *self.waiting());
        drop(events);
        happened
    }

    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The message of a panic.
fn message(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    let text = text.or_else(|| panic.downcast_ref::<&str>().copied());
    text.unwrap_or("a value that is not a text").to_owned()
}
