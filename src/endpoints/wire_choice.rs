use std::{
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

use arc_swap::{ArcSwapOption, Guard};

use crate::endpoints::{protocol::Protocol, wire::Wire};

/// How long the gateway is used before the endpoint is examined again: a proxy may be gone, or have learned HTTP/2.
const REMEMBERED: Duration = Duration::from_secs(60);

/// The same, where no response was the reason, but a connection that broke off: that may have other causes.
const SUSPECTED: Duration = Duration::from_secs(10);

/// How long one call may take to examine an endpoint again. Meanwhile, others use what was known.
const EXAMINED_WITHIN: Duration = Duration::from_secs(10);

/// Which wire is used for calls to one endpoint, and why.
#[derive(Debug)]
pub(crate) struct WireChoice {
    protocol: Protocol,
    /// What was found out, if `protocol` leaves it open.
    found: ArcSwapOption<Found>,
    /// Whether that is gRPC, and not in doubt: most calls need to know no more.
    is_grpc: AtomicBool,
    /// Held while both change.
    changing: Mutex<()>,
}

#[derive(Clone, Debug)]
struct Found {
    wire: Wire,
    reason: Arc<str>,
    /// When it must be examined again.
    until: Option<Instant>,
    /// It must be examined again now.
    is_in_doubt: bool,
}

/// Why calls do not travel by gRPC.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum NoGrpc {
    /// The transport does not send HTTP/2 there, or the response is not one of gRPC.
    Certain(String),
    /// Connections break off when HTTP/2 begins.
    Suspected(String),
}

impl WireChoice {
    pub(crate) fn new(protocol: Protocol) -> Self {
        Self {
            protocol,
            found: ArcSwapOption::empty(),
            is_grpc: AtomicBool::new(false),
            changing: Mutex::new(()),
        }
    }

    /// Whether the wire is found out.
    pub(crate) fn is_auto(&self) -> bool {
        self.protocol == Protocol::Auto
    }

    /// Returns the wire that was used last, or is to be used in any case.
    pub(crate) fn last(&self) -> Wire {
        match self.protocol {
            Protocol::Auto => self.found.load().as_ref().map_or(Wire::Http, |it| it.wire),
            Protocol::Grpc => Wire::Grpc,
            Protocol::Gateway => Wire::Http,
        }
    }

    /// Whether gRPC is used, and not in doubt.
    pub(crate) fn is_grpc(&self) -> bool {
        self.protocol == Protocol::Grpc || self.is_grpc.load(Relaxed)
    }

    /// Returns the wire to use. `None` if the caller must find it out: one caller, where it was known and has expired.
    pub(crate) fn settled(&self, now: Instant) -> Option<Wire> {
        if !self.is_auto() {
            return Some(self.last());
        }
        if self.is_grpc.load(Relaxed) {
            return Some(Wire::Grpc);
        }
        let known = self.found.load();
        let found = known.as_ref()?;
        if found.is_in_doubt {
            return None;
        }
        if found.until.is_some_and(|until| until <= now) {
            let extended = Found {
                until: Some(now + EXAMINED_WITHIN),
                ..Found::clone(found)
            };
            let before = self
                .found
                .compare_and_swap(&*known, Some(Arc::new(extended)));
            if is_same(&before, &known) {
                return None;
            }
        }
        Some(found.wire)
    }

    /// Records that there was a response of gRPC. Returns whether that is new.
    pub(crate) fn found_grpc(&self) -> bool {
        if self.is_grpc.load(Relaxed) {
            return false;
        }
        self.set(Found {
            wire: Wire::Grpc,
            reason: GRPC.into(),
            until: None,
            is_in_doubt: false,
        })
    }

    /// Records that gRPC is not possible. Returns whether that is new.
    pub(crate) fn found_no_grpc(&self, why: NoGrpc, now: Instant) -> bool {
        let (reason, time) = match why {
            NoGrpc::Certain(reason) => (reason, REMEMBERED),
            NoGrpc::Suspected(reason) => (reason, SUSPECTED),
        };
        self.set(Found {
            wire: Wire::Http,
            reason: reason.into(),
            until: Some(now + time),
            is_in_doubt: false,
        })
    }

    /// Records what was found out. Returns whether it is another wire than before.
    fn set(&self, found: Found) -> bool {
        let _changing = self.lock();
        let (wire, is_in_doubt) = (found.wire, found.is_in_doubt);
        let before = self.found.swap(Some(Arc::new(found)));
        self.is_grpc
            .store(wire == Wire::Grpc && !is_in_doubt, Relaxed);
        before.is_none_or(|before| before.wire != wire)
    }

