use std::{
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    task::{Context, Poll},
    time::Duration,
};

use h2::{Ping, PingPong};
use tokio::time::{Instant, Sleep, sleep};

use super::connection::State;
use crate::settings::Settings;

/// Watches over one connection: is it alive while streams are open, and is it needed while none is?
pub(super) struct Monitor {
    ping_pong: Option<PingPong>,
    ping_interval: Duration,
    ping_timeout: Duration,
    idle_timeout: Duration,
    phase: Phase,
    timer: Pin<Box<Sleep>>,
    /// Whether something was read since the last poll.
    received: Arc<AtomicBool>,
    /// How many streams had been opened when something was last read.
    answered: usize,
    /// Whether a ping is to be sent as soon as a stream is open: etcd does not allow it while none is.
    is_ping_due: bool,
    /// How many streams had been opened at the last look.
    opened: usize,
    /// Since when no stream has been open.
    idle_since: Instant,
}

enum Phase {
    Waiting,
    Pinged,
}

pub(super) enum Verdict {
    Healthy,
    /// The peer does not respond, or nothing needs the connection.
    Over,
}

impl Monitor {
    /// `received` is set whenever something was read.
    pub(super) fn new(
        ping_pong: Option<PingPong>,
        received: Arc<AtomicBool>,
        settings: &Settings,
    ) -> Self {
        let interval = settings.http2_ping_interval;
        let ping_interval = interval.unwrap_or(settings.idle_timeout.max(LEAST_INTERVAL));
        Self {
            ping_pong: ping_pong.filter(|_| interval.is_some()),
            ping_interval,
            ping_timeout: settings.http2_ping_timeout,
            idle_timeout: settings.idle_timeout,
            phase: Phase::Waiting,
            timer: Box::pin(sleep(ping_interval)),
            received,
            answered: 0,
            is_ping_due: false,
            opened: 0,
            idle_since: Instant::now(),
        }
    }

    pub(super) fn poll(&mut self, cx: &mut Context<'_>, state: &State) -> Verdict {
        if self.received.load(Relaxed) {
            self.received.store(false, Relaxed);
            self.answered = state.opened();
            self.is_ping_due = false;
        }
        if let (Phase::Pinged, Some(ping_pong)) = (&self.phase, &mut self.ping_pong) {
            match ping_pong.poll_pong(cx) {
                Poll::Ready(Ok(_)) => self.wait(),
                Poll::Ready(Err(_)) => return Verdict::Over,
                Poll::Pending => {}
            }
        }
        while self.timer.as_mut().poll(cx).is_ready() {
            if matches!(self.phase, Phase::Pinged) {
                return Verdict::Over;
            }
            if self.is_idle(state)
                && self.idle_since.elapsed() >= self.idle_timeout
                && state.close_if_unused()
            {
                return Verdict::Over;
            }
            // Streams may have been opened and given up since, without a response.
            self.is_ping_due = state.open() > 0 || state.opened() != self.answered;
            self.wait();
        }
        if self.is_ping_due && state.open() > 0 {
            return self.ping(cx);
        }
        Verdict::Healthy
    }

    fn ping(&mut self, cx: &mut Context<'_>) -> Verdict {
        self.is_ping_due = false;
        let Some(ping_pong) = &mut self.ping_pong else {
            return Verdict::Healthy;
        };
        if ping_pong.send_ping(Ping::opaque()).is_err() {
            return Verdict::Over;
        }
        self.phase = Phase::Pinged;
        let deadline = Instant::now() + self.ping_timeout;
        self.timer.as_mut().reset(deadline);
        // The connection has to send it, and the timer to be polled.
        cx.waker().wake_by_ref();
        Verdict::Healthy
    }

    fn wait(&mut self) {
        self.phase = Phase::Waiting;
        let next = Instant::now() + self.ping_interval;
        self.timer.as_mut().reset(next);
    }

    /// Returns whether no stream is open, and none was opened since the last look.
    fn is_idle(&mut self, state: &State) -> bool {
        let opened = state.opened();
        let is_idle = state.open() == 0 && opened == self.opened;
        if !is_idle {
            self.opened = opened;
            self.idle_since = Instant::now();
        }
        is_idle
    }
}

const LEAST_INTERVAL: Duration = Duration::from_secs(1);
