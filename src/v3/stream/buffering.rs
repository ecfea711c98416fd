use std::time::Duration;

use crate::base::endpoint::Endpoint;

/// How long each request lasts at an endpoint that withholds responses until their end. What happens meanwhile arrives
/// then.
pub(super) const POLL: Duration = Duration::from_secs(2);

/// After this many requests without a first message in time, a call of another kind shows whether the responses are
/// withheld.
const TRIES: u32 = 2;

/// After this many requests with a short deadline whose first message was early, usual ones follow.
const MAX_EARLY: u32 = 3;

/// Of the silences after which a stream that tells nothing is suspect: from one to sixteen.
const MAX_DOUBLINGS: u32 = 4;

/// Which endpoints withhold a response until its end, as a proxy does that buffers. What is learned holds as long as the
/// stream is open.
///
/// A request with a short deadline ends soon, and its response then arrives whole: every event is in it, and the next
/// request goes on from there.
#[derive(Debug, Default)]
pub(super) struct BufferingEndpoints {
    /// Requests in a row without a first message in time.
    missed: u32,
    /// Requests with a short deadline in a row whose first message was early.
    early: u32,
    /// Requests with a short deadline that have brought nothing.
    without_result: u32,
    known: Vec<Endpoint>,
}

impl BufferingEndpoints {
    /// A first message has not arrived in time. Returns whether to find out why.
    pub(super) fn missed(&mut self) -> bool {
        self.missed = self.missed.saturating_add(1);
        self.missed >= TRIES
    }

    /// The first message of a usual request has arrived.
    pub(super) fn arrived(&mut self) {
        self.missed = 0;
        self.without_result = 0;
    }

    /// The first message of a request with a short deadline has arrived, early or at its end. Several early ones in a row are
    /// no longer withheld: a single one may have filled the proxy's buffer.
    pub(super) fn polled(&mut self, endpoint: &Endpoint, is_early: bool) {
        self.early = if is_early { self.early + 1 } else { 0 };
        if self.early == MAX_EARLY {
            self.forget(endpoint);
        }
    }

    /// A request with a short deadline has failed: the next one is a usual one.
    pub(super) fn forget(&mut self, endpoint: &Endpoint) {
        self.early = 0;
        self.known.retain(|known| known != endpoint);
    }

    /// A stream has yielded nothing for so many periods of silence, although its server is alive. Returns whether a request with a short
    /// deadline is to show why: more rarely each time that it brings nothing.
    pub(super) fn suspects(&mut self, endpoint: &Endpoint, silences: u32) -> bool {
        let is_suspect = silences >= 1 << self.without_result.min(MAX_DOUBLINGS);
        if is_suspect {
            self.learn(endpoint);
        }
        is_suspect
    }

    /// A request with a short deadline has had no result.
    pub(super) fn without_result(&mut self, endpoint: &Endpoint) {
        self.without_result = self.without_result.saturating_add(1);
        self.forget(endpoint);
    }

    /// The endpoint withholds responses.
    pub(super) fn learn(&mut self, endpoint: &Endpoint) {
        if !self.is_for(endpoint) {
            self.known.push(endpoint.clone());
        }
    }

    /// Returns whether the endpoint withholds responses.
    pub(super) fn is_for(&self, endpoint: &Endpoint) -> bool {
        self.known.contains(endpoint)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stream_without_anything_to_tell_is_suspected_more_and_more_rarely() {
        let a: Endpoint = "http://a".parse().unwrap();
        let mut buffering = BufferingEndpoints::default();
        for needed in [1, 2, 4, 8, 16, 16] {
            assert!(!buffering.suspects(&a, needed - 1) && !buffering.is_for(&a));
            assert!(buffering.suspects(&a, needed) && buffering.is_for(&a));
            buffering.without_result(&a);
        }
        buffering.arrived();
        assert!(buffering.suspects(&a, 1));
    }

    #[test]
    fn it_is_found_out_after_the_second_miss_and_forgotten_when_messages_arrive_early() {
        let [a, b]: [Endpoint; 2] = ["http://a", "http://b"].map(|text| text.parse().unwrap());
        let mut buffering = BufferingEndpoints::default();
        assert!(!buffering.missed());
        buffering.arrived();
        assert!(!buffering.missed() && buffering.missed());
        buffering.learn(&b);
        buffering.learn(&b);
        assert!(buffering.is_for(&b) && !buffering.is_for(&a));
        for is_early in [true, true, false, true, true] {
            buffering.polled(&b, is_early);
            assert!(buffering.is_for(&b));
        }
        buffering.polled(&b, true);
        assert!(!buffering.is_for(&b));
    }
}
