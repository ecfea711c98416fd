use std::{fmt, time::Duration};

use super::run::Later;
use crate::{
    cluster::{request_log::Exchange, when::When},
    control::faults::Fault,
    fake::FakeEtcd,
    rng::Rng,
};

/// A kind of fault that a run may meet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum FaultKind {
    /// A request arrives late.
    Delay,
    /// The response to a request arrives late.
    DelayResponse,
    /// A request is lost: the connection breaks before the server acts, or nothing comes back.
    LostRequest,
    /// The server acts, and its response is lost: the connection breaks, or nothing comes back.
    LostResponse,
    /// A stream (a watch, a keep-alive, an observation) breaks after some messages.
    CutStream,
    /// There is no leader for a while, and then another one.
    LeaderChange,
    /// A member applies nothing for a while: what it serves without asking the others is stale, its watches are silent.
    Lag,
    /// The history is compacted before a request, as it is when a watch resumes too late.
    Compaction,
    /// A request arrives right after the next expiry: its sender believes in a lease, or a key, that is gone.
    Expiry,
}

impl FaultKind {
    /// All kinds.
    pub const ALL: [Self; 9] = [
        Self::Delay,
        Self::DelayResponse,
        Self::LostRequest,
        Self::LostResponse,
        Self::CutStream,
        Self::LeaderChange,
        Self::Lag,
        Self::Compaction,
        Self::Expiry,
    ];
}

/// A fault at a certain moment of a run: that of the n-th request, or of the n-th stream. `Display` says what happens when.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ScheduledFault {
    kind: FaultKind,
    /// Which request it meets, counted from 1, or which stream if the kind is of streams.
    number: u64,
    action: Action,
}

/// The details of a fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Action {
    Delay(Duration),
    DelayResponse(Duration),
    LostRequest { silently: bool },
    LostResponse { silently: bool },
    CutStream { messages: usize },
    LeaderChange { after: Duration, endpoint: usize },
    Lag { endpoint: usize, lasting: Duration },
    Compaction,
    Expiry { after: Duration },
}

impl ScheduledFault {
    /// The kind.
    pub fn kind(&self) -> FaultKind {
        self.kind
    }

    /// Injects it into a fake. What has to be undone some time after it is left to `later`.
    pub(super) fn inject(&self, etcd: &FakeEtcd, later: &Later) {
        let when = match self.action {
            Action::CutStream { .. } => When::any().matching(is_stream),
            _ => When::any(),
        };
        let name = self.to_string();
        let fault = self.action.fault(later);
        etcd.inject_named(when.nth(self.number), fault, &name);
    }
}

impl fmt::Display for ScheduledFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let number = self.number;
        let how = |silently| match silently {
            true => "nothing comes back",
            false => "the connection breaks",
        };
        match self.action {
            Action::Delay(delay) => write!(f, "request {number} arrives {delay:?} late"),
            Action::DelayResponse(delay) => {
                write!(f, "the response to request {number} arrives {delay:?} late")
            }
            Action::LostRequest { silently } => {
                write!(f, "request {number} is lost: {}", how(silently))
            }
            Action::LostResponse { silently } => {
                let how = how(silently);
                write!(f, "the response to request {number} is lost: {how}")
            }
            Action::CutStream { messages } => {
                write!(f, "stream {number} breaks after {messages} messages")
            }
            Action::LeaderChange { after, endpoint } => write!(
                f,
                "from request {number} on there is no leader for {after:?}, then endpoint {endpoint} leads"
            ),
            Action::Lag { endpoint, lasting } => write!(
                f,
                "from request {number} on endpoint {endpoint} lags for {lasting:?}"
            ),
            Action::Compaction => write!(f, "the history is compacted before request {number}"),
            Action::Expiry { after } => write!(
                f,
                "request {number} arrives {after:?} after the next lease or key has expired"
            ),
        }
    }
}

impl Action {
    fn fault(self, later: &Later) -> Fault {
        let later = later.clone();
        match self {
            Self::Delay(delay) => Fault::delay(delay),
            Self::DelayResponse(delay) => Fault::delay_response(delay),
            Self::LostRequest { silently: true } => Fault::silence(),
            Self::LostRequest { silently: false } => Fault::break_before(),
            Self::LostResponse { silently: true } => Fault::silence_after(),
            Self::LostResponse { silently: false } => Fault::break_after(),
            Self::CutStream { messages } => Fault::break_after_events(messages),
            Self::LeaderChange { after, endpoint } => Fault::before(move |etcd| {
                etcd.begin_election();
                let what = format!("endpoint {endpoint} leads");
                later.add(etcd, after, what, move |etcd| {
                    etcd.endpoint(endpoint).lead();
                });
            }),
            Self::Lag { endpoint, lasting } => Fault::before(move |etcd| {
                etcd.endpoint(endpoint).lag();
                let what = format!("endpoint {endpoint} catches up");
                later.add(etcd, lasting, what, move |etcd| {
                    etcd.endpoint(endpoint).catch_up();
                });
            }),
            Self::Compaction => Fault::before(|etcd| {
                etcd.compact();
                etcd.clear_history();
            }),
            Self::Expiry { after } => Fault::delay_past_expiry(after),
        }
    }
}

