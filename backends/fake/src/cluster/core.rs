use std::{
    fmt,
    sync::{Arc, Mutex, OnceLock, PoisonError},
    task::{Context, Poll, Waker},
    time::{Duration, Instant},
};

use etcd_transport::TransportError;
use http::{HeaderValue, Uri};

use super::{
    alarm::Alarm,
    calls::CallCounts,
    clock::Clock,
    endpoint::Endpoint,
    exchanges::{ExchangeId, OpenExchanges},
    fault::Kind,
    replication::Cluster,
    request_log::{Exchange, Outcome, RequestLog, Texts},
    state::State,
    timeline::Timeline,
    watchdog,
    when::Rules,
};
use crate::go::date::http_date;

/// What the clones of a fake share.
pub(crate) struct Shared<S: State> {
    core: Mutex<Core<S>>,
    /// When the fake was made, by the real clock: where the fake's own `Instant`s begin.
    pub(crate) origin: Instant,
    clock: Clock,
    alarm: OnceLock<Arc<Alarm>>,
}

/// All that a fake consists of, behind one lock.
#[derive(Debug)]
pub(crate) struct Core<S: State> {
    pub(crate) cluster: Cluster<S>,
    pub(crate) time: Timeline,
    pub(crate) endpoints: Vec<Endpoint>,
    pub(crate) rules: Rules,
    pub(crate) log: RequestLog,
    pub(crate) exchanges: OpenExchanges,
    pub(crate) calls: CallCounts,
    /// Incremented whenever all servers stop.
    stops: u64,
    /// To be woken once the lock is free.
    pub(super) wakers: Vec<Waker>,
    /// To be dropped once the lock is free: a waker may own a task, whose end may need the lock.
    dropped_wakers: Vec<Waker>,
    date: (i64, HeaderValue),
}

/// How often the servers behind an endpoint have stopped: a response breaks off when this changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ServerRun {
    all: u64,
    own: u64,
}

/// A request that has reached an endpoint.
pub(crate) struct Arrived {
    pub(crate) endpoint: usize,
    /// Its number in the log.
    pub(crate) number: u64,
    pub(crate) fault: Option<Kind>,
}

impl<S: State> Shared<S> {
    pub(crate) fn new(core: Core<S>) -> Arc<Self> {
        Arc::new(Self {
            origin: Instant::now(),
            clock: core.time.clock,
            core: Mutex::new(core),
            alarm: OnceLock::new(),
        })
    }

    /// Does something with the core, and wakes those concerned once the lock is free.
    pub(crate) fn with<R>(self: &Arc<Self>, f: impl FnOnce(&mut Core<S>) -> R) -> R {
        let (result, mut after) = self.locked(f);
        loop {
            drop(after.dropped_wakers);
            for waker in after.wakers {
                waker.wake();
            }
            if after.stands {
                watchdog::watch(Arc::downgrade(self));
            }
            if let Some(due) = after.alarm {
                let alarm = self
                    .alarm
                    .get_or_init(|| Alarm::start(Arc::downgrade(self)));
                alarm.set(self.origin + Duration::from_nanos(due));
            }
            if !after.is_waking {
                return result;
            }
            // The woken tasks count as running by now, so the clock may jump again.
            ((), after) = self.locked(|core| {
                core.time.waking -= 1;
                core.jump_if_all_wait();
            });
        }
    }

    fn locked<R>(&self, f: impl FnOnce(&mut Core<S>) -> R) -> (R, After) {
        let mut core = self.core.lock().unwrap_or_else(PoisonError::into_inner);
        let is_real = self.clock == Clock::Real;
        if is_real {
            let elapsed = self.real_elapsed().saturating_add(core.time.ahead);
            core.advance_to(elapsed);
        }
        let result = f(&mut core);
        core.expire_at_once();
        core.collect_wakers();
        let is_waking = core.time.tracked > 0 && !core.wakers.is_empty();
        core.time.waking += usize::from(is_waking);
        let after = After {
            wakers: std::mem::take(&mut core.wakers),
            dropped_wakers: std::mem::take(&mut core.dropped_wakers),
            alarm: is_real.then(|| core.next_alarm()).flatten(),
            stands: core.time.begins_to_stand(),
            is_waking,
        };
        (result, after)
    }

