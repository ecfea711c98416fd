use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicU32, AtomicU64, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

use crate::{
    base::{endpoint::Endpoint, trace},
    endpoints::{
        examination::SharedExamination,
        idle::IdleStreams,
        info::{Circuit, EndpointInfo},
        liveness::{Liveness, LivenessCheck},
        protocol::Protocol,
        unsupported::UnsupportedFeatures,
        wire_choice::{NoGrpc, WireChoice},
    },
};

/// How long an endpoint that failed is avoided while there are others. It doubles with each consecutive failure.
pub(super) const FIRST_COOL_DOWN: Duration = Duration::from_secs(1);
pub(super) const MAX_COOL_DOWN: Duration = Duration::from_secs(30);

/// An endpoint of a client and its state: a handle that stays valid when the set changes.
#[derive(Clone)]
pub(crate) struct EndpointState(Arc<Known>);

struct Known {
    endpoint: Endpoint,
    /// The instant that `down_until` counts from.
    epoch: Instant,
    /// In milliseconds since the epoch; 0 if the endpoint is up.
    down_until: AtomicU64,
    failures: AtomicU32,
    /// When it failed last, in milliseconds since the epoch.
    last_failed: AtomicU64,
    wire: WireChoice,
    /// The one that is under way.
    examination: SharedExamination,
    unsupported: UnsupportedFeatures,
    liveness: Liveness,
    idle: IdleStreams,
}

impl EndpointState {
    pub(crate) fn new(endpoint: Endpoint, protocol: Protocol, epoch: Instant) -> Self {
        Self(Arc::new(Known {
            endpoint,
            epoch,
            down_until: AtomicU64::new(0),
            failures: AtomicU32::new(0),
            last_failed: AtomicU64::new(0),
            wire: WireChoice::new(protocol),
            examination: SharedExamination::default(),
            unsupported: UnsupportedFeatures::default(),
            liveness: Liveness::default(),
            idle: IdleStreams::default(),
        }))
    }

    pub(crate) fn endpoint(&self) -> &Endpoint {
        &self.0.endpoint
    }

    /// Which wire is used for calls that can use more than one.
    pub(crate) fn wire(&self) -> &WireChoice {
        &self.0.wire
    }

    /// The examination of its wire that is under way.
    pub(crate) fn examination(&self) -> &SharedExamination {
        &self.0.examination
    }

    /// Records that it responds by gRPC.
    pub(crate) fn found_grpc(&self) {
        if self.0.wire.found_grpc() {
            self.wire_changed();
        }
    }

    /// Records that it cannot be asked by gRPC.
    pub(crate) fn found_no_grpc(&self, why: NoGrpc, now: Instant) {
        if self.0.wire.found_no_grpc(why, now) {
            self.wire_changed();
        }
    }

    /// What one way of asking does not serve, another may.
    fn wire_changed(&self) {
        self.0.unsupported.forget();
        if let (Some(protocol), Some(reason)) = self.0.wire.describe() {
            trace::protocol_found(&self.0.endpoint, protocol, &reason);
        }
    }

    /// Returns what is known about it.
    pub(crate) fn info(&self, now: Instant) -> EndpointInfo {
        let (protocol, reason) = self.0.wire.describe();
        EndpointInfo {
            endpoint: self.0.endpoint.clone(),
            is_up: self.is_up(now),
            circuit: self.circuit(now),
            protocol,
            reason,
        }
    }

    fn circuit(&self, now: Instant) -> Circuit {
        let failures = self.0.failures.load(Relaxed);
        let down_until = self.0.down_until.load(Relaxed);
        let left = down_until.saturating_sub(self.millis(now));
        match (failures, left) {
            (0, _) => Circuit::Closed,
            (failures, 0) => Circuit::HalfOpen { failures },
            (failures, left) => Circuit::Open {
                failures,
                retry_in: Duration::from_millis(left),
            },
        }
    }

    /// The features that it has said it does not support.
    pub(crate) fn unsupported(&self) -> &UnsupportedFeatures {
        &self.0.unsupported
    }

    /// Returns whether both are the same endpoint.
    pub(crate) fn is(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }

    pub(crate) fn is_up(&self, now: Instant) -> bool {
        let down_until = self.0.down_until.load(Relaxed);
        // Most are, and then the time does not matter.
        down_until == 0 || down_until <= self.millis(now)
    }

    /// Records that it is alive.
    pub(crate) fn mark_alive(&self, now: Instant) {
        self.0.liveness.mark_alive(self.0.epoch, now);
    }

    /// Returns when it last showed that it is alive.
    pub(crate) fn last_alive(&self) -> Option<Instant> {
        self.0.liveness.last_alive(self.0.epoch)
    }

    /// Records that it does not respond to the question whether it is alive.
    pub(crate) fn mark_unresponsive(&self, now: Instant) {
        self.0.liveness.mark_unresponsive(self.0.epoch, now);
    }

    /// Returns what a stream does that has been silent for its limit.
    pub(crate) fn check_liveness(&self, now: Instant, limit: Duration) -> LivenessCheck {
        self.0.liveness.check(self.0.epoch, now, limit)
    }

    /// Whether a stream is to ask for the leader, as none has done within this time.
    pub(crate) fn asks_for_leader(&self, now: Instant, within: Duration) -> bool {
        self.0.liveness.asks_for_leader(self.0.epoch, now, within)
    }

    /// Returns what [`check_liveness`](Self::check_liveness) would return, if nothing changes meanwhile.
    pub(crate) fn peek_liveness(&self, now: Instant, limit: Duration) -> LivenessCheck {
        self.0.liveness.peek(self.0.epoch, now, limit)
    }

    /// The streams that wait for it.
    pub(crate) fn idle(&self) -> &IdleStreams {
        &self.0.idle
    }

    /// Marks it as up.
    pub(crate) fn answered(&self) {
        let failures = self.0.failures.load(Relaxed);
        if failures != 0 {
            self.0.failures.store(0, Relaxed);
            self.0.down_until.store(0, Relaxed);
            trace::endpoint_recovered(&self.0.endpoint, failures);
        }
    }

    /// Marks it as down. The server that comes up again may be a newer etcd.
    ///
    /// Failures during a cool-down do not double it: when a server goes down, all that are connected to it fail at once.
    pub(crate) fn failed(&self, now: Instant) {
        self.0.unsupported.forget();
        self.0.wire.doubt();
        let was_up = self.is_up(now);
        let failures = if was_up {
            self.0.failures.fetch_add(1, Relaxed)
        } else {
            self.0.failures.load(Relaxed).saturating_sub(1)
        };
        let cool_down = FIRST_COOL_DOWN
            .saturating_mul(1 << failures.min(16))
            .min(MAX_COOL_DOWN);
        if was_up && failures == 0 {
            trace::endpoint_failed(&self.0.endpoint, cool_down);
        }
        self.0.last_failed.store(self.millis(now), Relaxed);
        self.0
            .down_until
            .store(self.millis(now + cool_down), Relaxed);
    }

    /// Returns when it failed last, in milliseconds since the client was made.
    pub(super) fn last_failed(&self) -> u64 {
        self.0.last_failed.load(Relaxed)
    }

    fn millis(&self, now: Instant) -> u64 {
        let since = now.saturating_duration_since(self.0.epoch).as_millis();
        u64::try_from(since).unwrap_or(u64::MAX)
    }
}

impl fmt::Debug for EndpointState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EndpointState")
            .field("endpoint", &self.0.endpoint)
            .field("failures", &self.0.failures)
            .finish_non_exhaustive()
    }
}