    fn lock(&self) -> MutexGuard<'_, ()> {
        self.changing.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The endpoint failed, or responded in no way of etcd's: it must be examined again.
    pub(crate) fn doubt(&self) {
        let _changing = self.lock();
        let known = self.found.load();
        let Some(found) = known.as_ref().filter(|it| !it.is_in_doubt) else {
            return;
        };
        self.found.store(Some(Arc::new(Found {
            is_in_doubt: true,
            ..Found::clone(found)
        })));
        self.is_grpc.store(false, Relaxed);
    }

    /// Returns the protocol that is used, if it is known, and why, if that was found out.
    pub(crate) fn describe(&self) -> (Option<Protocol>, Option<String>) {
        if !self.is_auto() {
            return (Some(self.protocol), None);
        }
        let known = self.found.load();
        match known.as_ref() {
            Some(found) => {
                let protocol = match found.wire {
                    Wire::Http => Protocol::Gateway,
                    Wire::Grpc => Protocol::Grpc,
                };
                (Some(protocol), Some(found.reason.as_ref().to_owned()))
            }
            None => (None, None),
        }
    }
}

fn is_same(one: &Guard<Option<Arc<Found>>>, other: &Guard<Option<Arc<Found>>>) -> bool {
    match (&**one, &**other) {
        (Some(one), Some(other)) => Arc::ptr_eq(one, other),
        _ => false,
    }
}

const GRPC: &str = "it responds by gRPC";

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn certain(reason: &str) -> NoGrpc {
        NoGrpc::Certain(reason.to_owned())
    }

    #[test]
    fn what_is_set_is_never_found_out() {
        let now = Instant::now();
        for (protocol, wire) in [
            (Protocol::Grpc, Wire::Grpc),
            (Protocol::Gateway, Wire::Http),
        ] {
            let choice = WireChoice::new(protocol);
            choice.doubt();
            assert_eq!((choice.last(), choice.settled(now)), (wire, Some(wire)));
            assert_eq!(choice.describe(), (Some(protocol), None));
            assert_eq!(choice.is_grpc(), protocol == Protocol::Grpc);
        }
    }

    #[test]
    fn grpc_stays_until_it_is_in_doubt() {
        let now = Instant::now();
        let choice = WireChoice::new(Protocol::Auto);
        assert_eq!((choice.last(), choice.settled(now)), (Wire::Http, None));
        assert!(!choice.is_grpc());
        assert!(choice.found_grpc() && !choice.found_grpc());
        assert!(choice.is_grpc());
        let later = now + SECOND * 3600;
        assert_eq!(choice.settled(later), Some(Wire::Grpc));
        choice.doubt();
        assert!(!choice.is_grpc());
        assert_eq!((choice.last(), choice.settled(later)), (Wire::Grpc, None));
        assert!(!choice.found_grpc(), "it was used before");
        assert_eq!(choice.settled(later), Some(Wire::Grpc));
    }

    #[test]
    fn the_gateway_is_examined_again_after_a_minute_by_one_call() {
        let start = Instant::now();
        let at = |seconds: u32| start + SECOND * seconds;
        let choice = WireChoice::new(Protocol::Auto);
        assert!(choice.found_no_grpc(certain("a page"), start));
        assert!(!choice.is_grpc());
        assert_eq!(choice.settled(at(59)), Some(Wire::Http));
        assert_eq!(choice.settled(at(60)), None);
        assert_eq!(choice.settled(at(60)), Some(Wire::Http), "one is enough");
        assert_eq!(
            choice.settled(at(70)),
            None,
            "the one was dropped, or has failed"
        );
        assert!(!choice.found_no_grpc(certain("another page"), at(71)));
        assert_eq!(choice.settled(at(130)), Some(Wire::Http));
        let (protocol, reason) = choice.describe();
        assert_eq!(protocol, Some(Protocol::Gateway));
        assert_eq!(reason.as_deref(), Some("another page"));
        assert!(choice.found_grpc());
    }

    #[test]
    fn a_suspicion_is_examined_again_after_ten_seconds() {
        let start = Instant::now();
        let choice = WireChoice::new(Protocol::Auto);
        choice.found_no_grpc(NoGrpc::Suspected("reset".to_owned()), start);
        assert_eq!(choice.settled(start + SECOND * 9), Some(Wire::Http));
        assert_eq!(choice.settled(start + SECOND * 10), None);
    }
}
