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
use tokio::time::{Instant, Sleep, sleep_until};

use super::connection::State;
use crate::settings::{LONGEST, Settings};

/// Watches over one connection: is it alive while streams are open, and is it needed while none is?
pub(super) struct Monitor {
    ping_pong: Option<PingPong>,
    ping_interval: Duration,
    ping_timeout: Duration,
    phase: Phase,
    timer: Pin<Box<Sleep>>,
    /// When to look next whether the peer is alive.
    ping_at: Instant,
    /// Whether something was read since the last poll.
    received: Arc<AtomicBool>,
    /// How many streams had been opened when something was last read.
    answered: usize,
    /// Whether a ping is to be sent as soon as a stream is open: etcd does not allow it while none is.
    is_ping_due: bool,
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
        state: &State,
        settings: &Settings,
    ) -> Self {
        let interval = settings.http2_ping_interval;
        let ping_interval = interval.unwrap_or(LONGEST);
        let ping_at = Instant::now() + ping_interval;
        Self {
            ping_pong: ping_pong.filter(|_| interval.is_some()),
            ping_interval,
            ping_timeout: settings.http2_ping_timeout,
            phase: Phase::Waiting,
            timer: Box::pin(sleep_until(ping_at.min(state.idle_deadline()))),
            ping_at,
            received,
            answered: 0,
            is_ping_due: false,
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
                Poll::Ready(Ok(_)) => {
                    self.ping_at = Instant::now() + self.ping_interval;
                    self.wait(state);
                }
                Poll::Ready(Err(_)) => return Verdict::Over,
                Poll::Pending => {}
            }
        }
        while self.timer.as_mut().poll(cx).is_ready() {
            if matches!(self.phase, Phase::Pinged) {
                return Verdict::Over;
            }
            let now = Instant::now();
            if now >= state.idle_deadline() && state.close_if_unused() {
                return Verdict::Over;
            }
            if now >= self.ping_at {
                // Streams may have been opened and given up since, without a response.
                self.is_ping_due = state.open() > 0 || state.opened() != self.answered;
                self.ping_at = now + self.ping_interval;
            }
            self.wait(state);
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

    fn wait(&mut self, state: &State) {
        self.phase = Phase::Waiting;
        // The last stream may be over just now, and the connection idle from then on.
        let next = self.ping_at.min(state.idle_deadline());
        self.timer.as_mut().reset(next);
    }
}