    /// Looks at the core without letting time pass.
    pub(crate) fn look<R>(&self, f: impl FnOnce(&mut Core<S>) -> R) -> R {
        f(&mut self.core.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn real_elapsed(&self) -> u64 {
        u64::try_from(self.origin.elapsed().as_nanos()).unwrap_or(u64::MAX)
    }
}

impl<S: State> Core<S> {
    pub(crate) fn new(
        cluster: Cluster<S>,
        time: Timeline,
        endpoints: Vec<Endpoint>,
        log: RequestLog,
    ) -> Self {
        let seed = cluster.rng.clone();
        Self {
            cluster,
            time,
            endpoints,
            rules: Rules::new(seed),
            log,
            exchanges: OpenExchanges::default(),
            calls: CallCounts::default(),
            stops: 0,
            wakers: Vec::new(),
            dropped_wakers: Vec::new(),
            date: (i64::MIN, HeaderValue::from_static("")),
        }
    }

    /// Takes a request in: finds its endpoint, logs it, and chooses a fault for it.
    ///
    /// # Errors
    /// With its number in the log when the connection is refused.
    pub(crate) fn receive(
        &mut self,
        uri: &Uri,
        exchange: impl FnOnce(&mut Texts) -> Exchange,
    ) -> Result<Arrived, u64> {
        self.time.note_activity();
        let found = self.find(uri);
        let endpoint = found.unwrap_or_default();
        let is_up = found.is_some() && self.endpoints.get(endpoint).is_some_and(|e| e.is_up);
        let has_rules = is_up && !self.rules.is_empty();
        // It is not made where nobody looks at it.
        let is_made = has_rules || self.log.is_kept();
        let mut exchange = is_made.then(|| exchange(&mut self.log.texts));
        let mut fault = None;
        if let Some(exchange) = &mut exchange {
            exchange.at = self.time.elapsed;
            exchange.endpoint = endpoint;
            if has_rules {
                fault = self.rules.next_fault(exchange);
            }
        }
        let number = self.log.add(exchange);
        if !is_up {
            return Err(number);
        }
        Ok(Arrived {
            endpoint,
            number,
            fault,
        })
    }

    /// Logs the outcome of a request, and that it is over.
    pub(crate) fn set_outcome(&mut self, number: u64, outcome: Outcome) {
        self.log.set_outcome(number, outcome, self.time.elapsed);
    }

    /// Which run of the servers behind an endpoint this is.
    pub(crate) fn server_run(&self, endpoint: usize) -> ServerRun {
        let endpoint = self.endpoints.get(endpoint);
        ServerRun {
            all: self.stops,
            own: endpoint.map_or(0, |endpoint| endpoint.stops),
        }
    }

    /// Starts or stops the server behind one endpoint.
    pub(crate) fn set_up(&mut self, endpoint: usize, is_up: bool) {
        if let Some(endpoint) = self.endpoints.get_mut(endpoint) {
            endpoint.is_up = is_up;
            if !is_up {
                endpoint.stops += 1;
            }
        }
        self.wake_exchanges();
    }

    /// Breaks off every open response, as the end of the servers does.
    pub(crate) fn stop_servers(&mut self) {
        self.stops += 1;
        self.wake_exchanges();
    }

    /// Applies what waited for a quorum, if there is one.
    pub(crate) fn settle(&mut self) {
        if self.cluster.can_commit() {
            self.cluster.apply_pending();
            self.wake_exchanges();
        }
    }

    /// Polls an open exchange for what `take` finds. It is woken when there may be something, or the server has
    /// stopped.
    pub(crate) fn poll_exchange<T>(
        &mut self,
        id: ExchangeId,
        server: (usize, ServerRun),
        cx: &Context<'_>,
        mut take: impl FnMut(&mut Self) -> Option<T>,
    ) -> Poll<Result<T, TransportError>> {
        let (endpoint, run) = server;
        if self.server_run(endpoint) != run {
            self.time.note_activity();
            return Poll::Ready(Err(TransportError::interrupted("the server stopped")));
        }
        // Twice, in case the clock jumps in between and brings an event.
        for _ in 0..2 {
            if let Some(found) = take(self) {
                self.time.note_activity();
                return Poll::Ready(Ok(found));
            }
            self.wait_for_event(id, cx.waker());
            if !self.idle(None, cx.waker()) {
                break;
            }
        }
        Poll::Pending
    }

    /// Has a waker woken at the next event of an exchange.
    pub(crate) fn wait_for_event(&mut self, id: ExchangeId, waker: &Waker) {
        let old = self.exchanges.wait(id, waker);
        self.dropped_wakers.extend(old);
    }

    /// Forgets an exchange that has ended.
    pub(crate) fn close_exchange(&mut self, id: ExchangeId) {
        let old = self.exchanges.close(id);
        self.drop_waker(old);
    }

    /// Drops a waker once the lock is free.
    pub(super) fn drop_waker(&mut self, waker: Option<Waker>) {
        self.dropped_wakers.extend(waker);
    }

    /// Has every open exchange looked at again.
    pub(crate) fn wake_exchanges(&mut self) {
        self.wakers.extend(self.exchanges.take_all_wakers());
    }

    /// Collects the wakers of the exchanges that have something to read.
    pub(super) fn collect_wakers(&mut self) {
        if self.exchanges.is_empty() {
            return;
        }
        for state in self.cluster.states() {
            for id in state.take_ready() {
                self.wakers.extend(self.exchanges.take_waker(id));
            }
        }
    }

    /// The `Date` header of this moment.
    pub(crate) fn date(&mut self) -> HeaderValue {
        let second = self.cluster.now.div_euclid(1_000_000_000);
        if self.date.0 != second
            && let Ok(value) = HeaderValue::try_from(http_date(second))
        {
            self.date = (second, value);
        }
        self.date.1.clone()
    }

    /// The endpoint that a URI leads to.
    fn find(&self, uri: &Uri) -> Option<usize> {
        if self.endpoints.len() == 1 {
            return Some(0);
        }
        let authority = uri.authority()?.as_str();
        let authority = authority.rsplit('@').next().unwrap_or(authority);
        self.endpoints
            .iter()
            .position(|endpoint| endpoint.authority.eq_ignore_ascii_case(authority))
    }
}

impl<S: State> Drop for Shared<S> {
    fn drop(&mut self) {
        if let Some(alarm) = self.alarm.get() {
            alarm.stop();
        }
    }
}

impl<S: State> fmt::Debug for Shared<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shared").finish_non_exhaustive()
    }
}

/// What is left to do when the lock is free.
struct After {
    wakers: Vec<Waker>,
    dropped_wakers: Vec<Waker>,
    /// When the real clock has to be looked at.
    alarm: Option<u64>,
    /// Whether something begins to wait for a clock that stands still.
    stands: bool,
    /// Whether tracked tasks may be about to be woken: until they are, they do not count as running.
    is_waking: bool,
}