/// How much a run without faults does: what faults can be aimed at.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Extent {
    pub(super) requests: u64,
    pub(super) streams: u64,
    pub(super) members: usize,
}

/// From what schedules are chosen.
#[derive(Clone, Copy, Debug)]
pub(super) struct Choice<'a> {
    pub(super) weights: &'a [(FaultKind, u32)],
    pub(super) budget: usize,
    pub(super) extent: Extent,
}

impl Choice<'_> {
    /// The faults of the run with this seed.
    pub(super) fn schedule(&self, seed: u64) -> Vec<ScheduledFault> {
        let mut rng = Rng::new(seed);
        if self.budget == 0 {
            return Vec::new();
        }
        let count = 1 + rng.below(self.budget);
        let mut faults: Vec<_> = (0..count).map_while(|_| self.fault(&mut rng)).collect();
        faults.sort_by_key(|fault| fault.number);
        faults
    }

    /// A fault of the kinds that can happen here; `None` if there is none.
    fn fault(&self, rng: &mut Rng) -> Option<ScheduledFault> {
        let weight = |(kind, weight): &(FaultKind, u32)| {
            let is_possible = match kind {
                FaultKind::CutStream => self.extent.streams > 0,
                FaultKind::Lag => self.extent.members > 1,
                _ => self.extent.requests > 0,
            };
            if is_possible { *weight as usize } else { 0 }
        };
        let total = self.weights.iter().map(weight).sum();
        if total == 0 {
            return None;
        }
        let mut left = rng.below(total);
        let (kind, _) = self.weights.iter().find(|entry| {
            let weight = weight(entry);
            let is_chosen = left < weight;
            left = left.saturating_sub(weight);
            is_chosen
        })?;
        let range = match kind {
            FaultKind::CutStream => self.extent.streams,
            _ => self.extent.requests,
        };
        // Requests that were made because of a fault follow the others.
        let range = usize::try_from(range + range / 4 + 1).unwrap_or(usize::MAX);
        let number = 1 + rng.below(range) as u64;
        let action = self.action(*kind, rng);
        let kind = *kind;
        Some(ScheduledFault {
            kind,
            number,
            action,
        })
    }

    fn action(&self, kind: FaultKind, rng: &mut Rng) -> Action {
        let members = self.extent.members.max(1);
        match kind {
            FaultKind::Delay => Action::Delay(pick(rng, &DELAYS)),
            FaultKind::DelayResponse => Action::DelayResponse(pick(rng, &DELAYS)),
            FaultKind::LostRequest => Action::LostRequest {
                silently: rng.below(2) == 0,
            },
            FaultKind::LostResponse => Action::LostResponse {
                silently: rng.below(2) == 0,
            },
            FaultKind::CutStream => Action::CutStream {
                messages: rng.below(4),
            },
            FaultKind::LeaderChange => Action::LeaderChange {
                after: pick(rng, &DELAYS),
                endpoint: rng.below(members),
            },
            FaultKind::Lag => Action::Lag {
                endpoint: rng.below(members),
                lasting: pick(rng, &DELAYS),
            },
            FaultKind::Compaction => Action::Compaction,
            FaultKind::Expiry => Action::Expiry {
                after: pick(rng, &AFTER_EXPIRY),
            },
        }
    }
}

fn pick(rng: &mut Rng, durations: &[Duration]) -> Duration {
    let position = rng.below(durations.len().max(1));
    durations.get(position).copied().unwrap_or_default()
}

/// Whether a request opens a stream, or waits for an event like one.
pub(super) fn is_stream(exchange: &Exchange) -> bool {
    let path = exchange.path().to_ascii_lowercase();
    let is_v3 = ["/watch", "/keepalive", "/leasekeepalive", "/observe"];
    is_v3.iter().any(|end| path.ends_with(end))
        || (path.starts_with("/v2/keys") && exchange.parameter("wait").as_deref() == Some("true"))
}

const DELAYS: [Duration; 6] = [
    Duration::from_millis(1),
    Duration::from_millis(20),
    Duration::from_millis(300),
    Duration::from_secs(1),
    Duration::from_secs(3),
    Duration::from_secs(9),
];

/// What came with the expiry has to happen first.
const AFTER_EXPIRY: [Duration; 3] = [
    Duration::from_millis(1),
    Duration::from_millis(100),
    Duration::from_secs(1),
];
